/* SPDX-License-Identifier: Apache-2.0 */
/* A document's steps as text, for whoever wants to see them before they run. */
#include "plugins/runCommand/show.h"

#include <stdlib.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "plugins/runCommand/decide.h"
#include "plugins/runCommand/interp.h"

static void
set_copy(json_t *o, const char *key, json_t *v)
{
	if (v && !json_is_null(v))
		(void)json_object_set(o, key, v);
}

static json_t *
show_step(struct ssm *S, const struct doc *d, size_t i)
{
	const struct doc_step *s = &d->steps[i];
	const struct decide_facts facts = { false, i + 1 == d->step_count,
					    interp_has_handler(S, s->action) };
	autofree char *why = NULL;
	enum decision decision = decide_step(d, s, &facts, &why);
	json_t *o = json_object();

	(void)json_object_set_new(o, "name", json_string(s->id));
	(void)json_object_set_new(o, "action", json_string(s->action));
	(void)json_object_set_new(o, "runs", json_boolean(decision == DECISION_RUN));
	if (why)
		(void)json_object_set_new(o, "why", json_string(why));
	set_copy(o, "inputs", json_array_size(s->sets) == 1 ? json_array_get(s->sets, 0) : s->sets);
	set_copy(o, "settings", s->settings);
	set_copy(o, "precondition", s->precondition);
	return o;
}

char *
show_document(struct ssm *S, const struct doc *d)
{
	json_t *steps = json_array();
	autojson json_t *all = json_object();

	(void)json_object_set_new(all, "document", json_string(d->name));
	(void)json_object_set_new(all, "steps", steps);
	for (size_t i = 0; i < d->step_count; i++)
		(void)json_array_append_new(steps, show_step(S, d, i));
	return json_text(all);
}

char *
show_refused(const char *trace)
{
	autojson json_t *o = json_object();

	(void)json_object_set_new(o, "refused", json_string(trace));
	return json_text(o);
}
