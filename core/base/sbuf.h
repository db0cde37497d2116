/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a ceiling. The error is sticky: a row of appends needs one check. */
#ifndef SSM_BASE_SBUF_H
#define SSM_BASE_SBUF_H

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

struct sbuf {
	char *p;    /* NUL-ended once anything was appended, else NULL */
	size_t len; /* bytes used, without the NUL */
	size_t cap; /* bytes allocated */
	size_t max; /* ceiling of len */
	int err;    /* 0 or -E2BIG; once set, appends do nothing */
};

#define SBUF_INIT(max_bytes) { NULL, 0, 0, (max_bytes), 0 }

void sbuf_init(struct sbuf *b, size_t max_bytes);
void sbuf_done(struct sbuf *b);	 /* frees; usable again with the same ceiling */
void sbuf_reset(struct sbuf *b); /* length 0, error cleared, memory kept */
void sbuf_wipe(struct sbuf *b);	 /* sbuf_done() for secrets */

/* All return 0 or the sticky error. */
int sbuf_add(struct sbuf *b, const void *data, size_t len);
int sbuf_adds(struct sbuf *b, const char *s);
int sbuf_addc(struct sbuf *b, char c);
int sbuf_addf(struct sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int sbuf_vaddf(struct sbuf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drop LEN bytes at the front. */
void sbuf_consume(struct sbuf *b, size_t len);
/* One read() of at most LEN bytes onto the end; bytes read, 0 at end of file, -errno. */
ssize_t sbuf_read(struct sbuf *b, int fd, size_t len);

/* The text, "" when empty; owned by the buffer. */
const char *sbuf_str(const struct sbuf *b);
/* Hand over the memory (NUL-ended, never NULL; caller frees); the buffer is empty again. */
char *sbuf_take(struct sbuf *b, size_t *ret_len);

#define autosbuf __attribute__((cleanup(sbuf_done)))

/* A view of bytes that somebody else owns. */
struct span {
	const char *p;
	size_t len;
};

#endif
