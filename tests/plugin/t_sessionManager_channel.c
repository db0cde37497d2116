/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/channel.c: whole frames of spec 02, from the first one of
 * a session on, as its client sees them. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/channel.h"
#include "plugins/sessionManager/crypt.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"
#include "tests/unit/suite.h"

static struct channel *c;
static struct handshake_conf conf;
static struct err e;
static struct { char *bytes; struct frame f; } sent[64];
static size_t sent_count;
static int ready_result, ended_result, input_result, closed_count;
static char *ready_text, *asked;
static struct sbuf got = SBUF_INIT(4096);
static int64_t timer_ms[CHANNEL_TIMERS], peer_seq;
static unsigned char key[CRYPT_KEY_BYTES];
static struct crypt *client;

static int
on_send(void *arg, const void *frame, size_t len)
{
	(void)arg;
	ck_assert_uint_lt(sent_count, NELEMS(sent));
	sent[sent_count].bytes = xmemdup(frame, len);
	ck_assert_int_eq(frame_read(sent[sent_count].bytes, len, &sent[sent_count].f, &e), 0);
	sent_count++;
	return 0;
}

static void
on_timer(void *arg, enum channel_timer which, int64_t after_ms)
{
	(void)arg;
	timer_ms[which] = after_ms;
}

static void
on_decrypt(void *arg, const char *cipher_text, const char *challenge)
{
	(void)arg;
	ck_assert_ptr_null(challenge);
	asked = xstrdup(cipher_text);
}

static void
on_ready(void *arg, int result, const char *text)
{
	(void)arg;
	ck_assert_ptr_null(ready_text);
	ready_result = result;
	ready_text = xstrdup(text);
}

static int
on_input(void *arg, uint32_t type, struct span p, struct err *err)
{
	(void)arg;
	(void)err;
	if (input_result == 0)
		sbuf_addf(&got, "%u:%.*s ", type, (int)p.len, p.p);
	return input_result;
}

static void
on_writable(void *arg)
{
	(void)arg;
}

static void
on_closed(void *arg)
{
	(void)arg;
	closed_count++;
}

static void
on_ended(void *arg, int result)
{
	(void)arg;
	ended_result = result;
}

static const struct channel_ops ops = { on_send,  on_timer,    on_decrypt, on_ready,
					on_input, on_writable, on_closed,  on_ended };

static void
forget(void)
{
	for (size_t i = 0; i < sent_count; i++)
		mem_cleanup_free(&sent[i].bytes);
	sent_count = 0;
}

static void
setup(void)
{
	unsigned char swapped[CRYPT_KEY_BYTES];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)i;
	memcpy(swapped, key + 32, 32);
	memcpy(swapped + 32, key, 32);
	ck_assert_int_eq(crypt_new(swapped, sizeof(swapped), &client, &e), 0);
	conf = (struct handshake_conf){ .agent_version = "3.3.0.0",
					.session_type = "Standard_Stream" };
	ended_result = 1;
}

static void
teardown(void)
{
	c = channel_free(c);
	client = crypt_free(client);
	forget();
	free(ready_text);
	free(asked);
	sbuf_done(&got);
}

static int
peer(const char *type, uint32_t payload_type, const void *p, size_t len)
{
	struct frame f = { .schema = 1, .created_ms = 1, .payload_type = payload_type,
			   .id = "dd01e56b-ff48-483e-a508-b5f073f31b16", .payload = { p, len } };
	autosbuf struct sbuf b = SBUF_INIT(FRAME_MAX_BYTES);

	memcpy(f.type, type, strlen(type) + 1);
	if (!strcmp(type, "input_stream_data"))
		f.seq = peer_seq++;
	ck_assert_int_eq(frame_write(&f, &b, &e), 0);
	return channel_read(c, b.p, b.len, &e);
}

static int
input(uint32_t payload_type, const char *text)
{
	return peer("input_stream_data", payload_type, text, strlen(text));
}

static int
secret_input(const char *text)
{
	autosbuf struct sbuf b = SBUF_INIT(4096);

	ck_assert_int_eq(crypt_seal(client, text, strlen(text), &b, &e), 0);
	return peer("input_stream_data", PAYLOAD_OUTPUT, b.p, b.len);
}

