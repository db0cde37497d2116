/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-sandbox: a local stand-in for the service. Start, run, end. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "sdk/sandbox/buckets.h"
#include "sdk/sandbox/channel.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/documents.h"
#include "sdk/sandbox/faults.h"
#include "sdk/sandbox/files.h"
#include "sdk/sandbox/journal.h"
#include "sdk/sandbox/kms.h"
#include "sdk/sandbox/logs.h"
#include "sdk/sandbox/options.h"
#include "sdk/sandbox/parameters.h"
#include "sdk/sandbox/server.h"
#include "sdk/sandbox/sessions.h"
#include "sdk/sandbox/state.h"
#include "sdk/sandbox/store.h"
#include "sdk/sandbox/tags.h"

enum {
	EXIT_GOOD,
	EXIT_TROUBLE,
	EXIT_USAGE
};

static void
on_signal(void *arg, uint32_t revents)
{
	struct sandbox *sb = arg;

	(void)revents;
	sb->stop = true;
}

static int
watch_signals(struct sandbox *sb)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	events_watch(sb->ev, fd, EPOLLIN, on_signal, sb);
	return fd;
}

static void
on_stdin(void *arg, uint32_t revents)
{
	struct sandbox *sb = arg;
	char block[256];

	(void)revents;
	if (read(STDIN_FILENO, block, sizeof(block)) <= 0)
		sb->stop = true;
}

/* A folder or file cannot be watched, and would be at its end at once anyway. */
static void
watch_ends(struct sandbox *sb, pid_t parent)
{
	if (sb->set.parent_exit) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			sb->stop = true;
	}
	if (sb->set.stdin_exit && !events_watch(sb->ev, STDIN_FILENO, EPOLLIN, on_stdin, sb))
		sb->stop = true;
}

static void
issue_keys(struct sandbox *sb)
{
	int64_t now = sandbox_now_ms(sb);

	keys_issue(sb->keys, "operator", KEY_OPERATOR, now, 0);
	keys_issue(sb->keys, "static", KEY_NODE, now, 0);
	keys_issue(sb->keys, "profile", KEY_NODE, now, 0);
	keys_issue(sb->keys, "imds", KEY_NODE, now, sb->set.key_life_ms);
	keys_issue(sb->keys, "ecs", KEY_NODE, now, sb->set.key_life_ms);
}

static void
make_parts(struct sandbox *sb, const struct options *o)
{
	sb->keys = keys_new();
	sb->faults = faults_new();
	sb->store = store_new();
	sb->imds_tokens = map_new(free);
	sb->data_keys = map_new(kms_data_key_free);
	sb->buckets = buckets_new();
	sb->loggroups = loggroups_new();
	sb->parameters = parameters_new();
	sb->tags = tags_new();
	issue_keys(sb);
	store_node(sb, sb->set.instance, true);
	for (size_t i = 0; i < strv_len(o->instances); i++)
		store_node(sb, o->instances[i], true);
}

static int
add_faults(struct sandbox *sb, const struct options *o, struct err *e)
{
	for (size_t i = 0; i < strv_len(o->faults); i++)
		if (faults_add_text(sb->faults, o->faults[i], e) < 0)
			return e->code;
	return 0;
}

static int
open_parts(struct sandbox *sb, struct err *e)
{
	autofree char *journal = files_path(sb, "journal.jsonl");
	autofree char *socket_path = files_path(sb, "control.sock");

	if (!sb->set.journal_off) {
		sb->journal = journal_open(journal, e);
		if (!sb->journal)
			return e->code;
	}
	sb->documents = documents_open(sb->set.builtin, sb->set.documents, e);
	if (!sb->documents)
		return e->code;
	if (!sb->set.state_off) {
		sb->state = state_open(sb, e);
		if (!sb->state)
			return e->code;
	}
	sb->server = server_open(sb, sb->set.port, e);
	if (!sb->server)
		return e->code;
	sb->control = control_open(sb, socket_path, e);
	return sb->control ? 0 : e->code;
}

