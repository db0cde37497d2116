/* SPDX-License-Identifier: Apache-2.0 */
/* Users of sessions: none is root but where the document says so. */
#include "plugins/sessionManager/runas.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/inputs.h"

#define SEARCH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool
is_member(const json_t *user, gid_t gid)
{
	const json_t *group;
	size_t i;

	json_array_foreach(json_object_get(user, "groups"), i, group)
	{
		if (json_integer_value(group) == (json_int_t)gid)
			return true;
	}
	return false;
}

/* A home that the user cannot enter would be the end of the session. */
static bool
can_enter(const json_t *user)
{
	int64_t uid = json_int(user, "uid", -1);
	struct stat st;

	if (stat(json_str(user, "home", ""), &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	if (uid == 0)
		return true;
	if ((int64_t)st.st_uid == uid)
		return st.st_mode & S_IXUSR;
	return st.st_mode & (is_member(user, st.st_gid) ? S_IXGRP : S_IXOTH);
}

/* All that a session has of an environment: nothing of the agent's. */
static void
fill(const json_t *user, struct runas *ret)
{
	const char *home = json_str(user, "home", ""), *name = json_str(user, "name", "");

	ret->cwd = xstrdup(can_enter(user) ? home : "/");
	strv_add(&ret->envp, "PATH=" SEARCH);
	strv_add(&ret->envp, "TERM=xterm-256color");
	strv_add(&ret->envp, "LANG=C.UTF-8");
	strv_addf(&ret->envp, "HOME=%s", *home ? home : "/");
	strv_addf(&ret->envp, "SHELL=%s", json_str(user, "shell", "/bin/sh"));
	if (!*name)
		return;
	strv_addf(&ret->envp, "USER=%s", name);
	strv_addf(&ret->envp, "LOGNAME=%s", name);
}

static bool
is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n")] == 0;
}

/* The name of another user than us, or NULL. USUAL: of sessions that name none. */
static int
choose(const struct runas_wish *w, const char *usual, const char **ret, struct err *e)
{
	const char *user = is_blank(w->tag) ? w->inputs->run_as_user : w->tag;
	bool run_as = w->inputs->run_as;

	*ret = NULL;
	if (w->rights.elevated)
		return 0;
	if (run_as && is_blank(user))
		return err_set(e, -EINVAL, "please set the RunAs default user");
	if (run_as && !w->rights.root)
		return err_set(e, -EPERM, "the agent must run as root to use RunAs");
	if (run_as)
		*ret = user;
	else if (w->rights.root)
		*ret = usual;
	return 0;
}

static json_t *
ask(struct ssm *S, const char *key)
{
	const char *text = S->api->info(S, key);

	return text ? json_parse(text, strlen(text), key, NULL) : NULL;
}

static json_t *
ask_user(struct ssm *S, const char *name)
{
	autofree char *key = xasprintf("user:%s", name);

	return ask(S, key);
}

/* Whom root is has not to be asked, so that a session as root needs no name service. */
static void
be_ourselves(struct ssm *S, bool root, struct runas *ret)
{
	autojson json_t *user = root ? json_pack("{s:s,s:s,s:i}", "name", "root", "home", "/root",
						 "uid", 0)
				     : ask_user(S, "");

	fill(user, ret);
}

static int
refuse(const json_t *user, const char *name, struct err *e)
{
	if (!json_bool(user, "unknown", false))
		return err_set(e, -ETIMEDOUT, "%s",
			       json_str(user, "error", "the user cannot be looked up"));
	return err_set(e, -ENOENT, "failed to start pty since RunAs user %s does not exist", name);
}

static int
refuse_usual(const json_t *user, const char *name, const json_t *users, struct err *e)
{
	if (!json_bool(user, "unknown", false))
		return refuse(user, name, e);
	if (json_object_get(users, "make") && !json_object_get(users, "refusal"))
		return RUNAS_TO_MAKE;
	return err_set(e, -ENOENT,
		       "the user %s does not exist and is not made (%s): make it with 'useradd -m "
		       "%s', or set runAsDefaultUser",
		       name, json_str(users, "refusal", "the agent does not say how"), name);
}

int
runas_decide(struct ssm *S, const struct runas_wish *wish, struct runas *ret, struct err *e)
{
	autojson json_t *users = ask(S, "users");
	autojson json_t *user = NULL;
	const char *name;
	int r = choose(wish, json_str(users, "name", RUNAS_DEFAULT_USER), &name, e);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	if (!name) {
		be_ourselves(S, wish->rights.root, ret);
		return 0;
	}
	user = ask_user(S, name);
	if (!json_object_get(user, "uid"))
		return wish->inputs->run_as ? refuse(user, name, e)
					    : refuse_usual(user, name, users, e);
	if (json_int(user, "uid", 0) <= 0 || json_int(user, "gid", 0) <= 0)
		return err_set(e, -EPERM, "invalid uid and gid");
	fill(user, ret);
	ret->user = xstrdup(name);
	return 0;
}

void
runas_done(struct runas *r)
{
	mem_cleanup_free(&r->user);
	mem_cleanup_free(&r->cwd);
	r->envp = strv_free(r->envp);
}

const char *
runas_name(const struct runas *r)
{
	for (char **e = r->envp; !r->user && e && *e; e++)
		if (strncmp(*e, "USER=", strlen("USER=")) == 0)
			return *e + strlen("USER=");
	return r->user ? r->user : "";
}
