/* SPDX-License-Identifier: Apache-2.0 */
/* What survives a restart of the sandbox: when it is written, where, and how it is read back.
 * One file for each command, because a busy sandbox changes few of many. */
#include "sdk/sandbox/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/files.h"

#define STORE "store.json"
#define COMMANDS "commands"
#define SUFFIX ".json"

struct state {
	struct sandbox *sb;
	int dir, commands; /* descriptors of the folders */
	struct timer timer;
	bool ready, store_changed, complained;
	struct list changed; /* commands */
	size_t oldest;	     /* place of the first command that has a file */
	size_t bytes;	     /* of those files */
};

/* ---- writing ---- */

/* Once: the next try will fail for the same reason, and the sandbox is of use without. */
static void
complain(struct state *st, const struct err *e)
{
	if (!st->complained)
		fprintf(stderr, "ssm-sandbox: the state is not kept: %s\n", err_text(e));
	st->complained = true;
}

static void
write_store(struct state *st)
{
	autojson json_t *store = state_store_make(st->sb);
	autofree char *text = json_text(store);
	struct err e = { 0 };

	st->store_changed = false;
	if (fs_write_atomic(st->dir, STORE, text, strlen(text), 0600, false, &e) < 0)
		complain(st, &e);
}

static void
drop_file(struct state *st, struct command *cmd)
{
	autofree char *name = xasprintf("%s" SUFFIX, cmd->id);

	st->bytes -= cmd->file_bytes;
	cmd->file_bytes = 0;
	unlinkat(st->commands, name, 0);
}

/* The oldest go, until count and size are within their limits. */
static void
drop_oldest(struct state *st)
{
	const struct store *store = st->sb->store;

	while (st->oldest < store->order_count &&
	       (store->order_count - st->oldest > STATE_COMMANDS_MAX ||
		st->bytes > STATE_BYTES_MAX)) {
		struct command *cmd = store->order[st->oldest++];

		if (cmd->file_bytes)
			drop_file(st, cmd);
	}
}

static void
write_command(struct state *st, struct command *cmd)
{
	autofree char *name = xasprintf("%s" SUFFIX, cmd->id);
	autojson json_t *made = state_command_make(cmd);
	autofree char *text = made ? json_text(made) : NULL;
	size_t len = text ? strlen(text) : 0;
	struct err e = { 0 };

	if (!len || len > STATE_FILE_MAX) {
		drop_file(st, cmd);
		return;
	}
	if (fs_write_atomic(st->commands, name, text, len, 0600, false, &e) < 0) {
		complain(st, &e);
		return;
	}
	st->bytes += len - cmd->file_bytes;
	cmd->file_bytes = len;
}

static void
write_all(void *arg)
{
	struct state *st = arg;

	if (st->store_changed)
		write_store(st);
	drop_oldest(st);
	while (!list_empty(&st->changed)) {
		struct command *cmd = list_first(&st->changed, struct command, changed);

		list_remove(&cmd->changed);
		if (cmd->seq >= st->oldest)
			write_command(st, cmd);
	}
	drop_oldest(st);
}

static void
write_soon(struct state *st)
{
	if (!st->timer.slot)
		timer_in(st->sb->ev, &st->timer, STATE_DELAY_MS);
}

void
state_touch(struct sandbox *sb)
{
	if (!sb->state)
		return;
	sb->state->store_changed = true;
	write_soon(sb->state);
}

void
state_touch_command(struct command *cmd)
{
	struct state *st = cmd->sb->state;

	if (!st || !list_empty(&cmd->changed))
		return;
	list_append(&st->changed, &cmd->changed);
	write_soon(st);
}

/* ---- reading ---- */

/* ERR tells what is wrong with the file; the rest of the sentence is the same for all. */
static int
unusable(const struct sandbox *sb, const char *name, struct err *e)
{
	char why[sizeof(e->text)];

	snprintf(why, sizeof(why), "%s", err_text(e));
	return err_set(e, -EINVAL,
		       "the state in '%s/state/%s' cannot be used: %s; remove the file to start "
		       "without it",
		       sb->set.root, name, why);
}

static json_t *
read_file(int dir, const char *name, struct err *e)
{
	autofree char *text = NULL;
	size_t len;

	if (fs_read(dir, name, STATE_FILE_MAX, &text, &len, e) < 0)
		return NULL;
	return json_parse(text, len, "it", e);
}

