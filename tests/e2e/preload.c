/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into agent and host by tests: stands between them and the C library.
 *
 * Steered by SSM_PRELOAD, words of the form NAME=VALUE with ';' between them:
 *   dir=DIR    each call is noted in DIR/WHO.trace, and DIR/WHO.pid says who it is
 *   who=WHO    agent or host
 *   trigger=1  nothing counts before the file DIR/trigger is there
 *   class=C n=N act=A code=E
 *              at the N-th call that belongs to class C (see preload.h): kill (die before it),
 *              after (die behind it), both (and the other process with it), errno (fail with E)
 *   root=DIR2 cut=P
 *              what happens to files below DIR2 goes to the log DIR/log; behind its P-th entry
 *              both die, as in a power cut
 *   full=FILE below=DIR3
 *              while FILE is there, the disk that holds DIR3 is full: but for what removing the
 *              agent's reserve gives back, no call of class SPACE succeeds there
 *   boot=FILE  read instead of the boot id
 *
 * What the C library does within itself (the stdio of a log, posix_spawn) passes by; of what
 * matters here nothing is done that way.
 */
#include <config.h>

#include "tests/e2e/preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

/* A wrapper of SYMBOL under a name of ours: the headers may have made a macro or an inline function
 * of its own name. In its body real() is the C library's. */
#define WRAP(type, name, symbol, params)                                          \
	__attribute__((visibility("default"))) type name params __asm__(#symbol); \
	type name params
#define REAL(type, symbol, params)                            \
	static type(*real) params;                            \
	if (!real)                                            \
		real = (type(*) params)dlsym(RTLD_NEXT, #symbol)

static int
refuse(int code)
{
	errno = code;
	return -1;
}

static bool
is_file(int fd)
{
	struct stat st;

	return fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* ---------------------------------------------------------------- writing */

static int
before_write(const char *call, int fd)
{
	if (is_file(fd))
		return fault_before(CLASS_EFFECT | CLASS_SPACE | CLASS_IO, call, fd, NULL);
	return is_socket(fd) ? fault_before(CLASS_EFFECT, call, fd, NULL) : 0;
}

struct written {
	bool logged, socket;
	int fd;
	int64_t place;
};

static struct written
begin_write(int fd, int64_t place)
{
	struct written w = { .logged = log_begin(), .fd = fd, .place = -1 };

	if (w.logged)
		w.place = log_place(fd);
	if (w.place >= 0 && place >= 0)
		w.place = place;
	w.socket = w.logged && is_socket(fd);
	return w;
}

static void
end_write(const struct written *w, const void *data, ssize_t len)
{
	if (w->logged && len > 0 && w->place >= 0)
		log_write_at(w->fd, w->place, data, (size_t)len);
	if (w->socket)
		log_send();
	if (w->logged)
		log_end();
	fault_after();
}

WRAP(ssize_t, wrap_write, write, (int fd, const void *p, size_t len))
{
	int code = before_write("write", fd);
	struct written w;
	ssize_t r;

	REAL(ssize_t, write, (int, const void *, size_t));
	if (code)
		return refuse(code);
	w = begin_write(fd, -1);
	r = real(fd, p, len);
	end_write(&w, p, r);
	return r;
}

WRAP(ssize_t, wrap_writev, writev, (int fd, const struct iovec *v, int count))
{
	int code = before_write("writev", fd);
	struct written w;
	ssize_t r;

	REAL(ssize_t, writev, (int, const struct iovec *, int));
	if (code)
		return refuse(code);
	w = begin_write(fd, -1);
	r = real(fd, v, count);
	end_write(&w, NULL, r);
	return r;
}

static ssize_t
pwrite_by(ssize_t (*real)(int, const void *, size_t, off_t), int fd, const void *p, size_t len,
	  off_t at)
{
	int code = before_write("pwrite", fd);
	struct written w;
	ssize_t r;

	if (code)
		return refuse(code);
	w = begin_write(fd, at);
	r = real(fd, p, len, at);
	end_write(&w, p, r);
	return r;
}

WRAP(ssize_t, wrap_pwrite, pwrite, (int fd, const void *p, size_t len, off_t at))
{
	REAL(ssize_t, pwrite, (int, const void *, size_t, off_t));
	return pwrite_by(real, fd, p, len, at);
}

WRAP(ssize_t, wrap_pwrite64, pwrite64, (int fd, const void *p, size_t len, off_t at))
{
	REAL(ssize_t, pwrite64, (int, const void *, size_t, off_t));
	return pwrite_by(real, fd, p, len, at);
}

WRAP(ssize_t, wrap_splice, splice,
     (int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags))
{
	int code = before_write("splice", out);
	struct written w;
	ssize_t r;

	REAL(ssize_t, splice, (int, off_t *, int, off_t *, size_t, unsigned));
	if (code)
		return refuse(code);
	w = begin_write(out, out_at ? *out_at : -1);
	r = real(in, in_at, out, out_at, len, flags);
	end_write(&w, NULL, r);
	return r;
}

/* ---------------------------------------------------------------- sending */

static void
end_send(bool logged, ssize_t r)
{
	if (logged && r > 0)
		log_send();
	if (logged)
		log_end();
	fault_after();
}

WRAP(ssize_t, wrap_send, send, (int fd, const void *p, size_t len, int flags))
{
	int code = fault_before(CLASS_EFFECT, "send", fd, NULL);
	bool logged;
	ssize_t r;

	REAL(ssize_t, send, (int, const void *, size_t, int));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd, p, len, flags);
	end_send(logged, r);
	return r;
}

WRAP(ssize_t, wrap_sendto, sendto,
     (int fd, const void *p, size_t len, int flags, const struct sockaddr *to, socklen_t to_len))
{
	int code = fault_before(CLASS_EFFECT, "sendto", fd, NULL);
	bool logged;
	ssize_t r;

	REAL(ssize_t, sendto,
	     (int, const void *, size_t, int, const struct sockaddr *, socklen_t));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd, p, len, flags, to, to_len);
	end_send(logged, r);
	return r;
}

WRAP(ssize_t, wrap_sendmsg, sendmsg, (int fd, const struct msghdr *m, int flags))
{
	int code = fault_before(CLASS_EFFECT, "sendmsg", fd, NULL);
	bool logged;
	ssize_t r;

	REAL(ssize_t, sendmsg, (int, const struct msghdr *, int));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd, m, flags);
	end_send(logged, r);
	return r;
}

