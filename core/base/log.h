/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event: key facts first, foreign strings through text_quote(). DESIGN section 11.
 * Libraries (base ... aws) return errors and log at debug at most; the agent and the host log once
 * where they decide. */
#ifndef SSM_BASE_LOG_H
#define SSM_BASE_LOG_H

#include <stdarg.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARN = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
	LOG_LEVEL_TRACE = 8
};

enum log_target {
	LOG_TARGET_AUTO,   /* stderr with <n> prefix when JOURNAL_STREAM names it, plain stderr on a
			      terminal or in tests, else syslog */
	LOG_TARGET_STDERR, /* "2024-03-05T07:08:09.123Z LEVEL component: text" */
	LOG_TARGET_SYSLOG,
};

void log_open(enum log_target target, const char *ident);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error" "warning" "notice" "info" "debug" "trace" -> level or -EINVAL. */
int log_level_from_name(const char *name);
/* Also append to a file (0600, O_NOFOLLOW), rotated to NAME.1 above MAX bytes; NULL ends it. 0 or
 * -errno. */
int log_set_file(const char *path, long long max_bytes);

/* Rate limited per call site: 10 in 30 s, then one line with the number left out. */
struct log_site {
	long long since_ms;
	unsigned count, dropped;
};
void log_write(struct log_site *site, enum log_level level, const char *component, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));
void log_vwrite(struct log_site *site, enum log_level level, const char *component, const char *fmt,
		va_list ap) __attribute__((format(printf, 4, 0)));

/* Never show this string again: each occurrence in a line becomes "***". Strings under 8 bytes are
 * not taken. The copy is kept until log_secret_forget(). */
void log_secret(const char *secret);
void log_secret_forget(const char *secret);

/* A function that gets every finished line instead of the target (the host sends it to the agent,
 * tests collect it). */
typedef void log_sink_fn(void *arg, enum log_level level, const char *component, const char *line);
void log_set_sink(log_sink_fn *fn, void *arg);

#define log_at(level, component, ...)                                             \
	do {                                                                      \
		static struct log_site log_site_;                                 \
		if ((level) <= log_get_level())                                   \
			log_write(&log_site_, (level), (component), __VA_ARGS__); \
	} while (0)
#define log_error(component, ...) log_at(LOG_LEVEL_ERROR, component, __VA_ARGS__)
#define log_warn(component, ...) log_at(LOG_LEVEL_WARN, component, __VA_ARGS__)
#define log_notice(component, ...) log_at(LOG_LEVEL_NOTICE, component, __VA_ARGS__)
#define log_info(component, ...) log_at(LOG_LEVEL_INFO, component, __VA_ARGS__)
#define log_debug(component, ...) log_at(LOG_LEVEL_DEBUG, component, __VA_ARGS__)
#define log_trace(component, ...) log_at(LOG_LEVEL_TRACE, component, __VA_ARGS__)

#endif
