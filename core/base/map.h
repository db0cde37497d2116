/* SPDX-License-Identifier: Apache-2.0 */
/* String map: owned keys, borrowed or freed values. Iteration is in insertion order. */
#ifndef SSM_BASE_MAP_H
#define SSM_BASE_MAP_H

#include <stddef.h>

struct map;
typedef void map_free_fn(void *value);

struct map *map_new(map_free_fn *free_value); /* NULL: values are borrowed */
struct map *map_free(struct map *m);	      /* returns NULL */
void *map_get(const struct map *m, const char *key);
/* Replaces (and frees) an old value. */
void map_set(struct map *m, const char *key, void *value);
/* Take the value out without freeing it; NULL when absent. */
void *map_take(struct map *m, const char *key);
size_t map_len(const struct map *m);
/* Next entry after *ITER (0 at the start); 0 when there is none. Entries may be removed, not added,
 * meanwhile. */
int map_next(const struct map *m, size_t *iter, const char **ret_key, void **ret_value);

#endif
