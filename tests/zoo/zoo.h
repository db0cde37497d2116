/* SPDX-License-Identifier: Apache-2.0 */
/* What the plugins of the zoo share: the frame round one misbehaviour. */
#ifndef SSM_TESTS_ZOO_H
#define SSM_TESTS_ZOO_H

#include <ssm_plugin.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A plugin NAME with one action "zoo:NAME" that runs RUN. */
#define ZOO_ACTION(id, run) ZOO_ACTION_WITH(id, run, 0)
/* With FLAGS of its feature. */
#define ZOO_ACTION_WITH(id, run, flags)                                                      \
	static const struct ssm_action_ops zoo_ops = {sizeof(zoo_ops), 0, NULL, run};        \
	static const struct ssm_feature zoo_features[] = {                                   \
		{SSM_KIND_ACTION, flags, "zoo:" #id, &zoo_ops, NULL, NULL, NULL}};           \
	SSM_PLUGIN(id) = {                                                                   \
		SSM_PLUGIN_HEAD,                                                             \
		#id,                                                                         \
		"1",                                                                         \
		"Apache-2.0",                                                                \
		"of the zoo",                                                                \
		SSM_TABLE(zoo_features),                                                     \
		0,                                                                           \
		0,                                                                           \
		NULL,                                                                        \
		0,                                                                           \
		NULL,                                                                        \
		NULL,                                                                        \
	}

#endif
