/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a ceiling and a sticky error. */
#include "core/base/sbuf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"

#define FIRST_CAP 64

void
sbuf_init(struct sbuf *b, size_t max_bytes)
{
	*b = (struct sbuf)SBUF_INIT(max_bytes);
}

void
sbuf_done(struct sbuf *b)
{
	free(b->p);
	sbuf_init(b, b->max);
}

void
sbuf_reset(struct sbuf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->p)
		b->p[0] = '\0';
}

void
sbuf_wipe(struct sbuf *b)
{
	if (b->p)
		wipe(b->p, b->cap);
	sbuf_done(b);
}

/* A ceiling beyond what memory can address would let len + 1 overflow. */
static size_t
ceiling(const struct sbuf *b)
{
	return b->max < SIZE_MAX / 2 ? b->max : SIZE_MAX / 2;
}

/* Doubling, so that a row of small appends costs linear time. */
static size_t
next_cap(const struct sbuf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;

	while (cap < need)
		cap *= 2;
	if (cap > ceiling(b) + 1)
		cap = ceiling(b) + 1;
	return cap;
}

/* Not realloc(): the old block may hold a secret, and only the last one is wiped at the end. */
static void
grow(struct sbuf *b, size_t cap)
{
	char *p = xmalloc(cap);

	if (b->p) {
		memcpy(p, b->p, b->len);
		wipe(b->p, b->len);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	b->p[b->len] = '\0';
}

/* Room for LEN bytes more and the NUL. */
static int
reserve(struct sbuf *b, size_t len)
{
	if (b->err)
		return b->err;
	if (b->len > ceiling(b) || len > ceiling(b) - b->len)
		return b->err = -E2BIG;
	if (b->len + len + 1 > b->cap)
		grow(b, next_cap(b, b->len + len + 1));
	return 0;
}

int
sbuf_add(struct sbuf *b, const void *data, size_t len)
{
	if (reserve(b, len) < 0)
		return b->err;
	if (len > 0)
		memcpy(b->p + b->len, data, len);
	b->len += len;
	b->p[b->len] = '\0';
	return 0;
}

int
sbuf_adds(struct sbuf *b, const char *s)
{
	return sbuf_add(b, s, strlen(s));
}

int
sbuf_addc(struct sbuf *b, char c)
{
	return sbuf_add(b, &c, 1);
}

int
sbuf_addf(struct sbuf *b, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = sbuf_vaddf(b, fmt, ap);
	va_end(ap);
	return r;
}

int
sbuf_vaddf(struct sbuf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	if (b->err)
		return b->err;
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return b->err = -E2BIG;
	if (reserve(b, (size_t)n) < 0)
		return b->err;
	(void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return 0;
}

void
sbuf_consume(struct sbuf *b, size_t len)
{
	if (len > b->len)
		len = b->len;
	if (len == 0)
		return;
	b->len -= len;
	memmove(b->p, b->p + len, b->len + 1);
}

static ssize_t
read_some(int fd, void *p, size_t len)
{
	ssize_t n;

	do
		n = read(fd, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A full buffer is an error only if there is more to read: input of the ceiling's size fits. */
static ssize_t
read_when_full(struct sbuf *b, int fd)
{
	char one;
	ssize_t n = read_some(fd, &one, 1);

	if (n > 0)
		b->err = -E2BIG;
	return n > 0 ? -E2BIG : n;
}

ssize_t
sbuf_read(struct sbuf *b, int fd, size_t len)
{
	size_t room = b->len < ceiling(b) ? ceiling(b) - b->len : 0;
	ssize_t n;

	if (b->err)
		return b->err;
	if (len > 0 && room == 0)
		return read_when_full(b, fd);
	if (reserve(b, len < room ? len : room) < 0)
		return b->err;
	n = read_some(fd, b->p + b->len, len < room ? len : room);
	if (n > 0)
		b->len += (size_t)n;
	b->p[b->len] = '\0';
	return n;
}

const char *
sbuf_str(const struct sbuf *b)
{
	return b->p ? b->p : "";
}

char *
sbuf_take(struct sbuf *b, size_t *ret_len)
{
	char *p = b->p ? b->p : xstrdup("");

	if (ret_len)
		*ret_len = b->len;
	sbuf_init(b, b->max);
	return p;
}
