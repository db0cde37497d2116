/* SPDX-License-Identifier: Apache-2.0 */
/* Provides what a plugin of the agent's own tree provides, and one thing more. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	ssm_print(S, step, "the duplicate\n");
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {SSM_ACTION("aws:runShellScript", &ops),
					      SSM_ACTION("zoo:duplicate", &ops)};

SSM_PLUGIN(duplicate) = {
	SSM_PLUGIN_HEAD, "duplicate", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
