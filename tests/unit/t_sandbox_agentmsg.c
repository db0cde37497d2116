/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of the sandbox's AgentMessage: the example of spec 02 section 2.3, and what is none.
 */
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/agentmsg.h"
#include "tests/unit/suite.h"

static const char example[] = "00000074696e7075745f73747265616d5f646174612020202020202020202020"
			      "20202020000000010000018bcfe5680000000000000000000000000000000000"
			      "a508b5f073f31b16dd01e56bff48483e1d887ce0f8672e4914d9000e801cd74e"
			      "cd805dd9366c0bc42dc16adc0197dc2f00000001000000036c730d";

static unsigned char frame[123];

static void
fill(void)
{
	ck_assert_int_eq(text_unhex(example, frame, sizeof(frame)), (int)sizeof(frame));
}

START_TEST(test_example)
{
	struct agentmsg m;
	struct err e = { 0 };
	autosbuf struct sbuf out = SBUF_INIT(1024);

	ck_assert_int_eq(agentmsg_read(frame, sizeof(frame), &m, &e), 0);
	ck_assert_str_eq(m.type, "input_stream_data");
	ck_assert_str_eq(m.id, "dd01e56b-ff48-483e-a508-b5f073f31b16");
	ck_assert_int_eq(m.created_ms, 1700000000000);
	ck_assert_int_eq(m.sequence, 0);
	ck_assert_uint_eq(m.flags, 0);
	ck_assert_uint_eq(m.payload_type, 1);
	ck_assert_uint_eq(m.payload.len, 3);
	ck_assert_int_eq(memcmp(m.payload.p, "ls\r", 3), 0);
	agentmsg_write(&m, &out);
	ck_assert_uint_eq(out.len, sizeof(frame));
	ck_assert_int_eq(memcmp(out.p, frame, sizeof(frame)), 0);
}
END_TEST

START_TEST(test_truncated)
{
	for (size_t len = 0; len < sizeof(frame); len++) {
		/* Of that size, so that a read past its end is seen. */
		autofree char *copy = xmemdup(frame, len);
		struct agentmsg m;
		struct err e = { 0 };

		ck_assert_int_lt(agentmsg_read(copy, len, &m, &e), 0);
		ck_assert_str_ne(err_text(&e), "");
	}
}
END_TEST

/* Each byte counts, but those of date, sequence, flags, id and payload type, which may be any. */
START_TEST(test_changed)
{
	for (size_t i = 0; i < sizeof(frame); i++) {
		bool any = (i >= 40 && i < 80) || (i >= 112 && i < 116);
		struct agentmsg m;
		struct err e = { 0 };

		frame[i] ^= 0x40;
		if (!any)
			ck_assert_msg(agentmsg_read(frame, sizeof(frame), &m, &e) < 0, "byte %zu",
				      i);
		else
			ck_assert_msg(agentmsg_read(frame, sizeof(frame), &m, &e) == 0,
				      "byte %zu: %s", i, err_text(&e));
		frame[i] ^= 0x40;
	}
}
END_TEST

START_TEST(test_out_of_range)
{
	static const struct {
		size_t at;
		unsigned char byte;
	} cases[] = { { 40, 0x80 }, { 48, 0xff }, { 116, 0xff } };
	struct agentmsg m;
	struct err e = { 0 };

	frame[cases[_i].at] = cases[_i].byte;
	ck_assert_int_lt(agentmsg_read(frame, sizeof(frame), &m, &e), 0);
	/* A date of 0 is none. */
	memset(frame + 40, 0, 8);
	frame[cases[_i].at] = 0;
	ck_assert_int_lt(agentmsg_read(frame, sizeof(frame), &m, &e), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox_agentmsg");
	TCase *t = tcase_create("agentmsg");

	tcase_add_checked_fixture(t, fill, NULL);
	tcase_add_test(t, test_example);
	tcase_add_test(t, test_truncated);
	tcase_add_test(t, test_changed);
	tcase_add_loop_test(t, test_out_of_range, 0, 3);
	suite_add_tcase(s, t);
	return run_suite(s);
}
