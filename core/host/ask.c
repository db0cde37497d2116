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
#include "core/host/watch.h"
#include "core/ipc/wire.h"

#define STATE_MAX 65536u
#define CALL_PATIENCE_MS 30000 /* the default deadline of a call */

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

/* What an older plugin has no room for is freed. */
static void
give_reply(struct ssm_reply *r, struct ssm_reply *ret)
{
	uint32_t size = ret->size < sizeof(*r) ? ret->size : (uint32_t)sizeof(*r);

	if (size < offsetof(struct ssm_reply, headers) + sizeof(r->headers))
		free(TAKE(r->headers));
	if (size < offsetof(struct ssm_reply, url) + sizeof(r->url))
		free(TAKE(r->url));
	r->size = ret->size;
	memcpy(ret, r, size);
}

static void
fill_reply(struct answer *a, struct ssm_reply *r)
{
	memset(r, 0, sizeof(*r));
	r->size = sizeof(*r);
	r->status = (int32_t)json_int(a->json, "status", 0);
	r->error = xstrdup(json_str(a->json, "name", NULL));
	r->body = a->body ? TAKE(a->body) : xstrdup(json_str(a->json, "job", NULL));
	r->body_len = a->json && !a->body_len && r->body ? strlen(r->body) : a->body_len;
	r->headers = headers_text(json_object_get(a->json, "headers"));
	r->url = xstrdup(json_str(a->json, "url", NULL));
}

/* The result of a request; its error text becomes the plugin's. A stored message may come back
 * without an answer: then it went well. */
static int32_t
take_answer(struct ssm *S, int result, struct answer *a)
{
	if (result < 0)
		return ssm_fail(S, result, "the agent could not be asked: %s",
				result == -EPIPE	       ? "it is away"
					: result == -ETIMEDOUT ? "it is away and did not come back"
					: result == -E2BIG     ? "the request is too large"
					: result == -ECANCELED ? "the job is cancelled"
							       : strerror(-result));
	if (!a->json)
		return 0;
	result = (int)json_int(a->json, "code", -EPROTO);
	if (json_str(a->json, "error", NULL))
		return result < 0 ? ssm_fail(S, result, "%s", json_str(a->json, "error", ""))
				  : result;
	return result;
}

static struct link_request
link_request_of(const struct ask *q)
{
	return (struct link_request){
		.json = q->json,
		.body = q->body,
		.len = q->len,
		.fds = q->fds,
		.fd_count = q->fd_count,
		.patience_ms = q->patience_ms,
		.once = q->once,
		.by_id = q->by_id,
		.store = q->store,
	};
}

static int32_t
no_agent(struct ssm *S, const struct ask *q)
{
	json_decref(q->json);
	return ssm_fail(S, -ENOSYS, "there is no agent to ask");
}

/* A cancel ends what is under way once; what is begun after it works. */
static const bool *
cancel_flag(const struct host *h)
{
	return h->cancelled ? NULL : &h->cancelled;
}

int32_t
ask(struct ssm *S, const struct ask *q, struct ssm_reply *ret)
{
	struct host *h = host_instance(S)->host;
	struct link_request lq = link_request_of(q);
	struct answer a = { NULL, NULL, 0 };
	struct ssm_reply all;
	int32_t r = host_may_block(S);

	if (r < 0) {
		json_decref(q->json);
		return r;
	}
	if (!h->link)
		return no_agent(S, q);
	r = take_answer(S, link_ask(h->link, &lq, q->store ? NULL : cancel_flag(h), &a), &a);
	if (r >= 0 && ret) {
		fill_reply(&a, &all);
		give_reply(&all, ret);
	}
	answer_done(&a);
	return r;
}

int32_t
ask_answer(struct ssm *S, int result, struct answer *a, struct ssm_reply *ret)
{
	int32_t r = take_answer(S, result, a);

	fill_reply(a, ret);
	if (r < 0 && !ret->body) {
		ret->body = xstrdup(json_str(a->json, "error", NULL));
		ret->body_len = ret->body ? strlen(ret->body) : 0;
	}
	return r;
}

