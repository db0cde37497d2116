/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of sdk/sandbox/verify.c: the vectors of spec/04 section 8, what must be refused, and
 * requests that botocore signs while the test runs. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "sdk/sandbox/verify.h"
#include "tests/unit/suite.h"

#define AK "AKIAIOSFODNN7EXAMPLE"
#define SK "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define AKT "ASIAIOSFODNN7EXAMPLE"
#define SKT "bPxRfiCYwJalrXUtnFEMI/K7MDENG+EXAMPLEKEY"
#define TOK                                              \
	"IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCWV1LXdlc3" \
	"QtMSJHMEUCIQDtestvectorEXAMPLE+token/0123456789=="
#define DATE "20241021T123456Z"
#define AUTH(key, service, names, signature)                              \
	"AWS4-HMAC-SHA256 Credential=" key "/20241021/eu-west-1/" service \
	"/aws4_request, SignedHeaders=" names ", Signature=" signature

/* 2024-10-21T12:34:56Z */
#define NOW_MS INT64_C(1729514096000)

static const char poll_body[] =
	"{\"Destination\":\"i-0123456789abcdef0\",\"MessagesRequestId\":"
	"\"9f1b2c3d-4e5f-4a6b-8c7d-0123456789ab\",\"VisibilityTimeoutInSeconds\":10}";
static const char ping_body[] =
	"{\"AgentName\":\"amazon-ssm-agent\",\"AgentVersion\":\"3.3.0.0\",\"InstanceId\":"
	"\"i-0123456789abcdef0\",\"PlatformType\":\"Linux\"}";
static const char channel_body[] = "{\"MessageSchemaVersion\":\"1.0\",\"RequestId\":"
				   "\"0c1d2e3f-4a5b-4c6d-8e7f-0123456789ab\"}";

#define MDS_HOST                                              \
	{                                                     \
		"host", "ec2messages.eu-west-1.amazonaws.com" \
	}
#define MDS_TARGET                                                             \
	{                                                                      \
		"x-amz-target", "EC2WindowsMessageDeliveryService.GetMessages" \
	}
#define JSON_TYPE                                            \
	{                                                    \
		"content-type", "application/x-amz-json-1.1" \
	}
#define NAMES_A "content-length;content-type;host;x-amz-date;x-amz-target"
#define NAMES_B "content-length;content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
#define NAMES_B2 "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
#define NAMES_D "content-type;host;x-amz-date;x-amz-security-token"
#define NAMES_E "host;x-amz-date;x-amz-security-token"

struct vector {
	const char *name, *service;
	struct verify_request request;
	const char *canonical_hash;
};

static const struct verify_header headers_a[] = {
	{"content-length", "128"},
	JSON_TYPE,
	MDS_HOST,
	{"x-amz-date", DATE},
	MDS_TARGET,
	{"user-agent", "not signed"},
	{"authorization",
	 AUTH(AK, "ec2messages", NAMES_A,
	      "c3c204ff7b3b7c7ee9a7b57fc673df5e713360e95f564b6035d699fafaa62023")},
};
static const struct verify_header headers_b[] = {
	{"content-length", "128"},
	JSON_TYPE,
	MDS_HOST,
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	MDS_TARGET,
	{"authorization",
	 AUTH(AKT, "ec2messages", NAMES_B,
	      "5614bb4f61f807e1d96e407275e7ca4885bdbd8946bd9d3b5e3afb2e77814506")},
};
static const struct verify_header headers_b2[] = {
	{"content-length", "128"},
	JSON_TYPE,
	MDS_HOST,
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	MDS_TARGET,
	{"authorization",
	 AUTH(AKT, "ec2messages", NAMES_B2,
	      "63248b521b1cceb25dcdd4ede9b4b0d2ec1285fb393bb6953eebedd38e3a1e78")},
};
static const struct verify_header headers_c[] = {
	{"content-length", "115"},
	JSON_TYPE,
	{"host", "ssm.eu-west-1.amazonaws.com"},
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	{"x-amz-target", "AmazonSSM.UpdateInstanceInformation"},
	{"authorization",
	 AUTH(AKT, "ssm", NAMES_B,
	      "1251ef8e5fe868ef18a2adb1df2118aa76862564669fa2b0073c31778c940c52")},
};
static const struct verify_header headers_d[] = {
	{"content-type", "application/json"},
	{"host", "ssmmessages.eu-west-1.amazonaws.com"},
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	{"authorization",
	 AUTH(AKT, "ssmmessages", NAMES_D,
	      "8151ea5f84175e4c6628c10b78512fd3135b855e859424cd36685d8acd2006da")},
};

