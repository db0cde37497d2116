/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters of a document: defaults, checks, and {{ name }} (spec/03 2.5 to 2.8). */
#ifndef SSM_RUNCOMMAND_PARAMS_H
#define SSM_RUNCOMMAND_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What one document may grow to when its parameters are filled in. */
#define PARAMS_MAX_BYTES (16u << 20)

/* name -> value: those SUPPLIED whose name is plain, and a default, or null, for each of
 * DEFINITIONS that has none. Either may be NULL. Never NULL. */
json_t *params_merge(const json_t *definitions, const json_t *supplied);

/* Runs the validators over the defined parameters: allowedPattern, and those that the service runs
 * itself when UNCHECKED says that it has not (2.8). NULL when all is well, else the joined texts of
 * all failures; caller frees. */
struct params_check {
	const json_t *definitions;
	const json_t *values;	/* merged, {{ssm:name}} resolved */
	const json_t *supplied; /* as they came */
	bool unchecked;
};
char *params_validate(const struct params_check *c);

struct params {
	const json_t *values; /* borrowed; NULL: nothing is filled in */
	size_t max_name;      /* bytes of the longest name */
	size_t left;	      /* of PARAMS_MAX_BYTES */
};

void params_init(struct params *p, const json_t *values);
/* A copy of V in which each token is replaced, in every string value at every depth. NULL when it
 * would grow too large, with the reason; caller frees. */
json_t *params_fill(struct params *p, const json_t *v, char **ret_trace);
/* That reason. Caller frees. */
char *params_too_large(void);

#endif
