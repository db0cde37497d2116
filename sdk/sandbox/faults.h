/* SPDX-License-Identifier: Apache-2.0 */
/* Injected failures: which requests they hit, how often, and what happens to those. */
#ifndef SSM_SANDBOX_FAULTS_H
#define SSM_SANDBOX_FAULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"

enum fault_kind {
	FAULT_NONE,
	FAULT_STATUS,	 /* answer with an error status */
	FAULT_DELAY,	 /* only wait */
	FAULT_RESET,	 /* TCP reset */
	FAULT_CLOSE,	 /* close without an answer */
	FAULT_HANG,	 /* never answer */
	FAULT_TRUNCATE,	 /* right headers, body cut */
	FAULT_GARBAGE,	 /* a body that is not what it should be */
	FAULT_SLOW,	 /* right headers, then the body byte by byte */
	FAULT_DUPLICATE, /* GetMessages: hand out an acknowledged message again; a frame: twice */
	FAULT_DROP,	 /* of frames only, from here on: lost on the way */
	FAULT_REORDER,	 /* behind the next one */
	FAULT_CORRUPT,	 /* one byte is another */
};

enum garbage_kind {
	GARBAGE_HTML,
	GARBAGE_BINARY,
	GARBAGE_HUGE,
	GARBAGE_NESTED,
	GARBAGE_EMPTY
};

/* What hits one request; all zero: nothing does. */
struct fault_hit {
	enum fault_kind kind;
	unsigned id;
	bool after; /* the request has its effect, only the answer is spoilt */
	int64_t delay_ms;
	unsigned status;
	char code[64];
	char message[128];
	int64_t retry_after;
	bool retry_date; /* told as a date */
	int64_t every_ms;
	int64_t keep_bytes;
	enum garbage_kind garbage;
};

struct faults;

struct faults *faults_new(void);
struct faults *faults_free(struct faults *f); /* returns NULL */

/* SPEC: {"kind": ..., "service": glob, "operation": glob, "count": n, "nth": n, "probability": p,
 * "when": "before"|"after", "delay_ms", "status", "code", "message", "retry_after", "retry_date",
 * "keep_bytes", "every_ms", "garbage"}. The id (> 0) or -EINVAL. */
int faults_add(struct faults *f, const json_t *spec, struct err *e);
/* The same as text: KEY=VALUE,KEY=VALUE... */
int faults_add_text(struct faults *f, const char *text, struct err *e);
/* ID 0: all of them. The number removed. */
int faults_clear(struct faults *f, unsigned id);
/* Caller owns. */
json_t *faults_list(const struct faults *f);

/* The first fault that hits a request, and count it. */
void faults_pick(struct faults *f, const char *service, const char *operation,
		 struct fault_hit *ret);

/* The bytes of a garbage body; caller frees. */
char *faults_garbage(enum garbage_kind kind, size_t *ret_len, const char **ret_type);
const char *faults_kind_name(enum fault_kind kind);

#endif
