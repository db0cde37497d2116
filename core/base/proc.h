/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and knowing processes. The only place with fork(); DESIGN section 2. */
#ifndef SSM_BASE_PROC_H
#define SSM_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/err.h"

struct proc_fd {
	int from; /* ours */
	int to;	  /* the child's */
};

struct proc_spec {
	const char *path; /* absolute, or a name searched in PATH of envp when SEARCH */
	char *const *argv;
	char *const *envp;	   /* complete; NULL is empty */
	const char *cwd;	   /* NULL: "/" */
	const struct proc_fd *fds; /* all others are closed in the child */
	size_t fd_count;
	bool search;
	bool new_session;	  /* setsid() */
	bool new_group;		  /* setpgid(0, 0) */
	bool controlling_tty;	  /* with new_session: TIOCSCTTY on fd 0 */
	/* With new_session: opened in the child, it becomes the session's terminal, USER's own, and
	 * those of 0 to 2 that FDS does not set. NULL: none. */
	const char *tty;
	const char *cgroup_procs; /* write "0" there between fork and exec; NULL: none */
	/* Another user: NULL user keeps ours. Looked up before by proc_lookup_user(). */
	const struct proc_user *user;
};

struct proc_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[1024]; /* a user of a directory is in many */
	int group_count;
	char name[64], home[256], shell[128];
};

/* Who a process is: a pid alone is re-used. */
struct proc_id {
	pid_t pid;
	uint64_t start; /* field 22 of /proc/PID/stat */
	char boot[40];	/* /proc/sys/kernel/random/boot_id */
};

/* Start it with empty signal mask and default handlers; an exec failure is reported here (-ENOENT
 * ...), not as an exit code. posix_spawn where it can do the job, else fork with only
 * async-signal-safe calls before exec. pid or -errno. */
pid_t proc_spawn(const struct proc_spec *spec, struct err *e);

/* May block on the name service: hosts and helpers only. "" is who we are. -ENOENT for an unknown
 * name. */
int proc_lookup_user(const char *name, struct proc_user *ret, struct err *e);

/* Give up root's rights in this process, for good; before any thread exists. 0 or -errno. */
int proc_become(const struct proc_user *u, struct err *e);

/* The id of a living process (0) or -ESRCH. */
int proc_identify(pid_t pid, struct proc_id *ret);
bool proc_alive(const struct proc_id *id);
/* Signal the process if it is still that one: pidfd opened first, then start time compared. 0 or
 * -errno. */
int proc_signal(const struct proc_id *id, int sig);
/* pidfd_open(2) by syscall; fd or -errno (-ENOSYS before Linux 5.3). */
int proc_pidfd(pid_t pid);
const char *proc_boot_id(void);
/* What proc_boot_id() says from now on: a trial run restarts a machine of its own. */
void proc_replace_boot_id(const char *id);

/* Empty mask and SIG_DFL for every signal: first thing in main() of each program. */
void proc_reset_signals(void);

#endif
