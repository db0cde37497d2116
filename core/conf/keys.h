/* SPDX-License-Identifier: Apache-2.0 */
/* Inside conf: the table of the core's keys. spec/01 section 8.8 and our own. */
#ifndef SSM_CONF_KEYS_H
#define SSM_CONF_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/conf/opts.h"

#define KEYS_LIST 100 /* an opts_type of the core alone: blank or comma separated words */
#define KEYS_JSON 101 /* a JSON array, only in the reference agent's file */
#define KEYS_ADDRESSES 102 /* a list of IP addresses */

#define KEYS_SEPARATORS " \t," /* of words in a list */

struct key {
	const char *section, *name;
	int type;
	const char *preset;  /* "" for none */
	int64_t min, max;    /* both 0: any */
	const char *choices; /* "|a|b|", NULL: any */
	bool unused;	     /* accepted, without effect so far */
	const char *help;
};

const struct key *key_find(const char *section, const char *name);
/* As above, letters of any case (the reference agent's JSON rules). */
const struct key *key_find_any_case(const char *section, const char *name);
bool key_is_section(const char *section);
/* Takes effect when the configuration is read again; others are kept by who asked at start. */
bool key_is_live(const struct key *k);
/* Nearest name in that section, or NULL. */
const char *key_nearest(const char *section, const char *name);
const struct key *key_table(size_t *ret_count);
/* Type, range, choices; *RET as opts_check. */
int key_check(const struct key *k, const char *text, int64_t *ret, struct err *e);

#endif
