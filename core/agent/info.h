/* SPDX-License-Identifier: Apache-2.0 */
/* What info() of plugins says: an object of strings. What a job adds to it is the job's. */
#ifndef SSM_AGENT_INFO_H
#define SSM_AGENT_INFO_H

#include <jansson.h>

struct conf;
struct identity;

/* For every plugin. Caller owns. */
json_t *info_new(const struct conf *conf, const struct identity *who, const char *platform,
		 const char *platform_version);
/* Put what may change while we run; hosts that run keep what they were told. */
void info_put_live(json_t *o, const struct conf *conf);
/* The networks of the VPC, found later. */
void info_put_networks(json_t *o, char *const *networks);
/* For services, which connect by themselves: COMMON and where ssmmessages is, by which proxy, what
 * certificates are trusted. Caller owns. */
json_t *info_for_services(const json_t *common, const struct conf *conf,
			  const struct identity *who);

#endif
