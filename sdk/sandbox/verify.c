/* SPDX-License-Identifier: Apache-2.0 */
/* Checks AWS Signature Version 4, header form and query form. */
#include "sdk/sandbox/verify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define CANONICAL_MAX ((size_t)1 << 20)
#define PAIRS_MAX 256
#define EXPIRES_MAX_S 604800

/* What the request says about its signature, whichever form it has. */
struct claim {
	char *key_id, *date, *region, *service, *end; /* the credential scope */
	char **signed_headers;
	char *signature, *stamp, *token;
	int64_t expires_s; /* query form; -1 in header form */
	bool in_query;
};

struct pair {
	char *name, *value; /* encoded as the canonical form wants it */
};

static void
claim_done(struct claim *c)
{
	free(c->key_id);
	free(c->date);
	free(c->region);
	free(c->service);
	free(c->end);
	strv_free(c->signed_headers);
	free(c->signature);
	free(c->stamp);
	free(c->token);
}

static int __attribute__((format(printf, 3, 4)))
refuse(struct verify_result *ret, const char *code, const char *fmt, ...)
{
	va_list ap;

	snprintf(ret->code, sizeof(ret->code), "%s", code);
	va_start(ap, fmt);
	vsnprintf(ret->message, sizeof(ret->message), fmt, ap);
	va_end(ap);
	return -EACCES;
}

