/* SPDX-License-Identifier: Apache-2.0 */
/* The few ssm calls that the core itself makes. spec/01 section 2.2. */
#ifndef SSM_AWS_SSMAPI_H
#define SSM_AWS_SSMAPI_H

#include <stdbool.h>
#include <stddef.h>

#include "core/aws/call.h"

struct ssmapi_ping {
	const char *instance_id;
	const char *availability_zone, *availability_zone_id; /* "" when unknown */
	const char *platform_name, *platform_version;
	const char *channel; /* SSMConnectionChannel: "ec2messages" "ssmmessages" "" */
};
/* UpdateInstanceInformation; computer name and address are found here. EMPTY: the short form. NULL
 * when there is no endpoint for it. */
struct aws_call *ssmapi_ping(struct aws *a, const struct ssmapi_ping *p, bool empty,
			     aws_done_fn *done, void *arg);
/* Platform name and version by the files of spec/01 section 2.2; "NotAvailable" each when nothing
 * says it. */
void ssmapi_platform(char *ret_name, size_t name_size, char *ret_version, size_t version_size);
/* The same with ETC in place of /etc. */
void ssmapi_platform_of(const char *etc, char *ret_name, size_t name_size, char *ret_version,
			size_t version_size);
/* The address to report, by the rule of spec/01 section 2.2; false when there is none. */
struct ifaddrs;
bool ssmapi_choose_address(const struct ifaddrs *list, char *ret, size_t size);
/* The full name of HOST if the file ETC/hosts has one (what `hostname --fqdn` finds first; to ask
 * the name service could block the agent), else HOST. Caller frees. */
char *ssmapi_computer_name(const char *host, const char *etc);
/* The version reported to the service (DESIGN section 0 row 9). */
const char *ssmapi_agent_version(void);

#endif
