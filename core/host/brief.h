/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is soon done: what it wrote and how it ended, or its death at a deadline. */
#ifndef SSM_HOST_BRIEF_H
#define SSM_HOST_BRIEF_H

#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

/* Run argv[0], a path or a name to be searched, in an environment of a PATH and a LANG. Both its
 * streams go to OUT, as much as OUT's ceiling lets in. Waits: a waitpid() status, or -errno when it
 * could not be started, -ETIMEDOUT when it was killed after TIMEOUT_MS with all of its group.
 * Children that it leaves behind hold up nobody. */
int brief_run(char *const *argv, int64_t timeout_ms, struct sbuf *out, struct err *e);
/* Where argv[0] would be found, or NULL; caller frees. */
char *brief_find(const char *name);

#endif
