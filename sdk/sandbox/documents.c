/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: our own and the user's, each a JSON file named after the document. */
#include "sdk/sandbox/documents.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define DOCUMENT_MAX ((size_t)1 << 20)

struct documents {
	char *builtin, *user;
	struct map *known; /* name -> struct document */
};

static void
free_document(void *value)
{
	struct document *doc = value;

	json_decref(doc->content);
	free(doc->name);
	free(doc->path);
	free(doc->text);
	free(doc);
}

/* In the tree a program stands at the top or in its folder; installed, it stands in bin. */
static char *
find_builtin(void)
{
	static const char *const places[] = { "sdk/sandbox/documents", "documents",
					      "../share/ssm-agent/documents" };
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[len > 0 ? len : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < NELEMS(places); i++) {
		char *dir = xasprintf("%s/%s", self, places[i]);

		if (access(dir, R_OK | X_OK) == 0)
			return dir;
		free(dir);
	}
	return xstrdup(SANDBOX_DOCUMENTSDIR);
}

struct documents *
documents_open(const char *builtin, const char *user, struct err *e)
{
	struct documents *d = xcalloc(1, sizeof(*d));

	d->builtin = builtin ? xstrdup(builtin) : find_builtin();
	d->user = xstrdup(user);
	d->known = map_new(free_document);
	if (access(d->builtin, R_OK | X_OK) < 0)
		err_set(e, -errno,
			"cannot read the sandbox's own documents in '%s': %m; name their "
			"folder with --builtin-documents",
			d->builtin);
	else if (user && access(user, R_OK | X_OK) < 0)
		err_set(e, -errno, "cannot read the documents in '%s': %m", user);
	else
		return d;
	return documents_free(d);
}

struct documents *
documents_free(struct documents *d)
{
	if (!d)
		return NULL;
	map_free(d->known);
	free(d->builtin);
	free(d->user);
	free(d);
	return NULL;
}

static char *
path_of(const struct documents *d, const char *name, struct stat *st)
{
	char *path;

	if (d->user) {
		path = xasprintf("%s/%s.json", d->user, name);
		if (stat(path, st) == 0)
			return path;
		free(path);
	}
	path = xasprintf("%s/%s.json", d->builtin, name);
	if (stat(path, st) == 0)
		return path;
	free(path);
	return NULL;
}

static struct document *
load(const char *name, const char *path, const struct stat *st, struct err *e)
{
	struct document *doc = xcalloc(1, sizeof(*doc));
	size_t len;

	doc->name = xstrdup(name);
	doc->path = xstrdup(path);
	doc->version = 1;
	doc->changed_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	doc->changed_ns = st->st_mtim.tv_nsec;
	if (fs_read(AT_FDCWD, path, DOCUMENT_MAX, &doc->text, &len, e) == 0)
		doc->content = json_parse(doc->text, len, path, e);
	if (doc->content)
		return doc;
	free_document(doc);
	return NULL;
}

static bool
is_current(const struct document *doc, const char *path, const struct stat *st)
{
	return strcmp(doc->path, path) == 0 &&
		doc->changed_ms / 1000 == (int64_t)st->st_mtim.tv_sec &&
		doc->changed_ns == st->st_mtim.tv_nsec;
}

const struct document *
documents_find(struct documents *d, const char *name, struct err *e)
{
	struct document *old = map_get(d->known, name), *doc;
	autofree char *path = NULL;
	struct stat st;

	if (fs_is_plain_name(name))
		path = path_of(d, name, &st);
	if (!path) {
		err_set(e, -ENOENT, "Document with name %s does not exist.", name);
		return NULL;
	}
	if (old && is_current(old, path, &st))
		return old;
	doc = load(name, path, &st, e);
	if (!doc)
		return NULL;
	if (old)
		doc->version = old->version + 1;
	map_set(d->known, name, doc);
	return doc;
}

static void
add_names(const char *dir, char ***names)
{
	DIR *folder = dir ? opendir(dir) : NULL;
	struct dirent *item;

	while (folder && (item = readdir(folder))) {
		size_t len = strlen(item->d_name);
		char *name;

		if (!text_ends(item->d_name, ".json"))
			continue;
		name = xstrndup(item->d_name, len - strlen(".json"));
		if (strv_has(*names, name))
			free(name);
		else
			strv_push(names, name);
	}
	if (folder)
		closedir(folder);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
documents_names(const struct documents *d)
{
	char **names = NULL;

	add_names(d->user, &names);
	add_names(d->builtin, &names);
	if (names)
		qsort(names, strv_len(names), sizeof(char *), compare);
	return names;
}