static const char *
header(const struct verify_request *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (strcmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

/* The raw value of a query parameter, decoded; NULL when absent. Caller frees. */
static char *
query_value(const char *query, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = query; *p; p += strcspn(p, "&"), p += *p == '&') {
		char *value = NULL;

		if (strncmp(p, name, len) != 0 || p[len] != '=')
			continue;
		text_unpercent(p + len + 1, strcspn(p + len + 1, "&"), &value);
		return value;
	}
	return NULL;
}

/* KEY/DATE/REGION/SERVICE/END; the key id itself may hold a slash no more than the rest may. */
static int
split_credential(struct claim *c, const char *credential)
{
	char **fields[] = { &c->key_id, &c->date, &c->region, &c->service, &c->end };
	const char *p = credential;

	for (size_t i = 0; i < NELEMS(fields); i++) {
		size_t len = strcspn(p, "/");

		if (!len || (p[len] == '/') != (i + 1 < NELEMS(fields)))
			return -EINVAL;
		*fields[i] = xstrndup(p, len);
		p += len + 1;
	}
	return 0;
}

/* One NAME=VALUE of the Authorization header. */
static void
take_field(struct claim *c, const char *field, char **credential)
{
	if (text_starts(field, "Credential=") && !*credential)
		*credential = xstrdup(field + strlen("Credential="));
	else if (text_starts(field, "SignedHeaders=") && !c->signed_headers)
		c->signed_headers = strv_split(field + strlen("SignedHeaders="), ";");
	else if (text_starts(field, "Signature=") && !c->signature)
		c->signature = xstrdup(field + strlen("Signature="));
}

static int
incomplete(struct verify_result *ret, const struct claim *c, const char *credential,
	   const char *authorization)
{
	return refuse(ret, "IncompleteSignatureException", "%s%s%s%sAuthorization=%s",
		      credential ? "" : "Authorization header requires 'Credential' parameter. ",
		      c->signature ? "" : "Authorization header requires 'Signature' parameter. ",
		      c->signed_headers
			      ? ""
			      : "Authorization header requires 'SignedHeaders' parameter. ",
		      c->stamp ? ""
			       : "Authorization header requires existence of either a 'X-Amz-Date' "
				 "or a 'Date' header. ",
		      authorization);
}

static int
claim_from_header(struct claim *c, const struct verify_request *r, const char *authorization,
		  struct verify_result *ret)
{
	autofree char *credential = NULL;
	autostrv char **fields = NULL;

	c->expires_s = -1;
	c->stamp = xstrdup(header(r, "x-amz-date"));
	c->token = xstrdup(header(r, "x-amz-security-token"));
	if (!text_starts(authorization, ALGORITHM " "))
		return refuse(ret, "IncompleteSignatureException",
			      "Unsupported AWS 'algorithm': the Authorization header must begin "
			      "with '" ALGORITHM "'.");
	fields = strv_split(authorization + strlen(ALGORITHM " "), ",");
	for (size_t i = 0; i < strv_len(fields); i++)
		take_field(c, fields[i], &credential);
	if (!credential || !c->signature || !c->signed_headers || !c->stamp)
		return incomplete(ret, c, credential, authorization);
	if (split_credential(c, credential) < 0)
		return refuse(ret, "IncompleteSignatureException",
			      "Credential must have exactly 5 slash-delimited elements, e.g. "
			      "keyid/date/region/service/term, got '%s'",
			      credential);
	return 0;
}

static int
claim_from_query(struct claim *c, const struct verify_request *r, struct verify_result *ret)
{
	autofree char *algorithm = query_value(r->query, "X-Amz-Algorithm");
	autofree char *credential = query_value(r->query, "X-Amz-Credential");
	autofree char *names = query_value(r->query, "X-Amz-SignedHeaders");
	autofree char *expires = query_value(r->query, "X-Amz-Expires");

	c->in_query = true;
	c->stamp = query_value(r->query, "X-Amz-Date");
	c->token = query_value(r->query, "X-Amz-Security-Token");
	c->signature = query_value(r->query, "X-Amz-Signature");
	if (names)
		c->signed_headers = strv_split(names, ";");
	if (!algorithm || strcmp(algorithm, ALGORITHM) != 0)
		return refuse(ret, "IncompleteSignatureException",
			      "X-Amz-Algorithm must be '" ALGORITHM "'.");
	if (!credential || !c->stamp || !c->signature || !c->signed_headers ||
	    split_credential(c, credential) < 0)
		return refuse(ret, "IncompleteSignatureException",
			      "AWS query-string parameters must include 'X-Amz-Credential' of five "
			      "elements, 'X-Amz-Date', 'X-Amz-SignedHeaders' and "
			      "'X-Amz-Signature'.");
	c->expires_s = 300;
	if (expires && text_to_i64(expires, 1, EXPIRES_MAX_S, &c->expires_s) < 0)
		return refuse(ret, "IncompleteSignatureException",
			      "X-Amz-Expires must be a number of seconds from 1 to %d.",
			      EXPIRES_MAX_S);
	return 0;
}

static int
claim_read(struct claim *c, const struct verify_request *r, struct verify_result *ret)
{
	const char *authorization = header(r, "authorization");

	if (authorization)
		return claim_from_header(c, r, authorization, ret);
	if (text_starts(r->query, "X-Amz-") || strstr(r->query, "&X-Amz-"))
		return claim_from_query(c, r, ret);
	return refuse(ret, "MissingAuthenticationTokenException", "Missing Authentication Token");
}

/* "20240305T070809Z" -> unix ms. */
static int
stamp_ms(const char *stamp, int64_t *ret)
{
	char iso[TEXT_STAMP_SIZE];

	if (strlen(stamp) != 16 || stamp[8] != 'T' || stamp[15] != 'Z')
		return -EINVAL;
	snprintf(iso, sizeof(iso), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", stamp, stamp + 4, stamp + 6,
		 stamp + 9, stamp + 11, stamp + 13);
	return text_from_iso8601(iso, ret);
}

static int
check_time(const struct claim *c, const struct verify_rules *rules, struct verify_result *ret)
{
	char now[TEXT_STAMP_SIZE], limit[TEXT_STAMP_SIZE];
	int64_t at, life = c->expires_s < 0 ? rules->max_skew_ms : c->expires_s * 1000;

	if (stamp_ms(c->stamp, &at) < 0)
		return refuse(ret, "IncompleteSignatureException",
			      "Date must be in ISO-8601 'basic format'. Got '%s'.", c->stamp);
	if (strncmp(c->stamp, c->date, 8) != 0 || strlen(c->date) != 8)
		return refuse(ret, "InvalidSignatureException",
			      "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
			      "version of date from HTTP: '%s' != '%.8s', from '%s'.",
			      c->date, c->stamp, c->stamp);
	text_amz_date((time_t)(rules->now_ms / 1000), now);
	if (at + life < rules->now_ms) {
		text_amz_date((time_t)((rules->now_ms - life) / 1000), limit);
		return refuse(ret, "InvalidSignatureException",
			      "Signature expired: %s is now earlier than %s (%s - %lld min.)",
			      c->stamp, limit, now, (long long)(life / 60000));
	}
	if (at > rules->now_ms + rules->max_skew_ms) {
		text_amz_date((time_t)((rules->now_ms + rules->max_skew_ms) / 1000), limit);
		return refuse(ret, "InvalidSignatureException",
			      "Signature not yet current: %s is still later than %s (%s + %lld "
			      "min.)",
			      c->stamp, limit, now, (long long)(rules->max_skew_ms / 60000));
	}
	return 0;
}

static int
check_scope(const struct claim *c, const struct verify_rules *rules, struct verify_result *ret)
{
	if (strcmp(c->region, rules->region) != 0)
		return refuse(ret, "InvalidSignatureException",
			      "Credential should be scoped to a valid region, not '%s'.",
			      c->region);
	if (strcmp(c->service, rules->service) != 0)
		return refuse(ret, "InvalidSignatureException",
			      "Credential should be scoped to correct service: '%s'.",
			      rules->service);
	if (strcmp(c->end, "aws4_request") != 0)
		return refuse(ret, "InvalidSignatureException",
			      "Credential should be scoped with a valid terminator: "
			      "'aws4_request', not '%s'.",
			      c->end);
	return 0;
}

static int
check_key(const struct claim *c, const struct verify_rules *rules, struct verify_result *ret)
{
	const struct key *key = keys_find(rules->keys, c->key_id);

	ret->key = key;
	if (!key || !key->token != !c->token || (key->token && strcmp(key->token, c->token) != 0))
		return refuse(ret, "UnrecognizedClientException",
			      "The security token included in the request is invalid.");
	if (key->expires_ms && key->expires_ms <= rules->now_ms)
		return refuse(ret, "ExpiredTokenException",
			      "The security token included in the request is expired");
	return 0;
}

static int
check_signed_headers(const struct claim *c, const struct verify_request *r,
		     struct verify_result *ret)
{
	size_t n = strv_len(c->signed_headers);

	for (size_t i = 0; i < n; i++) {
		if (i && strcmp(c->signed_headers[i - 1], c->signed_headers[i]) >= 0)
			return refuse(ret, "InvalidSignatureException",
				      "SignedHeaders must be sorted and named once: '%s'.",
				      c->signed_headers[i]);
		if (!header(r, c->signed_headers[i]))
			return refuse(ret, "InvalidSignatureException",
				      "'%s' is a 'SignedHeader' but not a header of the request.",
				      c->signed_headers[i]);
	}
	if (!strv_has(c->signed_headers, "host"))
		return refuse(ret, "InvalidSignatureException",
			      "'Host' or ':authority' must be a 'SignedHeader' in the AWS "
			      "Authorization.");
	for (size_t i = 0; i < r->header_count; i++)
		if (text_starts(r->headers[i].name, "x-amz-") &&
		    !strv_has(c->signed_headers, r->headers[i].name))
			return refuse(ret, "InvalidSignatureException",
				      "'%s' must be a 'SignedHeader' in the AWS Authorization.",
				      r->headers[i].name);
	return 0;
}

/* Trimmed, runs of blanks made one. */
static void
add_folded(struct sbuf *b, const char *value)
{
	bool gap = false, any = false;

	for (; *value; value++) {
		if (*value == ' ' || *value == '\t') {
			gap = any;
			continue;
		}
		if (gap)
			sbuf_addc(b, ' ');
		sbuf_addc(b, *value);
		gap = false;
		any = true;
	}
}

static void
add_header_block(struct sbuf *b, const struct claim *c, const struct verify_request *r)
{
	for (size_t i = 0; i < strv_len(c->signed_headers); i++) {
		const char *name = c->signed_headers[i];
		bool first = true;

		sbuf_addf(b, "%s:", name);
		for (size_t k = 0; k < r->header_count; k++) {
			if (strcmp(r->headers[k].name, name) != 0)
				continue;
			if (!first)
				sbuf_addc(b, ',');
			add_folded(b, r->headers[k].value);
			first = false;
		}
		sbuf_addc(b, '\n');
	}
}

/* RFC 3986 dot segments and empty segments out, all on the encoded form. */
static char *
normal_path(const char *path)
{
	autostrv char **kept = NULL;
	autofree char *joined = NULL;
	size_t n = 0;

	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && strncmp(p, "..", 2) == 0) {
			if (n) {
				free(kept[--n]);
				kept[n] = NULL;
			}
		} else if (len && !(len == 1 && *p == '.')) {
			strv_push(&kept, xstrndup(p, len));
			n++;
		}
		p += len + (p[len] == '/');
	}
	joined = strv_join(kept, "/");
	return xasprintf("/%s%s", joined, n && text_ends(path, "/") ? "/" : "");
}

