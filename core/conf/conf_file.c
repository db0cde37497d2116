/* SPDX-License-Identifier: Apache-2.0 */
/* The *.conf layers: one file, and the folders in which a name in a later one hides the earlier. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/ini.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf_layers.h"

#define FILE_MAX_BYTES (1u << 20)
#define SNIPPETS_MAX 1000u

static int
put_item(void *arg, const struct ini_item *item, struct err *e)
{
	struct conf *c = arg;
	autofree char *origin = NULL;

	if (!item->key)
		return 0;
	origin = xasprintf("%s:%u", item->file, item->line);
	if (!*item->section)
		return err_set(e, -EINVAL, "%s: a key before the first [Section]", origin);
	return conf_put(c, item->section, item->key, item->value, origin, false, e);
}

/* Read it through one descriptor, so that what was checked is what is read. */
int
conf_read_trusted(const char *path, char **ret, size_t *ret_len, struct err *e)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_set(e, -errno, "cannot read '%s': %m", path);
	r = fs_check_trusted(fd, path, false, e);
	if (r < 0)
		return r;
	return fs_read_fd(fd, path, FILE_MAX_BYTES, ret, ret_len, e);
}

int
conf_put_text(struct conf *c, const char *file, const char *text, size_t len, struct err *e)
{
	return ini_parse(INI_CONF, file, text, len, put_item, NULL, c, e);
}

int
conf_read_layer(struct conf *c, const char *path, conf_put_fn *put, struct err *e)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = conf_read_trusted(path, &text, &len, e);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : put(c, path, text, len, e);
}

int
conf_read_file(struct conf *c, const char *path, struct err *e)
{
	return conf_read_layer(c, path, conf_put_text, e);
}

static int
is_snippet(const struct dirent *d)
{
	return d->d_name[0] != '.' && text_ends(d->d_name, ".conf");
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* A file of that name in a later folder hides this one; a link to /dev/null there switches it off.
 */
static bool
is_hidden(const char *const *folders, size_t count, size_t at, const char *name)
{
	for (size_t i = at + 1; i < count; i++) {
		autofree char *path = xasprintf("%s/%s", folders[i], name);
		struct stat st;

		if (lstat(path, &st) == 0)
			return true;
	}
	return false;
}

static bool
is_dev_null(const char *path)
{
	char target[16];
	ssize_t n = readlink(path, target, sizeof(target));

	return n == 9 && memcmp(target, "/dev/null", 9) == 0;
}

static int
read_snippet(struct conf *c, const char *folder, const char *name, struct err *e)
{
	autofree char *path = xasprintf("%s/%s", folder, name);

	return is_dev_null(path) ? 0 : conf_read_file(c, path, e);
}

static int
read_folder(struct conf *c, const char *const *folders, size_t count, size_t at, struct err *e)
{
	struct dirent **names = NULL;
	int n = scandir(folders[at], &names, is_snippet, by_bytes);
	int r = 0;

	if (n < 0)
		return errno == ENOENT
			? 0
			: err_set(e, -errno, "cannot read folder '%s': %m", folders[at]);
	if ((unsigned)n > SNIPPETS_MAX)
		r = err_set(e, -E2BIG, "'%s' holds %d snippets; at most %u are read", folders[at],
			    n, SNIPPETS_MAX);
	for (int i = 0; i < n; i++) {
		if (r == 0 && !is_hidden(folders, count, at, names[i]->d_name))
			r = read_snippet(c, folders[at], names[i]->d_name, e);
		free(names[i]);
	}
	free(names);
	return r;
}

int
conf_read_folders(struct conf *c, const char *const *folders, size_t count, size_t single_at,
		  const char *single, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (i == single_at)
			r = conf_read_file(c, single, e);
		if (r == 0)
			r = read_folder(c, folders, count, i, e);
	}
	return r;
}
