/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for what its section may not allow: a call, an address, a transfer; and tells who it is. */
#include <stdio.h>

#include "zoo.h"

static int32_t
ask(struct ssm *S, const char *what)
{
	struct ssm_request q = {.size = sizeof(q), .service = "ssm", .body = "{}", .body_len = 2};
	struct ssm_transfer t = {.size = sizeof(t), .url = what, .fd = 2};
	struct ssm_reply reply = {.size = sizeof(reply)};
	int32_t r;

	if (strncmp(what, "http", 4) == 0)
		return S->api->transfer(S, &t, &reply);
	q.target = what;
	r = S->api->call(S, &q, &reply);
	S->api->free(S, reply.error);
	S->api->free(S, reply.body);
	S->api->free(S, reply.headers);
	return r;
}

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	const char *what = S->api->step_str(S, step, "/what", NULL);
	char text[128];
	int32_t r = what ? ask(S, what) : 0;

	snprintf(text, sizeof(text), "uid %d result %d\n", (int)getuid(), r);
	ssm_print(S, step, text);
	if (r < 0)
		return r;
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {
	SSM_ACTION("zoo:asks", &ops),
	{SSM_KIND_ACTION, SSM_F_UNPRIVILEGED, "zoo:unprivileged", &ops, NULL, NULL, NULL},
};

SSM_PLUGIN(asks) = {
	SSM_PLUGIN_HEAD, "asks", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
