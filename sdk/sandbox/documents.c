/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: where they are found, and their versions. */
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

#define FILE_MAX ((size_t)1 << 20)

struct documents {
	char *builtin, *user;
	struct map *files; /* name -> struct document */
	struct map *made;
};

static const char *const suffixes[] = { ".json", ".yaml" };

static void
free_version(struct document_version *v)
{
	json_decref(v->content);
	free(v->name);
	free(v->text);
	free(v);
}

void
document_free(void *value)
{
	struct document *doc = value;

	for (size_t i = 0; i < doc->count; i++)
		free_version(doc->versions[i]);
	free(doc->versions);
	free(doc->name);
	free(doc->path);
	free(doc->display_name);
	free(doc->target_type);
	free(doc);
}

struct document *
document_new(const char *name)
{
	struct document *doc = xcalloc(1, sizeof(*doc));

	doc->name = xstrdup(name);
	doc->type = "Command";
	return doc;
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
	d->files = map_new(document_free);
	d->made = map_new(document_free);
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
	map_free(d->files);
	map_free(d->made);
	free(d->builtin);
	free(d->user);
	free(d);
	return NULL;
}

struct map *
documents_made(const struct documents *d)
{
	return d->made;
}

const char *
document_bare_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return text_starts(name, "arn:") && slash ? slash + 1 : name;
}

/* ---- versions ---- */

struct document_version *
document_add_version(struct document *doc, const char *text, size_t len, const char *format,
		     json_t *content)
{
	struct document_version *v = xcalloc(1, sizeof(*v));

	v->number = ++doc->last_number;
	v->format = format;
	v->text = xstrndup(text, len);
	v->content = content;
	digest_sha256_hex(v->text, strlen(v->text), v->hash);
	doc->versions = xrealloc(doc->versions, doc->count + 1, sizeof(*doc->versions));
	doc->versions[doc->count++] = v;
	return v;
}

void
document_remove_version(struct document *doc, const struct document_version *v)
{
	for (size_t i = 0; i < doc->count; i++) {
		if (doc->versions[i] != v)
			continue;
		free_version(doc->versions[i]);
		memmove(&doc->versions[i], &doc->versions[i + 1],
			(--doc->count - i) * sizeof(*doc->versions));
		return;
	}
}

static const struct document_version *
by_number(const struct document *doc, int64_t number)
{
	for (size_t i = 0; i < doc->count; i++)
		if (doc->versions[i]->number == number)
			return doc->versions[i];
	return NULL;
}

const struct document_version *
document_version(const struct document *doc, const char *wanted)
{
	int64_t n;

	if (!doc->count)
		return NULL;
	if (!wanted || !*wanted || strcmp(wanted, "$DEFAULT") == 0)
		return by_number(doc, doc->default_number);
	if (strcmp(wanted, "$LATEST") == 0)
		return doc->versions[doc->count - 1];
	return text_to_i64(wanted, 1, INT_MAX, &n) == 0 ? by_number(doc, n) : NULL;
}

const struct document_version *
document_version_named(const struct document *doc, const char *name)
{
	for (size_t i = 0; i < doc->count; i++)
		if (doc->versions[i]->name && strcmp(doc->versions[i]->name, name) == 0)
			return doc->versions[i];
	return NULL;
}

/* ---- files ---- */

static char *
path_in(const char *dir, const char *name, struct stat *st)
{
	for (size_t i = 0; dir && i < NELEMS(suffixes); i++) {
		char *path = xasprintf("%s/%s%s", dir, name, suffixes[i]);

		if (stat(path, st) == 0)
			return path;
		free(path);
	}
	return NULL;
}

static bool
is_current(const struct document *doc, const char *path, const struct stat *st)
{
	return strcmp(doc->path, path) == 0 &&
		doc->changed_ms / 1000 == (int64_t)st->st_mtim.tv_sec &&
		doc->changed_ns == st->st_mtim.tv_nsec;
}

/* The file as the next version of the document. */
static int
load(struct document *doc, const char *path, const struct stat *st, struct err *e)
{
	const char *format = text_ends(path, ".yaml") ? "YAML" : "JSON";
	autofree char *text = NULL;
	struct document_version *v;
	json_t *content;
	size_t len;

	if (fs_read(AT_FDCWD, path, FILE_MAX, &text, &len, e) < 0)
		return e ? e->code : -EIO;
	content = document_parse(text, len, format, path, e);
	if (!content)
		return -EINVAL;
	v = document_add_version(doc, text, len, format, content);
	doc->default_number = v->number;
	if (doc->count > DOCUMENT_VERSIONS_MAX)
		document_remove_version(doc, doc->versions[0]);
	free(doc->path);
	doc->path = xstrdup(path);
	doc->type = json_object_get(content, "sessionType") ? "Session" : "Command";
	doc->changed_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	doc->changed_ns = st->st_mtim.tv_nsec;
	v->created_ms = doc->changed_ms;
	return 0;
}

struct document *
documents_find(struct documents *d, const char *name, struct err *e)
{
	struct document *doc = map_get(d->made, name), *old = map_get(d->files, name);
	autofree char *path = NULL;
	bool builtin = false;
	struct stat st;

	if (doc)
		return doc;
	if (fs_is_plain_name(name)) {
		path = path_in(d->user, name, &st);
		builtin = !path;
		if (!path)
			path = path_in(d->builtin, name, &st);
	}
	if (!path) {
		err_set(e, -ENOENT, "Document with name %s does not exist.", name);
		return NULL;
	}
	if (old && is_current(old, path, &st))
		return old;
	doc = old ? old : document_new(name);
	if (load(doc, path, &st, e) < 0) {
		if (!old)
			document_free(doc);
		return NULL;
	}
	doc->builtin = builtin;
	if (!old)
		map_set(d->files, name, doc);
	return doc;
}

static void
add_name(char ***names, const char *file)
{
	for (size_t i = 0; i < NELEMS(suffixes); i++) {
		char *name;

		if (!text_ends(file, suffixes[i]))
			continue;
		name = xstrndup(file, strlen(file) - strlen(suffixes[i]));
		if (strv_has(*names, name))
			free(name);
		else
			strv_push(names, name);
	}
}

static void
add_names(const char *dir, char ***names)
{
	DIR *folder = dir ? opendir(dir) : NULL;
	struct dirent *item;

	while (folder && (item = readdir(folder)))
		add_name(names, item->d_name);
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
	const char *name;
	size_t iter = 0;
	void *doc;

	add_names(d->user, &names);
	add_names(d->builtin, &names);
	while (map_next(d->made, &iter, &name, &doc))
		if (!strv_has(names, name))
			strv_add(&names, name);
	if (names)
		qsort(names, strv_len(names), sizeof(char *), compare);
	return names;
}
