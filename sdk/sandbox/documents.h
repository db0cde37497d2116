/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: our own and the user's, each a JSON file named after the document. */
#ifndef SSM_SANDBOX_DOCUMENTS_H
#define SSM_SANDBOX_DOCUMENTS_H

#include <jansson.h>

#include "core/base/err.h"

struct document {
	char *name, *path;
	int version; /* counts the changes of the file, from 1 */
	char *text;
	json_t *content;
	int64_t changed_ms; /* modification time of the file */
	long long changed_ns;
};

struct documents;

/* BUILTIN NULL: beside the program, or where it was installed. USER may be NULL. */
struct documents *documents_open(const char *builtin, const char *user, struct err *e);
struct documents *documents_free(struct documents *d); /* returns NULL */
/* By name; the file is looked at again. NULL and an error (-ENOENT, or what is wrong with it). The
 * user's documents win over ours. Valid until the next call. */
const struct document *documents_find(struct documents *d, const char *name, struct err *e);
/* All names, sorted. NULL-ended; caller frees with strv_free(). */
char **documents_names(const struct documents *d);

/* params.c: what the operator gave (name -> list of strings) against the document's definitions,
 * into what travels to the node. Caller owns; NULL and an error for the operator. */
json_t *params_for_node(const json_t *content, const json_t *given, struct err *e);
/* The same form without any check: lists of one string for a String become the string. */
json_t *params_unchecked(const json_t *content, const json_t *given);

#endif
