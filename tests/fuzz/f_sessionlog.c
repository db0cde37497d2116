/* SPDX-License-Identifier: Apache-2.0 */
/* What a program writes to a terminal, as text and as log events; and XML of a service. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "core/base/json.h"
#include "plugins/sessionManager/ansi.h"
#include "plugins/sessionManager/logevent.h"
#include "plugins/sessionManager/xml.h"

static void
filter(const char *p, size_t len, struct sbuf *out)
{
	struct ansi a = { 0 }, cut = { 0 };
	autosbuf struct sbuf again = SBUF_INIT(len);

	ansi_filter(&a, p, len, out);
	FUZZ_CHECK(out->err == 0 && out->len <= len);
	FUZZ_CHECK(!memchr(sbuf_str(out), 033, out->len) && !memchr(sbuf_str(out), '\r', out->len));
	for (size_t i = 0; i < len; i++)
		ansi_filter(&cut, p + i, 1, &again);
	FUZZ_CHECK(again.len == out->len && memcmp(sbuf_str(&again), sbuf_str(out), out->len) == 0);
}

/* All of it becomes events, and each is JSON of the allowed length. */
static void
events(struct span text)
{
	static const struct logevent_head head = { "r", "i-1", "arn", "u", "s" };

	while (text.len > 0) {
		autosbuf struct sbuf json = SBUF_INIT(LOGEVENT_TEXT_MAX), plain = json;
		autojson json_t *v = NULL;
		size_t n = logevent_json(&head, text, true, 0, &json);

		FUZZ_CHECK(n > 0 && n <= text.len && json.len <= LOGEVENT_JSON_MAX && !json.err);
		v = json_parse(json.p, json.len, "event", NULL);
		FUZZ_CHECK(json_is_object(v));
		FUZZ_CHECK(logevent_text(text, true, &plain) > 0 && !plain.err);
		text.p += n;
		text.len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autosbuf struct sbuf out = SBUF_INIT(size + 1);
	autofree char *bytes = xmemdup(data, size);
	autofree char *child = xml_text(bytes, size, "A", XML_CHILD);
	autofree char *any = xml_text(bytes, size, "A", XML_ANYWHERE);

	FUZZ_CHECK(!child || strlen(child) <= size);
	FUZZ_CHECK(!any || strlen(any) <= size);
	filter(bytes, size, &out);
	events((struct span){ sbuf_str(&out), out.len });
	events((struct span){ bytes, size });
	return 0;
}
