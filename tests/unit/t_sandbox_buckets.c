/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/sandbox/buckets.c: names, places, ceilings. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "sdk/sandbox/buckets.h"
#include "tests/unit/suite.h"

START_TEST(t_names)
{
	static const char *const good[] = { "abc", "a.b-c", "0a9" };
	static const char *const bad[] = { "", "ab", "-abc", "abc-", "Abc", "a_b", "a/b", "a b" };
	char large[65] = "";

	for (size_t i = 0; i < NELEMS(good); i++)
		ck_assert(buckets_is_name(good[i]));
	for (size_t i = 0; i < NELEMS(bad); i++)
		ck_assert(!buckets_is_name(bad[i]));
	memset(large, 'a', 64);
	ck_assert(!buckets_is_name(large));
	large[63] = '\0';
	ck_assert(buckets_is_name(large));
}
END_TEST

START_TEST(t_buckets)
{
	struct buckets *all = buckets_new();
	struct bucket *b = buckets_create(all, "one", "eu-west-1");
	char name[16];

	ck_assert_str_eq(b->sse, "AES256");
	ck_assert_str_eq(b->region, "eu-west-1");
	ck_assert_ptr_eq(buckets_find(all, "one"), b);
	ck_assert_ptr_null(buckets_create(all, "one", "eu-west-1"));
	ck_assert_ptr_null(buckets_find(all, "two"));
	bucket_encrypt(b, "aws:kms", "k");
	ck_assert_str_eq(b->kms_key, "k");
	bucket_encrypt(b, NULL, NULL);
	ck_assert_ptr_null(b->sse);
	for (unsigned i = 1; i < BUCKETS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "more-%u", i);
		ck_assert_ptr_nonnull(buckets_create(all, name, "r"));
	}
	ck_assert_ptr_null(buckets_create(all, "too-many", "r"));
	ck_assert_ptr_null(buckets_free(all));
	ck_assert_ptr_null(buckets_free(NULL));
}
END_TEST

START_TEST(t_objects)
{
	struct buckets *all = buckets_new();
	struct bucket *b = buckets_create(all, "one", "r");
	size_t block = (size_t)4 << 20, n = BUCKETS_MAX_BYTES / block;
	autofree char *data = xcalloc(1, block);
	struct object *o;
	char key[16];

	o = bucket_put(all, b, "k", "one", 3);
	ck_assert_ptr_eq(map_get(b->objects, "k"), o);
	ck_assert_int_eq(memcmp(o->data, "one", 3), 0);
	ck_assert_uint_eq(strlen(o->etag), OBJECT_ETAG_SIZE - 1);
	o = bucket_put(all, b, "k", "", 0); /* in its place */
	ck_assert_uint_eq(map_len(b->objects), 1);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(key, sizeof(key), "k%zu", i);
		ck_assert_ptr_nonnull(bucket_put(all, b, key, data, block));
	}
	ck_assert_ptr_null(bucket_put(all, b, "k", "x", 1));
	ck_assert_ptr_nonnull(bucket_put(all, b, "k0", data, block - 1));
	ck_assert_ptr_nonnull(bucket_put(all, b, "k", "x", 1));
	buckets_free(all);
}
END_TEST

START_TEST(t_many)
{
	struct buckets *all = buckets_new();
	struct bucket *b = buckets_create(all, "one", "r");
	char key[16];

	for (unsigned i = 0; i < BUCKETS_MAX_OBJECTS; i++) {
		(void)snprintf(key, sizeof(key), "%u", i);
		ck_assert_ptr_nonnull(bucket_put(all, b, key, "", 0));
	}
	ck_assert_ptr_null(bucket_put(all, b, "x", "", 0));
	ck_assert_ptr_nonnull(bucket_put(all, b, "0", "", 0));
	buckets_free(all);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sandbox buckets");
	TCase *tc = tcase_create("sandbox buckets");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, t_names);
	tcase_add_test(tc, t_buckets);
	tcase_add_test(tc, t_objects);
	tcase_add_test(tc, t_many);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
