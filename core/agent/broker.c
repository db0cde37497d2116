/* SPDX-License-Identifier: Apache-2.0 */
/* What hosts ask of the process that holds the keys: signed calls, signatures, transfers; and what
 * a plugin may ask for. The one place that decides. */
#include "core/agent/broker.h"

#include <errno.h>
#include <string.h>

#include "core/aws/call.h"
#include "core/aws/transfer.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/ipc/wire.h"

#define REQUESTS_MAX 64u
#define CALL_TIMEOUT_MS 30000
#define CALL_ATTEMPTS 4u

struct broker {
	struct event_base *base;
	const struct conf *conf;
	struct aws *aws;
};

struct broker_client {
	struct broker *broker;
	char *plugin;
	broker_send_fn *send;
	void *arg;
	struct list requests;
	unsigned count;
};

/* One request of a host that was not answered yet. */
struct request {
	struct list link;
	struct broker_client *client;
	int64_t id;
	json_t *message; /* kept: what a transfer needs once it is signed */
	struct aws_call *call;
	struct transfer *transfer;
	int fd;
	bool redirected;
};

struct broker *
broker_new(struct event_base *base, const struct conf *conf, struct aws *aws)
{
	struct broker *b = xcalloc(1, sizeof(*b));

	b->base = base;
	b->conf = conf;
	b->aws = aws;
	return b;
}

struct broker *
broker_free(struct broker *b)
{
	free(b);
	return NULL;
}

struct broker_client *
broker_client_new(struct broker *b, const char *plugin, broker_send_fn *send, void *arg)
{
	struct broker_client *c = xcalloc(1, sizeof(*c));

	c->broker = b;
	c->plugin = xstrdup(plugin);
	c->send = send;
	c->arg = arg;
	list_init(&c->requests);
	return c;
}

static void
request_free(struct request *r)
{
	list_remove(&r->link);
	r->client->count--;
	aws_cancel(r->call);
	if (r->transfer)
		transfer_cancel(r->transfer);
	mem_cleanup_fd(&r->fd);
	json_decref(r->message);
	free(r);
}

struct broker_client *
broker_client_free(struct broker_client *c)
{
	if (!c)
		return NULL;
	list_each(it, tmp, &c->requests)
		request_free(list_entry(it, struct request, link));
	free(c->plugin);
	free(c);
	return NULL;
}

bool
broker_takes(const char *type)
{
	return strcmp(type, "call") == 0 || strcmp(type, "sign") == 0 ||
		strcmp(type, "transfer") == 0;
}

/* --------------------------------------------------------------- answers */

static json_t *
new_result(int64_t id, int code, const char *error)
{
	json_t *m = wire_new("result");

	json_object_set_new(m, "id", json_integer(id));
	json_object_set_new(m, "code", json_integer(code));
	if (error && *error)
		json_object_set_new(m, "error", json_string(error));
	return m;
}

static int
refuse(struct broker_client *c, int64_t id, const struct err *e)
{
	return c->send(c->arg, new_result(id, e->code, err_text(e)), NULL, 0);
}

static json_t *
headers_object(char *const *headers)
{
	json_t *all = json_object();

	for (; headers && *headers; headers++) {
		const char *colon = strchr(*headers, ':');
		autofree char *name = NULL;

		if (!colon)
			continue;
		name = xstrndup(*headers, (size_t)(colon - *headers));
		json_object_set_new(all, name,
				    json_string(colon[1] == ' ' ? colon + 2 : colon + 1));
	}
	return all;
}

/* A service's refusal is an answer (code 0 with its status), a failed transport is an error. */
static json_t *
reply_message(const struct request *r, const struct aws_reply *a)
{
	int code = a->status ? 0 : a->result;
	json_t *m = new_result(r->id, code, a->result < 0 ? a->text : NULL);

	json_object_set_new(m, "status", json_integer(a->status));
	if (*a->code)
		json_object_set_new(m, "name", json_string(a->code));
	json_object_set_new(m, "headers", headers_object(a->headers));
	return m;
}