static const struct verify_header headers_e[] = {
	{"host", "ssmmessages.eu-west-1.amazonaws.com"},
	{"sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEA=="},
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	{"authorization",
	 AUTH(AKT, "ssmmessages", NAMES_E,
	      "f676e88d13018662d181942438ae1092d369c88219601f35ef76641993ada9d9")},
};
static const struct verify_header headers_e0[] = {
	{"host", "ssmmessages.eu-west-1.amazonaws.com"},
	{"x-amz-date", DATE},
	{"authorization",
	 AUTH(AK, "ssmmessages", "host;x-amz-date",
	      "83ed5cf2f9e319b881587c839a3899cfd208c5f350b05af0ccc73e4b3a49a160")},
};
static const struct verify_header headers_f[] = {
	{"host", "ssmmessages.eu-west-1.amazonaws.com"},
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	{"authorization",
	 AUTH(AKT, "ssmmessages", NAMES_E,
	      "b605b6f1622c14efd7dbec4b08577cd1729685c1f7aeb5f8e47e527ce4323878")},
};
static const struct verify_header headers_g[] = {
	{"host", "ssmmessages.eu-west-1.amazonaws.com"},
	{"x-amz-date", DATE},
	{"x-amz-security-token", TOK},
	{"authorization",
	 AUTH(AKT, "ssmmessages", NAMES_E,
	      "4c9e13b6cc92f3a5e105c51f250a517e9a2626050d2600bae9474f1f14bb92e0")},
};

#define REQUEST(method_, path_, query_, headers_, body_)                                 \
	{                                                                                \
		.method = method_, .path = path_, .query = query_, .headers = headers_,  \
		.header_count = sizeof(headers_) / sizeof((headers_)[0]), .body = body_, \
		.body_len = sizeof(body_) - 1                                            \
	}

static const struct vector vectors[] = {
	{"A", "ec2messages", REQUEST("POST", "/", "", headers_a, poll_body),
	 "72fc7af7e4fced32e79665be60b12bc14e92f55d269782cd393b9529b1b05f15"},
	{"B", "ec2messages", REQUEST("POST", "/", "", headers_b, poll_body),
	 "8b247884d16c5b764bf92317911a67f78b454ef7a1bcd1b135e2d27a726c5ec7"},
	{"B2", "ec2messages", REQUEST("POST", "/", "", headers_b2, poll_body),
	 "19c320ca1bec13672358852d12385575a208764b23144939f31cc1e92f3a8682"},
	{"C", "ssm", REQUEST("POST", "/", "", headers_c, ping_body),
	 "a149ab1ae6c39a129a5f8116d4afd56a03a06304da66e63614a9c542e7288709"},
	{"D", "ssmmessages",
	 REQUEST("POST", "/v1/control-channel/i-0123456789abcdef0", "", headers_d, channel_body),
	 "61ea8c1c17e90716d305b96cf3df42460362f8c1de4b9884c03c3e2b7ef5f02a"},
	{"E", "ssmmessages",
	 REQUEST("GET", "/v1/control-channel/i-0123456789abcdef0",
		 "role=publish_subscribe&stream=input", headers_e, ""),
	 "1cc3c251321f945cce4390d61b1ddb6b4a1223b5de8e21906faa31540b74679b"},
	{"E0", "ssmmessages",
	 REQUEST("GET", "/v1/control-channel/i-0123456789abcdef0",
		 "stream=input&role=publish_subscribe", headers_e0, ""),
	 "160e959e02bc328ee9e5c581799264f77a5ddd9b4d71f40047a56af724d76af0"},
	{"F", "ssmmessages",
	 REQUEST("GET", "/v1/control-channel/ecs:prod_0af3c1_6b7e",
		 "role=publish_subscribe&stream=input", headers_f, ""),
	 "746bda8542e1c3f619b74913e791378b1abfd0193fef6462f0a198b858bdcb43"},
	{"G", "ssmmessages",
	 REQUEST("GET", "/v1/data-channel/alice-0123456789abcdef0", "role=publish_subscribe",
		 headers_g, ""),
	 "3fe5f9c06ebb18893c61e5d950af8bc4cf7ae462e5705b70bd3950a651e411bc"},
};

