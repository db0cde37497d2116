/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, UUIDs and jitter, replaceable in tests. */
#include "core/base/rand.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

#include "core/base/mem.h"

#define POOL_BYTES 256 /* what one system call of getrandom() gives without fail */
#define SMALL_BYTES 32

static rand_fn *replaced;

static void
system_bytes(void *p, size_t len)
{
	unsigned char *out = p;

	while (len > 0) {
		ssize_t n = getrandom(out, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fprintf(stderr, "no random numbers: getrandom: %m\n");
			abort();
		}
		out += n;
		len -= (size_t)n;
	}
}

/* Messages want a few bytes each, many thousand times a second. What was given is forgotten. */
static void
pooled_bytes(void *p, size_t len)
{
	static unsigned char pool[POOL_BYTES];
	static size_t left;

	if (len == 0)
		return;
	if (left < len) {
		system_bytes(pool, sizeof(pool));
		left = sizeof(pool);
	}
	left -= len;
	if (len > 0)
		memcpy(p, pool + left, len);
	wipe(pool + left, len);
}

void
rand_bytes(void *p, size_t len)
{
	if (replaced)
		replaced(p, len);
	else if (len <= SMALL_BYTES)
		pooled_bytes(p, len);
	else
		system_bytes(p, len);
}

void
rand_uuid4(char ret[RAND_UUID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char b[16];
	char *out = ret;

	rand_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
	for (size_t i = 0; i < sizeof(b); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[b[i] >> 4];
		*out++ = digits[b[i] & 15];
	}
	*out = '\0';
}

int64_t
rand_between(int64_t lo, int64_t hi)
{
	uint64_t r, n;

	assert(lo <= hi);
	n = (uint64_t)hi - (uint64_t)lo + 1; /* 0: all 2^64 values */
	rand_bytes(&r, sizeof(r));
	if (n == 0)
		return (int64_t)r;
	/* Numbers below 2^64 mod n would make some results likelier. A test's source that always
	 * gives such a number must not hang the program: tries are counted. */
	for (int tries = 0; r < -n % n && tries < 128; tries++)
		rand_bytes(&r, sizeof(r));
	return (int64_t)((uint64_t)lo + r % n);
}

void
rand_replace(rand_fn *fn)
{
	replaced = fn;
}
