/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-plugin-host: the small process that runs a plugin; see ssm-plugin-host(8). */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/text.h"
#include "core/conf/opts.h"
#include "core/host/job.h"
#include "core/host/loader.h"
#include "core/host/lookup.h"
#include "core/host/newuser.h"
#include "core/host/user.h"
#include "core/loop/signals.h"

#define AGENT_FD 3

/* An address sanitizer reserves terabytes of address space: no limit of it there. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SSM_PRELOADED
/* Made by libtool when it links this program: a list of lt_dlsymlist. */
extern const char lt__PROGRAM__LTX_preloaded_symbols[];
#endif

static const char help[] =
	"Usage: ssm-plugin-host --describe FILE [--conf]\n"
	"       ssm-plugin-host --builtin\n"
	"       ssm-plugin-host --try FILE action NAME JSON\n"
	"       ssm-plugin-host --user NAME\n"
	"       ssm-plugin-host --addresses NAME\n"
	"       ssm-plugin-host --make-user\n"
	"       ssm-plugin-host --job|--service\n"
	"Runs a plugin of ssm-agent in a process of its own.\n"
	"\n"
	"  --describe FILE  print what FILE provides, as JSON; none of its functions is called\n"
	"  --conf           with --describe: print its configuration snippet instead\n"
	"  --builtin        print a list of what the plugins provide that are part of this\n"
	"                   program; elsewhere, FILE can be builtin:NAME for one of them\n"
	"  --try FILE action NAME JSON\n"
	"                   run an action without agent and account, with these inputs\n"
	"  --user NAME      print what the name service knows of a user, as JSON\n"
	"  --addresses NAME print the addresses that the name service knows of a host, one a line\n"
	"  --make-user      make the user of sessions as the settings on standard input say; for\n"
	"                   ssm-agent --make-user and for sessions\n"
	"  --job, --service one job, or a service, for the agent at the other end of\n"
	"                   descriptor 3\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 wrong usage, 3 the job was never started. With --user:\n"
	"1 there is no such user, 4 it cannot be found out.\n";

/* The agent is the last to be killed when memory runs out; what it starts is not. */
static void
first_acts(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "0", 1) < 0)
			errno = 0;
		close(fd);
	}
	/* What commands inherit. Our own files are made with modes of their own. */
	umask(022);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	proc_reset_signals();
	signals_block();
}

static void
limit_describing(void)
{
	const struct rlimit cpu = {2, 2}, core = {0, 0};

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &core);
#ifndef SANITIZED
	{
		const struct rlimit space = {512u << 20, 512u << 20};

		setrlimit(RLIMIT_AS, &space);
	}
#endif
}

/* Constructors of a strange file run without root's rights. A descriptor of ours stays what it is:
 * its path may not be ours to walk. */
static char *
file_to_load(const char *file, struct err *e)
{
	bool as_is = text_starts(file, "/proc/self/fd/") || text_starts(file, "builtin:");
	char *path = as_is ? xstrdup(file) : realpath(file, NULL);
	char *no_folder = NULL;

	if (!path) {
		err_set(e, -errno, "%s", strerror(errno));
		return NULL;
	}
	if (geteuid() != 0 || text_starts(file, "builtin:") ||
	    user_become(user_nobody(), &no_folder, &path, e) == 0)
		return path;
	free(path);
	return NULL;
}

static int
print_description(const char *file, bool conf)
{
	struct err e = {0, ""};
	autofree char *path = file_to_load(file, &e);
	struct module *m = path ? loader_open(path, &e) : NULL;
	autojson json_t *description = m ? describe_module(m) : NULL;
	autofree char *text = NULL;

	if (!description) {
		fprintf(stderr, "%s\n", err_text(&e));
		return 1;
	}
	text = conf ? opts_snippet(description) : json_text(description);
	printf("%s%s", text, conf ? "" : "\n");
	/* Destructors of a strange file are not wanted here. */
	_exit(fflush(stdout) == 0 ? 0 : 1);
}

static int
print_builtin(void)
{
	struct err e = {0, ""};
	autojson json_t *all = loader_describe_builtin(&e);
	autofree char *text = all ? json_text(all) : NULL;

	if (!all) {
		fprintf(stderr, "%s\n", err_text(&e));
		return 1;
	}
	printf("%s\n", text);
	_exit(fflush(stdout) == 0 ? 0 : 1);
}

static int
usage(const char *reason)
{
	fprintf(stderr, "ssm-plugin-host: %s; 'ssm-plugin-host --help' explains\n", reason);
	return 2;
}

static int
run_job(void)
{
	if (fcntl(AGENT_FD, F_SETFD, FD_CLOEXEC) < 0)
		return usage("--job is for the agent, which holds the other end of descriptor 3");
	_exit(host_job(AGENT_FD));
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"describe", required_argument, NULL, 'd'},
		{"builtin", no_argument, NULL, 'b'},
		{"conf", no_argument, NULL, 'c'},
		{"job", no_argument, NULL, 'j'},
		{"service", no_argument, NULL, 'j'},
		{"user", required_argument, NULL, 'u'},
		{"addresses", required_argument, NULL, 'a'},
		{"make-user", no_argument, NULL, 'm'},
		{"try", required_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	const char *describe = NULL, *try = NULL, *user = NULL, *addresses = NULL;
	bool conf = false, job = false, builtin = false, make_user = false;
	int c;

	first_acts();
	log_open(LOG_TARGET_STDERR, "ssm-plugin-host");
#ifdef SSM_PRELOADED
	loader_preload(lt__PROGRAM__LTX_preloaded_symbols, SSM_STATIC_PLUGINS);
#endif
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		if (c == 'd')
			describe = optarg;
		else if (c == 'b')
			builtin = true;
		else if (c == 'c')
			conf = true;
		else if (c == 'j')
			job = true;
		else if (c == 'u')
			user = optarg;
		else if (c == 'm')
			make_user = true;
		else if (c == 'a')
			addresses = optarg;
		else if (c == 't')
			try = optarg;
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c == 'V')
			return printf("ssm-plugin-host %s\n", PACKAGE_VERSION) < 0;
		else
			return 2;
	}
	if (job && !describe && !try && !user)
		return run_job();
	if (builtin && argc == optind)
		return print_builtin();
	if (user && argc == optind)
		return lookup_print_user(user);
	if (addresses && argc == optind)
		return lookup_print_addresses(addresses);
	if (make_user && argc == optind)
		return newuser_main();
	if (try && argc - optind == 3)
		return host_try(try, argv[optind], argv[optind + 1], argv[optind + 2]);
	if (!describe || argc != optind)
		return usage("what is to be done is missing");
	limit_describing();
	return print_description(describe, conf);
}
