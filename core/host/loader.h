/* SPDX-License-Identifier: Apache-2.0 */
/* Loading a plugin's descriptor; the only user of libltdl. DESIGN section 7 "Versions". */
#ifndef SSM_HOST_LOADER_H
#define SSM_HOST_LOADER_H

#include <jansson.h>
#include <ssm_plugin.h>

#include "core/base/err.h"

/* What this host understands of a descriptor: members that an older plugin lacks are zero. */
struct module {
	char *path;
	struct ssm_plugin plugin;
	struct ssm_feature *features;
	struct ssm_option *options;
};

/* Plugins that the program carries: LIST is libtool's table of their symbols, NAMES their names,
 * each between blanks. Before anything is opened. */
void loader_preload(const void *list, const char *names);
/* [description...] of all that the program carries. Caller owns. NULL with E. */
json_t *loader_describe_builtin(struct err *e);
/* Load FILE (absolute path, or "builtin:NAME") and check its descriptor; nothing is ever unloaded.
 * NULL with E: one sentence without the file's name. No function of the plugin is called. */
struct module *loader_open(const char *file, struct err *e);
/* Frees our view of it; the library itself stays loaded. Returns NULL. */
struct module *module_free(struct module *m);

/* The feature of that kind that serves NAME (exact, '*' prefix; topics: prefix), or NULL. */
const struct ssm_feature *module_feature(const struct module *m, uint32_t kind, const char *name);

/* describe.c: the descriptor as JSON; members that are NULL are left out. Caller owns. */
json_t *describe_module(const struct module *m);

#endif
