/* SPDX-License-Identifier: Apache-2.0 */
/* The merged configuration: layers of DESIGN section 10, each value with its origin. */
#ifndef SSM_CONF_CONF_H
#define SSM_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/strv.h"

struct conf;

struct conf_spec {
	const char *root;	/* NULL, or the folder below which every path lies (--root) */
	char *const *overrides; /* "Section.Key=value" from the command line, or NULL */
};
/* A warning about a layer (unknown key, ignored file): one line with file:line. */
typedef void conf_warn_fn(void *arg, const char *text);

/* Read all layers. NULL with the first error (file:line, key, value, what is allowed). */
struct conf *conf_load(const struct conf_spec *spec, conf_warn_fn *warn, void *arg, struct err *e);
struct conf *conf_free(struct conf *c);
/* Read all layers again, as they were read the first time. When anything is wrong C stays as it is
 * and E says what, as above. Else C gets the new values of the keys that take effect at once and of
 * all sections that are not the core's; strings and lists of other keys stay valid and as they
 * were, and *RET_RESTART names those that are different now ("Section.Key"; NULL: none; caller
 * frees). */
int conf_reload(struct conf *c, conf_warn_fn *warn, void *arg, char ***ret_restart, struct err *e);

/* Core keys, "Mds.CommandWorkersLimit": the built-in value when no layer has it. Asking for a key
 * that the core's table does not have is a programming error (assert). Checked at load, cannot
 * fail. */
const char *conf_str(const struct conf *c, const char *key); /* "" when empty; owned by C */
int64_t conf_int(const struct conf *c, const char *key);
bool conf_bool(const struct conf *c, const char *key);
int64_t conf_ms(const struct conf *c, const char *key);
int64_t conf_bytes(const struct conf *c, const char *key);
char *const *conf_list(const struct conf *c, const char *key); /* blank or comma separated */

/* Any section, also "plugin runCommand" and "Features": NULL when absent. */
const char *conf_raw(const struct conf *c, const char *section, const char *key);
/* Names of all sections that begin with PREFIX; strv_free. */
char **conf_sections(const struct conf *c, const char *prefix);
/* "FILE:LINE", "built-in", "command line"; NULL when absent. */
const char *conf_origin(const struct conf *c, const char *section, const char *key);
/* Next key of SECTION (*ITER 0 at the start); false at the end. */
bool conf_next(const struct conf *c, const char *section, size_t *iter, const char **ret_key,
	       const char **ret_value);

/* Where things live (Paths.* and --root applied); absolute, owned by C. */
enum conf_path {
	CONF_PATH_STATE,   /* /var/lib/amazon/ssm */
	CONF_PATH_RUN,	   /* /run/ssm */
	CONF_PATH_LOG,	   /* /var/log/amazon/ssm */
	CONF_PATH_CACHE,   /* /var/cache/ssm */
	CONF_PATH_ETC,	   /* /etc/ssm */
	CONF_PATH_PLUGINS, /* $(plugindir); not below root unless Paths.Plugins says so */
	CONF_PATH_HOST,	   /* $(libexecdir)/ssm/ssm-plugin-host */
};
const char *conf_path(const struct conf *c, enum conf_path which);
/* --root was given: trial run, unprivileged allowed, Net.ConnectTo honoured. */
bool conf_has_root(const struct conf *c);
const char *conf_root(const struct conf *c); /* that folder, or NULL */

/* Every value with its origin, "Section.Key = value  # origin", secrets masked. Caller frees. */
char *conf_dump(const struct conf *c);

#endif
