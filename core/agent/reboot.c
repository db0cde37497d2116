/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for what runs, then runs the configured command; when the machine is still up, tries again
 * and gives up in the end, so that a restart that cannot happen does not stop all work for ever. */
#include "core/agent/reboot.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/agent/orphans.h"
#include "core/base/clock.h"
#include "core/base/err.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/conf/conf.h"
#include "core/loop/child.h"

#define PAUSE_MS 2000
#define RETRY_MS 120000
#define TRIES_MAX 3u

struct reboot {
	struct reboot_options o;
	struct event *timer;
	struct child *child;
	bool due, hurried; /* HURRIED: only the pause is left to wait */
	unsigned tries;
	char *why; /* the last failure */
};

static void
arm(struct reboot *r, int64_t ms)
{
	struct timeval tv;

	clock_timeval(ms, &tv);
	(void)event_add(r->timer, &tv);
}

static void
note(struct reboot *r, char *why)
{
	log_error("reboot", "%s", why);
	free(r->why);
	r->why = why;
}

/* -------------------------------------------------------------- attempts */

static void
on_exit_of(void *arg, pid_t pid, int status)
{
	struct reboot *r = arg;

	(void)pid;
	r->child = NULL;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	note(r, WIFEXITED(status)
		     ? xasprintf("the restart of the machine failed: Agent.RebootCommand ended "
				 "with exit status %d",
				 WEXITSTATUS(status))
		     : xasprintf("the restart of the machine failed: Agent.RebootCommand was "
				 "ended by a signal"));
}

static int
start_command(struct reboot *r, char *const *argv, struct err *e)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const envp[] = { path, NULL };
	const struct proc_spec spec = {
		.path = argv[0], .argv = argv, .envp = envp, .search = true, .new_session = true
	};
	pid_t pid = proc_spawn(&spec, e);

	if (pid < 0)
		return (int)pid;
	r->child = child_watch(r->o.base, pid, on_exit_of, r, e);
	if (!r->child)
		orphans_leave_alone(pid);
	return 0;
}

/* A trial run must not restart the machine of whoever tries it. */
static bool
is_allowed(const struct conf *c)
{
	const char *origin = conf_origin(c, "Agent", "RebootCommand");

	return !conf_has_root(c) || (origin && strcmp(origin, "built-in") != 0);
}

static void
never(struct reboot *r, const char *why)
{
	note(r, xstrdup(why));
	r->tries = TRIES_MAX;
}

static void
try_once(struct reboot *r)
{
	char *const *argv = conf_list(r->o.conf, "Agent.RebootCommand");
	struct err e = { 0, "" };

	if (!argv || !argv[0])
		never(r, "the machine is not restarted: Agent.RebootCommand is empty");
	else if (!is_allowed(r->o.conf))
		never(r, "the machine is not restarted: this is a trial run with --root and "
			 "Agent.RebootCommand is not set");
	else if (start_command(r, argv, &e) < 0)
		note(r, xasprintf("the restart of the machine failed: %s", err_text(&e)));
	else
		log_notice("reboot", "the machine is restarted because a command asked for it "
				     "(attempt %u)",
			   r->tries);
}

static void
give_up(struct reboot *r)
{
	autofree char *why = r->why ? TAKE(r->why)
				    : xstrdup("the machine was to be restarted, but is still up");

	reboot_withdraw(r);
	log_error("reboot", "no further attempt to restart the machine: %s", why);
	r->o.gave_up(r->o.arg, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct reboot *r = arg;

	(void)fd;
	(void)what;
	if (r->tries >= TRIES_MAX) {
		give_up(r);
		return;
	}
	r->tries++;
	if (!r->child)
		try_once(r);
	arm(r, r->tries < TRIES_MAX || !r->why ? r->o.retry_ms : 0);
}

/* ---------------------------------------------------------------- request */

void
reboot_request(struct reboot *r)
{
	if (r->due)
		return;
	log_notice("reboot", "a command asked for a restart of the machine: none starts any more");
	r->due = true;
	arm(r, conf_ms(r->o.conf, "Agent.RebootGrace"));
}

void
reboot_running(struct reboot *r, size_t running)
{
	if (!r->due || r->hurried || running > 0 || r->tries > 0)
		return;
	r->hurried = true;
	arm(r, r->o.pause_ms);
}

bool
reboot_due(const struct reboot *r)
{
	return r->due;
}

void
reboot_withdraw(struct reboot *r)
{
	(void)event_del(r->timer);
	r->due = r->hurried = false;
	r->tries = 0;
	free(TAKE(r->why));
}

struct reboot *
reboot_new(const struct reboot_options *o)
{
	struct reboot *r = xcalloc(1, sizeof(*r));

	r->o = *o;
	if (r->o.pause_ms == 0)
		r->o.pause_ms = PAUSE_MS;
	if (r->o.retry_ms == 0)
		r->o.retry_ms = RETRY_MS;
	r->timer = evtimer_new(o->base, on_timer, r);
	return r;
}

struct reboot *
reboot_free(struct reboot *r)
{
	if (!r)
		return NULL;
	child_free(r->child);
	event_free(r->timer);
	free(r->why);
	free(r);
	return NULL;
}
