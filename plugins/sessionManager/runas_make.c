/* SPDX-License-Identifier: Apache-2.0 */
/* The user of a session, made by the first one that needs it.
 *
 * Why another process: making a user takes as long as it takes, and others may be at it; meanwhile
 * the session's connection wants to be served. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/runas.h"

#define MAKE_MS 120000 /* the program has deadlines of its own, which come before */
#define SAID_MAX 65536

static struct {
	struct ssm_watch *child;
	struct sbuf out, err;
	bool cancelled;
	runas_done_fn *done;
	void *arg;
} making;

static void
answer(struct ssm *S, int r, const struct runas *as, const char *why)
{
	making.done(S, r, r < 0 ? NULL : as, r < 0 ? why : "", making.arg);
}

/* With it there, the second look finds whom the first did not. */
static void
decide_again(struct ssm *S)
{
	struct session_inputs none = { 0 };
	const struct runas_wish wish = { &none, "", { .root = true } };
	struct runas as = { 0 };
	struct err e = { 0, "" };
	int r;

	none.run_as_user = xstrdup("");
	r = runas_decide(S, &wish, &as, &e);
	if (r == RUNAS_TO_MAKE)
		r = err_set(&e, -ENOENT, "the user that was made does not exist");
	answer(S, r, &as, err_text(&e));
	runas_done(&as);
	session_inputs_done(&none);
}

static void
log_lines(struct ssm *S, const char *text)
{
	autostrv char **lines = strv_split(text, "\n");

	for (char **l = lines; l && *l; l++)
		ssm_log(S, SSM_NOTICE, "%s", *l);
}

static int32_t
on_output(struct ssm *S, int32_t stream, const void *data, size_t len, void *arg)
{
	(void)S;
	(void)arg;
	(void)sbuf_add(stream == SSM_STDOUT ? &making.out : &making.err, data, len);
	return 0;
}

static void
on_made(struct ssm *S, int32_t result, const struct ssm_end *end, void *arg)
{
	bool well = result >= 0 && end->how == SSM_END_EXIT && end->code == 0;
	autofree char *said = xstrdup(sbuf_str(&making.err)), *why = NULL;

	(void)arg;
	making.child = NULL;
	log_lines(S, sbuf_str(&making.out));
	said[strcspn(said, "\n")] = '\0';
	why = xasprintf("the user of sessions cannot be made: %s",
			*said ? said : "its program was ended");
	sbuf_done(&making.out);
	sbuf_done(&making.err);
	if (making.cancelled)
		answer(S, -ECANCELED, NULL, "");
	else if (well)
		decide_again(S);
	else
		answer(S, -ENOENT, NULL, why);
}

static void
make(struct ssm *S)
{
	const char *text = S->api->info(S, "users");
	autojson json_t *users = text ? json_parse(text, strlen(text), "users", NULL) : NULL;
	autofree char *settings = users ? json_text(json_object_get(users, "make")) : NULL;
	const char *const argv[] = { S->api->info(S, "host-program"), "--make-user", NULL };
	const struct ssm_spawn cmd = { .size = sizeof(cmd),
				       .argv = argv,
				       .cwd = "/",
				       .stdin_data = settings,
				       .stdin_len = settings ? strlen(settings) : 0,
				       .timeout_ms = MAKE_MS,
				       .output_fn = on_output };
	int32_t r;

	sbuf_init(&making.out, SAID_MAX);
	sbuf_init(&making.err, SAID_MAX);
	r = argv[0] ? S->api->spawn_start(S, &cmd, on_made, NULL, &making.child) : -ENOSYS;
	if (r < 0)
		answer(S, r, NULL, "the user of sessions cannot be made: its program cannot be "
				   "started");
}

static int
read_inputs(struct ssm *S, struct ssm_session *session, struct session_inputs *ret, struct err *e)
{
	const char *text = S->api->session_str(S, session, "/inputs", "{}");
	autojson json_t *v = json_parse(text, strlen(text), "inputs", e);

	return v ? session_inputs_read(v, ret, e) : -EINVAL;
}

void
runas_start(struct ssm *S, struct ssm_session *session, struct runas_rights rights,
	    runas_done_fn *done, void *arg)
{
	struct session_inputs in = { 0 };
	const struct runas_wish wish = { &in, S->api->session_str(S, session, "/RunAsUser", ""),
					 rights };
	struct runas as = { 0 };
	struct err e = { 0, "" };
	int r = read_inputs(S, session, &in, &e);

	making.done = done;
	making.arg = arg;
	making.cancelled = false;
	if (r >= 0)
		r = runas_decide(S, &wish, &as, &e);
	if (r == RUNAS_TO_MAKE)
		make(S);
	else
		answer(S, r, &as, err_text(&e));
	runas_done(&as);
	session_inputs_done(&in);
}

void
runas_cancel(void)
{
	making.cancelled = true;
}
