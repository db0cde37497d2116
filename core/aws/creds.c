/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of the credential chain. Credentials are fetched when somebody asks and they are
 * missing, near their end or refused: an idle agent asks at every poll, so no timer is needed. What
 * was good once stays in use until something better comes, even beyond its end: a service decides
 * about that, not our clock (DESIGN section 14). */
#include "core/aws/creds.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define EARLY_MS (5 * 60 * 1000)
#define EARLY_JITTER_MS (60 * 1000)
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS (5 * 60 * 1000)
/* Without usable credentials the node is out of reach: it must be back 15 s after its role. */
#define BACKOFF_BARE_MS 6500
#define FORCE_EVERY_MS (60 * 1000)

struct creds_cache {
	struct creds_provider *providers;
	char **reasons; /* of the last walk, by provider; NULL: not asked */
	size_t count;

	struct creds *current;
	char *remark;	      /* what the source of CURRENT had to remark, or NULL */
	int64_t renew_at_ms;  /* unix ms; 0: never */
	bool refused;	      /* a service refused CURRENT */
	bool must_wait;	      /* CURRENT was refused: not given before the next walk */
	int64_t forced_at_ms; /* monotonic; 0: not yet */

	bool walking;
	size_t at;	 /* provider that is asked */
	unsigned serial; /* of the question, so that a late answer can be told */
	void *handle;
	unsigned failures;
	int64_t not_before_ms; /* monotonic */
	char *last_error;

	struct list waiters; /* for the end of a walk */
	struct list ready;   /* their walk has ended */
	struct event *answer_event, *retry_event;
};

struct creds_wait {
	struct list link;
	creds_done_fn *done;
	void *arg;
};

struct creds *
creds_new(const char *access_key, const char *secret_key, const char *token, int64_t expires_ms,
	  const char *source)
{
	struct creds *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
	c->access_key = xstrdup(access_key);
	c->secret_key = xstrdup(secret_key);
	c->token = token && *token ? xstrdup(token) : NULL;
	c->expires_ms = expires_ms;
	c->source = source;
	log_secret(c->secret_key);
	log_secret(c->token);
	return c;
}

struct creds *
creds_ref(struct creds *c)
{
	if (c)
		c->refs++;
	return c;
}

struct creds *
creds_unref(struct creds *c)
{
	if (!c || --c->refs > 0)
		return NULL;
	log_secret_forget(c->secret_key);
	log_secret_forget(c->token);
	free(c->access_key);
	secret_free(c->secret_key);
	secret_free(c->token);
	free(c);
	return NULL;
}

bool
creds_equal(const struct creds *a, const struct creds *b)
{
	return a && b && strcmp(a->access_key, b->access_key) == 0 &&
		strcmp(a->secret_key, b->secret_key) == 0 &&
		strcmp(a->token ? a->token : "", b->token ? b->token : "") == 0;
}

static bool
is_expired(const struct creds *c)
{
	return c->expires_ms != 0 && c->expires_ms <= clock_wall_ms();
}

static bool
is_renewal_due(const struct creds_cache *c)
{
	return !c->current || c->must_wait ||
		(c->renew_at_ms != 0 && c->renew_at_ms <= clock_wall_ms());
}

static bool
is_backing_off(const struct creds_cache *c)
{
	return clock_mono_ms() < c->not_before_ms;
}

/* 1 s, 2 s, 4 s ... each a fifth more or less. */
static int64_t
backoff_ms(const struct creds_cache *c)
{
	int64_t cap = c->current && !is_expired(c->current) ? BACKOFF_MAX_MS : BACKOFF_BARE_MS;
	int64_t ms = c->failures > 16 ? cap : (int64_t)BACKOFF_MIN_MS << (c->failures - 1);

	if (ms > cap)
		ms = cap;
	return ms - ms / 5 + rand_between(0, 2 * ms / 5);
}

static void
set_text(char **where, char *text)
{
	free(*where);
	*where = text;
}

/* "environment: not configured (...); shared-file: ..." */
static char *
join_reasons(const struct creds_cache *c)
{
	struct sbuf b = SBUF_INIT(64 * 1024);

	for (size_t i = 0; i < c->count; i++)
		if (c->reasons[i])
			sbuf_addf(&b, "%s%s: %s", b.len > 0 ? "; " : "", c->providers[i].name,
				  c->reasons[i]);
	return sbuf_take(&b, NULL);
}

