/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines of plugins, from any thread. */
#ifndef SSM_HOST_LINES_H
#define SSM_HOST_LINES_H

#include <stdarg.h>
#include <stdint.h>

struct event_base;
struct lines;

/* The thread that calls it is the one that runs the loop. */
struct lines *lines_new(struct event_base *base);
struct lines *lines_free(struct lines *l);
/* COMPONENT must live as long as the process. Rate limited by format. */
void lines_write(struct lines *l, int32_t level, const char *component, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));
void lines_flush(struct lines *l); /* what other threads wrote */

#endif
