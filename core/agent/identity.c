/* SPDX-License-Identifier: Apache-2.0 */
/* One round asks each identity of the configured order; rounds are repeated until one can tell. */
#include "core/agent/identity.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/aws/imds.h"
#include "core/aws/metahttp.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/net/retry.h"

#define ID_MAX 255u
#define SHORT_ID_MAX 64u
#define WAIT_BASE_MS 250
#define WAIT_CAP_MS 10000

/* What EC2 is asked for, all at once. */
enum {
	GET_ID,
	GET_DOCUMENT,
	GET_ZONE,
	GET_ZONE_ID,
	GETS
};
static const char *const paths[GETS] = {
	[GET_ID] = "/latest/meta-data/instance-id",
	[GET_DOCUMENT] = "/latest/dynamic/instance-identity/document",
	[GET_ZONE] = "/latest/meta-data/placement/availability-zone",
	[GET_ZONE_ID] = "/latest/meta-data/placement/availability-zone-id",
};

struct get {
	struct identity_find *find;
	struct imds_call *call;
	char *body, *why_not;
};

struct identity_find {
	struct event_base *base;
	const struct conf *conf;
	struct http *http;
	struct imds *imds;
	identity_done_fn *done;
	void *arg;
	bool once;
	char *const *next; /* in the order */
	struct get gets[GETS];
	unsigned running;
	struct metahttp *get;
	json_t *task; /* ECS: its metadata */
	struct event *timer;
	struct retry retry;
	json_t *passed_over;
	char *last_reasons; /* logged already */
};

struct identity *
identity_free(struct identity *i)
{
	if (!i)
		return NULL;
	free(i->instance_id);
	free(i->short_id);
	free(i->region);
	free(i->signing_region);
	free(i->availability_zone);
	free(i->availability_zone_id);
	free(i);
	return NULL;
}

static void try_next(struct identity_find *f);

static void
drop_gets(struct identity_find *f)
{
	for (size_t i = 0; i < GETS; i++) {
		imds_cancel(f->gets[i].call);
		free(f->gets[i].body);
		free(f->gets[i].why_not);
		memset(&f->gets[i], 0, sizeof(f->gets[i]));
	}
	f->running = 0;
}

void
identity_cancel(struct identity_find *f)
{
	if (!f)
		return;
	drop_gets(f);
	metahttp_cancel(f->get);
	json_decref(f->task);
	event_free(f->timer);
	json_decref(f->passed_over);
	free(f->last_reasons);
	free(f);
}

/* --------------------------------------------------------------- results */

