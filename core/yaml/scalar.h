/* SPDX-License-Identifier: Apache-2.0 */
/* Plain scalars of YAML 1.1: null, truth values, numbers, else text. */
#ifndef SSM_YAML_SCALAR_H
#define SSM_YAML_SCALAR_H

#include <jansson.h>
#include <stddef.h>

/* What the plain scalar S[0..LEN) means; caller owns. NULL for what JSON cannot hold: infinity, no
 * number, bytes that are not UTF-8. */
json_t *scalar_value(const char *s, size_t len);

#endif