static void
finish(struct request *r, json_t *message, const void *body, size_t len)
{
	struct broker_client *c = r->client;

	r->call = NULL;
	r->transfer = NULL;
	request_free(r);
	c->send(c->arg, message, body, len);
}

static void
on_call(void *arg, const struct aws_reply *a)
{
	struct request *r = arg;

	finish(r, reply_message(r, a), a->body, a->body_len);
}

static void
on_sign(void *arg, const struct aws_reply *a)
{
	struct request *r = arg;
	json_t *m = new_result(r->id, a->result, a->result < 0 ? a->text : NULL);

	json_object_set_new(m, "headers", headers_object(a->headers));
	if (a->body)
		json_object_set_new(m, "url", json_string(a->body));
	finish(r, m, NULL, 0);
}

/* ----------------------------------------------------------- permissions */

/* Of scheme, host and port on one side, of the rest on the other: a '*' does not reach across. */
static bool
matches_url(const char *pattern, const char *url)
{
	const char *p = strstr(pattern, "://"), *u = strstr(url, "://");
	autofree char *pattern_host = NULL, *host = NULL;
	size_t pattern_len, len;

	if (!p || !u)
		return false;
	pattern_len = (size_t)(p - pattern) + 3 + strcspn(p + 3, "/");
	len = (size_t)(u - url) + 3 + strcspn(u + 3, "/?#");
	pattern_host = xstrndup(pattern, pattern_len);
	host = xstrndup(url, len);
	if (strpbrk(u + 3, "@") && strcspn(u + 3, "@") < strcspn(u + 3, "/?#"))
		return false;
	return text_glob(pattern_host, host) &&
		text_glob(pattern[pattern_len] ? pattern + pattern_len : "/*",
			  url[len] ? url + len : "/");
}

static bool
listed(const char *patterns, const char *what, bool is_url)
{
	autostrv char **all = patterns ? strv_split(patterns, " \t,") : NULL;

	for (char **p = all; p && *p; p++)
		if (is_url ? matches_url(*p, what) : text_glob(*p, what))
			return true;
	return false;
}

/* The line as it has to stand there: what is allowed already, and this; blanks and commas, which
 * part the patterns, as '?'. */
static char *
missing_line(const char *key, const char *patterns, const char *what)
{
	autofree char *one = xstrdup(what);

	for (char *p = one; *p; p++)
		if (strchr(" \t,", *p))
			*p = '?';
	return xasprintf("%s = %s%s%s", key, patterns ? patterns : "",
			 patterns && *patterns ? " " : "", one);
}

static int
check_allowed(const struct broker_client *c, const char *key, const char *what, bool is_url,
	      struct err *e)
{
	autofree char *section = xasprintf("plugin %s", c->plugin);
	const char *patterns = conf_raw(c->broker->conf, section, key);
	autofree char *line = NULL, *shown = NULL;

	if (listed(patterns, what, is_url))
		return 0;
	line = missing_line(key, patterns, what);
	shown = text_escape_controls(line, strlen(line));
	return err_set(e, -EACCES,
		       "the plugin '%s' may not do that; to allow it, add '%s' to [plugin %s]",
		       c->plugin, shown, c->plugin);
}

/* "ssm:PutInventory"; REST calls: "ssmmessages:POST/v1/..." */
static char *
call_name(const json_t *m)
{
	const char *service = json_str(m, "service", "");
	const char *target = json_str(m, "target", NULL);
	const char *dot = target ? strrchr(target, '.') : NULL;

	if (target)
		return xasprintf("%s:%s", service, dot ? dot + 1 : target);
	return xasprintf("%s:%s%s", service, json_str(m, "method", "POST"),
			 json_str(m, "path", "/"));
}

/* An address of the plugin's own choice is one more thing to be allowed. */
static int
check_call(const struct request *r, struct err *e)
{
	autofree char *name = call_name(r->message);
	const char *url = json_str(r->message, "url", NULL);
	int res = check_allowed(r->client, "Calls", name, false, e);

	if (res == 0 && url)
		res = check_allowed(r->client, "Transfer", url, true, e);
	return res;
}

