/* SPDX-License-Identifier: Apache-2.0 */
/* What S3 keeps: buckets and their objects, in memory. */
#ifndef SSM_SANDBOX_BUCKETS_H
#define SSM_SANDBOX_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/map.h"

#define BUCKETS_MAX 100u
#define BUCKETS_MAX_OBJECTS 10000u
#define BUCKETS_MAX_BYTES ((size_t)64 << 20)
#define OBJECT_ETAG_SIZE 33

struct object {
	char *data;
	size_t len;
	char *type, *acl;
	char *sse, *kms_key; /* NULL: as it was not said */
	char etag[OBJECT_ETAG_SIZE];
	int64_t modified_ms;
};

struct bucket {
	char *name, *region;
	char *sse, *kms_key; /* the default of its objects: "AES256", "aws:kms"; NULL: none */
	struct map *objects; /* by key, owned */
};

struct buckets;

struct buckets *buckets_new(void);
struct buckets *buckets_free(struct buckets *all); /* NULL; NULL is fine */
/* 3 to 63 of a-z 0-9 . - , beginning and ending with a letter or digit. */
bool buckets_is_name(const char *name);
struct bucket *buckets_find(const struct buckets *all, const char *name); /* or NULL */
/* A new one, encrypted with AES256. NULL: there is one of that name, or there are too many. */
struct bucket *buckets_create(struct buckets *all, const char *name, const char *region);
/* SSE NULL: none. */
void bucket_encrypt(struct bucket *b, const char *sse, const char *kms_key);
/* In the place of what KEY was before. LEN bytes at DATA are copied; the rest is for the caller to
 * fill in. NULL: that would be more than the ceilings above. */
struct object *bucket_put(struct buckets *all, struct bucket *b, const char *key, const void *data,
			  size_t len);

#endif
