/* SPDX-License-Identifier: Apache-2.0 */
/* The restart of the machine that a command asked for: when, by which command, and what if it does
 * not happen. DESIGN section 2. */
#ifndef SSM_AGENT_REBOOT_H
#define SSM_AGENT_REBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct event_base;
struct reboot;

struct reboot_options {
	struct event_base *base;
	const struct conf *conf;
	/* 0: the usual ones. */
	int64_t pause_ms; /* from the last end to the restart, for replies on their way */
	int64_t retry_ms; /* from one attempt to the next */
	/* All attempts failed: WHY, for whoever waits. */
	void (*gave_up)(void *arg, const char *why);
	void *arg;
};

struct reboot *reboot_new(const struct reboot_options *o);
struct reboot *reboot_free(struct reboot *r);
/* A command asked for it: after Agent.RebootGrace. Again is fine. */
void reboot_request(struct reboot *r);
/* From the request on: nothing may start any more. */
bool reboot_due(const struct reboot *r);
/* RUNNING commands do something; with none left it need not wait for the grace to be over. */
void reboot_running(struct reboot *r, size_t running);
/* Nobody wants it any more. */
void reboot_withdraw(struct reboot *r);

#endif
