/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP on one curl multi handle driven by the event loop.
 *
 * Why like this: libcurl says which descriptors to watch and when to come back, libevent does it;
 * nothing blocks but name look-ups, which libcurl does on threads of its own. A multi handle with
 * its connections and its shared names and TLS sessions is an "engine": to forget all of them after
 * the network changed, the next request gets a new one, and the old one ends with its last call. */
#include <config.h>

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/ca.h"
#include "core/net/http.h"
#include "core/net/http_parts.h"
#include "core/net/proxy.h"
#include "core/net/url.h"

#define BODY_MAX (4u * 1024u * 1024u)
#define CONNECT_MS 10000
#define KEPT_CONNECTIONS 16L
#define BUFFER_BYTES 4096L
#define STREAM_BUFFER_BYTES 65536L

struct engine {
	struct http *http;
	CURLM *multi;
	CURLSH *share;
	struct event *timer;
	unsigned calls;
};

struct http {
	struct event_base *base;
	char *user_agent;
	struct ca ca;
	struct proxy_rules proxy;
	struct curl_slist *connect_to;
	struct engine *engine; /* for new calls, NULL before the first */
	struct list calls, ended;
	bool *freed; /* set while results are handed out */
};

struct http_call {
	struct http *http;
	struct engine *engine;
	CURL *easy;
	struct list link; /* of http->calls or http->ended */
	http_done_fn *done;
	void *arg;
	char *method, *host;
	void *request_body;
	struct curl_slist *sent;
	char **headers;
	size_t header_bytes;
	bool proxied;
	bool headers_whole; /* the empty line behind them came */
	struct sbuf body;
	http_sink_fn *sink;
	http_source_fn *source;
	void *stream;
	int64_t timeout_ms, connect_ms;
	CURLcode code;
	int own_error; /* why we told libcurl to stop */
	char detail[CURL_ERROR_SIZE];
};

/* ---- engine ---- */

static struct http_call *call_free(struct http_call *c);
static void hand_out(struct http *h);

/* What libcurl has finished goes to the list of ended calls. */
static void
collect(struct engine *g)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(g->multi, &left))) {
		char *private = NULL;
		struct http_call *c;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &private);
		c = (struct http_call *)(void *)private;
		c->code = m->data.result;
		list_remove(&c->link);
		list_append(&g->http->ended, &c->link);
	}
}

static void
act(struct engine *g, curl_socket_t fd, int what)
{
	struct http *h = g->http;
	int running;

	curl_multi_socket_action(g->multi, fd, what, &running);
	collect(g);
	hand_out(h);
}

static void
on_socket_event(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants FD watched, otherwise, or no more. */
static int
on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *old)
{
	struct engine *g = arg;
	struct event *ev = old;
	short flags = EV_PERSIST;

	(void)easy;
	if (ev)
		event_free(ev);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(g->multi, fd, NULL);
		return 0;
	}
	flags |= what & CURL_POLL_IN ? EV_READ : 0;
	flags |= what & CURL_POLL_OUT ? EV_WRITE : 0;
	ev = event_new(g->http->base, fd, flags, on_socket_event, g);
	assert(ev);
	curl_multi_assign(g->multi, fd, ev);
	return event_add(ev, NULL);
}

static int
on_want_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct engine *g = arg;
	struct timeval tv;

	(void)multi;
	if (timeout_ms < 0)
		return evtimer_del(g->timer);
	clock_timeval(timeout_ms, &tv);
	return evtimer_add(g->timer, &tv);
}

/* Not before it is needed: OpenSSL's start takes milliseconds and a megabyte. */
static int
init_curl(struct err *e)
{
	static bool initialised;

	if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, -EIO, "libcurl cannot be initialised");
	initialised = true;
	return 0;
}

