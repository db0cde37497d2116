/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a metadata service beside the machine. */
#include "core/aws/metahttp.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"

#define TRIES 3
#define WAIT_MS 100

struct metahttp {
	struct http *http;
	struct http_call *call;
	struct event *again;
	char *method, *url, **headers;
	int64_t connect_ms, deadline_ms;
	unsigned tries;
	http_done_fn *done;
	void *arg;
};

static struct metahttp *
metahttp_free(struct metahttp *m)
{
	if (m->again)
		event_free(m->again);
	free(m->method);
	free(m->url);
	strv_free(m->headers);
	free(m);
	return NULL;
}

static bool
is_hiccup(int result, const struct http_response *r)
{
	if (result == 0)
		return r->status >= 500 || r->status == 429;
	return result == -ECONNRESET || result == -ECONNREFUSED || result == -EPROTO ||
		result == -EIO;
}

static int64_t
left_ms(const struct metahttp *m)
{
	return m->deadline_ms - clock_mono_ms();
}

static void
on_done(void *arg, int result, const char *text, const struct http_response *r)
{
	struct metahttp *m = arg;
	int64_t wait_ms = rand_between(WAIT_MS, 2 * WAIT_MS) << m->tries;
	struct metahttp told = *m;
	struct timeval tv;

	m->call = NULL;
	m->tries++;
	if (is_hiccup(result, r) && m->tries < TRIES && wait_ms < left_ms(m)) {
		clock_timeval(wait_ms, &tv);
		evtimer_add(m->again, &tv);
		return;
	}
	metahttp_free(m);
	told.done(told.arg, result, text, r);
}

static int
send_request(struct metahttp *m, struct err *e)
{
	struct http_request r = {
		.method = m->method,
		.url = m->url,
		.headers = m->headers,
		.timeout_ms = left_ms(m) > 1 ? left_ms(m) : 1,
		.connect_ms = m->connect_ms,
		.max_bytes = METAHTTP_MAX_BYTES,
		.direct = true,
	};

	m->call = http_start(m->http, &r, on_done, m, e);
	return m->call ? 0 : -EINVAL;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct metahttp *m = arg;
	struct metahttp told = *m;
	struct http_response none = {.body = ""};
	struct err e = {0};

	(void)fd;
	(void)what;
	if (send_request(m, &e) == 0)
		return;
	metahttp_free(m);
	told.done(told.arg, -EIO, err_text(&e), &none);
}

struct metahttp *
metahttp_start(struct event_base *base, struct http *http, const struct metahttp_request *r,
	       http_done_fn *done, void *arg, struct err *e)
{
	struct metahttp *m = xcalloc(1, sizeof(*m));

	m->http = http;
	m->method = xstrdup(r->method);
	m->url = xstrdup(r->url);
	m->headers = strv_dup(r->headers);
	m->connect_ms = r->connect_ms ? r->connect_ms : METAHTTP_CONNECT_MS;
	m->deadline_ms = clock_mono_ms() + (r->timeout_ms ? r->timeout_ms : METAHTTP_TIMEOUT_MS);
	m->done = done;
	m->arg = arg;
	m->again = evtimer_new(base, on_again, m);
	assert(m->again);
	return send_request(m, e) < 0 ? metahttp_free(m) : m;
}

void
metahttp_cancel(struct metahttp *m)
{
	if (!m)
		return;
	http_cancel(m->call);
	metahttp_free(m);
}