static struct keys *keys;

static void
setup(void)
{
	keys = keys_new();
	keys_add(keys, "static", KEY_NODE, AK, SK, NULL, 0);
	keys_add(keys, "imds", KEY_NODE, AKT, SKT, TOK, NOW_MS + 3600000);
}

static void
teardown(void)
{
	keys = keys_free(keys);
}

static struct verify_rules
rules_at(const char *service, int64_t now_ms)
{
	return (struct verify_rules){.keys = keys,
				     .region = "eu-west-1",
				     .service = service,
				     .now_ms = now_ms,
				     .max_skew_ms = 300000};
}

START_TEST(test_vector)
{
	const struct vector *v = &vectors[_i];
	struct verify_rules rules = rules_at(v->service, NOW_MS);
	struct verify_result result;
	int err = verify_check(&v->request, &rules, &result);

	ck_assert_msg(err == 0, "vector %s: %s: %s", v->name, result.code, result.message);
	ck_assert_str_eq(result.canonical_hash, v->canonical_hash);
	ck_assert_ptr_nonnull(result.key);
}
END_TEST

/* Any change of what is signed makes the signature wrong. */
START_TEST(test_changed)
{
	struct verify_header headers[NELEMS(headers_b)];
	struct verify_request r = vectors[1].request;
	struct verify_rules rules = rules_at("ec2messages", NOW_MS);
	struct verify_result result;
	static const char other_body[] = "{}";

	memcpy(headers, headers_b, sizeof(headers));
	r.headers = headers;
	switch (_i) {
	case 0:
		r.body = other_body;
		r.body_len = sizeof(other_body) - 1;
		break;
	case 1:
		r.path = "/x";
		break;
	case 2:
		r.query = "a=b";
		break;
	case 3:
		r.method = "PUT";
		break;
	case 4:
		headers[0].value = "129";
		break;
	case 5:
		headers[5].value = "EC2WindowsMessageDeliveryService.AcknowledgeMessage";
		break;
	case 6:
		headers[2].value = "ec2messages.eu-west-1.amazonaws.com:8080";
		break;
	default:
		headers[3].value = "20241021T123457Z";
	}
	ck_assert_int_ne(verify_check(&r, &rules, &result), 0);
	ck_assert_str_eq(result.code, "InvalidSignatureException");
	ck_assert_msg(strstr(result.message, "does not match") != NULL, "%s", result.message);
}
END_TEST

struct refusal {
	const char *authorization, *code, *text;
	const char *region, *service;
	int64_t now_ms;
	size_t header; /* of headers_b, left out when below the count */
};

#define GOOD_B                            \
	AUTH(AKT, "ec2messages", NAMES_B, \
	     "5614bb4f61f807e1d96e407275e7ca4885bdbd8946bd9d3b5e3afb2e77814506")
