/* SPDX-License-Identifier: Apache-2.0 */
/* Its handler calls from another thread what only its own may call, and what any may. */
#include <pthread.h>
#include <stdio.h>

#include "zoo.h"

struct call {
	struct ssm *S;
	struct ssm_step *step;
	int32_t spawned, wrote, done;
};

static void *
from_thread(void *arg)
{
	static const char *const argv[] = {"/bin/true", NULL};
	struct call *c = arg;
	struct ssm_spawn cmd = {.size = sizeof(cmd), .argv = argv};
	struct ssm_end end = {.size = sizeof(end)};

	for (int i = 0; i < 1000; i++)
		ssm_log(c->S, SSM_DEBUG, "thread %d", c->S->api->cancelled(c->S));
	c->spawned = c->S->api->spawn(c->S, &cmd, &end);
	c->wrote = c->S->api->step_write(c->S, c->step, SSM_STDOUT, "thread\n", 7);
	c->done = c->S->api->step_done(c->S, c->step, SSM_SUCCESS, 0);
	return NULL;
}

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	struct call c = {.S = S, .step = step};
	pthread_t thread;
	char text[64];

	if (pthread_create(&thread, NULL, from_thread, &c) != 0)
		return -11;
	pthread_join(thread, NULL);
	snprintf(text, sizeof(text), "spawn %d write %d done %d\n", c.spawned, c.wrote, c.done);
	ssm_print(S, step, text);
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

ZOO_ACTION(threads, run);