static struct engine *
engine_new(struct http *h)
{
	struct engine *g = xcalloc(1, sizeof(*g));

	g->http = h;
	g->multi = curl_multi_init();
	g->share = curl_share_init();
	g->timer = evtimer_new(h->base, on_timer, g);
	assert(g->multi && g->share && g->timer);
	curl_share_setopt(g->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(g->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	curl_multi_setopt(g->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(g->multi, CURLMOPT_SOCKETDATA, g);
	curl_multi_setopt(g->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(g->multi, CURLMOPT_TIMERDATA, g);
	curl_multi_setopt(g->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
	return g;
}

static void
engine_free(struct engine *g)
{
	curl_multi_cleanup(g->multi);
	curl_share_cleanup(g->share);
	event_free(g->timer);
	free(g);
}

static void
engine_leave(struct engine *g)
{
	g->calls--;
	if (g->calls == 0 && g->http->engine != g)
		engine_free(g);
}

void
http_drop_idle(struct http *h)
{
	struct engine *g = h->engine;

	h->engine = NULL;
	if (g && g->calls == 0)
		engine_free(g);
}

/* ---- the client ---- */

struct http *
http_new(struct event_base *base, const struct http_options *o, struct err *e)
{
	struct http *h = xcalloc(1, sizeof(*h));

	list_init(&h->calls);
	list_init(&h->ended);
	h->base = base;
	h->user_agent = xstrdup(o->user_agent);
	ca_init(&h->ca, o->ca_file, o->ca_path, o->ca_pem);
	for (char *const *v = o->connect_to; v && *v; v++)
		h->connect_to = curl_slist_append(h->connect_to, *v);
	if (proxy_rules_init(&h->proxy, o->proxy, o->no_proxy, e) < 0)
		return http_free(h);
	return h;
}

static void
free_calls(struct list *l)
{
	list_each(it, tmp, l)
		call_free(list_entry(it, struct http_call, link));
}

struct http *
http_free(struct http *h)
{
	if (!h)
		return NULL;
	if (h->freed)
		*h->freed = true;
	free_calls(&h->calls);
	free_calls(&h->ended);
	if (h->engine) /* older ones went with their calls */
		engine_free(h->engine);
	proxy_rules_done(&h->proxy);
	curl_slist_free_all(h->connect_to);
	free(h->user_agent);
	ca_done(&h->ca);
	free(h);
	return NULL;
}

/* ---- one call: what arrives ---- */

static size_t
stop(struct http_call *c, int error)
{
	c->own_error = error;
	return 0;
}

static size_t
on_header(char *line, size_t size, size_t len, void *arg)
{
	struct http_call *c = arg;

	len *= size;
	c->header_bytes += len;
	if (c->header_bytes > HTTP_HEADERS_MAX)
		return stop(c, -E2BIG);
	http_take_line(&c->headers, &c->headers_whole, line, len);
	return len;
}

static int
status_of(CURL *easy)
{
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

static size_t
on_body(char *data, size_t size, size_t len, void *arg)
{
	struct http_call *c = arg;
	int r;

	len *= size;
	r = c->sink ? c->sink(c->stream, status_of(c->easy), data, len)
		    : sbuf_add(&c->body, data, len);
	if (r < 0 && len > 0)
		return stop(c, r);
	return len;
}

static size_t
on_upload(char *data, size_t size, size_t len, void *arg)
{
	struct http_call *c = arg;
	ssize_t n = c->source(c->stream, data, size * len);

	if (n >= 0)
		return (size_t)n;
	c->own_error = (int)n;
	return CURL_READFUNC_ABORT;
}

/* ---- one call: its result ---- */

static const struct {
	CURLcode code;
	int result;
	const char *text;
} causes[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH, "the name cannot be resolved" },
	{ CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH, "the proxy's name cannot be resolved" },
	{ CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT, NULL },
	{ CURLE_COULDNT_CONNECT, -EHOSTUNREACH, NULL },
	{ CURLE_GOT_NOTHING, -ECONNRESET, "the connection was closed without an answer" },
	{ CURLE_PARTIAL_FILE, -ECONNRESET, "the answer broke off" },
	{ CURLE_RECV_ERROR, -ECONNRESET, "the connection broke off while reading" },
	{ CURLE_SEND_ERROR, -ECONNRESET, "the connection broke off while sending" },
	{ CURLE_PEER_FAILED_VERIFICATION, -EPROTO, NULL },
	{ CURLE_SSL_CACERT_BADFILE, -EPROTO, "the CA file cannot be read" },
	{ CURLE_SSL_CONNECT_ERROR, -EPROTO, "TLS failed" },
	{ CURLE_SSL_CERTPROBLEM, -EPROTO, "TLS failed" },
	{ CURLE_SSL_CIPHER, -EPROTO, "TLS failed" },
	{ CURLE_WEIRD_SERVER_REPLY, -EPROTO, "the answer is not HTTP" },
	{ CURLE_UNSUPPORTED_PROTOCOL, -EPROTO, "the answer is not HTTP" },
	{ CURLE_BAD_CONTENT_ENCODING, -EPROTO, "the answer is not HTTP" },
	{ CURLE_PROXY, -EHOSTUNREACH, "the proxy refused" },
};

static int
connect_result(CURL *easy)
{
	long number = 0;

	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
	if (number == ECONNREFUSED || number == ETIMEDOUT || number == ECONNRESET)
		return -(int)number;
	return -EHOSTUNREACH;
}

static char *
timeout_text(const struct http_call *c)
{
	curl_off_t connected = 0;
	int64_t limit = c->timeout_ms;

	curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
	if (connected == 0 && c->connect_ms < limit)
		limit = c->connect_ms;
	return xasprintf("%s: no %s within %.3g s", c->host,
			 connected	    ? "complete answer"
				 : c->proxied ? "connection through the proxy"
					      : "connection",
			 (double)limit / 1000);
}

/* A proxy that answers CONNECT with an error looks like a broken connection. */
static bool
proxy_refused(const struct http_call *c, char **ret_text)
{
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status < 300)
		return false;
	*ret_text = http_proxy_text(c->host, status);
	return true;
}

static const char *
cert_text(const struct http_call *c)
{
	long verify = 0;

	curl_easy_getinfo(c->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	return http_cert_text(verify, c->detail);
}

static const char *
no_proxy_there(const struct http_call *c)
{
	return c->proxied && c->code == CURLE_COULDNT_CONNECT ? "the proxy cannot be reached: "
							      : "";
}

static int
result_of(const struct http_call *c, char **ret_text)
{
	int result = -EIO;
	const char *text = curl_easy_strerror(c->code);

	if (c->code == CURLE_OK) {
		*ret_text = xasprintf("%s: status %d%s", c->host, status_of(c->easy),
				      c->headers_whole ? "" : ", then the answer broke off");
		return c->headers_whole ? 0 : -ECONNRESET;
	}
	if (c->own_error) {
		*ret_text = http_own_text(c->host, c->own_error, c->header_bytes,
					  c->sink ? 0 : c->body.max);
		return c->own_error;
	}
	if (proxy_refused(c, ret_text))
		return -EHOSTUNREACH;
	for (size_t i = 0; i < NELEMS(causes); i++)
		if (causes[i].code == c->code) {
			result = causes[i].result;
			text = causes[i].text;
		}
	if (c->code == CURLE_OPERATION_TIMEDOUT) {
		*ret_text = timeout_text(c);
		return result;
	}
	if (c->code == CURLE_COULDNT_CONNECT) {
		result = connect_result(c->easy);
		text = strerror(-result);
	} else if (c->code == CURLE_PEER_FAILED_VERIFICATION) {
		text = cert_text(c);
	}
	*ret_text = xasprintf("%s: %s%s%s%s", c->host, no_proxy_there(c), text,
			      c->detail[0] ? ": " : "", c->detail);
	return result;
}

/* The call is gone when its result is told: what is called here may free the client. */
static void
finish(struct http_call *c)
{
	autofree char *text = NULL;
	autostrv char **headers = c->headers;
	autosbuf struct sbuf body = c->body;
	http_done_fn *done = c->done;
	void *arg = c->arg;
	int result = result_of(c, &text);
	struct http_response r = { .status = status_of(c->easy), .headers = headers };
	const char *date = http_header(&r, "date");

	if (date && text_from_http_date(date, &r.date_ms) < 0)
		r.date_ms = 0;
	r.body = result == 0 ? sbuf_str(&body) : "";
	r.body_len = result == 0 ? body.len : 0;
	c->headers = NULL;
	sbuf_init(&c->body, 0);
	call_free(c);
	done(arg, result, text, &r);
}

static void
hand_out(struct http *h)
{
	struct http_call *c;
	bool freed = false;

	if (h->freed)
		return; /* a loop run by a callback: the outer round goes on */
	h->freed = &freed;
	while (!freed && (c = list_first(&h->ended, struct http_call, link)))
		finish(c);
	if (!freed)
		h->freed = NULL;
}

static struct http_call *
call_free(struct http_call *c)
{
	list_remove(&c->link);
	if (c->engine) {
		curl_multi_remove_handle(c->engine->multi, c->easy);
		curl_easy_cleanup(c->easy);
		engine_leave(c->engine);
	} else {
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->sent);
	strv_free(c->headers);
	sbuf_done(&c->body);
	free(c->method);
	free(c->host);
	free(c->request_body);
	free(c);
	return NULL;
}

void
http_cancel(struct http_call *c)
{
	if (c)
		call_free(c);
}

/* ---- one call: its start ---- */

/* libcurl adds headers of its own unless told not to: what is signed and sent shall be ours. */
static void
set_headers(struct http_call *c, const struct http_request *r)
{
	struct curl_slist *l = NULL;

	for (char *const *h = r->headers; h && *h; h++) {
		const char *value = strchr(*h, ':') + 1;
		autofree char *empty = NULL;

		if (!value[strspn(value, " \t")])
			empty = xasprintf("%.*s;", (int)(value - *h - 1), *h);
		l = curl_slist_append(l, empty ? empty : *h);
	}
	if (!http_has_header(r->headers, "Accept"))
		l = curl_slist_append(l, "Accept:");
	if (!http_has_header(r->headers, "Content-Type"))
		l = curl_slist_append(l, "Content-Type:");
	if (!r->source && !http_has_header(r->headers, "Expect"))
		l = curl_slist_append(l, "Expect:");
	c->sent = l;
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, l);
}

static void
set_method(struct http_call *c, const struct http_request *r)
{
	bool get = strcmp(c->method, "GET") == 0;

	if (r->source) {
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(c->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->source_len);
		curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
		curl_easy_setopt(c->easy, CURLOPT_UPLOAD_BUFFERSIZE, STREAM_BUFFER_BYTES);
	} else if (strcmp(c->method, "HEAD") == 0) {
		curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
		return;
	} else if (r->body_len > 0 || !get) {
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->request_body);
	}
	if (!get || r->source || r->body_len > 0)
		curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, c->method);
}

static void
set_limits(struct http_call *c, const struct http_request *r)
{
	c->timeout_ms = r->timeout_ms;
	c->connect_ms = r->connect_ms ? r->connect_ms : CONNECT_MS;
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)c->timeout_ms);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_ms);
	curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, c->sink ? STREAM_BUFFER_BYTES : BUFFER_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(c->easy, CURLOPT_TCP_KEEPINTVL, 10L);
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, (long)r->fresh);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* A name look-up that hangs must not hold whoever gives up waiting for it. */
	curl_easy_setopt(c->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void
set_protocol(struct http_call *c)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, 1L); /* as it was signed */
	curl_easy_setopt(c->easy, CURLOPT_USERAGENT, c->http->user_agent);
	curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->http->connect_to);
	curl_easy_setopt(c->easy, CURLOPT_SHARE, c->engine->share);
}

