/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of the instance profile. spec/04 section 2.6. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/creds.h"
#include "core/aws/creds_source.h"
#include "core/aws/imds.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define ROLES "/latest/meta-data/iam/security-credentials/"
#define ROLE_MAX 256

struct profile_call {
	struct imds *imds;
	struct imds_call *get;
	creds_provider_done_fn *done;
	void *arg;
};

static void
finish(struct profile_call *c, struct creds *set, const char *why_not)
{
	struct profile_call told = *c;

	free(c);
	told.done(told.arg, set, why_not);
}

static void
on_role(void *arg, int result, const char *body, const char *text)
{
	struct profile_call *c = arg;
	struct creds *set = NULL;
	struct err e = {0};

	c->get = NULL;
	if (result == 0)
		set = creds_source_json(body, strlen(body), "instance-profile",
					"the role's credentials from IMDS", &e);
	else
		err_set(&e, result, "%s", text);
	finish(c, set, set ? NULL : err_text(&e));
}

int
creds_source_role(const char *list, char **ret, struct err *e)
{
	size_t len = strcspn(list, "\r\n");
	autofree char *role = xstrndup(list, len);
	const char *name = text_trim(role);

	if (*name == '\0')
		return err_set(e, -ENOENT, "IMDS names no role (the list is empty)");
	if (strlen(name) > ROLE_MAX)
		return err_set(e, -EINVAL, "IMDS names a role of more than %d bytes", ROLE_MAX);
	*ret = text_percent(name, strlen(name), "+=,@");
	return 0;
}

static void
on_roles(void *arg, int result, const char *body, const char *text)
{
	struct profile_call *c = arg;
	autofree char *role = NULL;
	autofree char *path = NULL;
	struct err e = {0};

	c->get = NULL;
	if (result == 0 && creds_source_role(body, &role, &e) == 0) {
		path = xasprintf(ROLES "%s", role);
		c->get = imds_get(c->imds, path, on_role, c);
		return;
	}
	if (result == -ENOENT)
		err_set(&e, result, "the instance has no instance profile (%s)", text);
	else if (result == -ENODEV)
		err_set(&e, result, "not configured (%s)", text);
	else if (result < 0)
		err_set(&e, result, "%s", text);
	finish(c, NULL, err_text(&e));
}

static void *
profile_start(void *ctx, creds_provider_done_fn *done, void *arg)
{
	struct profile_call *c = xcalloc(1, sizeof(*c));

	c->imds = ctx;
	c->done = done;
	c->arg = arg;
	c->get = imds_get(c->imds, ROLES, on_roles, c);
	return c;
}

static void
profile_cancel(void *ctx, void *handle)
{
	struct profile_call *c = handle;

	(void)ctx;
	imds_cancel(c->get);
	free(c);
}

struct creds_provider
creds_imds_provider(struct imds *imds)
{
	return (struct creds_provider){
		.name = "instance-profile",
		.start = profile_start,
		.cancel = profile_cancel,
		.ctx = imds,
	};
}