int32_t
ask_start(struct ssm *S, const struct ask *q, ssm_done_fn *done, void *arg, struct ssm_watch **ret)
{
	struct link_request lq = link_request_of(q);
	int32_t r = host_has_loop(S);

	if (r < 0) {
		json_decref(q->json);
		return r;
	}
	if (!host_instance(S)->host->link)
		return no_agent(S, q);
	return watch_request(S, &lq, done, arg, ret);
}

/* -------------------------------------------------------------- requests */

/* An older, smaller struct is a whole one with its end empty. */
static struct ssm_request
whole_request(const struct ssm_request *q)
{
	struct ssm_request all;

	memset(&all, 0, sizeof(all));
	memcpy(&all, q, q->size < sizeof(all) ? q->size : sizeof(all));
	return all;
}

static struct ask
call_ask(const struct ssm_request *all)
{
	return (struct ask){
		.json = request_message("call", all),
		.body = all->body,
		.len = all->body_len,
		.patience_ms = all->timeout_ms > 0 ? all->timeout_ms : CALL_PATIENCE_MS,
	};
}

int32_t
api_call(struct ssm *S, const struct ssm_request *q, struct ssm_reply *ret)
{
	struct ssm_request all = whole_request(q);
	struct ask a = call_ask(&all);

	return ask(S, &a, ret);
}

int32_t
api_call_start(struct ssm *S, const struct ssm_request *q, ssm_done_fn *done, void *arg,
	       struct ssm_watch **ret)
{
	struct ssm_request all = whole_request(q);
	struct ask a = call_ask(&all);

	return ask_start(S, &a, done, arg, ret);
}

static struct ask
sign_ask(const struct ssm_request *all, int64_t valid_ms)
{
	struct ask a = call_ask(all);

	json_object_set_new(a.json, "t", json_string("sign"));
	json_object_set_new(a.json, "valid_ms", json_integer(valid_ms));
	return a;
}

int32_t
api_sign(struct ssm *S, const struct ssm_request *q, int64_t valid_ms, struct ssm_reply *ret)
{
	struct ssm_request all = whole_request(q);
	struct ask a = sign_ask(&all, valid_ms);

	return ask(S, &a, ret);
}

int32_t
api_sign_start(struct ssm *S, const struct ssm_request *q, int64_t valid_ms, ssm_done_fn *done,
	       void *arg, struct ssm_watch **ret)
{
	struct ssm_request all = whole_request(q);
	struct ask a = sign_ask(&all, valid_ms);

	return ask_start(S, &a, done, arg, ret);
}

/* ------------------------------------------------------------- transfers */

static struct ssm_transfer
whole_transfer(const struct ssm_transfer *t)
{
	struct ssm_transfer all;

	memset(&all, 0, sizeof(all));
	memcpy(&all, t, t->size < sizeof(all) ? t->size : sizeof(all));
	return all;
}

static int32_t
check_transfer(struct ssm *S, const struct ssm_transfer *all)
{
	if (!all->range_start && !all->range_len)
		return 0;
	return ssm_fail(S, -ENOSYS,
			"transfers of a range are not offered (has(\"range\") says so)");
}

static struct ask
transfer_ask(const struct ssm_transfer *all)
{
	json_t *m = wire_new("transfer");

	json_object_set_new(m, "url", json_string(all->url ? all->url : ""));
	json_object_set_new(m, "upload", json_boolean(all->flags & SSM_T_UPLOAD));
	json_object_set_new(m, "sign", json_boolean(all->flags & SSM_T_SIGN));
	put(m, "method", all->method);
	put(m, "sha256", all->sha256);
	put_headers(m, all->headers);
	json_object_set_new(m, "max_bytes", json_integer((json_int_t)all->max_bytes));
	json_object_set_new(m, "timeout_ms", json_integer(all->timeout_ms));
	/* Half of the bytes may be there already: never a second time by itself. */
	return (struct ask){ .json = m,
			     .fds = &all->fd,
			     .fd_count = 1,
			     .patience_ms = all->timeout_ms,
			     .once = true };
}