static void
is_sent(size_t i, const char *type, int64_t seq, uint32_t payload_type)
{
	ck_assert_uint_lt(i, sent_count);
	ck_assert_str_eq(sent[i].f.type, type);
	ck_assert_int_eq(sent[i].f.seq, seq);
	ck_assert_uint_eq(sent[i].f.payload_type, payload_type);
}

START_TEST(test_without_handshake)
{
	c = channel_new("alice-0a1b", NULL, &ops, NULL);
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "x", 1), -EINVAL);
	channel_up(c);
	ck_assert_str_eq(ready_text, "");
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "$ ", 2), 0);
	is_sent(0, "agent_session_state", 0, 0);
	is_sent(1, "output_stream_data", 0, 1);
	ck_assert_mem_eq(sent[1].f.payload.p, "$ ", 2);
	ck_assert_int_eq(input(PAYLOAD_SIZE, "{}"), 0);
	ck_assert_int_eq(input(PAYLOAD_OUTPUT, "ls"), 0);
	ck_assert_str_eq(sbuf_str(&got), "3:{} 1:ls ");
	ck_assert_str_eq(channel_client_version(c), "");
	channel_down(c);
	channel_up(c); /* neither the state nor ready() again */
	is_sent(4, "output_stream_data", 0, 1);
	ck_assert_uint_eq(sent_count, 5);
}
END_TEST

START_TEST(test_plain_handshake)
{
	c = channel_new("alice-0a1b", &conf, &ops, NULL);
	channel_up(c);
	is_sent(1, "output_stream_data", 0, 5);
	ck_assert_int_eq(timer_ms[CHANNEL_HANDSHAKE], HANDSHAKE_MS);
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "x", 1), -EINVAL);
	ck_assert_int_eq(input(PAYLOAD_OUTPUT, "early"), 0); /* acknowledged and discarded */
	is_sent(2, "acknowledge", 0, 0);
	ck_assert_int_eq(input(PAYLOAD_HANDSHAKE_RESPONSE,
			       "{\"ClientVersion\":\"1.2.650.0\",\"ProcessedClientActions\":["
			       "{\"ActionType\":\"SessionType\",\"ActionStatus\":1}]}"), 0);
	is_sent(3, "output_stream_data", 1, 7);
	is_sent(4, "acknowledge", 0, 0);
	ck_assert_int_eq(ready_result, 0);
	ck_assert_str_eq(channel_client_version(c), "1.2.650.0");
	ck_assert_int_eq(input(PAYLOAD_OUTPUT, "ls"), 0);
	ck_assert_str_eq(sbuf_str(&got), "1:ls ");
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "$ ", 2), 0);
	is_sent(6, "output_stream_data", 2, 1);
}
END_TEST

static void
encrypted(void)
{
	autosbuf struct sbuf plain = SBUF_INIT(4096), sealed = SBUF_INIT(4096),
			     text = SBUF_INIT(4096);
	autofree unsigned char *data = NULL;
	size_t len = 0;

	conf.kms_key_id = "k";
	c = channel_new("alice-0a1b", &conf, &ops, NULL);
	channel_up(c);
	input(PAYLOAD_HANDSHAKE_RESPONSE,
	      "{\"ProcessedClientActions\":[{\"ActionType\":\"SessionType\",\"ActionStatus\":1},"
	      "{\"ActionType\":\"KMSEncryption\",\"ActionStatus\":1,"
	      "\"ActionResult\":{\"KMSCipherTextKey\":\"AAEC\"}}]}");
	ck_assert_str_eq(asked, "AAEC");
	channel_key(c, 0, NULL, key, sizeof(key));
	is_sent(3, "output_stream_data", 1, 8);
	ck_assert_int_eq(message_read_challenge(sent[3].f.payload, &data, &len, &e), 0);
	ck_assert_int_eq(crypt_open(client, data, len, &plain, &e), 0);
	ck_assert_int_eq(crypt_seal(client, plain.p, plain.len, &sealed, &e), 0);
	message_write_challenge(sealed.p, sealed.len, &text);
	input(PAYLOAD_CHALLENGE_RESPONSE, sbuf_str(&text));
	ck_assert_str_eq(ready_text, "");
	forget();
}