/* True when TLS is spoken to the proxy itself. */
static bool
set_proxy(struct http_call *c, const struct url *u, bool direct)
{
	const char *proxy = direct ? NULL : proxy_for(&c->http->proxy, u);

	c->proxied = proxy != NULL;
	/* "" keeps libcurl from reading the environment by its own rules. */
	curl_easy_setopt(c->easy, CURLOPT_PROXY, proxy ? proxy : "");
	curl_easy_setopt(c->easy, CURLOPT_NOPROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	return proxy && strncasecmp(proxy, "https:", 6) == 0;
}

static void
set_ca_pem(CURL *easy, char *pem)
{
#if LIBCURL_VERSION_NUM >= 0x074d00
	struct curl_blob blob = { .data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY };

	curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
	curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO_BLOB, &blob);
#else
	(void)easy;
	(void)pem;
#endif
}

/* Where nothing is known, libcurl's own default stays. */
static void
set_tls(struct http_call *c)
{
	struct ca *ca = &c->http->ca;

	ca_settle(ca);
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (ca->pem)
		set_ca_pem(c->easy, ca->pem);
	if (!ca->file && !ca->path)
		return;
	curl_easy_setopt(c->easy, CURLOPT_CAINFO, ca->file);
	curl_easy_setopt(c->easy, CURLOPT_CAPATH, ca->path);
	curl_easy_setopt(c->easy, CURLOPT_PROXY_CAINFO, ca->file);
	curl_easy_setopt(c->easy, CURLOPT_PROXY_CAPATH, ca->path);
}

