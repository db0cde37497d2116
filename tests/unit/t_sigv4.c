/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/aws/sigv4.c against the vectors of tests/vectors/sigv4. */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/sigv4.h"
#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "tests/unit/suite.h"

#define autoparts __attribute__((cleanup(sigv4_parts_done)))

static json_t *
load(const char *name)
{
	const char *top = secure_getenv("top_srcdir");
	autofree char *path = xasprintf("%s/tests/vectors/sigv4/%s", top ? top : ".", name);
	struct err e = {0};
	json_t *v = json_parse_file(path, 1 << 20, &e);

	ck_assert_msg(v != NULL, "%s", err_text(&e));
	return v;
}

static char **
headers_of(const json_t *c)
{
	char **v = NULL;
	size_t i;
	json_t *h;

	json_array_foreach(json_object_get(c, "headers"), i, h) strv_add(&v, json_string_value(h));
	return v;
}

/* The two lines of PARTS that say all, against what the case expects (members that it has). */
static void
check_parts(const struct sigv4_parts *p, const json_t *want, const char *name)
{
	char hash[DIGEST_SHA256_HEX_SIZE];
	const struct {
		const char *key, *got;
	} table[] = {
		{"canonical", p->canonical},	   {"canonical_sha256", hash},
		{"signature", p->signature},	   {"signed_headers", p->signed_headers},
		{"payload_hash", p->payload_hash},
	};

	digest_sha256_hex(p->canonical, strlen(p->canonical), hash);
	ck_assert(text_ends(p->to_sign, hash));
	for (size_t i = 0; i < NELEMS(table); i++) {
		const char *value = json_str(want, table[i].key, NULL);

		ck_assert_msg(!value || strcmp(value, table[i].got) == 0,
			      "%s: %s is %s, expected %s; canonical request:\n%s", name,
			      table[i].key, table[i].got, value, p->canonical);
	}
}

static const char *
value_of(char *const *headers, const char *name)
{
	autofree char *prefix = xasprintf("%s: ", name);

	for (; headers && *headers; headers++)
		if (text_starts(*headers, prefix))
			return *headers + strlen(prefix);
	return NULL;
}

static void
run_headers(const struct sigv4_request *r, const struct sigv4_key *key, const json_t *want,
	    const char *name)
{
	autoparts struct sigv4_parts p = {0};
	autostrv char **wire = NULL;
	struct err e = {0};
	const char *all = json_str(want, "authorization", NULL);

	ck_assert_msg(sigv4_sign_headers(r, key, &wire, &p, &e) == 0, "%s: %s", name, err_text(&e));
	check_parts(&p, want, name);
	ck_assert_ptr_nonnull(value_of(wire, "Authorization"));
	ck_assert_ptr_nonnull(strstr(value_of(wire, "Authorization"), p.signature));
	ck_assert_ptr_nonnull(value_of(wire, "X-Amz-Date"));
	ck_assert_pstr_eq(value_of(wire, "X-Amz-Security-Token"), key->token);
	if (all)
		ck_assert_str_eq(value_of(wire, "Authorization"), all);
}

static void
run_query(const struct sigv4_request *r, const struct sigv4_key *key, const json_t *want,
	  const char *name)
{
	autoparts struct sigv4_parts p = {0};
	autofree char *url = NULL, *last = NULL;
	struct err e = {0};

	ck_assert_msg(sigv4_sign_query(r, key, 3600, &url, &p, &e) == 0, "%s: %s", name,
		      err_text(&e));
	check_parts(&p, want, name);
	last = xasprintf("&X-Amz-Signature=%s", p.signature);
	ck_assert(text_ends(url, last));
	ck_assert(text_starts(url, r->url));
}

static void
run_suite_case(const json_t *suite, const json_t *c)
{
	const char *name = json_str(c, "name", "?"), *body = json_str(c, "body", "");
	autostrv char **headers = headers_of(c);
	autofree char *url =
		xasprintf("https://%s%s", json_str(suite, "host", ""), json_str(c, "target", ""));
	struct sigv4_key key = {json_str(suite, "access_key", ""),
				json_str(suite, "secret_key", ""), json_str(c, "token", NULL)};
	struct sigv4_request r = {
		.method = json_str(c, "method", ""),
		.url = url,
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.region = json_str(suite, "region", ""),
		.service = json_str(suite, "service", ""),
		.when = json_int(suite, "time", 0),
		.sign_length = json_bool(c, "sign_length", false),
		.path_as_is = json_bool(c, "path_as_is", false),
		.path_once = json_bool(c, "path_once", false),
	};

	run_query(&r, &key, json_object_get(c, "query"), name);
	if (json_bool(c, "sign_hash", false)) {
		char hash[DIGEST_SHA256_HEX_SIZE];

		digest_sha256_hex(body, strlen(body), hash);
		strv_addf(&headers, "X-Amz-Content-Sha256: %s", hash);
		r.headers = headers;
	}
	run_headers(&r, &key, json_object_get(c, "header"), name);
}

