/* SPDX-License-Identifier: Apache-2.0 */
/* A complete plugin: one action, acme:hello. Build, try and install it as README says. */
#include <ssm_plugin.h>

static int32_t
hello_run(struct ssm *S, struct ssm_step *step)
{
	const char *who = S->api->step_str(S, step, "/who", "world");
	const char *word = S->api->option(S, "Greeting");
	const char *argv[] = {"echo", word, who, NULL};

	return ssm_run(S, step, argv);
}

static const struct ssm_action_ops hello_ops = {sizeof(hello_ops), 0, NULL, hello_run};
static const struct ssm_feature features[] = {SSM_ACTION("acme:hello", &hello_ops)};
static const struct ssm_option options[] = {
	{SSM_OPT_STRING, 0, "Greeting", "hello", "Word to greet with."},
};

SSM_PLUGIN(hello) = {
	SSM_PLUGIN_HEAD,    "hello", "1.0", "Apache-2.0", "Says hello", SSM_TABLE(features),
	SSM_TABLE(options), 0,	     NULL,  NULL,
};
