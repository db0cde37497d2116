/* SPDX-License-Identifier: Apache-2.0 */
/* The request journal: one JSON line for every request that was answered or cut. */
#ifndef SSM_SANDBOX_JOURNAL_H
#define SSM_SANDBOX_JOURNAL_H

#include <jansson.h>
#include <stdint.h>

#include "core/base/err.h"

struct journal;
struct exchange;

/* PATH is made anew. NULL and an error when it cannot be. */
struct journal *journal_open(const char *path, struct err *e);
struct journal *journal_free(struct journal *j); /* flushes; returns NULL */
/* J may be NULL: nothing is written. */
void journal_write(struct journal *j, const struct exchange *ex);
/* A line that is no request: a message of a channel. LINE is taken; number and time are added. */
void journal_note(struct journal *j, json_t *line);
void journal_flush(struct journal *j);
/* Empty the file; the numbers go on. */
int journal_clear(struct journal *j, struct err *e);
int64_t journal_count(const struct journal *j);

#endif
