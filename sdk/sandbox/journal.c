/* SPDX-License-Identifier: Apache-2.0 */
/* The request journal: one JSON line for every request that was answered or cut. */
#include "sdk/sandbox/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "sdk/sandbox/exchange.h"

struct journal {
	FILE *file;
	int64_t count;
};

struct journal *
journal_open(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct journal *j;

	if (fd < 0) {
		err_set(e, -errno, "cannot write the journal '%s': %m", path);
		return NULL;
	}
	j = xcalloc(1, sizeof(*j));
	j->file = fdopen(fd, "a");
	setvbuf(j->file, NULL, _IOFBF, 1 << 16);
	return j;
}

struct journal *
journal_free(struct journal *j)
{
	if (!j)
		return NULL;
	fclose(j->file);
	free(j);
	return NULL;
}

static void
add_request(json_t *line, const struct exchange *ex)
{
	static const char *const secrets[] = { "ActivationCode", "SecretAccessKey", "Token" };
	json_t *copy;

	if (!ex->request)
		return;
	copy = json_copy(ex->request);
	for (size_t i = 0; i < NELEMS(secrets); i++)
		if (json_object_get(copy, secrets[i]))
			json_object_set_new(copy, secrets[i], json_string("***"));
	json_object_set_new(line, "request", copy);
	/* Replies carry JSON as text: shown decoded too, so that tests need not unwrap it. */
	if (ex->payload)
		json_object_set(line, "payload", ex->payload);
}

static json_t *
line_of(const struct journal *j, const struct exchange *ex)
{
	json_t *line =
		json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "n", (json_int_t)j->count,
			  "time_ms", (json_int_t)clock_wall_ms(), "begun_us",
			  (json_int_t)ex->begun_us, "ended_us", (json_int_t)ex->ended_us, "method",
			  ex->method, "path", ex->path, "service", ex->service, "operation",
			  ex->operation ? ex->operation : "");

	json_object_set_new(line, "key", json_string(ex->key_id));
	json_object_set_new(line, "source", json_string(ex->key_source));
	json_object_set_new(line, "verified", json_boolean(ex->verified));
	/* 0: the connection was cut instead. */
	json_object_set_new(line, "status",
			    json_integer(ex->state == EXCHANGE_DROPPED ? 0 : (int)ex->status));
	json_object_set_new(line, "code", ex->code ? json_string(ex->code) : json_null());
	if (ex->message)
		json_object_set_new(line, "message", json_string(ex->message));
	if (ex->fault.kind)
		json_object_set_new(line, "fault", json_string(faults_kind_name(ex->fault.kind)));
	add_request(line, ex);
	return line;
}

void
journal_write(struct journal *j, const struct exchange *ex)
{
	autojson json_t *line = NULL;

	if (!j)
		return;
	j->count++;
	line = line_of(j, ex);
	json_dumpf(line, j->file, JSON_COMPACT);
	putc('\n', j->file);
}

void
journal_note(struct journal *j, json_t *line)
{
	autojson json_t *owned = line;

	if (!j || !line)
		return;
	json_object_set_new(owned, "n", json_integer(++j->count));
	json_object_set_new(owned, "time_ms", json_integer(clock_wall_ms()));
	json_dumpf(owned, j->file, JSON_COMPACT);
	putc('\n', j->file);
}

void
journal_flush(struct journal *j)
{
	if (j)
		fflush(j->file);
}

int
journal_clear(struct journal *j, struct err *e)
{
	if (!j)
		return 0;
	fflush(j->file);
	if (ftruncate(fileno(j->file), 0) < 0)
		return err_set(e, -errno, "cannot empty the journal: %m");
	return 0;
}

int64_t
journal_count(const struct journal *j)
{
	return j ? j->count : 0;
}
