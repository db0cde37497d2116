/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between agent and host: names, members, which side may send which in which state.
 *
 * Every message is an object with "t" (type). "seq" numbers those that must not be lost (per job,
 * from 1, answered by "stored"); "id" numbers requests (answered by "result" with the same id).
 *
 * host -> agent
 *  - hello: ipc_min, ipc_max, token, pid. First packet, also after a reconnect.
 *  - ready: plugin loaded, init done.
 *  - log: level, text, dropped (lines left out before this one). Never blocks.
 *  - reply: seq, final; body: payload JSON. Topic jobs only.
 *  - state-put: seq, id, key; body: the data, at most 64 KiB.
 *  - end: seq, result, exit_code, error; body: result JSON or none. Last of a job: RESULT is the
 *    handler's value (topics) or SSM_SUCCESS ... (steps).
 *  - deliver: seq, id, msg_id, topic, route; body: message JSON.
 *  - call: id, service, target, method, path, content_type, headers{}, region, url, anonymous,
 *    timeout_ms; body.
 *  - sign: as call, and valid_ms.
 *  - transfer: id, url, upload, sign, method, headers{}, max_bytes, sha256, timeout_ms; fds[0].
 *  - state-get: id, key.
 *  - job-start: id, kind, name, step, timeout_ms; body: inputs JSON; fds: stdout, stderr.
 *  - job-wait: id, job.
 *  - job-cancel: id, job.
 *  - progress: text.
 *
 * agent -> host
 *  - hello: ipc, agent_version, token, job, kind, feature (the name that matched), plugin,
 *    plugin_path, plugins[{name, path, features[]}], config{}, info{}, timeout_ms, cancelled;
 *    body: message JSON (topics) or inputs JSON (steps); fds: stdout, stderr (steps).
 *  - go: STARTED is durable, the handler may run.
 *  - stored: seq.
 *  - cancel: grace_ms.
 *  - result: id, code (0 or -errno), error (text), status (HTTP), name (the service's error code),
 *    headers{}, url, job, exit_code; body. Of a
 *    job-wait: code is the step's result (or -errno), exit_code, job, error.
 *  - notify: event; body.
 *  - bye: nothing more will be answered, end now.
 */
#ifndef SSM_IPC_WIRE_H
#define SSM_IPC_WIRE_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/err.h"

#define WIRE_IPC_MIN 1 /* the previous version is spoken too, once there is one */
#define WIRE_IPC_MAX 1

enum wire_side {
	WIRE_FROM_HOST,
	WIRE_FROM_AGENT
};
enum wire_state {
	WIRE_NEW,
	WIRE_GREETED,
	WIRE_READY,
	WIRE_RUNNING,
	WIRE_ENDED
};

/* Check type, members and that SIDE may send it in STATE; -EPROTO with the reason. *RET_TYPE is a
 * static string. */
int wire_check(enum wire_side side, enum wire_state state, const json_t *message,
	       const char **ret_type, struct err *e);
/* The lower of both sides' versions, or -EPROTO with both ranges. */
int wire_version(int their_min, int their_max, struct err *e);
/* A new message of that type. */
json_t *wire_new(const char *type);

#endif
