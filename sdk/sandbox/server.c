/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: libmicrohttpd on the sandbox's own loop, one thread. */
#include "sdk/sandbox/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/exchange.h"
#include "sdk/sandbox/journal.h"

#define BODY_MAX ((size_t)4 << 20)
#define PEM_MAX ((size_t)1 << 20)
#define SLOW_BYTES_MIN ((size_t)64)

struct server {
	struct sandbox *sb;
	struct MHD_Daemon *daemon;
	struct server *tls; /* a second one, with TLS, or NULL */
	struct watch *watch;
	uint16_t port;
	struct list exchanges;
	int64_t requests;
};

/* ---- one exchange ---- */

static void *
exchange_new(void *arg, const char *uri, struct MHD_Connection *conn)
{
	struct server *s = arg;
	struct exchange *ex = xcalloc(1, sizeof(*ex));
	size_t path = strcspn(uri, "?");

	ex->sb = s->sb;
	ex->conn = conn;
	ex->path = xstrndup(uri, path);
	ex->query = xstrdup(uri[path] ? uri + path + 1 : "");
	ex->service = "";
	ex->begun_us = sandbox_mono_us();
	sbuf_init(&ex->body, BODY_MAX);
	list_init(&ex->parked);
	list_append(&s->exchanges, &ex->link);
	s->requests++;
	return ex;
}

static void
leave_park(struct exchange *ex)
{
	timer_cancel(ex->sb->ev, &ex->timer);
	ex->hangup = events_unwatch(ex->sb->ev, ex->hangup);
	list_remove(&ex->parked);
}

static void
exchange_free(void *arg, struct MHD_Connection *conn, void **con_cls,
	      enum MHD_RequestTerminationCode how)
{
	struct exchange *ex = *con_cls;

	(void)arg;
	(void)conn;
	(void)how;
	if (!ex)
		return;
	*con_cls = NULL;
	leave_park(ex);
	list_remove(&ex->link);
	/* Only now, so that the answer does not wait for it. */
	if (ex->ended_us)
		journal_write(ex->sb->journal, ex);
	json_decref(ex->request);
	json_decref(ex->payload);
	sbuf_done(&ex->body);
	for (size_t i = 0; i < ex->header_count; i++) {
		free((char *)ex->headers[i].name);
		free((char *)ex->headers[i].value);
	}
	strv_free(ex->more);
	free(ex->accept);
	free(ex->method);
	free(ex->path);
	free(ex->query);
	free(ex->operation);
	free(ex->answer);
	free(ex->code);
	free(ex->message);
	free(ex);
}

static char *
lower(const char *s)
{
	char *copy = xstrdup(s);

	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

static enum MHD_Result
take_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct exchange *ex = arg;

	(void)kind;
	ex->too_many_headers = ex->header_count == EXCHANGE_HEADERS;
	if (ex->too_many_headers)
		return MHD_NO;
	ex->headers[ex->header_count].name = lower(name);
	ex->headers[ex->header_count++].value = xstrdup(value ? value : "");
	return MHD_YES;
}

const char *
exchange_header(const struct exchange *ex, const char *name)
{
	for (size_t i = 0; i < ex->header_count; i++)
		if (strcmp(ex->headers[i].name, name) == 0)
			return ex->headers[i].value;
	return NULL;
}

int
exchange_header_count(const struct exchange *ex, const char *name)
{
	int n = 0;

	for (size_t i = 0; i < ex->header_count; i++)
		n += strcmp(ex->headers[i].name, name) == 0;
	return n;
}

const char *
exchange_stray_header(const struct exchange *ex, const char *const *known)
{
	for (size_t i = 0; i < ex->header_count; i++) {
		const char *name = ex->headers[i].name;

		if (text_starts(name, "x-amz-") &&
		    (!strv_has((char **)(uintptr_t)known, name) ||
		     exchange_header_count(ex, name) != 1))
			return name;
	}
	return NULL;
}

/* Every way out of the waiting state ends here. */
static void
wake(struct exchange *ex)
{
	leave_park(ex);
	if (!ex->suspended)
		return;
	ex->suspended = false;
	MHD_resume_connection(ex->conn);
}

static void
finish(struct exchange *ex, enum exchange_state state)
{
	ex->state = state;
	ex->ended_us = sandbox_mono_us();
	wake(ex);
}

void
exchange_answer(struct exchange *ex, unsigned status, const char *type, const void *data,
		size_t len)
{
	if (ex->state != EXCHANGE_WORKING || dispatch_spoil(ex))
		return;
	ex->status = status;
	ex->type = type;
	ex->answer = xmemdup(data, len);
	ex->answer_len = len;
	finish(ex, EXCHANGE_READY);
}

void
exchange_add_header(struct exchange *ex, const char *name, const char *value)
{
	if (value)
		strv_addf(&ex->more, "%s: %s", name, value);
}

