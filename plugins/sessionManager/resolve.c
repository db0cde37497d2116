/* SPDX-License-Identifier: Apache-2.0 */
/* The name service is asked by a child, whose answer is a line for each address. */
#include "plugins/sessionManager/resolve.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define ANSWER_MAX 16384

struct resolve {
	struct ssm *S;
	char *name;
	uint16_t port;
	resolve_done_fn *done;
	void *arg;
	struct ssm_watch *child, *timer;
	struct sbuf out, err;
	bool cut; /* one of them */
};

struct resolve *
resolve_cancel(struct resolve *r)
{
	if (!r)
		return NULL;
	if (r->child)
		r->S->api->watch_end(r->S, TAKE(r->child));
	if (r->timer)
		r->S->api->watch_end(r->S, TAKE(r->timer));
	sbuf_done(&r->out);
	sbuf_done(&r->err);
	free(r->name);
	free(r);
	return NULL;
}

/* REASON NULL: FOUND it is. */
static void
answer(struct resolve *r, int result, const struct addresses *found, const char *reason)
{
	resolve_done_fn *done = r->done;
	void *arg = r->arg;
	autofree char *shown = text_escape_controls(r->name, strlen(r->name));
	autofree char *text = reason ? xasprintf("lookup %s: %s", shown, reason) : NULL;

	(void)resolve_cancel(r);
	done(arg, result, found, text ? text : "");
}

static int32_t
on_late(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct resolve *r = arg;
	autofree char *text =
		xasprintf("the name service did not answer within %d s", RESOLVE_MS / 1000);

	(void)S;
	(void)w;
	r->timer = NULL;
	answer(r, -ETIMEDOUT, NULL, text);
	return 0;
}

/* Whatever is beyond the buffer's ceiling is passed over, with the line that it would end. */
static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	struct resolve *r = arg;
	struct sbuf *b = stream == SSM_STDOUT ? &r->out : &r->err;
	size_t room = b->max - b->len;

	(void)S;
	r->cut |= len > room;
	(void)sbuf_add(b, data, len < room ? len : room);
	return 0;
}

/* Whole lines. */
static const char *
output_of(struct resolve *r)
{
	char *last = r->cut && r->out.p ? strrchr(r->out.p, '\n') : NULL;

	if (last)
		last[1] = '\0';
	return sbuf_str(&r->out);
}

static void
on_end(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	struct resolve *r = arg;
	struct addresses found = { .count = 0 };
	autofree char *said = xstrdup(sbuf_str(&r->err));

	(void)S;
	r->child = NULL;
	said[strcspn(said, "\n")] = '\0';
	if (result < 0 || end->how != SSM_END_EXIT || end->code != 0)
		answer(r, -ENOENT, NULL, *said ? said : "the name service could not be asked");
	else if (addresses_read(&found, output_of(r), r->port) < 0)
		answer(r, -EPROTO, NULL, "the answer of the name service cannot be read");
	else
		answer(r, 0, &found, NULL);
}

static int32_t
begin(struct resolve *r)
{
	const char *const argv[] = { r->S->api->info(r->S, "host-program"), "--addresses", r->name,
				     NULL };
	const struct ssm_spawn cmd = { .size = sizeof(cmd),
				       .argv = argv,
				       .cwd = "/",
				       .timeout_ms = RESOLVE_MS,
				       .grace_ms = 1,
				       .output_fn = on_output,
				       .output_arg = r };
	const struct ssm_watch_on late = {
		.size = sizeof(late), .timer_fn = on_late, .arg = r, .after_ms = RESOLVE_MS
	};
	int32_t result =
		argv[0] ? r->S->api->spawn_start(r->S, &cmd, on_end, r, &r->child) : -ENOSYS;

	return result < 0 ? result : r->S->api->watch(r->S, &late, &r->timer);
}

struct resolve *
resolve_start(struct ssm *S, const char *name, uint16_t port, resolve_done_fn *done, void *arg)
{
	struct resolve *r = xcalloc(1, sizeof(*r));

	r->S = S;
	r->name = xstrdup(name);
	r->port = port;
	r->done = done;
	r->arg = arg;
	sbuf_init(&r->out, ANSWER_MAX);
	sbuf_init(&r->err, ANSWER_MAX);
	return begin(r) < 0 ? resolve_cancel(r) : r;
}
