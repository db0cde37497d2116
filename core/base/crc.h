/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as the journal's records carry it. */
#ifndef SSM_BASE_CRC_H
#define SSM_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len); /* start with 0 */

#endif
