/* SPDX-License-Identifier: Apache-2.0 */
/* The parameter store: what PutParameter accepts, and which version a selector means. A version is
 * a JSON object {"Name", "Type", "Value", "Version", "LastModifiedDate", "DataType", "Tier"} and,
 * where there are any, "Description", "AllowedPattern", "KeyId". */
#ifndef SSM_SANDBOX_PARAMETERS_H
#define SSM_SANDBOX_PARAMETERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sdk/sandbox/refusal.h"

#define PARAMETER_VERSIONS_MAX 100
#define PARAMETERS_MAX 10000

struct parameters;

struct parameters *parameters_new(void);
struct parameters *parameters_free(struct parameters *p); /* returns NULL */

/* REQUEST: the members of PutParameter, their shapes checked. Borrowed: the version that was made.
 * NULL with a refusal. */
const json_t *parameters_put(struct parameters *p, const json_t *request, int64_t now_ms,
			     struct refusal *ret);
/* By NAME or NAME:VERSION. Borrowed; NULL with ParameterNotFound or ParameterVersionNotFound. */
const json_t *parameters_find(const struct parameters *p, const char *selector,
			      struct refusal *ret);
/* All versions that are kept, oldest first; borrowed, NULL when there is no such parameter. */
const json_t *parameters_versions(const struct parameters *p, const char *name);
/* False when there was none. */
bool parameters_delete(struct parameters *p, const char *name);
/* All names, sorted. NULL-ended; caller frees with strv_free(). */
char **parameters_names(const struct parameters *p);

/* Whether NAME is below PATH ("/", "/a" or "/a/"): directly, or at any depth. */
bool parameters_below(const char *name, const char *path, bool recursive);
/* The first {{ssm:NAME}} in TEXT that means a SecureString: its name, caller frees; or NULL. */
char *parameters_secure_reference(const struct parameters *p, const char *text);
/* Everything: name -> versions, oldest first. Caller owns what is saved; what is loaded has passed
 * the checks of state_store.c. */
json_t *parameters_save(const struct parameters *p);
void parameters_load(struct parameters *p, const json_t *all);

#endif
