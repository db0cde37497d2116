/* SPDX-License-Identifier: Apache-2.0 */
/* YAML text into the JSON value that it means (spec/03 section 2.3), through libyaml. */
#ifndef SSM_YAML_YAML_H
#define SSM_YAML_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "core/base/err.h"

#define YAML_MAX_NODES 100000

/* One YAML document and none behind it, nested at most JSON_MAX_DEPTH deep, of at most
 * YAML_MAX_NODES values once its aliases are written out. Plain scalars are those of YAML 1.1 (yes,
 * on, 0x1F, 1_000,
 * ~); of equal keys the last wins; a pair whose key is no string is left out. WHAT names the input
 * in the error ("x is not YAML: line 3: ..."). Caller owns; NULL on error (-EINVAL, -E2BIG). */
json_t *yaml_parse(const char *text, size_t len, const char *what, struct err *e);

#endif
