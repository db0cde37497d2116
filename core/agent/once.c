/* SPDX-License-Identifier: Apache-2.0 */
/* A single message, from standard input to the end of its job. */
#include "core/agent/once.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/agent/plugins.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/conf/conf.h"

/* A message of 1 MiB, each byte of it escaped. */
#define REQUEST_MAX (7u << 20)
#define NOBODY "mi-00000000000000000"
#define NOWHERE "us-east-1"

struct once {
	struct event_base *base;
	const struct conf *conf;
	json_t *request;
	struct dispatch *dispatch;
	struct plugins *plugins;
	struct plugins_wait *wait;
	char *instance_id, *job_id;
	bool cancelled, done;
};

static json_t *
read_request(struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(REQUEST_MAX);
	json_t *request;
	ssize_t n;

	while ((n = sbuf_read(&b, STDIN_FILENO, 65536)) > 0)
		;
	if (n < 0) {
		err_set(e, (int)n, "cannot read the message: %s", strerror((int)-n));
		return NULL;
	}
	request = json_parse(sbuf_str(&b), b.len, "the message", e);
	if (!request || (*json_str(request, "topic", "") && *json_str(request, "id", "")))
		return request;
	json_decref(request);
	err_set(e, -EINVAL, "the message has no topic or no id");
	return NULL;
}

struct once *
once_new(struct event_base *base, const struct conf *conf, struct err *e)
{
	json_t *request = read_request(e);
	struct once *o;

	if (!request)
		return NULL;
	o = xcalloc(1, sizeof(*o));
	o->base = base;
	o->conf = conf;
	o->request = request;
	return o;
}

struct once *
once_free(struct once *o)
{
	if (!o)
		return NULL;
	plugins_wait_cancel(o->wait);
	json_decref(o->request);
	free(o->instance_id);
	free(o->job_id);
	free(o);
	return NULL;
}

struct identity *
once_identity(const struct once *o, bool as_given)
{
	const char *id = json_str(o->request, "instance_id", "");
	const char *region = json_str(o->request, "region", "");
	const char *signing = conf_str(o->conf, "Agent.Region");
	struct identity *i;

	if (as_given && !(*id && *region))
		return NULL;
	i = xcalloc(1, sizeof(*i));
	i->kind = as_given ? "given" : "none";
	i->instance_id = xstrdup(*id ? id : NOBODY);
	i->short_id = xstrdup(i->instance_id);
	i->region = xstrdup(*region ? region : *signing ? signing : NOWHERE);
	i->signing_region = xstrdup(*signing ? signing : i->region);
	i->availability_zone = xstrdup("");
	i->availability_zone_id = xstrdup("");
	return i;
}

/* ---------------------------------------------------------------- events */

static void
end(struct once *o)
{
	o->done = true;
	event_base_loopbreak(o->base);
}

/* Whoever asked for it may be gone: then nobody wants the rest of it. */
static void
tell(struct once *o, json_t *event)
{
	autofree char *text = json_text(event);

	json_decref(event);
	if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
		once_cancel(o);
}

static int
on_reply(void *arg, const char *id, bool final, const char *payload, size_t len)
{
	json_t *text = json_stringn(payload, len);

	(void)id;
	if (!text)
		return -EINVAL;
	tell(arg, json_pack("{s:s,s:b,s:o}", "event", "reply", "final", final, "text", text));
	return 0;
}

static void
on_over(void *arg, const char *id, bool restart)
{
	(void)id;
	tell(arg, json_pack("{s:s,s:b}", "event", "over", "restart", restart));
	end(arg);
}

struct dispatch_local
once_local(struct once *o)
{
	return (struct dispatch_local){ on_reply, on_over, o };
}

void
once_fail(struct once *o, const char *why)
{
	autofree char *valid = text_utf8_repair(why, strlen(why), NULL);

	tell(o, json_pack("{s:s,s:s}", "event", "failed", "error", valid));
	event_base_loopbreak(o->base);
}

/* ----------------------------------------------------------------- start */

static json_t *
message_of(const struct once *o)
{
	autofree char *id =
		xasprintf("aws.ssm.%s.%s", json_str(o->request, "id", ""), o->instance_id);
	char now[TEXT_STAMP_SIZE];

	text_iso8601_ms(clock_wall_ms(), now);
	return json_pack("{s:s,s:s,s:s,s:s,s:O?}", "MessageId", id, "Topic",
			 json_str(o->request, "topic", ""), "Destination", o->instance_id,
			 "CreatedDate", now, "Payload", json_object_get(o->request, "payload"));
}

static void
on_plugins(void *arg)
{
	struct once *o = arg;
	autojson json_t *message = message_of(o);
	autofree char *folder = NULL;
	struct err e = { 0, "" };

	o->wait = NULL;
	if (dispatch_take_local(o->dispatch, message, &o->job_id, &e) < 0) {
		once_fail(o, err_text(&e));
		return;
	}
	folder = xasprintf("%s/%s/jobs/%s", conf_path(o->conf, CONF_PATH_STATE), o->instance_id,
			   o->job_id);
	tell(o, json_pack("{s:s,s:s,s:s}", "event", "started", "job", o->job_id, "folder", folder));
	if (o->cancelled)
		dispatch_cancel_local(o->dispatch, o->job_id);
}

void
once_begin(struct once *o, struct dispatch *d, struct plugins *p, const char *instance_id)
{
	struct plugins_wait *w;

	o->dispatch = d;
	o->plugins = p;
	o->instance_id = xstrdup(instance_id);
	w = plugins_refresh(p, on_plugins, o);
	if (w)
		o->wait = w;
}

void
once_cancel(struct once *o)
{
	if (o->cancelled)
		return;
	o->cancelled = true;
	if (o->job_id)
		dispatch_cancel_local(o->dispatch, o->job_id);
	else if (!o->wait)
		event_base_loopbreak(o->base);
}

bool
once_is_done(const struct once *o)
{
	return o->done;
}