static void
set_callbacks(struct http_call *c)
{
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->detail);
}

static struct http_call *
call_new(struct http *h, const struct http_request *r, const struct url *u)
{
	struct http_call *c = xcalloc(1, sizeof(*c));

	list_init(&c->link);
	sbuf_init(&c->body, r->max_bytes ? r->max_bytes : BODY_MAX);
	c->http = h;
	c->easy = curl_easy_init();
	assert(c->easy);
	c->host = url_host_header(u);
	c->method = xstrdup(r->method);
	c->request_body = xmemdup(r->body ? r->body : "", r->body ? r->body_len : 0);
	c->sink = r->sink;
	c->source = r->source;
	c->stream = r->stream;
	if (!h->engine)
		h->engine = engine_new(h);
	c->engine = h->engine;
	c->engine->calls++;
	return c;
}

struct http_call *
http_start(struct http *h, const struct http_request *r, http_done_fn *done, void *arg,
	   struct err *e)
{
	autourl struct url u = { 0 };
	autofree char *text = NULL;
	struct http_call *c;
	CURLMcode code;

	if (http_check_request(r, &u, e) < 0 || init_curl(e) < 0)
		return NULL;
	text = url_text(&u);
	c = call_new(h, r, &u);
	c->done = done;
	c->arg = arg;
	set_callbacks(c);
	set_protocol(c);
	set_limits(c, r);
	set_headers(c, r);
	set_method(c, r);
	if (set_proxy(c, &u, r->direct) || strcmp(u.scheme, "https") == 0)
		set_tls(c);
	curl_easy_setopt(c->easy, CURLOPT_URL, text);
	list_append(&h->calls, &c->link);
	code = curl_multi_add_handle(c->engine->multi, c->easy);
	if (code == CURLM_OK)
		return c;
	err_set(e, -EIO, "%s: libcurl did not take the request: %s", c->host,
		curl_multi_strerror(code));
	return call_free(c);
}
