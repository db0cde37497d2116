/* SPDX-License-Identifier: Apache-2.0 */
/* Inside conf: how the layers put their values into the tree. */
#ifndef SSM_CONF_LAYERS_H
#define SSM_CONF_LAYERS_H

#include "core/conf/conf.h"
#include "core/conf/keys.h"

/* One value of a layer: checked, then it replaces what an earlier layer said; "" resets a core key.
 * LENIENT (the reference agent's file): a value out of range is a warning. */
int conf_put(struct conf *c, const char *section, const char *name, const char *value,
	     const char *origin, bool lenient, struct err *e);
void conf_warn(struct conf *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A tree of the built-in values alone. */
struct conf *conf_new(conf_warn_fn *warn, void *arg);
/* The text of a *.conf file, and of the reference agent's file; FILE is the name shown. */
typedef int conf_put_fn(struct conf *c, const char *file, const char *text, size_t len,
			struct err *e);
conf_put_fn conf_put_text, conf_put_legacy;

/* conf_file.c: a file of root's or ours that nobody else may write, at most 1 MiB (-ENOENT without
 * a text when missing; caller frees); such a file as a layer, none when missing; one *.conf file;
 * the snippet folders, /etc hiding /usr/lib by name. */
int conf_read_trusted(const char *path, char **ret, size_t *ret_len, struct err *e);
int conf_read_layer(struct conf *c, const char *path, conf_put_fn *put, struct err *e);
int conf_read_file(struct conf *c, const char *path, struct err *e);
int conf_read_folders(struct conf *c, const char *const *folders, size_t count, size_t single_at,
		      const char *single, struct err *e);
/* conf_legacy.c: the reference agent's JSON file; a missing one is fine. */
int conf_read_legacy(struct conf *c, const char *path, struct err *e);

#endif
