/* SPDX-License-Identifier: Apache-2.0 */
/* A shared credentials file. */
#include "tests/fuzz/fuzz.h"

#include "core/aws/creds_source.h"

/* Nothing that could end a header or begin another one. */
static void
check_value(const char *s, unsigned char lowest)
{
	for (; s && *s; s++)
		FUZZ_CHECK((unsigned char)*s >= lowest && (unsigned char)*s < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *bad = NULL;
	struct err e = { 0, "" };
	struct creds *set = creds_source_profile("input", (const char *)data, size, "default", &bad,
						 &e);

	if (bad)
		fuzz_check_message(bad);
	if (!set) {
		fuzz_check_message(err_text(&e));
		return 0;
	}
	FUZZ_CHECK(set->access_key && *set->access_key && set->secret_key && *set->secret_key);
	check_value(set->access_key, 0x21);
	check_value(set->secret_key, 0x20);
	check_value(set->token, 0x21);
	creds_unref(set);
	return 0;
}
