/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list: embed a struct list, get back with list_entry(). */
#ifndef SSM_BASE_LIST_H
#define SSM_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_empty(const struct list *l)
{
	return l->next == l;
}

/* ITEM before HEAD: at the end of the list. */
static inline void
list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* Removing twice is fine. */
static inline void
list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

#define list_entry(item, type, member) ((type *)((char *)(item)-offsetof(type, member)))
#define list_first(head, type, member) \
	(list_empty(head) ? NULL : list_entry((head)->next, type, member))
/* The current item may be removed in the body. */
#define list_each(it, tmp, head)                                            \
	for (struct list *it = (head)->next, *tmp = it->next; it != (head); \
	     it = tmp, tmp = it->next)

#endif
