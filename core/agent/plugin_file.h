/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of plugins.c share: the files that were found, and the order of their ways. */
#ifndef SSM_AGENT_PLUGIN_FILE_H
#define SSM_AGENT_PLUGIN_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "core/agent/plugins.h"
#include "core/base/list.h"

struct describe;
struct features;
struct map;
struct plugin_cache;

enum plugin_state {
	PLUGIN_DESCRIBING,
	PLUGIN_GOOD,
	PLUGIN_REFUSED,
};

struct plugin_file {
	struct list link;
	struct plugins *owner;
	char *name, *path;
	struct stat st;
	enum plugin_state state;
	bool on_disk;	    /* seen by the scan under way */
	bool builtin;	    /* a part of the host program: there is no file */
	int64_t tried_ms;   /* wall clock of its last description */
	char *reason;	    /* why it is refused */
	json_t *descriptor; /* of --describe */
	struct describe *run;
};

struct plugins {
	struct event_base *base;
	const struct conf *conf;
	struct list files; /* struct plugin_file */
	struct list waits;
	struct features *features;
	struct plugin_cache *cache;
	struct describe *builtin; /* asking the host what it carries */
	struct map *folders;	  /* folder -> why it is not read */
	struct event *timer;
	bool dirty; /* the table is older than the files */
	void (*on_change)(void *arg);
	void *on_change_arg;
};

/* plugins.c: a description came or a file went; the table follows when all are there. */
void plugins_announce(struct plugins *p);

/* plugins.c: what is wrong in its section of the configuration, into the log. */
void plugin_file_check_conf(const struct plugin_file *f);

/* plugin_scan.c */
void plugin_scan_builtin(struct plugins *p); /* once, at the start */
void plugin_scan(struct plugins *p);	   /* one look at all folders; changes are described */
void plugin_scan_retry(struct plugins *p); /* the next look tries the refused ones again */
bool plugin_scan_busy(const struct plugins *p);
void plugin_file_free(struct plugin_file *f);

/* plugin_cache.c: descriptions and failures of an earlier run, in plugins.json of FOLDER. */
struct plugin_cache *plugin_cache_open(const char *folder);
struct plugin_cache *plugin_cache_free(struct plugin_cache *c);
/* Fills descriptor, or reason and tried_ms, of a file whose path and stat are known. */
bool plugin_cache_get(const struct plugin_cache *c, struct plugin_file *f);
void plugin_cache_put(struct plugin_cache *c, const struct plugin_file *f);
void plugin_cache_drop(struct plugin_cache *c, const char *path);
void plugin_cache_save(struct plugin_cache *c); /* if something changed */

/* features.c: one table of what the good files provide. */
struct features *features_new(void);
struct features *features_free(struct features *t);
void features_build(struct features *t, const struct list *files, const struct conf *conf);
const struct feature *features_next(const struct features *t, uint32_t kind, size_t *iter);
const struct feature *features_find(const struct features *t, uint32_t kind, const char *name);
/* Rows of the table that are PLUGIN's, as in its descriptor. Caller owns. */
json_t *features_of(const struct features *t, const char *plugin);
/* [{"name","reason"}]: rows of PLUGIN that are not used. Caller owns. */
json_t *features_unused(const struct features *t, const char *plugin);

#endif
