/* SPDX-License-Identifier: Apache-2.0 */
/* Built with an interface that knows more, and content with ours: what is behind our ends is not
 * looked at. */
#include "zoo.h"

struct new_feature {
	struct ssm_feature known;
	const char *more;
	uint64_t words[2];
};
struct new_plugin {
	struct ssm_plugin known;
	const void *more[4];
};
struct new_action_ops {
	struct ssm_action_ops known;
	void (*more)(void);
};

static int32_t
run(struct ssm *S, struct ssm_step *step)
{
	ssm_print(S, step, "from the future\n");
	return S->api->step_done(S, step, SSM_SUCCESS, 0);
}

static const struct new_action_ops ops = {{sizeof(ops), 0, NULL, run}, abort};
static const struct new_feature features[] = {
	{SSM_ACTION("zoo:newer", &ops.known), "x", {1, 2}},
	{SSM_ACTION("zoo:newest", &ops.known), "y", {3, 4}},
};

extern const struct new_plugin newer_LTX_ssm_plugin;
SSM_EXPORT const struct new_plugin newer_LTX_ssm_plugin = {
	{
		SSM_PLUGIN_MAGIC,
		sizeof(newer_LTX_ssm_plugin),
		SSM_ABI(1, 7),
		SSM_ABI(1, 0),
		"newer",
		"1",
		"",
		"",
		sizeof(features[0]),
		2,
		&features[0].known,
		0,
		0,
		NULL,
		0,
		NULL,
		NULL,
	},
	{"a", "b", "c", "d"},
};
