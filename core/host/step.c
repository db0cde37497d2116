/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a document: its inputs, its output, its result. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/host/host.h"
#include "core/host/link.h"
#include "core/ipc/wire.h"

struct ssm_step *
step_new(json_t *inputs, const char *name, const char *feature, int out_fd, int err_fd,
	 int64_t timeout_ms)
{
	struct ssm_step *s = xcalloc(1, sizeof(*s));

	s->inputs = json_incref(inputs);
	s->name = name;
	s->feature = feature;
	s->out_fd = out_fd;
	s->err_fd = err_fd;
	s->timeout_ms = timeout_ms;
	s->texts = map_new(free);
	return s;
}

struct ssm_step *
step_free(struct ssm_step *s)
{
	if (!s)
		return NULL;
	json_decref(s->inputs);
	map_free(s->texts);
	free(s);
	return NULL;
}

const char *
texts_get(struct map *texts, const char *pointer, const json_t *v, bool as_json, size_t *ret_len)
{
	autofree char *key = xasprintf("%c%s", as_json ? 'j' : 's', pointer);
	char *text;

	if (!v)
		return NULL;
	if (!as_json && json_is_string(v)) {
		if (ret_len)
			*ret_len = json_string_length(v);
		return json_string_value(v);
	}
	text = map_get(texts, key);
	if (!text) {
		text = json_text(v);
		map_set(texts, key, text);
	}
	if (ret_len)
		*ret_len = strlen(text);
	return text;
}

const char *
step_str(struct ssm *S, struct ssm_step *s, const char *pointer, const char *preset)
{
	const json_t *v = json_at(s->inputs, pointer);

	(void)S;
	if (!v || json_is_null(v))
		return preset;
	return texts_get(s->texts, pointer, v, false, NULL);
}

const char *
step_json(struct ssm *S, struct ssm_step *s, const char *pointer, size_t *ret_len)
{
	(void)S;
	return texts_get(s->texts, pointer, json_at(s->inputs, pointer), true, ret_len);
}

int32_t
step_write(struct ssm *S, struct ssm_step *s, int32_t stream, const void *data, size_t len)
{
	int fd = stream == SSM_STDOUT ? s->out_fd : stream == SSM_STDERR ? s->err_fd : -1;
	int r;

	if (!host_own_thread())
		return -EINVAL;
	if (stream != SSM_STDOUT && stream != SSM_STDERR)
		return ssm_fail(S, -EINVAL, "step_write: stream %d is neither stdout nor stderr",
				stream);
	if (fd < 0)
		return 0;
	r = fs_write_all(fd, data, len);
	return r < 0 ? ssm_fail(S, r, "the step's output cannot be written: %s", strerror(-r)) : 0;
}

int32_t
step_done(struct ssm *S, struct ssm_step *s, int32_t result, int32_t exit_code)
{
	if (!host_own_thread())
		return -EINVAL;
	if (result < SSM_SUCCESS || result > SSM_REBOOT_AGAIN)
		return ssm_fail(S, -EINVAL, "step_done: there is no result %d", result);
	if (s->done)
		return ssm_fail(S, -EALREADY, "step_done was called twice");
	s->done = true;
	s->result = result;
	s->exit_code = exit_code;
	return 0;
}

int32_t
step_progress(struct ssm *S, struct ssm_step *s, const char *text)
{
	struct host *h = host_instance(S)->host;
	json_t *m;

	(void)s;
	if (!h->link || !text_utf8_valid(text, strlen(text)))
		return h->link ? -EINVAL : 0;
	m = wire_new("progress");
	json_object_set_new(m, "text", json_string(text));
	return link_send(h->link, m, NULL, 0);
}

/* The ops of an older plugin may lack members at its end. */
static struct ssm_action_ops
action_ops(const struct ssm_feature *f)
{
	const struct ssm_action_ops *theirs = f->ops;
	struct ssm_action_ops ops;

	memset(&ops, 0, sizeof(ops));
	memcpy(&ops, theirs, theirs->size < sizeof(ops) ? theirs->size : sizeof(ops));
	return ops;
}

void
step_execute(struct instance *i, const struct ssm_feature *f, struct ssm_step *step,
	     char **ret_error)
{
	struct ssm_action_ops ops = action_ops(f);
	struct ssm_step *outer = i->host->step;
	int32_t r = 0;

	i->host->step = step;
	i->error = (free(i->error), NULL);
	if (ops.check)
		r = ops.check(&i->ssm, step);
	if (r >= 0 && ops.run)
		r = ops.run(&i->ssm, step);
	else if (r >= 0)
		r = ssm_fail(&i->ssm, -ENOSYS, "the action has no run function");
	i->host->step = outer;
	*ret_error = NULL;
	if (r < 0) {
		*ret_error = host_failure(i, r);
		step->result = r == -ECANCELED ? SSM_CANCELLED : SSM_FAILED;
		step->exit_code = step->done ? step->exit_code : 1;
	} else if (!step->done) {
		*ret_error =
			xasprintf("the action '%s' of the plugin '%s' returned without a result",
				  f->name, i->module->plugin.name);
		step->result = SSM_FAILED;
		step->exit_code = 1;
	} else if (i->error && step->result != SSM_SUCCESS) {
		*ret_error = xstrdup(i->error);
	}
}
