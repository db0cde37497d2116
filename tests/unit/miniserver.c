/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP/1.1 server on the test's own event loop. */
#include "tests/unit/miniserver.h"

#include <arpa/inet.h>
#include <check.h>
#include <ctype.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

struct mini {
	struct event_base *base;
	struct evconnlistener *listener;
	int port;
	char *url;
	char **log;
	unsigned accepted;
	struct list conns;
	mini_fn *fn;
	void *arg;
};

struct mini_conn {
	struct list link;
	struct mini *mini;
	struct bufferevent *bev;
	struct event *later;
	int later_status;
	char *later_headers, *later_body;
	bool closing, continued;
};

static void
conn_free(struct mini_conn *c)
{
	list_remove(&c->link);
	bufferevent_free(c->bev);
	event_free(c->later);
	free(c->later_headers);
	free(c->later_body);
	free(c);
}

/* The head of a request, or NULL while it is not whole. */
static char *
take_head(struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char *head;

	if (end.pos < 0)
		return NULL;
	head = xcalloc((size_t)end.pos + 5, 1);
	evbuffer_copyout(in, head, (size_t)end.pos + 4);
	return head;
}

static char **
split_lines(char *head)
{
	char **lines = NULL;
	char *end;

	while ((end = strstr(head, "\r\n")) && end != head) {
		*end = '\0';
		strv_add(&lines, head);
		head = end + 2;
	}
	for (size_t i = 1; lines && lines[0] && lines[i]; i++)
		for (char *c = lines[i]; *c && *c != ':'; c++)
			*c = (char)tolower((unsigned char)*c);
	return lines;
}

const char *
mini_header(const struct mini_request *r, const char *lower_name)
{
	size_t len = strlen(lower_name);

	for (size_t i = 0; r->headers && r->headers[i]; i++)
		if (strncmp(r->headers[i], lower_name, len) == 0 && r->headers[i][len] == ':')
			return r->headers[i] + len + 1 + strspn(r->headers[i] + len + 1, " ");
	return NULL;
}

/* One whole request out of the buffer; false when more is needed. */
static bool
serve_one(struct mini_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	autofree char *head = take_head(in);
	size_t head_len = head ? strlen(head) : 0;
	autostrv char **lines = head ? split_lines(head) : NULL;
	autostrv char **words = lines ? strv_split(lines[0], " ") : NULL;
	struct mini_request r = {0};
	autofree char *body = NULL;
	int64_t body_len = 0;

	if (!lines || strv_len(words) != 3)
		return false;
	r.method = words[0];
	r.target = words[1];
	r.headers = lines + 1;
	if (mini_header(&r, "content-length"))
		text_to_i64(mini_header(&r, "content-length"), 0, INT32_MAX, &body_len);
	if (mini_header(&r, "expect") && !c->continued) {
		c->continued = true;
		mini_raw(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	}
	if (evbuffer_get_length(in) < head_len + (size_t)body_len)
		return false;
	c->continued = false;
	evbuffer_drain(in, head_len);
	body = xcalloc((size_t)body_len + 1, 1);
	evbuffer_remove(in, body, (size_t)body_len);
	r.body = body;
	r.body_len = (size_t)body_len;
	strv_addf(&c->mini->log, "%s %s", r.method, r.target);
	c->mini->fn(c->mini->arg, c, &r);
	return true;
}

/* A pipelined request does not come from our client, so one answer never has to wait for another:
 * each read serves what is whole, unless the handler closed the connection. */
static void
on_read(struct bufferevent *bev, void *arg)
{
	struct mini_conn *c = arg;

	(void)bev;
	if (!c->closing)
		serve_one(c);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct mini_conn *c = arg;

	(void)bev;
	if (c->closing)
		conn_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_free(arg);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct mini_conn *c = arg;

	(void)fd;
	(void)what;
	mini_replys(c, c->later_status, c->later_headers, c->later_body);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int len, void *arg)
{
	struct mini *m = arg;
	struct mini_conn *c = xcalloc(1, sizeof(*c));

	(void)l;
	(void)a;
	(void)len;
	c->mini = m;
	c->bev = bufferevent_socket_new(m->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->later = evtimer_new(m->base, on_later, c);
	list_append(&m->conns, &c->link);
	m->accepted++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static socklen_t
fill_address(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return sizeof(*v4);
	}
	ck_assert_int_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
	v6->sin6_family = AF_INET6;
	return sizeof(*v6);
}

struct mini *
mini_new(struct event_base *base, const char *address, mini_fn *fn, void *arg)
{
	struct mini *m = xcalloc(1, sizeof(*m));
	struct sockaddr_storage a;
	socklen_t len = fill_address(address, &a);

	m->base = base;
	m->fn = fn;
	m->arg = arg;
	list_init(&m->conns);
	m->listener = evconnlistener_new_bind(base, on_accept, m,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 64,
					      (struct sockaddr *)&a, (int)len);
	ck_assert_ptr_nonnull(m->listener);
	ck_assert_int_eq(getsockname(evconnlistener_get_fd(m->listener), (struct sockaddr *)&a,
				     &len),
			 0);
	m->port = ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
					       : ((struct sockaddr_in6 *)&a)->sin6_port);
	m->url = xasprintf(strchr(address, ':') ? "http://[%s]:%d" : "http://%s:%d", address,
			   m->port);
	return m;
}

struct mini *
mini_free(struct mini *m)
{
	if (!m)
		return NULL;
	list_each (it, next, &m->conns)
		conn_free(list_entry(it, struct mini_conn, link));
	evconnlistener_free(m->listener);
	strv_free(m->log);
	free(m->url);
	free(m);
	return NULL;
}

int
mini_port(const struct mini *m)
{
	return m->port;
}

const char *
mini_url(const struct mini *m)
{
	return m->url;
}

char *const *
mini_log(const struct mini *m)
{
	static char *const none[] = {NULL};

	return m->log ? m->log : none;
}

unsigned
mini_connections(const struct mini *m)
{
	return m->accepted;
}

void
mini_raw(struct mini_conn *c, const void *data, size_t len)
{
	bufferevent_write(c->bev, data, len);
}

void
mini_reply(struct mini_conn *c, int status, const char *headers, const void *body, size_t len)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_add_printf(out, "HTTP/1.1 %d Status\r\n%sContent-Length: %zu\r\n\r\n", status,
			    headers ? headers : "", len);
	evbuffer_add(out, body, len);
}

void
mini_replys(struct mini_conn *c, int status, const char *headers, const char *body)
{
	mini_reply(c, status, headers, body, strlen(body));
}

void
mini_reply_after(struct mini_conn *c, int ms, int status, const char *headers, const char *body)
{
	struct timeval tv;

	free(c->later_headers);
	free(c->later_body);
	c->later_status = status;
	c->later_headers = xstrdup(headers);
	c->later_body = xstrdup(body);
	clock_timeval(ms, &tv);
	evtimer_add(c->later, &tv);
}

void
mini_close(struct mini_conn *c)
{
	c->closing = true;
	bufferevent_disable(c->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		bufferevent_trigger(c->bev, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
}

void
mini_reset(struct mini_conn *c)
{
	struct linger hard = {1, 0};

	setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	mini_close(c);
}
