/* SPDX-License-Identifier: Apache-2.0 */
/* Making a user, with the sudoers file first.
 *
 * Why first: whoever is killed in between has made a rule for nobody, which the next one who comes
 * completes. The other way round there would be a user who exists, and would stay without sudo. */
#include "core/host/newuser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/host/brief.h"
#include "core/host/sudoers.h"
#include "core/host/user.h"

#define LOCK_MS 40000
#define LOCK_LOOK_MS 50
#define ADD_MS 30000
#define NAME_MAX_BYTES 32u
#define SETTINGS_MAX 65536u
#define SAID_MAX 4096u

/* It becomes an argument, and a word of sudo's language, in which upper case names other things. */
static int
check_name(const char *name, struct err *e)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
	static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789_-";
	autofree char *shown = NULL;

	if (*name && strchr(first, *name) && name[strspn(name, more)] == '\0' &&
	    strlen(name) <= NAME_MAX_BYTES)
		return 0;
	shown = text_quote(name, 80);
	return err_set(e, -EINVAL,
		       "%s is no name for a user to be made: a letter a to z, then letters, "
		       "digits, _ and -, at most %u",
		       shown, NAME_MAX_BYTES);
}

static int
open_lock(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash && slash > path ? xstrndup(path, (size_t)(slash - path))
						      : xstrdup("/");
	autoclose int dir = fs_make_dirs(folder, 0711, e);
	int fd;

	if (dir < 0)
		return dir;
	fd = openat(dir, slash ? slash + 1 : path,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	return fd < 0 ? err_set(e, -errno, "cannot open '%s': %m", path) : fd;
}

/* The descriptor that holds it, or -errno. A look now and then: this process does nothing else. */
static int
take_lock(const char *path, struct err *e)
{
	autoclose int fd = open_lock(path, e);
	int64_t deadline_ms = clock_mono_ms() + LOCK_MS;

	if (fd < 0)
		return fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, -errno, "cannot lock '%s': %m", path);
		if (clock_mono_ms() >= deadline_ms)
			return err_set(e, -ETIMEDOUT,
				       "somebody else has held '%s' for %d s", path,
				       LOCK_MS / 1000);
		(void)poll(NULL, 0, LOCK_LOOK_MS);
	}
	return TAKE_FD(fd);
}

/* 1 yes, 0 no, or why that is not known. */
static int
exists(const char *name, struct err *e)
{
	struct proc_user u;
	struct err why = { 0, "" };
	int r = user_lookup(name, &u, &why);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_set(e, r, "%s", err_text(&why)) : 1;
}

static char **
words(const json_t *settings, const char *key)
{
	char **all = NULL;
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(settings, key), i, v)
		strv_add(&all, json_string_value(v));
	return all;
}

/* Distributions have the first, busybox has the second. */
static char **
usual_command(void)
{
	autofree char *useradd = brief_find("useradd");
	autofree char *adduser = useradd ? NULL : brief_find("adduser");
	char **all = NULL;

	if (!useradd && !adduser)
		return NULL;
	strv_add(&all, useradd ? "useradd" : "adduser");
	strv_add(&all, useradd ? "-m" : "-D");
	return all;
}

/* How it ended, and the first line of what it said. */
static int
failed(const char *shown, int status, const struct sbuf *said, struct err *e)
{
	autofree char *line = xstrndup(sbuf_str(said), strcspn(sbuf_str(said), "\n"));
	autofree char *quoted = *line ? text_quote(line, 200) : NULL;

	if (status == 0)
		return err_set(e, -ENOENT, "'%s' ended well, but there still is no such user",
			       shown);
	return err_set(e, -ECHILD, "'%s' ended with %s %d%s%s", shown,
		       WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		       quoted ? ": " : "", quoted ? quoted : "");
}

/* A session that is ended meanwhile must not leave half a user. What is ignored stays so across
 * exec. */
static int
run_undisturbed(char *const *command, struct sbuf *said, struct err *e)
{
	autostrv char **argv = NULL;

	strv_add(&argv, "/bin/sh");
	strv_add(&argv, "-c");
	strv_add(&argv, "trap '' HUP INT TERM; exec \"$@\"");
	strv_add(&argv, "sh");
	for (; *command; command++)
		strv_add(&argv, *command);
	return brief_run(argv, ADD_MS, said, e);
}

/* Whether it has worked is asked of the name service, whatever the program says of itself. */
static int
add(const json_t *settings, const char *name, struct sbuf *notes, struct err *e)
{
	autostrv char **argv = words(settings, "add");
	autosbuf struct sbuf said = SBUF_INIT(SAID_MAX);
	autofree char *shown = NULL, *found = NULL;
	int status, r;

	if (!argv)
		argv = usual_command();
	if (!argv)
		return err_set(e, -ENOENT, "this system has neither 'useradd' nor 'adduser'; set "
					   "Users.AddCommand");
	found = brief_find(argv[0]);
	if (!found)
		return err_set(e, -ENOENT, "there is no program '%s'", argv[0]);
	strv_add(&argv, name);
	shown = strv_join(argv, " ");
	status = run_undisturbed(argv, &said, e);
	r = exists(name, status < 0 ? NULL : e);
	if (r > 0)
		(void)sbuf_addf(notes, "made user '%s' with '%s'\n", name, shown);
	if (r != 0)
		return r;
	return status < 0 ? status : failed(shown, status, &said, e);
}

static int
make(const json_t *settings, const char *name, struct sbuf *notes, struct err *e)
{
	const char *sudoers = json_str(settings, "sudoers", "");
	autostrv char **check = words(settings, "check");
	bool placed = *sudoers && sudoers_place(sudoers, check, name, notes);
	int r = add(settings, name, notes, e);

	if (r < 0 && placed)
		sudoers_remove(sudoers);
	return r;
}

int
newuser_make(const json_t *settings, struct sbuf *notes, struct err *e)
{
	const char *name = json_str(settings, "name", "");
	autoclose int lock = -1;
	int r = check_name(name, e);

	if (r < 0)
		return r;
	lock = take_lock(json_str(settings, "lock", ""), e);
	if (lock < 0)
		return lock;
	r = exists(name, e);
	if (r != 0)
		return r < 0 ? r : 0;
	return make(settings, name, notes, e);
}

int
newuser_main(void)
{
	autosbuf struct sbuf in = SBUF_INIT(SETTINGS_MAX), notes = SBUF_INIT(SETTINGS_MAX);
	struct err e = { 0, "" };
	autojson json_t *settings = NULL;
	int r;

	do
		r = (int)sbuf_read(&in, 0, 4096);
	while (r > 0 || r == -EINTR);
	if (r < 0)
		r = err_set(&e, r, "the settings on standard input cannot be read: %s",
			    strerror(-r));
	else
		settings = json_parse(sbuf_str(&in), in.len, "the settings", &e);
	r = settings ? newuser_make(settings, &notes, &e) : -EINVAL;
	(void)fputs(sbuf_str(&notes), stdout);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", err_text(&e));
	return r < 0 || fflush(stdout) != 0;
}
