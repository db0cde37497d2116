/* SPDX-License-Identifier: Apache-2.0 */
/* The --transfer process: one signed request between a URL and a descriptor, without credentials.
 */
#ifndef SSM_AWS_TRANSFER_H
#define SSM_AWS_TRANSFER_H

#include <jansson.h>

#include "core/base/err.h"

/* main() of `ssm-agent --transfer`: reads the request as JSON from fd 3 up to its end: url, method
 * (GET, PUT when upload), headers ["Name: value"], upload, size (of what is sent from a pipe, or
 * expected), max_bytes (1 GiB), sha256 (expected), timeout_ms (1 h), ca_file, proxy ("" as the
 * environment says), no_proxy, keep_user. The body goes to or comes from fd 4. Writes to fd 3 lines
 * {"progress": BYTES} and one result line
 *   {"code": 0 or -errno, "error": TEXT, "status": HTTP, "bytes", "sha256",
 *    "service_code": the service's error, "region": where the bucket is when S3 sends us there}
 * -EREMOTEIO: not 2xx, and nothing was written to fd 4; -EBADMSG: not the size or digest that was
 * expected; -EFBIG: more than max_bytes. Root becomes nobody unless keep_user. Exit status 0 when a
 * result was written. */
int transfer_main(void);

struct event_base;
struct transfer;
typedef void transfer_done_fn(void *arg, const json_t *result);
/* The agent's side: start that process for REQUEST with FD (borrowed, only for this call) as body.
 * DONE gets the result, also when the process dies or does not end in time; never from within. */
struct transfer *transfer_start(struct event_base *base, const char *self_path,
				const json_t *request, int fd, transfer_done_fn *done, void *arg,
				struct err *e);
/* Ends the process, no callback; NULL is fine. It is waited for from the loop. */
void transfer_cancel(struct transfer *t);

#endif