#define ALL SIZE_MAX
static const struct refusal refusals[] = {
	{GOOD_B, "InvalidSignatureException", "valid region", "us-east-1", "ec2messages", NOW_MS,
	 ALL},
	{GOOD_B, "InvalidSignatureException", "correct service: 'ssm'", "eu-west-1", "ssm", NOW_MS,
	 ALL},
	{GOOD_B, "InvalidSignatureException", "Signature expired", "eu-west-1", "ec2messages",
	 NOW_MS + 301000, ALL},
	{GOOD_B, "InvalidSignatureException", "not yet current", "eu-west-1", "ec2messages",
	 NOW_MS - 301000, ALL},
	{GOOD_B, "ExpiredTokenException", "expired", "eu-west-1", "ec2messages", NOW_MS + 3600000,
	 ALL},
	{GOOD_B, "UnrecognizedClientException", "token", "eu-west-1", "ec2messages", NOW_MS, 4},
	{GOOD_B, "IncompleteSignatureException", "X-Amz-Date", "eu-west-1", "ec2messages", NOW_MS,
	 3},
	{GOOD_B, "InvalidSignatureException", "'x-amz-target' is a 'SignedHeader'", "eu-west-1",
	 "ec2messages", NOW_MS, 5},
	{"", "MissingAuthenticationTokenException", "Missing", "eu-west-1", "ec2messages", NOW_MS,
	 6},
	{"Basic Og==", "IncompleteSignatureException", "algorithm", "eu-west-1", "ec2messages",
	 NOW_MS, ALL},
	{"AWS4-HMAC-SHA256 Signature=00", "IncompleteSignatureException",
	 "'Credential' parameter. Authorization header requires 'SignedHeaders'", "eu-west-1",
	 "ec2messages", NOW_MS, ALL},
	{"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
	 "IncompleteSignatureException", "5 slash-delimited", "eu-west-1", "ec2messages", NOW_MS,
	 ALL},
	{AUTH("AKIAUNKNOWN", "ec2messages", NAMES_B, "00"), "UnrecognizedClientException",
	 "invalid", "eu-west-1", "ec2messages", NOW_MS, ALL},
	{AUTH(AKT, "ec2messages", "content-type;x-amz-date;x-amz-security-token;x-amz-target",
	      "00"),
	 "InvalidSignatureException", "'Host'", "eu-west-1", "ec2messages", NOW_MS, ALL},
	{AUTH(AKT, "ec2messages", "content-type;host;x-amz-date;x-amz-security-token", "00"),
	 "InvalidSignatureException", "'x-amz-target' must be", "eu-west-1", "ec2messages", NOW_MS,
	 ALL},
	{AUTH(AKT, "ec2messages", "host;content-type;x-amz-date;x-amz-security-token;x-amz-target",
	      "00"),
	 "InvalidSignatureException", "sorted", "eu-west-1", "ec2messages", NOW_MS, ALL},
	{"AWS4-HMAC-SHA256 Credential=" AKT
	 "/20241020/eu-west-1/ec2messages/aws4_request, SignedHeaders=" NAMES_B ", Signature=00",
	 "InvalidSignatureException", "Credential scope", "eu-west-1", "ec2messages", NOW_MS, ALL},
	{"AWS4-HMAC-SHA256 Credential=" AKT
	 "/20241021/eu-west-1/ec2messages/aws5_request, SignedHeaders=" NAMES_B ", Signature=00",
	 "InvalidSignatureException", "terminator", "eu-west-1", "ec2messages", NOW_MS, ALL},
};

