/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is there or the process ends; cleanup functions; wiping. */
#include "core/base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noreturn)) static void
out_of_memory(size_t len)
{
	/* Not through the log: its functions allocate. */
	fprintf(stderr, "out of memory: %zu bytes were asked for\n", len);
	abort();
}

static size_t
product(size_t n, size_t len)
{
	size_t total;

	if (__builtin_mul_overflow(n, len, &total))
		out_of_memory(SIZE_MAX);
	return total;
}

/* Zero bytes may give NULL, which is no failure: ask for one. */
static size_t
at_least_one(size_t len)
{
	return len ? len : 1;
}

void *
xmalloc(size_t len)
{
	void *p = malloc(at_least_one(len));

	if (!p)
		out_of_memory(len);
	return p;
}

void *
xcalloc(size_t n, size_t len)
{
	size_t total = product(n, len);
	void *p = calloc(1, at_least_one(total));

	if (!p)
		out_of_memory(total);
	return p;
}

void *
xrealloc(void *p, size_t n, size_t len)
{
	size_t total = product(n, len);
	void *q = realloc(p, at_least_one(total));

	if (!q)
		out_of_memory(total);
	return q;
}

char *
xstrdup(const char *s)
{
	return s ? xmemdup(s, strlen(s)) : NULL;
}

char *
xstrndup(const char *s, size_t len)
{
	return s ? xmemdup(s, strnlen(s, len)) : NULL;
}

void *
xmemdup(const void *p, size_t len)
{
	size_t total;
	char *copy;

	if (__builtin_add_overflow(len, (size_t)1, &total))
		out_of_memory(len);
	copy = xmalloc(total);
	if (len)
		memcpy(copy, p, len);
	copy[len] = '\0';
	return copy;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		out_of_memory(strlen(fmt));
	return s;
}

void *
try_malloc(size_t len)
{
	return malloc(at_least_one(len));
}

void
wipe(void *p, size_t len)
{
	if (len)
		explicit_bzero(p, len);
}

void
secret_free(char *s)
{
	if (!s)
		return;
	wipe(s, strlen(s));
	free(s);
}

/* They run between `return -errno` and the caller's look at errno: they keep it. */
void
mem_cleanup_free(void *pp)
{
	int keep = errno;
	void *p;

	memcpy(&p, pp, sizeof(p));
	free(p);
	errno = keep;
}

void
mem_cleanup_secret(char **pp)
{
	int keep = errno;

	secret_free(*pp);
	errno = keep;
}

void
mem_cleanup_fd(int *fd)
{
	int keep = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = keep;
}
