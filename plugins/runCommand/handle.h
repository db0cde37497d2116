/* SPDX-License-Identifier: Apache-2.0 */
/* A message of the topic aws.ssm.sendCommand., from its arrival to the final reply. */
#ifndef SSM_RUNCOMMAND_HANDLE_H
#define SSM_RUNCOMMAND_HANDLE_H

#include "ssm_plugin.h"

int32_t handle_command(struct ssm *S, struct ssm_message *msg);

#endif
