/* SPDX-License-Identifier: Apache-2.0 */
/* A message from the service to a job. Only the envelope is looked at here; what a payload means is
 * the handler's business. */
#include "core/agent/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/envelope.h"
#include "core/agent/job.h"
#include "core/agent/jobs.h"
#include "core/agent/jobstore.h"
#include "core/agent/outbox.h"
#include "core/agent/plugins.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define BATCHES_MAX 64u	/* of polls */
#define DELIVERIES_MAX 1024u	/* of services */

struct dispatch {
	struct jobs *jobs;
	struct plugins *plugins;
	char *instance_id;
	json_t *batches; /* polls that wait for the table of plugins */
	struct plugins_wait *wait;
	bool waiting;
};

/* --------------------------------------------------------------- messages */

static struct pending *
pending_of(const struct dispatch *d, const struct envelope *env)
{
	return env->pending ? jobs_delivery_of(d->jobs, env->pending->message) : NULL;
}

/* Nothing else is done with it. */
static void
tell_known(struct dispatch *d, const struct envelope *env)
{
	if (env->pending)
		jobs_delivery_end(pending_of(d, env), -EEXIST);
	else
		jobs_acknowledge(d->jobs, env->message_id);
}

static void
refuse(struct dispatch *d, const struct envelope *env, int result)
{
	if (env->pending)
		jobs_delivery_end(pending_of(d, env), result);
	else
		jobs_refuse_message(d->jobs, env->message_id);
}

static void
take_cancel(struct dispatch *d, const struct envelope *env, const json_t *message,
	    const char *pointer)
{
	const char *target = envelope_job_id(message, pointer);

	if (jobs_seen(d->jobs, env->message_id)) {
		tell_known(d, env);
		return;
	}
	if (target) {
		job_take_cancel(d->jobs, target, env->message_id);
		return;
	}
	log_warn("dispatch", "cancel message '%s' does not say which command it means: refused",
		 env->message_id);
	refuse(d, env, -EBADMSG);
}

static bool
is_known(const struct dispatch *d, const char *id)
{
	const struct job *j = jobs_find(d->jobs, id);

	return jobs_seen(d->jobs, id) || (j && j->state != JOB_FORETOLD);
}

/* An operator who waits is better told. */
static bool
may_not_wait(const struct dispatch *d, const struct envelope *env)
{
	return strcmp(env->topic, SESSION_TOPIC) == 0 || jobs_queue_full(d->jobs);
}

static void
take_job(struct dispatch *d, const struct envelope *env, const char *id)
{
	const struct job *j = jobs_find(d->jobs, id);

	if (is_known(d, id)) {
		/* Its record may still be on its way to the disk: that answers, too. */
		if (env->pending || !j || list_empty(&j->commits))
			tell_known(d, env);
		return;
	}
	if (!j && !env->unusable && !jobs_slot_free(d->jobs, env->topic) && may_not_wait(d, env)) {
		log_warn("dispatch", "%zu jobs wait: message '%s' is left at the service",
			 d->jobs->queued, env->message_id);
		jobs_delivery_end(pending_of(d, env), -EAGAIN);
		return;
	}
	if (env->pending)
		pending_of(d, env)->unusable = env->unusable != NULL;
	job_take(d->jobs, id, env);
}

static void
take_known_topic(struct dispatch *d, struct envelope *env, const struct feature *f)
{
	autofree char *why = NULL;
	autojson json_t *payload = envelope_payload(env, &why);
	autojson json_t *message = envelope_object(env, payload);
	const char *id;

	if (f->cancel_key && *f->cancel_key) {
		take_cancel(d, env, message, f->cancel_key);
		return;
	}
	env->unusable = why;
	id = envelope_job_id(message, f->job_key && *f->job_key ? f->job_key : "/MessageId");
	if (!id && !env->unusable)
		env->unusable = "the message does not name its job";
	take_job(d, env, id ? id : env->message_id);
}

static void
take_message(struct dispatch *d, const json_t *m)
{
	struct envelope env;
	const struct feature *f;

	if (!envelope_read(m, &env)) {
		log_warn("dispatch",
			 "a message without a usable MessageId, Topic, Destination or "
			 "CreatedDate is ignored");
		jobs_delivery_end(jobs_delivery_of(d->jobs, m), -EINVAL);
		return;
	}
	env.pending = jobs_delivery_of(d->jobs, m);
	if (strcmp(env.destination, d->instance_id) != 0) {
		autofree char *whose = text_quote(env.destination, 64);

		log_warn("dispatch", "message '%s' is for %s, not for this machine: ignored",
			 env.message_id, whose);
		return;
	}
	f = plugins_find(d->plugins, KIND_TOPIC, env.topic);
	if (f) {
		take_known_topic(d, &env, f);
	} else if (is_known(d, env.message_id)) {
		tell_known(d, &env);
	} else {
		autofree char *topic = text_quote(env.topic, 100);

		log_warn("dispatch", "no plugin handles topic %s: message '%s' is refused", topic,
			 env.message_id);
		refuse(d, &env, -ENOENT);
	}
}

