/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin folders: which files are there, who may be trusted, and what each says of itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/describe.h"
#include "core/agent/plugin_file.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf.h"

#define NAME_MAX_BYTES 32u
#define RETRY_FAILED_MS 60000
#define YOUNG_MS 2000
#define FILES_MAX 1000

void
plugin_file_free(struct plugin_file *f)
{
	list_remove(&f->link);
	describe_free(f->run);
	json_decref(f->descriptor);
	free(f->reason);
	free(f->name);
	free(f->path);
	free(f);
}

bool
plugin_scan_busy(const struct plugins *p)
{
	list_each(it, tmp, &p->files)
		if (list_entry(it, struct plugin_file, link)->state == PLUGIN_DESCRIBING)
			return true;
	return p->builtin != NULL;
}

/* ------------------------------------------------------------ one by one */

/* A site of its own: where twenty files are refused at once, each has its line. */
static void
tell_refused(const struct plugin_file *f, const char *reason)
{
	struct log_site site = { 0 };

	log_write(&site, LOG_LEVEL_WARN, "plugins", "plugin '%s' is not used: %s", f->path,
		  reason);
}

/* One line per file and reason, not one per look. */
static void
refuse(struct plugin_file *f, const char *reason)
{
	f->state = PLUGIN_REFUSED;
	f->tried_ms = clock_wall_ms();
	if (!f->reason || strcmp(f->reason, reason) != 0)
		tell_refused(f, reason);
	free(f->reason);
	f->reason = xstrdup(reason);
}

static void
accept_plugin(struct plugin_file *f)
{
	f->state = PLUGIN_GOOD;
	f->reason = (free(f->reason), NULL);
	log_info("plugins", "plugin '%s' %s: %zu feature(s)", f->path,
		 json_str(f->descriptor, "version", ""),
		 json_array_size(json_object_get(f->descriptor, "features")));
	plugin_file_check_conf(f);
}

static void
judge(struct plugin_file *f, json_t *descriptor, const char *reason)
{
	const char *name = json_str(descriptor, "name", "");
	autofree char *other = NULL;

	if (!reason && strcmp(name, f->name) != 0)
		reason = other = xasprintf("its descriptor calls it '%s'; a plugin's file is "
					   "named after it, '%s.so'",
					   name, name);
	if (reason) {
		refuse(f, reason);
		return;
	}
	if (descriptor != f->descriptor)
		f->descriptor = json_incref(descriptor);
	accept_plugin(f);
}

static void
on_described(void *arg, json_t *descriptor, const char *reason)
{
	struct plugin_file *f = arg;
	struct plugins *p = f->owner;

	f->run = NULL;
	judge(f, descriptor, reason);
	plugin_cache_put(p->cache, f);
	p->dirty = true;
	plugins_announce(p);
}

static bool
is_wanted(const struct plugins *p, const char *name, const char **ret_reason)
{
	autofree char *section = xasprintf("plugin %s", name);
	const char *load = conf_raw(p->conf, section, "Load");
	bool yes = true;

	*ret_reason = "switched off by its configuration (Load = no)";
	if (load && strcmp(load, "required") != 0 && text_to_bool(load, &yes) < 0)
		*ret_reason = "Load must be yes, no or required";
	else if (!load && strcmp(conf_str(p->conf, "Plugins.Load"), "list") == 0)
		*ret_reason = "not on the list (Plugins.Load = list and no Load = yes of its own)";
	else if (yes)
		return true;
	return false;
}

static bool
is_plugin_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		bool letter = (name[i] >= 'a' && name[i] <= 'z') ||
			(name[i] >= 'A' && name[i] <= 'Z');
		bool digit = (name[i] >= '0' && name[i] <= '9') || name[i] == '_';

		if (!letter && (i == 0 || !digit))
			return false;
	}
	return len >= 1 && len <= NAME_MAX_BYTES;
}

static const struct plugin_file *
same_name(const struct plugins *p, const struct plugin_file *f)
{
	list_each(it, tmp, &p->files) {
		const struct plugin_file *other = list_entry(it, struct plugin_file, link);

		if (other == f)
			return NULL;
		if (other->on_disk && strcmp(other->name, f->name) == 0)
			return other;
	}
	return NULL;
}

