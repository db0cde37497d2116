/* SPDX-License-Identifier: Apache-2.0 */
/* Instance metadata. Version 1 is a fall-back for a service that says it does not know version 2,
 * never for one that does not answer: a token request that got lost must not turn into a request
 * that any server-side forgery could make. */
#include "core/aws/imds.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "core/aws/creds_source.h"
#include "core/aws/metahttp.h"
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/url.h"

#define TTL_S 21600
#define TTL_MARGIN_MS (30 * 1000)
#define TOKEN_MAX 4096
/* How long "version 1 only" is believed. */
#define V1_MS (5 * 60 * 1000)

struct imds {
	struct event_base *base;
	struct http *http;
	int64_t connect_ms, timeout_ms;
	char *endpoint; /* "http://169.254.169.254" */
	int off;	/* 0, or what every call ends with */
	struct err off_why;
	const char *no_v1; /* NULL, or why version 1 is not allowed */

	char *token;
	int64_t token_until_ms; /* monotonic */
	int64_t v1_until_ms;	/* monotonic; no token until then */
	struct metahttp *fetch; /* the token request under way */
	int64_t fetch_since_ms;
	struct list calls;
};

struct imds_call {
	struct list link;
	struct imds *imds;
	char *path;
	int64_t deadline_ms;
	struct metahttp *get; /* NULL: waits for the token */
	char *token;	      /* sent with GET */
	bool repeated;	      /* after a 401 */
	struct event *fail_event;
	struct err why;
	imds_done_fn *done;
	void *arg;
};

static int
find_mode(const char **ret, struct err *e)
{
	const char *mode = creds_source_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	autofree char *shown = mode ? text_quote(mode, 40) : NULL;

	if (!mode || strcasecmp(mode, "IPv4") == 0)
		*ret = "http://169.254.169.254";
	else if (strcasecmp(mode, "IPv6") == 0)
		*ret = "http://[fd00:ec2::254]";
	else
		return err_set(e, -EINVAL,
			       "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is %s, neither IPv4 nor "
			       "IPv6",
			       shown);
	return 0;
}

static int
find_endpoint(char **ret, struct err *e)
{
	const char *url = creds_source_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *preset = NULL;
	autourl struct url u = {0};
	autofree char *host = NULL;
	int r = url ? url_parse(url, &u, e) : find_mode(&preset, e);

	if (r < 0)
		return url ? err_prefix(e, "AWS_EC2_METADATA_SERVICE_ENDPOINT") : r;
	if (url && strcmp(u.scheme, "http") != 0 && strcmp(u.scheme, "https") != 0)
		return err_set(e, -EINVAL,
			       "AWS_EC2_METADATA_SERVICE_ENDPOINT: the scheme '%s' is neither http "
			       "nor https",
			       u.scheme);
	host = url ? url_host_header(&u) : NULL;
	*ret = url ? xasprintf("%s://%s", u.scheme, host) : xstrdup(preset);
	return 0;
}

static bool
is_true(const char *name)
{
	const char *value = creds_source_env(name);

	return value && strcasecmp(value, "true") == 0;
}

struct imds *
imds_new(const struct imds_options *o)
{
	struct imds *m = xcalloc(1, sizeof(*m));

	m->base = o->base;
	m->http = o->http;
	m->connect_ms = o->connect_ms ? o->connect_ms : METAHTTP_CONNECT_MS;
	m->timeout_ms = o->timeout_ms ? o->timeout_ms : METAHTTP_TIMEOUT_MS;
	list_init(&m->calls);
	if (is_true("AWS_EC2_METADATA_DISABLED"))
		m->off = err_set(&m->off_why, -ENODEV, "switched off by AWS_EC2_METADATA_DISABLED");
	else
		m->off = find_endpoint(&m->endpoint, &m->off_why);
	if (is_true("AWS_EC2_METADATA_V1_DISABLED"))
		m->no_v1 = "AWS_EC2_METADATA_V1_DISABLED is true";
	else if (!o->allow_v1)
		m->no_v1 = "Imds.V1 is no";
	return m;
}

static void
call_free(struct imds_call *c)
{
	list_remove(&c->link);
	metahttp_cancel(c->get);
	event_free(c->fail_event);
	free(c->path);
	secret_free(c->token);
	free(c);
}

