/* SPDX-License-Identifier: Apache-2.0 */
/* The periodic ping: UpdateInstanceInformation at start and every Ssm.HealthFrequencyMinutes. */
#ifndef SSM_AGENT_HEALTH_H
#define SSM_AGENT_HEALTH_H

#include <jansson.h>

struct aws;
struct conf;
struct event_base;
struct ssmapi_ping;
struct health;

/* The strings of PING are copied. The first ping goes out at once. */
struct health *health_new(struct event_base *base, const struct conf *conf, struct aws *aws,
			  const struct ssmapi_ping *ping);
struct health *health_free(struct health *h);
void health_now(struct health *h); /* the network came back */
/* The service answers again: a ping that failed does not wait any longer. */
void health_retry_now(struct health *h);
/* "ssmmessages" or "ec2messages": told at once when it is another one. */
void health_set_channel(struct health *h, const char *channel);
/* {"last_success", "failures", "last_error"}; caller owns. */
json_t *health_report(const struct health *h);

#endif
