/* SPDX-License-Identifier: Apache-2.0 */
/* A host for unit tests of plugins: it records what the plugin asks for, and plays back what the
 * test wrote down. No process, no agent.
 *
 *	struct fakehost f;
 *	fakehost_init(&f);
 *	fakehost_play(&f, "spawn", json_pack("{s:i,s:s}", "code", 3, "out", "text"));
 *	r = ops.run(&f.S, fakehost_step(&f, json_pack("{s:s}", "who", "you")));
 *	... f.result, f.exit_code, sbuf_str(&f.out), fakehost_asked(&f, 0, "spawn")
 *	fakehost_done(&f);
 */
#ifndef TESTS_FAKEHOST_FAKEHOST_H
#define TESTS_FAKEHOST_FAKEHOST_H

#include <jansson.h>
#include <ssm_plugin.h>
#include <stdbool.h>

#include "core/base/sbuf.h"

struct fakehost {
	struct ssm S; /* what the plugin gets */
	struct ssm_api api;
	json_t *info, *options; /* texts by key; options the plugin has */
	json_t *capabilities;	/* array of what has() affirms */
	json_t *state;		/* values by key, as state_put() left them */
	bool cancelled;
	int cancel_fd; /* eventfd */
	/* What the plugin did. */
	struct sbuf out, err; /* the step's output */
	bool done;	      /* step_done() was called, with: */
	int32_t result, exit_code;
	char *error;	 /* last verror() */
	json_t *log;	 /* array of [level, text] */
	json_t *replies; /* array of {"text", "final"} */
	json_t *asked;	 /* array of {"fn": name, ...} in order */
	/* Inside. */
	json_t *plays, *texts;
	struct ssm_step *step;
	struct ssm_message *message;
	struct ssm_session *session;
	json_t *started; /* the answer of the program that runs, or NULL */
	struct ssm_spawn started_as;
	ssm_end_fn *end;
	void *end_arg;
};

void fakehost_init(struct fakehost *f);
void fakehost_done(struct fakehost *f);
/* The next call of FN ("spawn" "spawn_start" "call" "sign" "transfer" "step_run" "job_start"
 * "job_wait") ends like ANSWER (taken), and so on in order. Members, all with defaults: "r" what
 * the function returns (0); programs: "how" "code" "left" "out" "err"; requests: "status" "error"
 * "body" "headers" "url", transfers also "data", which is written to the fd; steps and jobs:
 * "result" "code" "error" "json" "id" "out" "err". Without an answer the test fails. */
void fakehost_play(struct fakehost *f, const char *fn, json_t *answer);
/* A step with these inputs (taken). One at a time; freed by fakehost_done() or the next one. */
struct ssm_step *fakehost_step(struct fakehost *f, json_t *inputs);
/* A message (taken): {"MessageId", "Topic", "Payload": object, ...}. */
struct ssm_message *fakehost_message(struct fakehost *f, json_t *message);
/* A session, of which only session_str() reads (taken): the document with what the start message
 * adds. */
struct ssm_session *fakehost_session(struct fakehost *f, json_t *document);
/* The program that spawn_start() began writes and ends as its answer says. */
void fakehost_end_started(struct fakehost *f);
void fakehost_cancel(struct fakehost *f);
/* The Nth record of FN; the test fails when there is none. Borrowed. */
const json_t *fakehost_asked(const struct fakehost *f, size_t n, const char *fn);
/* How often FN was called. */
size_t fakehost_count(const struct fakehost *f, const char *fn);

#endif
