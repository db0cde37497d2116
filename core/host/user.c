/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up users with a deadline, and giving up root's rights before a plugin is loaded. */
#include "core/host/user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "core/host/lookup.h"

#define LOOKUP_MS 5000
#define ANSWER_MAX 65536u

/* ---------------------------------------------------------------- look up */

/* All that comes until its end, or until the deadline: then false. */
static bool
read_until(int fd, int64_t deadline_ms, struct sbuf *b)
{
	for (;;) {
		int64_t left = deadline_ms - clock_mono_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;
		ssize_t n;

		if (r == 0)
			return false;
		n = r > 0 ? sbuf_read(b, fd, 4096) : -errno;
		if (n == 0)
			return true;
		if (n < 0 && n != -EINTR && n != -EAGAIN)
			return true;
	}
}

static pid_t
start_lookup(const char *name, int out, struct err *e)
{
	char *const argv[] = { (char *)"ssm-plugin-host", (char *)"--user",
			       (char *)(uintptr_t)name, NULL };
	const struct proc_fd fds[] = { { out, 1 }, { out, 2 } };
	const struct proc_spec spec = { .path = lookup_program(),
					.argv = argv,
					.fds = fds,
					.fd_count = NELEMS(fds) };

	return proc_spawn(&spec, e);
}

static int
take_user(const json_t *answer, struct proc_user *u)
{
	const char *texts[] = { json_str(answer, "name", ""), json_str(answer, "home", ""),
				json_str(answer, "shell", "") };
	const size_t sizes[] = { sizeof(u->name), sizeof(u->home), sizeof(u->shell) };
	char *const targets[] = { u->name, u->home, u->shell };
	const json_t *group;
	size_t i;

	u->uid = (uid_t)json_int(answer, "uid", -1);
	u->gid = (gid_t)json_int(answer, "gid", -1);
	json_array_foreach(json_object_get(answer, "groups"), i, group)
	{
		if (i >= NELEMS(u->groups))
			return -E2BIG;
		u->groups[u->group_count++] = (gid_t)json_integer_value(group);
	}
	for (i = 0; i < NELEMS(texts); i++) {
		if (strlen(texts[i]) >= sizes[i])
			return -ENAMETOOLONG;
		memcpy(targets[i], texts[i], strlen(texts[i]) + 1);
	}
	return u->uid == (uid_t)-1 || u->gid == (gid_t)-1 ? -EPROTO : 0;
}

static int
take_answer(const char *name, int status, struct sbuf *b, struct proc_user *ret, struct err *e)
{
	struct proc_user u = { .group_count = 0 };
	autojson json_t *answer = NULL;
	int r;

	if (status != 0) {
		char *said = text_trim(b->p ? b->p : (char[]){ "" });

		return err_set(e, WIFEXITED(status) && WEXITSTATUS(status) == 1 ? -ENOENT : -EIO,
			       "%s", *said ? said : "the look-up of the user failed");
	}
	answer = json_parse(sbuf_str(b), b->len, "what is known of the user", e);
	if (!answer)
		return -EPROTO;
	r = take_user(answer, &u);
	if (r < 0)
		return err_set(e, r, "what is known of the user '%s' cannot be used", name);
	*ret = u;
	return 0;
}

int
user_lookup(const char *name, struct proc_user *ret, struct err *e)
{
	struct sbuf b = SBUF_INIT(ANSWER_MAX);
	autoclose int ours = -1, theirs = -1;
	int fds[2], status = 0, r = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	ours = fds[0];
	theirs = fds[1];
	pid = start_lookup(name, theirs, e);
	if (pid < 0)
		return pid;
	mem_cleanup_fd(&theirs);
	if (!read_until(ours, clock_mono_ms() + LOOKUP_MS, &b)) {
		r = err_set(e, -ETIMEDOUT,
			    "the name service did not say within %d s who '%s' is",
			    LOOKUP_MS / 1000, name);
		(void)kill(pid, SIGKILL);
	}
	(void)waitpid(pid, &status, 0);
	if (r == 0)
		r = take_answer(name, status, &b, ret, e);
	sbuf_done(&b);
	return r;
}

/* ----------------------------------------------------------------- become */

const struct proc_user *
user_nobody(void)
{
	static const struct proc_user nobody = {
		.uid = 65534, .gid = 65534, .name = "nobody", .home = "/", .shell = "/bin/sh"
	};

	return &nobody;
}

/* A path that needs no right to walk where the file lies. The descriptor stays open for good. */
static int
pin(char **path, int flags, struct err *e)
{
	int fd = open(*path, flags | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, "cannot open '%s': %m", *path);
	free(*path);
	*path = xasprintf("/proc/self/fd/%d", fd);
	return fd;
}

static int
take_folder(const struct proc_user *u, char **work_dir, struct err *e)
{
	int fd = pin(work_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, e);
	char *link = *work_dir;

	if (fd < 0)
		return fd;
	*work_dir = xasprintf("%s/.", link); /* the folder, not a link to it */
	free(link);
	if (fchown(fd, u->uid, u->gid) < 0 || fchdir(fd) < 0)
		return err_set(e, -errno, "cannot hand the job's folder to '%s': %m", u->name);
	return 0;
}

int
user_become(const struct proc_user *u, char **work_dir, char **file, struct err *e)
{
	int r;

	if (u->uid == geteuid())
		return 0;
	r = *file ? pin(file, O_RDONLY, e) : 0;
	if (r >= 0 && *work_dir)
		r = take_folder(u, work_dir, e);
	if (r >= 0)
		r = proc_become(u, e);
	if (r < 0)
		return r;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)setenv("HOME", u->home, 1);
	(void)setenv("USER", u->name, 1);
	(void)setenv("LOGNAME", u->name, 1);
	return 0;
}
