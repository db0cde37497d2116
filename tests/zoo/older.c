/* SPDX-License-Identifier: Apache-2.0 */
/* Built with an interface that knew less: descriptor and rows are smaller than today's. */
#include "zoo.h"

struct old_feature {
	uint32_t kind, flags;
	const char *name;
	const void *ops;
	const char *needs;
	const char *job_key;
};
struct old_plugin {
	uint32_t magic, size, abi, abi_min;
	const char *name, *version, *license, *summary;
	uint32_t feature_size, feature_count;
	const struct old_feature *features;
};
struct old_action_ops {
	uint32_t size, flags;
	int32_t (*check)(struct ssm *, struct ssm_step *);
	int32_t (*run)(struct ssm *, struct ssm_step *);
};

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	ssm_print(S, step, "from the past\n");
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct old_action_ops ops = {sizeof(ops), 0, NULL, run};
static const struct old_feature features[] = {
	{SSM_KIND_ACTION, 0, "zoo:older", &ops, NULL, NULL},
	{SSM_KIND_ACTION, 0, "zoo:elder", &ops, NULL, NULL},
};

extern const struct old_plugin older_LTX_ssm_plugin;
SSM_EXPORT const struct old_plugin older_LTX_ssm_plugin = {
	SSM_PLUGIN_MAGIC, sizeof(older_LTX_ssm_plugin),
	SSM_ABI(1, 0),	  SSM_ABI(1, 0),
	"older",	  "1",
	"",		  "",
	SSM_TABLE(features),
};
