/* SPDX-License-Identifier: Apache-2.0 */
/* dlopen through libltdl, so that the same source serves a static build; then the version checks.
 */
#include "core/host/loader.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <ltdl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define ROWS_MAX 4096u
#define BUILTIN "builtin:"

static const char *builtin_names = "";

void
loader_preload(const void *list, const char *names)
{
	builtin_names = names;
	(void)lt_dlpreload_default(list);
}

/* As libltdl knows one that was linked in. */
static char *
name_to_open(const char *file)
{
	return text_starts(file, BUILTIN) ? xasprintf("%s.a", file + strlen(BUILTIN))
					  : xstrdup(file);
}

/* libltdl says "file not found" for whatever went wrong; the dynamic linker knows better. */
static const char *
real_reason(const char *file)
{
	void *h;
	const char *text;

	dlerror();
	h = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	text = dlerror();
	if (h || !text)
		return lt_dlerror();
	/* "FILE: reason": whoever reads it knows the file by its own name. */
	if (strncmp(text, file, strlen(file)) == 0 && text_starts(text + strlen(file), ": "))
		text += strlen(file) + 2;
	return text;
}

static lt_dlhandle
open_file(const char *file, struct err *e)
{
	autofree char *name = name_to_open(file);
	lt_dladvise advise;
	lt_dlhandle h;

	if (lt_dlinit() != 0 || lt_dladvise_init(&advise) != 0) {
		err_set(e, -ELIBACC, "the loader cannot be used: %s", lt_dlerror());
		return NULL;
	}
	lt_dladvise_local(&advise);
	lt_dladvise_resident(&advise);
	if (name[0] != '/')
		lt_dladvise_preload(&advise); /* nowhere else is it looked for */
	h = lt_dlopenadvise(name, advise);
	lt_dladvise_destroy(&advise);
	if (!h)
		err_set(e, -ELIBBAD, "it cannot be loaded: %s", real_reason(file));
	return h;
}

/* The file's own name, also when it was opened by a descriptor. */
static char *
name_of(const char *file)
{
	char target[4096];
	ssize_t n = text_starts(file, "/proc/self/fd/") ? readlink(file, target, sizeof(target) - 1)
							: -1;
	const char *path = text_starts(file, BUILTIN) ? file + strlen(BUILTIN) : file, *slash;
	char *name;

	if (n > 0) {
		target[n] = '\0';
		path = target;
	}
	slash = strrchr(path, '/');
	name = xstrdup(slash ? slash + 1 : path);
	name[strcspn(name, ".")] = '\0';
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return name;
}

/* libltdl puts the name of what it opened before a symbol, and looks for the bare one then. */
static const struct ssm_plugin *
find_descriptor(lt_dlhandle h, const char *file, struct err *e)
{
	autofree char *name = name_of(file);
	autofree char *symbol = xasprintf("%s_LTX_ssm_plugin", name);
	const struct ssm_plugin *p = lt_dlsym(h, symbol);

	if (!p)
		err_set(e, -ENOENT, "it has no plugin descriptor '%s'", symbol);
	return p;
}

static int
check_versions(const struct ssm_plugin *p, struct err *e)
{
	if (p->magic != SSM_PLUGIN_MAGIC)
		return err_set(e, -EPROTO, "its descriptor is not one (wrong magic number)");
	if (p->abi >> 16 != SSM_ABI_MAJOR)
		return err_set(
			e, -EPROTO,
			"it was built for version %u.%u of the plugin interface, this agent has "
			"%u.%u; it must be rebuilt",
			p->abi >> 16, p->abi & 0xffff, (unsigned)SSM_ABI_MAJOR,
			(unsigned)SSM_ABI_MINOR);
	if (p->abi_min > SSM_ABI_VERSION)
		return err_set(
			e, -EPROTO,
			"it needs version %u.%u of the plugin interface, this agent has %u.%u; "
			"update the agent",
			p->abi_min >> 16, p->abi_min & 0xffff, (unsigned)SSM_ABI_MAJOR,
			(unsigned)SSM_ABI_MINOR);
	if (p->size < offsetof(struct ssm_plugin, features) || p->size > 65536)
		return err_set(e, -EPROTO, "its descriptor is of an impossible size (%u)", p->size);
	return 0;
}

/* Rows of THEIR size become rows of ours: what they do not know is zero, what we do not know is
 * cut. */
