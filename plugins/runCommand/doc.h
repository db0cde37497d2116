/* SPDX-License-Identifier: Apache-2.0 */
/* A command: the payload of a message, decoded and made ready to run (spec/03 sections 1 and 2). */
#ifndef SSM_RUNCOMMAND_DOC_H
#define SSM_RUNCOMMAND_DOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/store/store.h"


struct doc_step {
	char *id;     /* name of the step; 1.x: the action */
	char *action; /* "aws:runShellScript" */
	/* One inputs value for a 2.x step, the property sets of a 1.x one. Owned array. */
	json_t *sets;
	json_t *settings;     /* NULL when absent */
	json_t *precondition; /* operator -> initial arguments; NULL when absent or empty */
};

struct doc {
	json_t *payload; /* decoded; the texts below are its own */
	const char *command_id, *name;
	const char *s3_bucket, *s3_prefix;
	bool is_v1;
	bool has_preconditions; /* schema 2.2 and above */
	json_t *params;		/* name -> merged value */
	json_t *environment;	/* name -> text: parameters that scripts get as variables, too */
	struct store store;	/* values of {{ssm:name}} */
	struct doc_step *steps;
	size_t step_count;
};

struct doc_source {
	const json_t *payload; /* an object, or a string that holds one */
	/* Nobody has looked at the values of the parameters yet: a document that did not come
	 * through the service, or that another one runs. All validators of 2.8 run. */
	bool unchecked;
	store_ask_fn *ask; /* the parameter store; NULL: a document that needs it is refused */
	void *ask_arg;
};

/* Decode, check the schema version, merge and validate the parameters, fill them in, list the
 * steps. NULL when it cannot run: *RET_TRACE is what the reference says of it in
 * documentTraceOutput (caller frees), or NULL where the command was cancelled meanwhile. */
struct doc *doc_new(const struct doc_source *source, char **ret_trace);
struct doc *doc_free(struct doc *d);

/* The control-flow modifiers of a step, which live in its inputs (2.2). */
enum doc_flow {
	DOC_FLOW_NONE,
	DOC_FLOW_EXIT,
	DOC_FLOW_SUCCESS_AND_EXIT
};
enum doc_flow doc_on_failure(const struct doc_step *s);
enum doc_flow doc_on_success(const struct doc_step *s);
bool doc_is_finally(const struct doc_step *s);
/* The component that stands for property set SET of the step in the reference's folders and object
 * keys, before its colons are taken out: the name, or "id" of the inputs. Borrowed. */
const char *doc_folder(const struct doc_step *s, size_t set);

/* The command id within a message id: the second-last part of "aws.ssm.<command id>.<instance id>".
 * NULL when it has no such part; caller frees. */
char *doc_command_id(const char *message_id);
/* S without its colons; caller frees. */
char *doc_without_colons(const char *s);

#endif
