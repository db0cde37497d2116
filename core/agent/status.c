/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong is one list of sentences: who watches the agent reads "healthy" and the list. */
#include "core/agent/status.h"

#include <config.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/agent/identity.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define TEXT_MAX (1u << 20)
#define ROWS_SHOWN 20u

static const char *
stamp(int64_t unix_ms, char ret[TEXT_STAMP_SIZE])
{
	text_iso8601_ms(unix_ms, ret);
	return ret;
}

/* ------------------------------------------------------------- problems */

static void
add_problem(json_t *problems, const char *what, const char *why)
{
	autofree char *text = xasprintf("%s%s%s", what, why && *why ? ": " : "", why ? why : "");

	(void)json_array_append_new(problems, json_string(text));
}

static void
add_ping_problem(json_t *problems, const json_t *health)
{
	int64_t failures = json_int(health, "failures", 0);
	autofree char *what = NULL;

	if (failures == 0)
		return;
	what = xasprintf("UpdateInstanceInformation failed %lld time(s)", (long long)failures);
	add_problem(problems, what, json_str(health, "last_error", ""));
}

static void
add_plugin_problems(json_t *problems, const json_t *plugins)
{
	const json_t *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)plugins, i, one)
	{
		autofree char *what = xasprintf("plugin '%s'", json_str(one, "name", ""));

		if (*json_str(one, "reason", ""))
			add_problem(problems, what, json_str(one, "reason", ""));
	}
}

static json_t *
find_problems(const struct status_facts *f)
{
	json_t *problems = json_array();

	if (!f->who)
		add_problem(problems, "it is not known yet which node this is (ssmctl whoami)",
			    NULL);
	else if (!f->connected)
		add_problem(problems, "ec2messages is not connected", f->poll_error);
	if (!f->credentials)
		add_problem(problems, "there are no credentials (ssmctl whoami)",
			    f->credentials_error);
	add_ping_problem(problems, f->health);
	add_plugin_problems(problems, f->plugins);
	if (f->jobs && !json_bool(f->jobs, "reserve", true))
		add_problem(problems,
			    "the disk of the state folder is or was full: the reserve for answers "
			    "is used up; free some space",
			    NULL);
	return problems;
}

/* ------------------------------------------------------------------ text */

static void
add_rows(struct sbuf *b, const json_t *jobs, const char *key, const char *what)
{
	const json_t *rows = json_object_get(jobs, key), *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)rows, i, one)
	{
		int64_t since = json_int(one, "started_ms", json_int(one, "received_ms", 0));
		char when[TEXT_STAMP_SIZE];

		if (i == ROWS_SHOWN) {
			(void)sbuf_addf(b, "  ... and %zu more\n", json_array_size(rows) - i);
			return;
		}
		(void)sbuf_addf(b, "  %s %s since %s", what, json_str(one, "id", ""),
				stamp(since, when));
		if (json_int(one, "pid", 0))
			(void)sbuf_addf(b, ", plugin %s, pid %lld", json_str(one, "plugin", ""),
					(long long)json_int(one, "pid", 0));
		(void)sbuf_adds(b, json_bool(one, "cancelled", false) ? ", cancelled\n" : "\n");
	}
}

static size_t
count(const json_t *jobs, const char *key)
{
	return json_array_size(json_object_get(jobs, key));
}

static void
add_jobs(struct sbuf *b, const json_t *jobs)
{
	(void)sbuf_addf(b, "Commands:    %zu running, %zu queued, %zu answered and not confirmed\n",
			count(jobs, "running"), count(jobs, "queued"), count(jobs, "unconfirmed"));
	add_rows(b, jobs, "running", "running");
	add_rows(b, jobs, "queued", "queued");
	add_rows(b, jobs, "unconfirmed", "unconfirmed");
}

static void
add_problems(struct sbuf *b, const json_t *problems)
{
	const json_t *one;
	size_t i;

	(void)sbuf_adds(b, json_array_size(problems) ? "Problems:\n" : "Problems:    none\n");
	json_array_foreach((json_t *)(uintptr_t)problems, i, one)
	{
		(void)sbuf_addf(b, "  %s\n", json_string_value(one));
	}
}

static char *
report_text(const json_t *r)
{
	struct sbuf b = SBUF_INIT(TEXT_MAX);
	const json_t *health = json_object_get(r, "health");
	const char *ping = json_str(health, "last_success", "");

	(void)sbuf_addf(&b, "Agent:       ssm-agent %s, pid %lld, since %s\n",
			json_str(r, "version", ""), (long long)json_int(r, "pid", 0),
			json_str(r, "started", ""));
	if (*json_str(r, "instance_id", ""))
		(void)sbuf_addf(&b, "Node:        %s in %s\n", json_str(r, "instance_id", ""),
				json_str(r, "region", ""));
	(void)sbuf_addf(&b, "Service:     %sconnected to %s%s%s\n",
			json_bool(r, "connected", false) ? "" : "not ",
			json_str(r, "channel", ""),
			*json_str(r, "connected_since", "") ? " since " : "",
			json_str(r, "connected_since", ""));
	(void)sbuf_addf(&b, "Last ping:   %s\n", *ping ? ping : "none yet");
	(void)sbuf_addf(&b, "Credentials: %s\n", json_str(r, "credentials", "none"));
	add_jobs(&b, json_object_get(r, "jobs"));
	add_problems(&b, json_object_get(r, "problems"));
	return sbuf_take(&b, NULL);
}

/* ---------------------------------------------------------------- report */

json_t *
status_report(const struct status_facts *f)
{
	char started[TEXT_STAMP_SIZE], since[TEXT_STAMP_SIZE] = "";
	json_t *problems = find_problems(f);
	autofree char *text = NULL;
	json_t *r;

	if (f->poll_changed_ms)
		(void)stamp(f->poll_changed_ms, since);
	r = json_pack("{s:s,s:i,s:s,s:s,s:s,s:b,s:s,s:s,s:s?,s:O?,s:O?,s:o,s:b}", "version",
		      PACKAGE_VERSION, "pid", (int)getpid(), "started",
		      stamp(f->started_ms, started), "instance_id",
		      f->who ? f->who->instance_id : "", "region", f->who ? f->who->region : "",
		      "connected", f->connected, "connected_since", since, "channel",
		      f->channel ? f->channel : "ec2messages", "credentials", f->credentials,
		      "health", f->health, "jobs", f->jobs, "problems", problems,
		      "healthy", json_array_size(problems) == 0);
	text = report_text(r);
	(void)json_object_set_new(r, "text", json_string(text));
	return r;
}
