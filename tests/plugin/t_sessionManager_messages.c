/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/messages.c, with the texts of spec 02 §2.3, §3.3, §4. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/sessionManager/messages.h"
#include "tests/unit/suite.h"

static struct err e;
static struct sbuf out = SBUF_INIT(64 * 1024);

static void
fresh(void)
{
	memset(&e, 0, sizeof(e));
	sbuf_reset(&out);
}

static char of[FRAME_UUID_SIZE];

static struct span
text(const char *s)
{
	return (struct span){ s, strlen(s) };
}

static void
wrote(const char *expected)
{
	ck_assert_int_eq(out.err, 0);
	ck_assert_str_eq(sbuf_str(&out), expected);
	sbuf_reset(&out);
}

START_TEST(test_ack)
{
	struct frame f = { .type = "input_stream_data",
			   .id = "dd01e56b-ff48-483e-a508-b5f073f31b16" };
	int64_t seq = -1;

	message_write_ack(&f, &out);
	wrote("{\"AcknowledgedMessageType\":\"input_stream_data\","
	      "\"AcknowledgedMessageId\":\"dd01e56b-ff48-483e-a508-b5f073f31b16\","
	      "\"AcknowledgedMessageSequenceNumber\":0,\"IsSequentialMessage\":true}");
	f.seq = 9007199254740993;
	message_write_ack(&f, &out);
	ck_assert_int_eq(message_read_ack((struct span){ out.p, out.len }, &seq, of, &e), 0);
	ck_assert_int_eq(seq, 9007199254740993);
	ck_assert_str_eq(of, f.id);
	ck_assert_int_eq(message_read_ack(text("{\"AcknowledgedMessageId\":\"x\"}"), &seq, of, &e),
			 0);
	ck_assert_str_eq(of, "");
}
END_TEST

/* Any case, null and nothing are 0, strangers are passed over; the exact key wins (§2.6). */
START_TEST(test_keys)
{
	int64_t seq = -1;

	ck_assert_int_eq(message_read_ack(text("{}"), &seq, of, &e), 0);
	ck_assert_int_eq(seq, 0);
	ck_assert_int_eq(message_read_ack(text("{\"acknowledgedmessagesequencenumber\":7,"
					       "\"x\":[{}],\"IsSequentialMessage\":null}"),
					  &seq, of, &e), 0);
	ck_assert_int_eq(seq, 7);
	ck_assert_int_eq(message_read_ack(text("{\"AcknowledgedMessageSequenceNumber\":8,"
					       "\"ACKNOWLEDGEDMESSAGESEQUENCENUMBER\":7}"),
					  &seq, of, &e), 0);
	ck_assert_int_eq(seq, 8);
}
END_TEST

START_TEST(test_acks_that_are_refused)
{
	static const char *const bad[] = {
		"", "[]", "null", "{", "{} {}", "\"x\"",
		"{\"AcknowledgedMessageSequenceNumber\":-1}",
		"{\"AcknowledgedMessageSequenceNumber\":1.0}",
		"{\"AcknowledgedMessageSequenceNumber\":9223372036854775808}",
		"{\"AcknowledgedMessageSequenceNumber\":\"1\"}",
		"{\"AcknowledgedMessageId\":1}",
		"{\"AcknowledgedMessageId\":\"a\\u0000b\"}",
		"{\"IsSequentialMessage\":\"true\"}",
	};
	autofree char *big = xmalloc(MESSAGE_MAX_SMALL + 1);
	int64_t seq = -1;

	for (size_t i = 0; i < NELEMS(bad); i++) {
		fresh();
		ck_assert_int_eq(message_read_ack(text(bad[i]), &seq, of, &e), -EBADMSG);
		ck_assert_int_eq(e.code, -EBADMSG);
		ck_assert_ptr_nonnull(strstr(e.text, "acknowledge"));
	}
	memset(big, ' ', MESSAGE_MAX_SMALL + 1);
	ck_assert_int_eq(message_read_ack((struct span){ big, MESSAGE_MAX_SMALL + 1 }, &seq, of,
					  &e),
			 -EMSGSIZE);
	memset(big, '[', MESSAGE_MAX_SMALL);
	ck_assert_int_eq(message_read_ack((struct span){ big, MESSAGE_MAX_SMALL }, &seq, of, &e),
			 -EBADMSG);
	ck_assert_int_eq(seq, -1);
	ck_assert_int_eq(message_read_ack(text("]"), &seq, of, NULL), -EBADMSG);
}
END_TEST

START_TEST(test_size)
{
	uint32_t cols = 0, rows = 0;

	ck_assert_int_eq(message_read_size(text("{\"cols\":120,\"rows\":40}"), &cols, &rows, &e),
			 0);
	ck_assert_uint_eq(cols, 120);
	ck_assert_uint_eq(rows, 40);
	ck_assert_int_eq(message_read_size(text("{\"cols\":4294967295}"), &cols, &rows, &e), 0);
	ck_assert_uint_eq(cols, UINT32_MAX);
	ck_assert_uint_eq(rows, 0);
	ck_assert_int_eq(message_read_size(text("{\"cols\":4294967296}"), &cols, &rows, &e),
			 -EBADMSG);
	ck_assert_int_eq(message_read_size(text("{\"rows\":-1}"), &cols, &rows, &e), -EBADMSG);
}
END_TEST

