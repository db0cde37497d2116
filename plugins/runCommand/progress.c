/* SPDX-License-Identifier: Apache-2.0 */
/* Progress as one small JSON value: of earlier steps only their status is needed again, because
 * their replies are out. */
#include "plugins/runCommand/progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"

#define KEY "progress"
#define VALUE_MAX 65536u /* of state_put */

/* ------------------------------------------------------------------ save */

/* Results borrow the id of a step, so its address tells which. */
static size_t
step_of(const struct doc *d, const struct result *r)
{
	size_t i = 0;

	while (i < d->step_count && d->steps[i].id != r->id)
		i++;
	return i;
}

static json_t *
save_results(const struct doc *d, const struct progress *p)
{
	json_t *all = json_array();

	for (size_t i = 0; i < p->count; i++) {
		json_int_t step = (json_int_t)step_of(d, &p->results[i]);

		(void)json_array_append_new(
			all, json_pack("[I,i]", step, (int)p->results[i].status));
	}
	return all;
}

static json_t *
save_last(const struct progress *p)
{
	const struct result *r = p->last;

	return json_pack("{s:I,s:i,s:I,s:I,s:o*,s:o*,s:o*}", "at", (json_int_t)(r - p->results),
			 "code", r->code, "start", (json_int_t)r->start_ms, "end",
			 (json_int_t)r->end_ms, "output", json_stringn(r->output, r->output_len),
			 "out", json_stringn(r->standard_output, r->standard_output_len), "err",
			 json_stringn(r->standard_error, r->standard_error_len));
}

static char *
save_text(json_t *all)
{
	json_t *last = json_object_get(all, "last");
	char *text = json_text(all);

	if (strlen(text) < VALUE_MAX || !last)
		return text;
	free(text);
	(void)json_object_del(last, "out");
	(void)json_object_del(last, "err");
	return json_text(all);
}

int32_t
progress_save(struct ssm *S, const struct doc *d, const struct progress *p)
{
	autojson json_t *all = json_pack("{s:I,s:b,s:I,s:s,s:o}", "next", (json_int_t)p->next,
					 "exit", p->exit_demanded, "start",
					 (json_int_t)p->start_ms, "ran", p->ran ? p->ran : "",
					 "results", save_results(d, p));
	autofree char *text = NULL;

	if (p->last)
		(void)json_object_set_new(all, "last", save_last(p));
	text = save_text(all);
	return S->api->state_put(S, KEY, text, strlen(text));
}

/* ------------------------------------------------------------------ load */

static bool
load_result(const json_t *one, const struct doc *d, struct result *r)
{
	json_int_t step = json_integer_value(json_array_get(one, 0));
	json_int_t status = json_integer_value(json_array_get(one, 1));

	if (json_array_size(one) != 2 || step < 0 || step >= (json_int_t)d->step_count ||
	    status < 0 || status >= STATUS_COUNT)
		return false;
	r->id = d->steps[step].id;
	r->action = d->steps[step].action;
	r->status = (enum status)status;
	return true;
}

static void
load_text(const json_t *last, const char *key, char **ret, size_t *ret_len)
{
	const json_t *v = json_object_get(last, key);

	*ret_len = json_string_length(v);
	*ret = json_is_string(v) ? xmemdup(json_string_value(v), *ret_len + 1) : NULL;
}

static bool
load_last(const json_t *last, struct progress *p)
{
	int64_t at = json_int(last, "at", -1);
	struct result *r;

	if (at < 0 || at >= (int64_t)p->count)
		return false;
	r = p->last = &p->results[at];
	r->code = (int)json_int(last, "code", 0);
	r->start_ms = json_int(last, "start", 0);
	r->end_ms = json_int(last, "end", 0);
	load_text(last, "output", &r->output, &r->output_len);
	load_text(last, "out", &r->standard_output, &r->standard_output_len);
	load_text(last, "err", &r->standard_error, &r->standard_error_len);
	return true;
}

static bool
load(const json_t *all, const struct doc *d, struct progress *p)
{
	const json_t *results = json_object_get(all, "results");
	const json_t *last = json_object_get(all, "last");
	int64_t next = json_int(all, "next", -1);

	if (next < 0 || next > (int64_t)d->step_count || json_array_size(results) > d->step_count)
		return false;
	p->next = (size_t)next;
	p->exit_demanded = json_bool(all, "exit", false);
	p->start_ms = json_int(all, "start", 0);
	p->ran = xstrdup(json_str(all, "ran", ""));
	for (p->count = 0; p->count < json_array_size(results); p->count++)
		if (!load_result(json_array_get(results, p->count), d, &p->results[p->count]))
			return false;
	return strlen(p->ran) == p->next && (!last || load_last(last, p));
}

int32_t
progress_load(struct ssm *S, const struct doc *d, struct progress *p)
{
	char *text = NULL;
	size_t len = 0;
	int32_t r = S->api->state_get(S, KEY, &text, &len);
	autojson json_t *all = NULL;

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return ssm_fail(S, r, "the command's progress cannot be read");
	all = json_parse(text, len, "progress", NULL);
	S->api->free(S, text);
	if (!all || !load(all, d, p))
		return ssm_fail(S, -EBADMSG,
				"the command's progress before the restart cannot be read");
	return 1;
}
