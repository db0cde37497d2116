/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads that a session's client sends: each reader takes the same bytes. */
#include "tests/fuzz/fuzz.h"

#include "plugins/sessionManager/messages.h"

static void
check(int r, struct err *e)
{
	if (r < 0)
		fuzz_check_message(err_text(e));
	e->code = 0;
	*e->text = 0;
}

static void
handshake(struct span in, struct err *e)
{
	struct handshake_response h;
	int r = message_read_handshake(in, &h, e);

	check(r, e);
	if (r < 0)
		return;
	FUZZ_CHECK(strlen(h.client_version) < sizeof(h.client_version));
	FUZZ_CHECK(h.kms == !!h.kms_key);
	FUZZ_CHECK(!h.kms || (*h.kms_key && strlen(h.kms_key) <= MESSAGE_KMS_KEY_MAX));
	if (h.failure)
		fuzz_check_message(h.failure);
	FUZZ_CHECK(version_compare(h.client_version, h.client_version) == 0);
	handshake_response_done(&h);
}

/* A challenge that was read is written and read again alike. */
static void
challenge(struct span in, struct err *e)
{
	autofree unsigned char *data = NULL, *again = NULL;
	autosbuf struct sbuf out = SBUF_INIT(MESSAGE_MAX_SMALL);
	size_t len = 0, again_len = 0;
	int r = message_read_challenge(in, &data, &len, e);

	check(r, e);
	if (r < 0)
		return;
	FUZZ_CHECK(message_write_challenge(data, len, &out) == 0);
	r = message_read_challenge((struct span){ out.p, out.len }, &again, &again_len, e);
	FUZZ_CHECK(r == 0 && len == again_len && !memcmp(data, again, len));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span in = { (const char *)data, size };
	autofree char *session = NULL;
	struct err e = { 0, "" };
	uint32_t a, b;
	char id[FRAME_UUID_SIZE] = "";
	int64_t seq = 0;

	check(message_read_ack(in, &seq, id, &e), &e);
	FUZZ_CHECK(seq >= 0 && (!*id || strlen(id) == FRAME_UUID_SIZE - 1));
	check(message_read_size(in, &a, &b, &e), &e);
	check(message_read_flag(in, &a, &e), &e);
	check(message_read_closed(in, &session, &e), &e);
	handshake(in, &e);
	challenge(in, &e);
	return 0;
}
