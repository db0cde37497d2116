/* SPDX-License-Identifier: Apache-2.0 */
/* Users: looked up in a process of their own, because a name service may hang; becoming one. */
#ifndef SSM_HOST_USER_H
#define SSM_HOST_USER_H

#include "core/base/proc.h"

/* By `ssm-plugin-host --user NAME`: at most 5 s. -ENOENT for an unknown name, -ETIMEDOUT. */
int user_lookup(const char *name, struct proc_user *ret, struct err *e);
/* The one for what needs no rights at all. */
const struct proc_user *user_nobody(void);
/* What this host runs shall run as U. *WORK_DIR, the job's folder, becomes U's own and the current
 * folder, and is replaced by a path that U can walk; *FILE, the plugin, likewise. Nothing happens
 * when we are U already. */
int user_become(const struct proc_user *u, char **work_dir, char **file, struct err *e);

#endif
