/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of ListDocuments, and what they look at. */
#ifndef SSM_SANDBOX_SSM_DOCUMENTS_H
#define SSM_SANDBOX_SSM_DOCUMENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/exchange.h"

/* "Amazon" for our own documents, else the account. Borrowed. */
const char *document_owner(const struct exchange *ex, const struct document *doc);
/* The platforms that its actions are for; caller owns. */
json_t *document_platforms(const json_t *content);

/* Whether the request's filters have keys that there are; false when it was refused
 * (InvalidFilterKey). */
bool document_filters_check(struct exchange *ex);
/* Whether a document passes all of them. */
bool document_filters_fit(struct exchange *ex, const struct document *doc);

#endif