void
exchange_answer_text(struct exchange *ex, unsigned status, const char *text)
{
	exchange_answer(ex, status, "text/plain", text, strlen(text));
}

void
exchange_answer_json(struct exchange *ex, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	exchange_answer(ex, 200, "application/x-amz-json-1.1", text ? text : "",
			text ? strlen(text) : 0);
	free(text);
}

static void
add_escaped(struct sbuf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&')
			(void)sbuf_addf(b, "&#%d;", *s);
		else
			(void)sbuf_addc(b, *s);
	}
}

/* Each in its own form. */
static bool
refuses_in_xml(const char *service)
{
	return strcmp(service, "ssmmessages") == 0 || strcmp(service, "s3") == 0 ||
		strcmp(service, "sts") == 0;
}

static void
refuse_in_xml(struct exchange *ex, unsigned status)
{
	autosbuf struct sbuf b = SBUF_INIT(BODY_MAX);
	bool ssmmessages = strcmp(ex->service, "ssmmessages") == 0;
	bool sts = strcmp(ex->service, "sts") == 0;

	if (ssmmessages)
		(void)sbuf_addf(&b, "<%s><Message>", ex->code);
	else
		(void)sbuf_addf(&b, "%s<Error><Code>%s</Code><Message>",
				sts ? "<ErrorResponse>" : "", ex->code);
	add_escaped(&b, ex->message);
	(void)sbuf_addf(&b, "</Message></%s>%s", ssmmessages ? ex->code : "Error",
			sts ? "</ErrorResponse>" : "");
	exchange_answer(ex, status, "application/xml", b.p, b.len);
}

void
exchange_refuse(struct exchange *ex, unsigned status, const char *code, const char *fmt, ...)
{
	autojson json_t *body = NULL;
	const char *bare = strchr(code, '#');
	char *text;
	va_list ap;

	va_start(ap, fmt);
	free(ex->message);
	ex->message = xvasprintf(fmt, ap);
	va_end(ap);
	free(ex->code);
	ex->code = xstrdup(bare ? bare + 1 : code);
	if (refuses_in_xml(ex->service)) {
		refuse_in_xml(ex, status);
		return;
	}
	body = json_pack("{s:s, s:s+}", "__type", code, "message", ex->message, "");
	if (!body) /* not UTF-8 */
		body = json_pack("{s:s, s:s}", "__type", code, "message", "");
	text = json_dumps(body, JSON_COMPACT);
	exchange_answer(ex, status, "application/x-amz-json-1.1", text, strlen(text));
	free(text);
}

void
exchange_refuse_for(struct exchange *ex, const struct refusal *why)
{
	exchange_refuse(ex, 400, why->code, "%s", why->text);
}

void
exchange_cut(struct exchange *ex, bool reset)
{
	const union MHD_ConnectionInfo *info;
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	if (ex->state == EXCHANGE_DROPPED)
		return;
	info = MHD_get_connection_info(ex->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	/* Dissolving the association of an open connection makes the kernel send a reset. */
	if (reset && info)
		connect(info->connect_fd, &nowhere, sizeof(nowhere));
	finish(ex, EXCHANGE_DROPPED);
}

static void
on_hangup(void *arg, uint32_t revents)
{
	struct exchange *ex = arg;

	(void)revents;
	if (ex->on_dropped)
		ex->on_dropped(ex);
	if (!ex->message)
		ex->message = xstrdup("the client went away");
	finish(ex, EXCHANGE_DROPPED);
}

void
exchange_watch_hangup(struct exchange *ex, void (*on_dropped)(struct exchange *ex))
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(ex->conn, MHD_CONNECTION_INFO_CONNECTION_FD);

	ex->on_dropped = on_dropped;
	if (info && !ex->hangup)
		ex->hangup = events_watch(ex->sb->ev, info->connect_fd, EPOLLRDHUP, on_hangup, ex);
}

/* ---- the answer ---- */

static ssize_t
read_cut_body(void *arg, uint64_t at, char *buf, size_t max)
{
	const struct exchange *ex = arg;
	size_t keep = (size_t)ex->fault.keep_bytes;

	if (keep >= ex->answer_len)
		keep = ex->answer_len ? ex->answer_len - 1 : 0;
	if (at >= keep)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (max > keep - at)
		max = keep - at;
	memcpy(buf, ex->answer + at, max);
	return (ssize_t)max;
}

static void
on_next_byte(void *arg)
{
	struct exchange *ex = arg;

	ex->byte_sent = false;
	wake(ex);
}

/* Short bodies are followed by blanks, or there would be nothing to be slow with. */
static size_t
slow_length(const struct exchange *ex)
{
	return ex->answer_len > SLOW_BYTES_MIN ? ex->answer_len : SLOW_BYTES_MIN;
}

