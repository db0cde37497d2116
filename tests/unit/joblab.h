/* SPDX-License-Identifier: Apache-2.0 */
/* One dispatch with real hosts (the program is its own, see hostpeer.h); the service, the plugins
 * and the broker are doubles. What t_dispatch, t_workers, t_return and t_job_reboot share. */
#ifndef SSM_TESTS_JOBLAB_H
#define SSM_TESTS_JOBLAB_H

#include <check.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/agent/dispatch.h"
#include "core/base/clock.h"
#include "core/conf/conf.h"

#define IID "i-0123456789abcdef0"
#define SEND "aws.ssm.sendCommand.eu-central-1." IID
#define CANCEL "aws.ssm.cancelCommand.eu-central-1." IID
#define DATE "2024-03-05T07:08:09.123Z"
#define PATIENCE_MS 30000

struct sent {
	char kind; /* 'a'cknowledge, 'f'ail, 'r'eply */
	char *message_id, *reply_id, *payload;
};

enum outcome {
	TAKEN,
	AWAY,	 /* no answer */
	REFUSED, /* 4xx */
	NEVER	 /* no answer at all, ever */
};

/* Made by setup(). */
extern struct event_base *base;
extern struct conf *conf;
extern struct dispatch *dispatch;
extern char *root, *self;
extern char **lines; /* what was logged */
/* What the service got, in order. */
extern struct sent sent[4096];
extern size_t sent_count;
/* What becomes of it; NULL: all is taken. */
extern enum outcome (*outcome_of)(const struct sent *s);
extern int refresh_ms;  /* until the table of plugins is fresh; < 0: at once */
extern bool no_features; /* no plugin provides anything */
extern int broker_cancels;
extern struct dispatch_local local; /* of the dispatch that is opened next */
extern bool once;

/* Opened by setup(); again with another setting "Section.Key=value". */
void open_dispatch(void);
void configure(const char *key_value);

/* The fixture: a folder of its own, everything open. */
void setup(void);
void teardown(void);
/* The agent ends in order and another one starts. */
void restart(void);

/* Let the loop run until IS_TRUE(ARG), or fail. */
void until(bool (*is_true)(const void *arg), const void *arg);
/* Let it run for a while: for what must not happen. */
void let_pass(int64_t ms);
/* Its own in each process: what is left of a job is looked for in all of /proc. */
char *id_of(unsigned n);
/* The N-th message; deliver() takes it. A MessageId "MINE" becomes that of number 1. */
json_t *message(unsigned n, const char *topic, const char *payload);
void deliver(json_t *m);
/* A command that does what SCRIPT says (hostpeer.h); its cancel. */
void command(unsigned n, const char *script);
void cancel(unsigned n, unsigned target);

/* Of those of KIND about message N: the one with this number, how many. */
const struct sent *nth(unsigned n, char kind, size_t which);
size_t count(unsigned n, char kind);
/* The payload, "" when there is none. */
const char *reply_of(unsigned n, size_t which);
const char *last_reply(unsigned n);
bool says(const char *text, const char *part);

void until_sent(unsigned n, char kind, size_t how_many);
/* Jobs in a LIST of the report: running, queued, unconfirmed. */
size_t reported(const char *list);
bool is_idle(const void *arg);
void until_idle(void);
void until_running(size_t n);
/* Is PART in a line of the log. */
bool logged(const char *part);
bool has_logged(const void *arg);

/* The wall clock, moved by shift_ms: clock_replace(&shifted). */
extern int64_t shift_ms;
extern const struct clock_ops shifted;

/* The number behind WORD in TEXT, or -1; and the pid in the line of the log that has WHAT. */
long pid_behind(const char *text, const char *word);
long pid_in_log(const char *what);
bool is_running(long pid);
/* How often the host of command N was let go. */
size_t starts_of(unsigned n);

#endif
