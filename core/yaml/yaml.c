/* SPDX-License-Identifier: Apache-2.0 */
/* YAML text into the JSON value that it means (spec/03 section 2.3), through libyaml. */
#include "core/yaml/yaml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/yaml/scalar.h"

struct reader {
	yaml_parser_t parser;
	struct map *anchors; /* name -> json_t, whole values only: none can hold itself */
	size_t nodes, depth;
	const char *what;
	struct err *e;
};

static json_t *read_value(struct reader *r, yaml_event_t *event);

static void *
refuse(struct reader *r, int code, size_t line, const char *why)
{
	err_set(r->e, code, "%s is not YAML: line %zu: %s", r->what, line + 1, why);
	return NULL;
}

static void *
refuse_at(struct reader *r, const yaml_event_t *event, const char *why)
{
	return refuse(r, -EINVAL, event->start_mark.line, why);
}

/* The next event, to be given back with yaml_event_delete(). */
static bool
next(struct reader *r, yaml_event_t *event)
{
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, event))
		return true;
	refuse(r, -EINVAL, p->problem_mark.line, p->problem ? p->problem : "cannot be read");
	return false;
}

/* ---- what a node is ---- */

static bool
has_tag(const char *tag, const char *name)
{
	return text_starts(tag, "tag:yaml.org,2002:") && strcmp(strrchr(tag, ':') + 1, name) == 0;
}

static json_t *
read_scalar(struct reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t len = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	/* A tag of the language's own says which kind is meant; any other is somebody's text. */
	bool typed = tag &&
		(has_tag(tag, "int") || has_tag(tag, "float") || has_tag(tag, "bool") ||
		 has_tag(tag, "null"));
	json_t *value;

	value = typed || (plain && !tag) ? scalar_value(text, len) : json_stringn(text, len);
	if (value && (!typed || !json_is_string(value)))
		return value;
	json_decref(value);
	return refuse_at(r, event,
			 typed ? "the value is not what its tag says"
			       : "a number that JSON does not have");
}

static size_t
count_nodes(const json_t *v, size_t room)
{
	size_t n = 1, i;
	const char *key;
	json_t *item;

	json_array_foreach((json_t *)(uintptr_t)v, i, item) {
		if (n > room)
			return n;
		n += count_nodes(item, room - n);
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, item) {
		if (n > room)
			return n;
		n += count_nodes(item, room - n);
	}
	return n;
}