static void
after_ms(struct event *ev, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	evtimer_add(ev, &tv);
}

/* The end of a walk: its waiters are called from the loop, never from within creds_get(). */
static void
end_walk(struct creds_cache *c)
{
	c->walking = false;
	c->handle = NULL;
	c->must_wait = false;
	while (!list_empty(&c->waiters)) {
		struct list *first = c->waiters.next;

		list_remove(first);
		list_append(&c->ready, first);
	}
	if (!list_empty(&c->ready))
		after_ms(c->answer_event, 0);
}

static void
fail_walk(struct creds_cache *c)
{
	c->failures++;
	c->not_before_ms = clock_mono_ms() + backoff_ms(c);
	set_text(&c->last_error, join_reasons(c));
	end_walk(c);
}

static int64_t
renewal_of(const struct creds *set)
{
	int64_t at = set->expires_ms - EARLY_MS - rand_between(0, EARLY_JITTER_MS);

	if (set->expires_ms == 0)
		return 0;
	return at > 0 ? at : 1;
}

/* A set that is near its end already comes from a source that has no newer one yet: taken, but the
 * source is asked again soon. */
static void
adopt(struct creds_cache *c, struct creds *set, const char *remark)
{
	if (!creds_equal(c->current, set))
		c->refused = false;
	creds_unref(c->current);
	c->current = set;
	set_text(&c->remark, xstrdup(remark));
	set_text(&c->last_error, NULL);
	c->renew_at_ms = renewal_of(set);
	c->must_wait = false;
	if (is_renewal_due(c)) {
		c->failures++;
		c->not_before_ms = clock_mono_ms() + backoff_ms(c);
	} else {
		c->failures = 0;
		c->not_before_ms = 0;
	}
}

static void ask(struct creds_cache *c, size_t at);

static void
on_answer(void *arg, struct creds *set, const char *why_not)
{
	struct creds_cache *c = arg;
	const char *name = c->providers[c->at].name;

	assert(c->walking);
	c->serial++;
	c->handle = NULL;
	if (set) {
		log_debug("creds", "credentials from %s%s%s", name, why_not ? "; " : "",
			  why_not ? why_not : "");
		adopt(c, set, why_not);
		end_walk(c);
		return;
	}
	c->reasons[c->at] = xstrdup(why_not ? why_not : "no reason given");
	log_debug("creds", "%s passed over: %s", name, c->reasons[c->at]);
	if (c->at + 1 < c->count)
		ask(c, c->at + 1);
	else
		fail_walk(c);
}

static void
ask(struct creds_cache *c, size_t at)
{
	struct creds_provider *p = &c->providers[at];
	unsigned serial = c->serial;
	void *handle;

	c->at = at;
	handle = p->start(p->ctx, on_answer, c);
	if (c->serial == serial)
		c->handle = handle;
}

static void
walk(struct creds_cache *c)
{
	evtimer_del(c->retry_event);
	for (size_t i = 0; i < c->count; i++)
		set_text(&c->reasons[i], NULL);
	c->walking = true;
	if (c->count > 0)
		ask(c, 0);
	else
		fail_walk(c);
}

static void
on_answer_event(evutil_socket_t fd, short what, void *arg)
{
	struct creds_cache *c = arg;

	(void)fd;
	(void)what;
	while (!list_empty(&c->ready)) {
		struct creds_wait *w = list_first(&c->ready, struct creds_wait, link);
		struct creds_wait told = *w;
		struct creds *set = creds_ref(c->current);
		autofree char *why = xstrdup(c->last_error ? c->last_error : "");

		creds_wait_cancel(w);
		told.done(told.arg, set, why);
		creds_unref(set);
	}
}

static void
on_retry_event(evutil_socket_t fd, short what, void *arg)
{
	struct creds_cache *c = arg;

	(void)fd;
	(void)what;
	if (!c->walking && !list_empty(&c->waiters))
		walk(c);
}

struct creds_cache *
creds_cache_new(struct event_base *base, const struct creds_provider *providers, size_t count)
{
	struct creds_cache *c = xcalloc(1, sizeof(*c));

	c->providers = xcalloc(count ? count : 1, sizeof(*c->providers));
	if (count > 0)
		memcpy(c->providers, providers, count * sizeof(*c->providers));
	c->reasons = xcalloc(count ? count : 1, sizeof(*c->reasons));
	c->count = count;
	list_init(&c->waiters);
	list_init(&c->ready);
	c->answer_event = evtimer_new(base, on_answer_event, c);
	c->retry_event = evtimer_new(base, on_retry_event, c);
	assert(c->answer_event && c->retry_event);
	return c;
}

