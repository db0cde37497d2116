/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of DescribeParameters and GetParametersByPath. */
#ifndef SSM_SANDBOX_SSM_PARAMETERS_H
#define SSM_SANDBOX_SSM_PARAMETERS_H

#include <jansson.h>
#include <stdbool.h>

#include "sdk/sandbox/exchange.h"

/* Whether the request's Filters and ParameterFilters have a key, an option and values that the
 * operation takes (BY_PATH: GetParametersByPath, which takes fewer). False when it was refused:
 * InvalidFilterKey, InvalidFilterOption, InvalidFilterValue. */
bool parameter_filters_check(struct exchange *ex, bool by_path);
/* Whether a version passes all of them; they were checked. */
bool parameter_filters_fit(struct exchange *ex, const json_t *version);

#endif
