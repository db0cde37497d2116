/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent does for a plugin: signed calls, signatures, transfers, state. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/host/host.h"
#include "core/host/link.h"
#include "core/ipc/wire.h"

#define STATE_MAX 65536u

static void
put(json_t *m, const char *key, const char *text)
{
	if (text)
		json_object_set_new(m, key, json_string(text));
}

static void
put_headers(json_t *m, const char *const *headers)
{
	json_t *all;

	if (!headers)
		return;
	all = json_object();
	for (; *headers; headers++) {
		const char *colon = strchr(*headers, ':');
		autofree char *name = NULL;

		if (!colon)
			continue;
		name = xstrndup(*headers, (size_t)(colon - *headers));
		json_object_set_new(all, name, json_string(colon + 1 + strspn(colon + 1, " ")));
	}
	json_object_set_new(m, "headers", all);
}

static json_t *
request_message(const char *type, const struct ssm_request *q)
{
	json_t *m = wire_new(type);

	json_object_set_new(m, "service", json_string(q->service ? q->service : ""));
	put(m, "target", q->target);
	put(m, "method", q->method);
	put(m, "path", q->path);
	put(m, "content_type", q->content_type);
	put(m, "region", q->region);
	put(m, "url", q->url);
	put_headers(m, q->headers);
	if (q->flags & SSM_R_ANONYMOUS)
		json_object_set_new(m, "anonymous", json_true());
	if (q->timeout_ms > 0)
		json_object_set_new(m, "timeout_ms", json_integer(q->timeout_ms));
	return m;
}

static char *
headers_text(const json_t *headers)
{
	struct sbuf b = SBUF_INIT(1u << 20);
	const char *name;
	json_t *v;

	if (!headers)
		return NULL;
	json_object_foreach((json_t *)headers, name, v)
		sbuf_addf(&b, "%s: %s\n", name, json_is_string(v) ? json_string_value(v) : "");
	return sbuf_take(&b, NULL);
}

void
host_reply_clear(struct ssm_reply *r)
{
	free(r->error);
	free(r->body);
	free(r->headers);
	free(r->url);
	memset(r, 0, sizeof(*r));
}

static void
fill_reply(struct answer *a, struct ssm_reply *ret)
{
	struct ssm_reply r = {.size = ret->size};

	r.status = (int32_t)json_int(a->json, "status", 0);
	r.error = xstrdup(json_str(a->json, "name", NULL));
	r.body = TAKE(a->body);
	r.body_len = a->body_len;
	r.headers = headers_text(json_object_get(a->json, "headers"));
	r.url = xstrdup(json_str(a->json, "url", NULL));
	memcpy(ret, &r, ret->size < sizeof(r) ? ret->size : sizeof(r));
	/* What an older plugin has no room for. */
	if (ret->size < offsetof(struct ssm_reply, url)) {
		free(r.headers);
		free(r.url);
	}
}

/* A cancel ends what is under way once; what is begun after it works. */
static const bool *
cancel_flag(const struct host *h)
{
	return h->cancelled ? NULL : &h->cancelled;
}

static int32_t
ask(struct ssm *S, json_t *m, const void *body, size_t len, const int *fd, struct ssm_reply *ret)
{
	struct host *h = host_instance(S)->host;
	struct answer a = {NULL, NULL, 0};
	int32_t r;

	if (!h->link) {
		json_decref(m);
		return ssm_fail(S, -ENOSYS, "there is no agent to ask");
	}
	r = link_ask(h->link, m, body, len, fd, fd ? 1 : 0, cancel_flag(h), &a);
	if (r < 0)
		return ssm_fail(S, r, "the agent could not be asked: %s", strerror(-r));
	r = (int32_t)json_int(a.json, "code", -EPROTO);
	if (json_str(a.json, "error", NULL))
		ssm_fail(S, r, "%s", json_str(a.json, "error", ""));
	if (r >= 0)
		fill_reply(&a, ret);
	answer_done(&a);
	return r;
}

/* An older, smaller request is a whole one with its end empty. */
static struct ssm_request
whole_request(const struct ssm_request *q)
{
	struct ssm_request all;

	memset(&all, 0, sizeof(all));
	memcpy(&all, q, q->size < sizeof(all) ? q->size : sizeof(all));
	return all;
}

int32_t
api_call(struct ssm *S, const struct ssm_request *q, struct ssm_reply *ret)
{
	struct ssm_request all = whole_request(q);

	return ask(S, request_message("call", &all), all.body, all.body_len, NULL, ret);
}

int32_t
api_sign(struct ssm *S, const struct ssm_request *q, int64_t valid_ms, struct ssm_reply *ret)
{
	struct ssm_request all = whole_request(q);
	json_t *m = request_message("sign", &all);

	json_object_set_new(m, "valid_ms", json_integer(valid_ms));
	return ask(S, m, all.body, all.body_len, NULL, ret);
}

int32_t
api_transfer(struct ssm *S, const struct ssm_transfer *t, struct ssm_reply *ret)
{
	struct ssm_transfer all;
	json_t *m = wire_new("transfer");

	memset(&all, 0, sizeof(all));
	memcpy(&all, t, t->size < sizeof(all) ? t->size : sizeof(all));
	json_object_set_new(m, "url", json_string(all.url ? all.url : ""));
	json_object_set_new(m, "upload", json_boolean(all.flags & SSM_T_UPLOAD));
	json_object_set_new(m, "sign", json_boolean(all.flags & SSM_T_SIGN));
	put(m, "method", all.method);
	put(m, "sha256", all.sha256);
	put_headers(m, all.headers);
	json_object_set_new(m, "max_bytes", json_integer((json_int_t)all.max_bytes));
	json_object_set_new(m, "timeout_ms", json_integer(all.timeout_ms));
	return ask(S, m, NULL, 0, &all.fd, ret);
}

int32_t
api_state_get(struct ssm *S, const char *key, char **ret, size_t *ret_len)
{
	json_t *m = wire_new("state-get");
	struct ssm_reply r = {.size = sizeof(r)};
	int32_t res;

	json_object_set_new(m, "key", json_string(key));
	res = ask(S, m, NULL, 0, NULL, &r);
	if (res < 0)
		return res;
	*ret = TAKE(r.body);
	if (ret_len)
		*ret_len = r.body_len;
	host_reply_clear(&r);
	return *ret ? 0 : -ENOENT;
}

int32_t
api_state_put(struct ssm *S, const char *key, const void *data, size_t len)
{
	struct host *h = host_instance(S)->host;
	const bool *stored = NULL;
	json_t *m;
	int r;

	if (len > STATE_MAX)
		return ssm_fail(S, -E2BIG, "state '%s': %zu bytes are over the limit of %u", key,
				len, STATE_MAX);
	if (!h->link)
		return -ENOSYS;
	m = wire_new("state-put");
	json_object_set_new(m, "key", json_string(key));
	r = link_store(h->link, m, data, len, &stored);
	if (r == 0)
		host_wait(h, stored);
	return r;
}