static void
take_batches(void *arg)
{
	struct dispatch *d = arg;
	autojson json_t *batches = TAKE(d->batches);
	size_t i, k;
	json_t *batch, *m;

	d->wait = NULL;
	d->waiting = false;
	d->batches = json_array();
	json_array_foreach(batches, i, batch) json_array_foreach(batch, k, m) take_message(d, m);
}

static void
take_batch(struct dispatch *d, json_t *messages)
{
	struct plugins_wait *w;

	(void)json_array_append(d->batches, messages);
	if (d->waiting)
		return;
	d->waiting = true;
	w = plugins_refresh(d->plugins, take_batches, d);
	if (d->waiting)
		d->wait = w;
}

void
dispatch_messages(struct dispatch *d, json_t *messages)
{
	/* Not acknowledged, so they come again. */
	if (json_is_array(messages) && json_array_size(d->batches) < BATCHES_MAX)
		take_batch(d, messages);
}

/* ----------------------------------------------------------- of this machine */

int
dispatch_take_local(struct dispatch *d, const json_t *message, char **ret_id, struct err *e)
{
	struct envelope env;
	const struct feature *f;
	autofree char *why = NULL;
	autojson json_t *payload = NULL, *whole = NULL;
	const char *id;

	if (!envelope_read(message, &env))
		return err_set(e, -EINVAL, "the message has no usable MessageId, Topic, "
					   "Destination or CreatedDate");
	f = plugins_find(d->plugins, KIND_TOPIC, env.topic);
	if (!f)
		return err_set(e, -ENOENT, "no plugin handles the topic '%s'", env.topic);
	payload = envelope_payload(&env, &why);
	whole = envelope_object(&env, payload);
	env.unusable = why;
	env.local = true;
	id = envelope_job_id(whole, f->job_key && *f->job_key ? f->job_key : "/MessageId");
	if (!id || is_known(d, id))
		return err_set(e, -EINVAL, "the message names no job, or one that is known");
	if (ret_id)
		*ret_id = xstrdup(id);
	job_take(d->jobs, id, &env);
	return 0;
}

void
dispatch_cancel_local(struct dispatch *d, const char *id)
{
	job_take_cancel(d->jobs, id, "");
}

bool
dispatch_knows(const struct dispatch *d, const char *id)
{
	return is_known(d, id);
}

/* ------------------------------------------------------------ of a service */

/* In the shape of a polled message, so that it takes the same way. */
static json_t *
message_of(const struct dispatch *d, const struct delivery *what)
{
	char now[TEXT_STAMP_SIZE];
	json_t *payload = json_stringn(what->payload, what->len);

	text_iso8601_ms(clock_wall_ms(), now);
	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "MessageId", what->id, "Topic", what->topic,
			 "Destination", d->instance_id, "CreatedDate", now, "Payload",
			 payload ? payload : json_null());
}

void
dispatch_deliver(struct dispatch *d, const struct delivery *what, dispatch_delivered_fn *done,
		 void *arg)
{
	json_t *message = message_of(d, what);
	autojson json_t *batch = message ? json_pack("[O]", message) : NULL;
	struct pending *p;

	if (!message || json_array_size(d->batches) >= DELIVERIES_MAX) {
		done(arg, message ? -EAGAIN : -EINVAL);
		json_decref(message);
		return;
	}
	p = jobs_delivery_new(d->jobs, what, message);
	p->done = done;
	p->arg = arg;
	take_batch(d, batch);
}

void
dispatch_forget(struct dispatch *d, const void *arg)
{
	list_each(it, tmp, &d->jobs->deliveries) {
		struct pending *p = list_entry(it, struct pending, link);

		if (p->arg == arg)
			p->done = NULL;
	}
}

void
dispatch_channel(struct dispatch *d, bool open)
{
	d->jobs->channel_open = open;
	if (open)
		outbox_line_kick(d->jobs->service_line);
}

/* ------------------------------------------------------------------ object */

struct dispatch *
dispatch_new(const struct dispatch_options *o, struct err *e)
{
	struct dispatch *d = xcalloc(1, sizeof(*d));

	d->plugins = o->plugins;
	d->instance_id = xstrdup(o->instance_id);
	d->batches = json_array();
	d->jobs = jobs_new(o, e);
	if (!d->jobs)
		return dispatch_free(d);
	jobs_recover(d->jobs);
	return d;
}

struct dispatch *
dispatch_free(struct dispatch *d)
{
	if (!d)
		return NULL;
	plugins_wait_cancel(d->wait);
	jobs_free(d->jobs);
	json_decref(d->batches);
	free(d->instance_id);
	free(d);
	return NULL;
}

void
dispatch_retry_now(struct dispatch *d)
{
	jobs_retry_now(d->jobs);
}

void
dispatch_conf_changed(struct dispatch *d)
{
	jobs_start_queued(d->jobs);
}

json_t *
dispatch_report(const struct dispatch *d)
{
	return jobs_report(d->jobs);
}
