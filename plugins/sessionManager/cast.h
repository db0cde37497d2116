/* SPDX-License-Identifier: Apache-2.0 */
/* The transcript of a session on this node: what was seen and when, as asciicast version 2 has it,
 * to be played again. */
#ifndef SSM_SESSIONMANAGER_CAST_H
#define SSM_SESSIONMANAGER_CAST_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct cast;
struct keep;

/* As keep_file(), for a terminal of this size. NULL with E. */
struct cast *cast_new(const struct keep *k, uint32_t cols, uint32_t rows, struct err *e);
struct cast *cast_free(struct cast *c); /* NULL; NULL is fine. Writes what is left. */

/* Output as it goes to the operator, cut anywhere. 0; -EFBIG, or another -errno: from now on
 * nothing is written. */
int cast_output(struct cast *c, const void *p, size_t len);
int cast_resize(struct cast *c, uint32_t cols, uint32_t rows);

#endif
