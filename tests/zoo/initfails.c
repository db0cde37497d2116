/* SPDX-License-Identifier: Apache-2.0 */
/* Its init fails. */
#include "zoo.h"

static int32_t
init(struct ssm *S)
{
	return ssm_fail(S, -5, "no coffee");
}

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {SSM_ACTION("zoo:initfails", &ops)};

SSM_PLUGIN(initfails) = {
	SSM_PLUGIN_HEAD, "initfails", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, init, NULL,
};
