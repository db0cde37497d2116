/* SPDX-License-Identifier: Apache-2.0 */
/* How the agent is, for `ssmctl status`: connection, health, jobs, and what is wrong. */
#ifndef SSM_AGENT_STATUS_H
#define SSM_AGENT_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct identity;

/* All borrowed; what is not known yet is NULL or 0. Times in ms since 1970. */
struct status_facts {
	const struct identity *who;
	int64_t started_ms;
	bool connected;
	const char *channel; /* by which commands come */
	int64_t poll_changed_ms; /* since when it is connected, or not */
	const char *poll_error;	 /* of the last poll, while not connected */
	const char *credentials; /* their source, or NULL: there are none */
	const char *credentials_error;
	const json_t *health;  /* health_report() */
	const json_t *jobs;    /* dispatch_report() */
	const json_t *plugins; /* plugins_report() */
};
/* {"version", "pid", "started", "instance_id", "region", "connected", "connected_since",
 * "channel", "credentials", "health", "jobs", "problems": [text], "healthy"} and, for people,
 * "text". Caller owns. */
json_t *status_report(const struct status_facts *f);

#endif
