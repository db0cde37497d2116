/* SPDX-License-Identifier: Apache-2.0 */
/* The feature table: who provides what, which of two that provide the same is taken, and what is
 * off because something it needs is missing. */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "core/agent/plugin_file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"

#define KIND_TOPIC 2u
#define EXPERIMENTAL 1u /* SSM_F_EXPERIMENTAL */
#define TOLD_MAX 1000u

struct row { /* owns what its feature points to: a file may change before the table follows */
	struct feature feature;
	char *plugin, *path;
	json_t *descriptor;
	const json_t *json; /* in descriptor */
	const char *needs;
};

struct features {
	struct row *rows;
	size_t count;
	json_t *unused;	  /* plugin -> [{"name","reason"}] */
	struct map *told; /* what was logged: a table that is built again says nothing new */
};

static const char *const kinds[] = { "vendor",	 "action",  "topic",   "session",
				     "gatherer", "service", "identity" };

static void
row_done(struct row *r)
{
	free(r->plugin);
	free(r->path);
	json_decref(r->descriptor);
}

struct features *
features_new(void)
{
	struct features *t = xcalloc(1, sizeof(*t));

	t->unused = json_object();
	t->told = map_new(NULL);
	return t;
}

static void
clear(struct features *t)
{
	for (size_t i = 0; i < t->count; i++)
		row_done(&t->rows[i]);
	t->count = 0;
	(void)json_object_clear(t->unused);
}

struct features *
features_free(struct features *t)
{
	if (!t)
		return NULL;
	clear(t);
	free(t->rows);
	json_decref(t->unused);
	map_free(t->told);
	free(t);
	return NULL;
}

/* "action:aws:runShellScript": as [Features] and needs name it, with SEP between. */
static char *
full_name(const struct feature *f, char sep)
{
	return xasprintf("%s%c%s", kinds[f->kind < NELEMS(kinds) ? f->kind : 0], sep, f->name);
}

static void
leave_out(struct features *t, const struct feature *f, const char *reason)
{
	autofree char *name = full_name(f, ':');
	autofree char *line =
		xasprintf("'%s' of plugin '%s' is not used: %s", name, f->plugin, reason);
	json_t *list = json_object_get(t->unused, f->plugin);
	struct log_site site = { 0 }; /* each has its line */

	if (!list) {
		list = json_array();
		(void)json_object_set_new(t->unused, f->plugin, list);
	}
	(void)json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "reason", reason));
	if (map_get(t->told, line) || map_len(t->told) >= TOLD_MAX)
		return;
	log_write(&site, LOG_LEVEL_WARN, "plugins", "%s", line);
	map_set(t->told, line, t);
}

/* ------------------------------------------------------------- conflicts */

/* Features.action:aws:runShellScript = acmeShell decides between two that provide the same. */
static const char *
configured_owner(const struct conf *conf, const struct feature *f)
{
	autofree char *key = full_name(f, ':');

	return conf_raw(conf, "Features", key);
}

static bool
is_in_tree(const char *plugin)
{
	autofree char *word = xasprintf(" %s ", plugin);

	return strstr(SSM_IN_TREE_PLUGINS, word) != NULL;
}

/* Is A taken before B, and why. */
static bool
goes_before(const struct conf *conf, const struct feature *a, const struct feature *b,
	    const char **ret_why)
{
	const char *owner = configured_owner(conf, a);
	bool tree_a = is_in_tree(a->plugin), tree_b = is_in_tree(b->plugin);

	*ret_why = "[Features] names that one";
	if (owner && strcmp(owner, a->plugin) == 0)
		return true;
	if (owner && strcmp(owner, b->plugin) == 0)
		return false;
	*ret_why = "that one came with the agent";
	if (tree_a != tree_b)
		return tree_a;
	*ret_why = "that one's name is the first";
	return strcmp(a->plugin, b->plugin) < 0;
}

static struct row *
same_feature(struct features *t, const struct feature *f)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].feature.kind == f->kind &&
		    strcmp(t->rows[i].feature.name, f->name) == 0)
			return &t->rows[i];
	return NULL;
}

static void
add_row(struct features *t, const struct conf *conf, const struct row *new)
{
	struct row *old = same_feature(t, &new->feature);
	struct row winner, loser;
	autofree char *reason = NULL;
	const char *why;
	bool replaces;

	if (!old) {
		t->rows = xrealloc(t->rows, t->count + 1, sizeof(*t->rows));
		t->rows[t->count++] = *new;
		return;
	}
	replaces = goes_before(conf, &new->feature, &old->feature, &why);
	winner = replaces ? *new : *old;
	loser = replaces ? *old : *new;
	*old = winner;
	reason = xasprintf("plugin '%s' provides it too, and %s", winner.plugin, why);
	leave_out(t, &loser.feature, reason);
	row_done(&loser);
}

