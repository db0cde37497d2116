/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of list operations, page by page: MaxResults and NextToken. */
#include "sdk/sandbox/page.h"

#include <stdio.h>

#include "core/base/json.h"
#include "core/base/text.h"

bool
page_begin(struct exchange *ex, struct page *page, size_t preset)
{
	const char *token = json_str(ex->request, "NextToken", "0");
	int64_t at;

	if (text_to_i64(token, 0, INT64_MAX, &at) < 0) {
		exchange_refuse(ex, 400, "InvalidNextToken", "The specified token is not valid.");
		return false;
	}
	*page = (struct page){ .at = (size_t)at,
			       .max = (size_t)json_int(ex->request, "MaxResults", (int64_t)preset),
			       .items = json_array() };
	return true;
}

bool
page_add(struct page *page, size_t place, json_t *item)
{
	char token[24];

	if (json_array_size(page->items) < page->max) {
		json_array_append_new(page->items, item);
		return true;
	}
	json_decref(item);
	snprintf(token, sizeof(token), "%zu", place);
	page->next = json_string(token);
	return false;
}

void
page_answer(struct exchange *ex, struct page *page, const char *name)
{
	json_t *out = json_pack("{s:o}", name, page->items);

	if (page->next)
		json_object_set_new(out, "NextToken", page->next);
	exchange_answer_json(ex, out);
}

void
page_drop(struct page *page)
{
	json_decref(page->items);
	json_decref(page->next);
}
