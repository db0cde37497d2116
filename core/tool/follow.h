/* SPDX-License-Identifier: Apache-2.0 */
/* The output of a command as its steps write it: files NN.out and NN.err of its folder. */
#ifndef SSM_TOOL_FOLLOW_H
#define SSM_TOOL_FOLLOW_H

#include <stdbool.h>

#include "core/base/err.h"

struct follow;
/* NULL with E. Nothing is printed yet. */
struct follow *follow_new(const char *folder, struct err *e);
struct follow *follow_free(struct follow *f);
/* Readable when something in the folder changed; follow_print() takes what is there. */
int follow_fd(const struct follow *f);
/* Print what was not printed yet: .out to stdout, .err to stderr, lower numbers first. False:
 * standard output is gone. */
bool follow_print(struct follow *f);
/* The journal was written since the last call. */
bool follow_journal_changed(struct follow *f);

/* Print the files with NUMBER (0: all), as above. 0, -ENOENT when there is none, -EPIPE ... */
int follow_print_once(const char *folder, int number, struct err *e);

/* The highest number of a file, 0 when there is none. */
int follow_last_number(const char *folder);

#endif
