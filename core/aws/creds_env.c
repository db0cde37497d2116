/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of the agent's own environment. spec/04 section 3.2. */
#include "core/aws/creds.h"
#include "core/aws/creds_source.h"

static const char *
either(const char *name, const char *legacy)
{
	const char *value = creds_source_env(name);

	return value ? value : creds_source_env(legacy);
}

static void *
env_start(void *ctx, creds_provider_done_fn *done, void *arg)
{
	const char *key = either("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
	const char *secret = either("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
	struct creds *set;
	struct err e = {0};

	(void)ctx;
	if (!key && !secret)
		done(arg, NULL, "not configured (AWS_ACCESS_KEY_ID is not set)");
	else if (!key)
		done(arg, NULL,
		     "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not; set "
		     "both or none");
	else if (!secret)
		done(arg, NULL,
		     "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set "
		     "both or none");
	else {
		set = creds_source_make(key, secret, creds_source_env("AWS_SESSION_TOKEN"), 0,
					"environment", "environment variables", &e);
		done(arg, set, set ? NULL : err_text(&e));
	}
	return NULL;
}

struct creds_provider
creds_env_provider(void)
{
	return (struct creds_provider){.name = "environment", .start = env_start};
}
