/* SPDX-License-Identifier: Apache-2.0 */
/* Inside aws: the error that an answer carries, whatever its form, for call.c. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/aws/call_error.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define MESSAGE_MAX 300u

/* "prefix#Code:http://..." -> "Code" */
static void
set_code(struct call_error *e, const char *text, size_t len)
{
	const char *mark = memchr(text, '#', len);
	size_t n = 0;

	if (mark) {
		len -= (size_t)(mark + 1 - text);
		text = mark + 1;
	}
	while (n < len && n < sizeof(e->code) - 1 &&
	       (isalnum((unsigned char)text[n]) || strchr("._-", text[n])) && text[n]) {
		e->code[n] = text[n];
		n++;
	}
	e->code[n] = '\0';
}

static void
set_message(struct call_error *e, const char *text, size_t len)
{
	size_t n = len < MESSAGE_MAX ? len : MESSAGE_MAX;

	n = text_utf8_floor(text, len, n);
	free(e->message);
	e->message = text_escape_controls(text, n);
}

/* Services write "message" and "Message", and codes likewise. */
static const char *
any_case(const json_t *object, const char *name)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)object, key,
			    v) if (strcasecmp(key, name) == 0 &&
				   json_is_string(v)) return json_string_value(v);
	return NULL;
}

static void
read_json(const json_t *json, struct call_error *e)
{
	const char *code = any_case(json, "__type"), *message = any_case(json, "message");

	if (!code)
		code = any_case(json, "code");
	if (code)
		set_code(e, code, strlen(code));
	if (message)
		set_message(e, message, strlen(message));
}

/* Text of the first <NAME>, or NULL. */
static const char *
xml_text(const char *body, const char *name, size_t *ret_len)
{
	autofree char *open = xasprintf("<%s>", name);
	const char *start = strstr(body, open), *end;

	start = start ? start + strlen(open) : NULL;
	end = start ? strchr(start, '<') : NULL;
	if (!end)
		return NULL;
	*ret_len = (size_t)(end - start);
	return start;
}

static void
read_xml(const char *body, struct call_error *e)
{
	size_t len;
	const char *text = xml_text(body, "Code", &len);

	if (text)
		set_code(e, text, len);
	text = xml_text(body, "Message", &len);
	if (text)
		set_message(e, text, len);
}

void
call_error_read(const struct http_response *r, const json_t *json, struct call_error *ret)
{
	const char *header = http_header(r, "x-amzn-errortype");

	memset(ret, 0, sizeof(*ret));
	if (json)
		read_json(json, ret);
	else if (r->body[0] == '<')
		read_xml(r->body, ret);
	if (!ret->code[0] && header)
		set_code(ret, header, strlen(header));
}

void
call_error_done(struct call_error *e)
{
	free(e->message);
	memset(e, 0, sizeof(*e));
}
