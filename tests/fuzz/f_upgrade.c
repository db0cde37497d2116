/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to the upgrade of a WebSocket: whatever comes, in whatever pieces, the verdict is the
 * same. */
#include "tests/fuzz/fuzz.h"

#include "plugins/sessionManager/upgrade.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of the exact size, so that a byte too many is noticed. */
	autofree char *copy = size ? xmemdup(data, size) : NULL;
	struct err e = { 0, "" }, part = { 0, "" };
	size_t used = 0, again = 0;
	int status = 0, r = upgrade_read(copy ? copy : "", size, KEY, &used, &status, &e), early;

	if (r < 0)
		fuzz_check_message(err_text(&e));
	if (r != 0)
		return 0;
	FUZZ_CHECK(used >= 12 && used <= size && used <= UPGRADE_ANSWER_MAX && status == 101);
	FUZZ_CHECK(memcmp(copy + used - 4, "\r\n\r\n", 4) == 0);
	early = upgrade_read(copy, used - 1, KEY, &again, &status, &part);
	FUZZ_CHECK(early == 1);
	FUZZ_CHECK(upgrade_read(copy, used, KEY, &again, &status, &part) == 0 && again == used);
	return 0;
}