START_TEST(test_suite)
{
	autojson json_t *suite = load("cases.json");
	json_t *cases = json_object_get(suite, "cases"), *c;
	size_t i;

	ck_assert_uint_eq(json_array_size(cases), 38);
	json_array_foreach(cases, i, c) run_suite_case(suite, c);
}
END_TEST

START_TEST(test_services)
{
	autojson json_t *all = load("service.json");
	json_t *cases = json_object_get(all, "cases"), *c;
	size_t i;

	ck_assert_uint_eq(json_array_size(cases), 14);
	json_array_foreach(cases, i, c)
	{
		const json_t *k =
			json_object_get(json_object_get(all, "keys"), json_str(c, "key", ""));
		const char *body = json_str(c, "body", "");
		autostrv char **headers = headers_of(c);
		struct sigv4_key key = {json_str(k, "access", ""), json_str(k, "secret", ""),
					json_str(k, "token", NULL)};
		struct sigv4_request r = {
			.method = json_str(c, "method", ""),
			.url = json_str(c, "url", ""),
			.headers = headers,
			.body = body,
			.body_len = strlen(body),
			.region = json_str(c, "region", ""),
			.service = json_str(c, "service", ""),
			.when = json_int(c, "time", 0),
			.sign_length = json_bool(c, "sign_length", false),
		};

		run_headers(&r, &key, c, json_str(c, "name", "?"));
	}
}
END_TEST

static const struct sigv4_key static_key = {"AKID", "hidden", NULL};

static struct sigv4_request
plain(void)
{
	return (struct sigv4_request){.method = "GET",
				      .url = "https://example.com/",
				      .region = "eu-west-1",
				      .service = "s3",
				      .when = 1729514096};
}

