/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of parameters, documents and nodes. */
#include "sdk/sandbox/tags.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"

struct tags {
	json_t *all; /* type -> id -> key -> value */
};

struct tags *
tags_new(void)
{
	struct tags *t = xcalloc(1, sizeof(*t));

	t->all = json_object();
	return t;
}

struct tags *
tags_free(struct tags *t)
{
	if (!t)
		return NULL;
	json_decref(t->all);
	free(t);
	return NULL;
}

static json_t *
tags_of(const struct tags *t, const char *type, const char *id)
{
	return json_object_get(json_object_get(t->all, type), id);
}

static void
set_tags(struct tags *t, const char *type, const char *id, json_t *tags)
{
	json_t *ids = json_object_get(t->all, type);

	if (!ids) {
		ids = json_object();
		json_object_set_new(t->all, type, ids);
	}
	json_object_set_new(ids, id, tags);
}

int
tags_add(struct tags *t, const char *type, const char *id, const json_t *list)
{
	json_t *old = tags_of(t, type, id);
	autojson json_t *tags = old ? json_copy(old) : json_object();
	const json_t *tag;
	size_t i;

	json_array_foreach(list, i, tag) {
		const char *key = json_str(tag, "Key", "");

		if (text_starts(key, "aws:"))
			return -EPERM;
		json_object_set(tags, key, json_object_get(tag, "Value"));
	}
	if (json_object_size(tags) > TAGS_MAX)
		return -E2BIG;
	set_tags(t, type, id, TAKE(tags));
	return 0;
}

void
tags_remove(struct tags *t, const char *type, const char *id, const json_t *keys)
{
	json_t *tags = tags_of(t, type, id);
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
		json_object_del(tags, json_string_value(key));
}

void
tags_remove_all(struct tags *t, const char *type, const char *id)
{
	json_object_del(json_object_get(t->all, type), id);
}

json_t *
tags_list(const struct tags *t, const char *type, const char *id)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach(tags_of(t, type, id), key, value)
		json_array_append_new(list, json_pack("{s:s, s:O}", "Key", key, "Value", value));
	return list;
}

const char *
tags_get(const struct tags *t, const char *type, const char *id, const char *key)
{
	return json_str(tags_of(t, type, id), key, NULL);
}

json_t *
tags_save(const struct tags *t)
{
	return json_incref(t->all);
}

void
tags_load(struct tags *t, const json_t *all)
{
	json_decref(t->all);
	t->all = json_deep_copy(all);
}
