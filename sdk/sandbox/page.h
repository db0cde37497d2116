/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of list operations, page by page: MaxResults and NextToken. */
#ifndef SSM_SANDBOX_PAGE_H
#define SSM_SANDBOX_PAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "sdk/sandbox/exchange.h"

#define PAGE_MAX 50

/* Where a list goes on: a token is that number as text. */
struct page {
	size_t at, max;
	json_t *items;
	json_t *next; /* token, once the page is full */
};

/* The request's token and its MaxResults (PRESET without one). False when the token is none of
 * ours: then InvalidNextToken was answered. After true, page_answer() or page_drop() must follow.
 */
bool page_begin(struct exchange *ex, struct page *page, size_t preset);
/* Takes ITEM. False when the page is full: the item at PLACE is the first of the next page. */
bool page_add(struct page *page, size_t place, json_t *item);
/* Answers {NAME: items, "NextToken": ...}. */
void page_answer(struct exchange *ex, struct page *page, const char *name);
void page_drop(struct page *page);

#endif
