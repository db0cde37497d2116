/* SPDX-License-Identifier: Apache-2.0 */
/* Option tables: checks a value against a type, prints a plugin's snippet and the man page's text.
 */
#ifndef SSM_CONF_OPTS_H
#define SSM_CONF_OPTS_H

#include <jansson.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/conf/conf.h"

/* The same numbers as SSM_OPT_* in ssm_plugin.h. */
enum opts_type {
	OPTS_STRING = 1,
	OPTS_INT = 2,
	OPTS_BOOL = 3,
	OPTS_MSEC = 4,
	OPTS_BYTES = 5,
	OPTS_PATH = 6,
};

#define OPTS_SECRET (1u << 0) /* the same bit as SSM_OPT_F_SECRET */

/* Check TEXT; *RET the number (0/1 for booleans, ms, bytes) for types that have one. RET may be
 * NULL. */
int opts_check(enum opts_type type, const char *text, int64_t *ret, struct err *e);
/* [plugin NAME] of C against the options that the plugin's descriptor (--describe) has, and those
 * that the core knows of every plugin: WARN is called for each key that is none, and for each value
 * that is not of the option's type, "FILE:LINE: ...". */
void opts_check_section(const struct conf *c, const json_t *descriptor, conf_warn_fn *warn,
			void *arg);
/* The 50-NAME.conf snippet of a plugin from its descriptor's JSON (--describe): every option
 * commented out with default and help. Caller frees. */
char *opts_snippet(const json_t *descriptor);

#endif
