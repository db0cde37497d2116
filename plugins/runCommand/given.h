/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters as an operator gives them to `aws ssm send-command`, made what the service makes of
 * them before it sends a command (spec/03 2.5). */
#ifndef SSM_RUNCOMMAND_GIVEN_H
#define SSM_RUNCOMMAND_GIVEN_H

#include <jansson.h>

/* In PAYLOAD, each of Parameters that is a list of strings gets the type that DocumentContent
 * defines for it: String, Integer, Boolean and StringMap from a list of one, MapList from the JSON
 * text of its items. A number or truth value becomes the default of its definition, too. What does
 * not fit is left as it is, for the validators to speak of. */
void given_convert(json_t *payload);

#endif
