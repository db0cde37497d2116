/* SPDX-License-Identifier: Apache-2.0 */
/* A struct ssm_api that runs scripts for real, or plays back what a test wrote down; it records the
 * replies. */
#ifndef SSM_TESTS_RUNCOMMAND_FAKE_H
#define SSM_TESTS_RUNCOMMAND_FAKE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ssm_plugin.h"

struct fake {
	struct ssm S;
	struct ssm_api api;
	char folder[64]; /* info("work-dir"), made and removed by fake_init() and fake_done() */
	json_t *message; /* what msg_json("") gives */
	json_t *info;	 /* more of info(), by key */
	/* Instead of running programs: [{"how":"exit|signal|timeout|cancel","code","out","err",
	 * "error":errno}], one for each spawn; NULL: they run. */
	json_t *spawns;
	/* For actions of others: [{"result","code","out","err","error","fails":errno}]. */
	json_t *runs;
	size_t spawn_at, run_at;
	int cancel_after; /* replies until cancelled() is true; -1: never */
	/* What GetParameters answers: name -> {"Type", "Value", "Version", "Label"}; or, instead,
	 * {"fails":errno} or {"status", "name", "body"}. NULL: it must not be called. */
	json_t *store;
	json_t *calls;	 /* names of each call */
	json_t *replies; /* [{"text", "final"}] */
	json_t *lines;	 /* what was logged at info */
	json_t *state;	 /* of state_put() */
	int state_fails; /* errno of state_put(), or 0 */
	char *error;	 /* last verror() */
	/* Of the last spawn. */
	struct {
		json_t *env, *argv;
		char *cwd, *script; /* text of the file that argv[2] names */
		int64_t timeout_ms;
		uint64_t max_output;
	} last;
};

#define FAKE_COMMAND "01234567-890a-bcde-f012-34567890abcd"
#define FAKE_NOW "2024-10-21T18:08:11.950Z" /* of fake_stop_clock() */

void fake_init(struct fake *f);
void fake_done(struct fake *f);
/* The message of a case: "document", "parameters", and "payload" for further members. */
json_t *fake_message(const json_t *c);
/* Text of reply I; the test fails when there is none. */
const char *fake_reply(const struct fake *f, size_t i);
/* The clock stands still at FAKE_NOW. */
void fake_stop_clock(void);

#endif