static int
announce(struct sandbox *sb, struct err *e)
{
	autojson json_t *line = NULL;
	int err = files_write_all(sb, e);

	if (!err)
		err = files_write_ready(sb, e);
	if (err)
		return err;
	line = files_ready_line(sb);
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	return 0;
}

static void
run(struct sandbox *sb)
{
	while (!sb->stop) {
		server_run_once(sb->server);
		journal_flush(sb->journal);
	}
	files_remove_ready(sb);
}

static void
done(struct sandbox *sb)
{
	sb->state = state_free(sb->state);
	channels_close(sb);
	sessions_close(sb);
	sb->control = control_free(sb->control);
	sb->server = server_free(sb->server);
	sb->journal = journal_free(sb->journal);
	sb->documents = documents_free(sb->documents);
	sb->store = store_free(sb, sb->store);
	sb->faults = faults_free(sb->faults);
	sb->keys = keys_free(sb->keys);
	map_free(sb->imds_tokens);
	map_free(sb->data_keys);
	sb->buckets = buckets_free(sb->buckets);
	sb->loggroups = loggroups_free(sb->loggroups);
	sb->parameters = parameters_free(sb->parameters);
	sb->tags = tags_free(sb->tags);
	secret_free(sb->set.ecs_token);
	free(sb->set.run_as);
	sb->ev = events_free(sb->ev);
}

static int
complain(int status, const struct err *e)
{
	fprintf(stderr, "ssm-sandbox: %s\n", err_text(e));
	return status;
}

/* Other programs use the files: names in them have to be whole. */
static int
resolve_root(struct sandbox *sb, char **ret, struct err *e)
{
	int err = files_make_root(sb, e);

	if (err)
		return err;
	*ret = realpath(sb->set.root, NULL);
	if (!*ret)
		return err_set(e, -errno, "cannot resolve the folder '%s': %m", sb->set.root);
	sb->set.root = *ret;
	/* One that a killed sandbox left behind would be taken for ours. */
	files_remove_ready(sb);
	return 0;
}

static int
start_and_run(struct sandbox *sb, const struct options *o, pid_t parent)
{
	autofree char *root = NULL, *zone = NULL;
	autoclose int signals = -1;
	struct err e = { 0 };
	int err;

	sb->set = o->set;
	sb->set.ecs_token = xstrdup(o->set.ecs_token);
	if (!sb->set.zone)
		sb->set.zone = zone = xasprintf("%sa", sb->set.region);
	sb->ev = events_new(&e);
	if (!sb->ev)
		return complain(EXIT_TROUBLE, &e);
	signals = watch_signals(sb);
	make_parts(sb, o);
	err = add_faults(sb, o, &e);
	if (!err)
		err = resolve_root(sb, &root, &e);
	if (!err)
		err = open_parts(sb, &e);
	if (!err)
		err = announce(sb, &e);
	if (!err) {
		watch_ends(sb, parent);
		run(sb);
	}
	done(sb);
	return err ? complain(EXIT_TROUBLE, &e) : EXIT_GOOD;
}

int
main(int argc, char **argv)
{
	struct sandbox sb = { 0 };
	struct options o;
	struct err e = { 0 };
	pid_t parent = getppid();
	int status = EXIT_GOOD;

	proc_reset_signals();
	if (argc > 1 && strcmp(argv[1], "ctl") == 0)
		return ctl_main(argc - 1, argv + 1);
	if (options_parse(argc, argv, &o, &e) < 0)
		status = complain(EXIT_USAGE, &e);
	else if (o.help)
		options_help();
	else if (o.version)
		puts("ssm-sandbox " SANDBOX_VERSION);
	else if (!o.set.root) {
		err_set(&e, -EINVAL, "--root DIR is needed: the folder for its files; see --help");
		status = complain(EXIT_USAGE, &e);
	} else
		status = start_and_run(&sb, &o, parent);
	options_done(&o);
	return status;
}
