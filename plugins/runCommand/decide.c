/* SPDX-License-Identifier: Apache-2.0 */
/* The decision table of a step, row by row; first match wins. */
#include "plugins/runCommand/decide.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "plugins/runCommand/precond.h"

/* What the reference knows, and whether it does it on Linux. A name it knows and we have no plugin
 * for is an unsupported step, not an unknown one. */
static const struct known {
	const char *name;
	bool on_linux;
} known[] = {
	{ "aws:updateSsmAgent", true },	     { "aws:applications", false },
	{ "aws:configureDaemon", false },    { "aws:configurePackage", true },
	{ "aws:psModule", false },	     { "aws:runPowerShellScript", true },
	{ "aws:runShellScript", true },	     { "aws:softwareInventory", true },
	{ "aws:cloudWatch", true },	     { "aws:configureDocker", true },
	{ "aws:runDockerAction", true },     { "aws:domainJoin", true },
	{ "aws:updateAgent", false },	     { "aws:refreshAssociation", true },
	{ "aws:downloadContent", true },     { "aws:runDocument", true },
	{ "Standard_Stream", false },	     { "InteractiveCommands", false },
	{ "NonInteractiveCommands", false }, { "Port", false },
};

static const struct known *
find_known(const char *action)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, action) == 0)
			return &known[i];
	return NULL;
}

static enum decision
fail_unknown(const struct doc_step *s, char **ret_text)
{
	*ret_text = xasprintf(
		"Plugin with name %s is not supported by this version of ssm agent, please "
		"update to latest version. Step name: %s",
		s->action, s->id);
	return DECISION_FAIL;
}

static enum decision
skip_unsupported(const struct doc_step *s, char **ret_text)
{
	*ret_text = xasprintf("Step execution skipped due to unsupported plugin: %s. Step name: %s",
			      s->action, s->id);
	return DECISION_SKIP;
}

/* Rows 2 to 4: schemas before 2.2. */
static enum decision
decide_early(const struct doc_step *s, bool is_known, bool has_handler, char **ret_text)
{
	if (!is_known)
		return fail_unknown(s, ret_text);
	if (s->precondition) {
		*ret_text =
			xasprintf("Precondition is not supported for document schema version prior "
				  "to 2.2. Step name: %s",
				  s->id);
		return DECISION_FAIL;
	}
	if (has_handler)
		return DECISION_RUN;
	*ret_text = xasprintf("Plugin with name %s not found. Step name: %s", s->action, s->id);
	return DECISION_FAIL;
}

/* Rows 9 to 11. */
static enum decision
decide_by_list(const struct doc_step *s, enum precond state, char *const *list, char **ret_text)
{
	autofree char *joined = strv_join(list, ", ");

	if (state == PRECOND_NOT_MET) {
		*ret_text =
			xasprintf("Step execution skipped due to unsatisfied preconditions: '%s'. "
				  "Step name: %s",
				  joined, s->id);
		return DECISION_SKIP;
	}
	if (state == PRECOND_INVALID) {
		*ret_text = xasprintf(
			"Unrecognized precondition(s): '%s', please update agent to latest "
			"version. Step name: %s",
			joined, s->id);
		return DECISION_FAIL;
	}
	return DECISION_RUN;
}

/* Rows 7 and 8. A step for another platform is skipped for that reason also where we lack a plugin
 * that the reference has. */
static enum decision
decide_with_precondition(const struct doc *d, const struct doc_step *s, const struct known *k,
			 bool has_handler, char **ret_text)
{
	autostrv char **list = NULL;
	enum precond state = precond_check(s->precondition, d->params, &list);
	bool handled = has_handler || (k && k->on_linux && state == PRECOND_NOT_MET);

	if (state != PRECOND_NOT_MET && !k && !has_handler)
		return fail_unknown(s, ret_text);
	if (!handled)
		return skip_unsupported(s, ret_text);
	return decide_by_list(s, state, list, ret_text);
}

enum decision
decide_step(const struct doc *d, const struct doc_step *s, const struct decide_facts *facts,
	    char **ret_text)
{
	const struct known *k = find_known(s->action);
	bool is_known = k || facts->has_handler;

	if (facts->exit_demanded && !(facts->is_last && doc_is_finally(s))) {
		*ret_text =
			xasprintf("Plugin with name %s and id %s skipped due to prior step with an "
				  "exit condition",
				  s->action, s->id);
		return DECISION_SKIP;
	}
	if (!d->has_preconditions)
		return decide_early(s, is_known, facts->has_handler, ret_text);
	if (s->precondition)
		return decide_with_precondition(d, s, k, facts->has_handler, ret_text);
	if (!is_known)
		return fail_unknown(s, ret_text);
	return facts->has_handler ? DECISION_RUN : skip_unsupported(s, ret_text);
}
