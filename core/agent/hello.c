/* SPDX-License-Identifier: Apache-2.0 */
/* What every host is told before it begins: its plugin, its rights, what it may find. */
#include "core/agent/hello.h"

#include "core/agent/plugins.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/conf/conf.h"

static json_t *
plugin_config(const struct conf *conf, const char *plugin)
{
	autofree char *section = xasprintf("plugin %s", plugin);
	json_t *config = json_object();
	const char *key, *value;
	size_t iter = 0;

	while (conf_next(conf, section, &iter, &key, &value))
		(void)json_object_set_new(config, key, json_string(value));
	return config;
}

/* Whatever is loaded there, each has a section of its own. */
static json_t *
plugins_with_config(const struct conf *conf, const struct plugins *plugins)
{
	json_t *all = plugins_for_host(plugins), *one;
	size_t i;

	json_array_foreach(all, i, one)
		(void)json_object_set_new(one, "config",
					  plugin_config(conf, json_str(one, "name", "")));
	return all;
}

/* As whom the host loads it. */
static void
set_rights(json_t *hello, const struct conf *conf, const struct feature *f)
{
	autofree char *section = xasprintf("plugin %s", f->plugin);
	const char *run_as = conf_raw(conf, section, "RunAs");

	if (run_as && *run_as)
		(void)json_object_set_new(hello, "run_as", json_string(run_as));
	(void)json_object_set_new(hello, "unprivileged",
				  json_boolean(f->flags & FEATURE_UNPRIVILEGED));
}

json_t *
hello_new(const struct conf *conf, const struct plugins *plugins, const struct feature *f,
	  const char *id, const char *name, json_t *info)
{
	json_t *m = json_object();

	(void)json_object_set_new(m, "job", json_string(id));
	(void)json_object_set_new(m, "kind", json_integer(f->kind));
	(void)json_object_set_new(m, "feature", json_string(name));
	(void)json_object_set_new(m, "plugin", json_string(f->plugin));
	(void)json_object_set_new(m, "plugin_path", json_string(f->path));
	(void)json_object_set_new(m, "plugins", plugins_with_config(conf, plugins));
	(void)json_object_set_new(m, "config", plugin_config(conf, f->plugin));
	(void)json_object_set_new(m, "info", info);
	set_rights(m, conf, f);
	(void)json_object_set_new(m, "cancelled", json_false());
	return m;
}
