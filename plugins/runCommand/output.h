/* SPDX-License-Identifier: Apache-2.0 */
/* Output of steps: files NN.out and NN.err, and the shortened texts of replies (spec/01 1.9). */
#ifndef SSM_RUNCOMMAND_OUTPUT_H
#define SSM_RUNCOMMAND_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"

#define OUTPUT_STREAM_LIMIT 24000  /* bytes of standardOutput and standardError */
#define OUTPUT_COMBINED_LIMIT 2500 /* of output */
/* What must be known of a stream's beginning: a character may reach over the limit. */
#define OUTPUT_HEAD_BYTES (OUTPUT_STREAM_LIMIT + 4)

/* Append to B the text of one stream: HEAD is its beginning, at least OUTPUT_HEAD_BYTES of it or
 * all, TOTAL its length. A cut is moved back, by at most 3 bytes, to where a character begins. */
void output_add_stream(struct sbuf *b, struct span head, uint64_t total);
/* Append to B both streams as "output" shows them. */
void output_add_combined(struct sbuf *b, struct span out, uint64_t out_total, struct span err,
			 uint64_t err_total);

/* ---------------------------------------------------------------- files */

/* The files of a command, in one folder. Who names the same key appends to the same pair, as the
 * reference's folders of equal name do. */
struct output;
/* From the second pair on, OUTPUT_INDEX in the same folder says what they belong to: a line for
 * each pair, {"number","action","step"}, both names without their colons. For whoever looks for a
 * step's files later; that it cannot be written is no error. */
#define OUTPUT_INDEX "steps"
struct output *output_new(const char *folder, struct err *e);
struct output *output_free(struct output *o);

struct output_pair {
	int number;   /* NN */
	int out, err; /* at their ends; closed by output_finish() */
};
/* Open the pair of KEY, a new one for a new key. 0 or -errno. */
int output_open(struct output *o, const char *key, struct output_pair *ret, struct err *e);
/* KEY was opened before the machine was restarted: it keeps the number it got then, when all are
 * reserved in the same order. */
void output_reserve(struct output *o, const char *key);
/* Cut both down to MAX_BYTES (head and tail are kept), append their beginnings to *OUT and *ERR,
 * with the full lengths in the totals; remove empty files and close. 0 or -errno. */
struct output_text {
	struct sbuf head;
	uint64_t total;
};
int output_finish(struct output *o, struct output_pair *pair, uint64_t max_bytes,
		  struct output_text *ret_out, struct output_text *ret_err, struct err *e);

/* Keep the first and the last MAX/2 bytes of a file, with a line between that says how much is
 * missing. Constant memory. 0 or -errno. */
int output_shrink(int fd, uint64_t max_bytes, struct err *e);

#endif
