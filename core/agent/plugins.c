/* SPDX-License-Identifier: Apache-2.0 */
/* Scan of the plugin folders and the feature table. Why no inotify: a stat before each job sees
 * every change, also a copy over an existing file. */
#include "core/agent/plugins.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/describe.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"

#define NAME_MAX_BYTES 32u
#define RETRY_FAILED_MS 60000
#define YOUNG_MS 2000
#define FILES_MAX 1000u

enum state {
	DESCRIBING,
	GOOD,
	REFUSED,
};

struct file {
	struct list link;
	struct plugins *owner;
	char *name, *path;
	struct stat st;
	enum state state;
	bool on_disk; /* seen by the scan under way */
	int64_t tried_ms;
	char *reason;
	json_t *descriptor;
	struct describe *run;
};

struct plugins_wait {
	struct list link;
	plugins_ready_fn *done;
	void *arg;
};

struct plugins {
	struct event_base *base;
	const struct conf *conf;
	struct list files, waits;
	struct feature *features;
	size_t feature_count;
	bool dirty; /* the table is older than the files */
};

struct plugins *
plugins_new(struct event_base *base, const struct conf *conf)
{
	struct plugins *p = xcalloc(1, sizeof(*p));

	p->base = base;
	p->conf = conf;
	list_init(&p->files);
	list_init(&p->waits);
	return p;
}

static void
file_free(struct file *f)
{
	list_remove(&f->link);
	describe_free(f->run);
	json_decref(f->descriptor);
	free(f->reason);
	free(f->name);
	free(f->path);
	free(f);
}

struct plugins *
plugins_free(struct plugins *p)
{
	if (!p)
		return NULL;
	list_each (it, tmp, &p->files)
		file_free(list_entry(it, struct file, link));
	list_each (it, tmp, &p->waits)
		plugins_wait_cancel(list_entry(it, struct plugins_wait, link));
	free(p->features);
	free(p);
	return NULL;
}

void
plugins_wait_cancel(struct plugins_wait *w)
{
	if (!w)
		return;
	list_remove(&w->link);
	free(w);
}

/* ------------------------------------------------------------- features */

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

/* Features.action:aws:runShellScript = acmeShell decides between two that provide the same. */
static const char *
configured_owner(const struct plugins *p, uint32_t kind, const char *name)
{
	static const char *const kinds[] = {"",		"action",  "topic",   "session",
					    "gatherer", "service", "identity"};
	autofree char *key = NULL;

	if (kind >= NELEMS(kinds))
		return NULL;
	key = xasprintf("%s:%s", kinds[kind], name);
	return conf_raw(p->conf, "Features", key);
}

static struct feature *
same_feature(struct plugins *p, uint32_t kind, const char *name)
{
	for (size_t i = 0; i < p->feature_count; i++)
		if (p->features[i].kind == kind && strcmp(p->features[i].name, name) == 0)
			return &p->features[i];
	return NULL;
}

static void
add_feature(struct plugins *p, const struct file *f, const json_t *row)
{
	struct feature new = {
		.kind = (uint32_t)json_int(row, "kind", 0),
		.flags = (uint32_t)json_int(row, "flags", 0),
		.name = json_str(row, "name", ""),
		.job_key = json_str(row, "job_key", NULL),
		.cancel_key = json_str(row, "cancel_key", NULL),
		.plugin = f->name,
		.path = f->path,
		.descriptor = f->descriptor,
	};
	const char *owner = configured_owner(p, new.kind, new.name);
	struct feature *old = same_feature(p, new.kind, new.name);

	if (old) {
		bool replaces = owner && strcmp(owner, new.plugin) == 0;
		const char *loser = replaces ? old->plugin : new.plugin;

		log_warn("plugins", "'%s' is provided by two plugins, the one of '%s' is not used",
			 new.name, loser);
		if (replaces)
			*old = new;
		return;
	}
	p->features = xrealloc(p->features, p->feature_count + 1, sizeof(*p->features));
	p->features[p->feature_count++] = new;
}

static void
rebuild(struct plugins *p)
{
	p->feature_count = 0;
	list_each (it, tmp, &p->files) {
		const struct file *f = list_entry(it, struct file, link);
		json_t *row;
		size_t i;

		if (f->state != GOOD)
			continue;
		json_array_foreach(json_object_get(f->descriptor, "features"), i, row)
			add_feature(p, f, row);
	}
	p->dirty = false;
}

