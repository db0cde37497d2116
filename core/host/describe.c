/* SPDX-License-Identifier: Apache-2.0 */
/* A descriptor as JSON: data only, nothing of the plugin is called. */
#include "core/base/mem.h"
#include "core/host/loader.h"

static void
put(json_t *o, const char *key, const char *text)
{
	json_t *v = text ? json_string(text) : NULL;

	if (text)
		json_object_set_new(o, key, v ? v : json_string("(not UTF-8)"));
}

static json_t *
features(const struct module *m)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < m->plugin.feature_count; i++) {
		const struct ssm_feature *f = &m->features[i];
		json_t *one = json_pack("{s:I,s:I}", "kind", (json_int_t)f->kind, "flags",
					(json_int_t)f->flags);

		put(one, "name", f->name);
		put(one, "needs", f->needs);
		put(one, "job_key", f->job_key);
		put(one, "cancel_key", f->cancel_key);
		json_array_append_new(all, one);
	}
	return all;
}

static json_t *
options(const struct module *m)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < m->plugin.option_count; i++) {
		const struct ssm_option *o = &m->options[i];
		json_t *one = json_pack("{s:I,s:I}", "type", (json_int_t)o->type, "flags",
					(json_int_t)o->flags);

		put(one, "key", o->key);
		put(one, "preset", o->preset);
		put(one, "help", o->help);
		json_array_append_new(all, one);
	}
	return all;
}

json_t *
describe_module(const struct module *m)
{
	const struct ssm_plugin *p = &m->plugin;
	json_t *all = json_object();

	put(all, "name", p->name);
	put(all, "version", p->version);
	put(all, "license", p->license);
	put(all, "summary", p->summary);
	json_object_set_new(all, "abi",
			    json_pack("[i,i]", (int)(p->abi >> 16), (int)(p->abi & 0xffff)));
	json_object_set_new(all, "features", features(m));
	json_object_set_new(all, "options", options(m));
	return all;
}