static void *
copy_table(const void *rows, uint32_t their_size, uint32_t count, size_t our_size)
{
	char *ours = xcalloc(count + 1, our_size);
	size_t len = their_size < our_size ? their_size : our_size;

	for (uint32_t i = 0; i < count; i++)
		memcpy(ours + i * our_size, (const char *)rows + (size_t)i * their_size, len);
	return ours;
}

static int
check_table(const void *rows, uint32_t size, uint32_t count, const char *what, struct err *e)
{
	if (count == 0)
		return 0;
	if (!rows || size < 16 || size > 4096 || count > ROWS_MAX)
		return err_set(e, -EPROTO, "its table of %s is unusable", what);
	return 0;
}

static bool
is_name(const char *s)
{
	if (!s || !((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z')) || strlen(s) > 32)
		return false;
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")] ==
		'\0';
}

static int
check_features(const struct module *m, struct err *e)
{
	for (uint32_t i = 0; i < m->plugin.feature_count; i++) {
		const struct ssm_feature *f = &m->features[i];

		if (!f->name || !*f->name || strlen(f->name) > 256 || !f->ops)
			return err_set(e, -EPROTO, "its feature %u has no name or no functions", i);
		if (f->kind == SSM_KIND_TOPIC && !f->job_key)
			return err_set(e, -EPROTO, "its topic '%s' names no job_key", f->name);
	}
	for (uint32_t i = 0; i < m->plugin.option_count; i++)
		if (!m->options[i].key || !*m->options[i].key)
			return err_set(e, -EPROTO, "its option %u has no key", i);
	return 0;
}

static int
take_descriptor(struct module *m, const struct ssm_plugin *theirs, struct err *e)
{
	struct ssm_plugin *p = &m->plugin;
	size_t len = theirs->size < sizeof(*p) ? theirs->size : sizeof(*p);
	int r;

	memcpy(p, theirs, len);
	if (!is_name(p->name))
		return err_set(e, -EPROTO, "its name is not one ([A-Za-z][A-Za-z0-9_]*)");
	r = check_table(p->features, p->feature_size, p->feature_count, "features", e);
	if (r == 0)
		r = check_table(p->options, p->option_size, p->option_count, "options", e);
	if (r < 0)
		return r;
	m->features =
		copy_table(p->features, p->feature_size, p->feature_count, sizeof(*m->features));
	m->options = copy_table(p->options, p->option_size, p->option_count, sizeof(*m->options));
	return check_features(m, e);
}

struct module *
module_free(struct module *m)
{
	if (!m)
		return NULL;
	free(m->features);
	free(m->options);
	free(m->path);
	free(m);
	return NULL;
}

struct module *
loader_open(const char *file, struct err *e)
{
	struct module *m = xcalloc(1, sizeof(*m));
	const struct ssm_plugin *theirs = NULL;
	lt_dlhandle h = open_file(file, e);

	m->path = xstrdup(file);
	if (h)
		theirs = find_descriptor(h, file, e);
	if (theirs && check_versions(theirs, e) == 0 && take_descriptor(m, theirs, e) == 0)
		return m;
	return module_free(m);
}

json_t *
loader_describe_builtin(struct err *e)
{
	autostrv char **names = strv_split(builtin_names, " ");
	autojson json_t *all = json_array();

	for (char **n = names; n && *n; n++) {
		autofree char *file = xasprintf(BUILTIN "%s", *n);
		struct module *m = loader_open(file, e);

		if (!m) {
			err_prefix(e, "plugin '%s'", *n);
			return NULL;
		}
		(void)json_array_append_new(all, describe_module(m));
		module_free(m);
	}
	return json_incref(all);
}

static bool
serves(const struct ssm_feature *f, const char *name)
{
	size_t n = strlen(f->name);

	if (f->name[n - 1] == '*')
		return strncmp(f->name, name, n - 1) == 0;
	if (f->kind == SSM_KIND_TOPIC)
		return strncmp(f->name, name, n) == 0;
	return strcmp(f->name, name) == 0;
}

const struct ssm_feature *
module_feature(const struct module *m, uint32_t kind, const char *name)
{
	const struct ssm_feature *best = NULL;

	for (uint32_t i = 0; i < m->plugin.feature_count; i++) {
		const struct ssm_feature *f = &m->features[i];

		if (f->kind == kind && serves(f, name) &&
		    (!best || strlen(f->name) > strlen(best->name)))
			best = f;
	}
	return best;
}