START_TEST(test_flag)
{
	uint32_t flag = 0;

	message_write_flag(FLAG_CONNECT_TO_PORT_ERROR, &out);
	ck_assert_uint_eq(out.len, 4);
	ck_assert_mem_eq(out.p, "\0\0\0\3", 4);
	ck_assert_int_eq(message_read_flag((struct span){ "\1\2\3\4", 4 }, &flag, &e), 0);
	ck_assert_uint_eq(flag, 0x01020304);
	ck_assert_int_eq(message_read_flag((struct span){ "\1\2\3\4", 3 }, &flag, &e), -EBADMSG);
	ck_assert_int_eq(message_read_flag((struct span){ "\1\2\3\4\5", 5 }, &flag, &e), -EBADMSG);
}
END_TEST

START_TEST(test_closed)
{
	autofree char *id = NULL;

	ck_assert_int_eq(message_read_closed(text("{\"MessageType\":\"channel_closed\","
		"\"MessageId\":\"m\",\"DestinationId\":\"i-0123\",\"SessionId\":\"alice-0a1b\","
		"\"SchemaVersion\":1,\"CreatedDate\":\"2026-11-23\"}"), &id, &e), 0);
	ck_assert_str_eq(id, "alice-0a1b");
	ck_assert_int_eq(message_read_closed(text("{\"SessionId\":3}"), &id, &e), -EBADMSG);
	ck_assert_int_eq(message_read_closed(text("{\"Output\":{}}"), &id, &e), -EBADMSG);
}
END_TEST

START_TEST(test_state_and_exit_code)
{
	message_write_state("Connected", "alice-<0a1b>", &out);
	wrote("{\"SchemaVersion\":1,\"SessionState\":\"Connected\","
	      "\"SessionId\":\"alice-\\u003c0a1b\\u003e\"}");
	message_write_exit_code(7, &out);
	wrote("EXIT_CODE: 7");
	message_write_exit_code(-1, &out);
	wrote("EXIT_CODE: -1");
}
END_TEST

START_TEST(test_challenge)
{
	autofree unsigned char *data = NULL;
	size_t len = 0;

	message_write_challenge("\0\1\2", 3, &out);
	wrote("{\"Challenge\":\"AAEC\"}");
	ck_assert_int_eq(message_read_challenge(text("{\"challenge\":\"AAEC\"}"), &data, &len, &e),
			 0);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(data, "\0\1\2", 3);
	mem_cleanup_free(&data);
	data = NULL;
	ck_assert_int_eq(message_read_challenge(text("{}"), &data, &len, &e), -EBADMSG);
	ck_assert_int_eq(message_read_challenge(text("{\"Challenge\":\"AAE\"}"), &data, &len, &e),
			 -EBADMSG);
}
END_TEST

START_TEST(test_handshake_request)
{
	autojson json_t *properties = json_pack("{s:s, s:s, s:s}", "type", "LocalPortForwarding",
						"portNumber", "80", "localPortNumber", "0");
	struct handshake_request r = { "3.3.0.0", "Port", properties,
				       "arn:aws:kms:us-east-1:123456789012:key/abc",
				       "W3zyRNVXi1xHvjIOWhI6Qg==" };

	message_write_handshake(&r, &out);
	wrote("{\"AgentVersion\":\"3.3.0.0\",\"RequestedClientActions\":["
	      "{\"ActionType\":\"SessionType\",\"ActionParameters\":{\"SessionType\":\"Port\","
	      "\"Properties\":{\"localPortNumber\":\"0\",\"portNumber\":\"80\","
	      "\"type\":\"LocalPortForwarding\"}}},"
	      "{\"ActionType\":\"KMSEncryption\",\"ActionParameters\":"
	      "{\"KMSKeyId\":\"arn:aws:kms:us-east-1:123456789012:key/abc\","
	      "\"Challenge\":\"W3zyRNVXi1xHvjIOWhI6Qg==\"}}]}");
	r = (struct handshake_request){ "3.3.0.0", "NonInteractiveCommands", NULL, NULL, NULL };
	message_write_handshake(&r, &out);
	wrote("{\"AgentVersion\":\"3.3.0.0\",\"RequestedClientActions\":["
	      "{\"ActionType\":\"SessionType\",\"ActionParameters\":"
	      "{\"SessionType\":\"NonInteractiveCommands\",\"Properties\":null}}]}");
}
END_TEST

START_TEST(test_handshake_complete)
{
	message_write_complete(1394440, "", &out);
	wrote("{\"HandshakeTimeToComplete\":1394440,\"CustomerMessage\":\"\"}");
	message_write_complete(1, "x\r\n", &out);
	wrote("{\"HandshakeTimeToComplete\":1,\"CustomerMessage\":\"x\\r\\n\"}");
}
END_TEST