/* Opened once: what is checked is what is described. */
static int
open_trusted(struct plugin_file *f, struct err *e)
{
	autoclose int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno,
			       errno == ELOOP ? "it is a symbolic link; copy the file" : "%m");
	if (fs_check_trusted(fd, f->path, false, e) < 0)
		return -EPERM;
	if (fstat(fd, &f->st) < 0)
		return err_set(e, -errno, "%m");
	if (geteuid() == 0 && !(f->st.st_mode & S_IROTH))
		return err_set(e, -EPERM,
			       "others cannot read it (mode %04o), and it is described without "
			       "root's rights; chmod a+r it",
			       (unsigned)f->st.st_mode & 07777);
	return TAKE_FD(fd);
}

/* NULL, or why it is not even looked into. Caller frees. */
static char *
refusal(const struct plugins *p, const struct plugin_file *f)
{
	const struct plugin_file *other = same_name(p, f);
	const char *reason;

	if (!is_plugin_name(f->name))
		return xstrdup("its name is not one of a plugin ([A-Za-z][A-Za-z0-9_]*.so, at "
			       "most 32 letters before the dot)");
	if (!is_wanted(p, f->name, &reason))
		return xstrdup(reason);
	if (other)
		return xasprintf("'%s' has the same name and comes first", other->path);
	return NULL;
}

static bool
is_due(const struct plugin_file *f)
{
	int64_t now = clock_wall_ms();
	int64_t changed_ms = (int64_t)f->st.st_mtim.tv_sec * 1000;

	if (f->state != PLUGIN_REFUSED)
		return false;
	/* Half a copy is refused now and may be whole at the next look. */
	return f->tried_ms - changed_ms < YOUNG_MS || now - f->tried_ms >= RETRY_FAILED_MS ||
		now < f->tried_ms;
}

/* What an earlier run of the agent knew of this very file. */
static bool
take_known(struct plugins *p, struct plugin_file *f)
{
	f->state = PLUGIN_REFUSED;
	if (!plugin_cache_get(p->cache, f))
		return false;
	if (f->descriptor) {
		accept_plugin(f);
		return true;
	}
	if (is_due(f))
		return false;
	tell_refused(f, f->reason);
	return true;
}

static void
describe(struct plugins *p, struct plugin_file *f)
{
	struct err e = { 0, "" };
	autofree char *reason = refusal(p, f);
	autoclose int fd = -1;

	p->dirty = true;
	if (f->builtin) {
		judge(f, f->descriptor, reason);
		return;
	}
	f->descriptor = (json_decref(f->descriptor), NULL);
	f->run = describe_free(f->run);
	if (reason) {
		refuse(f, reason);
		return;
	}
	fd = open_trusted(f, &e);
	if (fd < 0) {
		refuse(f, err_text(&e));
		return;
	}
	if (take_known(p, f))
		return;
	f->state = PLUGIN_DESCRIBING;
	f->run = describe_start(p->base, conf_path(p->conf, CONF_PATH_HOST), fd, on_described, f,
				&e);
	if (!f->run)
		refuse(f, err_text(&e));
}

/* These stand before all files: who built them in wants them. */
static void
on_builtin(void *arg, json_t *all, const char *reason)
{
	struct plugins *p = arg;
	json_t *descriptor;
	size_t i;

	p->builtin = NULL;
	if (reason)
		log_error("plugins", "the host cannot say which plugins it carries: %s", reason);
	json_array_foreach(all, i, descriptor)
	{
		struct plugin_file *f = xcalloc(1, sizeof(*f));

		f->owner = p;
		f->builtin = f->on_disk = true;
		f->name = xstrdup(json_str(descriptor, "name", ""));
		f->path = xasprintf("builtin:%s", f->name);
		f->descriptor = json_incref(descriptor);
		list_append(p->files.next, &f->link);
		describe(p, f);
	}
	plugins_announce(p);
}

void
plugin_scan_builtin(struct plugins *p)
{
	struct err e = { 0, "" };

	p->builtin = describe_start(p->base, conf_path(p->conf, CONF_PATH_HOST), -1, on_builtin, p,
				    &e);
	if (!p->builtin)
		log_error("plugins", "the plugin host cannot be started: %s", err_text(&e));
}

