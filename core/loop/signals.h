/* SPDX-License-Identifier: Apache-2.0 */
/* The few signals we take, read from a signalfd; all but the fatal ones stay blocked for good. */
#ifndef SSM_LOOP_SIGNALS_H
#define SSM_LOOP_SIGNALS_H

#include "core/base/err.h"

struct event_base;
struct signals;
typedef void signals_fn(void *arg, int sig);

/* Block every signal that can be blocked except SIGSEGV SIGBUS SIGFPE SIGILL SIGABRT SIGTRAP
 * SIGSYS: in main(), before any library may start a thread. */
void signals_block(void);
/* Deliver those of the 0-ended SIGS as events. */
struct signals *signals_new(struct event_base *base, const int *sigs, signals_fn *fn, void *arg,
			    struct err *e);
struct signals *signals_free(struct signals *s);

#endif
