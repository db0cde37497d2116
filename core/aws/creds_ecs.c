/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of the container's endpoint (ECS, EKS). spec/04 section 3.4; where both URIs are
 * there the relative one wins, as AWS documents. */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/aws/creds.h"
#include "core/aws/creds_source.h"
#include "core/aws/metahttp.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/url.h"

#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"
#define TOKEN "AWS_CONTAINER_AUTHORIZATION_TOKEN"
#define TOKEN_FILE "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
#define TOKEN_MAX 16384

struct ecs {
	struct event_base *base;
	struct http *http;
	int64_t timeout_ms;
};

struct ecs_call {
	struct metahttp *get;
	char *url;
	creds_provider_done_fn *done;
	void *arg;
};

static bool
is_allowed_v4(const char *host)
{
	struct in_addr a;

	if (inet_pton(AF_INET, host, &a) != 1)
		return false;
	return ntohl(a.s_addr) >> 24 == 127 || strcmp(host, "169.254.170.2") == 0 ||
		strcmp(host, "169.254.170.23") == 0;
}

static bool
is_allowed_v6(const char *host)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	struct in6_addr a, eks;
	size_t len = strlen(host);
	autofree char *inner = NULL;

	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return false;
	inner = xstrndup(host + 1, len - 2);
	if (inet_pton(AF_INET6, inner, &a) != 1)
		return false;
	inet_pton(AF_INET6, "fd00:ec2::23", &eks);
	return memcmp(&a, &loopback, sizeof(a)) == 0 || memcmp(&a, &eks, sizeof(a)) == 0;
}

/* Plain http only to the machine itself. Other names than localhost are not looked up: what they
 * mean could change between the look and the request. */
static int
check_url(const char *url, struct err *e)
{
	autourl struct url u = {0};
	int r = url_parse(url, &u, e);

	if (r < 0)
		return err_prefix(e, FULL);
	if (strcmp(u.scheme, "https") == 0)
		return 0;
	if (strcmp(u.scheme, "http") != 0)
		return err_set(e, -EINVAL, FULL ": the scheme '%s' is neither http nor https",
			       u.scheme);
	if (strcmp(u.host, "localhost") == 0 || is_allowed_v4(u.host) || is_allowed_v6(u.host))
		return 0;
	return err_set(e, -EPERM,
		       FULL ": http to '%s' is not allowed, only to a loopback address, "
			    "169.254.170.2, 169.254.170.23 or [fd00:ec2::23]; use https",
		       u.host);
}

/* 0 with the URL, -ENOENT when nothing is set, else E. */
static int
find_url(char **ret, struct err *e)
{
	const char *relative = creds_source_env(RELATIVE);
	const char *full = creds_source_env(FULL);
	int r;

	if (!relative && !full)
		return -ENOENT;
	if (relative && *relative != '/')
		return err_set(e, -EINVAL, RELATIVE " does not start with '/'");
	if (!relative && (r = check_url(full, e)) < 0)
		return r;
	*ret = relative ? xasprintf("http://169.254.170.2%s", relative) : xstrdup(full);
	return 0;
}

/* A file that ends in a newline is the usual one. */
static int
read_token_file(const char *path, char **ret, struct err *e)
{
	size_t len;
	int r = creds_source_read(path, TOKEN_MAX, ret, &len, e);

	if (r < 0)
		return err_prefix(e, TOKEN_FILE);
	if (strlen(*ret) != len)
		return err_set(e, -EINVAL, TOKEN_FILE ": '%s' holds a NUL byte", path);
	if (text_ends(*ret, "\n"))
		(*ret)[--len] = '\0';
	if (text_ends(*ret, "\r"))
		(*ret)[--len] = '\0';
	if (len == 0)
		return err_set(e, -EINVAL, TOKEN_FILE ": '%s' is empty", path);
	return 0;
}

/* *RET NULL: no token is configured. */
static int
find_token(char **ret, struct err *e)
{
	const char *path = creds_source_env(TOKEN_FILE);
	const char *name = path ? TOKEN_FILE : TOKEN;
	const char *token = path ? NULL : creds_source_env(TOKEN);
	int r = path ? read_token_file(path, ret, e) : 0;

	if (r < 0)
		return r;
	if (token)
		*ret = xstrdup(token);
	for (const char *c = *ret; c && *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(e, -EINVAL,
				       "%s: the token holds a line end or another control "
				       "character",
				       name);
	return 0;
}

static void
call_free(struct ecs_call *c)
{
	free(c->url);
	free(c);
}

static void
on_get(void *arg, int result, const char *text, const struct http_response *r)
{
	struct ecs_call *c = arg;
	struct ecs_call told = *c;
	struct creds *set = NULL;
	struct err e = {0};
	autofree char *body = NULL;

	if (result < 0) {
		err_set(&e, result, "%s: %s", c->url, text);
	} else if (r->status == 200) {
		set = creds_source_json(r->body, r->body_len, "ecs", c->url, &e);
	} else {
		body = text_quote(r->body, 200);
		err_set(&e, -EREMOTEIO, "%s: HTTP status %d, %s", c->url, r->status, body);
	}
	told.url = NULL;
	call_free(c);
	told.done(told.arg, set, set ? NULL : err_text(&e));
}

static struct ecs_call *
start_call(struct ecs *ecs, char *url, const char *token, struct err *e)
{
	struct ecs_call *c = xcalloc(1, sizeof(*c));
	autostrv char **headers = NULL;
	struct metahttp_request r = {.method = "GET", .timeout_ms = ecs->timeout_ms};

	c->url = url;
	strv_add(&headers, "Accept: application/json");
	if (token)
		strv_addf(&headers, "Authorization: %s", token);
	r.url = url;
	r.headers = headers;
	c->get = metahttp_start(ecs->base, ecs->http, &r, on_get, c, e);
	if (c->get)
		return c;
	call_free(c);
	return NULL;
}

static void *
ecs_start(void *ctx, creds_provider_done_fn *done, void *arg)
{
	autofree char *url = NULL;
	autosecret char *token = NULL;
	struct ecs_call *c;
	struct err e = {0};
	int r = find_url(&url, &e);

	if (r == -ENOENT) {
		done(arg, NULL, "not configured (" RELATIVE " is not set)");
		return NULL;
	}
	if (r < 0 || find_token(&token, &e) < 0 || !(c = start_call(ctx, TAKE(url), token, &e))) {
		done(arg, NULL, err_text(&e));
		return NULL;
	}
	c->done = done;
	c->arg = arg;
	return c;
}

static void
ecs_cancel(void *ctx, void *handle)
{
	struct ecs_call *c = handle;

	(void)ctx;
	metahttp_cancel(c->get);
	call_free(c);
}

struct creds_provider
creds_ecs_provider(struct event_base *base, struct http *http, int64_t timeout_ms)
{
	struct ecs *ecs = xcalloc(1, sizeof(*ecs));

	ecs->base = base;
	ecs->http = http;
	ecs->timeout_ms = timeout_ms;
	return (struct creds_provider){
		.name = "ecs",
		.start = ecs_start,
		.cancel = ecs_cancel,
		.free = free,
		.ctx = ecs,
	};
}
