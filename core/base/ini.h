/* SPDX-License-Identifier: Apache-2.0 */
/* One tokenizer for *.conf and AWS profile files; every message carries file:line. */
#ifndef SSM_BASE_INI_H
#define SSM_BASE_INI_H

#include <stddef.h>

#include "core/base/err.h"

enum ini_dialect {
	INI_CONF,    /* '#' and ';' comments on lines of their own; a bad line ends the parse */
	INI_PROFILE, /* the shared credentials dialect of spec/04 section 3.3; a bad line is
			reported and skipped */
};

struct ini_item {
	const char *file;
	unsigned line;
	const char *section; /* "" before the first header */
	const char *key;     /* NULL: this is a section header */
	const char *value;   /* "" for an empty one; INI_PROFILE leaves such keys out */
};
/* Less than 0 ends the parse with that error. */
typedef int ini_item_fn(void *arg, const struct ini_item *item, struct err *e);
/* A bad line of INI_PROFILE: TEXT is "FILE:LINE: reason". */
typedef void ini_bad_fn(void *arg, const char *text);

/* TEXT of LEN bytes; NUL bytes, lines over 64 KiB and invalid headers are errors. FILE is the name
 * shown. */
int ini_parse(enum ini_dialect dialect, const char *file, const char *text, size_t len,
	      ini_item_fn *item, ini_bad_fn *bad, void *arg, struct err *e);

#endif
