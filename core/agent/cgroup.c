/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup v2 by its files. Never cgroup.subtree_control: with processes below us a restarted agent
 * could not be put into our own group any more. */
#include "core/agent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/base/fs.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define FILE_MAX (4u * 1024u * 1024u)
#define DEPTH_MAX 16
#define STUCK_MAX 1000u
#define JOB "job-"

struct cgroup {
	char *path;
	int fd;
	char **stuck; /* ids of what could not be removed */
};

/* ------------------------------------------------------------- our own */

/* "\040" for a blank, in place. */
static void
unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* "36 35 0:30 /root /mount options ... - cgroup2 source options" */
static bool
parse_mount(const char *line, char **ret_root, char **ret_mount)
{
	autostrv char **words = strv_split(line, " ");
	size_t n = strv_len(words), dash = 6;

	while (dash < n && strcmp(words[dash], "-") != 0)
		dash++;
	if (dash + 1 >= n || strcmp(words[dash + 1], "cgroup2") != 0)
		return false;
	unescape(words[3]);
	unescape(words[4]);
	*ret_root = xstrdup(words[3]);
	*ret_mount = xstrdup(words[4]);
	return true;
}

/* OURS below a mount that shows what lies below ROOT; NULL when it does not show it. */
static char *
path_in_mount(const char *root, const char *mount, const char *ours)
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(ours, root, n) != 0 || (ours[n] != '/' && ours[n] != '\0'))
		return NULL;
	return xasprintf("%s%s", mount, strcmp(ours + n, "/") == 0 ? "" : ours + n);
}

static char *
find_path(const char *mountinfo, const char *ours)
{
	autostrv char **lines = strv_split(mountinfo, "\n");
	char *found = NULL;

	for (size_t i = 0; lines && lines[i] && !found; i++) {
		autofree char *root = NULL, *mount = NULL;

		if (parse_mount(lines[i], &root, &mount))
			found = path_in_mount(root, mount, ours);
	}
	return found;
}

/* The line "0::/path" is that of version 2. */
static char *
own_name(const char *text)
{
	autostrv char **lines = strv_split(text, "\n");

	for (size_t i = 0; lines && lines[i]; i++)
		if (text_starts(lines[i], "0::/"))
			return xstrdup(lines[i] + 3);
	return NULL;
}

/* Root may write everywhere; what a service manager gave away bears its mark. Without a manager
 * there is nothing but the root. */
static bool
is_delegated(int fd, const char *ours)
{
	char mark[4] = "";

	if (geteuid() != 0 || strcmp(ours, "/") == 0)
		return true;
	return (fgetxattr(fd, "trusted.delegate", mark, sizeof(mark)) == 1 ||
		fgetxattr(fd, "user.delegate", mark, sizeof(mark)) == 1) &&
		mark[0] == '1';
}

static int
open_own(struct cgroup *c, const char *proc, struct err *e)
{
	autofree char *mounts_path = xasprintf("%s/self/mountinfo", proc);
	autofree char *own_path = xasprintf("%s/self/cgroup", proc);
	autofree char *mounts = NULL, *own = NULL, *ours = NULL;

	if (fs_read(AT_FDCWD, mounts_path, FILE_MAX, &mounts, NULL, e) < 0 ||
	    fs_read(AT_FDCWD, own_path, FILE_MAX, &own, NULL, e) < 0)
		return -EIO;
	ours = own_name(own);
	if (!ours)
		return err_set(e, -ENOENT, "we are in no group of version 2");
	c->path = find_path(mounts, ours);
	if (!c->path)
		return err_set(e, -ENOENT, "no mount of version 2 shows our group '%s'", ours);
	c->fd = fs_open_dir(AT_FDCWD, c->path, e);
	if (c->fd < 0)
		return c->fd;
	if (!is_delegated(c->fd, ours) || faccessat(c->fd, ".", W_OK, AT_EACCESS) < 0 ||
	    faccessat(c->fd, "cgroup.procs", W_OK, AT_EACCESS) < 0)
		return err_set(e, -EACCES, "our group '%s' was not delegated to us", c->path);
	return 0;
}

