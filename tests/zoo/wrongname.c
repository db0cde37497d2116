/* SPDX-License-Identifier: Apache-2.0 */
/* Its descriptor calls it otherwise than its file. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {SSM_ACTION("zoo:wrongname", &ops)};

SSM_PLUGIN(wrongname) = {
	SSM_PLUGIN_HEAD, "othername", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