static void
holds(size_t i, const char *text)
{
	autosbuf struct sbuf plain = SBUF_INIT(4096);

	ck_assert_int_eq(crypt_open(client, sent[i].f.payload.p, sent[i].f.payload.len, &plain, &e),
			 0);
	ck_assert_str_eq(sbuf_str(&plain), text);
}

/* Output, errors and the exit code are, flags and sizes are not (spec 02 §4.4). */
START_TEST(test_encrypted)
{
	encrypted();
	channel_send(c, PAYLOAD_OUTPUT, "out", 3);
	channel_send(c, PAYLOAD_STDERR, "err", 3);
	channel_send(c, PAYLOAD_EXIT_CODE, "EXIT_CODE: 0", 12);
	channel_send(c, PAYLOAD_FLAG, "\0\0\0\3", 4);
	holds(0, "out");
	holds(1, "err");
	holds(2, "EXIT_CODE: 0");
	ck_assert_mem_eq(sent[3].f.payload.p, "\0\0\0\3", 4);
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "", 0), 0);
	ck_assert_uint_eq(sent_count, 4);
	ck_assert_int_eq(secret_input("ls"), 0);
	ck_assert_int_eq(input(PAYLOAD_SIZE, "{}"), 0);
	ck_assert_str_eq(sbuf_str(&got), "1:ls 3:{} ");
}
END_TEST

START_TEST(test_input_waits_encrypted)
{
	encrypted();
	input_result = -EAGAIN;
	ck_assert_int_eq(secret_input("ls"), 0);
	ck_assert_int_eq(secret_input("pwd"), 0);
	input_result = 0;
	ck_assert_int_eq(channel_input_ready(c, &e), 0);
	ck_assert_str_eq(sbuf_str(&got), "1:ls 1:pwd ");
}
END_TEST

/* Not acknowledged: it is no message of this session. */
START_TEST(test_plain_input_of_an_encrypted_session)
{
	encrypted();
	ck_assert_int_eq(input(PAYLOAD_OUTPUT, "a line that is as long as it has to be"), -EBADMSG);
	ck_assert_uint_eq(sent_count, 0);
	ck_assert_str_eq(sbuf_str(&got), "");
}
END_TEST

START_TEST(test_handshake_fails)
{
	c = channel_new("alice-0a1b", &conf, &ops, NULL);
	channel_up(c);
	channel_timer(c, CHANNEL_HANDSHAKE);
	ck_assert_int_eq(ready_result, -ETIMEDOUT);
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "x", 1), -EINVAL);
	ck_assert_int_eq(input(PAYLOAD_OUTPUT, "ls"), 0);
	ck_assert_str_eq(sbuf_str(&got), "");
}
END_TEST

START_TEST(test_end)
{
	c = channel_new("alice-0a1b", NULL, &ops, NULL);
	channel_up(c);
	channel_send(c, PAYLOAD_OUTPUT, "x", 1);
	channel_end(c, 1000);
	ck_assert_int_eq(channel_send(c, PAYLOAD_OUTPUT, "x", 1), -EPIPE);
	peer("acknowledge", 0, "{}", 2);
	ck_assert_int_eq(ended_result, 0);
	channel_send_state(c, "Terminating");
	is_sent(2, "agent_session_state", 0, 0);
	peer("channel_closed", 0, "{}", 2);
	ck_assert_int_eq(closed_count, 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager channel");
	TCase *t = tcase_create("channel");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_without_handshake);
	tcase_add_test(t, test_plain_handshake);
	tcase_add_test(t, test_encrypted);
	tcase_add_test(t, test_input_waits_encrypted);
	tcase_add_test(t, test_plain_input_of_an_encrypted_session);
	tcase_add_test(t, test_handshake_fails);
	tcase_add_test(t, test_end);
	suite_add_tcase(s, t);
	return run_suite(s);
}