static void
add_path(struct sbuf *b, const char *path, bool single_encoding)
{
	autofree char *normal = single_encoding ? xstrdup(path) : normal_path(path);
	autofree char *twice = NULL;

	if (!single_encoding)
		twice = text_percent(normal, strlen(normal), "/");
	sbuf_adds(b, twice ? twice : *normal ? normal : "/");
}

/* Decoded and encoded again, so that both spellings of one byte are the same. A broken escape is
 * taken as it stands: the signature then decides. */
static char *
encode_again(const char *s, size_t len)
{
	autofree char *plain = NULL;

	if (text_unpercent(s, len, &plain) < 0)
		return text_percent(s, len, "");
	return text_percent(plain, strlen(plain), "");
}

static int
compare_pairs(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->value, y->value);
}

static size_t
split_query(const char *query, struct pair *pairs)
{
	size_t n = 0;

	for (const char *p = query; *p && n < PAIRS_MAX;) {
		size_t len = strcspn(p, "&"), name = strcspn(p, "=&");

		if (len && strncmp(p, "X-Amz-Signature=", strlen("X-Amz-Signature=")) != 0) {
			pairs[n].name = encode_again(p, name);
			pairs[n++].value = name < len ? encode_again(p + name + 1, len - name - 1)
						      : xstrdup("");
		}
		p += len + (p[len] == '&');
	}
	return n;
}

