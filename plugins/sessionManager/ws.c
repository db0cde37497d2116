/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket client: libcurl makes the byte stream (names, proxy, TLS), upgrade.c the HTTP part,
 * wslay the frames.
 *
 * Why like this: with CURLOPT_CONNECT_ONLY libcurl connects through its multi interface, so that
 * nothing waits, and then leaves reading and writing to us. The easy handle stays in the multi
 * handle, which owns the connection. */
#include "plugins/sessionManager/ws.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wslay/wslay.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/sessionManager/upgrade.h"

#define OPEN_MS 15000
#define PING_MS 15000
#define SILENCE_MS 40000
#define PROBE_MS 10000
#define FAREWELL_MS 1000 /* for the echo of a Close frame to leave */
#define MESSAGE_MAX (1u << 20)
#define QUEUE_MAX (4u << 20)
#define QUEUE_COUNT 4096u	 /* messages and pongs that wait: then nothing is read */
#define TURN_BYTES (256u * 1024) /* read in one turn of the loop, before others have theirs */
#define STAGE_BYTES (64u * 1024) /* of frames that are written at once */
#define REQUEST_MAX 65536u
#define PING_TEXT "keepalive"
#define CA_FOLDER "/etc/ssl/certs"

enum state {
	WS_CONNECTING,
	WS_UPGRADING,
	WS_OPEN,
	WS_LEAVING, /* a Close frame is on its way out */
	WS_CLOSED,
};

struct ws {
	struct ssm *S;
	struct ws_ops ops;
	void *arg;
	enum state state;
	unsigned depth; /* of callbacks; above 0, ws_free() only marks */
	bool freed;

	CURLM *multi;
	CURL *easy;
	struct ssm_watch *curl_timer;
	char detail[CURL_ERROR_SIZE];
	bool proxied;

	struct upgrade_url url;
	char key[UPGRADE_KEY_SIZE];
	struct sbuf out; /* the request, while it is sent */
	struct sbuf in;	 /* the answer, then what came behind it */

	struct ssm_watch *io;
	uint32_t io_events;
	struct ssm_watch *timer; /* the next thing that is due */
	int64_t due_ms;
	struct ssm_watch *soon; /* go on reading, or tell the end */

	wslay_event_context_ptr frames;
	size_t turn; /* bytes read in this turn */
	/* Frames on their way out. It never moves: what TLS did not take it wants to see again at
	 * the same place. */
	char *stage;
	size_t staged;
	size_t message_max, queue_max;
	bool was_full;
	int64_t open_ms, ping_ms, silence_ms;
	int64_t begun_ms, heard_ms, pinged_ms, probe_until_ms, leaving_ms;

	int result, status;
	char *why;
};

/* --------------------------------------------------------------- the end */

static void
end_watch(struct ws *w, struct ssm_watch **watch)
{
	struct ssm_watch *old = TAKE(*watch);

	if (old)
		w->S->api->watch_end(w->S, old);
}

static void
disconnect(struct ws *w)
{
	end_watch(w, &w->io);
	end_watch(w, &w->timer);
	if (w->multi && w->easy)
		(void)curl_multi_remove_handle(w->multi, w->easy);
	if (w->easy)
		curl_easy_cleanup(TAKE(w->easy));
	if (w->multi)
		(void)curl_multi_cleanup(TAKE(w->multi));
	end_watch(w, &w->curl_timer);
}

static void
destroy(struct ws *w)
{
	end_watch(w, &w->soon);
	disconnect(w);
	if (w->frames)
		wslay_event_context_free(w->frames);
	upgrade_url_done(&w->url);
	free(w->stage);
	sbuf_wipe(&w->out);
	sbuf_done(&w->in);
	free(w->why);
	free(w);
}

struct ws *
ws_free(struct ws *w)
{
	if (!w)
		return NULL;
	w->freed = true;
	w->state = WS_CLOSED;
	if (w->depth == 0)
		destroy(w);
	return NULL;
}

/* Around everything that may call back. */
static void
enter(struct ws *w)
{
	w->depth++;
}

static void
leave(struct ws *w)
{
	if (--w->depth == 0 && w->freed)
		destroy(w);
}

static void set_timer(struct ws *w, struct ssm_watch **watch, int64_t ms, ssm_timer_fn *fn);
static int32_t on_soon(struct ssm *S, struct ssm_watch *watch, void *arg);