int32_t
api_transfer(struct ssm *S, const struct ssm_transfer *t, struct ssm_reply *ret)
{
	struct ssm_transfer all = whole_transfer(t);
	int32_t r = check_transfer(S, &all);
	struct ask a;

	if (r < 0)
		return r;
	a = transfer_ask(&all);
	return ask(S, &a, ret);
}

int32_t
api_transfer_start(struct ssm *S, const struct ssm_transfer *t, ssm_done_fn *done, void *arg,
		   struct ssm_watch **ret)
{
	struct ssm_transfer all = whole_transfer(t);
	int32_t r = check_transfer(S, &all);
	struct ask a;

	if (r < 0)
		return r;
	a = transfer_ask(&all);
	return ask_start(S, &a, done, arg, ret);
}

/* ----------------------------------------------------------------- state */

int32_t
api_state_get(struct ssm *S, const char *key, char **ret, size_t *ret_len)
{
	struct ask a = { .json = wire_new("state-get"), .patience_ms = CALL_PATIENCE_MS };
	struct ssm_reply r = { .size = sizeof(r) };
	int32_t res;

	json_object_set_new(a.json, "key", json_string(key));
	res = ask(S, &a, &r);
	if (res < 0)
		return res;
	*ret = r.body ? TAKE(r.body) : xstrdup("");
	if (ret_len)
		*ret_len = r.body_len;
	host_reply_clear(&r);
	return 0;
}

static int32_t
state_ask(struct ssm *S, const char *key, const void *data, size_t len, struct ask *ret)
{
	if (len > STATE_MAX)
		return ssm_fail(S, -E2BIG, "state '%s': %zu bytes are over the limit of %u", key,
				len, STATE_MAX);
	*ret = (struct ask){
		.json = wire_new("state-put"), .body = data, .len = len, .store = true
	};
	if (json_object_set_new(ret->json, "key", json_string(key)) == 0)
		return 0;
	json_decref(ret->json);
	return ssm_fail(S, -EINVAL, "the key of a state is not UTF-8");
}

int32_t
api_state_put(struct ssm *S, const char *key, const void *data, size_t len)
{
	struct ask a;
	int32_t r = state_ask(S, key, data, len, &a);

	return r < 0 ? r : ask(S, &a, NULL);
}

int32_t
api_state_put_start(struct ssm *S, const char *key, const void *data, size_t len, ssm_done_fn *done,
		    void *arg)
{
	struct ask a;
	int32_t r = state_ask(S, key, data, len, &a);

	return r < 0 ? r : ask_start(S, &a, done, arg, NULL);
}

/* ------------------------------------------------------------- deliveries */

static int32_t
deliver_ask(struct ssm *S, const struct ssm_delivery *d, struct ask *ret)
{
	if (d->size < sizeof(*d) || !d->id || !d->topic || !d->json)
		return ssm_fail(S, -EINVAL, "deliver needs a size, an id, a topic and a message");
	*ret = (struct ask){
		.json = wire_new("deliver"), .body = d->json, .len = d->len, .store = true
	};
	put(ret->json, "msg_id", d->id);
	put(ret->json, "topic", d->topic);
	put(ret->json, "route", d->route);
	return 0;
}

int32_t
api_deliver(struct ssm *S, const struct ssm_delivery *d)
{
	struct ask a;
	int32_t r = deliver_ask(S, d, &a);

	return r < 0 ? r : ask(S, &a, NULL);
}

int32_t
api_deliver_start(struct ssm *S, const struct ssm_delivery *d, ssm_done_fn *done, void *arg,
		  struct ssm_watch **ret)
{
	struct ask a;
	int32_t r = deliver_ask(S, d, &a);

	return r < 0 ? r : ask_start(S, &a, done, arg, ret);
}
