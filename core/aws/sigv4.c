/* SPDX-License-Identifier: Apache-2.0 */
/* AWS Signature Version 4, by header and by query. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/aws/sigv4.h"
#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/url.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define UNSIGNED "UNSIGNED-PAYLOAD"
#define HEADERS_MAX (64u * 1024u)
#define CANONICAL_MAX (256u * 1024u)

/* What is computed on the way to one signature. */
struct signing {
	const struct sigv4_request *r;
	const struct sigv4_key *key;
	struct url url;
	char date[TEXT_STAMP_SIZE]; /* 20240305T070809Z; the first eight are the day */
	char **headers;		    /* "name:value", canonical and sorted */
	char *query;		    /* canonical */
	struct sigv4_parts parts;
};

void
sigv4_parts_done(struct sigv4_parts *p)
{
	free(p->canonical);
	free(p->to_sign);
	free(p->signature);
	free(p->signed_headers);
	free(p->scope);
	free(p->payload_hash);
	memset(p, 0, sizeof(*p));
}

static void
signing_done(struct signing *s)
{
	url_done(&s->url);
	strv_free(s->headers);
	free(s->query);
	sigv4_parts_done(&s->parts);
}

#define autosigning __attribute__((cleanup(signing_done)))

static bool
has_token(const struct sigv4_key *key)
{
	return key->token && key->token[0];
}

/* Visible ASCII, at least one: what may stand in a header and in a scope. */
static bool
is_visible(const char *s)
{
	if (!s || !s[0])
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

static bool
is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)s[i]) && !(s[i] && strchr("!#$%&'*+-.^_`|~", s[i])))
			return false;
	return len > 0;
}

static int
check_key(const struct sigv4_key *key, struct err *e)
{
	if (!is_visible(key->access_key) || strchr(key->access_key, '/'))
		return err_set(e, -EINVAL,
			       "the access key id is empty or has a character it cannot have");
	if (!key->secret_key || !key->secret_key[0])
		return err_set(e, -EINVAL, "the secret access key is empty");
	if (has_token(key) && !is_visible(key->token))
		return err_set(e, -EINVAL, "the session token has a blank or control character");
	return 0;
}

static int
check_request(const struct sigv4_request *r, struct err *e)
{
	if (!r->method || !is_token(r->method, strlen(r->method)))
		return err_set(e, -EINVAL, "the request to sign has no usable method");
	if (!is_visible(r->region) || strchr(r->region, '/'))
		return err_set(e, -EINVAL, "the request to sign has no usable region");
	if (!is_visible(r->service) || strchr(r->service, '/'))
		return err_set(e, -EINVAL, "the request to sign has no usable service");
	return 0;
}

/* NAME of "Name: value" is NAME? */
static bool
is_header(const char *line, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(line, name, len) == 0 && line[len] == ':';
}

/* Headers that a proxy or the client may change, or that the signature makes. */
static bool
is_left_out(const char *line)
{
	static const char *const names[] = {
		"Authorization",   "Expect",	 "User-Agent",
		"X-Amzn-Trace-Id", "X-Amz-Date", "X-Amz-Security-Token"
	};

	for (size_t i = 0; i < NELEMS(names); i++)
		if (is_header(line, names[i]))
			return true;
	return false;
}

static const char *
find_header(char *const *headers, const char *name)
{
	for (; headers && *headers; headers++)
		if (is_header(*headers, name))
			return *headers + strlen(name) + 1;
	return NULL;
}

static int
check_header(const char *line, struct err *e)
{
	size_t name = strcspn(line, ":");

	if (line[name] != ':' || !is_token(line, name))
		return err_set(e, -EINVAL, "a header to sign is not of the form \"Name: value\"");
	if (is_header(line, "Host") || is_header(line, "Content-Length"))
		return err_set(e, -EINVAL, "header %.*s is set by the HTTP client, leave it out",
			       (int)name, line);
	for (const char *p = line + name; *p; p++)
		if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f)
			return err_set(e, -EINVAL, "header %.*s has a control character", (int)name,
				       line);
	return 0;
}

