/* SPDX-License-Identifier: Apache-2.0 */
/* A message from the service to a job. Only the envelope is looked at here; what a payload means is
 * the handler's business. */
#include "core/agent/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/agent/job.h"
#include "core/agent/jobs.h"
#include "core/agent/jobstore.h"
#include "core/agent/plugins.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define MESSAGE_MAX (1024u * 1024u)
#define ID_MIN 16u /* of the service's model: shorter ones cannot be answered */
#define FIELD_MAX 2048u
#define BATCHES_MAX 64u

struct dispatch {
	struct jobs *jobs;
	struct plugins *plugins;
	char *instance_id;
	json_t *batches; /* polls that wait for the table of plugins */
	struct plugins_wait *wait;
	bool waiting;
};

/* --------------------------------------------------------------- envelope */

/* A member of text without NUL, or NULL. */
static const char *
field(const json_t *m, const char *key)
{
	const json_t *v = json_object_get(m, key);
	size_t len = json_string_length(v);

	if (!json_is_string(v) || len == 0 || len > FIELD_MAX ||
	    strlen(json_string_value(v)) != len)
		return NULL;
	return json_string_value(v);
}

static bool
read_envelope(const json_t *m, struct envelope *ret)
{
	const json_t *payload = json_object_get(m, "Payload");

	*ret = (struct envelope){ .message_id = field(m, "MessageId"),
				  .topic = field(m, "Topic"),
				  .destination = field(m, "Destination"),
				  .created = field(m, "CreatedDate") };
	if (json_is_string(payload)) {
		ret->payload = json_string_value(payload);
		ret->payload_len = json_string_length(payload);
	}
	return ret->message_id && ret->topic && ret->destination && ret->created &&
		strlen(ret->message_id) >= ID_MIN;
}

/* The payload as a value, or NULL with the reply's text in *RET_WHY. */
static json_t *
parse_payload(const struct envelope *env, char **ret_why)
{
	static const char wording[] = "encountered error while parsing input - internal error";
	struct err e = { 0 };
	json_t *v;

	if (env->payload_len > MESSAGE_MAX) {
		*ret_why = xasprintf("the message has %zu bytes, the limit is %u", env->payload_len,
				     MESSAGE_MAX);
		return NULL;
	}
	v = json_parse(env->payload ? env->payload : "", env->payload_len, "Payload", &e);
	if (json_is_object(v))
		return v;
	*ret_why = xasprintf("%s %s", wording, v ? "the payload is not an object" : err_text(&e));
	json_decref(v);
	return NULL;
}

/* The one object that job_key and cancel_key point into. */
static json_t *
normalised(const struct envelope *env, json_t *payload)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:O?}", "MessageId", env->message_id, "Topic",
			 env->topic, "Destination", env->destination, "CreatedDate", env->created,
			 "Payload", payload);
}

/* The string POINTER names, fit to name a job; or NULL. */
static const char *
job_id_at(const json_t *message, const char *pointer)
{
	const json_t *v = json_at(message, pointer);
	const char *id = json_string_value(v);

	return id && strlen(id) == json_string_length(v) && jobstore_id_ok(id) ? id : NULL;
}

/* --------------------------------------------------------------- messages */

static void
take_cancel(struct dispatch *d, const struct envelope *env, const json_t *message,
	    const char *pointer)
{
	const char *target = job_id_at(message, pointer);

	if (jobstore_seen(d->jobs->store, env->message_id)) {
		jobs_acknowledge(d->jobs, env->message_id);
		return;
	}
	if (target) {
		job_take_cancel(d->jobs, target, env->message_id);
		return;
	}
	log_warn("dispatch", "cancel message '%s' does not say which command it means: refused",
		 env->message_id);
	jobs_refuse_message(d->jobs, env->message_id);
}

static bool
is_known(const struct dispatch *d, const char *id)
{
	const struct job *j = jobs_find(d->jobs, id);

	return jobstore_seen(d->jobs->store, id) || (j && j->state != JOB_FORETOLD);
}

static void
take_job(struct dispatch *d, const struct envelope *env, const char *id)
{
	const struct job *j = jobs_find(d->jobs, id);

	if (is_known(d, id)) {
		/* Its record may still be on its way to the disk: that answers, too. */
		if (!j || list_empty(&j->commits))
			jobs_acknowledge(d->jobs, env->message_id);
		return;
	}
	if (!j && !env->unusable && !jobs_slot_free(d->jobs) && jobs_queue_full(d->jobs)) {
		log_warn("dispatch", "%zu commands wait: further ones are left at the service",
			 d->jobs->queued);
		return;
	}
	job_take(d->jobs, id, env);
}

static void
take_known_topic(struct dispatch *d, struct envelope *env, const struct feature *f)
{
	autofree char *why = NULL;
	autojson json_t *payload = parse_payload(env, &why);
	autojson json_t *message = normalised(env, payload);
	const char *id;

	if (f->cancel_key && *f->cancel_key) {
		take_cancel(d, env, message, f->cancel_key);
		return;
	}
	env->unusable = why;
	id = job_id_at(message, f->job_key && *f->job_key ? f->job_key : "/MessageId");
	if (!id && !env->unusable)
		env->unusable = "the message does not name its job";
	take_job(d, env, id ? id : env->message_id);
}

static void
take_message(struct dispatch *d, const json_t *m)
{
	struct envelope env;
	const struct feature *f;

	if (!read_envelope(m, &env) || !jobstore_id_ok(env.message_id)) {
		log_warn("dispatch",
			 "a message without a usable MessageId, Topic, Destination or "
			 "CreatedDate is ignored");
		return;
	}
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
		jobs_acknowledge(d->jobs, env.message_id);
	} else {
		autofree char *topic = text_quote(env.topic, 100);

		log_warn("dispatch", "no plugin handles topic %s: message '%s' is refused", topic,
			 env.message_id);
		jobs_refuse_message(d->jobs, env.message_id);
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

void
dispatch_messages(struct dispatch *d, json_t *messages)
{
	struct plugins_wait *w;

	/* Not acknowledged, so they come again. */
	if (!json_is_array(messages) || json_array_size(d->batches) >= BATCHES_MAX)
		return;
	(void)json_array_append(d->batches, messages);
	if (d->waiting)
		return;
	d->waiting = true;
	w = plugins_refresh(d->plugins, take_batches, d);
	if (d->waiting)
		d->wait = w;
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
