/* SPDX-License-Identifier: Apache-2.0 */
/* Provides sessions of any "zoo:" type over nothing: what the message says is typed, what the
 * session sends is its final reply. It takes every second piece only. */
#include <errno.h>
#include <stdio.h>

#include "zoo.h"

struct ssm_session {
	struct ssm *type;
	const struct ssm_session_ops *ops;
	struct ssm_message *message;
	char text[4096];
	size_t len, types; /* TYPES: a bit for each payload type that was sent */
	int full;
};

static struct ssm_session the;

static const char *
str(struct ssm *S, struct ssm_session *s, const char *pointer, const char *preset)
{
	const char *text = S->api->msg_json(S, s->message, pointer, NULL);

	return text ? text : preset;
}

static int32_t
on_room(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	return s->ops->writable(s->type, s);
}

static int32_t
sent(struct ssm *S, struct ssm_session *s, uint32_t type, const void *data, size_t len)
{
	const struct ssm_watch_on room = {
		.size = sizeof(room), .timer_fn = on_room, .arg = s, .after_ms = 1};

	if (type == 2)
		return ssm_fail(S, -EIO, "nobody sends type %u", type);
	if (s->len + len > sizeof(s->text))
		return ssm_fail(S, -E2BIG, "too much");
	s->full = !s->full;
	if (s->full) {
		S->api->watch(S, &room, NULL);
		return -EAGAIN;
	}
	memcpy(s->text + s->len, data, len);
	s->len += len;
	s->types |= (size_t)1 << type;
	return 0;
}

static int32_t
ended(struct ssm *S, struct ssm_session *s, int32_t result, const char *text)
{
	char reply[5000];
	int n = snprintf(reply, sizeof(reply), "result=%d text=%s types=%zx: %.*s", result, text,
			 s->types, (int)s->len, s->text);

	return S->api->msg_reply(S, s->message, reply, (size_t)n, 1);
}

static int32_t
on_cancel(struct ssm *S, struct ssm_watch *w, int32_t fd, uint32_t events, void *arg)
{
	struct ssm_session *s = arg;

	(void)S;
	(void)w;
	(void)fd;
	(void)events;
	s->ops->close(s->type, s, 7);
	return -1;
}

static int32_t
begin(struct ssm *S, struct ssm_session *s)
{
	const struct ssm_watch_on cancel = {.size = sizeof(cancel),
					    .fd_fn = on_cancel,
					    .arg = s,
					    .fd = S->api->cancel_fd(S),
					    .events = SSM_READ};
	const char *keys = str(S, s, "/Payload/keys", "");
	int32_t r = S->api->watch(S, &cancel, NULL);

	if (r == 0)
		r = s->ops->open(s->type, s);
	if (r == 0)
		r = s->ops->resize(s->type, s, 100, 30);
	if (r == 0)
		r = s->ops->input(s->type, s, 1, keys, strlen(keys));
	return r;
}

static int32_t
handle(struct ssm *S, struct ssm_message *m)
{
	static const struct ssm_session_table table = {sizeof(table), 0, str, sent, ended};
	static const struct ssm_session_table half = {sizeof(half), 0, str, NULL, ended};
	const struct ssm_feature *f = NULL;
	const char *type = S->api->msg_json(S, m, "/Payload/type", NULL);
	int32_t r;

	if (S->api->session_provide(S, &half) != -EINVAL || S->api->watch(S, NULL, NULL) != -ENOSYS)
		return -EPROTO;
	r = S->api->session_provide(S, &table);
	if (r < 0 || S->api->session_provide(S, &table) != -EALREADY)
		return r < 0 ? r : -EPROTO;
	r = S->api->find(S, SSM_KIND_SESSION, type, &the.type, &f);
	if (r < 0)
		return r;
	the.ops = f->ops;
	the.message = m;
	S->api->msg_reply(S, m, "opening", 7, 0);
	return begin(S, &the);
}

static const struct ssm_topic_ops ops = {sizeof(ops), 0, handle};
static const struct ssm_feature features[] = {
	{.kind = SSM_KIND_TOPIC,
	 .name = "provider.",
	 .ops = &ops,
	 .needs = "?session=zoo:*",
	 .job_key = "/MessageId"},
};

SSM_PLUGIN(provider) = {
	SSM_PLUGIN_HEAD, "provider", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