static void
drop_token(struct imds *m)
{
	log_secret_forget(m->token);
	secret_free(TAKE(m->token));
	m->token_until_ms = 0;
}

struct imds *
imds_free(struct imds *m)
{
	if (!m)
		return NULL;
	list_each (it, next, &m->calls)
		call_free(list_entry(it, struct imds_call, link));
	metahttp_cancel(m->fetch);
	drop_token(m);
	free(m->endpoint);
	free(m);
	return NULL;
}

/* The call ends from the loop; E is what happened. */
static void
fail_later(struct imds_call *c, const struct err *e)
{
	struct timeval now = {0, 0};

	c->why = *e;
	evtimer_add(c->fail_event, &now);
}

static void
on_fail(evutil_socket_t fd, short what, void *arg)
{
	struct imds_call *c = arg;
	struct imds_call told = *c;

	(void)fd;
	(void)what;
	call_free(c);
	told.done(told.arg, told.why.code, NULL, err_text(&told.why));
}

static void send_get(struct imds_call *c);
static void start_fetch(struct imds *m);

/* With what there is: version 1, a token, or after the token request. */
static void
proceed(struct imds_call *c)
{
	struct imds *m = c->imds;
	int64_t now = clock_mono_ms();

	if (now < m->v1_until_ms || (m->token && now < m->token_until_ms))
		send_get(c);
	else if (!m->fetch)
		start_fetch(m);
}

static void
on_200(struct imds_call *c, const struct http_response *r)
{
	struct imds_call told = *c;
	struct err e = {0};

	if (strlen(r->body) != r->body_len) {
		err_set(&e, -EPROTO, "%s%s: the answer holds a NUL byte", c->imds->endpoint,
			c->path);
		fail_later(c, &e);
		return;
	}
	call_free(c);
	told.done(told.arg, 0, r->body, NULL);
}

/* The service restarted and does not know the token any more, or wants one now. */
static void
on_401(struct imds_call *c)
{
	struct imds *m = c->imds;

	if (c->token && m->token && strcmp(c->token, m->token) == 0)
		drop_token(m);
	if (!c->token)
		m->v1_until_ms = 0;
	c->repeated = true;
	proceed(c);
}

static int
refusal(struct err *e, const struct imds_call *c, int status)
{
	int code = status == 404 ? -ENOENT : status == 401 || status == 403 ? -EACCES : -EREMOTEIO;

	return err_set(e, code, "%s%s: HTTP status %d", c->imds->endpoint, c->path, status);
}

static void
on_get(void *arg, int result, const char *text, const struct http_response *r)
{
	struct imds_call *c = arg;
	struct err e = {0};

	c->get = NULL;
	if (result == 0 && r->status == 200) {
		on_200(c, r);
		return;
	}
	if (result == 0 && r->status == 401 && !c->repeated) {
		on_401(c);
		return;
	}
	if (result == 0)
		refusal(&e, c, r->status);
	else
		err_set(&e, result, "%s%s: %s", c->imds->endpoint, c->path, text);
	fail_later(c, &e);
}

static void
send_get(struct imds_call *c)
{
	struct imds *m = c->imds;
	autofree char *url = xasprintf("%s%s", m->endpoint, c->path);
	autostrv char **headers = NULL;
	int64_t left_ms = c->deadline_ms - clock_mono_ms();
	struct metahttp_request r = {
		.method = "GET",
		.url = url,
		.connect_ms = m->connect_ms,
		.timeout_ms = left_ms > 1 ? left_ms : 1,
	};
	struct err e = {0};

	secret_free(TAKE(c->token));
	if (m->token && clock_mono_ms() >= m->v1_until_ms) {
		c->token = xstrdup(m->token);
		strv_addf(&headers, "x-aws-ec2-metadata-token: %s", c->token);
	}
	r.headers = headers;
	c->get = metahttp_start(m->base, m->http, &r, on_get, c, &e);
	if (!c->get)
		fail_later(c, &e);
}

static bool
waits_for_token(const struct imds_call *c)
{
	return !c->get && c->why.code == 0;
}

/* The token request has ended: FAILED NULL, those who wait go on. Callbacks run from the loop only,
 * so that the list holds still here. */
static void
release(struct imds *m, const struct err *failed)
{
	list_each (it, next, &m->calls) {
		struct imds_call *c = list_entry(it, struct imds_call, link);

		if (waits_for_token(c) && failed)
			fail_later(c, failed);
		else if (waits_for_token(c))
			send_get(c);
	}
}

