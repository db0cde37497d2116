/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket in a folder of ours. */
#ifndef SSM_IPC_LISTEN_H
#define SSM_IPC_LISTEN_H

#include <sys/types.h>

#include "core/base/err.h"

/* Bind NAME, with exactly MODE, below DIRFD, in place of one that is left there; SOCK_SEQPACKET,
 * non-blocking. The caller's umask leaves nothing to others. fd or -errno. */
int ipc_listen(int dirfd, const char *name, mode_t mode, struct err *e);

#endif
