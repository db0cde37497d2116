/* SPDX-License-Identifier: Apache-2.0 */
/* allowedPattern of documents and AllowedPattern of the parameter store, near enough. */
#ifndef SSM_SANDBOX_PATTERN_H
#define SSM_SANDBOX_PATTERN_H

#include <stdbool.h>

/* Whether PATTERN means something here. Not everything that the service takes does. */
bool pattern_is_known(const char *pattern);
/* Whether it matches: all of VALUE when WHOLE, else any part. A pattern that means nothing here
 * matches everything, and is left to the node. */
bool pattern_matches(const char *pattern, const char *value, bool whole);

#endif
