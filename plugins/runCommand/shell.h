/* SPDX-License-Identifier: Apache-2.0 */
/* The action aws:runShellScript (spec/03 4.2). */
#ifndef SSM_RUNCOMMAND_SHELL_H
#define SSM_RUNCOMMAND_SHELL_H

#include <jansson.h>
#include <stdint.h>

#include "ssm_plugin.h"

#define SHELL_ACTION "aws:runShellScript"

extern const struct ssm_action_ops shell_ops;

/* What the step engine tells the action when both run in this process. Strings are borrowed. */
struct shell_step {
	const char *command_id;
	int number;		   /* names its script */
	uint64_t max_output;	   /* bytes of each output stream */
	const json_t *environment; /* parameters that are variables: name -> text */
};
void shell_set_step(const struct shell_step *step);

#endif
