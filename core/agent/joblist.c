/* SPDX-License-Identifier: Apache-2.0 */
/* Reads journals that somebody else may be writing: a record that is not whole yet is the end. */
#include "core/agent/joblist.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/jobstore.h"
#include "core/agent/journal.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"

#define RESTART 4 /* SSM_REBOOT and SSM_REBOOT_AGAIN */
#define RESTART_AGAIN 5

struct reading {
	json_t *job;
	bool with_replies;
	bool message, started, ended, final;
	int64_t result;
	struct proc_id who;
};

static void
copy_member(json_t *to, const char *name, const json_t *from, const char *member)
{
	json_t *v = json_object_get(from, member);

	if (v)
		(void)json_object_set(to, name, v);
}

/* -------------------------------------------------------------- records */

static void
read_message(struct reading *r, const json_t *c)
{
	r->message = true;
	copy_member(r->job, "topic", c, "topic");
	copy_member(r->job, "received_ms", c, "received_ms");
	copy_member(r->job, "local", c, "local");
}

static void
read_started(struct reading *r, const json_t *c)
{
	if (json_int(c, "nested", 0) > 0)
		return;
	r->started = true;
	r->ended = false;
	r->who.pid = (pid_t)json_int(c, "pid", 0);
	r->who.start = (uint64_t)json_int(c, "start", 0);
	(void)snprintf(r->who.boot, sizeof(r->who.boot), "%s", json_str(c, "boot", ""));
	copy_member(r->job, "started_ms", c, "at_ms");
	copy_member(r->job, "plugin", c, "plugin");
	copy_member(r->job, "pid", c, "pid");
}

static void
read_status(struct reading *r, const json_t *c)
{
	const char *text = json_str(c, "payload", "");
	autojson json_t *reply = json_parse(text, strlen(text), "a reply", NULL);

	copy_member(r->job, "status", reply, "documentStatus");
}

static void
read_reply(struct reading *r, const json_t *c)
{
	bool final = json_bool(c, "final", false);
	const json_t *text = json_object_get(c, "payload");

	if (r->final || !json_is_string(text))
		return;
	r->final = final;
	if (final)
		copy_member(r->job, "ended_ms", c, "at_ms");
	read_status(r, c);
	if (r->with_replies)
		(void)json_array_append_new(json_object_get(r->job, "replies"),
					    json_pack("{s:b,s:O}", "final", final, "text", text));
}

static void
read_record(struct reading *r, unsigned type, const json_t *c)
{
	if (type == RECORD_MESSAGE && !r->message) {
		read_message(r, c);
	} else if (type == RECORD_STARTED) {
		read_started(r, c);
	} else if (type == RECORD_REPLY) {
		read_reply(r, c);
	} else if (type == RECORD_CANCEL) {
		(void)json_object_set_new(r->job, "cancelled", json_true());
	} else if (type == RECORD_END && json_int(c, "nested", 0) == 0) {
		r->ended = true;
		r->result = json_int(c, "result", 0);
	}
}

static const char *
state_of(const struct reading *r)
{
	if (r->final)
		return "ended";
	if (!r->started)
		return "queued";
	if (r->ended && (r->result == RESTART || r->result == RESTART_AGAIN))
		return "restart";
	return proc_alive(&r->who) ? "running" : "lost";
}

/* ----------------------------------------------------------------- files */

static void
read_frames(struct reading *r, int fd, int64_t size)
{
	int64_t at = 0;
	struct frame f;
	int got;

	while ((got = frame_read(fd, size, &at, &f)) != 0) {
		autojson json_t *c = NULL;

		if (got == -EBADMSG) {
			at = frame_find(fd, size, at + 1);
			if (at >= 0)
				continue;
		}
		if (got < 0)
			return;
		c = json_parse(f.content, f.len, "a record", NULL);
		if (c && f.version <= FRAME_VERSION)
			read_record(r, f.type, c);
		frame_done(&f);
	}
}

static json_t *
read_job(int jobs, const char *path, const char *id, bool with_replies)
{
	struct reading r = { .with_replies = with_replies };
	autoclose int folder = fs_open_dir(jobs, id, NULL), fd = -1;
	autofree char *shown = xasprintf("%s/%s", path, id);
	struct stat st;

	if (folder >= 0)
		fd = openat(folder, "journal", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	r.job = json_pack("{s:s,s:s}", "id", id, "folder", shown);
	if (!r.job)
		return NULL;
	if (with_replies)
		(void)json_object_set_new(r.job, "replies", json_array());
	read_frames(&r, fd, st.st_size);
	if (!r.message) {
		json_decref(r.job);
		return NULL;
	}
	(void)json_object_set_new(r.job, "state", json_string(state_of(&r)));
	return r.job;
}

/* The whole of it, or what stands between two of its dots. */
static bool
is_called(const char *name, const char *id)
{
	autostrv char **parts = strv_split(name, ".");

	return strcmp(name, id) == 0 || strv_has(parts, id);
}

static void
read_node(const char *state_path, const char *instance_id, const char *id, json_t *all)
{
	autofree char *path = xasprintf("%s/%s/jobs", state_path, instance_id);
	int fd = fs_open_dir(AT_FDCWD, path, NULL);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		json_t *job;

		if (!jobstore_id_ok(entry->d_name) || (*id && !is_called(entry->d_name, id)))
			continue;
		job = read_job(fd, path, entry->d_name, *id != '\0');
		if (!job)
			continue;
		(void)json_object_set_new(job, "instance_id", json_string(instance_id));
		(void)json_array_append_new(all, job);
	}
	if (d)
		closedir(d);
}

static int
by_receipt(const void *a, const void *b)
{
	int64_t x = json_int(*(json_t *const *)a, "received_ms", 0);
	int64_t y = json_int(*(json_t *const *)b, "received_ms", 0);

	return x < y ? -1 : x > y;
}

static json_t *
sorted(const json_t *all)
{
	size_t n = json_array_size(all);
	autofree json_t **v = xcalloc(n + 1, sizeof(json_t *));
	json_t *out = json_array();

	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(all, i);
	if (n > 1)
		qsort(v, n, sizeof(json_t *), by_receipt);
	for (size_t i = 0; i < n; i++)
		(void)json_array_append(out, v[i]);
	return out;
}

static int
read_nodes(const char *path, const char *id, json_t *all)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	if (!d)
		return -errno;
	while ((entry = readdir(d)))
		if (jobstore_id_ok(entry->d_name))
			read_node(path, entry->d_name, id ? id : "", all);
	closedir(d);
	return 0;
}

json_t *
joblist_read(const char *state_path, const char *run_path, const char *id, struct err *e)
{
	autojson json_t *all = json_array();
	int r = read_nodes(state_path, id, all);

	if (r < 0) {
		err_set(e, r, "cannot read the commands below '%s': %s", state_path, strerror(-r));
		return NULL;
	}
	(void)read_nodes(run_path, id, all); /* sessions, if there are any */
	return sorted(all);
}

int
joblist_print(const char *state_path, const char *run_path, const char *id)
{
	struct err e = { 0, "" };
	autojson json_t *all = joblist_read(state_path, run_path, id, &e);
	autofree char *text = all ? json_text(all) : NULL;

	if (!all) {
		fprintf(stderr, "%s\n", err_text(&e));
		return 1;
	}
	printf("%s\n", text);
	return fflush(stdout) == 0 ? 0 : 1;
}
