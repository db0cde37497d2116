/* SPDX-License-Identifier: Apache-2.0 */
/* Our side of a terminal that a program runs on: its size, and what is typed into it. */
#ifndef SSM_HOST_PTY_H
#define SSM_HOST_PTY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

struct event_base;
struct pty;

/* A terminal that takes UTF-8. The program's side is not opened: the program does that. NULL with
 * E. */
struct pty *pty_new(struct event_base *base, uint32_t cols, uint32_t rows, struct err *e);
/* NULL; NULL is fine. With the last descriptor of our side gone the kernel hangs up. */
struct pty *pty_free(struct pty *p);

const char *pty_path(const struct pty *p); /* of the program's side */
/* A descriptor of the caller's to read the output from, not blocking; -errno. -EIO is its end. */
int pty_reader(const struct pty *p);
/* Type a copy of DATA, then what comes from FD (-1: nothing), which is duplicated. The end of FD
 * is not typed. 0 or -errno; once only, after the program has started. */
int pty_type(struct pty *p, const void *data, size_t len, int fd, struct err *e);
/* Sizes above 65535 are that. The program is told by SIGWINCH. 0 or -errno. */
int pty_resize(struct pty *p, uint32_t cols, uint32_t rows);

#endif
