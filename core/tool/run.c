/* SPDX-License-Identifier: Apache-2.0 */
/* ssmctl run: a document from a file, by the agent's own engine, without service and agent.
 *
 * ssm-agent --run does the work, in a folder of its own that is removed afterwards. It tells us of
 * each reply; what steps write is followed in that folder, as with jobs --follow. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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
#include "core/tool/follow.h"
#include "core/tool/outcome.h"
#include "core/tool/tool.h"
#ifdef HAVE_YAML
#include "core/yaml/yaml.h"
#endif

#define RUN_TOPIC "ssm.offlineCommand.run"
#define SHOW_TOPIC "ssm.showCommand.run"
#define DOCUMENT_MAX (1u << 20)
#define EVENT_MAX (8u << 20)

struct run {
	const struct options *o;
	char *folder; /* temporary */
	struct outcome *out;
	struct follow *follow;
	struct sbuf events;
	json_t *show; /* the answer to --dry-run */
	bool failed, restart, over;
};

static int
not_run(const struct err *e)
{
	tool_fail("%s", err_text(e));
	return EXIT_NOT_RUN;
}

/* -------------------------------------------------------------- the message */

static int
read_text(const char *file, struct sbuf *b, struct err *e)
{
	bool is_stdin = strcmp(file, "-") == 0;
	autoclose int fd = is_stdin ? dup(STDIN_FILENO) : open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -errno : 1;

	while (n > 0)
		n = sbuf_read(b, fd, 65536);
	if (n == -E2BIG || b->err)
		return err_set(e, -E2BIG, "'%s' has more than %u bytes", file, DOCUMENT_MAX);
	return n < 0 ? err_set(e, (int)n, "cannot read '%s': %s", file, strerror((int)-n)) : 0;
}

/* By the name, as editors tell them apart. The service makes JSON of YAML before it sends it. */
static json_t *
parse_document(const char *file, const struct sbuf *b, bool is_yaml, struct err *e)
{
	if (!is_yaml)
		return json_parse(sbuf_str(b), b->len, file, e);
#ifdef HAVE_YAML
	return yaml_parse(sbuf_str(b), b->len, file, e);
#else
	err_set(e, -ENOSYS, "'%s' is YAML, which this ssmctl was built without; convert it", file);
	return NULL;
#endif
}

/* JSON stays as it is written: numbers would not survive a round trip. */
static int
read_document(const char *file, char **ret, struct err *e)
{
	bool is_yaml = text_ends(file, ".yaml") || text_ends(file, ".yml");
	autosbuf struct sbuf b = SBUF_INIT(DOCUMENT_MAX);
	autojson json_t *doc = NULL;

	if (read_text(file, &b, e) < 0)
		return e->code;
	doc = parse_document(file, &b, is_yaml, e);
	if (doc && !json_is_object(doc))
		return err_set(e, -EINVAL, "'%s' is no document: it is no object", file);
	if (!doc)
		return e->code;
	*ret = is_yaml ? json_text(doc) : sbuf_take(&b, NULL);
	return 0;
}

/* The plugin makes of the texts what the document defines, as the service does. */
static void
add_values(json_t *all, const char *name, json_t *values)
{
	autofree char *text =
		json_is_number(values) || json_is_boolean(values) ? json_text(values) : NULL;

	if (json_is_string(values))
		(void)json_object_set_new(all, name, json_pack("[O]", values));
	else if (text)
		(void)json_object_set_new(all, name, json_pack("[s]", text));
	else
		(void)json_object_set(all, name, values);
}

static int
add_json(json_t *all, const char *text, struct err *e)
{
	autojson json_t *given = json_parse(text, strlen(text), "--parameters", e);
	const char *name;
	json_t *values;

	if (!given)
		return -EINVAL;
	if (!json_is_object(given))
		return err_set(e, -EINVAL, "--parameters is to be an object, or NAME=VALUE");
	json_object_foreach(given, name, values) add_values(all, name, values);
	return 0;
}

/* NAME=VALUE once more makes a list. */
static int
add_pair(json_t *all, const char *text, struct err *e)
{
	const char *equals = strchr(text, '=');
	autofree char *name = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;
	json_t *value = equals ? json_string(equals + 1) : NULL, *list;

	if (!equals || !*name || !value) {
		json_decref(value);
		return err_set(e, -EINVAL, "'%s' is neither NAME=VALUE nor a JSON object", text);
	}
	list = json_object_get(all, name);
	if (!json_is_array(list)) {
		list = json_array();
		(void)json_object_set_new(all, name, list);
	}
	return json_array_append_new(list, value);
}

