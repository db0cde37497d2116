/* SPDX-License-Identifier: Apache-2.0 */
/* A source of credentials asked once: what the tests of all sources share. */
#ifndef SSM_TESTS_CREDASK_H
#define SSM_TESTS_CREDASK_H

#include "core/aws/creds.h"

struct event_base;

struct answer {
	struct event_base *base; /* whose loop ends with the answer; NULL: none */
	unsigned calls;
	struct creds *set;
	char *why;
};
creds_provider_done_fn on_done; /* of a provider's start(); ARG: a struct answer */
/* Start P and wait, at most 60 s, for its one answer. BASE may be NULL for one that answers at
 * once. */
struct answer ask_provider(struct event_base *base, const struct creds_provider *p);
void answer_done(struct answer *a);

#endif