/* The first reason counts. It is told from the loop, when nothing of us is on the stack. */
__attribute__((format(printf, 4, 5))) static void
end(struct ws *w, int result, int status, const char *fmt, ...)
{
	va_list ap;

	if (w->state == WS_CLOSED)
		return;
	w->state = WS_CLOSED;
	w->result = result;
	w->status = status;
	va_start(ap, fmt);
	w->why = xvasprintf(fmt, ap);
	va_end(ap);
	set_timer(w, &w->soon, 0, on_soon);
}

/* ----------------------------------------------------------------- timers */

static void
set_timer(struct ws *w, struct ssm_watch **watch, int64_t ms, ssm_timer_fn *fn)
{
	const struct ssm_watch_on on = {
		.size = sizeof(on), .timer_fn = fn, .arg = w, .after_ms = ms > 0 ? ms : 0
	};

	end_watch(w, watch);
	if (!w->freed)
		(void)w->S->api->watch(w->S, &on, watch);
}

static int64_t
next_due(const struct ws *w)
{
	int64_t ping = w->pinged_ms + w->ping_ms, dead = w->heard_ms + w->silence_ms;

	if (w->state == WS_CONNECTING || w->state == WS_UPGRADING)
		return w->begun_ms + w->open_ms;
	if (w->state == WS_LEAVING)
		return w->leaving_ms + FAREWELL_MS;
	if (w->probe_until_ms && w->probe_until_ms < dead)
		dead = w->probe_until_ms;
	return ping < dead ? ping : dead;
}

static int32_t on_timer(struct ssm *S, struct ssm_watch *watch, void *arg);

static void
arm(struct ws *w)
{
	int64_t due = next_due(w);

	if (w->state == WS_CLOSED || (w->timer && w->due_ms <= due))
		return; /* it will look again */
	w->due_ms = due;
	set_timer(w, &w->timer, due - clock_mono_ms(), on_timer);
}

static void update(struct ws *w);
static void finish_leaving(struct ws *w);

static void
send_ping(struct ws *w)
{
	const struct wslay_event_msg ping = { WSLAY_PING, (const uint8_t *)PING_TEXT,
					      sizeof(PING_TEXT) - 1 };

	w->pinged_ms = clock_mono_ms();
	(void)wslay_event_queue_msg(w->frames, &ping);
}

static void
on_due(struct ws *w, int64_t now)
{
	bool probed = w->probe_until_ms && now >= w->probe_until_ms;

	if (w->state == WS_LEAVING) {
		finish_leaving(w);
	} else if (w->state != WS_OPEN) {
		end(w, -ETIMEDOUT, 0, "%s: no %s within %lld ms", w->url.host,
		    w->state == WS_CONNECTING ? "connection" : "answer to the upgrade",
		    (long long)w->open_ms);
	} else if (probed || now >= w->heard_ms + w->silence_ms) {
		end(w, -ETIMEDOUT, 0, "%s: nothing was heard for %lld ms", w->url.host,
		    (long long)(now - w->heard_ms));
	} else {
		send_ping(w);
		update(w);
	}
}

static int32_t
on_timer(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct ws *w = arg;
	int64_t now = clock_mono_ms();

	(void)S;
	(void)watch;
	enter(w);
	w->timer = NULL;
	if (now >= next_due(w))
		on_due(w, now);
	arm(w);
	leave(w);
	return 0;
}

/* ----------------------------------------------------------- byte stream */

/* Bytes read, 0: none now, -errno. What came behind the answer to the upgrade goes first. */
static ssize_t
read_some(struct ws *w, void *buf, size_t len)
{
	size_t n = w->in.len < len ? w->in.len : len, got = 0;
	CURLcode code;

	if (w->state != WS_UPGRADING && n) {
		memcpy(buf, w->in.p, n);
		sbuf_consume(&w->in, n);
		return (ssize_t)n;
	}
	code = curl_easy_recv(w->easy, buf, len, &got);
	if (code == CURLE_AGAIN)
		return 0;
	if (code != CURLE_OK || got == 0) {
		end(w, -ECONNRESET, 0, "%s: the connection %s", w->url.host,
		    code == CURLE_OK ? "was closed by the other side" : "broke off");
		return -ECONNRESET;
	}
	w->heard_ms = clock_mono_ms();
	w->probe_until_ms = 0;
	return (ssize_t)got;
}