START_TEST(test_s3)
{
	static char *given[] = {(char *)"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD", NULL};
	struct sigv4_request r = plain();
	autostrv char **wire = NULL, **open = NULL, **own = NULL;
	autoparts struct sigv4_parts p = {0}, q = {0}, o = {0};

	r.url = "https://example.com//a/../b%20c?x=1";
	ck_assert_int_eq(sigv4_sign_headers(&r, &static_key, &wire, &p, NULL), 0);
	ck_assert(text_starts(p.canonical, "GET\n//a/../b%20c\nx=1\n"));
	ck_assert_str_eq(value_of(wire, "X-Amz-Content-Sha256"),
			 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_str_eq(p.signed_headers, "host;x-amz-content-sha256;x-amz-date");
	r.unsigned_payload = true;
	ck_assert_int_eq(sigv4_sign_headers(&r, &static_key, &open, &q, NULL), 0);
	ck_assert_str_eq(value_of(open, "X-Amz-Content-Sha256"), "UNSIGNED-PAYLOAD");
	ck_assert(text_ends(q.canonical, "\nUNSIGNED-PAYLOAD"));
	r.unsigned_payload = false;
	r.headers = given;
	ck_assert_int_eq(sigv4_sign_headers(&r, &static_key, &own, &o, NULL), 0);
	ck_assert_str_eq(o.signature, q.signature);
	ck_assert_uint_eq(strv_len(own), strv_len(open));
}
END_TEST

START_TEST(test_s3_query)
{
	struct sigv4_request r = plain();
	autofree char *url = NULL;
	autoparts struct sigv4_parts p = {0};

	ck_assert_int_eq(sigv4_sign_query(&r, &static_key, 60, &url, &p, NULL), 0);
	ck_assert(text_ends(p.canonical, "\nUNSIGNED-PAYLOAD"));
	ck_assert(text_starts(url,
			      "https://example.com/?X-Amz-Algorithm=AWS4-HMAC-SHA256&"
			      "X-Amz-Credential=AKID%2F20241021%2Feu-west-1%2Fs3%2Faws4_"
			      "request&X-Amz-Date=20241021T123456Z&X-Amz-Expires=60&"
			      "X-Amz-SignedHeaders=host&X-Amz-Signature="));
}
END_TEST

START_TEST(test_host)
{
	static const struct {
		const char *url, *line;
	} table[] = {
		{"https://h:443/", "\nhost:h\n"},
		{"http://h:80/", "\nhost:h\n"},
		{"http://h:443/", "\nhost:h:443\n"},
		{"https://H.x:8443/", "\nhost:h.x:8443\n"},
		{"http://[::1]:81/", "\nhost:[::1]:81\n"},
	};

	for (size_t i = 0; i < NELEMS(table); i++) {
		struct sigv4_request r = plain();
		autostrv char **wire = NULL;
		autoparts struct sigv4_parts p = {0};

		r.url = table[i].url;
		ck_assert_int_eq(sigv4_sign_headers(&r, &static_key, &wire, &p, NULL), 0);
		ck_assert_msg(strstr(p.canonical, table[i].line), "%s", p.canonical);
	}
}
END_TEST

/* What was signed before is replaced, not signed into it. */
START_TEST(test_again)
{
	struct sigv4_key key = {"AKID", "hidden", "token"};
	struct sigv4_request r = plain();
	autostrv char **one = NULL, **two = NULL;

	ck_assert_int_eq(sigv4_sign_headers(&r, &key, &one, NULL, NULL), 0);
	r.headers = one;
	ck_assert_int_eq(sigv4_sign_headers(&r, &key, &two, NULL, NULL), 0);
	ck_assert_str_eq(value_of(one, "Authorization"), value_of(two, "Authorization"));
	ck_assert_uint_eq(strv_len(one), strv_len(two));
}
END_TEST

static void
refused(struct sigv4_request r, struct sigv4_key key)
{
	autostrv char **wire = NULL;
	autofree char *url = NULL;
	struct err e = {0};

	ck_assert_int_eq(sigv4_sign_headers(&r, &key, &wire, NULL, &e), -EINVAL);
	ck_assert_ptr_null(wire);
	ck_assert_str_ne(e.text, "");
	ck_assert_ptr_null(strstr(e.text, "hidden"));
	ck_assert_int_eq(sigv4_sign_query(&r, &key, 60, &url, NULL, &e), -EINVAL);
	ck_assert_ptr_null(url);
}

static void
refused_header(const char *line)
{
	char *headers[] = {(char *)line, NULL};
	struct sigv4_request r = plain();

	r.headers = headers;
	refused(r, static_key);
}

START_TEST(test_refused)
{
	struct sigv4_request r = plain();
	autofree char *many = xmalloc(70000);

#define WITH(member, value)                  \
	({                                   \
		struct sigv4_request w_ = r; \
		w_.member = (value);         \
		w_;                          \
	})
	refused(WITH(method, ""), static_key);
	refused(WITH(method, NULL), static_key);
	refused(WITH(method, "GE T"), static_key);
	refused(WITH(method, "GET\n/"), static_key);
	refused(WITH(region, ""), static_key);
	refused(WITH(region, "a/b"), static_key);
	refused(WITH(region, "a\nb"), static_key);
	refused(WITH(service, NULL), static_key);
	refused(WITH(service, "s 3"), static_key);
	refused(WITH(url, "ftp://h/"), static_key);
	refused(WITH(url, "http://user:hidden@h/"), static_key);
#undef WITH
	refused(r, (struct sigv4_key){"", "hidden", NULL});
	refused(r, (struct sigv4_key){NULL, "hidden", NULL});
	refused(r, (struct sigv4_key){"AK/ID", "hidden", NULL});
	refused(r, (struct sigv4_key){"AKID\r\nX: y", "hidden", NULL});
	refused(r, (struct sigv4_key){"AKID", "", NULL});
	refused(r, (struct sigv4_key){"AKID", NULL, NULL});
	refused(r, (struct sigv4_key){"AKID", "hidden", "to\nken"});
	refused_header("no colon");
	refused_header(": empty");
	refused_header("bad name: x");
	refused_header("X: a\nb");
	refused_header("X: a\r\nY: b");
	refused_header("X: \x01");
	refused_header("Host: h");
	refused_header("content-length: 5");
	memset(many, 'a', 69999);
	many[69999] = '\0';
	memcpy(many, "X:", 2);
	refused_header(many);
}
END_TEST

START_TEST(test_query_refused)
{
	struct sigv4_request r = plain();
	autofree char *url = NULL;

	ck_assert_int_eq(sigv4_sign_query(&r, &static_key, 0, &url, NULL, NULL), -EINVAL);
	ck_assert_int_eq(sigv4_sign_query(&r, &static_key, 604801, &url, NULL, NULL), -EINVAL);
	r.url = "https://example.com/?a=b&X-Amz-Signature=00";
	ck_assert_int_eq(sigv4_sign_query(&r, &static_key, 60, &url, NULL, NULL), -EINVAL);
	r.url = "https://example.com/?X-Amz-Signature=00";
	ck_assert_int_eq(sigv4_sign_query(&r, &static_key, 60, &url, NULL, NULL), -EINVAL);
	ck_assert_ptr_null(url);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sigv4");
	TCase *t = tcase_create("sigv4");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_suite);
	tcase_add_test(t, test_services);
	tcase_add_test(t, test_s3);
	tcase_add_test(t, test_s3_query);
	tcase_add_test(t, test_host);
	tcase_add_test(t, test_again);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_query_refused);
	suite_add_tcase(s, t);
	return run_suite(s);
}
