/* SPDX-License-Identifier: Apache-2.0 */
/* Session documents: what is given, what is missing, what goes where. */
#include "plugins/sessionManager/document.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/pattern/pattern.h"

/* ------------------------------------------------------------- parameters */

/* As in a text: what is no text as JSON. Caller frees. */
static char *
value_text(const json_t *v)
{
	return json_is_string(v) ? xstrdup(json_string_value(v)) : json_text(v);
}

static int
check_pattern(const char *name, const json_t *v, const json_t *source, struct err *e)
{
	autofree char *other = json_is_string(v) ? NULL : json_text(v), *reason = NULL;
	struct pattern *p =
		pattern_new(json_string_value(source), json_string_length(source), &reason);
	int r;

	if (!p)
		return err_set(e, -EINVAL,
			       "the allowedPattern of parameter '%s' cannot be read: %s", name,
			       reason);
	r = pattern_match(p, other ? other : json_string_value(v),
			  other ? strlen(other) : json_string_length(v));
	(void)pattern_free(p);
	if (r < 0)
		return err_set(e, -EINVAL, "parameter '%s' is too long for its allowedPattern",
			       name);
	return r ? 0
		 : err_set(e, -EINVAL, "parameter '%s' does not match its allowedPattern", name);
}

static bool
is_name(const char *s)
{
	for (const char *c = s; *c; c++)
		if (!isalnum((unsigned char)*c))
			return false;
	return *s != 0;
}

/* What is still a token of the parameter store becomes its value; V is taken. NULL with E. */
static json_t *
from_store(struct store *store, json_t *v, struct err *e)
{
	autojson json_t *old = v;
	autofree char *trace = NULL;
	size_t left = DOCUMENT_TEXT_MAX;
	json_t *new = store_resolve(store, old, &trace) ? store_fill(store, old, &left, &trace)
							: NULL;

	if (!new)
		(void)err_set(e, -EINVAL, "%s", trace ? trace : "the session was cancelled");
	return new;
}

/* Of all that the document declares; a new object. */
static json_t *
merge(json_t *declared, json_t *given)
{
	json_t *all = json_object();
	const char *name;
	json_t *p;

	json_object_foreach(declared, name, p) {
		json_t *v = is_name(name) ? json_object_get(given, name) : NULL;

		if (!v || json_is_null(v))
			v = json_any_case(p, "default");
		(void)json_object_set(all, name, v ? v : json_null());
	}
	return all;
}

static int
check_patterns(json_t *declared, const json_t *values, struct err *e)
{
	const char *name;
	json_t *p;

	json_object_foreach(declared, name, p) {
		const json_t *pattern = json_any_case(p, "allowedPattern");
		const json_t *v = json_object_get(values, name);

		if (json_string_length(pattern) == 0)
			continue;
		if (json_is_null(v))
			return err_set(e, -EINVAL, "parameter '%s' is missing", name);
		if (check_pattern(name, v, pattern, e) < 0)
			return -EINVAL;
	}
	return 0;
}

/* What the parameters are, checked; a new object, NULL with E. */
static json_t *
parameter_values(struct store *store, json_t *declared, json_t *given, struct err *e)
{
	autojson json_t *all = from_store(store, merge(declared, given), e);

	return all && check_patterns(declared, all, e) == 0 ? json_incref(all) : NULL;
}

/* ------------------------------------------------------------ replacement */

/* At S stands "{{ name }}" of one of VALUES: its value, and where the text goes on. */
static const json_t *
reference(const char *s, const json_t *values, const char **ret_end)
{
	autofree char *name = NULL;
	const char *begin, *end;

	if (s[0] != '{' || s[1] != '{')
		return NULL;
	begin = s + 2 + strspn(s + 2, " ");
	for (end = begin; isalnum((unsigned char)*end); end++)
		;
	*ret_end = end + strspn(end, " ");
	if ((*ret_end)[0] != '}' || (*ret_end)[1] != '}')
		return NULL;
	*ret_end += 2;
	name = xstrndup(begin, (size_t)(end - begin));
	return json_object_get(values, name);
}

/* Inside of a longer text "$$" stands for "$". */
static void
put_value(struct sbuf *out, const json_t *v)
{
	autofree char *text = value_text(v);

	for (const char *s = text; *s; s++) {
		(void)sbuf_addc(out, *s);
		if (s[0] == '$' && s[1] == '$')
			s++;
	}
}

