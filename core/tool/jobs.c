/* SPDX-License-Identifier: Apache-2.0 */
/* ssmctl jobs, jobs --follow, output: what is on disk of commands, whether an agent runs or not. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/tool/follow.h"
#include "core/tool/outcome.h"
#include "core/tool/tool.h"

#define INDEX "steps" /* of runCommand: which files are whose */
#define INDEX_MAX (16u << 20)
#define LOOK_MS 200	   /* the journal is read again at most that often */
#define LOOK_AGAIN_MS 5000 /* a process may end without a word */

/* Several commands may be called alike where a disk served two nodes: the latest. */
static json_t *
find_job(const struct options *o, const char *id, struct err *e)
{
	autojson json_t *all = NULL;

	if (!fs_is_plain_name(id)) {
		err_set(e, -EINVAL, "that is not the id of a command");
		return NULL;
	}
	all = tool_jobs(o, id, e);
	if (all && json_array_size(all) == 0)
		err_set(e, -ENOENT,
			"there is no command '%s' on this node; it was never here, or "
			"its folder is no longer kept",
			id);
	return json_array_size(all) > 0 ? json_incref(json_array_get(all, json_array_size(all) - 1))
					: NULL;
}

/* ------------------------------------------------------------------ list */

/* "8f3a..." of "aws.ssm.8f3a....i-0123": what the operator's side calls it. */
static char *
command_name(const char *id)
{
	autostrv char **parts = strv_split(id, ".");

	return xstrdup(strv_len(parts) == 4 && text_starts(id, "aws.ssm.") ? parts[2] : id);
}

static void
print_row(const json_t *job)
{
	const char *state = json_str(job, "state", "");
	const char *status = json_str(job, "status", "");
	autofree char *name = command_name(json_str(job, "id", ""));
	char when[TEXT_STAMP_SIZE];
	enum tool_style style = tool_style_of(*status ? status : state);

	text_iso8601_ms(json_int(job, "received_ms", 0), when);
	printf("%s  %-36s  %-8s  %s%s%s%s\n", when, name, state, tool_style(stdout, style), status,
	       tool_plain(stdout), json_bool(job, "cancelled", false) ? "  (cancelled)" : "");
}

static int
list(const struct options *o)
{
	struct err e = { 0, "" };
	autojson json_t *all = tool_jobs(o, "", &e);
	size_t i;
	json_t *job;

	if (!all)
		return tool_fail("%s", err_text(&e));
	if (o->json) {
		tool_print_json(all);
		return 0;
	}
	if (json_array_size(all) == 0)
		puts("No commands are kept on this node.");
	else
		printf("%s%-24s  %-36s  %-8s  STATUS%s\n", tool_style(stdout, STYLE_BOLD),
		       "RECEIVED", "COMMAND", "STATE", tool_plain(stdout));
	json_array_foreach(all, i, job) print_row(job);
	return 0;
}

/* ------------------------------------------------------------------- one */

static struct outcome *
outcome_of(const json_t *job)
{
	struct outcome *out = outcome_new();
	size_t i;
	json_t *reply;

	json_array_foreach(json_object_get(job, "replies"), i, reply)
		outcome_add(out, json_str(reply, "text", ""), NULL);
	return out;
}

static void
print_steps(const struct outcome *out)
{
	size_t i;
	json_t *step;

	json_array_foreach(out->steps, i, step)
	{
		const char *status = json_str(step, "status", "");
		autofree char *name = text_quote(json_str(step, "name", ""), 100);

		printf("  %s  %s%s%s, exit code %lld\n", name,
		       tool_style(stdout, tool_style_of(status)), status, tool_plain(stdout),
		       (long long)json_int(step, "code", 0));
	}
}

static int
show(const struct options *o, const char *id)
{
	struct err e = { 0, "" };
	autojson json_t *job = find_job(o, id, &e);
	struct outcome *out;

	if (!job)
		return tool_fail("%s", err_text(&e));
	if (o->json) {
		tool_print_json(job);
		return 0;
	}
	out = outcome_of(job);
	print_row(job);
	printf("  folder %s\n", json_str(job, "folder", ""));
	print_steps(out);
	if (*out->trace)
		printf("  %s\n", out->trace);
	outcome_free(out);
	return 0;
}

/* ---------------------------------------------------------------- follow */

struct live {
	const struct options *o;
	const char *id;
	struct follow *follow;
	struct outcome *out;
	size_t shown; /* steps that were told of */
	bool ended, told_lost;
};

static void
tell_steps(struct live *l)
{
	for (; l->shown < json_array_size(l->out->steps); l->shown++)
		outcome_print_step(json_array_get(l->out->steps, l->shown));
}

static int
look(struct live *l, struct err *e)
{
	autojson json_t *job = find_job(l->o, l->id, e);
	const char *state = json_str(job, "state", "");

	if (!job)
		return e->code;
	outcome_free(l->out);
	l->out = outcome_of(job);
	l->ended = strcmp(state, "ended") == 0;
	if (strcmp(state, "lost") == 0 && !l->told_lost) {
		l->told_lost = true;
		tool_fail("its process is gone; what became of it is known once an agent runs");
	}
	return 0;
}

