/* SPDX-License-Identifier: Apache-2.0 */
/* ssmctl: the administrator's tool. Options, and which command takes which of them. */
#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/opts.h"
#include "core/tool/ask.h"
#include "core/tool/cli.h"
#include "core/tool/tool.h"

#define CACHE_MAX (16u << 20) /* of plugins.json, as core/agent/plugin_cache.c has it */

static const char help[] =
	"Usage: ssmctl [OPTION]... COMMAND [ARGUMENT]...\n"
	"Asks the running agent, reads what it left on disk, or runs a document by itself.\n"
	"\n"
	"Commands:\n"
	"  status              connection, health, commands that run or wait, problems\n"
	"  jobs                the commands that are kept on this node\n"
	"  jobs ID             one of them, step by step\n"
	"  jobs -f ID          its output while it is written; ends as the command does\n"
	"  output ID [STEP]    what its steps wrote; STEP is a name or the number of its files\n"
	"  run FILE            run a document (JSON, or YAML in *.yaml), without service;\n"
	"                      - reads JSON from standard input\n"
	"  plugins             plugins, what they provide, why one is refused\n"
	"  whoami              identity; the credentials in use; which were passed over and why\n"
	"  check-config        read the configuration; 1 and the reason when it is wrong\n"
	"  dump-config         every value with its origin\n"
	"\n"
	"Options:\n"
	"  -f, --follow              of jobs\n"
	"  -p, --parameters P        of run: NAME=VALUE, or an object as JSON; as often as needed\n"
	"  -n, --dry-run             of run: print the steps after substitution, run none\n"
	"  --json                    print the answer as JSON; of run: each reply, a line each,\n"
	"                            as it would go to the service\n"
	"  --root DIR                all folders below DIR, as given to ssm-agent\n"
	"  -o SECTION.KEY=VALUE      as the agent's\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done, 1 failed (the reason is on stderr), 2 wrong usage, 3 status found\n"
	"problems. Of run and jobs -f: 0 success, the exit code of the first step that failed,\n"
	"124 timed out, 125 nothing could be run, 130 cancelled, 194 asks for a restart.\n";

static void
keep_warning(void *arg, const char *text)
{
	(void)json_array_append_new(arg, json_string(text));
}

/* What the agent has noted of its plugins tells their options without loading them here. */
static void
check_plugins(const struct conf *c, conf_warn_fn *warn, void *arg)
{
	autofree char *path = xasprintf("%s/plugins.json", conf_path(c, CONF_PATH_CACHE));
	autofree char *text = NULL;
	size_t len = 0;
	autojson json_t *cache = fs_read(AT_FDCWD, path, CACHE_MAX, &text, &len, NULL) < 0
					 ? NULL
					 : json_parse(text, len, path, NULL);
	const char *file;
	json_t *one;

	json_object_foreach(json_object_get(cache, "files"), file, one) {
		const json_t *descriptor = json_object_get(one, "descriptor");

		if (json_is_object(descriptor))
			opts_check_section(c, descriptor, warn, arg);
	}
}

static int
check_config(const struct options *o)
{
	struct conf_spec spec = { o->root, o->overrides };
	struct err e = { 0, "" };
	json_t *warnings = json_array();
	struct conf *c = o->json ? conf_load(&spec, keep_warning, warnings, &e)
				 : tool_conf(o, true);
	int status = c ? 0 : EXIT_FAILED;

	if (c)
		check_plugins(c, o->json ? keep_warning : tool_warn, warnings);
	if (o->json) {
		autojson json_t *v =
			json_pack("{s:b,s:O}", "good", c != NULL, "warnings", warnings);

		if (!c)
			(void)json_object_set_new(v, "error", json_string(err_text(&e)));
		tool_print_json(v);
	} else if (c) {
		puts("The configuration is good.");
	}
	json_decref(warnings);
	conf_free(c);
	return status;
}