static ssize_t
write_some(struct ws *w, const void *data, size_t len)
{
	size_t sent = 0;
	CURLcode code = curl_easy_send(w->easy, data, len, &sent);

	if (code == CURLE_AGAIN)
		return 0;
	if (code == CURLE_OK)
		return (ssize_t)sent;
	end(w, -ECONNRESET, 0, "%s: the connection broke off", w->url.host);
	return -ECONNRESET;
}

/* ----------------------------------------------------------------- frames */

static ssize_t
frames_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *arg)
{
	struct ws *w = arg;
	ssize_t n;

	(void)flags;
	n = w->state == WS_CLOSED	? -ECONNRESET
		: w->turn >= TURN_BYTES ? 0
					: read_some(w, buf, len);
	if (n > 0) {
		w->turn += (size_t)n;
		return n;
	}
	wslay_event_set_error(ctx, n == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* What is staged, as far as the connection takes it. 0, or an error. */
static int
flush(struct ws *w)
{
	while (w->staged > 0) {
		ssize_t n = write_some(w, w->stage, w->staged);

		if (n <= 0)
			return (int)n;
		w->staged -= (size_t)n;
		memmove(w->stage, w->stage + n, w->staged);
	}
	return 0;
}

static ssize_t
frames_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws *w = arg;
	size_t room;
	int r = w->state == WS_CLOSED ? -ECONNRESET : 0;

	(void)flags;
	if (r == 0 && STAGE_BYTES - w->staged < len)
		r = flush(w);
	room = STAGE_BYTES - w->staged;
	if (r < 0 || room == 0) {
		wslay_event_set_error(ctx,
				      r < 0 ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	len = len < room ? len : room;
	memcpy(w->stage + w->staged, data, len);
	w->staged += len;
	return (ssize_t)len;
}

static int
frames_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *arg)
{
	(void)ctx;
	(void)arg;
	rand_bytes(buf, len);
	return 0;
}

static void
frames_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *arg)
{
	struct ws *w = arg;

	(void)ctx;
	if (w->state == WS_OPEN && !wslay_is_ctrl_frame(m->opcode))
		w->ops.message(w->arg, m->opcode == WSLAY_TEXT_FRAME, m->msg, m->msg_length);
}

static int
start_frames(struct ws *w)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = frames_recv,
		.send_callback = frames_send,
		.genmask_callback = frames_mask,
		.on_msg_recv_callback = frames_message,
	};

	if (wslay_event_context_client_init(&w->frames, &callbacks, w) != 0)
		return -ENOMEM;
	w->stage = xmalloc(STAGE_BYTES);
	wslay_event_config_set_max_recv_msg_length(w->frames, w->message_max);
	return 0;
}

/* The frames are at their end: the peer's Close, or a rule that it broke. */
static void
start_leaving(struct ws *w)
{
	w->state = WS_LEAVING;
	w->leaving_ms = clock_mono_ms();
	end_watch(w, &w->timer);
}

/* What our Close said is known once it is on its way. */
static void
finish_leaving(struct ws *w)
{
	if (wslay_event_get_close_received(w->frames))
		end(w, -ECONNRESET, 0, "%s: the other side closed the WebSocket with code %u",
		    w->url.host, (unsigned)wslay_event_get_status_code_received(w->frames));
	else
		end(w, -EPROTO, 0, "%s: the other side broke a rule of WebSockets%s", w->url.host,
		    wslay_event_get_status_code_sent(w->frames) == WSLAY_CODE_MESSAGE_TOO_BIG
			    ? ": a message is too large"
			    : "");
}

static bool
wants_to_write(const struct ws *w)
{
	return w->staged > 0 || wslay_event_want_write(w->frames);
}

static bool
is_full(const struct ws *w)
{
	return wslay_event_get_queued_msg_count(w->frames) >= QUEUE_COUNT;
}

static void
read_frames(struct ws *w)
{
	w->turn = 0;
	if (wslay_event_recv(w->frames) != 0)
		end(w, -EPROTO, 0, "%s: the frames cannot be read", w->url.host);
	if (w->state == WS_OPEN && !wslay_event_get_read_enabled(w->frames))
		start_leaving(w);
	/* TLS may hold bytes that no event of the descriptor tells of. */
	if (w->state == WS_OPEN && w->turn >= TURN_BYTES && !w->soon)
		set_timer(w, &w->soon, 0, on_soon);
}

