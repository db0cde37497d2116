/* SPDX-License-Identifier: Apache-2.0 */
/* Users: looked up in a process of their own, because a name service may hang; becoming one. */
#ifndef SSM_HOST_USER_H
#define SSM_HOST_USER_H

#include <jansson.h>

#include "core/base/proc.h"

struct host;

/* By `ssm-plugin-host --user NAME`: at most 5 s. "" is who we are. -ENOENT for an unknown name,
 * -ETIMEDOUT. */
int user_lookup(const char *name, struct proc_user *ret, struct err *e);
/* The same, but who was found just now is not looked up again: what asks who somebody is and then
 * starts a program as that one waits once. */
int host_user(struct host *h, const char *name, struct proc_user *ret, struct err *e);
/* For info("user:NAME"): user_to_json() as text, or {"error": why, "unknown": there is none}. It
 * lives until the next call. */
const char *host_user_info(struct host *h, const char *name);
/* {"name", "uid", "gid", "home", "shell", "groups": [gid ...]}; NULL: a text in it is not UTF-8. */
json_t *user_to_json(const struct proc_user *u);
/* The one for what needs no rights at all. */
const struct proc_user *user_nobody(void);
/* What this host runs shall run as U. *WORK_DIR, the job's folder, becomes U's own and the current
 * folder, and is replaced by a path that U can walk; *FILE, the plugin, likewise. Nothing happens
 * when we are U already. */
int user_become(const struct proc_user *u, char **work_dir, char **file, struct err *e);

#endif
