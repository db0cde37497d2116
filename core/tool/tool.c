/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that several commands use. */
#include "core/tool/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"

#define ANSWER_MAX (256u << 20)

extern char **environ;

void
tool_warn(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "ssmctl: warning: %s\n", text);
}

struct conf *
tool_conf(const struct options *o, bool warn)
{
	struct conf_spec spec = { o->root, o->overrides };
	struct err e = { 0, "" };
	struct conf *c = conf_load(&spec, warn ? tool_warn : NULL, NULL, &e);

	if (!c)
		tool_fail("%s", err_text(&e));
	return c;
}

int
tool_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("ssmctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return EXIT_FAILED;
}

void
tool_print_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

/* ------------------------------------------------------------- ssm-agent */

static char **
agent_argv(const struct options *o, char *const *further)
{
	char **argv = NULL;

	strv_add(&argv, "ssm-agent");
	if (o->root)
		strv_addf(&argv, "--root=%s", o->root);
	for (; further && *further; further++)
		strv_add(&argv, *further);
	for (char *const *v = o->overrides; v && *v; v++)
		strv_addf(&argv, "-o%s", *v);
	return argv;
}

static char *
agent_program(void)
{
	const char *other = secure_getenv("SSM_AGENT_PROGRAM");

	return other ? xstrdup(other) : xasprintf("%s/ssm-agent", BINDIR);
}

static int
pipe_for(int *wanted, int ret[2], struct err *e)
{
	ret[0] = ret[1] = -1;
	if (wanted && pipe2(ret, O_CLOEXEC) < 0)
		return err_set(e, -errno, "cannot make a pipe: %m");
	return 0;
}

pid_t
tool_start_agent(const struct options *o, char *const *further, int *ret_in, int *ret_out,
		 struct err *e)
{
	autofree char *program = agent_program();
	autofree char *cwd = getcwd(NULL, 0);
	autostrv char **argv = agent_argv(o, further);
	autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t pid = -EIO;

	if (pipe_for(ret_in, in, e) == 0 && pipe_for(ret_out, out, e) == 0) {
		const struct proc_fd fds[] = { { ret_in ? in[0] : null, 0 },
					       { ret_out ? out[1] : STDOUT_FILENO, 1 },
					       { STDERR_FILENO, 2 } };
		const struct proc_spec spec = { .path = program,
						.argv = argv,
						.envp = environ,
						.cwd = cwd,
						.fds = fds,
						.fd_count = NELEMS(fds) };

		pid = proc_spawn(&spec, e);
		if (pid < 0)
			err_prefix(e, "cannot run '%s', is the agent installed?", program);
	}
	mem_cleanup_fd(&in[0]);
	mem_cleanup_fd(&out[1]);
	if (pid < 0) {
		mem_cleanup_fd(&in[1]);
		mem_cleanup_fd(&out[0]);
		return pid;
	}
	if (ret_in)
		*ret_in = in[1];
	if (ret_out)
		*ret_out = out[0];
	return pid;
}

int
tool_become_agent(const struct options *o, char *const *further)
{
	autofree char *program = agent_program();
	autostrv char **argv = agent_argv(o, further);

	execv(program, argv);
	return tool_fail("cannot run '%s': %m; is the agent installed?", program);
}

int
tool_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

json_t *
tool_jobs(const struct options *o, const char *id, struct err *e)
{
	autofree char *option = xasprintf("--jobs=%s", id);
	char *const further[] = { option, NULL };
	autosbuf struct sbuf b = SBUF_INIT(ANSWER_MAX);
	int fd = -1, status;
	pid_t pid = tool_start_agent(o, further, NULL, &fd, e);
	ssize_t n = 1;

	if (pid < 0)
		return NULL;
	while (n > 0)
		n = sbuf_read(&b, fd, 65536);
	close(fd);
	status = tool_wait(pid);
	if (n == 0 && status == 0)
		return json_parse(sbuf_str(&b), b.len, "the list of commands", e);
	err_set(e, n < 0 ? (int)n : -EIO,
		n < 0 ? "the list of commands cannot be read"
		      : "the list of commands could not be made");
	return NULL;
}

/* -------------------------------------------------------------- terminals */

bool
tool_is_terminal(FILE *f)
{
	return isatty(fileno(f)) == 1;
}

static bool
has_colours(FILE *f)
{
	const char *none = secure_getenv("NO_COLOR"), *term = secure_getenv("TERM");

	return tool_is_terminal(f) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

const char *
tool_style(FILE *f, enum tool_style s)
{
	static const char *const codes[] = { [STYLE_GOOD] = "\033[32m",
					     [STYLE_BAD] = "\033[31m",
					     [STYLE_DIM] = "\033[2m",
					     [STYLE_BOLD] = "\033[1m",
					     [STYLE_NONE] = "" };

	return has_colours(f) ? codes[s] : "";
}

const char *
tool_plain(FILE *f)
{
	return has_colours(f) ? "\033[0m" : "";
}

enum tool_style
tool_style_of(const char *status)
{
	static const char *const bad[] = { "Failed", "TimedOut", "Cancelled", "lost", "refused" };

	for (size_t i = 0; i < NELEMS(bad); i++)
		if (strcmp(status, bad[i]) == 0)
			return STYLE_BAD;
	return strcmp(status, "Success") == 0 || strcmp(status, "loaded") == 0 ? STYLE_GOOD
									       : STYLE_NONE;
}
