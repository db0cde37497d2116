/* SPDX-License-Identifier: Apache-2.0 */
/* What a service manager is told: ready, stopping, a line of status, and that the loop is alive. */
#ifndef SSM_AGENT_NOTIFY_H
#define SSM_AGENT_NOTIFY_H

struct event_base;
struct notify;

/* By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which nobody we start inherits. Without a
 * manager, or with one that cannot be reached, NULL, which all functions take. The watchdog is fed
 * from BASE at half its interval, so a loop that is stuck is noticed. */
struct notify *notify_new(struct event_base *base);
struct notify *notify_free(struct notify *n);
void notify_ready(struct notify *n);
void notify_stopping(struct notify *n);
/* One line; said again only when it changed. */
void notify_status(struct notify *n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
