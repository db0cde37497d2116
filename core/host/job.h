/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a host process: greet, load, ready, go, handler, end, stored. */
#ifndef SSM_HOST_JOB_H
#define SSM_HOST_JOB_H

/* --job: talks to the agent on FD. The exit status. */
int host_job(int fd);
/* --try FILE action NAME JSON: without an agent, output on stdout and stderr. The exit status. */
int host_try(const char *file, const char *kind, const char *name, const char *inputs);

#endif
