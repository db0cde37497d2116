/* SPDX-License-Identifier: Apache-2.0 */
/* The values that a job keeps with state_put: in its journal, and here for state_get. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/job.h"
#include "core/agent/worker.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define VALUES_MAX (1024u * 1024u)
#define VALUE_MAX 65536u

static void
value_committed(struct job *j, struct commit *c, int result)
{
	(void)j;
	if (!c->worker)
		return;
	worker_stored(c->worker, c->seq);
	worker_result(c->worker, c->id, result, result < 0 ? "the value cannot be stored" : NULL);
}

/* Text as text, bytes as base64. */
static json_t *
value_record(const char *key, const char *data, size_t len)
{
	json_t *text = json_stringn(data, len);
	autofree char *base64 = text ? NULL : text_base64(data, len);

	return text ? json_pack("{s:s,s:o}", "key", key, "data", text)
		    : json_pack("{s:s,s:s}", "key", key, "base64", base64);
}

static bool
same_member(const json_t *a, const json_t *b, const char *key)
{
	const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

	return x == y || json_equal(x, y);
}

/* What it has not said before is progress: it may be started as often again. */
void
job_take_value(struct job *j, const json_t *record)
{
	const json_t *old = json_object_get(j->values, json_str(record, "key", ""));

	if (j->starts > 1 &&
	    (!same_member(old, record, "data") || !same_member(old, record, "base64")))
		j->starts = 1;
	if (!j->values)
		j->values = json_object();
	(void)json_object_set(j->values, json_str(record, "key", ""),
			      (json_t *)(uintptr_t)record);
}

int
worker_state_put(struct worker *w, int64_t seq, struct ipc_message *m)
{
	const char *key = json_str(m->json, "key", "");
	json_t *id = json_object_get(m->json, "id");
	struct job *j = w->job;
	struct commit c = { .fn = value_committed, .worker = w, .seq = seq };
	autojson json_t *record = NULL;
	struct err e = { 0 };
	int r = 0;

	if (m->body_len > VALUE_MAX || strlen(key) > 256 ||
	    j->value_bytes + m->body_len > VALUES_MAX)
		r = err_set(&e, -E2BIG, "a value has at most %u bytes, all writes of a job %u",
			    VALUE_MAX, VALUES_MAX);
	record = r < 0 ? NULL : value_record(key, m->body ? m->body : "", m->body_len);
	if (r == 0 && !record)
		r = err_set(&e, -EINVAL, "the key is not UTF-8");
	if (r == 0) {
		(void)json_object_set_new(record, "seq", json_integer(seq));
		if (w->parent)
			(void)json_object_set_new(record, "nested", json_integer(w->number));
		c.id = json_incref(id);
		r = job_record(j, RECORD_STATE, record, &c, SOON_NOW, &e);
	}
	if (r < 0) {
		worker_stored(w, seq);
		worker_result(w, id, r, err_text(&e));
		return 0;
	}
	j->value_bytes += m->body_len;
	job_take_value(j, record);
	return 0;
}

int
worker_state_get(struct worker *w, struct ipc_message *m)
{
	const json_t *value = json_object_get(w->job->values, json_str(m->json, "key", ""));
	const json_t *data = json_object_get(value, "data");
	json_t *id = json_object_get(m->json, "id");
	autofree unsigned char *bytes = NULL;
	size_t len = 0;

	if (!value) {
		worker_result(w, id, -ENOENT, "there is no such value");
		return 0;
	}
	if (!data && text_unbase64(json_str(value, "base64", ""), &bytes, &len) < 0) {
		worker_result(w, id, -EIO, "the value is damaged");
		return 0;
	}
	return hostproc_send(w->host, worker_result_new(id, 0, NULL),
			     data ? (const void *)json_string_value(data) : bytes,
			     data ? json_string_length(data) : len);
}
