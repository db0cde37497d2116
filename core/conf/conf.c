/* SPDX-License-Identifier: Apache-2.0 */
/* The merged tree: values with origins, typed getters, paths. */
#include "core/conf/conf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/conf/conf_layers.h"

struct value {
	char *section, *name, *text, *origin;
	int64_t number;
	char **list;
};

struct conf {
	struct map *values; /* "section\nname" */
	char *root;
	char **overrides;
	char *paths[CONF_PATH_HOST + 1];
	conf_warn_fn *warn;
	void *warn_arg;
};

static void
value_free(void *p)
{
	struct value *v = p;

	free(v->section);
	free(v->name);
	free(v->text);
	free(v->origin);
	strv_free(v->list);
	free(v);
}

static char *
map_name(const char *section, const char *name)
{
	return xasprintf("%s\n%s", section, name);
}

static struct value *
find(const struct conf *c, const char *section, const char *name)
{
	autofree char *k = map_name(section, name);

	return map_get(c->values, k);
}

static void
store(struct conf *c, const char *section, const char *name, const char *text, const char *origin,
      int64_t number, int type)
{
	autofree char *k = map_name(section, name);
	struct value *v = xcalloc(1, sizeof(*v));

	v->section = xstrdup(section);
	v->name = xstrdup(name);
	v->text = xstrdup(text);
	v->origin = xstrdup(origin);
	v->number = number;
	if (type == KEYS_LIST || type == KEYS_ADDRESSES)
		v->list = strv_split(text, KEYS_SEPARATORS);
	map_set(c->values, k, v);
}

void
conf_warn(struct conf *c, const char *fmt, ...)
{
	autofree char *text = NULL, *line = NULL;
	va_list ap;

	if (!c->warn)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	line = text_escape_controls(text, strlen(text));
	c->warn(c->warn_arg, line);
}

static void
warn_unknown(struct conf *c, const char *section, const char *name, const char *origin)
{
	const char *nearest = key_nearest(section, name);
	autofree char *shown = text_quote(name, 80);

	if (nearest)
		conf_warn(c, "%s: unknown key %s in [%s]; did you mean '%s'?", origin, shown,
			  section, nearest);
	else
		conf_warn(c, "%s: unknown key %s in [%s] is ignored", origin, shown, section);
}

/* Sections of the core are checked by its table; [plugin NAME] by the plugin's own when it is
 * loaded. */
static int
put_free(struct conf *c, const char *section, const char *name, const char *value,
	 const char *origin)
{
	autofree char *shown = NULL;

	if (text_starts(section, "plugin ") || strcmp(section, "Features") == 0) {
		store(c, section, name, value, origin, 0, OPTS_STRING);
		return 0;
	}
	shown = text_quote(section, 80);
	conf_warn(c, "%s: unknown section %s is ignored", origin, shown);
	return 0;
}

int
conf_put(struct conf *c, const char *section, const char *name, const char *value,
	 const char *origin, bool lenient, struct err *e)
{
	const struct key *k = key_find(section, name);
	int64_t number = 0;
	struct err why = {0, ""};
	int r;

	if (!key_is_section(section))
		return put_free(c, section, name, value, origin);
	if (!k) {
		warn_unknown(c, section, name, origin);
		return 0;
	}
	if (!*value && k->type != OPTS_STRING) {
		value = k->preset;
		origin = "built-in";
	}
	r = key_check(k, value, &number, &why);
	if (r < 0 && lenient) {
		conf_warn(c, "%s: %s.%s: %s; '%s' is used", origin, section, name, err_text(&why),
			  k->preset);
		return 0;
	}
	if (r < 0)
		return err_set(e, r, "%s: %s.%s: %s", origin, section, name, err_text(&why));
	if (k->unused && strcmp(origin, "built-in") != 0)
		conf_warn(c, "%s: %s.%s has no effect in this version", origin, section, name);
	store(c, section, name, value, origin, number, k->type);
	return 0;
}

static void
put_presets(struct conf *c)
{
	size_t n;
	const struct key *table = key_table(&n);

	for (size_t i = 0; i < n; i++) {
		struct err e = {0, ""};
		int r = conf_put(c, table[i].section, table[i].name, table[i].preset, "built-in",
				 false, &e);

		assert(r == 0);
		(void)r;
	}
}