/* ---------------------------------------------------------------- syncing */

static int
sync_by(int (*real)(int), const char *call, int fd)
{
	int code = fault_before(CLASS_EFFECT | CLASS_IO, call, fd, NULL);
	bool logged;
	int r;

	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd);
	if (logged && r == 0)
		log_fd(LOG_SYNC, fd, 0);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_fsync, fsync, (int fd))
{
	REAL(int, fsync, (int));
	return sync_by(real, "fsync", fd);
}

WRAP(int, wrap_fdatasync, fdatasync, (int fd))
{
	REAL(int, fdatasync, (int));
	return sync_by(real, "fdatasync", fd);
}

static int
truncate_by(int (*real)(int, off_t), int fd, off_t size)
{
	int code = is_file(fd) ? fault_before(CLASS_EFFECT | CLASS_IO, "ftruncate", fd, NULL) : 0;
	bool logged;
	int r;

	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd, size);
	if (logged && r == 0)
		log_fd(LOG_SIZE, fd, size);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_ftruncate, ftruncate, (int fd, off_t size))
{
	REAL(int, ftruncate, (int, off_t));
	return truncate_by(real, fd, size);
}

WRAP(int, wrap_ftruncate64, ftruncate64, (int fd, off_t size))
{
	REAL(int, ftruncate64, (int, off_t));
	return truncate_by(real, fd, size);
}

static int
allocate_by(int (*real)(int, int, off_t, off_t), int fd, int mode, off_t at, off_t len)
{
	int code = fault_before(CLASS_EFFECT | CLASS_SPACE | CLASS_IO, "fallocate", fd, NULL);
	bool logged;
	int r;

	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(fd, mode, at, len);
	if (logged && r == 0 && mode == 0)
		log_fd(LOG_SIZE, fd, at + len);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_fallocate, fallocate, (int fd, int mode, off_t at, off_t len))
{
	REAL(int, fallocate, (int, int, off_t, off_t));
	return allocate_by(real, fd, mode, at, len);
}

WRAP(int, wrap_fallocate64, fallocate64, (int fd, int mode, off_t at, off_t len))
{
	REAL(int, fallocate64, (int, int, off_t, off_t));
	return allocate_by(real, fd, mode, at, len);
}

/* ------------------------------------------------------------------ names */

typedef int open_fn(int, const char *, int, mode_t);

static int
open_logged(open_fn *real, int dir, const char *path, int flags, mode_t mode)
{
	bool logged = (flags & (O_CREAT | O_TRUNC)) && log_begin();
	bool was = logged && log_exists(dir, path);
	int fd = real(dir, path, flags, mode);

	if (logged && fd >= 0 && !was)
		log_name(LOG_CREATE, dir, path);
	else if (logged && fd >= 0 && (flags & O_TRUNC))
		log_fd(LOG_SIZE, fd, 0);
	if (logged)
		log_end();
	fault_after();
	return fd;
}