static size_t
depth_of(const json_t *v)
{
	size_t deepest = 0, i, depth;
	const char *key;
	json_t *item;

	json_array_foreach((json_t *)(uintptr_t)v, i, item) {
		depth = depth_of(item);
		deepest = depth > deepest ? depth : deepest;
	}
	json_object_foreach((json_t *)(uintptr_t)v, key, item) {
		depth = depth_of(item);
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest + 1;
}

/* A copy: what grows by aliases of aliases is counted, and ends. */
static json_t *
read_alias(struct reader *r, const yaml_event_t *event)
{
	const json_t *value = map_get(r->anchors, (const char *)event->data.alias.anchor);

	if (!value)
		return refuse_at(r, event, "an alias of nothing that is complete");
	r->nodes += count_nodes(value, YAML_MAX_NODES - r->nodes);
	if (r->nodes > YAML_MAX_NODES || r->depth + depth_of(value) > JSON_MAX_DEPTH)
		return refuse(r, -E2BIG, event->start_mark.line, "aliases make it too large");
	return json_deep_copy(value);
}

static json_t *
read_sequence(struct reader *r)
{
	json_t *list = json_array();

	while (true) {
		yaml_event_t event;
		json_t *item;
		bool end;

		if (!next(r, &event))
			break;
		end = event.type == YAML_SEQUENCE_END_EVENT;
		item = end ? NULL : read_value(r, &event);
		yaml_event_delete(&event);
		if (end)
			return list;
		if (!item)
			break;
		json_array_append_new(list, item);
	}
	json_decref(list);
	return NULL;
}

/* "<<": what FROM has and TO has not. */
static void
merge(json_t *to, json_t *from)
{
	json_t *item;
	size_t i;

	json_array_foreach(from, i, item)
		json_object_update_missing(to, item);
	if (json_is_object(from))
		json_object_update_missing(to, from);
}

static json_t *
read_next_value(struct reader *r)
{
	yaml_event_t event;
	json_t *value;

	if (!next(r, &event))
		return NULL;
	value = read_value(r, &event);
	yaml_event_delete(&event);
	return value;
}

/* One pair, whose key has been begun with EVENT. */
static bool
read_pair(struct reader *r, yaml_event_t *event, json_t *obj, json_t *merged)
{
	bool merges = event->type == YAML_SCALAR_EVENT &&
		event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		strcmp((const char *)event->data.scalar.value, "<<") == 0;
	autojson json_t *key = read_value(r, event);
	autojson json_t *value = key ? read_next_value(r) : NULL;

	if (!value)
		return false;
	if (merges)
		merge(merged, value);
	else if (json_is_string(key) && strlen(json_string_value(key)) == json_string_length(key))
		json_object_set(obj, json_string_value(key), value);
	return true;
}

static json_t *
read_mapping(struct reader *r)
{
	json_t *obj = json_object();
	autojson json_t *merged = json_object();

	while (true) {
		yaml_event_t event;
		bool end, good;

		if (!next(r, &event))
			break;
		end = event.type == YAML_MAPPING_END_EVENT;
		good = end || read_pair(r, &event, obj, merged);
		yaml_event_delete(&event);
		if (!good)
			break;
		if (!end)
			continue;
		merge(obj, merged);
		return obj;
	}
	json_decref(obj);
	return NULL;
}

static json_t *
read_kind(struct reader *r, yaml_event_t *event, const char **ret_anchor)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		*ret_anchor = (const char *)event->data.scalar.anchor;
		return read_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
		*ret_anchor = (const char *)event->data.sequence_start.anchor;
		return read_sequence(r);
	case YAML_MAPPING_START_EVENT:
		*ret_anchor = (const char *)event->data.mapping_start.anchor;
		return read_mapping(r);
	case YAML_ALIAS_EVENT:
		return read_alias(r, event);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		break;
	}
	return refuse_at(r, event, "a value is missing");
}

/* The value that begins with EVENT, which stays the caller's. */
static json_t *
read_value(struct reader *r, yaml_event_t *event)
{
	const char *anchor = NULL;
	json_t *value;

	if (++r->nodes > YAML_MAX_NODES || r->depth >= JSON_MAX_DEPTH)
		return refuse(r, -E2BIG, event->start_mark.line,
			      r->depth >= JSON_MAX_DEPTH ? "nested too deep" : "too many values");
	r->depth++;
	value = read_kind(r, event, &anchor);
	r->depth--;
	if (value && anchor)
		map_set(r->anchors, anchor, json_incref(value));
	return value;
}

/* ---- the stream around it ---- */

/* The next event is WANTED. */
static bool
expect(struct reader *r, yaml_event_type_t wanted, const char *otherwise)
{
	yaml_event_t event;
	bool good;

	if (!next(r, &event))
		return false;
	good = event.type == wanted;
	if (!good)
		refuse_at(r, &event, otherwise);
	yaml_event_delete(&event);
	return good;
}

static json_t *
read_document(struct reader *r)
{
	autojson json_t *value = NULL;

	if (!expect(r, YAML_STREAM_START_EVENT, "no stream") ||
	    !expect(r, YAML_DOCUMENT_START_EVENT, "there is nothing in it"))
		return NULL;
	value = read_next_value(r);
	if (!value || !expect(r, YAML_DOCUMENT_END_EVENT, "more than one value") ||
	    !expect(r, YAML_STREAM_END_EVENT, "more than one document"))
		return NULL;
	return TAKE(value);
}

static void
free_json(void *v)
{
	json_decref(v);
}

json_t *
yaml_parse(const char *text, size_t len, const char *what, struct err *e)
{
	struct reader r = { .what = what, .e = e };
	json_t *value;

	if (!yaml_parser_initialize(&r.parser)) {
		err_set(e, -ENOMEM, "%s cannot be read: no memory", what);
		return NULL;
	}
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	r.anchors = map_new(free_json);
	value = read_document(&r);
	map_free(r.anchors);
	yaml_parser_delete(&r.parser);
	return value;
}