static bool
is_id(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= ID_MAX &&
		s[strspn(s,
			 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")] ==
		'\0' &&
		s[0] != '.';
}

static bool
is_region(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 100 &&
		s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-")] ==
		'\0';
}

static char *
short_id(const char *id)
{
	const char *last = strrchr(id, '_');

	return xstrdup(strlen(id) > SHORT_ID_MAX && last ? last + 1 : id);
}

/* A zone goes to the service as it is: what is not one is better left out. */
static char *
zone_of(const char *text)
{
	autofree char *copy = xstrdup(text ? text : "");

	return xstrdup(is_region(text_trim(copy)) ? text_trim(copy) : "");
}

static struct identity *
make(const struct identity_find *f, const char *kind, const char *id, const char *region,
     const char *zone, const char *zone_id)
{
	const char *signing = conf_str(f->conf, "Agent.Region");
	struct identity *i = xcalloc(1, sizeof(*i));

	i->kind = kind;
	i->instance_id = xstrdup(id);
	i->short_id = short_id(id);
	i->region = xstrdup(region);
	i->signing_region = xstrdup(*signing ? signing : region);
	i->availability_zone = zone_of(zone);
	i->availability_zone_id = zone_of(zone_id);
	return i;
}

static void
finish(struct identity_find *f, struct identity *who)
{
	identity_done_fn *done = f->done;
	void *arg = f->arg;
	json_t *passed_over = json_incref(f->passed_over);

	identity_cancel(f);
	done(arg, who, passed_over);
	json_decref(passed_over);
}

static void
pass_over(struct identity_find *f, const char *kind, const char *reason)
{
	autofree char *name = text_utf8_repair(kind, strlen(kind), NULL);
	autofree char *why = text_utf8_repair(reason, strlen(reason), NULL);

	json_array_append_new(f->passed_over,
			      json_pack("{s:s,s:s}", "identity", name, "reason", why));
	try_next(f);
}

/* ID and REGION come from strangers: they end up in paths and host names. */
static void
take_answer(struct identity_find *f, const char *kind, const char *id, const char *region,
	    const char *zone, const char *zone_id)
{
	if (!is_id(id))
		pass_over(f, kind, "its instance id is not one");
	else if (!is_region(region))
		pass_over(f, kind, "its region is not one");
	else
		finish(f, make(f, kind, id, region, zone, zone_id));
}

/* ------------------------------------------------------------------- EC2 */

static void
judge_ec2(struct identity_find *f)
{
	const struct get *g = f->gets;
	struct err e = { 0, "" };
	autojson json_t *document = NULL;
	autofree char *id = xstrdup(g[GET_ID].body), *zone = xstrdup(g[GET_ZONE].body);
	autofree char *zone_id = xstrdup(g[GET_ZONE_ID].body);
	autofree char *why = NULL;

	if (!id || !g[GET_DOCUMENT].body)
		why = xstrdup(g[id ? GET_DOCUMENT : GET_ID].why_not);
	else if (!(document = json_parse(g[GET_DOCUMENT].body, strlen(g[GET_DOCUMENT].body),
					 "the instance identity document", &e)))
		why = xstrdup(err_text(&e));
	drop_gets(f);
	if (why)
		pass_over(f, "EC2", why);
	else
		take_answer(f, "EC2", text_trim(id), json_str(document, "region", ""), zone,
			    zone_id);
}

static void
on_get(void *arg, int result, const char *body, const char *text)
{
	struct get *g = arg;
	struct identity_find *f = g->find;

	g->call = NULL;
	if (result == 0)
		g->body = xstrdup(body);
	else
		g->why_not = xstrdup(text);
	if (--f->running == 0)
		judge_ec2(f);
}

static void
ask_ec2(struct identity_find *f)
{
	f->running = GETS;
	for (size_t i = 0; i < GETS; i++) {
		f->gets[i].find = f;
		f->gets[i].call = imds_get(f->imds, paths[i], on_get, &f->gets[i]);
	}
}

/* ------------------------------------------------------------------- ECS */

const char *
identity_ecs_uri(void)
{
	const char *v4 = secure_getenv("ECS_CONTAINER_METADATA_URI_V4");
	const char *v3 = secure_getenv("ECS_CONTAINER_METADATA_URI");

	if (v4 && *v4)
		return v4;
	return v3 && *v3 ? v3 : NULL;
}

static const char *
last_part(const char *s)
{
	const char *slash = strrchr(s, '/');

	return slash ? slash + 1 : s;
}

/* The body of an answer, or NULL with what is wrong. */
static json_t *
read_metadata(int result, const char *text, const struct http_response *r, const char *what,
	      struct err *e)
{
	json_t *body = NULL;

	if (result < 0)
		err_set(e, result, "%s: %s", what, text);
	else if (r->status != 200)
		err_set(e, -EREMOTEIO, "%s: HTTP status %d", what, r->status);
	else
		body = json_parse(r->body, r->body_len, what, e);
	return body;
}

/* "ecs:" cluster "_" task "_" container; the region is in the task's ARN. spec/04 section 1.4. */
static void
judge_ecs(struct identity_find *f, const json_t *container)
{
	const char *arn = json_str(f->task, "TaskARN", "");
	const char *cluster = last_part(json_str(f->task, "Cluster", ""));
	const char *docker_id = json_str(container, "DockerId", "");
	autostrv char **parts = strv_split(arn, ":");
	autofree char *id = NULL;

	if (strv_len(parts) < 6 || !*cluster || !*last_part(arn) || !*docker_id) {
		pass_over(f, "ECS", "the task metadata lacks TaskARN, Cluster or DockerId");
		return;
	}
	id = xasprintf("ecs:%s_%s_%s", cluster, last_part(arn), docker_id);
	take_answer(f, "ECS", id, parts[3], json_str(f->task, "AvailabilityZone", ""), "");
}

static void
on_container(void *arg, int result, const char *text, const struct http_response *r)
{
	struct identity_find *f = arg;
	struct err e = { 0, "" };
	autojson json_t *container = read_metadata(result, text, r, "the container metadata", &e);

	f->get = NULL;
	if (container)
		judge_ecs(f, container);
	else
		pass_over(f, "ECS", err_text(&e));
}

static void
get_metadata(struct identity_find *f, const char *path, http_done_fn *done)
{
	autofree char *url = xasprintf("%s%s", identity_ecs_uri(), path);
	struct metahttp_request q = { .method = "GET", .url = url };
	struct err e = { 0, "" };

	f->get = metahttp_start(f->base, f->http, &q, done, f, &e);
	if (!f->get)
		pass_over(f, "ECS", err_text(&e));
}

static void
on_task(void *arg, int result, const char *text, const struct http_response *r)
{
	struct identity_find *f = arg;
	struct err e = { 0, "" };

	f->get = NULL;
	json_decref(f->task);
	f->task = read_metadata(result, text, r, "the task metadata", &e);
	if (f->task)
		get_metadata(f, "", on_container);
	else
		pass_over(f, "ECS", err_text(&e));
}

static void
ask_ecs(struct identity_find *f)
{
	if (identity_ecs_uri())
		get_metadata(f, "/task", on_task);
	else
		pass_over(f, "ECS", "not configured (ECS_CONTAINER_METADATA_URI_V4 is not set)");
}

/* ---------------------------------------------------- from configuration */

static void
ask_custom(struct identity_find *f)
{
	const char *text = conf_str(f->conf, "Identity.CustomIdentities");
	autojson json_t *all = json_parse(text, strlen(text), "Identity.CustomIdentities", NULL);
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		const char *id = json_str(one, "InstanceID", ""),
			   *region = json_str(one, "Region", "");

		if (!*id || !*region)
			continue;
		take_answer(f, "CustomIdentity", id, region, json_str(one, "AvailabilityZone", ""),
			    json_str(one, "AvailabilityZoneId", ""));
		return;
	}
	pass_over(f, "CustomIdentity",
		  "not configured (Identity.CustomIdentities has no entry with InstanceID and "
		  "Region)");
}

static void
ask_onprem(struct identity_find *f)
{
	autofree char *path =
		xasprintf("%s/Vault/Store/RegistrationKey", conf_path(f->conf, CONF_PATH_STATE));
	struct stat st;

	if (lstat(path, &st) == 0)
		pass_over(
			f, "OnPrem",
			"there is a registration, but this version cannot use hybrid activations");
	else
		pass_over(f, "OnPrem", "not registered");
}

/* ---------------------------------------------------------------- rounds */

static void
log_reasons(struct identity_find *f)
{
	autofree char *text = json_text(f->passed_over);
	json_t *one;
	size_t i;

	if (f->last_reasons && strcmp(f->last_reasons, text) == 0)
		return;
	json_array_foreach(f->passed_over, i, one)
		log_warn("identity", "%s: %s", json_str(one, "identity", ""),
			 json_str(one, "reason", ""));
	log_warn("identity", "this node does not know who it is; it goes on asking");
	free(f->last_reasons);
	f->last_reasons = TAKE(text);
}

static void
round_over(struct identity_find *f)
{
	struct timeval tv;

	if (f->once) {
		finish(f, NULL);
		return;
	}
	log_reasons(f);
	clock_timeval(retry_next_ms(&f->retry, WAIT_BASE_MS), &tv);
	event_add(f->timer, &tv);
}

static void
try_next(struct identity_find *f)
{
	const char *kind = f->next ? *f->next : NULL;

	if (!kind) {
		round_over(f);
		return;
	}
	f->next++;
	if (strcmp(kind, "EC2") == 0)
		ask_ec2(f);
	else if (strcmp(kind, "ECS") == 0)
		ask_ecs(f);
	else if (strcmp(kind, "CustomIdentity") == 0)
		ask_custom(f);
	else if (strcmp(kind, "OnPrem") == 0)
		ask_onprem(f);
	else
		pass_over(f, kind, "there is no such identity (OnPrem, EC2, ECS, CustomIdentity)");
}

static void
on_round(evutil_socket_t fd, short what, void *arg)
{
	struct identity_find *f = arg;

	(void)fd;
	(void)what;
	json_array_clear(f->passed_over);
	f->next = conf_list(f->conf, "Identity.ConsumptionOrder");
	try_next(f);
}

static struct identity_find *
begin(struct event_base *base, const struct conf *conf, struct http *http, struct imds *imds,
      bool once, identity_done_fn *done, void *arg)
{
	struct identity_find *f = xcalloc(1, sizeof(*f));
	const struct timeval now = { 0, 0 };

	f->base = base;
	f->conf = conf;
	f->http = http;
	f->imds = imds;
	f->once = once;
	f->done = done;
	f->arg = arg;
	f->passed_over = json_array();
	f->timer = evtimer_new(base, on_round, f);
	retry_init(&f->retry, WAIT_BASE_MS, WAIT_CAP_MS);
	event_add(f->timer, &now);
	return f;
}

struct identity_find *
identity_find(struct event_base *base, const struct conf *conf, struct http *http,
	      struct imds *imds, identity_done_fn *done, void *arg)
{
	return begin(base, conf, http, imds, false, done, arg);
}

struct identity_find *
identity_look_once(struct event_base *base, const struct conf *conf, struct http *http,
		   struct imds *imds, identity_done_fn *done, void *arg)
{
	return begin(base, conf, http, imds, true, done, arg);
}

void
identity_retry_now(struct identity_find *f)
{
	const struct timeval now = { 0, 0 };

	if (evtimer_pending(f->timer, NULL)) {
		event_del(f->timer);
		event_add(f->timer, &now);
	}
}