/* Blanks at both ends dropped, runs of them made one. */
static char *
canonical_value(const char *s)
{
	struct sbuf b = SBUF_INIT(strlen(s) + 1);

	for (; *s; s++) {
		if (*s != ' ' && *s != '\t')
			sbuf_addc(&b, *s);
		else if (b.len > 0 && b.p[b.len - 1] != ' ')
			sbuf_addc(&b, ' ');
	}
	if (b.len > 0 && b.p[b.len - 1] == ' ')
		b.p[--b.len] = '\0';
	return sbuf_take(&b, NULL);
}

/* Several headers of one name become one, values in their order. */
static void
add_canonical(char ***v, const char *name, size_t name_len, const char *value)
{
	autofree char *clean = canonical_value(value);
	autofree char *lower = xasprintf("%.*s:", (int)name_len, name);

	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (char **p = *v; p && *p; p++)
		if (text_starts(*p, lower)) {
			char *joined = xasprintf("%s,%s", *p, clean);

			free(*p);
			*p = joined;
			return;
		}
	strv_addf(v, "%s%s", lower, clean);
}

static int
compare_names(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	size_t n = strcspn(x, ":"), m = strcspn(y, ":");
	int r = strncmp(x, y, n < m ? n : m);

	return r ? r : (n > m) - (n < m);
}

static void
add_named(char ***v, const char *name, const char *value)
{
	add_canonical(v, name, strlen(name), value);
}

static int
collect_headers(struct signing *s, struct err *e)
{
	const struct sigv4_request *r = s->r;
	autofree char *host = url_host_header(&s->url);
	size_t total = 0;

	add_named(&s->headers, "host", host);
	for (char *const *h = r->headers; h && *h; h++) {
		size_t name = strcspn(*h, ":");
		int bad = check_header(*h, e);

		if (bad < 0)
			return bad;
		total += strlen(*h);
		if (total > HEADERS_MAX)
			return err_set(e, -EINVAL, "the headers to sign have more than %u bytes",
				       HEADERS_MAX);
		if (!is_left_out(*h))
			add_canonical(&s->headers, *h, name, *h + name + 1);
	}
	if (r->sign_length) {
		autofree char *length = xasprintf("%zu", r->body_len);

		add_named(&s->headers, "content-length", length);
	}
	return 0;
}

static char *
payload_hash(const struct sigv4_request *r)
{
	const char *given = find_header(r->headers, "X-Amz-Content-Sha256");
	char *hex;

	if (given)
		return canonical_value(given);
	if (r->unsigned_payload)
		return xstrdup(UNSIGNED);
	hex = xmalloc(DIGEST_SHA256_HEX_SIZE);
	digest_sha256_hex(r->body ? r->body : "", r->body ? r->body_len : 0, hex);
	return hex;
}

static char *
signed_names(char *const *headers)
{
	struct sbuf b = SBUF_INIT(CANONICAL_MAX);

	for (char *const *h = headers; *h; h++) {
		if (h != headers)
			sbuf_addc(&b, ';');
		sbuf_add(&b, *h, strcspn(*h, ":"));
	}
	return sbuf_take(&b, NULL);
}

static bool
signs_path_once(const struct sigv4_request *r)
{
	return r->path_once || strcmp(r->service, "s3") == 0;
}

static char *
canonical_path(const struct signing *s)
{
	bool s3 = strcmp(s->r->service, "s3") == 0;
	autofree char *path =
		s3 || s->r->path_as_is ? xstrdup(s->url.path) : url_normal_path(s->url.path);

	return url_canonical_path(path, signs_path_once(s->r));
}

