/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: JSON lines that queue commands, set faults, wait for results. */
#ifndef SSM_SANDBOX_CONTROL_H
#define SSM_SANDBOX_CONTROL_H

#include "core/base/err.h"
#include "sdk/sandbox/store.h"

/* Listens on PATH. NULL and an error when it cannot. */
struct control *control_open(struct sandbox *sb, const char *path, struct err *e);
struct control *control_free(struct control *c); /* removes the socket; returns NULL */
/* An invocation has come further: waiting clients may have their answer. */
void control_on_stage(struct sandbox *sb, struct invocation *inv, enum stage stage);
void control_on_node(struct sandbox *sb, struct node *node);

/* "auto", "ec2messages", "ssmmessages" -> enum transport or -EINVAL. */
int control_transport(const char *name);
/* "both", "v2-required", "v1-only", "off" -> enum imds_mode or -EINVAL. */
int control_imds_mode(const char *name);

/* ctl.c: the client, `ssm-sandbox ctl SOCKET OPERATION [NAME=VALUE...]`; an exit status. */
int ctl_main(int argc, char **argv);

#endif
