/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy a URL goes through: configuration or environment, and the exceptions from it. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/proxy.h"

static const char *
environment(const char *upper, const char *lower)
{
	const char *value = secure_getenv(upper);

	return value && value[0] ? value : secure_getenv(lower);
}

/* The text is not quoted in errors: it may hold a password. */
static int
add_scheme(const char *given, const char *what, char **ret, struct err *e)
{
	static const char *const schemes[] = { "http", "https", "socks5", "socks5h" };
	const char *mark = given ? strstr(given, "://") : NULL;

	if (!given || !given[0]) {
		*ret = NULL;
		return 0;
	}
	for (const char *p = given; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, -EINVAL, "%s has a blank or control character", what);
	if (!mark) {
		*ret = xasprintf("http://%s", given);
		return 0;
	}
	for (size_t i = 0; i < NELEMS(schemes); i++)
		if (strlen(schemes[i]) == (size_t)(mark - given) &&
		    strncasecmp(given, schemes[i], (size_t)(mark - given)) == 0) {
			*ret = xstrdup(given);
			return 0;
		}
	return err_set(e, -EINVAL, "%s: the scheme of a proxy is http, https, socks5 or socks5h",
		       what);
}

static int
from_environment(struct proxy_rules *p, struct err *e)
{
	/* A CGI program gets HTTP_PROXY from the header "Proxy:" of whoever asks it. */
	const char *http = secure_getenv("REQUEST_METHOD")
		? secure_getenv("http_proxy")
		: environment("HTTP_PROXY", "http_proxy");
	int r = add_scheme(http, "HTTP_PROXY", &p->http, e);

	if (r == 0)
		r = add_scheme(environment("HTTPS_PROXY", "https_proxy"), "HTTPS_PROXY", &p->https,
			       e);
	return r;
}

int
proxy_rules_init(struct proxy_rules *p, const char *proxy, const char *no_proxy, struct err *e)
{
	int r;

	memset(p, 0, sizeof(*p));
	r = proxy ? add_scheme(proxy, "the proxy", &p->http, e) : from_environment(p, e);
	if (r < 0) {
		proxy_rules_done(p);
		return r;
	}
	if (proxy)
		p->https = xstrdup(p->http);
	if (!no_proxy)
		no_proxy = environment("NO_PROXY", "no_proxy");
	if (no_proxy)
		p->except = strv_split(no_proxy, ", ");
	return 0;
}

void
proxy_rules_done(struct proxy_rules *p)
{
	secret_free(p->http);
	secret_free(p->https);
	strv_free(p->except);
	memset(p, 0, sizeof(*p));
}

struct address {
	unsigned char bytes[16];
	unsigned bits; /* 32 or 128 */
};

/* An address with or without brackets. */
static bool
parse_address(const char *s, struct address *ret)
{
	size_t len = strlen(s);
	autofree char *bare =
		s[0] == '[' && s[len - 1] == ']' ? xstrndup(s + 1, len - 2) : xstrdup(s);

	ret->bits = 32;
	if (inet_pton(AF_INET, bare, ret->bytes) == 1)
		return true;
	ret->bits = 128;
	return inet_pton(AF_INET6, bare, ret->bytes) == 1;
}

static bool
same_bits(const struct address *a, const struct address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	unsigned char mask = (unsigned char)(0xff << (8 - rest));

	if (a->bits != b->bits || memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & mask) == 0;
}

/* "10.0.0.0/8" holds the host's address? */
static bool
in_network(const char *entry, const char *host)
{
	const char *slash = strchr(entry, '/');
	autofree char *text = xstrndup(entry, (size_t)(slash - entry));
	struct address net, a;
	int64_t bits;

	if (!parse_address(text, &net) || !parse_address(host, &a) ||
	    text_to_i64(slash + 1, 0, net.bits, &bits) < 0)
		return false;
	return same_bits(&net, &a, (unsigned)bits);
}

/* "name" is the name and what is below it, ".name" and "*.name" only what is below it. */
static bool
in_domain(const char *entry, const char *host)
{
	size_t n, m = strlen(host);
	bool below = entry[0] == '.' || text_starts(entry, "*.");

	if (text_starts(entry, "*."))
		entry++;
	n = strlen(entry);
	if (m < n || strcasecmp(host + m - n, entry) != 0)
		return false;
	return below ? m > n : m == n || host[m - n - 1] == '.';
}

/* Cut ":port" off ENTRY; false when it names another port. */
static bool
port_fits(char *entry, int port)
{
	char *colon = strrchr(entry, ':');
	int64_t n;

	/* More than one colon without brackets: an IPv6 address. */
	if (!colon || (entry[0] != '[' && strchr(entry, ':') != colon) ||
	    (entry[0] == '[' && colon[-1] != ']'))
		return true;
	*colon = '\0';
	return text_to_i64(colon + 1, 1, 65535, &n) == 0 && n == port;
}

static bool
excepts(const char *entry, const struct url *u)
{
	autofree char *text = xstrdup(entry);
	struct address a, b;

	if (strcmp(text, "*") == 0)
		return true;
	if (strchr(text, '/'))
		return in_network(text, u->host);
	if (!port_fits(text, url_port(u)) || !text[0])
		return false;
	if (parse_address(text, &a))
		return parse_address(u->host, &b) && same_bits(&a, &b, a.bits);
	return in_domain(text, u->host);
}

const char *
proxy_for(const struct proxy_rules *p, const struct url *u)
{
	bool tls = strcmp(u->scheme, "https") == 0 || strcmp(u->scheme, "wss") == 0;

	if (url_is_link_local(u))
		return NULL;
	for (char *const *x = p->except; x && *x; x++)
		if (excepts(*x, u))
			return NULL;
	return tls ? p->https : p->http;
}
