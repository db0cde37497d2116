/* SPDX-License-Identifier: Apache-2.0 */
/* Text on its way into and out of a shell session (spec 02 §6.1, §6.4). Pure code. */
#ifndef SSM_SESSIONMANAGER_SHELLTEXT_H
#define SSM_SESSIONMANAGER_SHELLTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/err.h"

/* The words of a command that is executed without a shell: blanks separate, '...' is literal, in
 * "..." and outside of quotes a backslash makes the next character literal, '#' at the start of a
 * word begins a comment. *RET (strv_free()) is NULL when there are none. 0, or -EINVAL with the
 * text that operators know. */
int shelltext_words(const char *commands, char ***ret, struct err *e);

/* How many of the LEN bytes at P are the next message: at most MAX (4 or more), not ending inside a
 * UTF-8 character. 0: P begins with an incomplete one, wait for more; never when LAST and LEN is
 * not 0. Bytes that are not UTF-8 pass as they are. */
size_t shelltext_chunk(const char *p, size_t len, size_t max, bool last);

#endif
