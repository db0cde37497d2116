/* SPDX-License-Identifier: Apache-2.0 */
/* What every host is told before it begins: its plugin, its rights, what it may find. */
#ifndef SSM_AGENT_HELLO_H
#define SSM_AGENT_HELLO_H

#include <jansson.h>
#include <stdint.h>

struct conf;
struct feature;
struct plugins;

/* For the host of F, as the job ID; NAME is what was asked for, INFO is taken. Caller owns. */
json_t *hello_new(const struct conf *conf, const struct plugins *plugins, const struct feature *f,
		  const char *id, const char *name, json_t *info);

#endif
