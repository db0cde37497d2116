/* SPDX-License-Identifier: Apache-2.0 */
/* NonInteractiveCommands (spec 02 §6.6): a program without a terminal and without a shell. */
#ifndef SSM_SESSIONMANAGER_COMMAND_H
#define SSM_SESSIONMANAGER_COMMAND_H

#include <ssm_plugin.h>

extern const struct ssm_session_ops command_ops;

#endif
