/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), table driven. */
#include "core/base/crc.h"

#define POLYNOMIAL 0x82F63B78u /* reflected 0x1EDC6F41 */

/* Computed at the first call: 256 constants in the source could hide one wrong digit. */
static uint32_t table[256];

static void
fill_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[i] = c;
	}
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	if (table[1] == 0)
		fill_table();
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
		crc = table[(crc ^ p[i]) & 0xFF] ^ crc >> 8;
	return ~crc;
}
