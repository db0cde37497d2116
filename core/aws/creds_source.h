/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of credentials share: checks, the JSON of ECS and IMDS, files that may be links.
 */
#ifndef SSM_AWS_CREDS_SOURCE_H
#define SSM_AWS_CREDS_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "core/aws/creds.h"
#include "core/base/err.h"

/* A non-empty environment variable, or NULL. */
const char *creds_source_env(const char *name);

/* A set whose values may go into headers, or NULL with E. WHAT names the place ("environment"). */
struct creds *creds_source_make(const char *access_key, const char *secret_key, const char *token,
				int64_t expires_ms, const char *source, const char *what,
				struct err *e);

/* {"AccessKeyId","SecretAccessKey","Token","Expiration"}, or {"Code","Message"} for a refusal;
 * names in any case. */
struct creds *creds_source_json(const char *text, size_t len, const char *source, const char *what,
				struct err *e);

/* Profile NAME of a shared credentials file's TEXT; FILE is the name shown. NULL with E; *RET_BAD
 * is the first bad line, or NULL; caller frees. */
struct creds *creds_source_profile(const char *file, const char *text, size_t len, const char *name,
				   char **ret_bad, struct err *e);

/* The first role that IMDS lists, percent-encoded for a path. Caller frees. */
int creds_source_role(const char *list, char **ret, struct err *e);

/* A regular file of at most MAX bytes by a path of the administrator, where links are usual (tokens
 * and credentials that a container platform mounts). NUL-ended; free with secret_free(). */
int creds_source_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e);

#endif