static bool
matches(const char *pattern, const char *name, bool by_prefix)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return strncmp(pattern, name, n - 1) == 0;
	return by_prefix ? strncmp(pattern, name, n) == 0 : strcmp(pattern, name) == 0;
}

const struct feature *
plugins_find(const struct plugins *p, uint32_t kind, const char *name)
{
	const uint32_t topic = 2; /* SSM_KIND_TOPIC: topics are prefixes */
	const struct feature *best = NULL;

	for (size_t i = 0; i < p->feature_count; i++) {
		const struct feature *f = &p->features[i];

		if (f->kind == kind && matches(f->name, name, kind == topic) &&
		    (!best || strlen(f->name) > strlen(best->name)))
			best = f;
	}
	return best;
}

json_t *
plugins_for_host(const struct plugins *p)
{
	json_t *all = json_array();

	list_each (it, tmp, &p->files) {
		const struct file *f = list_entry(it, struct file, link);

		if (f->state == GOOD)
			json_array_append_new(
				all,
				json_pack("{s:s,s:s,s:O}", "name", f->name, "path", f->path,
					  "features", json_object_get(f->descriptor, "features")));
	}
	return all;
}

json_t *
plugins_report(const struct plugins *p)
{
	static const char *const names[] = {"describing", "loaded", "refused"};
	json_t *all = json_array();

	list_each (it, tmp, &p->files) {
		const struct file *f = list_entry(it, struct file, link);
		json_t *one = json_pack("{s:s,s:s,s:s}", "name", f->name, "path", f->path, "state",
					names[f->state]);

		if (f->reason)
			json_object_set_new(one, "reason", json_string(f->reason));
		if (f->descriptor)
			json_object_set(one, "descriptor", f->descriptor);
		json_array_append_new(all, one);
	}
	return all;
}

/* ----------------------------------------------------------------- scan */

static void
announce(struct plugins *p)
{
	struct list waits = LIST_INIT(waits);

	list_each (it, tmp, &p->files)
		if (list_entry(it, struct file, link)->state == DESCRIBING)
			return;
	if (p->dirty)
		rebuild(p);
	/* A callback may ask again: that one waits for the next round. */
	while (!list_empty(&p->waits)) {
		struct list *first = p->waits.next;

		list_remove(first);
		list_append(&waits, first);
	}
	while (!list_empty(&waits)) {
		struct plugins_wait *w = list_first(&waits, struct plugins_wait, link);
		plugins_ready_fn *done = w->done;
		void *arg = w->arg;

		plugins_wait_cancel(w);
		done(arg);
	}
}

static void
refuse(struct file *f, const char *reason)
{
	f->state = REFUSED;
	f->tried_ms = clock_mono_ms();
	if (!f->reason || strcmp(f->reason, reason) != 0)
		log_warn("plugins", "plugin '%s' is not used: %s", f->path, reason);
	free(f->reason);
	f->reason = xstrdup(reason);
}

static void
on_described(void *arg, json_t *descriptor, const char *reason)
{
	struct file *f = arg;

	f->run = NULL;
	f->owner->dirty = true;
	if (reason) {
		refuse(f, reason);
	} else if (strcmp(json_str(descriptor, "name", ""), f->name) != 0) {
		refuse(f, "its descriptor has another name than the file");
	} else {
		f->state = GOOD;
		free(f->reason);
		f->reason = NULL;
		f->descriptor = json_incref(descriptor);
		log_info("plugins", "plugin '%s' %s: %zu feature(s)", f->path,
			 json_str(descriptor, "version", ""),
			 json_array_size(json_object_get(descriptor, "features")));
	}
	announce(f->owner);
}

static int
check_file(const struct file *f, struct err *e)
{
	autoclose int fd = open(f->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, errno == ELOOP ? "it is a symbolic link" : "%m");
	return fs_check_trusted(fd, f->path, false, e);
}

