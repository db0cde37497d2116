/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event: rate limit, masking, and the targets stderr, journal, syslog, file, sink. */
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log_mask.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define LINE_MAX_BYTES 16384
#define SITE_WINDOW_MS 30000
#define SITE_LINES 10

enum format { PLAIN, JOURNAL, SYSLOG };

static struct {
	enum format format;
	enum log_level level;
	char ident[64];
	log_sink_fn *sink;
	void *sink_arg;
	bool in_sink;
} out = { PLAIN, LOG_LEVEL_INFO, "", NULL, NULL, false };

static struct {
	int fd;
	char *path;
	long long size, max;
} file = { -1, NULL, 0, 0 };

/* systemd names device and inode of the stream that is fd 2; a redirected stderr is not it. */
static bool
stderr_is_journal(void)
{
	const char *stream = secure_getenv("JOURNAL_STREAM");
	autofree char *ours = NULL;
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	ours = xasprintf("%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	return strcmp(stream, ours) == 0;
}

/* A container often has no syslog: then stderr is all there is. */
static bool
has_syslog(void)
{
	struct stat st;

	return stat("/dev/log", &st) == 0 && S_ISSOCK(st.st_mode);
}

static enum format
format_of(enum log_target target)
{
	if (target == LOG_TARGET_STDERR)
		return PLAIN;
	if (target == LOG_TARGET_SYSLOG)
		return SYSLOG;
	if (stderr_is_journal())
		return JOURNAL;
	return isatty(STDERR_FILENO) || !has_syslog() ? PLAIN : SYSLOG;
}

void
log_open(enum log_target target, const char *ident)
{
	if (out.format == SYSLOG)
		closelog();
	(void)snprintf(out.ident, sizeof(out.ident), "%s", ident ? ident : "");
	out.format = format_of(target);
	if (out.format == SYSLOG)
		openlog(out.ident, LOG_PID, LOG_DAEMON);
}

void
log_set_level(enum log_level level)
{
	out.level = level;
}

enum log_level
log_get_level(void)
{
	return out.level;
}

static const char *const level_names[] = { "error", "warning", "notice",
					   "info",  "debug",   "trace" };

int
log_level_from_name(const char *name)
{
	for (size_t i = 0; i < NELEMS(level_names); i++)
		if (strcmp(name, level_names[i]) == 0)
			return (int)i + LOG_LEVEL_ERROR;
	return -EINVAL;
}

static const char *
level_name(enum log_level level)
{
	static const char *const shown[] = { "ERROR", "WARNING", "NOTICE",
					     "INFO",  "DEBUG",	 "TRACE" };
	int i = (int)level - LOG_LEVEL_ERROR;

	return shown[i < 0 ? 0 : i > 5 ? 5 : i];
}

static int
open_file(const char *path, long long *ret_size)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK |
					O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* A second name, or another owner: somebody wants us to write into that file. */
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1 || st.st_uid != geteuid())
		return -EINVAL;
	if (fchmod(fd, 0600) < 0)
		return -errno;
	*ret_size = st.st_size;
	return TAKE_FD(fd);
}

int
log_set_file(const char *path, long long max_bytes)
{
	long long size = 0;
	int fd = path ? open_file(path, &size) : -1;

	if (path && fd < 0)
		return fd;
	mem_cleanup_fd(&file.fd);
	free(file.path);
	file.fd = fd;
	file.path = xstrdup(path);
	file.size = size;
	file.max = max_bytes;
	return 0;
}

/* Should no new file open, the old one is written on, and the next try is a file's length later. */
static void
rotate_file(void)
{
	autofree char *old = xasprintf("%s.1", file.path);
	int fd = -1;

	file.size = 0;
	if (rename(file.path, old) == 0)
		fd = open_file(file.path, &file.size);
	if (fd < 0)
		return;
	close(file.fd);
	file.fd = fd;
}

static void
write_file(const char *line, size_t len)
{
	if (file.fd < 0)
		return;
	if (file.max > 0 && file.size > 0 && file.size + (long long)len > file.max)
		rotate_file();
	if (fs_write_all(file.fd, line, len) == 0)
		file.size += (long long)len;
}

static char *
stamped(enum log_level level, const char *line)
{
	char stamp[TEXT_STAMP_SIZE];

	text_iso8601_ms(clock_wall_ms(), stamp);
	return xasprintf("%s %s %s\n", stamp, level_name(level), line);
}

/* A full stderr (a pipe that nobody reads) loses the line: there is nowhere else to complain. */
static void
write_target(enum log_level level, const char *line)
{
	int priority = level > LOG_LEVEL_DEBUG ? LOG_DEBUG : (int)level;
	autofree char *plain = stamped(level, line);
	autofree char *journal = xasprintf("<%d>%s\n", priority, line);

	if (out.format == SYSLOG)
		syslog(priority, "%s", line);
	else if (out.format == JOURNAL)
		(void)fs_write_all(STDERR_FILENO, journal, strlen(journal));
	else
		(void)fs_write_all(STDERR_FILENO, plain, strlen(plain));
	write_file(plain, strlen(plain));
}

/* Masked before it is cut or escaped: half a secret, or an escaped one, would not be known. */
static char *
finished(const char *raw)
{
	autosecret char *masked = log_mask(raw);
	autofree char *line = text_escape_controls(masked, strlen(masked));
	size_t len = strlen(line);

	if (len <= LINE_MAX_BYTES)
		return TAKE(line);
	line[text_utf8_floor(line, len, LINE_MAX_BYTES)] = '\0';
	return xasprintf("%s...", line);
}

/* A sink that logs itself gets to the target, not into itself. */
static void
emit(enum log_level level, const char *component, const char *raw)
{
	if (out.sink && !out.in_sink) {
		autofree char *who = finished(component);
		autofree char *line = finished(raw);

		out.in_sink = true;
		out.sink(out.sink_arg, level, who, line);
		out.in_sink = false;
		return;
	}
	/* As one text: a secret may begin in the component. */
	autosecret char *both = xasprintf("%s: %s", component, raw);
	autofree char *line = finished(both);

	write_target(level, line);
}

/* Whether the call site may write now; it reports first what it had to leave out. */
static bool
site_allows(struct log_site *site, enum log_level level, const char *component)
{
	long long now = clock_mono_ms();

	if (site->count > 0 && now - site->since_ms >= SITE_WINDOW_MS) {
		unsigned dropped = site->dropped;

		*site = (struct log_site){ now, 0, 0 };
		if (dropped > 0) {
			autofree char *text = xasprintf("%u more messages like the next one were "
							"left out", dropped);

			emit(level, component, text);
		}
	}
	if (site->count == 0)
		site->since_ms = now;
	if (site->count >= SITE_LINES) {
		site->dropped++;
		return false;
	}
	site->count++;
	return true;
}

void
log_write(struct log_site *site, enum log_level level, const char *component, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vwrite(site, level, component, fmt, ap);
	va_end(ap);
}

void
log_vwrite(struct log_site *site, enum log_level level, const char *component, const char *fmt,
	   va_list ap)
{
	int saved = errno; /* for %m, and for callers that look at it afterwards */
	autosecret char *raw = NULL;

	if (level > out.level || (site && !site_allows(site, level, component)))
		return;
	errno = saved;
	raw = xvasprintf(fmt, ap);
	emit(level, component, raw);
	errno = saved;
}

void
log_set_sink(log_sink_fn *fn, void *arg)
{
	out.sink = fn;
	out.sink_arg = arg;
}
