/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of ssmctl share: options, exit statuses, the agent's program, terminals. */
#ifndef SSM_TOOL_TOOL_H
#define SSM_TOOL_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/base/err.h"
#include "core/conf/conf.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNHEALTHY = 3,
	/* Of run and jobs --follow, beside the exit code of the step that failed. */
	EXIT_TIMED_OUT = 124,
	EXIT_NOT_RUN = 125,
	EXIT_CANCELLED = 130,
	EXIT_RESTART = 194
};

struct options {
	const char *root;
	char **overrides, **parameters;
	char *const *args; /* behind the command, NULL-ended */
	bool json, follow, dry_run;
};

/* The configuration, or NULL after a line on stderr; its warnings go there, too, when WARN. */
struct conf *tool_conf(const struct options *o, bool warn);
/* "ssmctl: warning: TEXT" on stderr; ARG is not used. */
void tool_warn(void *arg, const char *text);
/* "ssmctl: ..." on stderr; returns EXIT_FAILED. */
int tool_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tool_print_json(const json_t *v); /* indented, to stdout */

/* ssm-agent with our --root and -o, and FURTHER arguments (NULL-ended, may be NULL). OUT: *RET_OUT
 * is the reading end of its standard output; IN: *RET_IN the writing end of its standard input.
 * Either may be NULL: then its output is ours, its input empty. pid or -errno. */
pid_t tool_start_agent(const struct options *o, char *const *further, int *ret_in, int *ret_out,
		       struct err *e);
/* The same instead of this process. Returns, with EXIT_FAILED, only when it cannot be run. */
int tool_become_agent(const struct options *o, char *const *further);
/* Its exit status, 128 and the number of the signal that ended it. */
int tool_wait(pid_t pid);
/* ssm-agent --jobs=ID ("" for all): an array. NULL with E. Caller owns. */
json_t *tool_jobs(const struct options *o, const char *id, struct err *e);

/* Colours, and progress, are for people: a terminal, and not with NO_COLOR. */
enum tool_style {
	STYLE_GOOD,
	STYLE_BAD,
	STYLE_DIM,
	STYLE_BOLD,
	STYLE_NONE
};
bool tool_is_terminal(FILE *f);
/* The sequences before and behind a text: "" where there are no colours. */
const char *tool_style(FILE *f, enum tool_style s);
const char *tool_plain(FILE *f);
enum tool_style tool_style_of(const char *status);

/* jobs.c */
int command_jobs(const struct options *o);
int command_output(const struct options *o);
/* run.c */
int command_run(const struct options *o);

#endif