struct cgroup *
cgroup_open(const char *proc, struct err *e)
{
	struct cgroup *c = xcalloc(1, sizeof(*c));

	c->fd = -1;
	return open_own(c, proc, e) < 0 ? cgroup_free(c) : c;
}

struct cgroup *
cgroup_free(struct cgroup *c)
{
	if (!c)
		return NULL;
	cgroup_tidy(c);
	mem_cleanup_fd(&c->fd);
	strv_free(c->stuck);
	free(c->path);
	free(c);
	return NULL;
}

const char *
cgroup_path(const struct cgroup *c)
{
	return c->path;
}

/* ---------------------------------------------------------------- names */

struct names {
	char job[JOBSTORE_ID_MAX + 8];
	char host[32], cmd[32];
	bool whole; /* the job with all of its steps */
};

static int
set_names(const char *id, struct names *ret)
{
	const char *slash = strchr(id, '/');
	autofree char *job = slash ? xstrndup(id, (size_t)(slash - id)) : xstrdup(id);
	int64_t step = 0;

	if (!jobstore_id_ok(job) ||
	    (slash && text_to_i64(slash + 1, 1, INT32_MAX, &step) < 0))
		return -EINVAL;
	(void)snprintf(ret->job, sizeof(ret->job), JOB "%s", job);
	(void)snprintf(ret->host, sizeof(ret->host), slash ? "host-%d" : "host", (int)step);
	(void)snprintf(ret->cmd, sizeof(ret->cmd), slash ? "cmd-%d" : "cmd", (int)step);
	ret->whole = !slash;
	return 0;
}

static int
open_job(const struct cgroup *c, const struct names *n)
{
	return fs_open_dir(c->fd, n->job, NULL);
}

static int
make(int dirfd, const char *name)
{
	return mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int
cgroup_make(struct cgroup *c, const char *id, struct err *e)
{
	autoclose int job = -1;
	struct names n;
	int r = set_names(id, &n);

	if (r == 0)
		r = make(c->fd, n.job);
	if (r == 0)
		r = job = open_job(c, &n);
	if (r >= 0)
		r = make(job, n.host);
	if (r >= 0)
		r = make(job, n.cmd);
	return r < 0 ? err_set(e, r, "no control group in '%s' for job '%s': %s", c->path, id,
			       strerror(-r))
		     : 0;
}

static int
write_file(int dirfd, const char *name, const char *text)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fs_write_all(fd, text, strlen(text));
}

int
cgroup_enter(struct cgroup *c, const char *id, pid_t pid, struct err *e)
{
	autofree char *text = xasprintf("%ld", (long)pid);
	autoclose int job = -1;
	autoclose int host = -1;
	struct names n;
	int r = set_names(id, &n);

	if (r == 0)
		r = job = open_job(c, &n);
	if (r >= 0)
		r = host = fs_open_dir(job, n.host, NULL);
	if (r >= 0)
		r = write_file(host, "cgroup.procs", text);
	return r < 0 ? err_set(e, r, "process %s cannot be put into a group of '%s': %s", text,
			       c->path, strerror(-r))
		     : 0;
}

char *
cgroup_command_procs(const struct cgroup *c, const char *id)
{
	struct names n;

	if (!c || set_names(id, &n) < 0)
		return NULL;
	return xasprintf("%s/%s/%s/cgroup.procs", c->path, n.job, n.cmd);
}

/* ----------------------------------------------------------------- kill */

static bool
is_member(int dirfd, int64_t pid)
{
	autofree char *text = NULL, *wanted = xasprintf("%lld", (long long)pid);
	autostrv char **pids = NULL;

	if (fs_read(dirfd, "cgroup.procs", FILE_MAX, &text, NULL, NULL) < 0)
		return false;
	pids = strv_split(text, "\n");
	return strv_has(pids, wanted);
}

/* Looked at twice: a number that was given away in between is not in the group any more. */
static bool
signal_member(int dirfd, int64_t pid, int sig)
{
	struct proc_id id;

	if (proc_identify((pid_t)pid, &id) < 0)
		return false;
	return sig == 0 || !is_member(dirfd, pid) || proc_signal(&id, sig) != -ESRCH;
}