void
plugin_scan_retry(struct plugins *p)
{
	list_each(it, tmp, &p->files) {
		struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (f->state == PLUGIN_GOOD)
			describe(p, f); /* it may be switched off now */
		if (f->builtin && f->state == PLUGIN_REFUSED)
			describe(p, f);
		if (f->builtin || f->state != PLUGIN_REFUSED)
			continue;
		f->tried_ms = 0;
		plugin_cache_drop(p->cache, f->path);
	}
	p->dirty = true;
}

/* --------------------------------------------------------------- folders */

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_mode == b->st_mode &&
		a->st_uid == b->st_uid;
}

static struct plugin_file *
find_file(struct plugins *p, const char *path)
{
	list_each(it, tmp, &p->files) {
		struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

static void
add_file(struct plugins *p, const char *entry, const char *path, const struct stat *st)
{
	struct plugin_file *f = xcalloc(1, sizeof(*f));

	f->owner = p;
	f->name = xstrndup(entry, strlen(entry) - strlen(".so"));
	f->path = xstrdup(path);
	f->st = *st;
	f->on_disk = true;
	list_append(&p->files, &f->link);
	describe(p, f);
}

static void
look_at(struct plugins *p, const char *folder, const char *entry)
{
	autofree char *path = xasprintf("%s/%s", folder, entry);
	struct plugin_file *f = find_file(p, path);
	struct stat st;

	if (lstat(path, &st) < 0)
		return;
	if (!f) {
		add_file(p, entry, path, &st);
		return;
	}
	f->on_disk = true;
	if (!same_file(&f->st, &st) || is_due(f)) {
		f->st = st;
		describe(p, f);
	}
}

static int
is_candidate(const struct dirent *d)
{
	return d->d_name[0] != '.' && text_ends(d->d_name, ".so");
}

/* One line per folder and reason, not one per look. */
static bool
may_read(struct plugins *p, const char *folder, int fd, int error)
{
	const char *told = map_get(p->folders, folder);
	struct err e = { 0, "" };

	if (fd < 0)
		err_set(&e, -error, "%s", strerror(error));
	else
		fs_check_trusted(fd, folder, true, &e);
	if (e.code < 0 && error != ENOENT && (!told || strcmp(told, err_text(&e)) != 0))
		log_warn("plugins", "plugin folder '%s' is not read: %s", folder, err_text(&e));
	map_set(p->folders, folder, e.code < 0 ? xstrdup(err_text(&e)) : NULL);
	return e.code == 0;
}

/* Short of descriptors or memory: what was found before counts on. */
static void
keep_files(struct plugins *p, const char *folder)
{
	size_t len = strlen(folder);

	list_each(it, tmp, &p->files) {
		struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (strncmp(f->path, folder, len) == 0 && f->path[len] == '/')
			f->on_disk = true;
	}
}

static void
scan_folder(struct plugins *p, const char *folder)
{
	autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 ? errno : 0, n;
	struct dirent **entries = NULL;

	if (may_read(p, folder, fd, error)) {
		n = scandir(folder, &entries, is_candidate, alphasort);
		error = n < 0 ? errno : 0;
	} else {
		n = 0;
	}
	if (err_may_pass(-error))
		keep_files(p, folder);
	for (int i = 0; i < n; i++) {
		if (i < FILES_MAX)
			look_at(p, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void
drop_missing(struct plugins *p)
{
	list_each(it, tmp, &p->files) {
		struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (f->on_disk)
			continue;
		log_info("plugins", "plugin '%s' is gone", f->path);
		plugin_cache_drop(p->cache, f->path);
		plugin_file_free(f);
		p->dirty = true;
	}
}

void
plugin_scan(struct plugins *p)
{
	list_each(it, tmp, &p->files)
		list_entry(it, struct plugin_file, link)->on_disk =
			list_entry(it, struct plugin_file, link)->builtin;
	scan_folder(p, conf_path(p->conf, CONF_PATH_PLUGINS));
	for (char *const *f = conf_list(p->conf, "Plugins.Path"); f && *f; f++)
		scan_folder(p, *f);
	drop_missing(p);
}