static int
build_canonical(struct signing *s, struct err *e)
{
	struct sbuf b = SBUF_INIT(CANONICAL_MAX);
	autofree char *path = canonical_path(s);

	sbuf_addf(&b, "%s\n%s\n%s\n", s->r->method, path, s->query);
	for (char *const *h = s->headers; *h; h++)
		sbuf_addf(&b, "%s\n", *h);
	sbuf_addf(&b, "\n%s\n%s", s->parts.signed_headers, s->parts.payload_hash);
	if (b.err) {
		sbuf_done(&b);
		return err_set(e, -EINVAL, "the request to sign is too large");
	}
	s->parts.canonical = sbuf_take(&b, NULL);
	return 0;
}

static void
hmac(unsigned char key[DIGEST_SHA256_SIZE], const char *text)
{
	unsigned char out[DIGEST_SHA256_SIZE];

	digest_hmac_sha256(key, DIGEST_SHA256_SIZE, text, strlen(text), out);
	memcpy(key, out, sizeof(out));
	wipe(out, sizeof(out));
}

static char *
signature(const struct signing *s)
{
	autosecret char *secret = xasprintf("AWS4%s", s->key->secret_key);
	unsigned char k[DIGEST_SHA256_SIZE];
	char *hex = xmalloc(2 * DIGEST_SHA256_SIZE + 1);

	digest_hmac_sha256(secret, strlen(secret), s->date, 8, k);
	hmac(k, s->r->region);
	hmac(k, s->r->service);
	hmac(k, "aws4_request");
	hmac(k, s->parts.to_sign);
	text_hex(k, sizeof(k), hex);
	return hex;
}

/* From headers and query to the signature. */
static int
sign(struct signing *s, struct err *e)
{
	char hash[DIGEST_SHA256_HEX_SIZE];
	int r = build_canonical(s, e);

	if (r < 0)
		return r;
	digest_sha256_hex(s->parts.canonical, strlen(s->parts.canonical), hash);
	s->parts.to_sign = xasprintf("%s\n%s\n%s\n%s", ALGORITHM, s->date, s->parts.scope, hash);
	s->parts.signature = signature(s);
	return 0;
}

/* Checks, URL, date, scope, payload hash and the caller's headers. */
static int
begin(struct signing *s, struct err *e)
{
	const struct sigv4_request *r = s->r;
	int n = check_request(r, e);

	if (n == 0)
		n = check_key(s->key, e);
	if (n == 0)
		n = url_parse(r->url, &s->url, e);
	if (n == 0)
		n = collect_headers(s, e);
	if (n < 0)
		return n;
	text_amz_date(r->when, s->date);
	s->parts.scope = xasprintf("%.8s/%s/%s/aws4_request", s->date, r->region, r->service);
	s->parts.payload_hash = payload_hash(r);
	return 0;
}

/* The headers are complete: put them in order, name them. */
static void
order_headers(struct signing *s)
{
	qsort(s->headers, strv_len(s->headers), sizeof(*s->headers), compare_names);
	s->parts.signed_headers = signed_names(s->headers);
}

static bool
sends_hash(const struct sigv4_request *r)
{
	return (r->unsigned_payload || strcmp(r->service, "s3") == 0) &&
		!find_header(r->headers, "X-Amz-Content-Sha256");
}

static char **
wire_headers(const struct signing *s)
{
	char **v = NULL;

	for (char *const *h = s->r->headers; h && *h; h++)
		if (!is_header(*h, "Authorization") && !is_header(*h, "X-Amz-Date") &&
		    !is_header(*h, "X-Amz-Security-Token"))
			strv_add(&v, *h);
	strv_addf(&v, "X-Amz-Date: %s", s->date);
	if (has_token(s->key))
		strv_addf(&v, "X-Amz-Security-Token: %s", s->key->token);
	if (sends_hash(s->r))
		strv_addf(&v, "X-Amz-Content-Sha256: %s", s->parts.payload_hash);
	strv_addf(&v, "Authorization: %s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
		  ALGORITHM, s->key->access_key, s->parts.scope, s->parts.signed_headers,
		  s->parts.signature);
	return v;
}