/* -------------------------------------------------------------- requests */

static char **
headers_of(const json_t *m)
{
	const char *name;
	char **all = NULL;
	json_t *v;

	json_object_foreach(json_object_get(m, "headers"), name, v)
	{
		const char *text = json_string_value(v);

		if (text && !strpbrk(name, "\r\n:") && !strpbrk(text, "\r\n"))
			strv_addf(&all, "%s: %s", name, text);
	}
	return all;
}

static struct aws_request
aws_request_of(const json_t *m, char *const *headers)
{
	struct aws_request q = {
		.service = json_str(m, "service", ""),
		.target = json_str(m, "target", NULL),
		.method = json_str(m, "method", NULL),
		.path = json_str(m, "path", NULL),
		.url = json_str(m, "url", NULL),
		.region = json_str(m, "region", NULL),
		.content_type = json_str(m, "content_type", NULL),
		.headers = headers,
		.timeout_ms = json_int(m, "timeout_ms", CALL_TIMEOUT_MS),
		.attempts = CALL_ATTEMPTS,
		.anonymous = json_bool(m, "anonymous", false),
	};

	return q;
}

static struct request *
request_new(struct broker_client *c, struct ipc_message *m)
{
	struct request *r = xcalloc(1, sizeof(*r));

	r->client = c;
	r->id = json_int(m->json, "id", 0);
	r->message = json_incref(m->json);
	r->fd = -1;
	if (m->fd_count)
		r->fd = TAKE_FD(m->fds[0]);
	list_append(&c->requests, &r->link);
	c->count++;
	return r;
}

static int
start_call_or_sign(struct request *r, bool sign, const void *body, size_t len, struct err *e)
{
	autostrv char **headers = headers_of(r->message);
	struct aws_request q = aws_request_of(r->message, headers);
	struct aws *aws = r->client->broker->aws;
	int res = check_call(r, e);

	if (res < 0)
		return res;
	q.body = body;
	q.body_len = len;
	if (sign)
		r->call = aws_sign(aws, &q, json_int(r->message, "valid_ms", 0), on_sign, r, e);
	else
		r->call = aws_start(aws, &q, on_call, r, e);
	return r->call ? 0 : -EINVAL;
}

/* ------------------------------------------------------------- transfers */

static int sign_transfer(struct request *r, const char *region, struct err *e);

static void
on_transfer(void *arg, const json_t *result)
{
	struct request *r = arg;
	const char *region = json_str(result, "region", NULL);
	struct err e = { 0, "" };
	json_t *m;

	r->transfer = NULL;
	/* The bucket lives elsewhere: signed once more for there. */
	if (region && !r->redirected && json_bool(r->message, "sign", false)) {
		r->redirected = true;
		if (sign_transfer(r, region, &e) == 0)
			return;
	}
	m = new_result(r->id, (int)json_int(result, "code", 0), json_str(result, "error", NULL));
	json_object_set_new(m, "status", json_integer(json_int(result, "status", 0)));
	if (*json_str(result, "service_code", ""))
		json_object_set_new(m, "name", json_string(json_str(result, "service_code", "")));
	json_object_set_new(m, "bytes", json_integer(json_int(result, "bytes", 0)));
	finish(r, m, NULL, 0);
}

static int
run_transfer(struct request *r, const char *url, char *const *headers, struct err *e)
{
	const struct conf *conf = r->client->broker->conf;
	autojson json_t *q = json_object();
	json_t *lines = json_array();
	static const char *const same[] = {"method", "upload", "max_bytes", "sha256", "timeout_ms"};

	for (size_t i = 0; i < NELEMS(same); i++)
		if (json_object_get(r->message, same[i]))
			json_object_set(q, same[i], json_object_get(r->message, same[i]));
	json_object_set_new(q, "url", json_string(url));
	for (; headers && *headers; headers++)
		json_array_append_new(lines, json_string(*headers));
	json_object_set_new(q, "headers", lines);
	json_object_set_new(q, "ca_file", json_string(conf_str(conf, "Net.CaFile")));
	json_object_set_new(q, "proxy", json_string(conf_str(conf, "Net.Proxy")));
	json_object_set_new(q, "no_proxy", json_string(conf_str(conf, "Net.NoProxy")));
	r->transfer = transfer_start(r->client->broker->base, "/proc/self/exe", q, r->fd,
				     on_transfer, r, e);
	return r->transfer ? 0 : -EIO;
}

