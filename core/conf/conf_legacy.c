/* SPDX-License-Identifier: Apache-2.0 */
/* The reference agent's JSON file as the lowest layer. spec/01 section 8.8. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf_layers.h"

struct legacy {
	struct conf *conf;
	const char *path;
};

static int
wrong_type(const struct legacy *l, const struct key *k, const char *wanted, struct err *e)
{
	return err_set(e, -EINVAL, "%s: %s.%s must be %s", l->path, k->section, k->name, wanted);
}

static int
list_text(const struct legacy *l, const struct key *k, const json_t *v, char **ret, struct err *e)
{
	autostrv char **words = NULL;
	json_t *item;
	size_t i;

	if (!json_is_array(v))
		return wrong_type(l, k, "an array of strings", e);
	json_array_foreach(v, i, item)
	{
		if (!json_is_string(item))
			return wrong_type(l, k, "an array of strings", e);
		strv_add(&words, json_string_value(item));
	}
	*ret = strv_join(words, " ");
	return 0;
}

/* The types are those of the reference agent: a wrong one spoils the whole file. */
static int
value_text(const struct legacy *l, const struct key *k, const json_t *v, char **ret, struct err *e)
{
	switch (k->type) {
	case KEYS_LIST:
	case KEYS_ADDRESSES:
		return list_text(l, k, v, ret, e);
	case KEYS_JSON:
		if (!json_is_array(v))
			return wrong_type(l, k, "an array of objects", e);
		*ret = json_text(v);
		return 0;
	case OPTS_BOOL:
		if (!json_is_boolean(v))
			return wrong_type(l, k, "true or false", e);
		*ret = xstrdup(json_is_true(v) ? "yes" : "no");
		return 0;
	case OPTS_INT:
	case OPTS_MSEC:
	case OPTS_BYTES:
		if (!json_is_integer(v))
			return wrong_type(l, k, "a whole number", e);
		*ret = xasprintf("%" PRId64, (int64_t)json_integer_value(v));
		return 0;
	default:
		if (!json_is_string(v))
			return wrong_type(l, k, "a string", e);
		*ret = xstrdup(json_string_value(v));
		return 0;
	}
}

static int
put_member(struct legacy *l, const char *section, const char *name, const json_t *v, struct err *e)
{
	const struct key *k = key_find_any_case(section, name);
	autofree char *text = NULL;
	int r;

	if (!k) {
		autofree char *shown = text_quote(name, 80);

		conf_warn(l->conf, "%s: unknown key %s in '%s' is ignored", l->path, shown,
			  section);
		return 0;
	}
	if (json_is_null(v))
		return 0;
	r = value_text(l, k, v, &text, e);
	if (r < 0)
		return r;
	return *text ? conf_put(l->conf, k->section, k->name, text, l->path, true, e) : 0;
}

static int
put_sections(struct legacy *l, const json_t *tree, struct err *e)
{
	const char *section, *name;
	json_t *members, *v;

	if (!json_is_object(tree))
		return err_set(e, -EINVAL, "%s: must hold one JSON object", l->path);
	json_object_foreach((json_t *)tree, section, members)
	{
		if (json_is_null(members))
			continue;
		if (!json_is_object(members))
			return err_set(e, -EINVAL, "%s: '%.80s' must be an object", l->path,
				       section);
		json_object_foreach(members, name, v)
		{
			int r = put_member(l, section, name, v, e);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int
conf_put_legacy(struct conf *c, const char *file, const char *text, size_t len, struct err *e)
{
	struct legacy l = {c, file};
	autojson json_t *tree = json_parse(text, len, file, e);

	return tree ? put_sections(&l, tree, e) : -EINVAL;
}

int
conf_read_legacy(struct conf *c, const char *path, struct err *e)
{
	return conf_read_layer(c, path, conf_put_legacy, e);
}