static void
add_query(struct sbuf *b, const char *query)
{
	struct pair pairs[PAIRS_MAX];
	size_t n = split_query(query, pairs);

	qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
	for (size_t i = 0; i < n; i++) {
		sbuf_addf(b, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
		free(pairs[i].name);
		free(pairs[i].value);
	}
}

static void
add_payload_hash(struct sbuf *b, const struct claim *c, const struct verify_request *r)
{
	const char *given = header(r, "x-amz-content-sha256");
	char hash[DIGEST_SHA256_HEX_SIZE];

	if (c->in_query && strcmp(c->service, "s3") == 0) {
		sbuf_adds(b, "UNSIGNED-PAYLOAD");
		return;
	}
	if (given && strcmp(given, "UNSIGNED-PAYLOAD") == 0) {
		sbuf_adds(b, given);
		return;
	}
	digest_sha256_hex(r->body, r->body_len, hash);
	sbuf_adds(b, hash);
}

static int
hash_canonical(const struct claim *c, const struct verify_request *r, bool single_encoding,
	       char ret[DIGEST_SHA256_HEX_SIZE])
{
	autosbuf struct sbuf b = SBUF_INIT(CANONICAL_MAX);
	autofree char *names = strv_join(c->signed_headers, ";");

	sbuf_addf(&b, "%s\n", r->method);
	add_path(&b, r->path, single_encoding);
	sbuf_addc(&b, '\n');
	add_query(&b, r->query);
	sbuf_addc(&b, '\n');
	add_header_block(&b, c, r);
	sbuf_addf(&b, "\n%s\n", names);
	add_payload_hash(&b, c, r);
	if (b.err)
		return b.err;
	digest_sha256_hex(b.p, b.len, ret);
	return 0;
}

static void
signature_of(const struct claim *c, const char *secret, const char *canonical_hash,
	     char ret[DIGEST_SHA256_HEX_SIZE])
{
	autosecret char *first = xasprintf("AWS4%s", secret);
	const char *chain[] = { c->date, c->region, c->service, c->end };
	unsigned char key[DIGEST_SHA256_SIZE];
	autofree char *text = xasprintf(ALGORITHM "\n%s\n%s/%s/%s/%s\n%s", c->stamp, c->date,
					c->region, c->service, c->end, canonical_hash);

	digest_hmac_sha256(first, strlen(first), chain[0], strlen(chain[0]), key);
	for (size_t i = 1; i < NELEMS(chain); i++) {
		unsigned char next[DIGEST_SHA256_SIZE];

		digest_hmac_sha256(key, sizeof(key), chain[i], strlen(chain[i]), next);
		memcpy(key, next, sizeof(key));
	}
	digest_hmac_sha256(key, sizeof(key), text, strlen(text), key);
	text_hex(key, sizeof(key), ret);
	wipe(key, sizeof(key));
}

static int
check_signature(const struct claim *c, const struct verify_request *r,
		const struct verify_rules *rules, struct verify_result *ret)
{
	char wanted[DIGEST_SHA256_HEX_SIZE];

	if (hash_canonical(c, r, rules->single_encoding, ret->canonical_hash) < 0)
		return refuse(ret, "InvalidSignatureException",
			      "The canonical request is longer than %zu bytes.", CANONICAL_MAX);
	signature_of(c, ret->key->secret, ret->canonical_hash, wanted);
	if (strcmp(wanted, c->signature) != 0)
		return refuse(
			ret, "InvalidSignatureException",
			"The request signature we calculated does not match the signature you "
			"provided. Check your AWS Secret Access Key and signing method. "
			"Consult the service documentation for details.");
	return 0;
}

static int
check_claim(const struct claim *c, const struct verify_request *r, const struct verify_rules *rules,
	    struct verify_result *ret)
{
	int err = check_key(c, rules, ret);

	if (!err)
		err = check_scope(c, rules, ret);
	if (!err)
		err = check_time(c, rules, ret);
	if (!err)
		err = check_signed_headers(c, r, ret);
	return err ? err : check_signature(c, r, rules, ret);
}

int
verify_check(const struct verify_request *r, const struct verify_rules *rules,
	     struct verify_result *ret)
{
	struct claim c = { 0 };
	int err;

	memset(ret, 0, sizeof(*ret));
	err = claim_read(&c, r, ret);
	if (!err)
		err = check_claim(&c, r, rules, ret);
	claim_done(&c);
	return err;
}

void
verify_key_id(const struct verify_request *r, char *ret, size_t ret_size)
{
	struct verify_result ignored = { 0 };
	struct claim c = { 0 };

	claim_read(&c, r, &ignored);
	snprintf(ret, ret_size, "%s", c.key_id ? c.key_id : "");
	claim_done(&c);
}