static json_t *
replaced_text(const char *s, const json_t *values, struct err *e)
{
	autosbuf struct sbuf out = SBUF_INIT(DOCUMENT_TEXT_MAX);
	const char *end = NULL;
	const json_t *v = reference(s, values, &end);

	if (v && !*end)
		return json_deep_copy(v);
	while (*s) {
		v = reference(s, values, &end);
		if (v)
			put_value(&out, v);
		else
			(void)sbuf_addc(&out, *s);
		s = v ? end : s + 1;
	}
	if (out.err)
		(void)err_set(e, -EINVAL, "a text of the session document is too long");
	return out.err ? NULL : json_string(sbuf_str(&out));
}

static json_t *replaced(json_t *v, const json_t *values, struct err *e);

static json_t *
replaced_object(json_t *v, const json_t *values, struct err *e)
{
	autojson json_t *all = json_object();
	const char *key;
	json_t *one;

	json_object_foreach(v, key, one) {
		json_t *new = replaced(one, values, e);

		if (!new)
			return NULL;
		(void)json_object_set_new(all, key, new);
	}
	return json_incref(all);
}

static json_t *
replaced_array(json_t *v, const json_t *values, struct err *e)
{
	autojson json_t *all = json_array();
	size_t i;
	json_t *one;

	json_array_foreach(v, i, one) {
		json_t *new = replaced(one, values, e);

		if (!new)
			return NULL;
		(void)json_array_append_new(all, new);
	}
	return json_incref(all);
}

/* As deep as json_parse() lets it be. */
static json_t *
replaced(json_t *v, const json_t *values, struct err *e)
{
	if (json_is_object(v))
		return replaced_object(v, values, e);
	if (json_is_array(v))
		return replaced_array(v, values, e);
	if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v))
		return replaced_text(json_string_value(v), values, e);
	return json_incref(v);
}

/* ---------------------------------------------------------------- the whole */

static int
put_object(json_t *ret, const char *key, json_t *document, const json_t *values,
	   struct store *store, struct err *e)
{
	json_t *v = json_any_case(document, key), *new;

	if (v && !json_is_object(v))
		return err_set(e, -EINVAL, "'%s' of the session document is not an object", key);
	new = v ? replaced(v, values, e) : json_object();
	new = new ? from_store(store, new, e) : NULL;
	return new ? json_object_set_new(ret, key, new) : -EINVAL;
}

static int
put_text(json_t *ret, const char *key, json_t *from, struct err *e)
{
	json_t *v = json_any_case(from, key);

	if (v && (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)))
		return err_set(e, -EINVAL, "'%s' is not a text without NUL", key);
	return json_object_set_new(ret, key, v ? json_incref(v) : json_string(""));
}

static int
fill(json_t *ret, json_t *start, struct store *store, struct err *e)
{
	json_t *document = json_any_case(start, "DocumentContent"), *v;
	autojson json_t *values = NULL;

	if (!json_is_object(document))
		return err_set(e, -EINVAL, "the session has no document");
	v = json_any_case(document, "schemaVersion");
	if (!json_is_string(v) || strcmp(json_string_value(v), "1.0") != 0)
		return err_set(e, -EINVAL, "the session document's schemaVersion is not 1.0");
	if (put_text(ret, "SessionId", start, e) < 0 || put_text(ret, "RunAsUser", start, e) < 0 ||
	    put_text(ret, "DocumentName", start, e) < 0 ||
	    put_text(ret, "SessionOwner", start, e) < 0 ||
	    put_text(ret, "sessionType", document, e) < 0)
		return -EINVAL;
	values = parameter_values(store, json_any_case(document, "parameters"),
				  json_any_case(start, "Parameters"), e);
	if (!values || put_object(ret, "inputs", document, values, store, e) < 0 ||
	    put_object(ret, "properties", document, values, store, e) < 0)
		return -EINVAL;
	if (!*json_str(ret, "SessionId", ""))
		return err_set(e, -EINVAL, "the session has no name");
	return 0;
}

json_t *
document_read(const char *content, size_t len, store_ask_fn *ask, void *arg, struct err *e)
{
	autojson json_t *start = json_parse(content, len, "the session", e);
	autojson json_t *ret = json_object();
	struct store store;
	int r;

	if (!start)
		return NULL;
	if (!json_is_object(start)) {
		(void)err_set(e, -EINVAL, "the session is not a JSON object");
		return NULL;
	}
	store_init(&store, DOCUMENT_TEXT_MAX, ask, arg);
	r = fill(ret, start, &store, e);
	store_done(&store);
	return r < 0 ? NULL : json_incref(ret);
}
