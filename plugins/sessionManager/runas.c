/* SPDX-License-Identifier: Apache-2.0 */
/* Users of sessions. No user is made here, and none is root but where the document says so. */
#include "plugins/sessionManager/runas.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/inputs.h"

#define SEARCH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A home that the user cannot enter would be the end of the session. */
static bool
can_enter(const struct passwd *pw)
{
	struct stat st;

	if (!pw->pw_dir || stat(pw->pw_dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return false;
	return pw->pw_uid == 0 || (st.st_uid == pw->pw_uid ? st.st_mode & S_IXUSR
							   : st.st_mode & S_IXOTH);
}

static void
fill(struct runas *ret, const struct passwd *pw)
{
	ret->cwd = xstrdup(pw && can_enter(pw) ? pw->pw_dir : "/");
	strv_add(&ret->envp, "PATH=" SEARCH);
	strv_add(&ret->envp, "TERM=xterm-256color");
	strv_add(&ret->envp, "LANG=C.UTF-8");
	strv_addf(&ret->envp, "HOME=%s", pw && pw->pw_dir ? pw->pw_dir : "/");
	if (!pw)
		return;
	strv_addf(&ret->envp, "USER=%s", pw->pw_name);
	strv_addf(&ret->envp, "LOGNAME=%s", pw->pw_name);
	strv_addf(&ret->envp, "SHELL=%s",
		  pw->pw_shell && *pw->pw_shell ? pw->pw_shell : "/bin/sh");
}

static bool
is_blank(const char *s)
{
	return s[strspn(s, " \t\r\n")] == 0;
}

/* The name of another user than us, or NULL. */
static int
choose(const struct session_inputs *in, const char *tag, bool elevated, const char **ret,
       struct err *e)
{
	const char *user = is_blank(tag) ? in->run_as_user : tag;

	*ret = NULL;
	if (elevated)
		return 0;
	if (in->run_as && is_blank(user))
		return err_set(e, -EINVAL, "please set the RunAs default user");
	if (in->run_as && geteuid() != 0)
		return err_set(e, -EPERM, "the agent must run as root to use RunAs");
	if (in->run_as)
		*ret = user;
	else if (geteuid() == 0)
		*ret = RUNAS_DEFAULT_USER;
	return 0;
}

int
runas_decide(const struct session_inputs *in, const char *tag, bool elevated, struct runas *ret,
	     struct err *e)
{
	const struct passwd *pw;
	const char *user;
	int r = choose(in, tag, elevated, &user, e);

	memset(ret, 0, sizeof(*ret));
	if (r < 0)
		return r;
	pw = user ? getpwnam(user) : getpwuid(geteuid());
	if (user && !pw)
		return in->run_as
			? err_set(e, -ENOENT, "failed to start pty since RunAs user %s does not "
					      "exist", user)
			: err_set(e, -ENOENT, "the user %s does not exist: make it with 'useradd "
					      "-m %s', or set runAsDefaultUser", user, user);
	if (user && (pw->pw_uid == 0 || pw->pw_gid == 0))
		return err_set(e, -EPERM, "invalid uid and gid");
	fill(ret, pw);
	ret->user = xstrdup(user);
	return 0;
}

void
runas_done(struct runas *r)
{
	mem_cleanup_free(&r->user);
	mem_cleanup_free(&r->cwd);
	r->envp = strv_free(r->envp);
}