static int
signal_members(int dirfd, int sig)
{
	autofree char *text = NULL;
	autostrv char **pids = NULL;
	int n = 0;

	if (fs_read(dirfd, "cgroup.procs", FILE_MAX, &text, NULL, NULL) < 0)
		return 0;
	pids = strv_split(text, "\n");
	for (size_t i = 0; pids && pids[i]; i++) {
		int64_t pid;

		if (text_to_i64(pids[i], 1, INT32_MAX, &pid) == 0)
			n += signal_member(dirfd, pid, sig);
	}
	return n;
}

/* Commands that may make groups of their own. */
static int
walk(int dirfd, int sig, int depth)
{
	int n = signal_members(dirfd, sig), copy = openat(dirfd, ".", O_RDONLY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;

	while (d && depth < DEPTH_MAX && (de = readdir(d))) {
		autoclose int below = -1;

		if (de->d_name[0] == '.' || de->d_type != DT_DIR)
			continue;
		below = fs_open_dir(dirfd, de->d_name, NULL);
		if (below >= 0)
			n += walk(below, sig, depth + 1);
	}
	if (d)
		closedir(d);
	return n;
}

/* cgroup.kill came with Linux 5.14. Before, what is frozen cannot fork while its members are looked
 * for, and KILL ends what is frozen. */
static int
kill_below(int dirfd)
{
	if (write_file(dirfd, "cgroup.kill", "1") < 0) {
		(void)write_file(dirfd, "cgroup.freeze", "1");
		(void)walk(dirfd, SIGKILL, 0);
		(void)write_file(dirfd, "cgroup.freeze", "0");
	}
	return walk(dirfd, 0, 0);
}

static int
kill_named(int job, const char *name)
{
	autoclose int fd = fs_open_dir(job, name, NULL);

	return fd < 0 ? 0 : kill_below(fd);
}

int
cgroup_kill(struct cgroup *c, const char *id)
{
	autoclose int job = -1;
	struct names n;

	if (!c || set_names(id, &n) < 0)
		return 0;
	job = open_job(c, &n);
	if (job < 0)
		return 0;
	return n.whole ? kill_below(job) : kill_named(job, n.host) + kill_named(job, n.cmd);
}

/* --------------------------------------------------------------- remove */

/* The innermost first; what holds processes stays. */
static int
remove_below(int parent, const char *name, int depth)
{
	int fd = fs_open_dir(parent, name, NULL);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;

	while (d && depth < DEPTH_MAX && (de = readdir(d)))
		if (de->d_name[0] != '.' && de->d_type == DT_DIR)
			(void)remove_below(dirfd(d), de->d_name, depth + 1);
	if (d)
		closedir(d);
	return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int
remove_named(struct cgroup *c, const char *id)
{
	autoclose int job = -1;
	struct names n;
	int r;

	if (set_names(id, &n) < 0)
		return 0;
	if (n.whole)
		return remove_below(c->fd, n.job, 0);
	job = open_job(c, &n);
	if (job < 0)
		return 0;
	r = remove_below(job, n.host, 0);
	return r == 0 ? remove_below(job, n.cmd, 0) : r;
}

void
cgroup_remove(struct cgroup *c, const char *id)
{
	if (c && remove_named(c, id) < 0 && strv_len(c->stuck) < STUCK_MAX)
		strv_add(&c->stuck, id);
}

void
cgroup_tidy(struct cgroup *c)
{
	char **old;

	if (!c || !c->stuck)
		return;
	old = TAKE(c->stuck);
	for (size_t i = 0; old[i]; i++)
		cgroup_remove(c, old[i]);
	strv_free(old);
}

char **
cgroup_list_empty(const struct cgroup *c)
{
	int copy = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *de;
	char **ids = NULL;

	while (d && (de = readdir(d))) {
		autoclose int job = -1;

		if (!text_starts(de->d_name, JOB) || !jobstore_id_ok(de->d_name + strlen(JOB)))
			continue;
		job = fs_open_dir(c->fd, de->d_name, NULL);
		if (job >= 0 && walk(job, 0, 0) == 0)
			strv_add(&ids, de->d_name + strlen(JOB));
	}
	if (d)
		closedir(d);
	return ids;
}
