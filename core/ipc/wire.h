/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between agent and host: names, members, which side may send which in which state.
 *
 * Every message is an object with "t" (type). "seq" numbers those that must not be lost (per job,
 * from 1, answered by "stored"); "id" numbers requests (answered by "result" with the same id).
 *
 * Neither side waits for the other's hello before it sends its own: both tell their range and then
 * speak the lower of the two highest versions. The agent's hello has the lowest one as "ipc", which
 * is all that a host of version 1 looks at.
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
 *  - job-start: id, kind, name, step, timeout_ms; body: inputs JSON; fds: stdout, stderr. Answered
 *    once the start is on disk; asked again by the same id it starts nothing new.
 *  - job-wait: id, job.
 *  - job-cancel: id, job.
 *  - progress: text.
 *  - reply-done: reply_id, status (0 or -errno). Services only, as the next one.
 *  - service-state: state ("open", "closed", "denied").
 *
 * agent -> host
 *  - hello: ipc (the lowest it speaks), ipc_max (missing: ipc), agent_version, token, job, kind,
 *    feature (the name that matched), plugin, plugin_path, plugins[{name, path, features[]}],
 *    config{}, info{}, timeout_ms, cancelled; body: message JSON (topics) or inputs JSON (steps);
 *    fds: stdout, stderr (steps). To a host that comes back: stored (the last seq it has; what is
 *    up to there need not be sent again), and of the rest only the members that must be there.
 *  - go: STARTED is durable, the handler may run.
 *  - stored: seq.
 *  - cancel: grace_ms.
 *  - result: id, code (0 or -errno), error (text), status (HTTP), name (the service's error code),
 *    headers{}, url, job, exit_code; body. Of a
 *    job-wait: code is the step's result (or -errno), exit_code, job, error.
 *  - notify: event; body. To services: "network"; "reply" with reply_id, message_id, topic, route,
 *    final, notice, payload.
 *  - bye: nothing more will be answered, end now.
 */
#ifndef SSM_IPC_WIRE_H
#define SSM_IPC_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/err.h"

/* The current version and the one before it. What 2 brought: "ipc_max" and "stored" in the agent's
 * hello; a job-start is known again by its id. */
#define WIRE_IPC_MIN 1
#define WIRE_IPC_MAX 2

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
int wire_version(int64_t their_min, int64_t their_max, struct err *e);
/* A new message of that type. */
json_t *wire_new(const char *type);

#endif