static void
write_frames(struct ws *w)
{
	if (wslay_event_send(w->frames) != 0)
		end(w, -ECONNRESET, 0, "%s: the frames cannot be sent", w->url.host);
	if (w->state != WS_CLOSED)
		(void)flush(w);
	if (w->state == WS_LEAVING && !wants_to_write(w))
		finish_leaving(w);
	if (w->state == WS_OPEN && w->was_full && ws_queued(w) <= w->queue_max / 2) {
		w->was_full = false;
		if (w->ops.writable)
			w->ops.writable(w->arg);
	}
}

/* ------------------------------------------------------------ descriptor */

static int32_t on_io(struct ssm *S, struct ssm_watch *watch, int32_t fd, uint32_t events,
		     void *arg);

static uint32_t
wanted_events(const struct ws *w)
{
	if (w->state == WS_UPGRADING)
		return SSM_READ | (w->out.len ? SSM_WRITE : 0);
	return (w->state == WS_OPEN && !is_full(w) ? SSM_READ : 0) |
		(wants_to_write(w) ? SSM_WRITE : 0);
}

/* After everything that changes what is waited for. */
static void
update(struct ws *w)
{
	uint32_t events;

	if (w->state == WS_CLOSED) {
		end_watch(w, &w->io);
		return;
	}
	if (!w->io)
		return;
	events = wanted_events(w);
	if (events != w->io_events && w->S->api->watch_set(w->S, w->io, events) < 0)
		end(w, -EIO, 0, "%s: the connection cannot be watched", w->url.host);
	w->io_events = events;
	arm(w);
}

/* ---------------------------------------------------------------- upgrade */

static void
open_frames(struct ws *w, size_t used)
{
	sbuf_consume(&w->in, used);
	sbuf_wipe(&w->out);
	if (start_frames(w) < 0) {
		end(w, -ENOMEM, 0, "%s: no memory", w->url.host);
		return;
	}
	w->state = WS_OPEN;
	w->pinged_ms = w->heard_ms = clock_mono_ms();
	end_watch(w, &w->timer);
	w->ops.opened(w->arg);
	if (w->state == WS_OPEN && w->in.len)
		read_frames(w);
}

static void
read_answer(struct ws *w)
{
	char block[4096];
	ssize_t n = read_some(w, block, sizeof(block));
	size_t used = 0;
	struct err e = { 0, "" };
	int r, status = 0;

	if (n <= 0)
		return;
	(void)sbuf_add(&w->in, block, (size_t)n);
	r = upgrade_read(w->in.p, w->in.len, w->key, &used, &status, &e);
	if (r < 0)
		end(w, r, r == -EPROTO || r == -E2BIG ? 0 : status, "%s: %s", w->url.host,
		    err_text(&e));
	else if (r == 0)
		open_frames(w, used);
}

static void
write_request(struct ws *w)
{
	ssize_t n = write_some(w, w->out.p, w->out.len);

	if (n > 0)
		sbuf_consume(&w->out, (size_t)n);
}

static int32_t
on_io(struct ssm *S, struct ssm_watch *watch, int32_t fd, uint32_t events, void *arg)
{
	struct ws *w = arg;

	(void)S;
	(void)watch;
	(void)fd;
	enter(w);
	if (w->state == WS_UPGRADING) {
		if (w->out.len && (events & SSM_WRITE))
			write_request(w);
		if (w->state == WS_UPGRADING && (events & SSM_READ))
			read_answer(w);
	} else {
		if (w->state == WS_OPEN && (events & SSM_READ))
			read_frames(w);
		/* What reading has queued goes out at once, without one more turn. */
		if (w->state == WS_OPEN || w->state == WS_LEAVING)
			write_frames(w);
	}
	if (!w->freed)
		update(w);
	leave(w);
	return 0;
}

static int32_t
on_soon(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct ws *w = arg;

	(void)S;
	(void)watch;
	enter(w);
	w->soon = NULL;
	if (w->state == WS_CLOSED) {
		disconnect(w);
		w->ops.closed(w->arg, w->result, w->status, w->why);
	} else {
		if (w->state == WS_OPEN && w->turn >= TURN_BYTES)
			read_frames(w);
		if (w->state != WS_CLOSED)
			write_frames(w);
		if (!w->freed)
			update(w);
	}
	leave(w);
	return 0;
}

/* ---------------------------------------------------------------- connect */

