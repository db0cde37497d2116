/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/base/list.h. */
#include <check.h>
#include <stdlib.h>

#include "core/base/list.h"
#include "tests/unit/suite.h"

struct item {
	int number;
	struct list link;
};

static int
sum_in_order(struct list *head)
{
	int digits = 0;

	list_each(it, tmp, head)
		digits = digits * 10 + list_entry(it, struct item, link)->number;
	return digits;
}

START_TEST(test_append_remove)
{
	struct list head = LIST_INIT(head);
	struct item items[3] = { { .number = 1 }, { .number = 2 }, { .number = 3 } };

	ck_assert(list_empty(&head));
	ck_assert_ptr_null(list_first(&head, struct item, link));
	for (int i = 0; i < 3; i++)
		list_append(&head, &items[i].link);
	ck_assert_int_eq(sum_in_order(&head), 123);
	ck_assert_ptr_eq(list_first(&head, struct item, link), &items[0]);
	list_remove(&items[1].link);
	list_remove(&items[1].link);
	ck_assert_int_eq(sum_in_order(&head), 13);
	list_remove(&items[0].link);
	list_remove(&items[2].link);
	ck_assert(list_empty(&head));
}
END_TEST

START_TEST(test_remove_while_walking)
{
	struct list head;
	struct item items[] = { { 1, { 0 } }, { 2, { 0 } }, { 3, { 0 } }, { 4, { 0 } } };

	list_init(&head);
	for (int i = 0; i < 4; i++)
		list_append(&head, &items[i].link);
	list_each(it, tmp, &head)
		if (list_entry(it, struct item, link)->number % 2)
			list_remove(it);
	ck_assert_int_eq(sum_in_order(&head), 24);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("list");
	TCase *t = tcase_create("list");

	tcase_add_test(t, test_append_remove);
	tcase_add_test(t, test_remove_while_walking);
	suite_add_tcase(s, t);
	return run_suite(s);
}
