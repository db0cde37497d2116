/* SPDX-License-Identifier: Apache-2.0 */
/* The chain walked once and told: first the identity, then the credentials. */
#include "core/agent/whoami.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/agent/identity.h"
#include "core/aws/call.h"
#include "core/aws/creds.h"
#include "core/aws/sts.h"
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"

struct whoami {
	struct whoami_options o;
	whoami_done_fn *done;
	void *arg;
	struct identity_find *find;
	struct identity *found; /* ours when it was looked for */
	struct creds_wait *wait;
	struct event *later;
	struct aws *aws; /* for the call to STS */
	struct aws_call *call;
	char *arn, *arn_error;
	json_t *passed_over;
	bool in_get, answered, has_creds;
};

void
whoami_cancel(struct whoami *w)
{
	if (!w)
		return;
	identity_cancel(w->find);
	creds_wait_cancel(w->wait);
	aws_cancel(w->call);
	aws_free(w->aws);
	free(w->arn);
	free(w->arn_error);
	identity_free(w->found);
	json_decref(w->passed_over);
	event_free(w->later);
	free(w);
}

static void
put(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value));
}

json_t *
whoami_report(const struct identity *who, const json_t *passed_over,
	      const struct creds_cache *creds)
{
	autojson json_t *chain = creds_describe(creds);
	json_t *all = json_object();

	json_object_set_new(all, "identity", who ? json_string(who->kind) : json_null());
	put(all, "instance_id", who ? who->instance_id : "");
	put(all, "region", who ? who->region : "");
	put(all, "signing_region", who ? who->signing_region : "");
	put(all, "availability_zone", who ? who->availability_zone : "");
	json_object_set_new(all, "identity_passed_over",
			    passed_over ? json_deep_copy(passed_over) : json_array());
	json_object_update(all, chain);
	return all;
}

static const struct identity *
node_of(const struct whoami *w)
{
	return w->found ? w->found : w->o.identity;
}

static void
report(struct whoami *w)
{
	const struct identity *who = node_of(w);
	autojson json_t *all = whoami_report(who, w->passed_over, w->o.creds);
	whoami_done_fn *done = w->done;
	void *arg = w->arg;

	if (w->arn)
		put(all, "arn", w->arn);
	if (w->arn_error)
		put(all, "arn_error", w->arn_error);
	whoami_cancel(w);
	done(arg, all);
}

static void
on_caller(void *arg, const struct aws_reply *r)
{
	struct whoami *w = arg;

	w->call = NULL;
	w->arn = sts_caller_arn(r);
	if (!w->arn)
		w->arn_error = xstrdup(r->result < 0 ? r->text : "the answer names nobody");
	report(w);
}

/* False: there is nobody to ask about, or it cannot be asked. */
static bool
ask_caller(struct whoami *w)
{
	const struct identity *who = node_of(w);
	struct aws_options o;
	struct err e = { 0, "" };

	if (!w->o.caller || !who || !w->has_creds)
		return false;
	o = *w->o.caller;
	o.region = who->region;
	o.signing_region = who->signing_region;
	w->aws = aws_new(&o);
	w->call = aws_start(w->aws, &sts_caller_request, on_caller, w, &e);
	if (!w->call)
		w->arn_error = xstrdup(err_text(&e));
	return w->call;
}

static void
go_on(struct whoami *w)
{
	if (!ask_caller(w))
		report(w);
}

static void
on_creds(void *arg, struct creds *set, const char *why)
{
	struct whoami *w = arg;
	const struct timeval now = { 0, 0 };

	(void)why;
	w->wait = NULL;
	w->answered = true;
	w->has_creds = set != NULL;
	/* Good credentials are told from within creds_get(). */
	if (w->in_get)
		event_add(w->later, &now);
	else
		go_on(w);
}

static void
ask_creds(struct whoami *w)
{
	struct creds_wait *wait;

	w->in_get = true;
	wait = creds_get(w->o.creds, on_creds, w);
	w->in_get = false;
	if (!w->answered)
		w->wait = wait;
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct whoami *w = arg;

	(void)fd;
	(void)what;
	if (w->answered)
		go_on(w);
	else
		ask_creds(w);
}

static void
on_identity(void *arg, struct identity *who, const json_t *passed_over)
{
	struct whoami *w = arg;

	w->find = NULL;
	w->found = who;
	json_array_extend(w->passed_over, (json_t *)passed_over);
	ask_creds(w);
}

struct whoami *
whoami_start(const struct whoami_options *o, whoami_done_fn *done, void *arg)
{
	struct whoami *w = xcalloc(1, sizeof(*w));
	const struct timeval now = { 0, 0 };

	w->o = *o;
	w->done = done;
	w->arg = arg;
	w->passed_over = json_array();
	w->later = evtimer_new(o->base, on_later, w);
	if (o->identity)
		event_add(w->later, &now);
	else
		w->find = identity_look_once(o->base, o->conf, o->http, o->imds, on_identity, w);
	return w;
}

static void
add_passed_over(struct sbuf *b, const json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		sbuf_addf(b, "  passed over: %s: %s\n", json_str(one, name, ""),
			  json_str(one, "reason", ""));
}

static void
add_credentials(struct sbuf *b, const json_t *r, const char *source)
{
	const char *expires = json_str(r, "expires", NULL);
	bool expired = json_bool(r, "expired", false);

	sbuf_addf(b, "Credentials: %s, key %s..., %s%s\n", source, json_str(r, "access_key", ""),
		  !expires	    ? "without expiry"
			  : expired ? "EXPIRED since "
				    : "valid until ",
		  expires ? expires : "");
	if (json_bool(r, "refused", false))
		sbuf_adds(b,
			  "  REFUSED by the service; the first source that has credentials is "
			  "used all the same\n");
}

char *
whoami_text(const json_t *r)
{
	struct sbuf b = SBUF_INIT(1u << 20);
	const char *kind = json_str(r, "identity", NULL), *source = json_str(r, "source", NULL);
	const char *remark = json_str(r, "remark", NULL), *error = json_str(r, "last_error", NULL);

	if (kind)
		sbuf_addf(&b, "Node:        %s in %s (%s)\n", json_str(r, "instance_id", ""),
			  json_str(r, "region", ""), kind);
	else
		sbuf_adds(&b, "Node:        not known\n");
	add_passed_over(&b, json_object_get(r, "identity_passed_over"), "identity");
	if (source)
		add_credentials(&b, r, source);
	else
		sbuf_adds(&b, "Credentials: none\n");
	if (json_str(r, "arn", NULL))
		sbuf_addf(&b, "  as:        %s\n", json_str(r, "arn", ""));
	if (json_str(r, "arn_error", NULL))
		sbuf_addf(&b, "  STS does not say whose they are: %s\n",
			  json_str(r, "arn_error", ""));
	add_passed_over(&b, json_object_get(r, "passed_over"), "source");
	if (remark)
		sbuf_addf(&b, "  remark: %s\n", remark);
	if (error && source)
		sbuf_addf(&b, "  last refresh failed: %s\n", error);
	return sbuf_take(&b, NULL);
}
