/* SPDX-License-Identifier: Apache-2.0 */
/* Commands for scripts that were written for the reference's tool. Where it answered a failure with
 * exit status 0, ours is 255. */
#include "core/tool/cli.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/tool/ask.h"

#define DOCUMENT_MAX (1u << 20)
#define INBOX "localcommands"
#define ID_LEN (RAND_UUID_SIZE - 1)
#define TRIES 50 /* 100 ms each */

static const char usage[] =
	"usage: ssm-cli [options] <command> [subcommand1 subcommand2...] [parameters]\n"
	"To see help text, you can run:\n\n"
	"  ssm-cli help\n"
	"  ssm-cli <command> help\n"
	"  ssm-cli <command> <subcommand> help\n";

static int
fail(int status, const struct err *e)
{
	printf("%s\nerror: %s\n", usage, err_text(e));
	return status;
}

/* ---------------------------------------------------------------- parsing */

static char *
lower(const char *s)
{
	char *out = xstrdup(s);

	for (char *at = out; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	return out;
}

int
cli_parse(char *const *words, struct cli_args *ret, struct err *e)
{
	json_t *values = NULL;

	*ret = (struct cli_args){ json_object(), NULL };
	for (; *words; words++) {
		bool is_name = text_starts(*words, "--");
		autofree char *name = is_name ? lower(*words + 2) : NULL;
		json_t *value;

		if (is_name && !*name)
			return err_set(e, -EINVAL, "input contains parameter with no name");
		if (is_name && json_object_get(ret->parameters, name))
			return err_set(e, -EINVAL, "duplicate parameter %s", name);
		value = is_name ? (values = json_array()) : json_string(*words);
		if (is_name ? json_object_set_new(ret->parameters, name, value) < 0 : !value)
			return err_set(e, -EINVAL, "the input is not UTF-8");
		if (is_name)
			continue;
		if (values)
			(void)json_array_append(values, value);
		else
			strv_add(&ret->subcommands, *words);
		json_decref(value);
	}
	return 0;
}

void
cli_args_done(struct cli_args *a)
{
	json_decref(a->parameters);
	a->subcommands = strv_free(a->subcommands);
}

/* Failures are told together, a line each. */
static void
add_failure(struct err *e, const char *text)
{
	size_t len = strlen(e->text);

	e->code = -EINVAL;
	(void)snprintf(e->text + len, sizeof(e->text) - len, "%s%s", len ? "\n" : "", text);
}

static void
check_unknown(const struct cli_args *a, const char *known, const char *flag, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach(a->parameters, name, v)
	{
		autofree char *text = xasprintf("unknown parameter --%s", name);

		if (strcmp(name, known) != 0 && (!flag || strcmp(name, flag) != 0))
			add_failure(e, text);
	}
}

/* The only value of a parameter that must be there, or NULL with E. */
static const char *
one_value(const struct cli_args *a, const char *name, struct err *e)
{
	const json_t *values = json_object_get(a->parameters, name);
	autofree char *text = NULL;

	if (json_array_size(values) == 1)
		return json_string_value(json_array_get(values, 0));
	text = values ? xasprintf("expected 1 value for parameter --%s", name)
		      : xasprintf("--%s is required", name);
	add_failure(e, text);
	return NULL;
}

/* --------------------------------------------------------------- identity */

static char *
capture(const struct options *o, const char *how, const char *more, struct err *e)
{
	autofree char *first = xstrdup(how), *second = xstrdup(more);
	char *const further[] = { first, second, NULL };
	struct sbuf b = SBUF_INIT(DOCUMENT_MAX);
	int fd = -1;
	pid_t pid = tool_start_agent(o, further, NULL, &fd, e);

	if (pid < 0)
		return NULL;
	while (sbuf_read(&b, fd, 65536) > 0)
		;
	close(fd);
	(void)tool_wait(pid);
	return sbuf_take(&b, NULL);
}

json_t *
cli_whoami(const struct options *o, struct err *e)
{
	struct conf *c = tool_conf(o, false);
	json_t *who = c ? ask_agent(conf_path(c, CONF_PATH_RUN), "whoami", NULL) : NULL;
	autofree char *text = NULL;

	conf_free(c);
	if (*json_str(who, "instance_id", ""))
		return who;
	json_decref(who);
	text = capture(o, "--whoami", "--json", e);
	return text ? json_parse(text, strlen(text), "whoami", e) : NULL;
}

json_t *
cli_caller(const struct options *o, struct err *e)
{
	autofree char *text = capture(o, "--whoami=caller", "--json", e);

	return text ? json_parse(text, strlen(text), "whoami", e) : NULL;
}

char *
cli_version(const struct options *o)
{
	static const char mark[] = "(reported as ";
	autofree char *text = capture(o, "--version", NULL, NULL);
	const char *start = text ? strstr(text, mark) : NULL;

	if (!start)
		return xstrdup("");
	start += strlen(mark);
	return xstrndup(start, strcspn(start, ")"));
}

static int
get_instance_information(const struct options *o, const struct cli_args *a, struct err *e)
{
	autojson json_t *who = NULL;
	autofree char *version = NULL, *text = NULL;
	autojson json_t *answer = NULL;

	check_unknown(a, "", NULL, e);
	if (e->code)
		return e->code;
	who = cli_whoami(o, e);
	if (!*json_str(who, "instance_id", ""))
		return err_set(e, -ENOENT, "failed to find agent identity");
	version = cli_version(o);
	answer = json_pack("{s:s,s:s,s:s}", "instance-id", json_str(who, "instance_id", ""),
			   "region", json_str(who, "region", ""), "release-version", version);
	text = json_text(answer);
	puts(text);
	return 0;
}

static int
get_diagnostics(const struct options *o, const struct cli_args *a, struct err *e)
{
	const json_t *output = json_object_get(a->parameters, "output");
	const char *how = json_string_value(json_array_get(output, 0)), *name;
	autojson json_t *all = NULL;
	autofree char *table = NULL;
	json_t *v;

	json_object_foreach(a->parameters, name, v) if (strcmp(name, "output") != 0) return err_set(
		e, -EINVAL, "'%s' is not a supported parameter for get-diagnostics", name);
	if (output && json_array_size(output) != 1)
		return err_set(e, -EINVAL,
			       "Output parameter only supports one of the following "
			       "values: [json table]");
	if (how && strcmp(how, "json") != 0 && strcmp(how, "table") != 0)
		return err_set(e, -EINVAL, "'%s' is not a supported output parameter value", how);
	if (geteuid() != 0 && !o->root) {
		puts("binary needs to be executed by root");
		return 0;
	}
	all = json_pack("{s:o}", "DiagnosticsOutput", diagnose(o));
	if (!how || strcmp(how, "json") == 0) {
		tool_print_json(all);
		return 0;
	}
	table = diagnose_table(json_object_get(all, "DiagnosticsOutput"), 80);
	fputs(table, stdout);
	return 0;
}

/* --------------------------------------------------------------- the inbox */

static int
open_inbox(const struct options *o, struct err *e)
{
	struct conf *c = tool_conf(o, false);
	autofree char *path = c ? xasprintf("%s/" INBOX, conf_path(c, CONF_PATH_STATE)) : NULL;
	int fd = path ? fs_open_dir(AT_FDCWD, path, e) : err_set(e, -EINVAL, "no configuration");

	conf_free(c);
	return fd;
}

static json_t *
read_content(const char *value, struct err *e)
{
	json_t *v = json_parse(value, strlen(value), "content", NULL);
	autofree char *text = NULL;
	size_t len = 0;

	if (v)
		return v;
	if (text_starts(value, "file://")) {
		if (fs_read(AT_FDCWD, value + strlen("file://"), DOCUMENT_MAX, &text, &len, e) < 0)
			return NULL;
		return json_parse(text, len, "the document", e);
	}
	if (strstr(value, "://"))
		err_set(e, -EOPNOTSUPP, "only file:// is read; fetch '%s' first", value);
	else
		err_set(e, -EINVAL, "--content value must be valid json or a URL");
	return NULL;
}

static int
check_document(const json_t *v, struct err *e)
{
	static const char *const later[] = { "2.0", "2.0.1", "2.0.2", "2.0.3", "2.2" };
	const char *version = json_str(v, "schemaVersion", "");
	bool is_later = false;

	for (size_t i = 0; i < NELEMS(later); i++)
		is_later = is_later || strcmp(version, later[i]) == 0;
	if (strcmp(version, "1.2") != 0 && !is_later)
		return err_set(e, -EINVAL, "unsupported schema version %s", version);
	if (!is_later && json_object_size(json_object_get(v, "runtimeConfig")) == 0)
		return err_set(e, -EINVAL, "runtimeConfig cannot be empty");
	if (is_later && json_array_size(json_object_get(v, "mainSteps")) == 0)
		return err_set(e, -EINVAL, "mainSteps cannot be empty");
	return 0;
}

/* The file in FOLDER of the inbox whose name begins, or ends, with PART. Caller frees. */
static char *
find_file(int inbox, const char *folder, const char *part, bool at_end)
{
	int fd = fs_open_dir(inbox, folder, NULL);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	char *found = NULL;

	while (d && !found && (entry = readdir(d)))
		if (at_end ? text_ends(entry->d_name, part) : text_starts(entry->d_name, part))
			found = xstrdup(entry->d_name);
	if (d)
		closedir(d);
	return found;
}

static int
wait_for_answer(int inbox, const char *name, struct err *e)
{
	autofree char *part = xasprintf("%s.", name);

	for (int i = 0; i < TRIES; i++) {
		autofree char *good = find_file(inbox, "submitted", part, false);
		autofree char *bad = find_file(inbox, "invalid", part, false);

		if (good) {
			printf("successfully submitted with command id: %s\n", good + strlen(part));
			return 0;
		}
		if (bad)
			return err_set(e, -EINVAL,
				       "failed to submit document: document was invalid");
		(void)poll(NULL, 0, 100);
	}
	(void)unlinkat(inbox, name, 0);
	return err_set(e, -ETIMEDOUT, "failed to submit document: timed out");
}

static int
send_offline_command(const struct options *o, const struct cli_args *a, struct err *e)
{
	const char *value = one_value(a, "content", e);
	autojson json_t *v = NULL;
	autofree char *text = NULL;
	autoclose int inbox = -1;
	char name[RAND_UUID_SIZE];
	int r;

	check_unknown(a, "content", NULL, e);
	v = e->code ? NULL : read_content(value, e);
	if (!v || check_document(v, e) < 0)
		return e->code;
	inbox = open_inbox(o, e);
	if (inbox < 0)
		return inbox;
	text = json_text(v);
	rand_uuid4(name);
	r = fs_write_atomic(inbox, name, text, strlen(text), 0600, true, e);
	return r < 0 ? r : wait_for_answer(inbox, name, e);
}

/* Complete when it is: the reference says so from the first reply on. */
static const char *
state_of(int inbox, const char *id)
{
	autofree char *end = xasprintf(".%s", id), *submitted = NULL, *text = NULL;
	autoclose int dir = fs_open_dir(inbox, "completed", NULL);
	autojson json_t *reply = NULL;
	size_t len = 0;

	if (dir >= 0 && fs_read(dir, id, 8 * DOCUMENT_MAX, &text, &len, NULL) == 0) {
		reply = json_parse(text, len, "the reply", NULL);
		return strcmp(json_str(reply, "documentStatus", ""), "InProgress") == 0
			? "In Progress"
			: "Complete";
	}
	submitted = find_file(inbox, "submitted", end, true);
	return submitted ? "Pending" : NULL;
}

static int
get_offline_command_invocation(const struct options *o, const struct cli_args *a, struct err *e)
{
	const char *id = one_value(a, "command-id", e), *state;
	autoclose int inbox = -1;
	autofree char *text = NULL;

	if (id && strlen(id) != ID_LEN) {
		text = xasprintf("Invalid length for parameter --command-id.  Length was %zu "
				 "should be %zu",
				 strlen(id), (size_t)ID_LEN);
		add_failure(e, text);
	}
	if (json_array_size(json_object_get(a->parameters, "details")) > 0)
		add_failure(e, "flag --details should not have any values");
	check_unknown(a, "command-id", "details", e);
	if (e->code)
		return e->code;
	inbox = open_inbox(o, e);
	if (inbox < 0)
		return inbox;
	state = fs_is_plain_name(id) ? state_of(inbox, id) : NULL;
	if (!state)
		return err_set(e, -ENOENT, "No status found for command ID %s", id);
	puts(state);
	return 0;
}

/* ---------------------------------------------------------------- commands */

static const struct cli_command {
	const char *name, *parameters, *about;
	int (*run)(const struct options *o, const struct cli_args *a, struct err *e);
} commands[] = {
	{ "get-diagnostics", "[--output json|table]",
	  "Checks whether this node can be managed, and says what is in the way.",
	  get_diagnostics },
	{ "get-instance-information", "", "Prints the id, the region and the agent's version.",
	  get_instance_information },
	{ "get-offline-command-invocation", "--command-id <value> [--details]",
	  "Prints the state of an offline command.", get_offline_command_invocation },
	{ "send-offline-command", "--content <value>",
	  "Runs a document on this node: its JSON text, or a file:// URL.", send_offline_command },
};

static void
list_commands(void)
{
	for (size_t i = 0; i < NELEMS(commands); i++)
		puts(commands[i].name);
}

static int
print_help(void)
{
	puts("ssm-cli\nSubmit commands directly to the local amazon-ssm-agent service.\n"
	     "You will need to have admin rights to run most commands.\n\nAvailable commands:");
	list_commands();
	return 0;
}

static int
print_command_help(const struct cli_command *c)
{
	printf("NAME\n\t%s\n\nDESCRIPTION\n\t%s\n\nSYNOPSIS\n\tssm-cli %s %s\n", c->name, c->about,
	       c->name, c->parameters);
	return 0;
}

static const struct cli_command *
find_command(const char *name)
{
	for (size_t i = 0; i < NELEMS(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int
run_command(const struct options *o, const struct cli_command *c, const struct cli_args *a)
{
	const char *sub = a->subcommands ? a->subcommands[0] : NULL;
	struct err e = { 0, "" };

	if ((sub && strcasecmp(sub, "help") == 0) || json_object_get(a->parameters, "help"))
		return print_command_help(c);
	if (sub)
		err_set(&e, -EINVAL, "%s does not support subcommand [%s]", c->name, sub);
	else
		(void)c->run(o, a, &e);
	return e.code ? fail(CLI_FAILED, &e) : 0;
}

int
cli_main(const struct options *o, char *const *words)
{
	autofree char *name = words[0] ? lower(words[0]) : NULL;
	const struct cli_command *c = name ? find_command(name) : NULL;
	struct cli_args a;
	struct err e = { 0, "" };
	int status;

	if (!name) {
		err_set(&e, -EINVAL, "command is required");
		return fail(EXIT_USAGE, &e);
	}
	if (strcmp(name, "help") == 0)
		return print_help();
	if (!c) {
		printf("%s\nInvalid command %s.  The following commands are supported:\n\n", usage,
		       name);
		list_commands();
		return EXIT_USAGE;
	}
	status = cli_parse(words + 1, &a, &e) < 0 ? fail(EXIT_USAGE, &e) : run_command(o, c, &a);
	cli_args_done(&a);
	return status;
}