static ssize_t
read_slow_body(void *arg, uint64_t at, char *buf, size_t max)
{
	struct exchange *ex = arg;

	(void)max;
	if (ex->byte_sent) {
		ex->suspended = true;
		MHD_suspend_connection(ex->conn);
		ex->timer.fn = on_next_byte;
		ex->timer.arg = ex;
		timer_in(ex->sb->ev, &ex->timer, ex->fault.every_ms);
		return 0;
	}
	*buf = ' ';
	if (at < ex->answer_len)
		*buf = ex->answer[at];
	ex->byte_sent = true;
	return 1;
}

/* "Tue, 05 Mar 2024 07:08:09 GMT", whatever the locale. */
static void
http_date(int64_t unix_ms, char *ret, size_t ret_size)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(unix_ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(ret, ret_size, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
		 tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		 tm.tm_sec);
}

static void
add_headers(struct MHD_Response *r, const struct exchange *ex)
{
	char text[64];

	http_date(sandbox_now_ms(ex->sb), text, sizeof(text));
	MHD_add_response_header(r, MHD_HTTP_HEADER_DATE, text);
	if (ex->type)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, ex->type);
	if (*ex->request_id)
		MHD_add_response_header(r, "x-amzn-RequestId", ex->request_id);
	if (ex->retry_after > 0) {
		if (ex->retry_date)
			http_date(sandbox_now_ms(ex->sb) + ex->retry_after * 1000, text,
				  sizeof(text));
		else
			snprintf(text, sizeof(text), "%lld", (long long)ex->retry_after);
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, text);
	}
	for (char **h = ex->more; h && *h; h++) {
		autofree char *name = xstrndup(*h, strcspn(*h, ":"));

		MHD_add_response_header(r, name, *h + strlen(name) + 2);
	}
	if (ex->token_ttl > 0) {
		snprintf(text, sizeof(text), "%lld", (long long)ex->token_ttl);
		MHD_add_response_header(r, "X-aws-ec2-metadata-token-ttl-seconds", text);
	}
}

/* ---- a connection that becomes something else ---- */

struct upgraded {
	struct MHD_UpgradeResponseHandle *handle;
};

static void
on_upgraded(void *arg, struct MHD_Connection *conn, void *con_cls, const char *extra,
	    size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	struct exchange *ex = arg;
	struct upgraded *u = xcalloc(1, sizeof(*u));

	(void)conn;
	(void)con_cls;
	u->handle = handle;
	ex->ended_us = sandbox_mono_us();
	journal_write(ex->sb->journal, ex);
	ex->ended_us = 0; /* that was its line */
	ex->upgrade(ex, u, fd, extra, extra_len);
}

void
exchange_end_upgraded(struct upgraded *u)
{
	MHD_upgrade_action(u->handle, MHD_UPGRADE_ACTION_CLOSE);
	free(u);
}

void
exchange_upgrade(struct exchange *ex, const char *accept, upgraded_fn *fn, const void *arg)
{
	ex->accept = xstrdup(accept);
	ex->upgrade = fn;
	ex->upgrade_arg = arg;
	exchange_answer(ex, MHD_HTTP_SWITCHING_PROTOCOLS, NULL, "", 0);
}

static struct MHD_Response *
upgrade_response(struct exchange *ex)
{
	struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgraded, ex);

	if (r) {
		MHD_add_response_header(r, MHD_HTTP_HEADER_UPGRADE, "websocket");
		MHD_add_response_header(r, "Sec-WebSocket-Accept", ex->accept);
	}
	return r;
}

