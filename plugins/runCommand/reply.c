/* SPDX-License-Identifier: Apache-2.0 */
/* Writes replies by hand: the order of members is part of the format. */
#include "plugins/runCommand/reply.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

static const char *const names[STATUS_COUNT] = {
	[STATUS_SKIPPED] = "Skipped",
	[STATUS_SUCCESS] = "Success",
	[STATUS_SUCCESS_AND_REBOOT] = "SuccessAndReboot",
	[STATUS_PASSED_AND_REBOOT] = "PassedAndReboot",
	[STATUS_NOT_STARTED] = "NotStarted",
	[STATUS_IN_PROGRESS] = "InProgress",
	[STATUS_FAILED] = "Failed",
	[STATUS_CANCELLED] = "Cancelled",
	[STATUS_TIMED_OUT] = "TimedOut",
};

/* As the keys of runtimeStatusCounts are sorted. */
static const enum status by_name[STATUS_COUNT] = {
	STATUS_CANCELLED,	  STATUS_FAILED,  STATUS_IN_PROGRESS, STATUS_NOT_STARTED,
	STATUS_PASSED_AND_REBOOT, STATUS_SKIPPED, STATUS_SUCCESS,     STATUS_SUCCESS_AND_REBOOT,
	STATUS_TIMED_OUT,
};

const char *
status_name(enum status s)
{
	return names[s];
}

void
result_forget_texts(struct result *r)
{
	free(TAKE(r->output));
	free(TAKE(r->standard_output));
	free(TAKE(r->standard_error));
	r->output_len = r->standard_output_len = r->standard_error_len = 0;
}

void
result_done(struct result *r)
{
	result_forget_texts(r);
	free(r->s3_bucket);
	free(r->s3_prefix);
	free(r->step_name);
	*r = (struct result){ 0 };
}

static size_t
count_of(const struct result *results, size_t count, enum status s)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += results[i].status == s;
	return n;
}

enum status
reply_document_status(const struct result *results, size_t count)
{
	static const enum status first[] = { STATUS_SUCCESS_AND_REBOOT, STATUS_FAILED,
					     STATUS_TIMED_OUT, STATUS_CANCELLED };
	size_t good;

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		if (count_of(results, count, first[i]) > 0)
			return first[i];
	good = count_of(results, count, STATUS_SUCCESS) + count_of(results, count, STATUS_SKIPPED);
	return good == count ? STATUS_SUCCESS : STATUS_IN_PROGRESS;
}

/* ------------------------------------------------------------- the parts */

static void
add_string(struct sbuf *b, const char *before, const char *s)
{
	sbuf_adds(b, before);
	(void)json_add_string_go(b, s ? s : "", s ? strlen(s) : 0);
}

static void
add_bytes(struct sbuf *b, const char *before, const char *s, size_t len)
{
	sbuf_adds(b, before);
	(void)json_add_string_go(b, s ? s : "", len);
}

static void
add_time(struct sbuf *b, const char *before, int64_t unix_ms)
{
	char stamp[TEXT_STAMP_SIZE];

	text_iso8601_ms(unix_ms, stamp);
	add_string(b, before, stamp);
}

static void
add_counts(struct sbuf *b, const struct result *results, size_t count)
{
	const char *before = "{";

	for (size_t i = 0; i < STATUS_COUNT; i++) {
		size_t n = count_of(results, count, by_name[i]);

		if (n > 0) {
			sbuf_addf(b, "%s\"%s\":%zu", before, names[by_name[i]], n);
			before = ",";
		}
	}
	sbuf_adds(b, *before == '{' ? "{}" : "}");
}

static void
add_channel(struct sbuf *b, enum reply_channel channel)
{
	if (channel != REPLY_CHANNEL_UNKNOWN)
		sbuf_addf(b, ",\"ableToOpenMGSConnection\":%s",
			  channel == REPLY_CHANNEL_OPEN ? "true" : "false");
}

/* additionalInfo; RESULTS NULL: no counts. */
static void
add_head(struct sbuf *b, const struct reply_agent *a, int64_t now_ms, const struct result *results,
	 size_t count)
{
	add_string(b, "{\"additionalInfo\":{\"agent\":{\"lang\":", a->lang);
	add_string(b, ",\"name\":", a->name);
	add_string(b, ",\"os\":", a->os);
	add_string(b, ",\"osver\":", a->os_version);
	add_string(b, ",\"ver\":", a->version);
	add_time(b, "},\"dateTime\":", now_ms);
	sbuf_adds(b, ",\"runId\":\"\",\"runtimeStatusCounts\":");
	if (results)
		add_counts(b, results, count);
	else
		sbuf_adds(b, "null");
	add_channel(b, a->channel);
	sbuf_adds(b, "}");
}

static void
add_result(struct sbuf *b, const struct result *r)
{
	add_string(b, "{", r->id);
	add_string(b, ":{\"status\":", names[r->status]);
	sbuf_addf(b, ",\"code\":%d", r->status == STATUS_FAILED && r->code == 0 ? 1 : r->code);
	add_string(b, ",\"name\":", r->action);
	add_bytes(b, ",\"output\":", r->output, r->output_len);
	add_time(b, ",\"startDateTime\":", r->start_ms);
	add_time(b, ",\"endDateTime\":", r->end_ms);
	add_string(b, ",\"outputS3BucketName\":", r->s3_bucket);
	add_string(b, ",\"outputS3KeyPrefix\":", r->s3_prefix);
	add_string(b, ",\"stepName\":", r->step_name);
	add_bytes(b, ",\"standardOutput\":", r->standard_output, r->standard_output_len);
	add_bytes(b, ",\"standardError\":", r->standard_error, r->standard_error_len);
	sbuf_adds(b, "}}");
}

/* ------------------------------------------------------------ the replies */

char *
reply_refused(const struct reply_agent *a, int64_t now_ms, const char *trace, size_t *ret_len)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	add_head(&b, a, now_ms, NULL, 0);
	add_string(&b, ",\"documentStatus\":\"Failed\",\"documentTraceOutput\":", trace);
	sbuf_adds(&b, ",\"runtimeStatus\":null}");
	return sbuf_take(&b, ret_len);
}

char *
reply_results(const struct reply_agent *a, int64_t now_ms, enum status document,
	      const struct result *results, size_t count, size_t shown, size_t *ret_len)
{
	static const struct result none;
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	if (shown == count && count == 1)
		shown = 0;
	add_head(&b, a, now_ms, results ? results : &none, count);
	add_string(&b, ",\"documentStatus\":", names[document]);
	sbuf_adds(&b, ",\"documentTraceOutput\":\"\",\"runtimeStatus\":");
	if (shown < count)
		add_result(&b, &results[shown]);
	else
		sbuf_adds(&b, "{}");
	sbuf_adds(&b, "}");
	return sbuf_take(&b, ret_len);
}
