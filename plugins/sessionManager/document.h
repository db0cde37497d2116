/* SPDX-License-Identifier: Apache-2.0 */
/* The session document with the operator's parameters put in: spec 02 §5.1 to §5.3. Pure
 * code. */
#ifndef SSM_SESSIONMANAGER_DOCUMENT_H
#define SSM_SESSIONMANAGER_DOCUMENT_H

#include <jansson.h>
#include <stddef.h>

#include "core/base/err.h"
#include "core/store/store.h"

#define DOCUMENT_TEXT_MAX (1024 * 1024) /* bytes of one text after replacement */

/* What an interactive_shell says, as one object: the texts "SessionId", "RunAsUser",
 * "DocumentName", "SessionOwner" and "sessionType", the objects "inputs" and "properties" (empty
 * when absent). ASK gives values of the parameter store, each name is asked for once. NULL with
 * -EINVAL and a text for the operator, also for values that do not match their allowedPattern, and
 * patterns that RE2 does not take. */
json_t *document_read(const char *content, size_t len, store_ask_fn *ask, void *arg,
		      struct err *e);

#endif
