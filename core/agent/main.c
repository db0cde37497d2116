/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-agent: options, privileges, configuration; then agent.c. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/agent.h"
#include "core/agent/joblist.h"
#include "core/agent/protect.h"
#include "core/agent/users.h"
#include "core/aws/ssmapi.h"
#include "core/aws/transfer.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "core/loop/signals.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2
};

struct options {
	const char *root;
	char **overrides;
	bool whoami, caller, json, transfer, once, make_user;
	const char *jobs; /* NULL; "" for all of them */
};

static const char help[] =
	"Usage: ssm-agent [OPTION]...\n"
	"Runs the commands that AWS Systems Manager sends to this node; in the foreground.\n"
	"\n"
	"  --root DIR            all folders below DIR: a trial run, which needs no root\n"
	"  -o SECTION.KEY=VALUE  set a configuration key; wins over every file\n"
	"  --whoami [--json]     print identity and source of credentials, and why others were\n"
	"                        passed over\n"
	"  --whoami=caller       the same, and ask STS whose the credentials are\n"
	"  --run                 run the message on standard input, without service; for ssmctl\n"
	"  --jobs[=ID]           print what is on disk of commands, as JSON; for ssmctl\n"
	"  --make-user           where Users.Create is install: make the user of sessions now\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 stopped by SIGTERM or SIGINT, 1 could not start (the reason is in the "
	"log),\n"
	"2 wrong usage. With --whoami: 0 credentials were found, 1 none.\n"
	"See ssm-agent(8), ssm.conf(5), ssmctl(1).\n";

/* A closed 0, 1 or 2 would become some file of ours. */
static void
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
}

static void
print_warning(void *arg, const char *text)
{
	(void)arg;
	log_warn("conf", "%s", text);
}

static int
print_version(void)
{
	return printf("ssm-agent %s (reported as %s)\n", PACKAGE_VERSION, ssmapi_agent_version()) <
		0;
}

static int
parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "whoami", optional_argument, NULL, 'w' },
		{ "json", no_argument, NULL, 'j' },
		{ "transfer", no_argument, NULL, 't' },
		{ "run", no_argument, NULL, 'R' },
		{ "jobs", optional_argument, NULL, 'J' },
		{ "make-user", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			o->root = optarg;
			break;
		case 'o':
			strv_add(&o->overrides, optarg);
			break;
		case 'w':
			o->whoami = true;
			o->caller = optarg != NULL;
			if (optarg && strcmp(optarg, "caller") != 0)
				return -1;
			break;
		case 'j':
			o->json = true;
			break;
		case 't':
			o->transfer = true;
			break;
		case 'R':
			o->once = true;
			break;
		case 'J':
			o->jobs = optarg ? optarg : "";
			break;
		case 'm':
			o->make_user = true;
			break;
		case 'h':
			exit(fputs(help, stdout) < 0);
		case 'V':
			exit(print_version());
		default:
			return -EINVAL;
		}
	}
	if (optind != argc)
		fprintf(stderr, "ssm-agent: '%s' is not an option; 'ssm-agent --help' lists them\n",
			argv[optind]);
	return optind == argc ? 0 : -EINVAL;
}

static void
open_log(const struct conf *conf)
{
	const char *target = conf_str(conf, "Log.Target");
	autofree char *path = xasprintf("%s/ssm-agent.log", conf_path(conf, CONF_PATH_LOG));
	int level = log_level_from_name(conf_str(conf, "Log.Level"));
	struct err e = { 0, "" };
	int fd;

	log_open(strcmp(target, "stderr") == 0		 ? LOG_TARGET_STDERR
			 : strcmp(target, "syslog") == 0 ? LOG_TARGET_SYSLOG
							 : LOG_TARGET_AUTO,
		 "ssm-agent");
	log_set_level((enum log_level)level);
	if (!conf_bool(conf, "Log.File"))
		return;
	fd = fs_make_dirs(conf_path(conf, CONF_PATH_LOG), 0700, &e);
	if (fd < 0 || log_set_file(path, conf_bytes(conf, "Log.FileMaxBytes")) < 0)
		log_warn("agent", "there is no log file '%s': %s", path,
			 fd < 0 ? err_text(&e) : "it cannot be opened");
	mem_cleanup_fd(&fd);
}

/* Whoever may write to one of them could put a link or a file of his own in our way. */
static int
check_folders(const struct conf *conf, struct err *e)
{
	static const enum conf_path all[] = { CONF_PATH_STATE, CONF_PATH_RUN, CONF_PATH_LOG,
					      CONF_PATH_CACHE };
	int r = 0;

	for (size_t i = 0; i < NELEMS(all) && r == 0; i++)
		r = fs_check_path(conf_path(conf, all[i]), conf_root(conf), e);
	return r;
}

static int
run(const struct options *o)
{
	struct conf_spec spec = { o->root, o->overrides };
	struct err e = { 0, "" };
	struct conf *conf = conf_load(&spec, print_warning, NULL, &e);
	int status = 0;

	if (!conf) {
		log_error("agent", "the configuration is wrong: %s", err_text(&e));
		return EXIT_FAILED;
	}
	protect_memory(conf_has_root(conf));
	if (o->jobs) {
		status = joblist_print(conf_path(conf, CONF_PATH_STATE),
				       conf_path(conf, CONF_PATH_RUN), o->jobs);
		conf_free(conf);
		return status;
	}
	if (!o->whoami && check_folders(conf, &e) < 0) {
		log_error("agent", "cannot start: %s", err_text(&e));
		conf_free(conf);
		return EXIT_FAILED;
	}
	if (o->make_user) {
		status = users_make(conf);
		conf_free(conf);
		return status;
	}
	open_log(conf);
	if (o->whoami) {
		status = agent_whoami(conf, o->json, o->caller);
	} else if (o->once) {
		int r;

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		r = agent_run_once(conf, &e);

		if (r < 0)
			log_error("agent", "cannot run it: %s", err_text(&e));
		status = r == 0 ? 0 : EXIT_FAILED;
	} else if (agent_run(conf, &e) < 0) {
		log_error("agent", "cannot start: %s", err_text(&e));
		status = EXIT_FAILED;
	}
	conf_free(conf);
	return status;
}

int
main(int argc, char **argv)
{
	struct options o = { 0 };
	int status;

	open_standard_fds();
	umask(077);
	proc_reset_signals();
	signals_block();
	log_open(LOG_TARGET_STDERR, "ssm-agent");
	if (parse(argc, argv, &o) < 0)
		return EXIT_USAGE;
	if (o.transfer)
		return transfer_main();
	status = run(&o);
	strv_free(o.overrides);
	return status;
}
