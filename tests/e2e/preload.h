/* SPDX-License-Identifier: Apache-2.0 */
/* The preloaded library of the tests: what its files share. preload.c says how to steer it. */
#ifndef SSM_TESTS_PRELOAD_H
#define SSM_TESTS_PRELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a call is, as bits: it counts in each class that it belongs to. */
enum {
	CLASS_EFFECT = 1, /* leaves something outside of the process */
	CLASS_SPACE = 2,  /* can meet a full disk */
	CLASS_IO = 4,	  /* can meet a bad one */
	CLASS_FDS = 8,	  /* makes a descriptor */
	CLASS_SPAWN = 16, /* makes a process */
};

/* Before a call, seen with the descriptor FD (or -1) and the name PATH (or NULL). The error it is
 * to fail with, or 0. Does not return when the process is to die before it. */
int fault_before(unsigned classes, const char *call, int fd, const char *path);
/* Behind it: does not return when the process is to die then. */
void fault_after(void);
/* All of a kind at once: the process and, when it is known, the other one. */
void fault_die(bool both);

struct setting {
	char dir[256];	/* where traces, pids and so on lie */
	char who[16];	/* "agent" or "host" */
	char act[16];	/* kill, both, after, errno */
	char boot[256]; /* the file that is read instead of the boot id */
	char root[256]; /* what lies below it is logged */
	char full[256]; /* the disk is full while this file is there */
	char below[256]; /* the disk: what lies below this folder */
	long class, n, code, cut;
	bool trigger; /* count once dir/trigger is there */
};
/* NULL: nothing is asked of this process (any more: it is a copy of the one that was). */
const struct setting *setting(void);

/* System calls past all wrappers. */
long raw_open(const char *path, int flags, int mode);
void raw_append(const char *path, const void *data, size_t len);

enum {
	LOG_CREATE = 1, /* path */
	LOG_WRITE = 2,	/* offset, data */
	LOG_SIZE = 3,	/* offset: the new size */
	LOG_SYNC = 4,	/* file or folder */
	LOG_RENAME = 5, /* path, path2 */
	LOG_UNLINK = 6, /* path */
	LOG_MKDIR = 7,	/* path */
	LOG_SEND = 8,	/* something left the machine */
};

/* Between these nobody else's call is logged: the order of the log is the order of the effects. */
bool log_begin(void);
void log_end(void);
void log_name(int op, int dirfd, const char *path);
void log_rename(int dirfd, const char *path, int dirfd2, const char *path2);
void log_fd(int op, int fd, int64_t offset);
void log_write_at(int fd, int64_t offset, const void *data, size_t len);
/* The file's place before a write to it: -1 when it is none of ours. */
int64_t log_place(int fd);
void log_send(void);
bool log_exists(int dirfd, const char *path);

#endif