static struct row
row_of(const struct plugin_file *f, const json_t *json)
{
	struct row r = { .plugin = xstrdup(f->name),
			 .path = xstrdup(f->path),
			 .descriptor = json_incref(f->descriptor),
			 .json = json,
			 .needs = json_str(json, "needs", "") };

	r.feature = (struct feature){ .kind = (uint32_t)json_int(json, "kind", 0),
				      .flags = (uint32_t)json_int(json, "flags", 0),
				      .name = json_str(json, "name", ""),
				      .job_key = json_str(json, "job_key", NULL),
				      .cancel_key = json_str(json, "cancel_key", NULL),
				      .plugin = r.plugin,
				      .path = r.path,
				      .descriptor = r.descriptor };
	return r;
}

static void
add_feature(struct features *t, const struct conf *conf, const struct plugin_file *f,
	    const json_t *json)
{
	struct row new = row_of(f, json);
	const char *owner = configured_owner(conf, &new.feature);
	autofree char *name = full_name(&new.feature, ':');
	autofree char *reason = NULL;

	if (new.feature.flags & EXPERIMENTAL && (!owner || strcmp(owner, f->name) != 0)) {
		reason = xasprintf("it is experimental; '%s = %s' in [Features] switches it on",
				   name, f->name);
		leave_out(t, &new.feature, reason);
		row_done(&new);
		return;
	}
	add_row(t, conf, &new);
}

/* ----------------------------------------------------------------- needs */

static bool
is_provided(const struct features *t, const char *need)
{
	const char *equals = strchr(need, '=');

	for (uint32_t kind = 1; equals && kind < NELEMS(kinds); kind++)
		if (strlen(kinds[kind]) == (size_t)(equals - need) &&
		    strncmp(kinds[kind], need, strlen(kinds[kind])) == 0)
			return features_find(t, kind, equals + 1) != NULL;
	return false;
}

/* The first hard need of it that nobody provides. Caller frees. */
static char *
missing_need(const struct features *t, const struct row *r)
{
	autostrv char **words = strv_split(r->needs, " \t,");

	for (char **w = words; w && *w; w++)
		if (**w != '?' && !is_provided(t, *w))
			return xstrdup(*w);
	return NULL;
}

/* What is off may be what another one needs: until nothing changes. */
static bool
switch_one_off(struct features *t)
{
	for (size_t i = 0; i < t->count; i++) {
		autofree char *need = missing_need(t, &t->rows[i]);
		autofree char *reason = NULL;
		struct row r = t->rows[i];

		if (!need)
			continue;
		reason = xasprintf("it needs '%s', which no plugin provides", need);
		memmove(&t->rows[i], &t->rows[i + 1], (t->count - i - 1) * sizeof(*t->rows));
		t->count--;
		leave_out(t, &r.feature, reason);
		row_done(&r);
		return true;
	}
	return false;
}

void
features_build(struct features *t, const struct list *files, const struct conf *conf)
{
	clear(t);
	list_each(it, tmp, files) {
		const struct plugin_file *f = list_entry(it, struct plugin_file, link);
		const json_t *json;
		size_t i;

		if (f->state != PLUGIN_GOOD)
			continue;
		json_array_foreach(json_object_get(f->descriptor, "features"), i, json)
			add_feature(t, conf, f, json);
	}
	while (switch_one_off(t))
		;
}

/* --------------------------------------------------------------- answers */

static bool
matches(const char *pattern, const char *name, bool by_prefix)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '*')
		return strncmp(pattern, name, n - 1) == 0;
	return by_prefix ? strncmp(pattern, name, n) == 0 : strcmp(pattern, name) == 0;
}

const struct feature *
features_find(const struct features *t, uint32_t kind, const char *name)
{
	const struct feature *best = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct feature *f = &t->rows[i].feature;

		if (f->kind == kind && matches(f->name, name, kind == KIND_TOPIC) &&
		    (!best || strlen(f->name) > strlen(best->name)))
			best = f;
	}
	return best;
}

const struct feature *
features_next(const struct features *t, uint32_t kind, size_t *iter)
{
	while (*iter < t->count) {
		const struct feature *f = &t->rows[(*iter)++].feature;

		if (f->kind == kind)
			return f;
	}
	return NULL;
}

json_t *
features_of(const struct features *t, const char *plugin)
{
	json_t *all = json_array();

	for (size_t i = 0; i < t->count; i++)
		if (strcmp(t->rows[i].feature.plugin, plugin) == 0)
			(void)json_array_append(all, (json_t *)(uintptr_t)t->rows[i].json);
	return all;
}

json_t *
features_unused(const struct features *t, const char *plugin)
{
	json_t *list = json_object_get(t->unused, plugin);

	return list ? json_incref(list) : json_array();
}
