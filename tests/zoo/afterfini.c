/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of it goes on calling after fini. */
#include <pthread.h>

#include "zoo.h"

static void *
chatter(void *arg)
{
	struct ssm *S = arg;

	for (;;) {
		void *p = S->api->alloc(S, 16);

		ssm_log(S, SSM_DEBUG, "still here, cancelled %d", S->api->cancelled(S));
		S->api->free(S, p);
	}
	return NULL;
}

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static void
fini(struct ssm *S)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, chatter, S) == 0)
		usleep(20000);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {SSM_ACTION("zoo:afterfini", &ops)};

SSM_PLUGIN(afterfini) = {
	SSM_PLUGIN_HEAD, "afterfini", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, fini,
};
