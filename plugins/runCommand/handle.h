/* SPDX-License-Identifier: Apache-2.0 */
/* A message that holds a command, from its arrival to the final reply. */
#ifndef SSM_RUNCOMMAND_HANDLE_H
#define SSM_RUNCOMMAND_HANDLE_H

#include "ssm_plugin.h"

/* Of the topic aws.ssm.sendCommand.: the service has checked the values of the parameters. */
int32_t handle_command(struct ssm *S, struct ssm_message *msg);
/* The same message, under this topic, from elsewhere, as by ssmctl run or the offline inbox: all
 * validators of spec/03 2.8 run, also those that the service runs before it sends a command. */
#define UNCHECKED_TOPIC "ssm.offlineCommand."
int32_t handle_unchecked_command(struct ssm *S, struct ssm_message *msg);
/* The same message again, of which nothing runs: the final reply is what show.h says of it. For
 * ssmctl run --dry-run. */
#define SHOW_TOPIC "ssm.showCommand."
int32_t handle_show_command(struct ssm *S, struct ssm_message *msg);

#endif