static int
put_override(struct conf *c, const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');
	const char *dot = strchr(text, '.');
	autofree char *section = NULL, *name = NULL, *value = NULL;

	if (!eq || !dot || dot > eq || dot == text || dot + 1 == eq) {
		autofree char *shown = text_quote(text, 80);

		return err_set(e, -EINVAL, "-o %s: the form is Section.Key=value", shown);
	}
	section = xstrndup(text, (size_t)(dot - text));
	name = xstrndup(dot + 1, (size_t)(eq - dot - 1));
	value = xstrdup(eq + 1);
	if (key_is_section(section) && !key_find(section, name)) {
		const char *nearest = key_nearest(section, name);

		return err_set(e, -EINVAL, "-o %s.%s: there is no such key%s%s%s", section, name,
			       nearest ? "; did you mean '" : "", nearest ? nearest : "",
			       nearest ? "'?" : "");
	}
	return conf_put(c, section, text_trim(name), text_trim(value), "command line", false, e);
}

static char *
etc_path(const struct conf *c, const char *name)
{
	return xasprintf("%s%s/%s", c->root ? c->root : "", c->root ? "/etc" : SSM_SYSCONFDIR,
			 name);
}

/* Code (plugins, host, the packages' snippets) stays where it is installed; all else moves below
 * --root, where the folders have their plain names whatever the build's prefix is. */
static void
resolve_path(struct conf *c, enum conf_path which, const char *key, char *preset)
{
	const char *set = key ? conf_str(c, key) : "";

	if (*set) {
		free(preset);
		preset = xstrdup(set);
	}
	c->paths[which] = preset;
}

static void
resolve_paths(struct conf *c)
{
	const char *var = c->root ? "/var" : SSM_LOCALSTATEDIR;
	const char *root = c->root ? c->root : "";

	resolve_path(c, CONF_PATH_STATE, "Paths.State",
		     xasprintf("%s%s/lib/amazon/ssm", root, var));
	resolve_path(c, CONF_PATH_RUN, "Paths.Run", xasprintf("%s/run/ssm", root));
	resolve_path(c, CONF_PATH_LOG, "Paths.Log", xasprintf("%s%s/log/amazon/ssm", root, var));
	resolve_path(c, CONF_PATH_CACHE, "Paths.Cache", xasprintf("%s%s/cache/ssm", root, var));
	resolve_path(c, CONF_PATH_ETC, NULL, etc_path(c, "ssm"));
	resolve_path(c, CONF_PATH_PLUGINS, "Paths.Plugins", xstrdup(SSM_PLUGINDIR));
	resolve_path(c, CONF_PATH_HOST, "Paths.Host", xstrdup(SSM_EXECDIR "/ssm-plugin-host"));
}

static int
read_layers(struct conf *c, const struct conf_spec *spec, struct err *e)
{
	/* The reference agent's file has one place, whatever our prefix is. */
	autofree char *legacy =
		xasprintf("%s/etc/amazon/ssm/amazon-ssm-agent.json", c->root ? c->root : "");
	autofree char *single = etc_path(c, "ssm/ssm.conf");
	autofree char *admin = etc_path(c, "ssm/conf.d");
	autofree char *run = xasprintf("%s/run/ssm/conf.d", c->root ? c->root : "");
	const char *folders[] = {SSM_CONFDIR, admin, run};
	int r = conf_read_legacy(c, legacy, e);

	if (r < 0)
		return r;
	r = conf_read_folders(c, folders, NELEMS(folders), 1, single, e);
	if (r < 0)
		return r;
	for (char *const *o = spec->overrides; o && *o; o++)
		if ((r = put_override(c, *o, e)) < 0)
			return r;
	return 0;
}

struct conf *
conf_new(conf_warn_fn *warn, void *arg)
{
	struct conf *c = xcalloc(1, sizeof(*c));

	c->values = map_new(value_free);
	c->warn = warn;
	c->warn_arg = arg;
	put_presets(c);
	return c;
}

struct conf *
conf_load(const struct conf_spec *spec, conf_warn_fn *warn, void *arg, struct err *e)
{
	struct conf *c = conf_new(warn, arg);

	c->root = xstrdup(spec->root);
	c->overrides = strv_dup(spec->overrides);
	if (read_layers(c, spec, e) < 0)
		return conf_free(c);
	resolve_paths(c);
	c->warn = NULL;
	return c;
}

struct conf *
conf_free(struct conf *c)
{
	if (!c)
		return NULL;
	map_free(c->values);
	for (size_t i = 0; i < NELEMS(c->paths); i++)
		free(c->paths[i]);
	free(c->root);
	strv_free(c->overrides);
	free(c);
	return NULL;
}

/* Sections of plugins, and which feature wins. */
static void
swap_free_sections(struct conf *c, struct conf *fresh)
{
	const char *name;
	size_t iter = 0;
	void *p;

	while (map_next(c->values, &iter, &name, &p))
		if (!key_is_section(((struct value *)p)->section))
			value_free(map_take(c->values, name));
	iter = 0;
	while (map_next(fresh->values, &iter, &name, &p))
		if (!key_is_section(((struct value *)p)->section)) {
			autofree char *copy = xstrdup(name);

			map_set(c->values, copy, map_take(fresh->values, copy));
		}
}