static void
give_parts(struct signing *s, struct sigv4_parts *ret)
{
	if (!ret)
		return;
	*ret = s->parts;
	memset(&s->parts, 0, sizeof(s->parts));
}

int
sigv4_sign_headers(const struct sigv4_request *r, const struct sigv4_key *key, char ***ret_headers,
		   struct sigv4_parts *parts, struct err *e)
{
	autosigning struct signing s = { .r = r, .key = key };
	int n = begin(&s, e);

	if (n < 0)
		return n;
	add_named(&s.headers, "x-amz-date", s.date);
	if (has_token(key))
		add_named(&s.headers, "x-amz-security-token", key->token);
	if (sends_hash(r))
		add_named(&s.headers, "x-amz-content-sha256", s.parts.payload_hash);
	order_headers(&s);
	s.query = url_canonical_query(s.url.query);
	n = sign(&s, e);
	if (n < 0)
		return n;
	*ret_headers = wire_headers(&s);
	give_parts(&s, parts);
	return 0;
}

static bool
query_is_signed(const char *query)
{
	return query &&
		(text_starts(query, "X-Amz-Signature=") || strstr(query, "&X-Amz-Signature="));
}

static void
add_parameter(struct sbuf *b, const char *name, const char *value)
{
	autofree char *escaped = text_percent(value, strlen(value), "");

	if (b->len > 0)
		sbuf_addc(b, '&');
	sbuf_addf(b, "%s=%s", name, escaped);
}

/* The caller's query and behind it what the signature is made of. */
static char *
query_to_sign(const struct signing *s, int64_t expires_s)
{
	struct sbuf b = SBUF_INIT(CANONICAL_MAX);
	autofree char *credential = xasprintf("%s/%s", s->key->access_key, s->parts.scope);
	autofree char *expires = xasprintf("%" PRId64, expires_s);

	if (s->url.query)
		sbuf_adds(&b, s->url.query);
	add_parameter(&b, "X-Amz-Algorithm", ALGORITHM);
	add_parameter(&b, "X-Amz-Credential", credential);
	add_parameter(&b, "X-Amz-Date", s->date);
	add_parameter(&b, "X-Amz-Expires", expires);
	add_parameter(&b, "X-Amz-SignedHeaders", s->parts.signed_headers);
	if (has_token(s->key))
		add_parameter(&b, "X-Amz-Security-Token", s->key->token);
	return sbuf_take(&b, NULL);
}

static int
check_query_form(const struct signing *s, int64_t expires_s, struct err *e)
{
	if (query_is_signed(s->url.query))
		return err_set(e, -EINVAL, "the URL to sign has a signature already");
	if (expires_s < 1 || expires_s > 7 * 86400)
		return err_set(e, -EINVAL,
			       "a signed URL is valid for 1 s to 7 days, not for %" PRId64 " s",
			       expires_s);
	return 0;
}

int
sigv4_sign_query(const struct sigv4_request *r, const struct sigv4_key *key, int64_t expires_s,
		 char **ret_url, struct sigv4_parts *parts, struct err *e)
{
	autosigning struct signing s = { .r = r, .key = key };
	int n = begin(&s, e);

	if (n == 0)
		n = check_query_form(&s, expires_s, e);
	if (n < 0)
		return n;
	/* Who gets the URL may send any body: S3 expects it to be left open. */
	if (strcmp(r->service, "s3") == 0 && !find_header(r->headers, "X-Amz-Content-Sha256")) {
		free(s.parts.payload_hash);
		s.parts.payload_hash = xstrdup(UNSIGNED);
	}
	order_headers(&s);
	{
		char *query = query_to_sign(&s, expires_s);

		free(s.url.query);
		s.url.query = query;
	}
	s.query = url_canonical_query(s.url.query);
	n = sign(&s, e);
	if (n < 0)
		return n;
	{
		autofree char *url = url_text(&s.url);

		*ret_url = xasprintf("%s&X-Amz-Signature=%s", url, s.parts.signature);
	}
	give_parts(&s, parts);
	return 0;
}
