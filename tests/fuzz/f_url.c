/* SPDX-License-Identifier: Apache-2.0 */
/* URLs: what is canonical stays so, and what is signed is what was given. */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>

#include "core/aws/sigv4.h"
#include "core/base/strv.h"
#include "core/net/url.h"

#define UNRESERVED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

static void
check_path(const char *path)
{
	autofree char *once = url_canonical_path(path, true);
	autofree char *twice = url_canonical_path(once, true);
	autofree char *normal = url_normal_path(path), *again = url_normal_path(normal);
	autofree char *encoded = url_canonical_path(normal, false);

	FUZZ_CHECK(once && twice && strcmp(once, twice) == 0);
	FUZZ_CHECK(strlen(once) <= 3 * strlen(path) + 1);
	FUZZ_CHECK(strspn(once, UNRESERVED "/%") == strlen(once));
	FUZZ_CHECK(normal && again && strcmp(normal, again) == 0 && *normal == '/');
	FUZZ_CHECK(!strstr(normal, "//") && !strstr(normal, "/../") && !strstr(normal, "/./"));
	FUZZ_CHECK(strspn(encoded, UNRESERVED "/%") == strlen(encoded));
}

static void
check_query(const char *query)
{
	autofree char *once = url_canonical_query(query);
	autofree char *twice = url_canonical_query(once);

	FUZZ_CHECK(once && twice && strcmp(once, twice) == 0);
	FUZZ_CHECK(strspn(once, UNRESERVED "%=&") == strlen(once));
}

static void
check_url(const struct url *u)
{
	autofree char *text = url_text(u), *host = url_host_header(u);
	autourl struct url again = { 0 };
	struct err e = { 0, "" };

	FUZZ_CHECK(url_parse(text, &again, &e) == 0);
	FUZZ_CHECK(strcmp(again.host, u->host) == 0 && strcmp(again.scheme, u->scheme) == 0);
	FUZZ_CHECK(strcmp(again.path, u->path) == 0 && url_port(&again) == url_port(u));
	FUZZ_CHECK(!u->query == !again.query);
	FUZZ_CHECK(!strpbrk(host, " \r\n/@"));
	(void)url_is_link_local(u);
}

static void
check_signature(const char *url)
{
	static const struct sigv4_key key = { "AKIDEXAMPLE", "secretsecretsecret", "token" };
	struct sigv4_request r = { .method = "GET", .url = url, .region = "us-east-1",
				   .service = "s3", .when = 1700000000 };
	autostrv char **headers = NULL;
	autofree char *presigned = NULL;
	autourl struct url u = { 0 };
	struct err e = { 0, "" };

	if (sigv4_sign_headers(&r, &key, &headers, NULL, &e) == 0)
		for (char **h = headers; *h; h++)
			FUZZ_CHECK(!strpbrk(*h, "\r\n"));
	else
		fuzz_check_message(err_text(&e));
	if (sigv4_sign_query(&r, &key, 60, &presigned, NULL, &e) < 0)
		fuzz_check_message(err_text(&e));
	else if (strlen(presigned) <= 8192)
		FUZZ_CHECK(url_parse(presigned, &u, &e) == 0 &&
			   strstr(u.query, "X-Amz-Signature="));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *text = xmemdup(data, size);
	autourl struct url u = { 0 };
	struct err e = { 0, "" };

	check_path(text);
	check_query(text);
	if (url_parse(text, &u, &e) < 0) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	check_url(&u);
	check_path(u.path);
	check_signature(text);
	return 0;
}
