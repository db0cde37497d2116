/* SPDX-License-Identifier: Apache-2.0 */
/* The --transfer process: one signed request between a URL and a descriptor, without credentials.
 */
#ifndef SSM_AWS_TRANSFER_H
#define SSM_AWS_TRANSFER_H

#include <jansson.h>

#include "core/base/err.h"

/* main() of `ssm-agent --transfer`: reads the request as JSON from fd 3 (url, method, headers[],
 * upload, max_bytes, sha256, timeout_ms, ca_file, proxy), body on fd 4, writes progress and one
 * result line
 * {"status","error","bytes","code"} to fd 3. Exit status 0 when a result was written. */
int transfer_main(void);

struct event_base;
struct transfer;
typedef void transfer_done_fn(void *arg, const json_t *result);
/* The agent's side: start that process for REQUEST with FD as body. Cancel ends it. */
struct transfer *transfer_start(struct event_base *base, const char *self_path,
				const json_t *request, int fd, transfer_done_fn *done, void *arg,
				struct err *e);
void transfer_cancel(struct transfer *t);

#endif