static int
read_store(struct state *st, struct err *e)
{
	autojson json_t *store = read_file(st->dir, STORE, e);

	if (!store && e->code == -ENOENT) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (store && state_store_take(st->sb, store, e) == 0)
		return 0;
	return unusable(st->sb, STORE, e);
}

/* A file to be read, and what decides over the order. */
struct found {
	char *id;
	int64_t requested_ms, seq;
	size_t bytes;
	json_t *command;
};

static int
compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->requested_ms != y->requested_ms)
		return (x->requested_ms > y->requested_ms) - (x->requested_ms < y->requested_ms);
	return x->seq != y->seq ? (x->seq > y->seq) - (x->seq < y->seq) : strcmp(x->id, y->id);
}

static int
read_found(struct state *st, const char *name, struct found *ret, struct err *e)
{
	autofree char *text = NULL, *path = xasprintf(COMMANDS "/%s", name);
	json_t *command = NULL;
	size_t len;

	if (fs_read(st->commands, name, STATE_FILE_MAX, &text, &len, e) == 0)
		command = json_parse(text, len, "it", e);
	if (!command)
		return unusable(st->sb, path, e);
	*ret = (struct found){ .id = xstrndup(name, strlen(name) - strlen(SUFFIX)),
			       .requested_ms = json_int(command, "requested_ms", 0),
			       .seq = json_int(command, "seq", 0),
			       .bytes = len,
			       .command = command };
	return 0;
}

static int
take_found(struct state *st, const struct found *f, struct err *e)
{
	autofree char *path = xasprintf(COMMANDS "/%s" SUFFIX, f->id);
	struct command *cmd;

	if (state_command_take(st->sb, f->command, f->id, e) < 0)
		return unusable(st->sb, path, e);
	cmd = map_get(st->sb->store->commands, f->id);
	cmd->file_bytes = f->bytes;
	st->bytes += f->bytes;
	return 0;
}

/* All files, then the commands in the order in which they were sent. */
static int
read_folder(struct state *st, DIR *folder, struct err *e)
{
	struct found *all = NULL;
	struct dirent *item;
	size_t n = 0;
	int err = 0;

	while (!err && (item = readdir(folder))) {
		if (!text_ends(item->d_name, SUFFIX) || item->d_name[0] == '.')
			continue;
		all = xrealloc(all, n + 1, sizeof(*all));
		err = read_found(st, item->d_name, &all[n], e);
		n += !err;
	}
	if (all)
		qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++) {
		if (!err)
			err = take_found(st, &all[i], e);
		json_decref(all[i].command);
		free(all[i].id);
	}
	free(all);
	return err;
}

static int
read_commands(struct state *st, struct err *e)
{
	int fd = fcntl(st->commands, F_DUPFD_CLOEXEC, 0);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	int err;

	if (!folder) {
		err = err_set(e, -errno, "cannot list '%s/state/" COMMANDS "': %m",
			      st->sb->set.root);
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = read_folder(st, folder, e);
	closedir(folder);
	return err;
}

static int
open_folders(struct state *st, struct err *e)
{
	autofree char *path = files_path(st->sb, "state");

	st->dir = fs_make_dirs(path, 0700, e);
	if (st->dir < 0)
		return st->dir;
	st->commands = fs_make_dir(st->dir, COMMANDS, 0700, e);
	return st->commands < 0 ? st->commands : 0;
}

struct state *
state_open(struct sandbox *sb, struct err *e)
{
	struct state *st = xcalloc(1, sizeof(*st));
	int err;

	st->sb = sb;
	st->dir = st->commands = -1;
	st->timer.fn = write_all;
	st->timer.arg = st;
	list_init(&st->changed);
	err = open_folders(st, e);
	if (!err)
		err = read_store(st, e);
	if (!err)
		err = read_commands(st, e);
	st->ready = !err;
	return err ? state_free(st) : st;
}

struct state *
state_free(struct state *st)
{
	if (!st)
		return NULL;
	timer_cancel(st->sb->ev, &st->timer);
	/* What could not be read is left as it is. */
	if (st->ready)
		write_all(st);
	if (st->commands >= 0)
		close(st->commands);
	if (st->dir >= 0)
		close(st->dir);
	free(st);
	return NULL;
}