static void
describe(struct plugins *p, struct file *f)
{
	struct err e = {0, ""};
	const char *reason;

	f->descriptor = (json_decref(f->descriptor), NULL);
	f->run = describe_free(f->run);
	p->dirty = true;
	if (!is_wanted(p, f->name, &reason)) {
		refuse(f, reason);
		return;
	}
	if (check_file(f, &e) < 0) {
		refuse(f, err_text(&e));
		return;
	}
	f->state = DESCRIBING;
	f->run = describe_start(p->base, conf_path(p->conf, CONF_PATH_HOST), f->path, on_described,
				f, &e);
	if (!f->run)
		refuse(f, err_text(&e));
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_mode == b->st_mode &&
		a->st_uid == b->st_uid;
}

/* Half a copy is refused now and may be whole at the next look. */
static bool
is_due(const struct file *f)
{
	int64_t age_ms = clock_wall_ms() - (int64_t)f->st.st_mtim.tv_sec * 1000;

	if (f->state != REFUSED)
		return false;
	return age_ms < YOUNG_MS || clock_mono_ms() - f->tried_ms >= RETRY_FAILED_MS;
}

static bool
is_plugin_name(const char *file, char *ret_name)
{
	size_t len = strlen(file);

	if (len < 4 || len - 3 > NAME_MAX_BYTES || strcmp(file + len - 3, ".so") != 0)
		return false;
	for (size_t i = 0; i < len - 3; i++) {
		bool letter =
			(file[i] >= 'a' && file[i] <= 'z') || (file[i] >= 'A' && file[i] <= 'Z');
		bool digit = (file[i] >= '0' && file[i] <= '9') || file[i] == '_';

		if (!letter && (i == 0 || !digit))
			return false;
	}
	memcpy(ret_name, file, len - 3);
	ret_name[len - 3] = '\0';
	return true;
}

static struct file *
find_file(struct plugins *p, const char *path)
{
	list_each (it, tmp, &p->files) {
		struct file *f = list_entry(it, struct file, link);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

static struct file *
add_file(struct plugins *p, const char *name, const char *path, const struct stat *st)
{
	struct file *f = xcalloc(1, sizeof(*f));

	f->owner = p;
	f->name = xstrdup(name);
	f->path = xstrdup(path);
	f->st = *st;
	f->on_disk = true;
	list_append(&p->files, &f->link);
	describe(p, f);
	return f;
}

static void
look_at(struct plugins *p, const char *folder, const char *entry)
{
	char name[NAME_MAX_BYTES + 1];
	autofree char *path = xasprintf("%s/%s", folder, entry);
	struct stat st;
	struct file *f;

	if (!is_plugin_name(entry, name) || lstat(path, &st) < 0)
		return;
	f = find_file(p, path);
	if (!f) {
		add_file(p, name, path, &st);
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
	return text_ends(d->d_name, ".so");
}

static void
scan_folder(struct plugins *p, const char *folder)
{
	autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries = NULL;
	struct err e = {0, ""};
	int n;

	if (fd < 0 && errno == ENOENT)
		return;
	if (fd < 0 || fs_check_trusted(fd, folder, true, &e) < 0) {
		log_warn("plugins", "plugin folder '%s' is not read: %s", folder,
			 fd < 0 ? strerror(errno) : err_text(&e));
		return;
	}
	n = scandir(folder, &entries, is_candidate, alphasort);
	for (int i = 0; i < n; i++) {
		if ((unsigned)i < FILES_MAX)
			look_at(p, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void
drop_missing(struct plugins *p)
{
	list_each (it, tmp, &p->files) {
		struct file *f = list_entry(it, struct file, link);

		if (f->on_disk)
			continue;
		log_info("plugins", "plugin '%s' is gone", f->path);
		file_free(f);
		p->dirty = true;
	}
}

static void
scan(struct plugins *p)
{
	list_each (it, tmp, &p->files)
		list_entry(it, struct file, link)->on_disk = false;
	scan_folder(p, conf_path(p->conf, CONF_PATH_PLUGINS));
	for (char *const *f = conf_list(p->conf, "Plugins.Path"); f && *f; f++)
		scan_folder(p, *f);
	drop_missing(p);
}

struct plugins_wait *
plugins_refresh(struct plugins *p, plugins_ready_fn *done, void *arg)
{
	struct plugins_wait *w;
	bool busy = false;

	scan(p);
	list_each (it, tmp, &p->files)
		busy |= list_entry(it, struct file, link)->state == DESCRIBING;
	if (!busy) {
		if (p->dirty)
			rebuild(p);
		done(arg);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->arg = arg;
	list_append(&p->waits, &w->link);
	return w;
}
