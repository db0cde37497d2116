/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/handshake.c: the exchanges of spec 02 §4. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "plugins/sessionManager/crypt.h"
#include "plugins/sessionManager/handshake.h"
#include "plugins/sessionManager/messages.h"
#include "tests/unit/suite.h"

#define WRAP "Encountered error while initiating handshake. "
#define SESSION_TYPE "{\"ActionType\":\"SessionType\",\"ActionStatus\":1}"
#define KMS(more) "{\"ActionType\":\"KMSEncryption\",\"ActionStatus\":1," \
		  "\"ActionResult\":{\"KMSCipherTextKey\":\"AAEC\"" more "}}"
#define RESPONSE(version, actions) "{\"ClientVersion\":\"" version "\"," \
				   "\"ProcessedClientActions\":[" actions "]}"

static struct handshake *h;
static struct handshake_conf conf;
static int64_t now_ms, timer_ms;
static uint32_t sent_type;
static size_t sent_count;
static struct sbuf sent = SBUF_INIT(1 << 20);
static char *asked, *asked_challenge, *told;
static int result, send_result;
static unsigned char key[CRYPT_KEY_BYTES];

static int64_t
fake_ms(void)
{
	return now_ms;
}

static int
on_send(void *arg, uint32_t type, const void *p, size_t len)
{
	(void)arg;
	sent_type = type;
	sent_count++;
	sbuf_reset(&sent);
	sbuf_add(&sent, p, len);
	return send_result;
}

static void
on_timer(void *arg, int64_t after_ms)
{
	(void)arg;
	timer_ms = after_ms;
}

static void
on_decrypt(void *arg, const char *cipher_text, const char *challenge)
{
	(void)arg;
	ck_assert_ptr_null(asked);
	asked = xstrdup(cipher_text);
	asked_challenge = xstrdup(challenge);
}

static void
on_done(void *arg, int r, const char *text)
{
	(void)arg;
	ck_assert_ptr_null(told);
	result = r;
	told = xstrdup(text);
}

static const struct handshake_ops ops = { on_send, on_timer, on_decrypt, on_done };

static void
setup(void)
{
	static const struct clock_ops fake = { fake_ms, fake_ms };

	now_ms = 1000;
	clock_replace(&fake);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	conf = (struct handshake_conf){ .agent_version = "3.3.0.0",
					.session_type = "NonInteractiveCommands" };
	h = handshake_new(&conf, &ops, NULL);
}

static void
teardown(void)
{
	h = handshake_free(h);
	sbuf_done(&sent);
	free(asked);
	free(asked_challenge);
	free(told);
	clock_replace(NULL);
}

static void
input(uint32_t type, const char *text)
{
	handshake_input(h, type, (struct span){ text, strlen(text) });
}

static void
failed(int code, const char *text)
{
	ck_assert_ptr_nonnull(told);
	ck_assert_str_eq(told, text);
	ck_assert_int_eq(result, code);
	ck_assert_int_eq(timer_ms, -1);
	ck_assert_ptr_null(handshake_take_crypt(h));
}

START_TEST(test_without_encryption)
{
	handshake_start(h);
	ck_assert_uint_eq(sent_type, 5);
	ck_assert_str_eq(sbuf_str(&sent),
			 "{\"AgentVersion\":\"3.3.0.0\",\"RequestedClientActions\":["
			 "{\"ActionType\":\"SessionType\",\"ActionParameters\":{\"SessionType\":"
			 "\"NonInteractiveCommands\",\"Properties\":null}}]}");
	ck_assert_int_eq(timer_ms, 15000);
	ck_assert_str_eq(handshake_client_version(h), "");
	input(1, "typed too early");
	input(9, "{}");
	now_ms += 3;
	input(6, RESPONSE("1.2.650.0", SESSION_TYPE));
	ck_assert_uint_eq(sent_type, 7);
	ck_assert_str_eq(sbuf_str(&sent), "{\"HandshakeTimeToComplete\":3000000,"
			 "\"CustomerMessage\":\"\"}");
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(timer_ms, -1);
	ck_assert_str_eq(handshake_client_version(h), "1.2.650.0");
	ck_assert_ptr_null(handshake_take_crypt(h));
	input(6, RESPONSE("9", "")); /* again, and late */
	handshake_timer(h);
	ck_assert_uint_eq(sent_count, 2);
}
END_TEST

/* What the client of an encrypted session does with our challenge. */
static void
answer(bool right)
{
	autofree unsigned char *data = NULL;
	autosbuf struct sbuf plain = SBUF_INIT(4096), sealed = SBUF_INIT(4096),
			     text = SBUF_INIT(4096);
	unsigned char swapped[CRYPT_KEY_BYTES];
	struct crypt *client = NULL;
	size_t len = 0;

	memcpy(swapped, key + 32, 32);
	memcpy(swapped + 32, key, 32);
	ck_assert_int_eq(crypt_new(swapped, sizeof(swapped), &client, NULL), 0);
	ck_assert_int_eq(message_read_challenge((struct span){ sent.p, sent.len }, &data, &len,
						NULL), 0);
	ck_assert_int_eq(crypt_open(client, data, len, &plain, NULL), 0);
	plain.p[0] ^= !right;
	ck_assert_int_eq(crypt_seal(client, plain.p, plain.len, &sealed, NULL), 0);
	message_write_challenge(sealed.p, sealed.len, &text);
	crypt_free(client);
	input(9, sbuf_str(&text));
}

