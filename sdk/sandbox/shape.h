/* SPDX-License-Identifier: Apache-2.0 */
/* Strict checks of what came in: required members, types, lengths, allowed values, no strangers. */
#ifndef SSM_SANDBOX_SHAPE_H
#define SSM_SANDBOX_SHAPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum shape_type {
	SHAPE_STRING,
	SHAPE_INTEGER,
	SHAPE_NUMBER, /* no limits */
	SHAPE_BOOLEAN,
	SHAPE_LIST,   /* inner: the element */
	SHAPE_MAP,    /* inner: the value */
	SHAPE_STRUCT, /* inner: the members */
};

struct shape {
	const char *name; /* NULL ends an array of members */
	enum shape_type type;
	bool required;
	bool nullable;
	int64_t min, max; /* length, number of items, or value; max 0: no limit */
	const struct shape *inner;
	const char *const *allowed;   /* NULL-ended values of a string */
	bool (*check)(const char *s); /* further rule of a string */
};

struct shape_error {
	char code[32]; /* "ValidationException" or "SerializationException" */
	char text[400];
};

/* 0 or -EINVAL with the error filled in. MEMBERS NULL: no member is allowed. */
int shape_check(const struct shape *members, const json_t *obj, struct shape_error *ret);

/* i-... or mi-... */
bool shape_is_instance_id(const char *s);
/* In lower case with hyphens, version 4. */
bool shape_is_uuid4(const char *s);
/* O is an object of exactly these members, in this order; NAMES are separated by blanks. */
bool shape_has_members(const json_t *o, const char *names);

#endif
