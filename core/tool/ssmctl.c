/* SPDX-License-Identifier: Apache-2.0 */
/* ssmctl: the administrator's questions: who am I, which plugins, what does the configuration say.
 */
#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/conf/conf.h"
#include "core/tool/ask.h"

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNHEALTHY = 3
};

struct options {
	const char *root;
	char **overrides;
	bool json;
};

static const char help[] =
	"Usage: ssmctl [OPTION]... COMMAND\n"
	"Asks the running agent, or reads what it would read.\n"
	"\n"
	"Commands:\n"
	"  whoami        identity, which credential source won, which were passed over and why\n"
	"  status        connection, health, commands that run or wait, problems\n"
	"  plugins       plugins, what they provide, why one is refused\n"
	"  check-config  read the configuration; exit status 1 and the reason when it is wrong\n"
	"  dump-config   every value with its origin\n"
	"\n"
	"Options:\n"
	"  --root DIR            all folders below DIR, as given to ssm-agent\n"
	"  -o SECTION.KEY=VALUE  as the agent's\n"
	"  --json                print the answer as JSON\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 answered, 1 failed (the reason is on stderr), 2 wrong usage,\n"
	"3 status found problems.\n";

static void
print_warning(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "ssmctl: warning: %s\n", text);
}

static struct conf *
load(const struct options *o, bool warn)
{
	struct conf_spec spec = {o->root, o->overrides};
	struct err e = {0, ""};
	struct conf *c = conf_load(&spec, warn ? print_warning : NULL, NULL, &e);

	if (!c)
		fprintf(stderr, "ssmctl: %s\n", err_text(&e));
	return c;
}

static int
check_config(const struct options *o)
{
	struct conf *c = load(o, true);

	if (!c)
		return EXIT_FAILED;
	puts("The configuration is good.");
	conf_free(c);
	return 0;
}

static int
dump_config(const struct options *o)
{
	struct conf *c = load(o, true);
	autofree char *text = c ? conf_dump(c) : NULL;

	if (!c)
		return EXIT_FAILED;
	fputs(text, stdout);
	conf_free(c);
	return 0;
}

static void
print_json(const json_t *v)
{
	json_dumpf(v, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
}

static void
print_features(const json_t *plugin)
{
	static const char *const kinds[] = {"vendor",	"action",  "topic",   "session",
					    "gatherer", "service", "identity"};
	json_t *row;
	size_t i;

	json_array_foreach(json_at(plugin, "/descriptor/features"), i, row)
	{
		size_t kind = (size_t)json_int(row, "kind", 0);

		printf("    %s %s\n", kinds[kind < NELEMS(kinds) ? kind : 0],
		       json_str(row, "name", ""));
	}
}

static void
print_rights(const json_t *plugin)
{
	static const char *const keys[] = {"Calls", "Transfer", "RunAs"};
	json_t *row;
	size_t i;

	for (i = 0; i < NELEMS(keys); i++)
		if (json_str(plugin, keys[i], NULL))
			printf("    %s = %s\n", keys[i], json_str(plugin, keys[i], ""));
	json_array_foreach(json_object_get(plugin, "unused"), i, row)
		printf("    not used: %s: %s\n", json_str(row, "name", ""),
		       json_str(row, "reason", ""));
}

static void
print_plugins(const json_t *all)
{
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		const char *reason = json_str(one, "reason", "");

		printf("%s  %s  %s%s%s\n", json_str(one, "name", ""), json_str(one, "state", ""),
		       json_str(one, "path", ""), *reason ? ": " : "", reason);
		print_features(one);
		print_rights(one);
	}
	if (json_array_size(all) == 0)
		puts("No plugins were found.");
}

/* Without a running agent the chain is walked by the agent's own program, once. */
static int
exec_whoami(const struct options *o)
{
	autofree char *program = xasprintf("%s/ssm-agent", BINDIR);
	autostrv char **argv = NULL;
	const char *other = secure_getenv("SSM_AGENT_PROGRAM");

	strv_add(&argv, "ssm-agent");
	strv_add(&argv, "--whoami");
	if (o->json)
		strv_add(&argv, "--json");
	if (o->root)
		strv_addf(&argv, "--root=%s", o->root);
	for (char *const *v = o->overrides; v && *v; v++)
		strv_addf(&argv, "-o%s", *v);
	execv(other ? other : program, argv);
	fprintf(stderr, "ssmctl: cannot run '%s': %m; is the agent installed?\n",
		other ? other : program);
	return EXIT_FAILED;
}

static bool
nobody_there(const struct err *e)
{
	return e->code == -ENOENT || e->code == -ECONNREFUSED;
}

static int
ask(const struct options *o, const char *what)
{
	struct conf *c = load(o, false);
	struct err e = {0, ""};
	autojson json_t *answer = NULL;

	if (!c)
		return EXIT_FAILED;
	answer = ask_agent(conf_path(c, CONF_PATH_RUN), what, &e);
	conf_free(c);
	if (!answer && strcmp(what, "whoami") == 0 && nobody_there(&e))
		return exec_whoami(o);
	if (!answer) {
		fprintf(stderr, "ssmctl: %s\n", err_text(&e));
		return EXIT_FAILED;
	}
	if (!o->json && strcmp(what, "plugins") == 0)
		print_plugins(answer);
	else if (!o->json && json_str(answer, "text", NULL))
		fputs(json_str(answer, "text", ""), stdout);
	else
		print_json(answer);
	return json_bool(answer, "healthy", true) ? 0 : EXIT_UNHEALTHY;
}

static int
run(const struct options *o, const char *command)
{
	static const char *const questions[] = {"whoami", "status", "plugins"};

	if (strcmp(command, "check-config") == 0)
		return check_config(o);
	if (strcmp(command, "dump-config") == 0)
		return dump_config(o);
	for (size_t i = 0; i < NELEMS(questions); i++)
		if (strcmp(command, questions[i]) == 0)
			return ask(o, command);
	fprintf(stderr, "ssmctl: there is no command '%s'; 'ssmctl --help' lists them\n", command);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"root", required_argument, NULL, 'r'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {NULL, NULL, false};
	int c, status;

	while ((c = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		if (c == 'r')
			o.root = optarg;
		else if (c == 'j')
			o.json = true;
		else if (c == 'o')
			strv_add(&o.overrides, optarg);
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c == 'V')
			return printf("ssmctl %s\n", PACKAGE_VERSION) < 0;
		else
			return EXIT_USAGE;
	}
	if (optind + 1 != argc) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	status = run(&o, argv[optind]);
	strv_free(o.overrides);
	return status;
}
