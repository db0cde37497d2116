/* SPDX-License-Identifier: Apache-2.0 */
/* host.sock: the way back for hosts that an agent before us has started. DESIGN section 2. */
#ifndef SSM_AGENT_HOSTSOCK_H
#define SSM_AGENT_HOSTSOCK_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/base/err.h"

struct event_base;
struct hostsock;

struct hostsock_ops {
	/* Is a host with this pid waited for. */
	bool (*waits)(void *arg, pid_t pid);
	/* Process PID says HELLO, which is of the right form. 0: FD is taken; else it is refused
	 * with E. */
	int (*back)(void *arg, pid_t pid, int fd, const json_t *hello, struct err *e);
};
/* Listen at <run folder>/host.sock, mode 0666: hosts may run as any user. */
struct hostsock *hostsock_new(struct event_base *base, const char *run_path,
			      const struct hostsock_ops *ops, void *arg, struct err *e);
struct hostsock *hostsock_free(struct hostsock *s);
const char *hostsock_path(const struct hostsock *s);

#endif