static enum MHD_Result
send_answer(struct exchange *ex)
{
	struct MHD_Response *r;
	enum MHD_Result result;

	if (ex->upgrade)
		r = upgrade_response(ex);
	else if (ex->fault.kind == FAULT_TRUNCATE)
		r = MHD_create_response_from_callback(ex->answer_len ? ex->answer_len : 1, 4096,
						      read_cut_body, ex, NULL);
	else if (ex->fault.kind == FAULT_SLOW)
		r = MHD_create_response_from_callback(slow_length(ex), 1, read_slow_body, ex, NULL);
	else
		r = MHD_create_response_from_buffer(ex->answer_len, ex->answer,
						    MHD_RESPMEM_PERSISTENT);
	if (!r)
		return MHD_NO;
	add_headers(r, ex);
	result = MHD_queue_response(ex->conn, ex->status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result
answer_or_park(struct exchange *ex)
{
	if (ex->state == EXCHANGE_DROPPED)
		return MHD_NO;
	if (ex->state == EXCHANGE_READY)
		return send_answer(ex);
	ex->suspended = true;
	MHD_suspend_connection(ex->conn);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *conn, const char *url, const char *method,
	   const char *version, const char *data, size_t *len, void **con_cls)
{
	struct exchange *ex = *con_cls;

	(void)arg;
	(void)url;
	(void)version;
	if (!ex->method) { /* the headers are there */
		ex->method = xstrdup(method);
		MHD_get_connection_values(conn, MHD_HEADER_KIND, take_header, ex);
		return MHD_YES;
	}
	if (*len) {
		if (sbuf_add(&ex->body, data, *len) < 0)
			ex->too_large = true;
		*len = 0;
		return MHD_YES;
	}
	if (ex->state == EXCHANGE_READING) {
		ex->state = EXCHANGE_WORKING;
		dispatch_exchange(ex);
	}
	return answer_or_park(ex);
}

/* ---- the daemon ---- */

static void
on_ready(void *arg, uint32_t revents)
{
	(void)arg;
	(void)revents; /* server_run_once() lets the daemon look */
}

static struct MHD_Daemon *
start_daemon(struct server *s, uint16_t port, const struct MHD_OptionItem *more)
{
	const bool ipv6 = s->sb->set.ipv6;
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	v6.sin6_addr = in6addr_loopback;
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
					MHD_USE_SUPPRESS_DATE_NO_CLOCK |
					(ipv6 ? MHD_USE_IPv6 : 0) |
					(more->option == MHD_OPTION_END ? 0 : MHD_USE_TLS),
				port, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR,
				ipv6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
				MHD_OPTION_URI_LOG_CALLBACK, exchange_new, s,
				MHD_OPTION_NOTIFY_COMPLETED, exchange_free, s,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536,
				MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_ARRAY, more,
				MHD_OPTION_END);
}

static struct server *
open_one(struct sandbox *sb, uint16_t port, const struct MHD_OptionItem *more)
{
	struct server *s = xcalloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;

	s->sb = sb;
	list_init(&s->exchanges);
	s->daemon = start_daemon(s, port, more);
	if (!s->daemon) {
		free(s);
		return NULL;
	}
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	s->port = info ? info->port : port;
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	s->watch = events_watch(sb->ev, info->epoll_fd, EPOLLIN, on_ready, s);
	return s;
}

static int
open_tls(struct server *s, struct err *e)
{
	const struct settings *set = &s->sb->set;
	autofree char *cert = NULL, *key = NULL;
	size_t len;
	int r = fs_read(AT_FDCWD, set->tls_cert, PEM_MAX, &cert, &len, e);

	if (r == 0)
		r = fs_read(AT_FDCWD, set->tls_key, PEM_MAX, &key, &len, e);
	if (r < 0)
		return r;
	const struct MHD_OptionItem more[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, cert },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, key },
		{ MHD_OPTION_END, 0, NULL },
	};

	s->tls = open_one(s->sb, 0, more);
	if (!s->tls)
		return err_set(e, -EINVAL,
			       "cannot listen with TLS: '%s' and '%s' do not fit, or libmicrohttpd "
			       "is built without TLS",
			       set->tls_cert, set->tls_key);
	return 0;
}

struct server *
server_open(struct sandbox *sb, uint16_t port, struct err *e)
{
	const struct MHD_OptionItem none = { MHD_OPTION_END, 0, NULL };
	struct server *s = open_one(sb, port, &none);

	if (!s)
		err_set(e, -EADDRINUSE,
			"cannot listen on the loopback port %u: %m; use --port 0 for a "
			"free one",
			port);
	else if (sb->set.tls_cert && open_tls(s, e) < 0)
		return server_free(s);
	return s;
}

struct server *
server_free(struct server *s)
{
	if (!s)
		return NULL;
	server_free(s->tls);
	list_each(it, tmp, &s->exchanges) {
		struct exchange *ex = list_entry(it, struct exchange, link);

		if (ex->state == EXCHANGE_WORKING)
			ex->state = EXCHANGE_DROPPED;
		wake(ex);
	}
	events_unwatch(s->sb->ev, s->watch);
	MHD_run(s->daemon);
	MHD_stop_daemon(s->daemon);
	free(s);
	return NULL;
}

uint16_t
server_port(const struct server *s)
{
	return s->port;
}

uint16_t
server_tls_port(const struct server *s)
{
	return s->tls ? s->tls->port : 0;
}

int64_t
server_requests(const struct server *s)
{
	return s->requests + (s->tls ? s->tls->requests : 0);
}

static int64_t
wait_of(const struct server *s)
{
	MHD_UNSIGNED_LONG_LONG due;

	return s && MHD_get_timeout(s->daemon, &due) == MHD_YES ? (int64_t)due : -1;
}

void
server_run_once(struct server *s)
{
	int64_t wait = wait_of(s), other = wait_of(s->tls);

	if (wait < 0 || (other >= 0 && other < wait))
		wait = other;
	events_run_once(s->sb->ev, wait);
	MHD_run(s->daemon);
	if (s->tls)
		MHD_run(s->tls->daemon);
}
