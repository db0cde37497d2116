/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions at a terminal (spec 02 §6): Standard_Stream is a shell, InteractiveCommands a
 * command. */
#ifndef SSM_SESSIONMANAGER_SHELL_H
#define SSM_SESSIONMANAGER_SHELL_H

#include <ssm_plugin.h>

#define SHELL_COLS 80 /* until the client says its size */
#define SHELL_ROWS 24

extern const struct ssm_session_ops terminal_ops, interactive_ops;

#endif
