/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions and failures that outlive the agent, so that a start describes only what changed.
 *
 * A key is the file's device, inode, size and time of change; another version of the agent, which
 * may judge otherwise, begins anew. It is a cache: what cannot be read or written is not missed. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/plugin_file.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define CACHE_NAME "plugins.json"
#define CACHE_MAX ((size_t)16 << 20)
#define FORMAT 1

struct plugin_cache {
	char *folder;
	json_t *files; /* path -> entry */
	bool changed, told;
};

/* What is not as we wrote it is not believed: an empty one. */
static json_t *
read_files(const char *folder)
{
	autofree char *path = xasprintf("%s/%s", folder, CACHE_NAME);
	autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autojson json_t *all = NULL;
	autofree char *text = NULL;
	struct err e = { 0, "" };
	size_t len = 0;

	if (fd < 0)
		return NULL;
	if (fs_check_trusted(fd, path, false, &e) == 0 &&
	    fs_read_fd(fd, path, CACHE_MAX, &text, &len, &e) == 0)
		all = json_parse(text, len, path, &e);
	if (!all) {
		log_warn("plugins", "the cache is not used: %s", err_text(&e));
		return NULL;
	}
	if (json_int(all, "format", 0) != FORMAT ||
	    strcmp(json_str(all, "agent", ""), PACKAGE_VERSION) != 0)
		return NULL;
	return json_incref(json_object_get(all, "files"));
}

struct plugin_cache *
plugin_cache_open(const char *folder)
{
	struct plugin_cache *c = xcalloc(1, sizeof(*c));

	c->folder = xstrdup(folder);
	c->files = read_files(folder);
	if (!json_is_object(c->files)) {
		json_decref(c->files);
		c->files = json_object();
	}
	return c;
}

struct plugin_cache *
plugin_cache_free(struct plugin_cache *c)
{
	if (!c)
		return NULL;
	json_decref(c->files);
	free(c->folder);
	free(c);
	return NULL;
}

static json_int_t
time_of(const struct stat *st)
{
	return (json_int_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool
is_same(const json_t *entry, const struct stat *st)
{
	return json_int(entry, "device", -1) == (int64_t)st->st_dev &&
		json_int(entry, "inode", -1) == (int64_t)st->st_ino &&
		json_int(entry, "size", -1) == (int64_t)st->st_size &&
		json_int(entry, "mtime_ns", -1) == time_of(st);
}

bool
plugin_cache_get(const struct plugin_cache *c, struct plugin_file *f)
{
	const json_t *entry = json_object_get(c->files, f->path);
	json_t *descriptor = json_object_get(entry, "descriptor");
	const char *reason = json_str(entry, "reason", NULL);

	if (!entry || !is_same(entry, &f->st))
		return false;
	if (json_is_object(descriptor) &&
	    json_is_array(json_object_get(descriptor, "features"))) {
		f->descriptor = json_incref(descriptor);
		return true;
	}
	if (!reason)
		return false;
	free(f->reason);
	f->reason = xstrdup(reason);
	f->tried_ms = json_int(entry, "tried_ms", 0);
	return true;
}

void
plugin_cache_put(struct plugin_cache *c, const struct plugin_file *f)
{
	json_t *entry = json_pack("{s:I,s:I,s:I,s:I}", "device", (json_int_t)f->st.st_dev, "inode",
				  (json_int_t)f->st.st_ino, "size", (json_int_t)f->st.st_size,
				  "mtime_ns", time_of(&f->st));

	if (f->state == PLUGIN_GOOD) {
		(void)json_object_set(entry, "descriptor", f->descriptor);
	} else {
		(void)json_object_set_new(entry, "reason", json_string(f->reason));
		(void)json_object_set_new(entry, "tried_ms", json_integer(f->tried_ms));
	}
	(void)json_object_set_new(c->files, f->path, entry);
	c->changed = true;
}

void
plugin_cache_drop(struct plugin_cache *c, const char *path)
{
	c->changed |= json_object_del(c->files, path) == 0;
}

static int
write_files(const struct plugin_cache *c, struct err *e)
{
	autoclose int dir = fs_make_dirs(c->folder, 0700, e);
	autojson json_t *all = json_pack("{s:i,s:s,s:O}", "format", FORMAT, "agent",
					 PACKAGE_VERSION, "files", c->files);
	autofree char *text = json_text(all);

	if (dir < 0)
		return dir;
	return fs_write_atomic(dir, CACHE_NAME, text, strlen(text), 0600, false, e);
}

void
plugin_cache_save(struct plugin_cache *c)
{
	struct err e = { 0, "" };

	if (!c->changed)
		return;
	c->changed = false;
	if (write_files(c, &e) == 0 || c->told)
		return;
	c->told = true;
	log_warn("plugins", "what is known of the plugins cannot be kept: %s", err_text(&e));
}
