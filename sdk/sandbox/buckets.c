/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets and objects in maps, and what they are together. */
#include "sdk/sandbox/buckets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/mem.h"

struct buckets {
	struct map *by_name;
	size_t objects, bytes;
};

static void
object_free(void *value)
{
	struct object *o = value;

	free(o->data);
	free(o->type);
	free(o->acl);
	free(o->sse);
	free(o->kms_key);
	free(o);
}

static void
bucket_free(void *value)
{
	struct bucket *b = value;

	map_free(b->objects);
	free(b->name);
	free(b->region);
	free(b->sse);
	free(b->kms_key);
	free(b);
}

struct buckets *
buckets_new(void)
{
	struct buckets *all = xcalloc(1, sizeof(*all));

	all->by_name = map_new(bucket_free);
	return all;
}

struct buckets *
buckets_free(struct buckets *all)
{
	if (!all)
		return NULL;
	map_free(all->by_name);
	free(all);
	return NULL;
}

bool
buckets_is_name(const char *name)
{
	static const char edges[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	size_t len = strlen(name);

	return len >= 3 && len <= 63 && strchr(edges, name[0]) && strchr(edges, name[len - 1]) &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

struct bucket *
buckets_find(const struct buckets *all, const char *name)
{
	return map_get(all->by_name, name);
}

struct bucket *
buckets_create(struct buckets *all, const char *name, const char *region)
{
	struct bucket *b;

	if (buckets_find(all, name) || map_len(all->by_name) >= BUCKETS_MAX)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	b->name = xstrdup(name);
	b->region = xstrdup(region);
	b->objects = map_new(object_free);
	bucket_encrypt(b, "AES256", NULL);
	map_set(all->by_name, name, b);
	return b;
}

void
bucket_encrypt(struct bucket *b, const char *sse, const char *kms_key)
{
	free(b->sse);
	free(b->kms_key);
	b->sse = xstrdup(sse);
	b->kms_key = xstrdup(kms_key);
}

struct object *
bucket_put(struct buckets *all, struct bucket *b, const char *key, const void *data, size_t len)
{
	const struct object *old = map_get(b->objects, key);
	size_t objects = all->objects + !old, bytes = all->bytes - (old ? old->len : 0) + len;
	char hash[DIGEST_SHA256_HEX_SIZE];
	struct object *o;

	if (objects > BUCKETS_MAX_OBJECTS || bytes > BUCKETS_MAX_BYTES)
		return NULL;
	o = xcalloc(1, sizeof(*o));
	o->data = xmemdup(data, len);
	o->len = len;
	digest_sha256_hex(data, len, hash);
	(void)snprintf(o->etag, sizeof(o->etag), "%.32s", hash);
	map_set(b->objects, key, o);
	all->objects = objects;
	all->bytes = bytes;
	return o;
}
