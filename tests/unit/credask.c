/* SPDX-License-Identifier: Apache-2.0 */
/* What a source answers, kept. */
#include "tests/unit/credask.h"

#include <check.h>
#include <event2/event.h>
#include <stdlib.h>

#include "core/base/mem.h"

void
on_done(void *arg, struct creds *set, const char *why_not)
{
	struct answer *a = arg;

	a->calls++;
	a->set = set;
	a->why = xstrdup(why_not);
	if (a->base)
		event_base_loopbreak(a->base);
}

struct answer
ask_provider(struct event_base *base, const struct creds_provider *p)
{
	const struct timeval limit = { 60, 0 };
	struct answer a = { .base = base };
	void *pending = p->start(p->ctx, on_done, &a);

	ck_assert(!pending || base);
	if (pending) {
		event_base_loopexit(base, &limit);
		event_base_dispatch(base);
	}
	ck_assert_uint_eq(a.calls, 1);
	return a;
}

void
answer_done(struct answer *a)
{
	creds_unref(a->set);
	free(a->why);
}
