/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals of services as text. */
#include "plugins/sessionManager/answer.h"

#include <jansson.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/xml.h"

#define SHOWN_MAX 400 /* bytes of a service's message */

bool
answer_is_good(int32_t result, const struct ssm_reply *r)
{
	return result >= 0 && r && r->status >= 200 && r->status <= 299;
}

/* Services write "message" and "Message". Caller frees; may be NULL. */
static char *
message_of(const struct ssm_reply *r)
{
	autojson json_t *o = NULL;

	if (!r->body || !r->body_len)
		return NULL;
	if (*r->body == '<')
		return xml_text(r->body, r->body_len, "Message", XML_CHILD);
	o = json_parse(r->body, r->body_len, "the answer", NULL);
	return xstrdup(json_string_value(json_any_case(o, "message")));
}

static char *
shown(const char *text)
{
	return text_escape_controls(text,
				    text_utf8_floor(text, strlen(text),
						    strlen(text) < SHOWN_MAX ? strlen(text)
									     : SHOWN_MAX));
}

char *
answer_reason(int32_t result, const struct ssm_reply *r)
{
	const char *body = r && r->body && *r->body ? r->body : NULL;
	autofree char *message = result >= 0 && r ? message_of(r) : NULL;
	autofree char *text = NULL;

	if (result < 0)
		return shown(body ? body : strerror(-result));
	text = message ? shown(message) : xstrdup("");
	if (!r || !r->error)
		return xasprintf("status %d%s%s", r ? (int)r->status : 0, *text ? ": " : "", text);
	return xasprintf("%s%s%s", r->error, *text ? ": " : "", text);
}

char *
answer_header(const struct ssm_reply *r, const char *name)
{
	size_t len = strlen(name);

	for (const char *line = r->headers; line && *line;) {
		size_t n = strcspn(line, "\n");

		if (n > len + 2 && memcmp(line, name, len) == 0 && line[len] == ':')
			return xstrndup(line + len + 2, n - len - 2);
		line += n + (line[n] == '\n');
	}
	return NULL;
}