/* What was written before the journal said that it is over is there to be printed. */
static int
follow_to_end(struct live *l, struct err *e)
{
	struct pollfd p = { .fd = follow_fd(l->follow), .events = POLLIN };
	int r = look(l, e), wait;
	bool again = false;

	while (r == 0) {
		if (!follow_print(l->follow))
			return -EPIPE;
		tell_steps(l);
		if (l->ended)
			return 0;
		again = follow_journal_changed(l->follow) || again;
		wait = again ? LOOK_MS : LOOK_AGAIN_MS;
		if (poll(&p, 1, wait) == 0) {
			again = false;
			r = look(l, e);
		}
	}
	return r;
}

static int
follow(const struct options *o, const char *id)
{
	struct err e = { 0, "" };
	autojson json_t *job = find_job(o, id, &e);
	struct live l = { .o = o, .id = id };
	int status = EXIT_FAILED;

	if (job)
		l.follow = follow_new(json_str(job, "folder", ""), &e);
	if (!l.follow)
		return tool_fail("%s", err_text(&e));
	if (follow_to_end(&l, &e) == 0) {
		outcome_print_trace(l.out);
		status = outcome_exit(l.out);
	} else if (e.code < 0) {
		tool_fail("%s", err_text(&e));
	}
	follow_free(l.follow);
	outcome_free(l.out);
	return status;
}

int
command_jobs(const struct options *o)
{
	const char *id = o->args[0];

	if (o->follow && (!id || o->json)) {
		tool_fail("--follow needs the id of a command, and goes without --json");
		return EXIT_USAGE;
	}
	if (o->follow)
		return follow(o, id);
	return id ? show(o, id) : list(o);
}

/* ---------------------------------------------------------------- output */

static char *
without_colons(const char *s)
{
	char *out = xstrdup(s), *to = out;

	for (const char *from = out; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return out;
}

static int
number_in_index(const char *index, const char *step)
{
	autostrv char **lines = strv_split(index, "\n");
	autofree char *plain = without_colons(step);

	for (char **line = lines; line && *line; line++) {
		autojson json_t *row = json_parse(*line, strlen(*line), "the index", NULL);
		const char *name = json_str(row, "step", ""), *action = json_str(row, "action", "");

		if (strcmp(*name ? name : action, plain) == 0 && json_int(row, "number", 0) > 0)
			return (int)json_int(row, "number", 0);
	}
	return 0;
}

static bool
has_step(const json_t *job, const char *step)
{
	struct outcome *out = outcome_of(job);
	bool found = false;
	size_t i;
	json_t *one;

	json_array_foreach(out->steps, i, one) found =
		found || strcmp(json_str(one, "name", ""), step) == 0;
	outcome_free(out);
	return found;
}

/* The name of a step, or the number of its files. 0 with E: there is none. Without an index there
 * is one pair of files. */
static int
step_number(const json_t *job, const char *step, struct err *e)
{
	const char *folder = json_str(job, "folder", "");
	autoclose int dir = fs_open_dir(AT_FDCWD, folder, e);
	autofree char *index = NULL;
	int64_t n = 0;

	if (dir < 0)
		return 0;
	if (fs_read(dir, INDEX, INDEX_MAX, &index, NULL, NULL) == 0)
		n = number_in_index(index, step);
	else if (has_step(job, step))
		n = 1;
	if (n == 0 && text_to_i64(step, 1, INT32_MAX, &n) < 0) {
		autofree char *quoted = text_quote(step, 100);

		err_set(e, -ENOENT,
			has_step(job, step) ? "the step %s wrote nothing, for it did "
					      "not run"
					    : "there is no step %s; 'ssmctl jobs ID' "
					      "lists them",
			quoted);
	}
	return (int)n;
}

static json_t *
text_of(const char *folder, const char *name)
{
	autoclose int dir = fs_open_dir(AT_FDCWD, folder, NULL);
	autofree char *text = NULL, *valid = NULL;
	size_t len = 0;

	if (dir < 0 || fs_read(dir, name, 1u << 30, &text, &len, NULL) < 0)
		return json_string("");
	valid = text_utf8_repair(text, len, &len);
	return json_stringn(valid, len);
}

/* All pairs, or that of NUMBER. */
static int
output_json(const char *folder, int number)
{
	autojson json_t *all = json_array();
	int last = number ? number : follow_last_number(folder);

	for (int n = number ? number : 1; n <= last; n++) {
		autofree char *out = xasprintf("%02d.out", n), *err = xasprintf("%02d.err", n);

		(void)json_array_append_new(all,
					    json_pack("{s:i,s:o,s:o}", "number", n, "output",
						      text_of(folder, out), "errors",
						      text_of(folder, err)));
	}
	tool_print_json(all);
	return 0;
}

int
command_output(const struct options *o)
{
	struct err e = { 0, "" };
	autojson json_t *job = find_job(o, o->args[0], &e);
	int number = 0, r;

	if (job && o->args[1])
		number = step_number(job, o->args[1], &e);
	if (!job || (o->args[1] && number == 0))
		return tool_fail("%s", err_text(&e));
	if (o->json)
		return output_json(json_str(job, "folder", ""), number);
	r = follow_print_once(json_str(job, "folder", ""), number, &e);
	/* A command that wrote nothing is no failure of ours. */
	return r < 0 && r != -ENOENT ? tool_fail("%s", err_text(&e)) : 0;
}
