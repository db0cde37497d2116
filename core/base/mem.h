/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is there or the process ends (message, then abort); cleanup macros; wiping. */
#ifndef SSM_BASE_MEM_H
#define SSM_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t len);
void *xcalloc(size_t n, size_t len); /* zeroed; overflow of n * len ends the process */
void *xrealloc(void *p, size_t n, size_t len);
char *xstrdup(const char *s);		   /* NULL gives NULL */
char *xstrndup(const char *s, size_t len); /* at most LEN bytes, NUL-ended */
void *xmemdup(const void *p, size_t len);  /* copy with a NUL behind it */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

/* For sizes above 1 MiB that come from outside: NULL when there is no memory. Free with free(). */
void *try_malloc(size_t len);

/* Overwrite so that the compiler cannot leave it out. */
void wipe(void *p, size_t len);
/* Wipe a string, then free it. NULL is fine. */
void secret_free(char *s);

void mem_cleanup_free(void *pp);
void mem_cleanup_secret(char **pp);
void mem_cleanup_fd(int *fd); /* close when >= 0, then -1 */

/* Freed (closed when >= 0, wiped) when the block is left; ownership leaves with TAKE(). */
#define autofree __attribute__((cleanup(mem_cleanup_free)))
#define autosecret __attribute__((cleanup(mem_cleanup_secret)))
#define autoclose __attribute__((cleanup(mem_cleanup_fd)))
#define TAKE(p)                            \
	({                                 \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})
#define TAKE_FD(fd)               \
	({                        \
		int take_ = (fd); \
		(fd) = -1;        \
		take_;            \
	})
#define NELEMS(a) (sizeof(a) / sizeof((a)[0]))

#endif
