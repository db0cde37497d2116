/* SPDX-License-Identifier: Apache-2.0 */
/* The files below --root that let others use the sandbox. */
#ifndef SSM_SANDBOX_FILES_H
#define SSM_SANDBOX_FILES_H

#include <jansson.h>

#include "core/base/err.h"
#include "sdk/sandbox/sandbox.h"

/* Makes the folder (0700) when it is missing. */
int files_make_root(struct sandbox *sb, struct err *e);
/* "<root>/NAME"; caller frees. */
char *files_path(const struct sandbox *sb, const char *name);
/* operator.env, agent.env, agent.conf, aws/{config,credentials}, bin/aws */
int files_write_all(struct sandbox *sb, struct err *e);
/* Those that hold keys. */
int files_write_credentials(struct sandbox *sb, struct err *e);
/* Last of all: ready.json. */
int files_write_ready(struct sandbox *sb, struct err *e);
void files_remove_ready(struct sandbox *sb);
/* What is printed at the start. Caller owns. */
json_t *files_ready_line(const struct sandbox *sb);

#endif
