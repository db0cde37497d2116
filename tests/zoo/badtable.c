/* SPDX-License-Identifier: Apache-2.0 */
/* Its second feature has no name. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {SSM_ACTION("zoo:badtable", &ops),
					      SSM_ACTION(NULL, &ops)};

SSM_PLUGIN(badtable) = {
	SSM_PLUGIN_HEAD, "badtable", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
