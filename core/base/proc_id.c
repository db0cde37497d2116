/* SPDX-License-Identifier: Apache-2.0 */
/* Knowing processes and users: start time, boot id, pidfd, password database. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/text.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Why global: it is one for all, and does not change while we run. */
static char boot_id[40];

const char *
proc_boot_id(void)
{
	autofree char *text = NULL;

	if (boot_id[0] == '\0' &&
	    fs_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL, NULL) == 0)
		proc_replace_boot_id(text_trim(text));
	return boot_id;
}

void
proc_replace_boot_id(const char *id)
{
	(void)snprintf(boot_id, sizeof(boot_id), "%.39s", id);
}

/* The space-separated field NUMBER (from 3 on) of TEXT, which begins with field 3. */
static const char *
field(const char *text, int number)
{
	for (; number > 3; number--) {
		text = strchr(text, ' ');
		if (!text)
			return NULL;
		text++;
	}
	return text;
}

/* A command name may hold anything, ") S 1" too: the last ')' ends it. */
static int
parse_stat(const char *text, uint64_t *ret_start)
{
	const char *state = strrchr(text, ')'), *start;

	if (!state || state[1] != ' ')
		return -EINVAL;
	state += 2;
	if (*state == 'Z' || *state == 'X' || *state == 'x')
		return -ESRCH;
	start = field(state, 22);
	if (!start || *start < '0' || *start > '9')
		return -EINVAL;
	*ret_start = strtoull(start, NULL, 10);
	return 0;
}

static int
read_start(pid_t pid, uint64_t *ret_start)
{
	autofree char *text = NULL;
	char path[64];
	int r;

	if (pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	r = fs_read(AT_FDCWD, path, 4096, &text, NULL, NULL);
	if (r == -ENOENT)
		return -ESRCH;
	return r < 0 ? r : parse_stat(text, ret_start);
}

int
proc_identify(pid_t pid, struct proc_id *ret)
{
	uint64_t start;
	int r = read_start(pid, &start);

	if (r < 0)
		return r;
	ret->pid = pid;
	ret->start = start;
	(void)snprintf(ret->boot, sizeof(ret->boot), "%s", proc_boot_id());
	return 0;
}

bool
proc_alive(const struct proc_id *id)
{
	uint64_t start;

	return strcmp(id->boot, proc_boot_id()) == 0 && read_start(id->pid, &start) == 0 &&
		start == id->start;
}

int
proc_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	/* EPERM comes from system call filters that do not know it. */
	if (fd < 0)
		return errno == EPERM ? -ENOSYS : -errno;
	return (int)fd;
}

/* The descriptor is opened before the comparison: if the process ends in between and its number is
 * given away, the signal reaches nobody. */
int
proc_signal(const struct proc_id *id, int sig)
{
	autoclose int fd = id->pid > 0 ? proc_pidfd(id->pid) : -ESRCH;

	if (fd < 0 && fd != -ENOSYS)
		return fd;
	if (!proc_alive(id))
		return -ESRCH;
	if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0)
		return 0;
	if (fd >= 0 && errno != ENOSYS && errno != EPERM)
		return -errno;
	return kill(id->pid, sig) < 0 ? -errno : 0;
}

static int
ask_for_user(const char *name, struct passwd *pw, char *buffer, size_t size, struct passwd **ret)
{
	return *name ? getpwnam_r(name, pw, buffer, size, ret)
		     : getpwuid_r(geteuid(), pw, buffer, size, ret);
}

/* 0, or the positive errno of getpwnam_r(); *RET_FOUND points into *RET_BUFFER. */
static int
find_user(const char *name, struct passwd *pw, char **ret_buffer, struct passwd **ret_found)
{
	size_t size = 1024;
	int r;

	do {
		size *= 2;
		free(*ret_buffer);
		*ret_buffer = xmalloc(size);
		r = ask_for_user(name, pw, *ret_buffer, size, ret_found);
	} while (r == EINTR || (r == ERANGE && size < 1u << 20));
	return r;
}

static int
copy_name(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from ? from : "") < size ? 0 : -ENAMETOOLONG;
}

static int
copy_user(const struct passwd *pw, struct proc_user *u)
{
	const char *shell = pw->pw_shell && *pw->pw_shell ? pw->pw_shell : "/bin/sh";

	u->uid = pw->pw_uid;
	u->gid = pw->pw_gid;
	if (copy_name(u->name, sizeof(u->name), pw->pw_name) < 0 ||
	    copy_name(u->home, sizeof(u->home), pw->pw_dir) < 0)
		return -ENAMETOOLONG;
	return copy_name(u->shell, sizeof(u->shell), shell);
}

int
proc_lookup_user(const char *name, struct proc_user *ret, struct err *e)
{
	struct passwd pw, *found = NULL;
	struct proc_user u = { .group_count = NELEMS(u.groups) };
	autofree char *buffer = NULL, *shown = text_quote(name, 64);
	int r = find_user(name, &pw, &buffer, &found);

	if (!found && (r == 0 || r == ENOENT || r == ESRCH))
		return err_set(e, -ENOENT, "there is no user %s", shown);
	if (!found)
		return err_set(e, r, "cannot look up user %s: %s", shown, strerror(r));
	r = copy_user(&pw, &u);
	if (r < 0)
		return err_set(e, r, "user %s: name, home or shell is too long", shown);
	if (getgrouplist(pw.pw_name, pw.pw_gid, u.groups, &u.group_count) < 0)
		return err_set(e, -E2BIG, "user %s is in more than %zu groups, the limit", shown,
			       NELEMS(u.groups));
	*ret = u;
	return 0;
}
