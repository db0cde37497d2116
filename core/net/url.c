/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: split, join, and the canonical forms that a signature needs. */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/net/url.h"

#define URL_MAX 8192u

static const struct {
	const char *name;
	int port;
} schemes[] = { { "http", 80 }, { "https", 443 }, { "ws", 80 }, { "wss", 443 } };

static int
scheme_port(const char *scheme)
{
	for (size_t i = 0; i < NELEMS(schemes); i++)
		if (strcmp(schemes[i].name, scheme) == 0)
			return schemes[i].port;
	return 0;
}

static char *
lower(const char *s, size_t len)
{
	char *out = xstrndup(s, len);

	for (char *p = out; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

/* The text itself is never quoted in an error: a URL may carry a signature. */
static int
check_bytes(const char *text, struct err *e)
{
	size_t len = strlen(text);

	if (len > URL_MAX)
		return err_set(e, -EINVAL, "the URL has %zu bytes, at most %u are taken", len,
			       URL_MAX);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return err_set(e, -EINVAL,
				       "the URL has a blank or control character at byte %zu: "
				       "write it as %%%02X",
				       i, (unsigned)(unsigned char)text[i]);
	if (strchr(text, '#'))
		return err_set(e, -EINVAL, "the URL has a fragment ('#'), which is never sent");
	return 0;
}

static bool
is_ipv6(const char *host)
{
	struct in6_addr a;
	autofree char *inner = NULL;
	size_t len = strlen(host);

	if (len < 4 || host[0] != '[' || host[len - 1] != ']')
		return false;
	inner = xstrndup(host + 1, len - 2);
	return inet_pton(AF_INET6, inner, &a) == 1;
}

static int
check_host(const char *host, struct err *e)
{
	if (host[0] == '[')
		return is_ipv6(host) ? 0 : err_set(e, -EINVAL, "the URL's host is no IPv6 address");
	if (!host[0])
		return err_set(e, -EINVAL, "the URL has no host");
	if (strlen(host) > 253)
		return err_set(e, -EINVAL, "the URL's host has more than 253 characters");
	for (const char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("-._", *p))
			return err_set(e, -EINVAL,
				       "the URL's host has a character that no name has at "
				       "character %zu",
				       (size_t)(p - host) + 1);
	return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static int
parse_authority(const char *s, size_t len, struct url *u, struct err *e)
{
	autofree char *text = xstrndup(s, len);
	char *end, *colon;
	int64_t port = 0;

	if (strchr(text, '@'))
		return err_set(e, -EINVAL, "the URL carries a user name; it is not taken there");
	end = text[0] == '[' ? strchr(text, ']') : text;
	if (!end)
		return err_set(e, -EINVAL, "the URL's host has '[' without ']'");
	if (text[0] == '[' && end[1] != '\0' && end[1] != ':')
		return err_set(e, -EINVAL, "the URL has something between ']' and the port");
	colon = strchr(end, ':');
	if (colon) {
		*colon = '\0';
		if (colon[1] && text_to_i64(colon + 1, 1, 65535, &port) < 0)
			return err_set(e, -EINVAL, "the URL's port is not a number of 1 to 65535");
	}
	u->host = lower(text, strlen(text));
	u->port = (int)port;
	return check_host(u->host, e);
}

static int
parse_into(const char *text, struct url *u, struct err *e)
{
	const char *rest = strstr(text, "://"), *path, *query;

	if (!rest)
		return err_set(e, -EINVAL, "the URL has no scheme: it starts with https://");
	u->scheme = lower(text, (size_t)(rest - text));
	if (!scheme_port(u->scheme))
		return err_set(e, -EINVAL, "the URL's scheme is none of http, https, ws, wss");
	rest += 3;
	path = rest + strcspn(rest, "/?");
	query = strchr(path, '?');
	u->path = query ? xstrndup(path, (size_t)(query - path)) : xstrdup(path);
	if (!u->path[0]) {
		free(u->path);
		u->path = xstrdup("/");
	}
	u->query = query ? xstrdup(query + 1) : NULL;
	return parse_authority(rest, (size_t)(path - rest), u, e);
}

int
url_parse(const char *text, struct url *ret, struct err *e)
{
	struct url u = { 0 };
	int r = text ? check_bytes(text, e) : err_set(e, -EINVAL, "there is no URL");

	if (r == 0)
		r = parse_into(text, &u, e);
	if (r < 0)
		url_done(&u);
	else
		*ret = u;
	return r;
}

void
url_done(struct url *u)
{
	free(u->scheme);
	free(u->host);
	free(u->path);
	free(u->query);
	memset(u, 0, sizeof(*u));
}

char *
url_text(const struct url *u)
{
	autofree char *host = url_host_header(u);

	return xasprintf("%s://%s%s%s%s", u->scheme, host, u->path, u->query ? "?" : "",
			 u->query ? u->query : "");
}

int
url_port(const struct url *u)
{
	return u->port ? u->port : scheme_port(u->scheme);
}

char *
url_host_header(const struct url *u)
{
	if (url_port(u) == scheme_port(u->scheme))
		return xstrdup(u->host);
	return xasprintf("%s:%d", u->host, u->port);
}

static bool
is_unreserved(unsigned char c)
{
	return (c < 0x80 && isalnum(c)) || c == '-' || c == '.' || c == '_' || c == '~';
}

static void
add_encoded(struct sbuf *b, unsigned char c)
{
	if (is_unreserved(c))
		sbuf_addc(b, (char)c);
	else
		sbuf_addf(b, "%%%02X", c);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that starts at S (which has LEFT bytes), *USED of them. A '%' that starts no escape
 * stands for itself. */
static unsigned char
decode_byte(const char *s, size_t left, size_t *used)
{
	*used = 1;
	if (s[0] == '%' && left >= 3 && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
		*used = 3;
		return (unsigned char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
	}
	return (unsigned char)s[0];
}

/* Encoding what was decoded makes "%3a", "%3A" and ":" one, as S3 does with what it received. An
 * escaped '/' stays escaped. */
static void
add_path_once(struct sbuf *b, const char *s, size_t len)
{
	size_t used;

	for (size_t i = 0; i < len; i += used) {
		unsigned char c = decode_byte(s + i, len - i, &used);

		if (c == '/' && used == 1)
			sbuf_addc(b, '/');
		else
			add_encoded(b, c);
	}
}

char *
url_canonical_path(const char *escaped_path, bool s3)
{
	size_t len = strlen(escaped_path);
	struct sbuf b = SBUF_INIT(3 * len + 1);

	if (len == 0)
		sbuf_addc(&b, '/');
	else if (s3)
		add_path_once(&b, escaped_path, len);
	else
		for (size_t i = 0; i < len; i++)
			if (escaped_path[i] == '/')
				sbuf_addc(&b, '/');
			else
				add_encoded(&b, (unsigned char)escaped_path[i]);
	return sbuf_take(&b, NULL);
}

/* Drop the last segment and the '/' before it. */
static void
drop_segment(struct sbuf *b)
{
	while (b->len > 0 && b->p[--b->len] != '/')
		;
	if (b->p)
		b->p[b->len] = '\0';
}

char *
url_normal_path(const char *path)
{
	size_t len = strlen(path);
	struct sbuf b = SBUF_INIT(len + 2);
	bool slash_end = len > 0 && path[len - 1] == '/';

	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.') {
			drop_segment(&b);
		} else if (n > 0 && !(n == 1 && p[0] == '.')) {
			sbuf_addc(&b, '/');
			sbuf_add(&b, p, n);
		}
		p += n;
		p += *p == '/';
	}
	if (b.len == 0 || slash_end)
		sbuf_addc(&b, '/');
	return sbuf_take(&b, NULL);
}

struct pair {
	char *key, *value; /* encoded */
};

static int
compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : strcmp(x->value, y->value);
}

static char *
encode_part(const char *s, size_t len)
{
	struct sbuf b = SBUF_INIT(3 * len + 1);
	size_t used;

	for (size_t i = 0; i < len; i += used) {
		unsigned char c = decode_byte(s + i, len - i, &used);

		add_encoded(&b, c == '+' && used == 1 ? ' ' : c);
	}
	return sbuf_take(&b, NULL);
}

/* Number of pairs put into P, which has room for one more than there are '&'. */
static size_t
split_query(const char *query, struct pair *p)
{
	size_t n = 0;

	for (const char *s = query; *s;) {
		size_t len = strcspn(s, "&"), key = strcspn(s, "=&");
		bool has_value = key < len;

		if (len > 0) {
			p[n].key = encode_part(s, key);
			p[n++].value = encode_part(s + key + has_value, len - key - has_value);
		}
		s += len;
		s += *s == '&';
	}
	return n;
}

char *
url_canonical_query(const char *query)
{
	autofree struct pair *p = NULL;
	size_t n = 1, max;
	struct sbuf b;

	if (!query)
		return xstrdup("");
	for (const char *s = query; (s = strchr(s, '&')); s++)
		n++;
	max = 3 * strlen(query) + 2 * n;
	p = xcalloc(n, sizeof(*p));
	n = split_query(query, p);
	qsort(p, n, sizeof(*p), compare_pairs);
	sbuf_init(&b, max);
	for (size_t i = 0; i < n; i++) {
		sbuf_addf(&b, "%s%s=%s", i ? "&" : "", p[i].key, p[i].value);
		free(p[i].key);
		free(p[i].value);
	}
	return sbuf_take(&b, NULL);
}

static bool
is_link_local6(const unsigned char a[16])
{
	static const unsigned char ec2[4] = { 0xfd, 0x00, 0x0e, 0xc2 };
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (memcmp(a, mapped, sizeof(mapped)) == 0)
		return a[12] == 127 || (a[12] == 169 && a[13] == 254);
	return memcmp(a, &in6addr_loopback, 16) == 0 || memcmp(a, ec2, sizeof(ec2)) == 0;
}

bool
url_is_link_local(const struct url *u)
{
	unsigned char a[16];
	autofree char *inner = NULL;

	if (u->host[0] == '[') {
		inner = xstrndup(u->host + 1, strlen(u->host) - 2);
		return inet_pton(AF_INET6, inner, a) == 1 && is_link_local6(a);
	}
	if (inet_pton(AF_INET, u->host, a) == 1)
		return a[0] == 127 || (a[0] == 169 && a[1] == 254);
	return strcmp(u->host, "localhost") == 0 || text_ends(u->host, ".localhost");
}
