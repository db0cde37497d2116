/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of IMDS and of the ECS endpoint: token, list of roles, credentials. */
#include "tests/fuzz/fuzz.h"

#include "core/aws/creds_source.h"
#include "core/aws/imds.h"
#include "core/base/strv.h"
#include "core/net/http.h"

static void
check_printable(const char *s, unsigned char lowest)
{
	for (; s && *s; s++)
		FUZZ_CHECK((unsigned char)*s >= lowest && (unsigned char)*s < 0x7f);
}

static void
check_creds(const char *body, size_t size)
{
	struct err e = { 0, "" };
	struct creds *set = creds_source_json(body, size, "ecs", "the answer", &e);

	if (!set) {
		fuzz_check_message(err_text(&e));
		return;
	}
	FUZZ_CHECK(*set->access_key && *set->secret_key && set->expires_ms >= 0);
	check_printable(set->access_key, 0x21);
	check_printable(set->secret_key, 0x20);
	check_printable(set->token, 0x21);
	creds_unref(set);
}

/* The first line of the input stands for the header, the rest is the token. */
static void
check_token(const char *body)
{
	size_t line = strcspn(body, "\n");
	autofree char *header = xasprintf("x-aws-ec2-metadata-token-ttl-seconds: %.*s", (int)line,
					  body);
	char *headers[] = { header, NULL };
	const char *token = body + line + (body[line] == '\n');
	struct http_response r = { .status = 200, .headers = headers, .body = token,
				   .body_len = strlen(token) };
	struct err e = { 0, "" };
	int64_t ttl_s = 0;

	if (imds_check_token(&r, &ttl_s, &e) < 0) {
		fuzz_check_message(err_text(&e));
		return;
	}
	FUZZ_CHECK(ttl_s > 0 && *token);
	check_printable(token, 0x21);
}

static void
check_role(const char *list)
{
	autofree char *role = NULL;
	struct err e = { 0, "" };

	if (creds_source_role(list, &role, &e) < 0) {
		fuzz_check_message(err_text(&e));
		return;
	}
	FUZZ_CHECK(*role && !strpbrk(role, "/?# \r\n"));
	check_printable(role, 0x21);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *body = xmemdup(data, size);

	check_creds(body, size);
	check_token(body);
	check_role(body);
	return 0;
}