static void
start_upgrade(struct ws *w)
{
	struct ssm_watch_on on = { .size = sizeof(on), .fd_fn = on_io, .arg = w };
	curl_socket_t fd = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(w->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
	    fd == CURL_SOCKET_BAD) {
		end(w, -EIO, 0, "%s: libcurl has no descriptor of its connection", w->url.host);
		return;
	}
	w->state = WS_UPGRADING;
	on.fd = fd;
	on.events = w->io_events = wanted_events(w);
	if (w->S->api->watch(w->S, &on, &w->io) < 0)
		end(w, -EIO, 0, "%s: the connection cannot be watched", w->url.host);
}

static int
result_of(CURL *easy, CURLcode code)
{
	long number = 0;

	if (code == CURLE_OPERATION_TIMEDOUT)
		return -ETIMEDOUT;
	if (code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_CACERT_BADFILE)
		return -EPROTO;
	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
	return number > 0 ? -(int)number : -EHOSTUNREACH;
}

/* What libcurl says may quote the other side. */
static void
fail_connect(struct ws *w, CURLcode code)
{
	autofree char *detail = text_escape_controls(w->detail, strlen(w->detail));
	long status = 0;

	curl_easy_getinfo(w->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	if (w->proxied && status >= 300)
		end(w, -EHOSTUNREACH, 0, "%s: the proxy refused with status %ld", w->url.host,
		    status);
	else
		end(w, result_of(w->easy, code), 0, "%s: %s%s%s", w->url.host,
		    curl_easy_strerror(code), *detail ? ": " : "", detail);
}

static void
act(struct ws *w, curl_socket_t fd, int what)
{
	int running, left;
	CURLMsg *m;

	enter(w);
	(void)curl_multi_socket_action(w->multi, fd, what, &running);
	while (w->state == WS_CONNECTING && (m = curl_multi_info_read(w->multi, &left))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		if (m->data.result == CURLE_OK)
			start_upgrade(w);
		else
			fail_connect(w, m->data.result);
	}
	leave(w);
}

static int32_t
on_curl_fd(struct ssm *S, struct ssm_watch *watch, int32_t fd, uint32_t events, void *arg)
{
	(void)S;
	(void)watch;
	act(arg, fd,
	    (events & SSM_READ ? CURL_CSELECT_IN : 0) |
		    (events & SSM_WRITE ? CURL_CSELECT_OUT : 0));
	return 0;
}

static int
on_curl_wants(CURL *easy, curl_socket_t fd, int what, void *arg, void *old)
{
	struct ws *w = arg;
	struct ssm_watch *watch = old;
	struct ssm_watch_on on = { .size = sizeof(on), .fd_fn = on_curl_fd, .arg = w, .fd = fd };

	(void)easy;
	on.events = (what & CURL_POLL_IN ? SSM_READ : 0) | (what & CURL_POLL_OUT ? SSM_WRITE : 0);
	end_watch(w, &watch);
	if (what != CURL_POLL_REMOVE)
		(void)w->S->api->watch(w->S, &on, &watch);
	(void)curl_multi_assign(w->multi, fd, watch);
	return 0;
}

static int32_t
on_curl_timer(struct ssm *S, struct ssm_watch *watch, void *arg)
{
	struct ws *w = arg;

	(void)S;
	(void)watch;
	w->curl_timer = NULL;
	act(w, CURL_SOCKET_TIMEOUT, 0);
	return 0;
}

static int
on_curl_wants_timer(CURLM *multi, long ms, void *arg)
{
	struct ws *w = arg;

	(void)multi;
	end_watch(w, &w->curl_timer);
	if (ms >= 0)
		set_timer(w, &w->curl_timer, ms, on_curl_timer);
	return 0;
}

/* ------------------------------------------------------------------ start */

static int
make_handles(struct ws *w, struct err *e)
{
	static bool initialised;

	if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(e, -EIO, "libcurl cannot be initialised");
	initialised = true;
	w->multi = curl_multi_init();
	w->easy = curl_easy_init();
	if (!w->multi || !w->easy)
		return err_set(e, -ENOMEM, "libcurl has no memory");
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, on_curl_wants);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, on_curl_wants_timer);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	return 0;
}

static void
set_ca(struct ws *w, const struct ws_options *o)
{
	if (o->ca_file && *o->ca_file) {
		curl_easy_setopt(w->easy, CURLOPT_CAINFO, o->ca_file);
		curl_easy_setopt(w->easy, CURLOPT_CAPATH, NULL);
	} else if (access(CA_FOLDER, X_OK) == 0) {
		curl_easy_setopt(w->easy, CURLOPT_CAPATH, CA_FOLDER);
	}
}

