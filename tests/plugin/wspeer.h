/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what lives on the host's loop: a struct ssm whose watches work, and the peer of a
 * WebSocket, tests/plugin/wspeer.py, which shares no code with us. */
#ifndef SSM_TESTS_PLUGIN_WSPEER_H
#define SSM_TESTS_PLUGIN_WSPEER_H

#include <ssm_plugin.h>
#include <stdbool.h>
#include <sys/types.h>

struct event_base;
struct host;
struct instance;

struct looplab {
	struct event_base *base;
	struct host *host;
	struct instance *instance;
	struct ssm *S;
};

void looplab_init(struct looplab *l);
void looplab_done(struct looplab *l);
/* Run the loop until *DONE, at most MS; false: it took longer. */
bool looplab_run(struct looplab *l, const bool *done, int64_t ms);

struct wspeer {
	pid_t pid;
	int port;
	char folder[64]; /* of its certificate */
};

void wspeer_start(struct wspeer *p, const char *name);
/* Its exit status, once the connection is gone. */
int wspeer_end(struct wspeer *p);

#endif
