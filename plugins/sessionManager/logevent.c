/* SPDX-License-Identifier: Apache-2.0 */
/* Lines into log events. */
#include "plugins/sessionManager/logevent.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/text.h"

#define END_JSON "]}"

static void
add_member(struct sbuf *out, const char *key, const char *value)
{
	(void)sbuf_addf(out, "%s:", key);
	(void)json_add_string_go(out, value, strlen(value));
}

static void
add_head(struct sbuf *out, const struct logevent_head *h, int64_t now_ms)
{
	char stamp[TEXT_STAMP_SIZE];

	text_iso8601_ms(now_ms, stamp);
	(void)sbuf_addf(out, "{\"eventVersion\":\"1.0\",\"eventTime\":\"%.19sZ\",", stamp);
	add_member(out, "\"awsRegion\"", h->region);
	add_member(out, ",\"target\":{\"id\"", h->node);
	add_member(out, "},\"userIdentity\":{\"arn\"", h->owner_arn);
	add_member(out, "},\"runAsUser\"", h->user);
	add_member(out, ",\"sessionId\"", h->session);
	(void)sbuf_adds(out, ",\"sessionData\":[");
}

/* The bytes of the first line of TEXT without its newline; RET_WHOLE: it has one. */
static size_t
line_length(struct span text, bool *ret_whole)
{
	const char *end = text.len ? memchr(text.p, '\n', text.len) : NULL;

	*ret_whole = end != NULL;
	return end ? (size_t)(end - text.p) : text.len;
}

/* LEN bytes as a further line. False: there is no room, and OUT is as it was. */
static bool
add_line(struct sbuf *out, const char *p, size_t len, bool first)
{
	autosbuf struct sbuf line = SBUF_INIT(LOGEVENT_JSON_MAX);

	(void)json_add_string_go(&line, p, len);
	if (line.err || out->len + !first + line.len + strlen(END_JSON) > LOGEVENT_JSON_MAX)
		return false;
	if (!first)
		(void)sbuf_addc(out, ',');
	(void)sbuf_add(out, line.p, line.len);
	return true;
}

/* As much of a line as goes in, at least a byte: halved until it does. */
static size_t
add_piece(struct sbuf *out, const char *p, size_t len)
{
	size_t n = len;

	while (!add_line(out, p, n, true) && n > 1) {
		size_t half = text_utf8_floor(p, len, n / 2);

		n = half ? half : n / 2;
	}
	return n;
}

size_t
logevent_json(const struct logevent_head *h, struct span text, bool last, int64_t now_ms,
	      struct sbuf *out)
{
	size_t done = 0;
	bool whole = true;

	add_head(out, h, now_ms);
	while (done < text.len) {
		const struct span rest = { text.p + done, text.len - done };
		size_t len = line_length(rest, &whole);

		if (!whole && !last && len < LOGEVENT_JSON_MAX)
			break;
		if (!add_line(out, rest.p, len, done == 0)) {
			done += done == 0 ? add_piece(out, rest.p, len) : 0;
			break;
		}
		done += len + whole;
	}
	(void)sbuf_adds(out, END_JSON);
	if (done == 0)
		sbuf_reset(out);
	return done;
}

/* Where the event ends that begins TEXT, behind a newline if one is in reach. */
static size_t
text_length(struct span text, bool last)
{
	size_t max = text.len < LOGEVENT_TEXT_MAX ? text.len : LOGEVENT_TEXT_MAX;
	const char *end = max ? memrchr(text.p, '\n', max) : NULL;

	if (last && max == text.len)
		return max;
	if (end)
		return (size_t)(end - text.p) + 1;
	return max == LOGEVENT_TEXT_MAX ? text_utf8_floor(text.p, text.len, max) : 0;
}

size_t
logevent_text(struct span text, bool last, struct sbuf *out)
{
	size_t len = text_length(text, last);

	for (size_t i = 0; i < len; i++)
		if (text.p[i] != '\r' || i + 1 == text.len || text.p[i + 1] != '\n')
			(void)sbuf_addc(out, text.p[i]);
	if (out->len > 0 && out->p[out->len - 1] == '\n')
		out->p[--out->len] = '\0';
	return len;
}