START_TEST(test_handshake_response)
{
	struct handshake_response r;

	ck_assert_int_eq(message_read_handshake(text("{\"ClientVersion\":\"1.2.650.0\","
		"\"ProcessedClientActions\":[{\"ActionType\":\"SessionType\",\"ActionStatus\":1,"
		"\"ActionResult\":null,\"Error\":\"\"},{\"ActionType\":\"KMSEncryption\","
		"\"ActionStatus\":1,\"ActionResult\":{\"KMSCipherTextKey\":\"AAEC\","
		"\"KMSCipherTextHash\":null},\"Error\":\"\"}],\"Errors\":null}"), &r, &e), 0);
	ck_assert_str_eq(r.client_version, "1.2.650.0");
	ck_assert(r.session_type && r.kms && !r.challenge_known);
	ck_assert_str_eq(r.kms_key, "AAEC");
	ck_assert_ptr_null(r.failure);
	handshake_response_done(&r);
	ck_assert_int_eq(message_read_handshake(text("{\"ProcessedClientActions\":["
		"{\"ActionType\":\"KMSEncryption\",\"ActionStatus\":1,\"ActionResult\":"
		"{\"KMSCipherTextKey\":\"AAEC\",\"ChallengeAcknowledgement\":true}},"
		"{\"ActionType\":\"New\",\"ActionStatus\":1,\"ActionResult\":7}]}"), &r, &e), 0);
	ck_assert(!r.session_type && r.challenge_known);
	handshake_response_done(&r);
}
END_TEST

START_TEST(test_handshake_failed_on_client)
{
	struct handshake_response r;

	ck_assert_int_eq(message_read_handshake(text("{\"ProcessedClientActions\":["
		"{\"ActionType\":\"SessionType\",\"ActionStatus\":3,\"Error\":\"no\\u001b[2J\"},"
		"{\"ActionType\":\"KMSEncryption\",\"ActionStatus\":2,\"Error\":\"second\"}]}"),
		&r, &e), 0);
	ck_assert_str_eq(r.failure, "SessionType failed on client with status 3 error: no\\x1b[2J");
	ck_assert(!r.session_type && !r.kms);
	handshake_response_done(&r);
}
END_TEST

#define KMS(result) "{\"ProcessedClientActions\":[{\"ActionType\":\"KMSEncryption\"," \
		    "\"ActionStatus\":1,\"ActionResult\":" result "}]}"

START_TEST(test_handshakes_that_are_refused)
{
	static const char *const bad[] = {
		"{\"ClientVersion\":12}",
		"{\"ClientVersion\":\"11111111111111111111111111111111"
		"11111111111111111111111111111111\"}",
		"{\"ProcessedClientActions\":{}}", "{\"ProcessedClientActions\":[null]}",
		"{\"ProcessedClientActions\":[{\"ActionStatus\":\"1\"}]}",
		"{\"ProcessedClientActions\":[{\"Error\":[]}]}",
		"{\"ProcessedClientActions\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
		KMS("null"), KMS("[]"), KMS("{}"), KMS("{\"KMSCipherTextKey\":\"A\"}"),
		KMS("{\"KMSCipherTextKey\":\"AAEC\",\"ChallengeAcknowledgement\":1}"),
		KMS("{\"KMSCipherTextKey\":\"AAEC\",\"KMSCipherTextHash\":1}"),
	};
	struct handshake_response r;

	for (size_t i = 0; i < NELEMS(bad); i++) {
		fresh();
		ck_assert_msg(message_read_handshake(text(bad[i]), &r, &e) == -EBADMSG, "%s",
			      bad[i]);
		ck_assert_ptr_nonnull(strstr(e.text, "handshake response"));
	}
}
END_TEST

START_TEST(test_versions)
{
	ck_assert_int_eq(version_compare("1.2.295.0", "1.2.295"), 1);
	ck_assert_int_eq(version_compare("1.2.295", "1.2.295"), 0);
	ck_assert_int_eq(version_compare("1.1.70", "1.1.69.5"), 1);
	ck_assert_int_eq(version_compare("1.1.9", "1.1.70"), -1);
	ck_assert_int_eq(version_compare("1.x9.9", "1.1"), -1);
	ck_assert_int_eq(version_compare("", "0"), -1);
	ck_assert_int_eq(version_compare("99999999999999999999999999", "1.2.331.0"), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager messages");
	TCase *t = tcase_create("messages");
	int r;

	tcase_add_checked_fixture(t, fresh, NULL);
	tcase_add_test(t, test_ack);
	tcase_add_test(t, test_keys);
	tcase_add_test(t, test_acks_that_are_refused);
	tcase_add_test(t, test_size);
	tcase_add_test(t, test_flag);
	tcase_add_test(t, test_closed);
	tcase_add_test(t, test_state_and_exit_code);
	tcase_add_test(t, test_challenge);
	tcase_add_test(t, test_handshake_request);
	tcase_add_test(t, test_handshake_complete);
	tcase_add_test(t, test_handshake_response);
	tcase_add_test(t, test_handshake_failed_on_client);
	tcase_add_test(t, test_handshakes_that_are_refused);
	tcase_add_test(t, test_versions);
	suite_add_tcase(s, t);
	r = run_suite(s);
	sbuf_done(&out);
	return r;
}
