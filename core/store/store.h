/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the parameter store in place of {{ssm:name}} (spec/03 2.7): each name is asked for once
 * in the life of a document. */
#ifndef SSM_STORE_STORE_H
#define SSM_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* GetParameters takes no more. */
#define STORE_NAMES_PER_CALL 10u
/* What one document may name; each ten are a call. */
#define STORE_MAX_NAMES 1000u

/* The answer of GetParameters for NAMES (an array of at most STORE_NAMES_PER_CALL strings); caller
 * owns it. NULL: *RET_TRACE says why (caller frees), or is left alone where the command was
 * cancelled. */
typedef json_t *store_ask_fn(void *arg, const json_t *names, char **ret_trace);

struct store {
	store_ask_fn *ask; /* NULL: nobody can be asked */
	void *arg;
	json_t *known;	/* name as in the token -> {"Type", "Value"} */
	json_t *wanted; /* array of names still to be asked for */
	size_t max_bytes;
};

/* MAX_BYTES: of a document, for the text that says that it grew above them. */
void store_init(struct store *s, size_t max_bytes, store_ask_fn *ask, void *arg);
void store_done(struct store *s);
/* Does V hold a token in a string value, at any depth? */
bool store_is_in(const json_t *v);
/* Ask for all that VALUES hold and that is not known. False: *RET_TRACE as of store_ask_fn. */
bool store_resolve(struct store *s, const json_t *values, char **ret_trace);
/* A copy of V whose tokens, all resolved, are replaced; what it adds is taken from *LEFT bytes.
 * NULL when a list stands where a text must, or when it grows too large; caller frees *RET_TRACE.
 */
json_t *store_fill(const struct store *s, const json_t *v, size_t *left, char **ret_trace);

#endif
