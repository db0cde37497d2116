/* SPDX-License-Identifier: Apache-2.0 */
/* An AgentMessage of sessionManager; what was taken is written and read again alike. */
#include "tests/fuzz/fuzz.h"

#include "plugins/sessionManager/frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autosbuf struct sbuf out = SBUF_INIT(FRAME_MAX_BYTES);
	struct frame f, again;
	struct err e = { 0, "" };

	if (frame_read(data, size, &f, &e) < 0) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	if (!f.created_ms)
		f.created_ms = 1;
	FUZZ_CHECK(frame_write(&f, &out, &e) == 0);
	FUZZ_CHECK(frame_read(out.p, out.len, &again, &e) == 0);
	FUZZ_CHECK(!strcmp(f.type, again.type) && !strcmp(f.id, again.id));
	FUZZ_CHECK(f.schema == again.schema && f.created_ms == again.created_ms);
	FUZZ_CHECK(f.seq == again.seq && f.flags == again.flags);
	FUZZ_CHECK(f.payload_type == again.payload_type && f.payload.len == again.payload.len);
	FUZZ_CHECK(!f.payload.len || !memcmp(f.payload.p, again.payload.p, f.payload.len));
	return 0;
}