static int
open_by(open_fn *real, const char *call, int dir, const char *path, int flags, mode_t mode)
{
	unsigned classes = CLASS_FDS;
	const struct setting *s = setting();
	int code;

	if (flags & O_CREAT)
		classes |= CLASS_EFFECT | CLASS_SPACE | CLASS_IO;
	code = fault_before(classes, call, dir, path);
	if (code)
		return refuse(code);
	if (s && s->boot[0] && strcmp(path, BOOT_ID) == 0)
		path = s->boot;
	return open_logged(real, dir, path, flags, mode);
}

static mode_t
mode_of(int flags, va_list ap)
{
	return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(ap, mode_t) : 0;
}

#define WRAP_OPENAT(name, symbol)                                           \
	WRAP(int, name, symbol, (int dir, const char *path, int flags, ...)) \
	{                                                                   \
		va_list ap;                                                 \
		mode_t mode;                                                \
                                                                            \
		REAL(int, symbol, (int, const char *, int, mode_t));        \
		va_start(ap, flags);                                        \
		mode = mode_of(flags, ap);                                  \
		va_end(ap);                                                 \
		return open_by(real, "openat", dir, path, flags, mode);     \
	}

static int
real_openat(int dir, const char *path, int flags, mode_t mode)
{
	REAL(int, openat64, (int, const char *, int, mode_t));
	return real(dir, path, flags, mode);
}

#define WRAP_OPEN(name, symbol)                                                          \
	WRAP(int, name, symbol, (const char *path, int flags, ...))                       \
	{                                                                                \
		va_list ap;                                                              \
		mode_t mode;                                                             \
                                                                                         \
		va_start(ap, flags);                                                     \
		mode = mode_of(flags, ap);                                               \
		va_end(ap);                                                              \
		return open_by(real_openat, "open", AT_FDCWD, path, flags | O_LARGEFILE, \
			       mode);                                                    \
	}

WRAP_OPENAT(wrap_openat, openat)
WRAP_OPENAT(wrap_openat64, openat64)
WRAP_OPEN(wrap_open, open)
WRAP_OPEN(wrap_open64, open64)

/* Of checked builds: no mode, so nothing is made. */
WRAP(int, wrap_open_2, __open_2, (const char *path, int flags))
{
	return open_by(real_openat, "open", AT_FDCWD, path, flags, 0);
}

WRAP(int, wrap_open64_2, __open64_2, (const char *path, int flags))
{
	return open_by(real_openat, "open", AT_FDCWD, path, flags, 0);
}

WRAP(int, wrap_openat_2, __openat_2, (int dir, const char *path, int flags))
{
	return open_by(real_openat, "openat", dir, path, flags, 0);
}

WRAP(int, wrap_openat64_2, __openat64_2, (int dir, const char *path, int flags))
{
	return open_by(real_openat, "openat", dir, path, flags, 0);
}

static int
rename_by(int dir, const char *from, int dir2, const char *to)
{
	int code =
		fault_before(CLASS_EFFECT | CLASS_SPACE | CLASS_IO, "rename", dir2, to);
	bool logged;
	int r;

	REAL(int, renameat, (int, const char *, int, const char *));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(dir, from, dir2, to);
	if (logged && r == 0)
		log_rename(dir, from, dir2, to);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_renameat, renameat, (int dir, const char *from, int dir2, const char *to))
{
	return rename_by(dir, from, dir2, to);
}

WRAP(int, wrap_rename, rename, (const char *from, const char *to))
{
	return rename_by(AT_FDCWD, from, AT_FDCWD, to);
}

static int
unlink_by(int dir, const char *path, int flags)
{
	int code = fault_before(CLASS_EFFECT | CLASS_IO, flags ? "rmdir" : "unlink", dir, path);
	bool logged;
	int r;

	REAL(int, unlinkat, (int, const char *, int));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(dir, path, flags);
	if (logged && r == 0)
		log_name(LOG_UNLINK, dir, path);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_unlinkat, unlinkat, (int dir, const char *path, int flags))
{
	return unlink_by(dir, path, flags);
}

WRAP(int, wrap_unlink, unlink, (const char *path))
{
	return unlink_by(AT_FDCWD, path, 0);
}

WRAP(int, wrap_rmdir, rmdir, (const char *path))
{
	return unlink_by(AT_FDCWD, path, AT_REMOVEDIR);
}

static int
mkdir_by(int dir, const char *path, mode_t mode)
{
	int code = fault_before(CLASS_EFFECT | CLASS_SPACE | CLASS_IO, "mkdir", dir, path);
	bool logged;
	int r;

	REAL(int, mkdirat, (int, const char *, mode_t));
	if (code)
		return refuse(code);
	logged = log_begin();
	r = real(dir, path, mode);
	if (logged && r == 0)
		log_name(LOG_MKDIR, dir, path);
	if (logged)
		log_end();
	fault_after();
	return r;
}

