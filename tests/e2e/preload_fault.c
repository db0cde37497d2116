/* SPDX-License-Identifier: Apache-2.0 */
/* The preloaded library: settings, the trace, and the one fault. */
#include <config.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/e2e/preload.h"

static struct setting own;
static pid_t owner;
static bool triggered;
static long count;
static bool die_behind;
static int room; /* calls that a full disk still takes */

#define RESERVE_CALLS 64 /* a block each */

/* The C library's own symbol may be ours: the kernel is asked without it. */
static long
raw(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
	long r = syscall(number, a, b, c, d);

	return r < 0 ? -errno : r;
#endif
}

long
raw_open(const char *path, int flags, int mode)
{
	return raw(SYS_openat, AT_FDCWD, (long)(intptr_t)path, flags | O_CLOEXEC, mode);
}

void
raw_append(const char *path, const void *data, size_t len)
{
	long fd = raw_open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);

	if (fd < 0)
		return;
	(void)raw(SYS_write, fd, (long)(intptr_t)data, (long)len, 0);
	(void)raw(SYS_close, fd, 0, 0, 0);
}

/* --------------------------------------------------------------- settings */

static void
set_text(char ret[], size_t size, const char *value, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(ret, value, len);
	ret[len] = '\0';
}

static void
set_one(const char *word, size_t len)
{
	static const struct {
		const char *name;
		char *text;
		size_t size;
		long *number;
	} known[] = {
		{ "dir=", own.dir, sizeof(own.dir), NULL },
		{ "who=", own.who, sizeof(own.who), NULL },
		{ "act=", own.act, sizeof(own.act), NULL },
		{ "boot=", own.boot, sizeof(own.boot), NULL },
		{ "root=", own.root, sizeof(own.root), NULL },
		{ "full=", own.full, sizeof(own.full), NULL },
		{ "below=", own.below, sizeof(own.below), NULL },
		{ "class=", NULL, 0, &own.class },
		{ "n=", NULL, 0, &own.n },
		{ "code=", NULL, 0, &own.code },
		{ "cut=", NULL, 0, &own.cut },
	};

	own.trigger = own.trigger || strncmp(word, "trigger=", 8) == 0;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t skip = strlen(known[i].name);

		if (strncmp(word, known[i].name, skip) != 0)
			continue;
		if (known[i].number)
			*known[i].number = strtol(word + skip, NULL, 10);
		else
			set_text(known[i].text, known[i].size, word + skip, len - skip);
	}
}

static void
note_pid(void)
{
	char path[300], text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	(void)snprintf(path, sizeof(path), "%s/%s.pid", own.dir, own.who);
	raw_append(path, text, (size_t)len);
}

__attribute__((constructor)) static void
prepare(void)
{
	const char *text = secure_getenv("SSM_PRELOAD");

	if (owner || !text)
		return;
	while (*text) {
		size_t len = strcspn(text, ";");

		set_one(text, len);
		text += len + (text[len] == ';');
	}
	owner = getpid();
	/* Not for what this process starts. */
	(void)unsetenv("SSM_PRELOAD");
	(void)unsetenv("LD_PRELOAD");
	if (own.dir[0])
		note_pid();
}

const struct setting *
setting(void)
{
	return owner && owner == getpid() ? &own : NULL;
}

/* ------------------------------------------------------------------ death */

static bool
is_alive(pid_t pid)
{
	char path[64], text[256];
	long fd, n;
	const char *state;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = raw_open(path, O_RDONLY, 0);
	if (fd < 0)
		return false;
	n = raw(SYS_read, fd, (long)(intptr_t)text, sizeof(text) - 1, 0);
	(void)raw(SYS_close, fd, 0, 0, 0);
	text[n > 0 ? n : 0] = '\0';
	state = strrchr(text, ')');
	return state && state[1] == ' ' && !strchr("ZX", state[2]);
}

