/* SPDX-License-Identifier: Apache-2.0 */
/* Inside net: requests checked, header lines taken apart, for http.c. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/http_parts.h"

#define NAME_CHARACTERS              \
	"abcdefghijklmnopqrstuvwxyz" \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZ" \
	"0123456789!#$%&'*+-.^_`|~"

static bool
is_header(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

bool
http_has_header(char *const *headers, const char *name)
{
	for (; headers && *headers; headers++)
		if (is_header(*headers, name))
			return true;
	return false;
}

static int
check_header(const char *line, struct err *e)
{
	static const char *const ours[] = { "Host", "Content-Length", "Transfer-Encoding",
					    "Connection" };
	size_t name = strcspn(line, ":");

	if (line[name] != ':' || name == 0 || strspn(line, NAME_CHARACTERS) != name)
		return err_set(e, -EINVAL, "a header is not of the form \"Name: value\"");
	for (const char *p = line + name; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_set(e, -EINVAL, "header %.*s has a control character", (int)name,
				       line);
	for (size_t i = 0; i < NELEMS(ours); i++)
		if (is_header(line, ours[i]))
			return err_set(e, -EINVAL, "header %s is set by the HTTP client", ours[i]);
	return 0;
}

static int
check_rest(const struct http_request *r, const struct url *u, struct err *e)
{
	if (u->scheme[0] == 'w')
		return err_set(e, -EINVAL, "the URL's scheme is neither http nor https");
	if (r->timeout_ms <= 0)
		return err_set(e, -EINVAL, "the request has no deadline");
	if (!r->method || !r->method[0] ||
	    strspn(r->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != strlen(r->method))
		return err_set(e, -EINVAL, "the request's method is not in capital letters");
	if (r->source && r->source_len < 0)
		return err_set(e, -EINVAL, "the length of what is to be sent is not known");
	for (char *const *h = r->headers; h && *h; h++) {
		int n = check_header(*h, e);

		if (n < 0)
			return n;
	}
	return 0;
}

int
http_check_request(const struct http_request *r, struct url *ret, struct err *e)
{
	struct url u = { 0 };
	int n = url_parse(r->url, &u, e);

	if (n < 0)
		return n;
	n = check_rest(r, &u, e);
	if (n < 0)
		url_done(&u);
	else
		*ret = u;
	return n;
}

static void
add_header(char ***headers, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	autofree char *name = NULL, *value = NULL;

	if (!colon || colon == line || memchr(line, '\0', len))
		return;
	name = xstrndup(line, (size_t)(colon - line));
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	value = xstrndup(colon + 1, len - (size_t)(colon - line) - 1);
	strv_addf(headers, "%s: %s", name, text_trim(value));
}

void
http_take_line(char ***headers, bool *whole, const char *line, size_t len)
{
	if (len <= 2 && line[0] != '\0' && strchr("\r\n", line[0])) {
		*whole = true;
	} else if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		*headers = strv_free(*headers);
		*whole = false;
	} else {
		add_header(headers, line, len);
	}
}

const char *
http_header(const struct http_response *r, const char *name)
{
	size_t len = strlen(name);

	for (char *const *h = r->headers; h && *h; h++)
		if (strncmp(*h, name, len) == 0 && (*h)[len] == ':')
			return *h + len + 2;
	return NULL;
}

char *
http_own_text(const char *host, int error, size_t header_bytes, size_t body_max)
{
	if (header_bytes > HTTP_HEADERS_MAX)
		return xasprintf("%s: the headers of the answer have more than %u bytes", host,
				 HTTP_HEADERS_MAX);
	if (error == -E2BIG && body_max > 0)
		return xasprintf("%s: the answer has more than %zu bytes", host, body_max);
	return xasprintf("%s: stopped: %s", host, strerror(-error));
}

char *
http_proxy_text(const char *host, long status)
{
	return xasprintf("%s: the proxy refused with status %ld%s", host, status,
			 status == 407 ? ": it wants a user name and password in the proxy's URL"
				       : "");
}

const char *
http_cert_text(long verify, const char *detail)
{
	/* X509_V_ERR_*; where libcurl has another TLS library the last line says enough. */
	switch (verify) {
	case 9:
		return "the certificate is not valid yet; is the clock of this machine right?";
	case 10:
		return "the certificate has expired, or the clock of this machine is ahead";
	case 18:
		return "the certificate is signed by itself, and neither Net.CaFile nor "
		       "AWS_CA_BUNDLE has it";
	}
	/* The name is looked at before the chain. */
	if (strstr(detail, "name"))
		return "the certificate is for another name; somebody else answers";
	return "the certificate is not trusted (Net.CaFile or AWS_CA_BUNDLE names the CAs)";
}