WRAP(int, wrap_mkdirat, mkdirat, (int dir, const char *path, mode_t mode))
{
	return mkdir_by(dir, path, mode);
}

WRAP(int, wrap_mkdir, mkdir, (const char *path, mode_t mode))
{
	return mkdir_by(AT_FDCWD, path, mode);
}

/* ------------------------------------------------------------ descriptors */

#define WRAP_FD(name, symbol, params, types, args)                          \
	WRAP(int, name, symbol, params)                                     \
	{                                                                   \
		int code = fault_before(CLASS_FDS, #symbol, -1, NULL);      \
                                                                            \
		REAL(int, symbol, types);                                   \
		return code ? refuse(code) : real args;                     \
	}

WRAP_FD(wrap_socket, socket, (int a, int b, int c), (int, int, int), (a, b, c))
WRAP_FD(wrap_socketpair, socketpair, (int a, int b, int c, int *v), (int, int, int, int *),
	(a, b, c, v))
WRAP_FD(wrap_pipe, pipe, (int *v), (int *), (v))
WRAP_FD(wrap_pipe2, pipe2, (int *v, int flags), (int *, int), (v, flags))
WRAP_FD(wrap_memfd, memfd_create, (const char *name, unsigned flags), (const char *, unsigned),
	(name, flags))
WRAP_FD(wrap_dup, dup, (int fd), (int), (fd))
WRAP_FD(wrap_accept4, accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags),
	(int, struct sockaddr *, socklen_t *, int), (fd, a, len, flags))
WRAP_FD(wrap_epoll, epoll_create1, (int flags), (int), (flags))
WRAP_FD(wrap_eventfd, eventfd, (unsigned n, int flags), (unsigned, int), (n, flags))
WRAP_FD(wrap_timerfd, timerfd_create, (int clock, int flags), (int, int), (clock, flags))
WRAP_FD(wrap_signalfd, signalfd, (int fd, const void *set, int flags), (int, const void *, int),
	(fd, set, flags))

static int
fcntl_by(int (*real)(int, int, ...), int fd, int cmd, long arg)
{
	bool makes = cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC;
	int code = makes ? fault_before(CLASS_FDS, "fcntl", fd, NULL) : 0;

	return code ? refuse(code) : real(fd, cmd, arg);
}

#define WRAP_FCNTL(name, symbol)                            \
	WRAP(int, name, symbol, (int fd, int cmd, ...))     \
	{                                                   \
		va_list ap;                                 \
		long arg;                                   \
                                                            \
		REAL(int, symbol, (int, int, ...));         \
		va_start(ap, cmd);                          \
		arg = va_arg(ap, long);                     \
		va_end(ap);                                 \
		return fcntl_by(real, fd, cmd, arg);        \
	}

WRAP_FCNTL(wrap_fcntl, fcntl)
WRAP_FCNTL(wrap_fcntl64, fcntl64)

/* pidfd_open has no function of its own here. */
WRAP(long, wrap_syscall, syscall, (long number, ...))
{
	long a[6];
	va_list ap;
	int code = 0;

	REAL(long, syscall, (long, ...));
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == 434)
		code = fault_before(CLASS_FDS, "pidfd_open", -1, NULL);
	return code ? refuse(code) : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* As on a machine where others hold all there are: nothing here may need one. */
WRAP(int, wrap_inotify, inotify_init1, (int flags))
{
	REAL(int, inotify_init1, (int));
	return setting() ? refuse(EMFILE) : real(flags);
}

/* -------------------------------------------------------------- processes */

WRAP(int, wrap_spawn, posix_spawn,
     (pid_t * ret, const char *path, const posix_spawn_file_actions_t *fa,
      const posix_spawnattr_t *at, char *const argv[], char *const envp[]))
{
	int code = fault_before(CLASS_EFFECT | CLASS_SPAWN, "posix_spawn", -1, path);
	int r;

	REAL(int, posix_spawn,
	     (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	      char *const[], char *const[]));
	if (code)
		return code;
	r = real(ret, path, fa, at, argv, envp);
	fault_after();
	return r;
}

WRAP(pid_t, wrap_fork, fork, (void))
{
	int code = fault_before(CLASS_EFFECT | CLASS_SPAWN, "fork", -1, NULL);
	pid_t r;

	REAL(pid_t, fork, (void));
	if (code)
		return refuse(code);
	r = real();
	if (r != 0)
		fault_after();
	return r;
}
