/* SPDX-License-Identifier: Apache-2.0 */
/* The user of sessions that name none (spec 02 §6.2): made once, whoever needs it first. */
#ifndef SSM_HOST_NEWUSER_H
#define SSM_HOST_NEWUSER_H

#include <jansson.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

/* SETTINGS: {"name"; "add": words, the name is added, none: what the system has; "sudoers": a path,
 * "" for none; "check": words, the file is added; "lock": a path, held meanwhile}. 1: made, 0: was
 * there, and nothing is touched; -errno with E. Lines worth a log are added to NOTES. Waits for the
 * programs that do it, at most about a minute. */
int newuser_make(const json_t *settings, struct sbuf *notes, struct err *e);
/* `ssm-plugin-host --make-user`: SETTINGS on standard input, NOTES to standard output, why not to
 * standard error; the exit status. */
int newuser_main(void);

#endif
