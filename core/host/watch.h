/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the agent whose answer comes by a callback of the plugin. */
#ifndef SSM_HOST_WATCH_H
#define SSM_HOST_WATCH_H

#include <ssm_plugin.h>

struct answer;
struct link_request;

int32_t watch_request(struct ssm *S, const struct link_request *q, ssm_done_fn *done, void *arg,
		      struct ssm_watch **ret);
/* ask.c: the answer as the blocking form gives it; to be cleared by host_reply_clear(). */
int32_t ask_answer(struct ssm *S, int result, struct answer *a, struct ssm_reply *ret);

#endif