static void
swap_key(struct conf *c, struct conf *fresh, const struct key *k, char ***restart)
{
	autofree char *name = map_name(k->section, k->name);
	const struct value *was = map_get(c->values, name), *is = map_get(fresh->values, name);

	if (key_is_live(k))
		map_set(c->values, name, map_take(fresh->values, name));
	else if (!k->unused && strcmp(was->text, is->text) != 0)
		strv_addf(restart, "%s.%s", k->section, k->name);
}

int
conf_reload(struct conf *c, conf_warn_fn *warn, void *arg, char ***ret_restart, struct err *e)
{
	const struct conf_spec spec = {c->root, c->overrides};
	struct err why = {0, ""};
	struct conf *fresh = conf_load(&spec, warn, arg, &why);
	char **restart = NULL;
	size_t n;
	const struct key *table = key_table(&n);

	if (!fresh)
		return err_set(e, why.code, "%s", err_text(&why));
	swap_free_sections(c, fresh);
	for (size_t i = 0; i < n; i++)
		swap_key(c, fresh, &table[i], &restart);
	conf_free(fresh);
	*ret_restart = restart;
	return 0;
}

static const struct value *
core_value(const struct conf *c, const char *key)
{
	const char *dot = strchr(key, '.');
	autofree char *section = NULL;
	const struct value *v;

	assert(dot);
	section = xstrndup(key, (size_t)(dot - key));
	v = find(c, section, dot + 1);
	assert(v);
	return v;
}

const char *
conf_str(const struct conf *c, const char *key)
{
	return core_value(c, key)->text;
}

int64_t
conf_int(const struct conf *c, const char *key)
{
	return core_value(c, key)->number;
}

bool
conf_bool(const struct conf *c, const char *key)
{
	return core_value(c, key)->number != 0;
}

int64_t
conf_ms(const struct conf *c, const char *key)
{
	return core_value(c, key)->number;
}

int64_t
conf_bytes(const struct conf *c, const char *key)
{
	return core_value(c, key)->number;
}

char *const *
conf_list(const struct conf *c, const char *key)
{
	return core_value(c, key)->list;
}

const char *
conf_raw(const struct conf *c, const char *section, const char *key)
{
	const struct value *v = find(c, section, key);

	return v ? v->text : NULL;
}

const char *
conf_origin(const struct conf *c, const char *section, const char *key)
{
	const struct value *v = find(c, section, key);

	return v ? v->origin : NULL;
}

bool
conf_next(const struct conf *c, const char *section, size_t *iter, const char **ret_key,
	  const char **ret_value)
{
	const char *name;
	void *p;

	while (map_next(c->values, iter, &name, &p)) {
		const struct value *v = p;

		if (strcmp(v->section, section) != 0)
			continue;
		*ret_key = v->name;
		*ret_value = v->text;
		return true;
	}
	return false;
}

char **
conf_sections(const struct conf *c, const char *prefix)
{
	char **all = NULL;
	const char *name;
	size_t iter = 0;
	void *p;

	while (map_next(c->values, &iter, &name, &p)) {
		const struct value *v = p;

		if (text_starts(v->section, prefix) && !strv_has(all, v->section))
			strv_add(&all, v->section);
	}
	return all;
}

const char *
conf_path(const struct conf *c, enum conf_path which)
{
	return c->paths[which];
}

bool
conf_has_root(const struct conf *c)
{
	return c->root != NULL;
}

const char *
conf_root(const struct conf *c)
{
	return c->root;
}

/* A plugin's option table is not known here: names that sound like one are taken for a secret. */
static bool
is_secret(const struct value *v)
{
	static const char *const words[] = {"secret", "password", "token", "credential"};

	for (size_t i = 0; i < NELEMS(words); i++)
		if (strcasestr(v->name, words[i]))
			return true;
	return strcasestr(v->name, "proxy") && strchr(v->text, '@');
}

char *
conf_dump(const struct conf *c)
{
	struct sbuf b = SBUF_INIT(16u << 20);
	const char *name;
	size_t iter = 0;
	void *p;

	while (map_next(c->values, &iter, &name, &p)) {
		const struct value *v = p;

		sbuf_addf(&b, "%s.%s = %s  # %s\n", v->section, v->name,
			  is_secret(v) ? "***" : v->text, v->origin);
	}
	return sbuf_take(&b, NULL);
}