static json_t *
parameters(const struct options *o, struct err *e)
{
	json_t *all = json_object();
	int r = 0;

	for (char **p = o->parameters; p && *p && r == 0; p++)
		r = (*p)[strspn(*p, " \t\n")] == '{' ? add_json(all, *p, e) : add_pair(all, *p, e);
	if (r == 0)
		return all;
	json_decref(all);
	return NULL;
}

static char *
payload(const struct options *o, const char *id, struct err *e)
{
	const char *file = o->args[0], *slash = strrchr(file, '/');
	autojson json_t *given = parameters(o, e);
	autofree char *document = NULL, *given_text = NULL;
	autosbuf struct sbuf b = SBUF_INIT(8 * DOCUMENT_MAX);
	const char *name = slash ? slash + 1 : file;

	if (!given || read_document(file, &document, e) < 0)
		return NULL;
	given_text = json_text(given);
	(void)sbuf_addf(&b, "{\"CommandId\":\"%s\",\"DocumentName\":", id);
	(void)json_add_string_go(&b, name, strlen(name));
	(void)sbuf_addf(&b, ",\"DocumentContent\":%s,\"Parameters\":%s}", document, given_text);
	return sbuf_take(&b, NULL);
}

/* As the agent that runs here knows it; else it is found out. */
static void
add_identity(const struct options *o, json_t *request)
{
	struct conf *c = tool_conf(o, false);
	autojson json_t *who = c ? ask_agent(conf_path(c, CONF_PATH_RUN), "whoami", NULL) : NULL;
	const char *id = json_str(who, "instance_id", ""), *region = json_str(who, "region", "");

	if (*id && *region) {
		(void)json_object_set_new(request, "instance_id", json_string(id));
		(void)json_object_set_new(request, "region", json_string(region));
	}
	conf_free(c);
}

static json_t *
request(const struct options *o, struct err *e)
{
	char id[RAND_UUID_SIZE];
	autofree char *text = NULL;
	json_t *q;

	rand_uuid4(id);
	text = payload(o, id, e);
	if (!text)
		return NULL;
	q = json_pack("{s:s,s:s,s:s}", "topic", o->dry_run ? SHOW_TOPIC : RUN_TOPIC, "id", id,
		      "payload", text);
	if (q)
		add_identity(o, q);
	else
		err_set(e, -EINVAL, "the document is not UTF-8");
	return q;
}

/* ---------------------------------------------------------------- events */

static void
take_reply(struct run *r, const json_t *event)
{
	const char *text = json_str(event, "text", "");
	bool final = json_bool(event, "final", false);
	size_t fresh = 0, all;

	if (r->o->dry_run) {
		json_decref(r->show);
		r->show = json_parse(text, strlen(text), "the answer", NULL);
		return;
	}
	outcome_add(r->out, text, &fresh);
	all = json_array_size(r->out->steps);
	if (r->o->json)
		printf("%s\n", text);
	else if (!final)
		for (size_t i = all - fresh; i < all; i++)
			outcome_print_step(json_array_get(r->out->steps, i));
	fflush(stdout);
}

static void
take_event(struct run *r, const char *line)
{
	autojson json_t *event = json_parse(line, strlen(line), "an event", NULL);
	const char *what = json_str(event, "event", "");
	struct err e = { 0, "" };

	if (strcmp(what, "started") == 0 && !r->o->json && !r->o->dry_run) {
		r->follow = follow_new(json_str(event, "folder", ""), &e);
		if (!r->follow)
			tool_fail("no output is shown: %s", err_text(&e));
	} else if (strcmp(what, "reply") == 0) {
		take_reply(r, event);
	} else if (strcmp(what, "over") == 0) {
		r->over = true;
		r->restart = json_bool(event, "restart", false);
	} else if (strcmp(what, "failed") == 0) {
		r->failed = true;
		tool_fail("%s", json_str(event, "error", "it could not be started"));
	}
}

static void
print_output(struct run *r)
{
	if (r->follow && !follow_print(r->follow))
		r->follow = follow_free(r->follow);
}

/* What was written before a reply is shown before it. */
static void
take_lines(struct run *r)
{
	char *newline;

	print_output(r);
	while (r->events.len > 0 && (newline = memchr(r->events.p, '\n', r->events.len))) {
		*newline = '\0';
		take_event(r, r->events.p);
		sbuf_consume(&r->events, (size_t)(newline + 1 - r->events.p));
	}
	print_output(r);
}

static void
listen_to(struct run *r, int fd)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .events = POLLIN } };
	ssize_t n;

	for (;;) {
		p[1].fd = r->follow ? follow_fd(r->follow) : -1;
		p[0].revents = 0;
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents && (n = sbuf_read(&r->events, fd, 65536)) <= 0 && n != -EINTR)
			break;
		take_lines(r);
	}
	take_lines(r);
}

/* ------------------------------------------------------------------- life */

/* State and sockets of its own; of the plugins it is known what the agent knows, where that is ours
 * to read and to write. */