int
imds_check_token(const struct http_response *r, int64_t *ret_ttl_s, struct err *e)
{
	const char *ttl = http_header(r, "x-aws-ec2-metadata-token-ttl-seconds");

	if (!ttl || text_to_i64(ttl, 1, INT32_MAX, ret_ttl_s) < 0)
		return err_set(e, -EPROTO, "the token came without a usable lifetime");
	if (r->body_len == 0 || r->body_len > TOKEN_MAX)
		return err_set(e, -EPROTO, "the token has %zu bytes, not 1 to %d", r->body_len,
			       TOKEN_MAX);
	for (size_t i = 0; i < r->body_len; i++)
		if ((unsigned char)r->body[i] < 0x21 || (unsigned char)r->body[i] > 0x7e)
			return err_set(e, -EPROTO,
				       "the token holds a byte that no header may "
				       "hold");
	return 0;
}

/* A token with no more than half a minute left serves those who wait for it, nobody else. */
static int
take_token(struct imds *m, const struct http_response *r, struct err *e)
{
	int64_t ttl_s;
	int result = imds_check_token(r, &ttl_s, e);

	if (result < 0)
		return result;
	drop_token(m);
	m->token = xstrdup(r->body);
	log_secret(m->token);
	m->token_until_ms = clock_mono_ms() + ttl_s * 1000 - TTL_MARGIN_MS;
	m->v1_until_ms = 0;
	return 0;
}

static int
token_refused(struct imds *m, int status, struct err *e)
{
	if (status != 403 && status != 404 && status != 405)
		return err_set(e, -EREMOTEIO, "the token request got HTTP status %d", status);
	if (m->no_v1)
		return err_set(e, -EACCES,
			       "the token request got HTTP status %d, and version 1 is not allowed "
			       "(%s)",
			       status, m->no_v1);
	drop_token(m);
	m->v1_until_ms = clock_mono_ms() + V1_MS;
	return 0;
}

static int
token_failed(const struct imds *m, int result, const char *text, struct err *e)
{
	bool connected = clock_mono_ms() - m->fetch_since_ms > m->connect_ms + 100;

	if (result != -ETIMEDOUT || !connected)
		return err_set(e, result, "%s", text);
	return err_set(e, result,
		       "the token request got no answer (%s); in a container set the instance's "
		       "metadata hop limit to 2 or use the host's network",
		       text);
}

static void
on_token(void *arg, int result, const char *text, const struct http_response *r)
{
	struct imds *m = arg;
	struct err e = {0};

	m->fetch = NULL;
	if (result < 0)
		result = token_failed(m, result, text, &e);
	else if (r->status == 200)
		result = take_token(m, r, &e);
	else
		result = token_refused(m, r->status, &e);
	if (result < 0)
		err_prefix(&e, "%s/latest/api/token", m->endpoint);
	release(m, result < 0 ? &e : NULL);
}

static void
start_fetch(struct imds *m)
{
	autofree char *url = xasprintf("%s/latest/api/token", m->endpoint);
	autostrv char **headers = NULL;
	struct metahttp_request r = {
		.method = "PUT",
		.url = url,
		.connect_ms = m->connect_ms,
		.timeout_ms = m->timeout_ms,
	};
	struct err e = {0};

	strv_addf(&headers, "x-aws-ec2-metadata-token-ttl-seconds: %d", TTL_S);
	r.headers = headers;
	m->fetch_since_ms = clock_mono_ms();
	m->fetch = metahttp_start(m->base, m->http, &r, on_token, m, &e);
	if (!m->fetch)
		release(m, &e);
}

struct imds_call *
imds_get(struct imds *m, const char *path, imds_done_fn *done, void *arg)
{
	struct imds_call *c = xcalloc(1, sizeof(*c));

	c->imds = m;
	c->path = xstrdup(path);
	c->deadline_ms = clock_mono_ms() + m->timeout_ms;
	c->done = done;
	c->arg = arg;
	c->fail_event = evtimer_new(m->base, on_fail, c);
	assert(c->fail_event);
	list_append(&m->calls, &c->link);
	if (m->off < 0)
		fail_later(c, &m->off_why);
	else
		proceed(c);
	return c;
}

void
imds_cancel(struct imds_call *c)
{
	if (c)
		call_free(c);
}
