/* SPDX-License-Identifier: Apache-2.0 */
/* The page that was put last wins. */
#include "tests/unit/metapages.h"

#include <check.h>
#include <string.h>

#include "core/base/mem.h"

static struct page {
	const char *path, *body;
	int status;
} pages[16];
static size_t page_count;

void
metapages_put(const char *path, int status, const char *body)
{
	ck_assert_uint_lt(page_count, NELEMS(pages));
	pages[page_count++] = (struct page){ path, body, status };
}

void
metapages_clear(void)
{
	page_count = 0;
}

void
metapages_serve(void *arg, struct mini_conn *c, const struct mini_request *r)
{
	(void)arg;
	if (strcmp(r->method, "PUT") == 0) {
		mini_replys(c, 200, "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n", "token");
		return;
	}
	for (size_t i = page_count; i-- > 0;) {
		if (strcmp(pages[i].path, r->target) != 0)
			continue;
		mini_replys(c, pages[i].status, NULL, pages[i].body);
		return;
	}
	mini_replys(c, 404, NULL, "");
}
