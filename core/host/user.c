/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up users with a deadline, and giving up root's rights before a plugin is loaded. */
#include "core/host/user.h"

#include <errno.h>
#include <fcntl.h>
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
#include "core/host/brief.h"
#include "core/host/host.h"
#include "core/host/lookup.h"

#define LOOKUP_MS 5000
#define ANSWER_MAX 65536u
#define FRESH_MS 10000 /* asked again for the same name, it is not looked up again */

/* ---------------------------------------------------------------- look up */

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
refuse(int status, const char *said, struct err *e)
{
	bool unknown = WIFEXITED(status) && WEXITSTATUS(status) == LOOKUP_UNKNOWN;

	return err_set(e, unknown ? -ENOENT : -EIO, "%s",
		       *said ? said : "the look-up of the user failed");
}

static int
take_answer(const char *name, int status, struct sbuf *b, struct proc_user *ret, struct err *e)
{
	struct proc_user u = { .group_count = 0 };
	autojson json_t *answer = NULL;
	int r;

	if (status != 0)
		return refuse(status, text_trim(b->p ? b->p : (char[]){ "" }), e);
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
	autosbuf struct sbuf b = SBUF_INIT(ANSWER_MAX);
	char *const argv[] = { (char *)(uintptr_t)lookup_program(), (char *)"--user",
			       (char *)(uintptr_t)name, NULL };
	int status = brief_run(argv, LOOKUP_MS, &b, e);

	if (status == -ETIMEDOUT)
		return err_set(e, status,
			       "the name service did not say within %d s who '%s' is",
			       LOOKUP_MS / 1000, name);
	return status < 0 ? status : take_answer(name, status, &b, ret, e);
}

int
host_user(struct host *h, const char *name, struct proc_user *ret, struct err *e)
{
	bool fresh = h->user && clock_mono_ms() - h->user_ms < FRESH_MS;
	int r;

	/* By the name that was asked for: a directory may spell its own another way. */
	if (fresh && strcmp(h->user_asked, name) == 0) {
		*ret = *h->user;
		return 0;
	}
	r = user_lookup(name, ret, e);
	if (r < 0)
		return r;
	free(h->user);
	free(h->user_asked);
	h->user = xmemdup(ret, sizeof(*ret));
	h->user_asked = xstrdup(name);
	h->user_ms = clock_mono_ms();
	return 0;
}

json_t *
user_to_json(const struct proc_user *u)
{
	json_t *groups = json_array();

	for (int i = 0; i < u->group_count; i++)
		(void)json_array_append_new(groups, json_integer((json_int_t)u->groups[i]));
	return json_pack("{s:s,s:I,s:I,s:s,s:s,s:o}", "name", u->name, "uid", (json_int_t)u->uid,
			 "gid", (json_int_t)u->gid, "home", u->home, "shell", u->shell, "groups",
			 groups);
}

const char *
host_user_info(struct host *h, const char *name)
{
	struct proc_user u;
	struct err e = { 0, "" };
	int r = host_user(h, name, &u, &e);
	autojson json_t *v = r < 0 ? json_pack("{s:s,s:b}", "error", err_text(&e), "unknown",
					       r == -ENOENT)
				   : user_to_json(&u);

	free(h->user_text);
	h->user_text = v ? json_text(v) : NULL;
	return h->user_text;
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