static int
set_options(struct ws *w, const struct ws_options *o, struct err *e)
{
	bool ok = curl_easy_setopt(w->easy, CURLOPT_URL, w->url.connect) == CURLE_OK &&
		curl_easy_setopt(w->easy, CURLOPT_PROXY, o->proxy ? o->proxy : "") == CURLE_OK &&
		curl_easy_setopt(w->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK;

	w->proxied = o->proxy && *o->proxy;
	curl_easy_setopt(w->easy, CURLOPT_NOPROXY, "");
	/* Through a proxy in every case, or it would be asked to GET something. */
	curl_easy_setopt(w->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(w->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(w->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(w->easy, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(w->easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(w->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)w->open_ms);
	curl_easy_setopt(w->easy, CURLOPT_ERRORBUFFER, w->detail);
	curl_easy_setopt(w->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* Else HTTP/2 might be agreed upon, which has no such upgrade. */
	curl_easy_setopt(w->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set_ca(w, o);
	return ok ? 0 : err_set(e, -EINVAL, "%s or its proxy cannot be used", w->url.host);
}

static void
take_limits(struct ws *w, const struct ws_options *o)
{
	w->open_ms = o->open_ms ? o->open_ms : OPEN_MS;
	w->ping_ms = o->ping_ms ? o->ping_ms : PING_MS;
	w->silence_ms = o->silence_ms ? o->silence_ms : SILENCE_MS;
	w->message_max = o->message_max ? o->message_max : MESSAGE_MAX;
	w->queue_max = o->queue_max ? o->queue_max : QUEUE_MAX;
}

static int
start(struct ws *w, const struct ws_options *o, struct err *e)
{
	int r = upgrade_url_read(o->url, &w->url, e);

	if (r < 0)
		return r;
	upgrade_key(w->key);
	r = upgrade_write(&w->url, w->key, o->headers, &w->out, e);
	if (r == 0)
		r = make_handles(w, e);
	if (r == 0)
		r = set_options(w, o, e);
	if (r < 0)
		return r;
	w->begun_ms = clock_mono_ms();
	arm(w);
	if (curl_multi_add_handle(w->multi, w->easy) != CURLM_OK)
		return err_set(e, -EIO, "libcurl does not take the connection");
	return 0;
}

struct ws *
ws_open(struct ssm *S, const struct ws_options *o, const struct ws_ops *ops, void *arg,
	struct err *e)
{
	struct ws *w = xcalloc(1, sizeof(*w));

	w->S = S;
	w->ops = *ops;
	w->arg = arg;
	sbuf_init(&w->out, REQUEST_MAX);
	sbuf_init(&w->in, UPGRADE_ANSWER_MAX + 4096);
	take_limits(w, o);
	if (start(w, o, e) == 0)
		return w;
	return ws_free(w);
}

/* ------------------------------------------------------------------- send */

size_t
ws_queued(const struct ws *w)
{
	return w->frames ? w->staged + wslay_event_get_queued_msg_length(w->frames) : 0;
}

int
ws_send(struct ws *w, bool text, const void *data, size_t len)
{
	const struct wslay_event_msg m = { text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, data,
					   len };

	if (w->state != WS_OPEN)
		return -EPIPE;
	if (len == 0)
		return -EINVAL;
	if (len > w->queue_max)
		return -EMSGSIZE;
	if (ws_queued(w) + len > w->queue_max || is_full(w)) {
		w->was_full = true;
		return -EAGAIN;
	}
	if (wslay_event_queue_msg(w->frames, &m) != 0)
		return -EPIPE;
	/* Else it is looked at when the callback is over, or the connection takes more. Once for
	 * all that is sent in this turn of the loop, and mostly without waiting for an event. */
	if (w->depth == 0 && !w->soon && !(w->io_events & SSM_WRITE))
		set_timer(w, &w->soon, 0, on_soon);
	return 0;
}

void
ws_probe(struct ws *w)
{
	int64_t now = clock_mono_ms();

	if (w->state != WS_OPEN || w->probe_until_ms)
		return;
	w->probe_until_ms = now + PROBE_MS;
	send_ping(w);
	if (w->depth == 0)
		update(w);
}