static char **
agent_arguments(const struct run *r)
{
	char **argv = NULL;

	strv_add(&argv, "--run");
	strv_addf(&argv, "-oPaths.State=%s/state", r->folder);
	strv_addf(&argv, "-oPaths.Run=%s/run", r->folder);
	if (geteuid() != 0 && !r->o->root)
		strv_addf(&argv, "-oPaths.Cache=%s/cache", r->folder);
	strv_add(&argv, "-oLog.Target=stderr");
	strv_add(&argv, "-oLog.File=no");
	strv_add(&argv, "-oLog.Level=error");
	return argv;
}

static int
send_request(int fd, const json_t *q, struct err *e)
{
	autofree char *text = json_text(q);
	int n = fs_write_all(fd, text, strlen(text));

	close(fd);
	return n < 0 ? err_set(e, n, "the agent's program did not take it: %s", strerror(-n)) : 0;
}

static void
ignore_signals(void)
{
	const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };

	for (size_t i = 0; i < NELEMS(sigs); i++)
		signal(sigs[i], SIG_IGN);
}

/* Ctrl-C reaches the program, too; it cancels what runs, once, and then we hear of that. */
static pid_t child;

static void
pass_on(int sig)
{
	(void)sig;
	kill(child, SIGTERM);
}

static void
catch_signals(pid_t pid)
{
	struct sigaction sa = { .sa_handler = pass_on };

	child = pid;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

static int
run_agent(struct run *r, const json_t *q, struct err *e)
{
	autostrv char **argv = agent_arguments(r);
	int in = -1, out = -1, n;
	pid_t pid;

	ignore_signals();
	pid = tool_start_agent(r->o, argv, &in, &out, e);
	if (pid < 0)
		return pid;
	catch_signals(pid);
	n = send_request(in, q, e);
	if (n == 0)
		listen_to(r, out);
	close(out);
	if (tool_wait(pid) != 0 && n == 0 && !r->failed && !r->over)
		n = err_set(e, -EIO, "ssm-agent --run ended before the command was over");
	return n;
}

static void
print_shown_step(const json_t *step)
{
	autofree char *name = text_quote(json_str(step, "name", ""), 100);
	autofree char *action = text_quote(json_str(step, "action", ""), 100);
	bool runs = json_bool(step, "runs", false);

	printf("%sstep %s%s, action %s%s\n", tool_style(stdout, runs ? STYLE_BOLD : STYLE_DIM),
	       name, tool_plain(stdout), action, runs ? "" : ", does not run:");
	if (!runs)
		printf("  %s\n", json_str(step, "why", ""));
	if (runs && json_object_get(step, "inputs")) {
		json_dumpf(json_object_get(step, "inputs"), stdout,
			   JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
		putchar('\n');
	}
}

static int
print_shown(const struct run *r)
{
	const char *refused = json_str(r->show, "refused", NULL);
	size_t i;
	json_t *step;

	if (r->o->json && r->show)
		tool_print_json(r->show);
	if (refused || !json_object_get(r->show, "steps")) {
		const char *trace = json_str(r->show, "documentTraceOutput", "no plugin told");

		tool_fail("the document would not run: %s", refused ? refused : trace);
		return EXIT_NOT_RUN;
	}
	if (!r->o->json)
		json_array_foreach(json_object_get(r->show, "steps"), i, step)
			print_shown_step(step);
	return 0;
}

static int
result(struct run *r)
{
	if (r->failed)
		return EXIT_NOT_RUN;
	if (r->o->dry_run)
		return print_shown(r);
	outcome_print_trace(r->out);
	if (r->restart)
		tool_fail("a step asks for a restart of the machine, which is not made; after one, "
			  "run the document again");
	return outcome_exit(r->out);
}

static char *
make_folder(struct err *e)
{
	const char *tmp = secure_getenv("TMPDIR");
	char *path = xasprintf("%s/ssmctl.XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");

	if (mkdtemp(path))
		return path;
	err_set(e, -errno, "cannot make the folder '%s': %m", path);
	free(path);
	return NULL;
}

int
command_run(const struct options *o)
{
	struct run r = { .o = o, .events = SBUF_INIT(EVENT_MAX) };
	struct err e = { 0, "" };
	autojson json_t *q = request(o, &e);
	int status;

	if (q)
		r.folder = make_folder(&e);
	if (!r.folder)
		return not_run(&e);
	r.out = outcome_new();
	status = run_agent(&r, q, &e) < 0 ? not_run(&e) : result(&r);
	if (fs_remove_tree(AT_FDCWD, r.folder, &e) < 0)
		tool_fail("%s", err_text(&e));
	follow_free(r.follow);
	outcome_free(r.out);
	json_decref(r.show);
	sbuf_done(&r.events);
	free(r.folder);
	return status;
}