/* "Section.Key = value  # origin" of each line; the origin has no such mark in it. */
static json_t *
dump_as_json(const char *text)
{
	autostrv char **lines = strv_split(text, "\n");
	json_t *all = json_object();

	for (char **line = lines; line && *line; line++) {
		char *equals = strstr(*line, " ="), *mark = NULL;

		for (char *at = *line; equals && (at = strstr(at, "  # ")); at++)
			mark = at;
		if (!mark || mark < equals)
			continue;
		*equals = *mark = '\0';
		(void)json_object_set_new(all, *line,
					  json_pack("{s:s,s:s}", "value", text_trim(equals + 2),
						    "origin", mark + strlen("  # ")));
	}
	return all;
}

static int
dump_config(const struct options *o)
{
	struct conf *c = tool_conf(o, true);
	autofree char *text = c ? conf_dump(c) : NULL;

	if (!c)
		return EXIT_FAILED;
	if (o->json) {
		autojson json_t *all = dump_as_json(text);

		tool_print_json(all);
	} else {
		fputs(text, stdout);
	}
	conf_free(c);
	return 0;
}

/* ------------------------------------------------------------- questions */

static void
print_features(const json_t *plugin)
{
	static const char *const kinds[] = { "vendor",	 "action",  "topic",   "session",
					     "gatherer", "service", "identity" };
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
	static const char *const keys[] = { "Calls", "Transfer", "RunAs" };
	json_t *row;
	size_t i;

	for (i = 0; i < NELEMS(keys); i++)
		if (json_str(plugin, keys[i], NULL))
			printf("    %s = %s\n", keys[i], json_str(plugin, keys[i], ""));
	json_array_foreach(json_object_get(plugin, "unused"), i, row)
		printf("    not used: %s: %s\n", json_str(row, "name", ""),
		       json_str(row, "reason", ""));
	json_array_foreach(json_object_get(plugin, "warnings"), i, row)
		printf("    warning: %s\n", json_string_value(row));
}

static void
print_plugins(const json_t *all)
{
	json_t *one;
	size_t i;

	json_array_foreach(all, i, one)
	{
		const char *reason = json_str(one, "reason", "");
		const char *state = json_str(one, "state", "");

		printf("%s  %s%s%s  %s%s%s\n", json_str(one, "name", ""),
		       tool_style(stdout, tool_style_of(state)), state, tool_plain(stdout),
		       json_str(one, "path", ""), *reason ? ": " : "", reason);
		print_features(one);
		print_rights(one);
	}
	if (json_array_size(all) == 0)
		puts("No plugins were found.");
}

/* Without a running agent the chain is walked by the agent's own program, once. */
static int
become_whoami(const struct options *o)
{
	char how[] = "--whoami", json[] = "--json";
	char *const argv[] = { how, o->json ? json : NULL, NULL };

	return tool_become_agent(o, argv);
}

static bool
nobody_there(const struct err *e)
{
	return e->code == -ENOENT || e->code == -ECONNREFUSED;
}

static int
ask(const struct options *o, const char *what)
{
	struct conf *c = tool_conf(o, false);
	struct err e = { 0, "" };
	autojson json_t *answer = NULL;

	if (!c)
		return EXIT_FAILED;
	answer = ask_agent(conf_path(c, CONF_PATH_RUN), what, &e);
	conf_free(c);
	if (!answer && strcmp(what, "whoami") == 0 && nobody_there(&e))
		return become_whoami(o);
	if (!answer)
		return tool_fail("%s", err_text(&e));
	if (!o->json && strcmp(what, "plugins") == 0)
		print_plugins(answer);
	else if (!o->json && json_str(answer, "text", NULL))
		fputs(json_str(answer, "text", ""), stdout);
	else
		tool_print_json(answer);
	return json_bool(answer, "healthy", true) ? 0 : EXIT_UNHEALTHY;
}

static int
ask_whoami(const struct options *o)
{
	return ask(o, "whoami");
}

