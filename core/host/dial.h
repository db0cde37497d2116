/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to a socket by a path of any length. */
#ifndef SSM_HOST_DIAL_H
#define SSM_HOST_DIAL_H

/* A connected SOCK_SEQPACKET socket, non-blocking and close-on-exec, or -errno. */
int dial(const char *path);

#endif
