/* SPDX-License-Identifier: Apache-2.0 */
/* Typed decoding of JSON objects by the rules documents in the wild depend on (spec/03 1.3). */
#ifndef SSM_RUNCOMMAND_GODEC_H
#define SSM_RUNCOMMAND_GODEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum godec_kind {
	GODEC_STRING,
	GODEC_INT,
	GODEC_NUMBER,	   /* a JSON number or a string that holds one */
	GODEC_ANY,	   /* kept as it is */
	GODEC_MAP_ANY,	   /* object name -> anything */
	GODEC_MAP_STRING,  /* object name -> string */
	GODEC_MAP_STRINGS, /* object name -> array of strings */
	GODEC_STRINGS,	   /* array of strings */
	GODEC_OBJECT,	   /* TYPE says of what */
	GODEC_LIST,	   /* array of TYPE */
	GODEC_MAP,	   /* object name -> TYPE */
};

struct godec_type;
struct godec_field {
	const char *name; /* as documents spell it, and as errors show it */
	enum godec_kind kind;
	const struct godec_type *type;
};
struct godec_type {
	const char *name;    /* as errors show it: "InstancePluginConfig" */
	const char *package; /* before it where the type itself is named: "contracts" */
	size_t count;
	const struct godec_field *fields;
};

/* A new object that holds, under the exact names of TYPE, what V has for them: keys match whatever
 * their case, an exact match wins; unknown keys and nulls are left out; an element that is null
 * becomes an empty one. NULL for a wrong type, then *RET_TEXT is the encoder's text ("json: cannot
 * unmarshal string into Go struct field ..."), of the first one in the order of the input; caller
 * frees. */
json_t *godec_object(const json_t *v, const struct godec_type *type, char **ret_text);

/* Integers below an object or array that a double cannot hold become that double, at every depth.
 */
void godec_round_numbers(json_t *v);

/* A JSON number, or a string that is one; false for anything else. */
bool godec_number(const json_t *v, double *ret);

#endif
