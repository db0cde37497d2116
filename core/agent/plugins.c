/* SPDX-License-Identifier: Apache-2.0 */
/* Which plugins there are: a look at the folders when somebody asks, and the table of features.
 *
 * plugin_scan.c looks and has files described, plugin_cache.c remembers, features.c decides. Why no
 * inotify: a stat before each job sees every change, also a copy over an existing file. */
#include "core/agent/plugins.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "core/agent/describe.h"
#include "core/agent/plugin_file.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "core/conf/opts.h"

#define LOOK_MS 60000

struct plugins_wait {
	struct list link;
	plugins_ready_fn *done;
	void *arg;
};

static void
arm(struct plugins *p)
{
	struct timeval tv;

	clock_timeval(LOOK_MS, &tv);
	(void)event_add(p->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct plugins *p = arg;

	(void)fd;
	(void)what;
	arm(p);
	plugin_scan(p);
	plugins_announce(p);
}

struct plugins *
plugins_new(struct event_base *base, const struct conf *conf)
{
	struct plugins *p = xcalloc(1, sizeof(*p));

	p->base = base;
	p->conf = conf;
	list_init(&p->files);
	list_init(&p->waits);
	p->features = features_new();
	p->cache = plugin_cache_open(conf_path(conf, CONF_PATH_CACHE));
	p->folders = map_new(free);
	p->timer = evtimer_new(base, on_timer, p);
	arm(p);
	plugin_scan_builtin(p);
	return p;
}

struct plugins *
plugins_free(struct plugins *p)
{
	if (!p)
		return NULL;
	list_each(it, tmp, &p->files)
		plugin_file_free(list_entry(it, struct plugin_file, link));
	list_each(it, tmp, &p->waits)
		plugins_wait_cancel(list_entry(it, struct plugins_wait, link));
	describe_free(p->builtin);
	event_free(p->timer);
	features_free(p->features);
	plugin_cache_free(p->cache);
	map_free(p->folders);
	free(p);
	return NULL;
}

/* ----------------------------------------------------------------- waits */

void
plugins_wait_cancel(struct plugins_wait *w)
{
	if (!w)
		return;
	list_remove(&w->link);
	free(w);
}

static void
settle(struct plugins *p)
{
	bool changed = p->dirty;

	if (changed)
		features_build(p->features, &p->files, p->conf);
	p->dirty = false;
	plugin_cache_save(p->cache);
	if (changed && p->on_change)
		p->on_change(p->on_change_arg);
}

void
plugins_announce(struct plugins *p)
{
	struct list waits = LIST_INIT(waits);

	if (plugin_scan_busy(p))
		return;
	settle(p);
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

struct plugins_wait *
plugins_refresh(struct plugins *p, plugins_ready_fn *done, void *arg)
{
	struct plugins_wait *w;

	plugin_scan(p);
	if (!plugin_scan_busy(p)) {
		settle(p);
		done(arg);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->arg = arg;
	list_append(&p->waits, &w->link);
	return w;
}

void
plugins_on_change(struct plugins *p, plugins_ready_fn *fn, void *arg)
{
	p->on_change = fn;
	p->on_change_arg = arg;
}

void
plugins_retry(struct plugins *p)
{
	plugin_scan_retry(p);
}

/* --------------------------------------------------------------- answers */

const struct feature *
plugins_find(const struct plugins *p, uint32_t kind, const char *name)
{
	return features_find(p->features, kind, name);
}

const struct feature *
plugins_next(const struct plugins *p, uint32_t kind, size_t *iter)
{
	return features_next(p->features, kind, iter);
}

json_t *
plugins_for_host(const struct plugins *p)
{
	json_t *all = json_array();

	list_each(it, tmp, &p->files) {
		const struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (f->state == PLUGIN_GOOD)
			(void)json_array_append_new(
				all, json_pack("{s:s,s:s,s:o}", "name", f->name, "path", f->path,
					       "features", features_of(p->features, f->name)));
	}
	return all;
}

static void
log_complaint(void *arg, const char *text)
{
	(void)arg;
	log_warn("plugins", "%s", text);
}

void
plugin_file_check_conf(const struct plugin_file *f)
{
	opts_check_section(f->owner->conf, f->descriptor, log_complaint, NULL);
}

static void
add_complaint(void *arg, const char *text)
{
	(void)json_array_append_new(arg, json_string(text));
}

static void
report_complaints(const struct plugin_file *f, json_t *one)
{
	json_t *all = json_array();

	opts_check_section(f->owner->conf, f->descriptor, add_complaint, all);
	(void)json_object_set_new(one, "warnings", all);
}

static void
report_rights(const struct plugins *p, const char *name, json_t *one)
{
	static const char *const keys[] = { "Calls", "Transfer", "RunAs" };
	autofree char *section = xasprintf("plugin %s", name);

	for (size_t i = 0; i < NELEMS(keys); i++) {
		const char *text = conf_raw(p->conf, section, keys[i]);

		if (text && *text)
			(void)json_object_set_new(one, keys[i], json_string(text));
	}
}

json_t *
plugins_report(const struct plugins *p)
{
	static const char *const names[] = { "describing", "loaded", "refused" };
	json_t *all = json_array();

	list_each(it, tmp, &p->files) {
		const struct plugin_file *f = list_entry(it, struct plugin_file, link);
		json_t *one = json_pack("{s:s,s:s,s:s}", "name", f->name, "path", f->path, "state",
					names[f->state]);

		(void)json_array_append_new(all, one);
		if (f->reason)
			(void)json_object_set_new(one, "reason", json_string(f->reason));
		if (!f->descriptor)
			continue;
		(void)json_object_set(one, "descriptor", f->descriptor);
		(void)json_object_set_new(one, "unused", features_unused(p->features, f->name));
		report_rights(p, f->name, one);
		report_complaints(f, one);
	}
	return all;
}

static const struct plugin_file *
loaded(const struct plugins *p, const char *name, const char **ret_reason)
{
	*ret_reason = "it is in none of the plugin folders";
	list_each(it, tmp, &p->files) {
		const struct plugin_file *f = list_entry(it, struct plugin_file, link);

		if (strcmp(f->name, name) != 0)
			continue;
		if (f->state == PLUGIN_GOOD)
			return f;
		*ret_reason = f->reason;
	}
	return NULL;
}

int
plugins_check_required(const struct plugins *p, struct err *e)
{
	autostrv char **sections = conf_sections(p->conf, "plugin ");

	for (char **s = sections; s && *s; s++) {
		const char *name = *s + strlen("plugin "), *reason;
		const char *load = conf_raw(p->conf, *s, "Load");

		if (load && strcmp(load, "required") == 0 && !loaded(p, name, &reason))
			return err_set(e, -ENOENT,
				       "the plugin '%s' is required (%s) and cannot be used: %s",
				       name, conf_origin(p->conf, *s, "Load"), reason);
	}
	return 0;
}
