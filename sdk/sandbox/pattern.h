/* SPDX-License-Identifier: Apache-2.0 */
/* allowedPattern of documents and AllowedPattern of the parameter store. */
#ifndef SSM_SANDBOX_PATTERN_H
#define SSM_SANDBOX_PATTERN_H

#include <stdbool.h>

/* Whether PATTERN is a regular expression of RE2. The service may know others. */
bool pattern_is_known(const char *pattern);
/* Whether it matches: all of VALUE when WHOLE, else any part. A pattern that is none matches
 * everything, and is left to the node. */
bool pattern_matches(const char *pattern, const char *value, bool whole);

#endif
