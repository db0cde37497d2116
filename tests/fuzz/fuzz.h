/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the entry point, and what must be true of any input. */
#ifndef SSM_TESTS_FUZZ_H
#define SSM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

/* libFuzzer's, or main.c's, entry into a target. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What an input must not be able to change. */
#define FUZZ_CHECK(truth)                                                                  \
	do {                                                                               \
		if (!(truth)) {                                                            \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #truth); \
			abort();                                                           \
		}                                                                          \
	} while (0)

/* A message for people: some text, bounded, one line, nothing that steers a terminal. */
static inline void
fuzz_check_message(const char *text)
{
	autofree char *escaped = text ? text_escape_controls(text, strlen(text)) : NULL;

	FUZZ_CHECK(text && *text && strlen(text) <= 16384);
	FUZZ_CHECK(strcmp(escaped, text) == 0);
}

#endif