START_TEST(test_refused)
{
	const struct refusal *c = &refusals[_i];
	struct verify_header headers[NELEMS(headers_b)];
	struct verify_request r = vectors[1].request;
	struct verify_rules rules = rules_at(c->service, c->now_ms);
	struct verify_result result;

	rules.region = c->region;
	r.headers = headers;
	r.header_count = 0;
	for (size_t i = 0; i < NELEMS(headers_b); i++) {
		if (i == c->header)
			continue;
		headers[r.header_count] = headers_b[i];
		if (strcmp(headers_b[i].name, "authorization") == 0)
			headers[r.header_count].value = c->authorization;
		r.header_count++;
	}
	ck_assert_int_ne(verify_check(&r, &rules, &result), 0);
	ck_assert_msg(strcmp(result.code, c->code) == 0, "%s: %s", result.code, result.message);
	ck_assert_msg(strstr(result.message, c->text) != NULL, "%s", result.message);
}
END_TEST

/* ---- botocore as the other party ---- */

static char *
botocore_lines(void)
{
	const char *top = secure_getenv("top_srcdir");
	char *argv[] = {(char *)"/usr/bin/python3", (char *)"tests/unit/sandbox_vectors.py", NULL};
	char *envp[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LC_ALL=C.UTF-8",
			(char *)"PYTHONDONTWRITEBYTECODE=1", NULL};
	struct sbuf out = SBUF_INIT((size_t)8 << 20);
	struct err e = {0};
	int pipe_fds[2];

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	{
		const struct proc_fd fds[] = {{pipe_fds[1], 1}, {2, 2}};
		const struct proc_spec spec = {.path = argv[0],
					       .argv = argv,
					       .envp = envp,
					       .cwd = top ? top : ".",
					       .fds = fds,
					       .fd_count = NELEMS(fds)};
		pid_t pid = proc_spawn(&spec, &e);
		int status;

		ck_assert_msg(pid > 0, "%s", err_text(&e));
		close(pipe_fds[1]);
		while (sbuf_read(&out, pipe_fds[0], 65536) > 0)
			continue;
		close(pipe_fds[0]);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	return sbuf_take(&out, NULL);
}

static void
check_line(const char *text, size_t len)
{
	struct err e = {0};
	autojson json_t *line = json_parse(text, len, "vector", &e);
	struct verify_header headers[64];
	struct verify_rules rules = rules_at(json_str(line, "service", ""), 0);
	struct verify_result result;
	struct verify_request r = {.method = json_str(line, "method", ""),
				   .path = json_str(line, "path", ""),
				   .query = json_str(line, "query", ""),
				   .headers = headers,
				   .body = json_str(line, "body", "")};
	const json_t *pair;
	size_t i;

	ck_assert_msg(line != NULL, "%s", err_text(&e));
	json_array_foreach(json_object_get(line, "headers"), i, pair)
	{
		headers[i].name = json_string_value(json_array_get(pair, 0));
		headers[i].value = json_string_value(json_array_get(pair, 1));
		r.header_count++;
	}
	r.body_len = strlen(r.body);
	rules.now_ms = json_int(line, "now_ms", 0);
	rules.single_encoding = strcmp(rules.service, "s3") == 0;
	keys_add(keys, "botocore", KEY_NODE, json_str(line, "id", ""), json_str(line, "secret", ""),
		 json_str(line, "token", NULL), 0);
	ck_assert_msg(verify_check(&r, &rules, &result) == 0, "%s: %s: %s",
		      json_str(line, "name", ""), result.code, result.message);
}

START_TEST(test_botocore)
{
	autofree char *lines = botocore_lines();
	int n = 0;

	for (char *p = lines; *p; n++) {
		size_t len = strcspn(p, "\n");

		check_line(p, len);
		p += len + (p[len] == '\n');
	}
	ck_assert_int_ge(n, 20);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_verify");
	TCase *t = tcase_create("verify");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, test_vector, 0, (int)NELEMS(vectors));
	tcase_add_loop_test(t, test_changed, 0, 8);
	tcase_add_loop_test(t, test_refused, 0, (int)NELEMS(refusals));
	tcase_add_test(t, test_botocore);
	suite_add_tcase(s, t);
	return run_suite(s);
}