static void
free_waiters(struct list *l)
{
	list_each (it, next, l)
		free(list_entry(it, struct creds_wait, link));
}

struct creds_cache *
creds_cache_free(struct creds_cache *c)
{
	if (!c)
		return NULL;
	if (c->walking && c->handle)
		c->providers[c->at].cancel(c->providers[c->at].ctx, c->handle);
	free_waiters(&c->waiters);
	free_waiters(&c->ready);
	for (size_t i = 0; i < c->count; i++) {
		if (c->providers[i].free)
			c->providers[i].free(c->providers[i].ctx);
		free(c->reasons[i]);
	}
	event_free(c->answer_event);
	event_free(c->retry_event);
	creds_unref(c->current);
	free(c->providers);
	free(c->reasons);
	free(c->remark);
	free(c->last_error);
	free(c);
	return NULL;
}

/* The end of the back-off for those who have nothing to go on with. */
static void
wait_for_retry(struct creds_cache *c)
{
	if (!evtimer_pending(c->retry_event, NULL))
		after_ms(c->retry_event, c->not_before_ms - clock_mono_ms());
}

struct creds_wait *
creds_get(struct creds_cache *c, creds_done_fn *done, void *arg)
{
	bool walked = !c->walking && is_renewal_due(c) && !is_backing_off(c);
	struct creds_wait *w;

	if (walked)
		walk(c);
	if (c->current && !c->must_wait && !(c->walking && is_expired(c->current))) {
		struct creds *set = creds_ref(c->current);

		done(arg, set, "");
		creds_unref(set);
		return NULL;
	}
	w = xcalloc(1, sizeof(*w));
	w->done = done;
	w->arg = arg;
	if (walked && !c->walking) {
		list_append(&c->ready, &w->link);
		after_ms(c->answer_event, 0);
	} else {
		list_append(&c->waiters, &w->link);
		if (!c->walking)
			wait_for_retry(c);
	}
	return w;
}

void
creds_wait_cancel(struct creds_wait *w)
{
	if (!w)
		return;
	list_remove(&w->link);
	free(w);
}

void
creds_refused(struct creds_cache *c, const struct creds *set)
{
	int64_t now = clock_mono_ms();

	if (!set || set != c->current)
		return; /* there are newer ones */
	c->refused = true;
	if (c->forced_at_ms != 0 && now - c->forced_at_ms < FORCE_EVERY_MS)
		return;
	c->forced_at_ms = now ? now : 1;
	c->must_wait = true;
	if (!c->walking)
		walk(c);
}

void
creds_retry_now(struct creds_cache *c)
{
	c->not_before_ms = 0;
	if (!c->walking && !list_empty(&c->waiters))
		walk(c);
}

static json_t *
text_or_null(const char *s)
{
	autofree char *clean = s ? text_utf8_repair(s, strlen(s), NULL) : NULL;

	return clean ? json_string(clean) : json_null();
}

static json_t *
describe_reasons(const struct creds_cache *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->count; i++)
		if (c->reasons[i])
			json_array_append_new(list,
					      json_pack("{s:s, s:o}", "source",
							c->providers[i].name, "reason",
							text_or_null(c->reasons[i])));
	return list;
}

static json_t *
describe_end(const struct creds *set)
{
	char stamp[TEXT_STAMP_SIZE];

	if (!set || set->expires_ms == 0)
		return json_null();
	text_iso8601_ms(set->expires_ms, stamp);
	return json_string(stamp);
}

json_t *
creds_describe(const struct creds_cache *c)
{
	const struct creds *set = c->current;
	json_t *d = json_object();

	json_object_set_new(d, "source", set ? json_string(set->source) : json_null());
	json_object_set_new(d, "access_key",
			    set ? json_stringn(set->access_key, strnlen(set->access_key, 4))
				: json_null());
	json_object_set_new(d, "expires", describe_end(set));
	json_object_set_new(d, "expired", json_boolean(set && is_expired(set)));
	json_object_set_new(d, "refused", json_boolean(set && c->refused));
	json_object_set_new(d, "remark", text_or_null(c->remark));
	json_object_set_new(d, "passed_over", describe_reasons(c));
	json_object_set_new(d, "last_error", text_or_null(c->last_error));
	return d;
}
