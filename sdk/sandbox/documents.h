/* SPDX-License-Identifier: Apache-2.0 */
/* Documents: our own and the user's, each a file named after the document, and those that an
 * operator made with CreateDocument. */
#ifndef SSM_SANDBOX_DOCUMENTS_H
#define SSM_SANDBOX_DOCUMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/digest.h"
#include "core/base/err.h"
#include "sdk/sandbox/refusal.h"

#define DOCUMENT_MAX_BYTES ((size_t)65536)
#define DOCUMENT_VERSIONS_MAX 1000
#define DOCUMENTS_MAX 500

struct document_version {
	int number;
	char *name;	    /* VersionName, or NULL */
	const char *format; /* "JSON", "YAML": what TEXT is written in */
	char *text;
	json_t *content;
	int64_t created_ms;
	char hash[DIGEST_SHA256_HEX_SIZE]; /* of TEXT */
};

struct document {
	char *name;
	char *path;			    /* its file; NULL: an operator made it */
	bool builtin;			    /* the file is one of ours */
	const char *type;		    /* "Command", "Session" */
	char *display_name, *target_type;   /* or NULL */
	struct document_version **versions; /* by number; a file has one more for each change */
	size_t count;
	int last_number, default_number; /* of a file, the last one is the default */
	int64_t changed_ms;		 /* of a file: modification time */
	long long changed_ns;
};

struct documents;

/* BUILTIN NULL: beside the program, or where it was installed. USER may be NULL. */
struct documents *documents_open(const char *builtin, const char *user, struct err *e);
struct documents *documents_free(struct documents *d); /* returns NULL */
/* By name; a file is looked at again. NULL and an error (-ENOENT, or what is wrong with it). What
 * an operator made comes first, then the user's files, then ours. Valid until documents change. */
struct document *documents_find(struct documents *d, const char *name, struct err *e);
/* NAME itself, or what an ARN ".../document/NAME" ends with. */
const char *document_bare_name(const char *name);
/* "$LATEST", "$DEFAULT" (as is NULL and ""), or a number. NULL when there is no such version. */
const struct document_version *document_version(const struct document *doc, const char *wanted);
const struct document_version *document_version_named(const struct document *doc, const char *name);
/* All names, sorted. NULL-ended; caller frees with strv_free(). */
char **documents_names(const struct documents *d);

/* documents_edit.c. REQUEST: the operation's members, their shapes checked. NULL or false with a
 * refusal; nothing has changed then. */
struct document *documents_create(struct documents *d, const json_t *request, int64_t now_ms,
				  struct refusal *ret);
const struct document_version *documents_update(struct documents *d, const json_t *request,
						int64_t now_ms, struct refusal *ret);
const struct document_version *documents_set_default(struct documents *d, const json_t *request,
						     struct refusal *ret);
bool documents_delete(struct documents *d, const json_t *request, struct refusal *ret);

/* document_check.c: what an operator may create. CONTENT is borrowed. */
bool document_check(const json_t *content, const char *type, struct refusal *ret);
/* The text in FORMAT; NULL and an error. */
json_t *document_parse(const char *text, size_t len, const char *format, const char *what,
		       struct err *e);

/* For the files of this module. */
struct document_version *document_add_version(struct document *doc, const char *text, size_t len,
					      const char *format, json_t *content);
void document_remove_version(struct document *doc, const struct document_version *v);
struct document *document_new(const char *name);
void document_free(void *doc);
struct map *documents_made(const struct documents *d); /* name -> struct document, owned */

/* params.c: what the operator gave (name -> list of strings) against the document's definitions,
 * into what travels to the node. Caller owns; NULL and an error for the operator. */
json_t *params_for_node(const json_t *content, const json_t *given, struct err *e);
/* The same form without any check: lists of one string for a String become the string. */
json_t *params_unchecked(const json_t *content, const json_t *given);

#endif
