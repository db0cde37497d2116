/* SPDX-License-Identifier: Apache-2.0 */
/* When the user of sessions is made, and by what; the plugin host does it. */
#include "core/agent/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/conf/conf.h"

#define SUDOERS "/etc/sudoers.d/ssm-agent-users"

static json_t *
words(const struct conf *conf, const char *key)
{
	json_t *all = json_array();

	for (char *const *w = conf_list(conf, key); w && *w; w++)
		(void)json_array_append_new(all, json_string(*w));
	return all;
}

/* As the other paths: below --root, but where it is set. */
static char *
sudoers_path(const struct conf *conf)
{
	const char *set = conf_str(conf, "Users.SudoersFile");

	if (!conf_bool(conf, "Users.Sudo"))
		return xstrdup("");
	return *set ? xstrdup(set)
		    : xasprintf("%s" SUDOERS, conf_has_root(conf) ? conf_root(conf) : "");
}

static bool
is_policy(const struct conf *conf, const char *name)
{
	return strcmp(conf_str(conf, "Users.Create"), name) == 0;
}

/* A trial run changes nothing of the machine. */
static bool
is_trial(const struct conf *conf)
{
	char *const *command = conf_list(conf, "Users.AddCommand");

	return conf_has_root(conf) && (!command || !*command);
}

static const char *
refusal(const struct conf *conf)
{
	if (is_policy(conf, "never"))
		return "Users.Create is never";
	if (is_policy(conf, "install"))
		return "Users.Create is install, and ssm-agent --make-user was not run";
	return is_trial(conf) ? "with --root none is made unless Users.AddCommand says how" : NULL;
}

json_t *
users_settings(const struct conf *conf)
{
	autofree char *lock = xasprintf("%s/users.lock", conf_path(conf, CONF_PATH_RUN));
	autofree char *sudoers = sudoers_path(conf);
	const char *name = conf_str(conf, "Users.Name"), *why = refusal(conf);
	json_t *all = json_pack("{s:s,s:{s:s,s:o,s:o,s:s,s:s}}", "name", name, "make", "name", name,
				"add", words(conf, "Users.AddCommand"), "check",
				words(conf, "Users.CheckCommand"), "sudoers", sudoers, "lock",
				lock);

	if (why)
		(void)json_object_set_new(all, "refusal", json_string(why));
	return all;
}

static pid_t
start_host(const struct conf *conf, int in, struct err *e)
{
	char *const argv[] = { (char *)"ssm-plugin-host", (char *)"--make-user", NULL };
	const struct proc_fd fds[] = { { in, 0 }, { 1, 1 }, { 2, 2 } };
	const struct proc_spec spec = { .path = conf_path(conf, CONF_PATH_HOST),
					.argv = argv,
					.fds = fds,
					.fd_count = NELEMS(fds) };

	return proc_spawn(&spec, e);
}

static int
run_host(const struct conf *conf)
{
	autojson json_t *settings = users_settings(conf);
	autofree char *text = json_text(json_object_get(settings, "make"));
	autoclose int ours = -1, theirs = -1;
	struct err e = { 0, "" };
	int fds[2], status = -1;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		(void)err_set(&e, -errno, "cannot make a pipe: %m");
	} else {
		theirs = fds[0];
		ours = fds[1];
		pid = start_host(conf, theirs, &e);
	}
	if (pid < 0) {
		(void)fprintf(stderr, "ssm-agent: %s\n", err_text(&e));
		return 1;
	}
	mem_cleanup_fd(&theirs);
	(void)fs_write_all(ours, text, strlen(text));
	mem_cleanup_fd(&ours);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

int
users_make(const struct conf *conf)
{
	const char *name = conf_str(conf, "Users.Name");

	if (is_policy(conf, "install") && !is_trial(conf))
		return run_host(conf);
	if (is_policy(conf, "install"))
		return printf("'%s' is not made: with --root Users.AddCommand has to say how\n",
			      name) < 0;
	return printf(is_policy(conf, "never")
			      ? "'%s' is not made: Users.Create is never\n"
			      : "'%s' is made by the first session that needs it: Users.Create is "
				"session\n",
		      name) < 0;
}
