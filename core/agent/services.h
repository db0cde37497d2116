/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts of background services: started for each feature of that kind, started again with a
 * back-off, heard (deliver, state) and told (replies, network). DESIGN sections 2, 3. */
#ifndef SSM_AGENT_SERVICES_H
#define SSM_AGENT_SERVICES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct broker;
struct conf;
struct dispatch;
struct event_base;
struct outbox_carrier;
struct plugins;
struct services;

struct services_options {
	struct event_base *base;
	const struct conf *conf;
	struct plugins *plugins;
	struct broker *broker;
	json_t *info; /* members of info{} of every service's host; borrowed */
	/* SERVICE says "open", "closed" or "denied"; also "closed" when its host ends. */
	void (*state)(void *arg, const char *service, const char *state);
	void *arg;
};

struct services *services_new(const struct services_options *o);
struct services *services_free(struct services *s); /* their hosts end by themselves */
/* The table of features may have changed: start what is new, end what is gone or is another file.
 * What it delivers goes to D. Nothing runs before the first call. */
void services_look(struct services *s, struct dispatch *d);
/* To all that run: "network", "credentials", "config". */
void services_notify(struct services *s, const char *event);
/* Takes replies to the services that delivered their messages; its argument is the services. */
const struct outbox_carrier *services_carrier(void);
/* [{"name", "plugin", "pid", "state", "failures", "off"}]; caller owns. */
json_t *services_report(const struct services *s);

#endif
