/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, UUIDs and jitter, replaceable in tests. */
#ifndef SSM_BASE_RAND_H
#define SSM_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

#define RAND_UUID_SIZE 37

void rand_bytes(void *p, size_t len);	   /* getrandom; ends the process if there is none */
void rand_uuid4(char ret[RAND_UUID_SIZE]); /* lower case with hyphens */
int64_t rand_between(int64_t lo, int64_t hi); /* lo <= r <= hi, uniform */

typedef void rand_fn(void *p, size_t len);
void rand_replace(rand_fn *fn); /* NULL: the real one again */

#endif