static int
ask_status(const struct options *o)
{
	return ask(o, "status");
}

static int
ask_plugins(const struct options *o)
{
	return ask(o, "plugins");
}

/* ---------------------------------------------------------------- commands */

static const struct command {
	const char *name;
	int args_min, args_max;
	const char *options; /* letters of its own */
	int (*run)(const struct options *o);
} commands[] = {
	{ "whoami", 0, 0, "", ask_whoami },	    { "status", 0, 0, "", ask_status },
	{ "plugins", 0, 0, "", ask_plugins },	    { "jobs", 0, 1, "f", command_jobs },
	{ "output", 1, 2, "", command_output },	    { "run", 1, 1, "pn", command_run },
	{ "check-config", 0, 0, "", check_config }, { "dump-config", 0, 0, "", dump_config },
};

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	tool_fail("there is no command '%s'; 'ssmctl --help' lists them", name);
	return NULL;
}

/* GIVEN: the letters of the options that were there. */
static bool
fits(const struct command *c, int args, const char *given)
{
	if (given[strspn(given, c->options)]) {
		tool_fail("'%s' does not take -%c; 'ssmctl --help' says what it takes", c->name,
			  given[strspn(given, c->options)]);
		return false;
	}
	if (args >= c->args_min && args <= c->args_max)
		return true;
	tool_fail(args < c->args_min ? "'%s' needs an argument; 'ssmctl --help' says which"
				     : "'%s' does not take so many arguments",
		  c->name);
	return false;
}

static int
run(struct options *o, int argc, char **argv, const char *given)
{
	const struct command *c;

	if (argc < 1) {
		fputs(help, stderr);
		return EXIT_USAGE;
	}
	c = find_command(argv[0]);
	if (!c || !fits(c, argc - 1, given))
		return EXIT_USAGE;
	o->args = argv + 1;
	return c->run(o);
}

/* --root and -o before the command are ours: what stands behind it is the reference's. */
static int
run_cli(int argc, char **argv)
{
	static const struct option longs[] = { { "root", required_argument, NULL, 'r' },
					       { NULL, 0, NULL, 0 } };
	struct options o = { 0 };
	int c, status;

	while ((c = getopt_long(argc, argv, "+o:", longs, NULL)) != -1) {
		if (c == 'r')
			o.root = optarg;
		else if (c == 'o')
			strv_add(&o.overrides, optarg);
		else
			return EXIT_USAGE;
	}
	status = cli_main(&o, argv + optind);
	strv_free(o.overrides);
	return status;
}

static bool
is_called(const char *program, const char *name)
{
	const char *slash = strrchr(program, '/');

	return strcmp(slash ? slash + 1 : program, name) == 0;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "follow", no_argument, NULL, 'f' },
		{ "parameters", required_argument, NULL, 'p' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	char given[4] = "";
	int c, status;

	if (argc > 0 && is_called(argv[0], "ssm-cli"))
		return run_cli(argc, argv);

	while ((c = getopt_long(argc, argv, "o:fp:n", longs, NULL)) != -1) {
		if (strchr("fpn", c) && !strchr(given, c))
			given[strlen(given)] = (char)c;
		if (c == 'r')
			o.root = optarg;
		else if (c == 'j')
			o.json = true;
		else if (c == 'f')
			o.follow = true;
		else if (c == 'n')
			o.dry_run = true;
		else if (c == 'p')
			strv_add(&o.parameters, optarg);
		else if (c == 'o')
			strv_add(&o.overrides, optarg);
		else if (c == 'h')
			return fputs(help, stdout) < 0;
		else if (c == 'V')
			return printf("ssmctl %s\n", PACKAGE_VERSION) < 0;
		else
			return EXIT_USAGE;
	}
	status = run(&o, argc - optind, argv + optind, given);
	strv_free(o.overrides);
	strv_free(o.parameters);
	return status;
}
