/* SPDX-License-Identifier: Apache-2.0 */
/* The file by which sessions may use sudo: made whole or not at all, and never touched again. */
#ifndef SSM_HOST_SUDOERS_H
#define SSM_HOST_SUDOERS_H

#include <stdbool.h>

#include "core/base/sbuf.h"

/* PATH with two lines, a remark and the rule for USER (spec 02 §6.2), mode 0440 from the start,
 * root's when we are. It is written beside its place under a name that sudo passes over, shown to
 * CHECK (a program with its arguments, the file is added; one that is not installed is asked
 * nothing) and then linked into its place, where nothing may be. True: it was; false: a file was
 * there, or a line in NOTES says what is wrong. One caller at a time. */
bool sudoers_place(const char *path, char *const *check, const char *user, struct sbuf *notes);
/* Takes back what sudoers_place() has just made. */
void sudoers_remove(const char *path);

#endif
