/* SPDX-License-Identifier: Apache-2.0 */
/* The ping. A failed one is tried again with back-off, so that a node is not lost for five minutes
 * because of one lost packet; refusals wait as long as the schedule says. spec/01 section 2.2. */
#include "core/agent/health.h"

#include <event2/event.h>
#include <string.h>

#include "core/aws/call.h"
#include "core/aws/ssmapi.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "core/conf/conf.h"

struct health {
	struct event_base *base;
	struct aws *aws;
	struct ssmapi_ping ping;
	struct event *timer;
	struct aws_call *call;
	bool again; /* something changed while a ping was under way */
	struct retry retry;
	const struct conf *conf;
	int64_t last_success_ms;
	bool spread; /* the random delay before the regular schedule is behind us */
	char *last_error;
};

static void
wait_ms(struct health *h, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	event_add(h->timer, &tv);
}

static int64_t
period_ms(const struct health *h)
{
	return conf_int(h->conf, "Ssm.HealthFrequencyMinutes") * 60000;
}

/* Many nodes that start at once must not ping at once for ever. */
static int64_t
next_regular_ms(struct health *h)
{
	if (h->spread)
		return period_ms(h);
	h->spread = true;
	return rand_between(0, period_ms(h));
}

static void
on_answer(void *arg, const struct aws_reply *r)
{
	struct health *h = arg;

	h->call = NULL;
	if (r->result == 0) {
		if (h->retry.failures)
			log_notice("health", "the service can be reached again");
		retry_reset(&h->retry);
		h->last_success_ms = clock_wall_ms();
		free(h->last_error);
		h->last_error = NULL;
		wait_ms(h, h->again ? 0 : next_regular_ms(h));
		h->again = false;
		return;
	}
	log_warn("health", "UpdateInstanceInformation failed: %s", r->text);
	free(h->last_error);
	h->last_error = xstrdup(r->text);
	wait_ms(h, retry_next_ms(&h->retry, r->retry_after_ms));
}

static void
send_ping(struct health *h)
{
	if (h->call)
		return;
	h->call = ssmapi_ping(h->aws, &h->ping, false, on_answer, h);
	if (!h->call)
		wait_ms(h, retry_next_ms(&h->retry, 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	send_ping(arg);
}

struct health *
health_new(struct event_base *base, const struct conf *conf, struct aws *aws,
	   const struct ssmapi_ping *ping)
{
	struct health *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->aws = aws;
	h->conf = conf;
	h->ping.instance_id = xstrdup(ping->instance_id);
	h->ping.availability_zone = xstrdup(ping->availability_zone);
	h->ping.availability_zone_id = xstrdup(ping->availability_zone_id);
	h->ping.platform_name = xstrdup(ping->platform_name);
	h->ping.platform_version = xstrdup(ping->platform_version);
	h->ping.channel = xstrdup(ping->channel);
	h->timer = evtimer_new(base, on_timer, h);
	retry_init(&h->retry, 1000, period_ms(h));
	send_ping(h);
	return h;
}

struct health *
health_free(struct health *h)
{
	if (!h)
		return NULL;
	aws_cancel(h->call);
	event_free(h->timer);
	free((char *)h->ping.instance_id);
	free((char *)h->ping.availability_zone);
	free((char *)h->ping.availability_zone_id);
	free((char *)h->ping.platform_name);
	free((char *)h->ping.platform_version);
	free((char *)h->ping.channel);
	free(h->last_error);
	free(h);
	return NULL;
}

void
health_now(struct health *h)
{
	retry_reset(&h->retry);
	event_del(h->timer);
	send_ping(h);
}

void
health_retry_now(struct health *h)
{
	if (h->retry.failures)
		health_now(h);
}

void
health_set_channel(struct health *h, const char *channel)
{
	if (strcmp(h->ping.channel, channel) == 0)
		return;
	free((char *)h->ping.channel);
	h->ping.channel = xstrdup(channel);
	/* A ping under way tells the old one: the next one follows it. */
	if (!h->call && !h->retry.failures)
		health_now(h);
	else
		h->again = true;
}

json_t *
health_report(const struct health *h)
{
	char stamp[TEXT_STAMP_SIZE] = "";

	if (h->last_success_ms)
		text_iso8601_ms(h->last_success_ms, stamp);
	return json_pack("{s:s,s:i,s:s?}", "last_success", stamp, "failures",
			 (int)h->retry.failures, "last_error", h->last_error);
}
