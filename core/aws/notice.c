/* SPDX-License-Identifier: Apache-2.0 */
/* Document-level replies, byte for byte in the order of spec/01 section 1.8. */
#include "core/aws/notice.h"

#include <string.h>

#include "core/base/json.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define NOTICE_MAX (1u << 20)
/* A reason that quotes a document has no natural end; the service keeps no more of any output. */
#define TRACE_MAX 24000

static void
member(struct sbuf *b, const char *before, const char *value)
{
	size_t len = strlen(value);

	if (len > TRACE_MAX)
		len = text_utf8_floor(value, len, TRACE_MAX);
	sbuf_adds(b, before);
	json_add_string_go(b, value, len);
}

char *
notice_payload(const struct notice_agent *agent, int64_t now_unix_ms, const char *status,
	       const char *trace, enum notice_channel channel)
{
	struct sbuf b = SBUF_INIT(NOTICE_MAX);
	char now[TEXT_STAMP_SIZE];

	text_iso8601_ms(now_unix_ms, now);
	member(&b, "{\"additionalInfo\":{\"agent\":{\"lang\":", agent->lang);
	member(&b, ",\"name\":", agent->name);
	member(&b, ",\"os\":", agent->os);
	member(&b, ",\"osver\":", agent->os_version);
	member(&b, ",\"ver\":", agent->version);
	member(&b, "},\"dateTime\":", now);
	sbuf_adds(&b, ",\"runId\":\"\",\"runtimeStatusCounts\":null");
	if (channel != NOTICE_CHANNEL_UNKNOWN)
		sbuf_addf(&b, ",\"ableToOpenMGSConnection\":%s",
			  channel == NOTICE_CHANNEL_OPEN ? "true" : "false");
	member(&b, "},\"documentStatus\":", status);
	member(&b, ",\"documentTraceOutput\":", trace);
	sbuf_adds(&b, ",\"runtimeStatus\":null}");
	return sbuf_take(&b, NULL);
}