static void
on_transfer_signed(void *arg, const struct aws_reply *a)
{
	struct request *r = arg;
	struct err e = { 0, "" };

	r->call = NULL;
	if (a->result < 0)
		finish(r, new_result(r->id, a->result, a->text), NULL, 0);
	else if (run_transfer(r, a->body, a->headers, &e) < 0)
		finish(r, new_result(r->id, e.code, err_text(&e)), NULL, 0);
}

static const char *
method_of(const struct request *r)
{
	return json_str(r->message, "method",
			json_bool(r->message, "upload", false) ? "PUT" : "GET");
}

/* Of S3's own endpoint, wherever that is. */
static bool
is_path(const char *url)
{
	return url[0] == '/';
}

static int
sign_transfer(struct request *r, const char *region, struct err *e)
{
	autostrv char **headers = headers_of(r->message);
	struct aws_request q = aws_request_of(r->message, headers);

	q.service = "s3";
	q.region = region;
	q.method = method_of(r);
	if (is_path(q.url)) {
		q.path = q.url;
		q.url = NULL;
	}
	r->call = aws_sign(r->client->broker->aws, &q, 0, on_transfer_signed, r, e);
	return r->call ? 0 : -EINVAL;
}

/* To or from S3 itself it is one of the calls. */
static int
check_transfer(const struct request *r, bool sign, struct err *e)
{
	const char *url = json_str(r->message, "url", "");
	autofree char *name = xasprintf("s3:%s%s", method_of(r), url);

	if (sign && is_path(url))
		return check_allowed(r->client, "Calls", name, false, e);
	return check_allowed(r->client, "Transfer", url, true, e);
}

static int
start_transfer(struct request *r, struct err *e)
{
	bool sign = json_bool(r->message, "sign", false);
	int res = check_transfer(r, sign, e);
	autostrv char **headers = NULL;

	if (res < 0)
		return res;
	if (r->fd < 0)
		return err_set(e, -EINVAL, "a transfer needs a descriptor");
	if (sign)
		return sign_transfer(r, json_str(r->message, "region", NULL), e);
	headers = headers_of(r->message);
	return run_transfer(r, json_str(r->message, "url", ""), headers, e);
}

int
broker_handle(struct broker_client *c, const char *type, struct ipc_message *m)
{
	struct err e = { 0, "" };
	struct request *r;
	int64_t id = json_int(m->json, "id", 0);
	int res;

	if (c->count >= REQUESTS_MAX) {
		err_set(&e, -EAGAIN, "%u requests of the plugin '%s' are under way", c->count,
			c->plugin);
		return refuse(c, id, &e);
	}
	r = request_new(c, m);
	if (strcmp(type, "call") == 0)
		res = start_call_or_sign(r, false, m->body, m->body_len, &e);
	else if (strcmp(type, "sign") == 0)
		res = start_call_or_sign(r, true, m->body, m->body_len, &e);
	else
		res = start_transfer(r, &e);
	if (res == 0)
		return 0;
	if (e.code == 0)
		e.code = res;
	request_free(r);
	return refuse(c, id, &e);
}

void
broker_client_cancel(struct broker_client *c)
{
	list_each(it, tmp, &c->requests) {
		struct request *r = list_entry(it, struct request, link);

		aws_cancel(r->call);
		if (r->transfer)
			transfer_cancel(r->transfer);
		finish(r, new_result(r->id, -ECANCELED, "the job was cancelled"), NULL, 0);
	}
}
