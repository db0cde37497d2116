/* SPDX-License-Identifier: Apache-2.0 */
/* The action aws:runShellScript (spec/03 4.2). */
#ifndef SSM_RUNCOMMAND_SHELL_H
#define SSM_RUNCOMMAND_SHELL_H

#include "ssm_plugin.h"

#define SHELL_ACTION "aws:runShellScript"

extern const struct ssm_action_ops shell_ops;

/* What the step engine tells the action when both run in this process: the command's id, the number
 * that names its script, the ceiling of each output stream. COMMAND_ID is borrowed. */
void shell_set_step(const char *command_id, int number, uint64_t max_output);

#endif
