/* SPDX-License-Identifier: Apache-2.0 */
/* Needs what nobody provides, and softly something else that nobody provides. */
#include "zoo.h"

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct ssm_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct ssm_feature features[] = {
	{SSM_KIND_ACTION, 0, "zoo:needs", &ops, "action=zoo:nobody ?service=nobody", NULL, NULL},
	{SSM_KIND_ACTION, 0, "zoo:needsNeeds", &ops, "action=zoo:needs", NULL, NULL},
	{SSM_KIND_ACTION, 0, "zoo:soft", &ops, "?action=zoo:nobody action=aws:runShellScript", NULL,
	 NULL},
};

SSM_PLUGIN(needs) = {
	SSM_PLUGIN_HEAD, "needs", "1", "", "", SSM_TABLE(features), 0, 0, NULL, 0, NULL, NULL,
};