/* The last line: a host that was started for this command. */
static void
kill_other(const char *who)
{
	char path[300], text[1024];
	const char *last;
	long fd, n;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/%s.pid", own.dir, who);
	fd = raw_open(path, O_RDONLY, 0);
	if (fd < 0)
		return;
	n = raw(SYS_read, fd, (long)(intptr_t)text, sizeof(text) - 1, 0);
	(void)raw(SYS_close, fd, 0, 0, 0);
	if (n < 2)
		return;
	text[n - 1] = '\0';
	last = strrchr(text, '\n');
	pid = (pid_t)strtol(last ? last + 1 : text, NULL, 10);
	if (pid <= 1 || pid == owner || !is_alive(pid))
		return;
	(void)kill(pid, SIGKILL);
	for (int i = 0; i < 1000 && is_alive(pid); i++) {
		const struct timespec t = { 0, 100000 };

		(void)nanosleep(&t, NULL);
	}
}

void
fault_die(bool both)
{
	if (both) {
		kill_other("agent");
		kill_other("host");
	}
	(void)kill(owner, SIGKILL);
	for (;;)
		pause();
}

/* ------------------------------------------------------------------ count */

static bool
counts(void)
{
	char path[300];
	struct stat st;

	if (!own.trigger || triggered)
		return true;
	(void)snprintf(path, sizeof(path), "%s/trigger", own.dir);
	triggered = stat(path, &st) == 0;
	return triggered;
}

static void
describe(int fd, const char *path, char *ret, size_t size)
{
	char link[64];
	ssize_t n = 0;

	ret[0] = '\0';
	if (fd >= 0) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, ret, size - 1);
		ret[n > 0 ? n : 0] = '\0';
	}
	if (path && n >= 0 && (size_t)n < size)
		(void)snprintf(ret + n, size - (size_t)n, "%s%s", n > 0 ? "/" : "", path);
}

static void
note(const char *file, unsigned classes, const char *call, int fd, const char *path)
{
	char what[512], line[640], name[300];
	int len;

	describe(fd, path, what, sizeof(what));
	len = snprintf(line, sizeof(line), "%u %s %s\n", classes, call, what);
	(void)snprintf(name, sizeof(name), "%s/%s.%s", own.dir, own.who, file);
	if (len > 0)
		raw_append(name, line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

static int
act(unsigned classes, const char *call, int fd, const char *path)
{
	note("injected", classes, call, fd, path);
	if (strcmp(own.act, "errno") == 0)
		return (int)own.code;
	if (strcmp(own.act, "after") == 0) {
		die_behind = true;
		return 0;
	}
	fault_die(strcmp(own.act, "both") == 0);
	return 0;
}

/* ENOSPC when the call would need a block of a disk that is full. */
static int
full_disk(unsigned classes, const char *call, int fd, const char *path)
{
	char what[512];

	if (!own.full[0] || access(own.full, F_OK) < 0)
		return 0;
	describe(fd, path, what, sizeof(what));
	if (strncmp(what, own.below, strlen(own.below)) != 0)
		return 0;
	if (strcmp(call, "unlink") == 0 && path && strcmp(path, ".spare") == 0)
		room = RESERVE_CALLS;
	if (!(classes & CLASS_SPACE) || (path && access(what, F_OK) == 0))
		return 0;
	return room > 0 && room-- ? 0 : ENOSPC;
}

int
fault_before(unsigned classes, const char *call, int fd, const char *path)
{
	int saved = errno, code = 0;

	if (!owner)
		prepare();
	if (setting())
		code = full_disk(classes, call, fd, path);
	if (code || !setting() || !own.dir[0] || own.root[0] || !counts()) {
		errno = saved;
		return code;
	}
	note("trace", classes, call, fd, path);
	if ((classes & (unsigned)own.class) && ++count == own.n)
		code = act(classes, call, fd, path);
	errno = saved;
	return code;
}

void
fault_after(void)
{
	if (die_behind && setting())
		fault_die(false);
}
