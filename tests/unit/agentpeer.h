/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of the protocol for tests of the real ssm-plugin-host with plugins of the zoo.
 * Everything blocks, and fails the test after 60 s. */
#ifndef TESTS_UNIT_AGENTPEER_H
#define TESTS_UNIT_AGENTPEER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct agentpeer {
	int fd;
	pid_t pid;
	char folder[64]; /* the work folder; holds "out" and "err" of a step */
	int out, err, listener;
	int fds[3]; /* descriptors of the last message */
	size_t fd_count;
	char *log; /* all lines that came, one a line */
	json_t *info;
};

/* Path of a plugin of the zoo. Caller frees. */
char *agentpeer_plugin(const char *name);
/* Start a host and greet it. BODY: message or inputs. INFO (taken, or NULL) joins the usual one;
 * its "*config" is the section of the plugin, "*plugins" an array of further plugins, "*found" the
 * section of the plugin "shells". */
void agentpeer_start(struct agentpeer *p, const char *plugin, unsigned kind, const char *feature,
		     const char *body, json_t *info);
void agentpeer_done(struct agentpeer *p); /* kills what still runs, removes the folder */
/* The next message that is neither log nor progress, its body as "text"; NULL: the host hung up. */
json_t *agentpeer_next(struct agentpeer *p);
json_t *agentpeer_expect(struct agentpeer *p, const char *type);
void agentpeer_send(struct agentpeer *p, json_t *json); /* taken; "inline" is the body */
void agentpeer_send_fds(struct agentpeer *p, json_t *json, const int *fds, size_t count);
void agentpeer_ready_go(struct agentpeer *p);
void agentpeer_stored(struct agentpeer *p, const json_t *m);
/* Answer request M; ANSWER (taken) gets "t" and "id". */
void agentpeer_answer(struct agentpeer *p, const json_t *m, json_t *answer);
/* Take the end, store it, wait for the process: it must exit with 0. The "end" message. */
json_t *agentpeer_end(struct agentpeer *p);
/* The next one is this reply, which is stored; this end, ERROR NULL: without one. */
void agentpeer_expect_reply(struct agentpeer *p, const char *text, bool final);
void agentpeer_expect_end(struct agentpeer *p, int64_t result, const char *error);
int agentpeer_wait(struct agentpeer *p); /* status of the process */
void agentpeer_hang_up(struct agentpeer *p);
/* Listen at FOLDER/host.sock (before start), take the call of a host that comes back. */
void agentpeer_listen(struct agentpeer *p);
void agentpeer_accept(struct agentpeer *p);
char *agentpeer_file(const struct agentpeer *p, const char *name); /* caller frees */

#endif