static void
until_challenge(const char *response)
{
	conf.kms_key_id = "arn:aws:kms:us-east-1:123456789012:key/abc";
	handshake_start(h);
	input(6, response);
	ck_assert_str_eq(asked, "AAEC");
	ck_assert_uint_eq(sent_count, 1);
	handshake_key(h, 0, NULL, key, sizeof(key));
	ck_assert_uint_eq(sent_type, 8);
	ck_assert_int_eq(timer_ms, 15000);
}

START_TEST(test_with_encryption)
{
	struct crypt *c;

	until_challenge(RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	ck_assert_ptr_null(asked_challenge);
	answer(true);
	ck_assert_uint_eq(sent_type, 7);
	ck_assert_ptr_nonnull(strstr(sbuf_str(&sent), "\"CustomerMessage\":"
				     "\"This session is encrypted using AWS KMS.\"}"));
	ck_assert_int_eq(result, 0);
	c = handshake_take_crypt(h);
	ck_assert_ptr_nonnull(c);
	crypt_free(c);
}
END_TEST

START_TEST(test_challenge_in_the_context)
{
	conf.require_challenge = true;
	until_challenge(RESPONSE("1.2.650.0", SESSION_TYPE "," KMS(
				 ",\"ChallengeAcknowledgement\":true")));
	ck_assert_ptr_nonnull(asked_challenge);
	ck_assert_uint_eq(strlen(asked_challenge), 24);
}
END_TEST

START_TEST(test_challenge_is_asked_for)
{
	conf.kms_key_id = "k";
	handshake_start(h);
	ck_assert_ptr_nonnull(strstr(sbuf_str(&sent), "\"KMSKeyId\":\"k\",\"Challenge\":\""));
	conf.require_challenge = true;
	input(6, RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	failed(-EPROTO, WRAP "client does not support required encryption context random "
	       "challenge");
}
END_TEST

START_TEST(test_wrong_answer)
{
	until_challenge(RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	answer(false);
	failed(-EBADMSG, WRAP "the answered challenge is not the one that was asked");
}
END_TEST

START_TEST(test_kms_refuses)
{
	conf.kms_key_id = "k";
	handshake_start(h);
	input(6, RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	handshake_key(h, -EREMOTEIO, "AccessDeniedException: no", NULL, 0);
	failed(-EREMOTEIO, WRAP "Fetching data key failed: Unable to retrieve data key, Error when "
	       "decrypting data key AccessDeniedException: no");
	handshake_key(h, 0, NULL, key, sizeof(key)); /* too late */
}
END_TEST

START_TEST(test_key_of_a_wrong_size)
{
	conf.kms_key_id = "k";
	handshake_start(h);
	input(6, RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	handshake_key(h, 0, NULL, key, 32);
	failed(-EINVAL, WRAP "Fetching data key failed: the data key has 32 bytes, not 64");
}
END_TEST

START_TEST(test_time_outs)
{
	handshake_start(h);
	handshake_timer(h);
	failed(-ETIMEDOUT, WRAP "Handshake timed out. Please ensure that you have the latest "
	       "version of the session manager plugin.");
	teardown();
	told = asked = asked_challenge = NULL;
	sent_count = 0;
	setup();
	until_challenge(RESPONSE("1.2.650.0", SESSION_TYPE "," KMS("")));
	handshake_timer(h);
	failed(-ETIMEDOUT, WRAP "Timed out waiting for encryption challenge.");
}
END_TEST

START_TEST(test_responses_that_end_it)
{
	static const struct {
		const char *response, *text;
		int code;
	} all[] = {
		{ RESPONSE("1", "{\"ActionType\":\"SessionType\",\"ActionStatus\":2,\"Error\":"
			   "\"no\"}"),
		  WRAP "SessionType failed on client with status 2 error: no", -EPROTO },
		{ RESPONSE("1", ""), WRAP "SessionType was not processed by the client.", -EPROTO },
		{ RESPONSE("1", SESSION_TYPE),
		  WRAP "KMSEncryption was not processed by the client.", -EPROTO },
		{ "[]", WRAP "handshake response: not a JSON object; the message is dropped",
		  -EBADMSG },
	};

	conf.kms_key_id = "k";
	handshake_start(h);
	input(6, all[_i].response);
	failed(all[_i].code, all[_i].text);
	ck_assert_uint_eq(sent_count, 1);
}
END_TEST

/* The hint is for those that cannot tell the streams apart. */
START_TEST(test_separate_output)
{
	conf.separate_output = true;
	handshake_start(h);
	input(6, _i ? RESPONSE("1.2.295.0", SESSION_TYPE) : RESPONSE("1.2.295", SESSION_TYPE));
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(strstr(sbuf_str(&sent), "\"CustomerMessage\":\"Please update session "
				"manager plugin version (minimum required version 1.2.312.0) for "
				"fully support of separate StdOut/StdErr output.\\r\\n\"") == NULL,
			 _i);
}
END_TEST

START_TEST(test_nothing_can_be_sent)
{
	send_result = -EPIPE;
	handshake_start(h);
	failed(-EPIPE, WRAP "A message cannot be sent: Broken pipe");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager handshake");
	TCase *t = tcase_create("handshake");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_without_encryption);
	tcase_add_test(t, test_with_encryption);
	tcase_add_test(t, test_challenge_in_the_context);
	tcase_add_test(t, test_challenge_is_asked_for);
	tcase_add_test(t, test_wrong_answer);
	tcase_add_test(t, test_kms_refuses);
	tcase_add_test(t, test_key_of_a_wrong_size);
	tcase_add_test(t, test_time_outs);
	tcase_add_loop_test(t, test_responses_that_end_it, 0, 4);
	tcase_add_loop_test(t, test_separate_output, 0, 2);
	tcase_add_test(t, test_nothing_can_be_sent);
	suite_add_tcase(s, t);
	return run_suite(s);
}
