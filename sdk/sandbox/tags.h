/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of parameters, documents and nodes. */
#ifndef SSM_SANDBOX_TAGS_H
#define SSM_SANDBOX_TAGS_H

#include <jansson.h>

#define TAGS_MAX 50

struct tags;

struct tags *tags_new(void);
struct tags *tags_free(struct tags *t); /* returns NULL */

/* TYPE and ID as AddTagsToResource has them. LIST is [{"Key", "Value"}, ...]; tags of the same key
 * are replaced. 0, or -E2BIG when there would be more than TAGS_MAX (then nothing has changed), or
 * -EPERM for a key that begins with "aws:". */
int tags_add(struct tags *t, const char *type, const char *id, const json_t *list);
/* KEYS: strings. Those that are not there do not matter. */
void tags_remove(struct tags *t, const char *type, const char *id, const json_t *keys);
void tags_remove_all(struct tags *t, const char *type, const char *id);
/* [{"Key", "Value"}, ...] in the order in which they came; caller owns. */
json_t *tags_list(const struct tags *t, const char *type, const char *id);
/* The value of a tag; borrowed, NULL when it has none of that key. */
const char *tags_get(const struct tags *t, const char *type, const char *id, const char *key);

/* Everything: type -> id -> key -> value. Caller owns what is saved; what is loaded has passed the
 * checks of state_store.c. */
json_t *tags_save(const struct tags *t);
void tags_load(struct tags *t, const json_t *all);

#endif
