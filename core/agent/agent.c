/* SPDX-License-Identifier: Apache-2.0 */
/* Start: folders, lock, HTTP, credentials, control socket; once the identity is known: ping, jobs,
 * poll. Stop: in the other order; what runs goes on without us. */
#include "core/agent/agent.h"

#include <config.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/agent/broker.h"
#include "core/agent/cgroup.h"
#include "core/agent/ctl.h"
#include "core/agent/dispatch.h"
#include "core/agent/endpoints.h"
#include "core/agent/health.h"
#include "core/agent/identity.h"
#include "core/agent/inbox.h"
#include "core/agent/info.h"
#include "core/agent/networks.h"
#include "core/agent/notify.h"
#include "core/agent/once.h"
#include "core/agent/orphans.h"
#include "core/agent/outbox.h"
#include "core/agent/plugins.h"
#include "core/agent/services.h"
#include "core/agent/status.h"
#include "core/agent/whoami.h"
#include "core/aws/call.h"
#include "core/aws/creds.h"
#include "core/aws/imds.h"
#include "core/aws/mds.h"
#include "core/aws/ssmapi.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/loop/netwatch.h"
#include "core/loop/signals.h"
#include "core/net/http.h"

#define POLL_SLACK_MS 10000
#define NETWORKS_RETRY_MS 300000

struct agent {
	const struct conf *conf;
	struct conf *reloadable; /* the same */
	struct event_base *base;
	struct signals *signals;
	struct netwatch *netwatch;
	struct networks *networks;
	struct notify *notify;
	struct cgroup *cgroup;
	struct err no_cgroup; /* why there is none */
	int lock_fd;
	struct http *http;
	struct imds *imds;
	struct creds_cache *creds;
	struct identity_find *find;
	struct identity *identity;
	json_t *passed_over; /* before IDENTITY, for whoami */
	struct ctl *ctl;
	struct plugins *plugins;
	struct aws *aws;
	struct broker *broker;
	struct mds *mds;
	struct health *health;
	struct dispatch *dispatch;
	struct inbox *inbox; /* NULL: no offline commands */
	struct services *services;
	bool channel_open; /* commands come by ssmmessages */
	int64_t channel_changed_ms;
	json_t *info;
	struct once *once; /* instead of ping and poll: a single command of this machine */
	bool connected;
	int64_t poll_changed_ms;
	char *poll_error; /* while not connected */
	int64_t started_ms;
	bool gave_up; /* the service could not be opened, FAILED says why */
	struct err failed;
};

/* ------------------------------------------------------------ foundation */

static int
open_net(struct agent *a, struct err *e)
{
	const char *proxy = conf_str(a->conf, "Net.Proxy");
	const char *no_proxy = conf_str(a->conf, "Net.NoProxy");
	const char *ca_file = conf_str(a->conf, "Net.CaFile");
	struct http_options ho = {
		.user_agent = aws_user_agent(),
		.ca_file = *ca_file ? ca_file : NULL,
		.proxy = *proxy ? proxy : NULL,
		.no_proxy = *no_proxy ? no_proxy : NULL,
		.connect_to = conf_has_root(a->conf) ? conf_list(a->conf, "Net.ConnectTo") : NULL,
	};
	struct imds_options io = { .base = a->base, .allow_v1 = conf_bool(a->conf, "Imds.V1") };

	a->http = http_new(a->base, &ho, e);
	if (!a->http)
		return e->code;
	io.http = a->http;
	a->imds = imds_new(&io);
	return 0;
}

static void
open_creds(struct agent *a)
{
	/* With --root the home is the one of whoever tries us out. */
	const char *home = conf_has_root(a->conf) ? secure_getenv("HOME") : NULL;
	struct creds_provider chain[] = {
		creds_env_provider(),
		creds_file_provider(home),
		creds_ecs_provider(a->base, a->http, 0),
		creds_imds_provider(a->imds),
	};

	a->creds = creds_cache_new(a->base, chain, NELEMS(chain));
}

/* Two agents on one state would run every command twice. */
static int
lock_state(struct agent *a, struct err *e)
{
	const char *path = conf_path(a->conf, CONF_PATH_STATE);
	autoclose int dir = fs_make_dirs(path, 0700, e);

	if (dir < 0)
		return dir;
	a->lock_fd = openat(dir, "ssm-agent.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (a->lock_fd < 0)
		return err_set(e, -errno, "cannot lock '%s': %m", path);
	if (flock(a->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(
			e, -EBUSY,
			"another ssm-agent uses '%s'; stop it first, or give this one another "
			"--root",
			path);
	return 0;
}

/* --------------------------------------------------------------- network */

static void
on_network(void *arg)
{
	struct agent *a = arg;

	log_debug("agent", "links or routes changed");
	http_drop_idle(a->http);
	networks_look(a->networks);
	creds_retry_now(a->creds);
	if (a->find)
		identity_retry_now(a->find);
	if (a->aws)
		aws_retry_now(a->aws);
	if (a->mds)
		mds_poll_now(a->mds);
	if (a->dispatch)
		dispatch_retry_now(a->dispatch);
	if (a->services)
		services_notify(a->services, "network");
	if (a->health && !a->connected)
		health_now(a->health);
}

static void
on_messages(void *arg, json_t *messages)
{
	struct agent *a = arg;

	dispatch_messages(a->dispatch, messages);
}

/* The poll is the scout of all that waits. */
static void
go_on(struct agent *a)
{
	if (a->dispatch)
		dispatch_retry_now(a->dispatch);
	if (a->health)
		health_retry_now(a->health);
	if (a->services && !a->channel_open)
		services_notify(a->services, "network");
}

/* The other way for commands. While it is open, nobody polls. */
static void
on_service_state(void *arg, const char *service, const char *state)
{
	struct agent *a = arg;
	bool open = strcmp(state, "open") == 0;

	if (strcmp(service, "mgs") != 0 || a->channel_open == open)
		return;
	a->channel_open = open;
	a->channel_changed_ms = clock_wall_ms();
	log_notice("agent",
		   open ? "the control channel of ssmmessages is open, ec2messages rests"
			: "the control channel of ssmmessages is closed, ec2messages is polled");
	dispatch_channel(a->dispatch, open);
	mds_rest(a->mds, open);
	if (a->health)
		health_set_channel(a->health, open ? "ssmmessages" : "ec2messages");
	if (open) {
		notify_status(a->notify, "%s waits for commands", a->identity->instance_id);
		go_on(a);
	}
}

static void
on_poll_state(void *arg, int result, const char *text, int64_t wait_ms)
{
	struct agent *a = arg;

	if (result == 0 && !a->connected)
		log_notice("agent",
			   "connected to ec2messages, waiting for commands (%lld ms after start)",
			   (long long)(clock_mono_ms() - a->started_ms));
	if (result < 0)
		log_warn("agent", "ec2messages cannot be polled: %s; next try in %lld ms", text,
			 (long long)wait_ms);
	if (result == 0 && !a->connected)
		go_on(a);
	if (!a->poll_changed_ms || a->connected != (result == 0))
		a->poll_changed_ms = clock_wall_ms();
	free(a->poll_error);
	a->poll_error = result < 0 ? xstrdup(text) : NULL;
	a->connected = result == 0;
	if (a->connected)
		notify_status(a->notify, "%s waits for commands", a->identity->instance_id);
	else
		notify_status(a->notify, "%s: ec2messages cannot be polled: %s",
			      a->identity->instance_id, text);
}

/* ----------------------------------------------------- once we know who */

/* All else works without it. */
static void
open_inbox(struct agent *a)
{
	const struct inbox_options o = {
		.base = a->base,
		.state_path = conf_path(a->conf, CONF_PATH_STATE),
		.instance_id = a->identity->instance_id,
		.max_age_ms = conf_int(a->conf, "Ssm.RunCommandLogsRetentionDurationHours") *
			3600000,
	};
	struct err e = { 0, "" };

	if (a->once)
		return;
	a->inbox = inbox_new(&o, &e);
	if (!a->inbox)
		log_warn("agent", "there are no offline commands: %s", err_text(&e));
}

static void
open_services(struct agent *a)
{
	autojson json_t *info = info_for_services(a->info, a->conf, a->identity);
	const struct services_options o = {
		.base = a->base,
		.conf = a->conf,
		.plugins = a->plugins,
		.broker = a->broker,
		.info = info,
		.state = on_service_state,
		.arg = a,
	};

	a->services = services_new(&o);
}

/* All but the regions. */
static struct aws_options
call_options(struct agent *a)
{
	return (struct aws_options){ .base = a->base,
				     .http = a->http,
				     .creds = a->creds,
				     .service_domain = conf_str(a->conf, "Agent.ServiceDomain"),
				     .override = endpoints_configured,
				     .arg = (void *)(uintptr_t)a->conf };
}

static int
open_service(struct agent *a, struct err *e)
{
	const struct identity *who = a->identity;
	struct aws_options ao = call_options(a);
	struct mds_options mo = {
		.base = a->base,
		.instance_id = who->instance_id,
		.poll_timeout_ms = conf_ms(a->conf, "Mds.StopTimeoutMillis") + POLL_SLACK_MS,
	};
	struct dispatch_options d = {
		.base = a->base,
		.conf = a->conf,
		.plugins = a->plugins,
		.instance_id = who->instance_id,
		.state_path = conf_path(a->conf, CONF_PATH_STATE),
		.info = a->info,
	};

	ao.region = who->region;
	ao.signing_region = who->signing_region;
	a->aws = aws_new(&ao);
	mo.aws = a->aws;
	a->mds = mds_new(&mo, on_messages, on_poll_state, a);
	a->broker = broker_new(a->base, a->conf, a->aws);
	open_services(a);
	d.mds = a->mds;
	d.broker = a->broker;
	d.carrier = services_carrier();
	d.carrier_arg = a->services;
	d.cgroup = a->cgroup;
	open_inbox(a);
	if (a->once)
		d.local = once_local(a->once);
	else if (a->inbox)
		d.local = inbox_local(a->inbox);
	d.once = a->once != NULL;
	a->dispatch = dispatch_new(&d, e);
	return a->dispatch ? 0 : e->code;
}

static void
on_scanned(void *arg)
{
	struct agent *a = arg;

	if (a->services && a->dispatch)
		services_look(a->services, a->dispatch);
}

static void
on_networks(void *arg, char *const *list)
{
	struct agent *a = arg;

	info_put_networks(a->info, list);
}

static void
watch_networks(struct agent *a)
{
	const char *kind = a->identity->kind;
	bool ecs = strcmp(kind, "ECS") == 0;
	const struct networks_options o = {
		.base = a->base,
		.http = a->http,
		.imds = a->imds,
		.ecs_uri = ecs ? identity_ecs_uri() : NULL,
		.retry_ms = ecs || strcmp(kind, "EC2") == 0 ? NETWORKS_RETRY_MS : 0,
	};

	a->networks = networks_new(&o, on_networks, a);
}

static void
on_identity(void *arg, struct identity *who, const json_t *passed_over)
{
	struct agent *a = arg;
	char platform[128] = "", version[64] = "";

	a->find = NULL;
	a->identity = who;
	a->passed_over = json_deep_copy(passed_over);
	notify_status(a->notify, "%s connects", who->instance_id);
	log_notice("agent", "this is %s in %s (%s)", who->instance_id, who->region, who->kind);
	ssmapi_platform(platform, sizeof(platform), version, sizeof(version));
	a->info = info_new(a->conf, who, platform, version);
	if (open_service(a, &a->failed) < 0) {
		a->gave_up = true;
		event_base_loopbreak(a->base);
		return;
	}
	if (a->once) {
		once_begin(a->once, a->dispatch, a->plugins, who->instance_id);
		return;
	}
	if (a->inbox)
		inbox_begin(a->inbox, a->dispatch, a->plugins);
	mds_poll(a->mds, true);
	struct ssmapi_ping ping = {
		.instance_id = who->instance_id,
		.availability_zone = who->availability_zone,
		.availability_zone_id = who->availability_zone_id,
		.platform_name = platform,
		.platform_version = version,
		.channel = "ec2messages",
	};
	a->health = health_new(a->base, a->conf, a->aws, &ping);
	watch_networks(a);
	plugins_on_change(a->plugins, on_scanned, a);
	on_scanned(a);
}

/* --------------------------------------------------------------- answers */

static json_t *
describe_self(struct agent *a)
{
	json_t *all = whoami_report(a->identity, a->passed_over, a->creds);
	autofree char *text = NULL;

	text = whoami_text(all);
	json_object_set_new(all, "text", json_string(text));
	return all;
}

static json_t *
status(const struct agent *a)
{
	autojson json_t *who = whoami_report(a->identity, a->passed_over, a->creds);
	autojson json_t *health = a->health ? health_report(a->health) : NULL;
	autojson json_t *jobs = a->dispatch ? dispatch_report(a->dispatch) : NULL;
	autojson json_t *plugins = plugins_report(a->plugins);
	const struct status_facts facts = {
		.who = a->identity,
		.started_ms = a->started_ms + clock_wall_ms() - clock_mono_ms(),
		.connected = a->connected || a->channel_open,
		.channel = a->channel_open ? "ssmmessages" : "ec2messages",
		.poll_changed_ms = a->channel_open ? a->channel_changed_ms
						   : a->poll_changed_ms,
		.poll_error = a->poll_error,
		.credentials = json_str(who, "source", NULL),
		.credentials_error = json_str(who, "last_error", NULL),
		.health = health,
		.jobs = jobs,
		.plugins = plugins,
	};

	json_t *all = status_report(&facts);

	json_object_set_new(all, "cgroup", json_string(a->cgroup ? cgroup_path(a->cgroup) : ""));
	json_object_set_new(all, "no_cgroup",
			    json_string(a->cgroup ? "" : err_text(&a->no_cgroup)));
	return all;
}

static json_t *
answer(void *arg, const char *what, struct err *e)
{
	struct agent *a = arg;

	if (strcmp(what, "whoami") == 0)
		return describe_self(a);
	if (strcmp(what, "status") == 0)
		return status(a);
	if (strcmp(what, "plugins") == 0)
		return plugins_report(a->plugins);
	err_set(e, -EINVAL, "the agent does not know the question '%.40s'", what);
	return NULL;
}

/* ------------------------------------------------------------------ life */

/* What the administrator or the packager cannot do without. */
static void
on_first_scan(void *arg)
{
	struct agent *a = arg;

	if (plugins_check_required(a->plugins, &a->failed) == 0)
		return;
	a->gave_up = true;
	event_base_loopbreak(a->base);
}

static void
warn_of_layer(void *arg, const char *text)
{
	(void)arg;
	log_warn("conf", "%s", text);
}

static void
take_configuration(struct agent *a, char *const *restart)
{
	autofree char *names = strv_join(restart, ", ");

	log_set_level((enum log_level)log_level_from_name(conf_str(a->conf, "Log.Level")));
	log_notice("agent", "the configuration and the plugin folders are read again");
	if (restart)
		log_warn("agent", "these keys have other values now, which need a restart: %s",
			 names);
	if (a->info)
		info_put_live(a->info, a->conf);
	if (a->dispatch)
		dispatch_conf_changed(a->dispatch);
}

static void
on_reloaded(void *arg)
{
	(void)arg;
}

static void
reload(struct agent *a)
{
	autostrv char **restart = NULL;
	struct err e = { 0, "" };

	if (conf_reload(a->reloadable, warn_of_layer, NULL, &restart, &e) < 0)
		log_error("agent",
			  "the configuration stays as it was, for what is there now is wrong: %s",
			  err_text(&e));
	else
		take_configuration(a, restart);
	plugins_retry(a->plugins);
	plugins_refresh(a->plugins, on_reloaded, a);
	inbox_look(a->inbox);
}

static void
on_signal(void *arg, int sig)
{
	struct agent *a = arg;

	if (sig == SIGHUP) {
		reload(a);
		return;
	}
	log_notice("agent", "stopping: %s", strsignal(sig));
	event_base_loopbreak(a->base);
}

/* A trial run cannot restart the machine: a file in its run folder stands for the boot. */
static void
take_boot_id(const struct conf *conf)
{
	autofree char *path = xasprintf("%s/boot_id", conf_path(conf, CONF_PATH_RUN));
	autofree char *id = NULL;

	if (conf_has_root(conf) && fs_read(AT_FDCWD, path, 64, &id, NULL, NULL) == 0)
		proc_replace_boot_id(text_trim(id));
}

static void
open_cgroup(struct agent *a)
{
	if (conf_bool(a->conf, "Agent.Cgroups"))
		a->cgroup = cgroup_open("/proc", &a->no_cgroup);
	else
		(void)err_set(&a->no_cgroup, -EACCES, "Agent.Cgroups = no");
	if (a->cgroup)
		log_debug("agent", "commands get control groups below '%s'",
			  cgroup_path(a->cgroup));
	else
		log_debug("agent", "commands get no control groups: %s",
			  err_text(&a->no_cgroup));
}

/* A control group holds whom it holds; without one it matters who descends from whom. */
static void
adopt_orphans(struct agent *a)
{
	struct err e = { 0, "" };

	if (!a->cgroup && orphans_start(a->base, &e) < 0)
		log_warn("agent", "%s", err_text(&e));
}

static int
start(struct agent *a, struct err *e)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	int r = lock_state(a, e);

	if (r < 0)
		return r;
	take_boot_id(a->conf);
	open_cgroup(a);
	adopt_orphans(a);
	a->signals = signals_new(a->base, sigs, on_signal, a, e);
	if (!a->signals)
		return e->code;
	r = open_net(a, e);
	if (r < 0)
		return r;
	open_creds(a);
	a->plugins = plugins_new(a->base, a->conf);
	a->find = identity_find(a->base, a->conf, a->http, a->imds, on_identity, a);
	plugins_refresh(a->plugins, on_first_scan, a);
	a->ctl = ctl_new(a->base, conf_path(a->conf, CONF_PATH_RUN), answer, a, e);
	if (!a->ctl)
		return e->code;
	/* Without it waits are only longer. */
	a->netwatch = netwatch_new(a->base, on_network, a, NULL);
	notify_ready(a->notify);
	if (!a->identity)
		notify_status(a->notify, "finding out what this machine is");
	return 0;
}

static void
stop(struct agent *a)
{
	notify_stopping(a->notify);
	netwatch_free(a->netwatch);
	networks_free(a->networks);
	ctl_free(a->ctl);
	health_free(a->health);
	inbox_free(a->inbox);
	dispatch_free(a->dispatch); /* before the carrier of its replies */
	services_free(a->services);
	broker_free(a->broker);
	mds_free(a->mds);
	aws_free(a->aws);
	identity_cancel(a->find);
	plugins_free(a->plugins);
	creds_cache_free(a->creds);
	imds_free(a->imds);
	http_free(a->http);
	signals_free(a->signals);
	identity_free(a->identity);
	json_decref(a->passed_over);
	json_decref(a->info);
	free(a->poll_error);
	mem_cleanup_fd(&a->lock_fd);
	orphans_stop();
	cgroup_free(a->cgroup);
	notify_free(a->notify);
	event_base_free(a->base);
}

int
agent_run(struct conf *conf, struct err *e)
{
	struct agent a = {
		.conf = conf, .reloadable = conf, .base = event_base_new(), .lock_fd = -1
	};
	int r;

	a.started_ms = clock_mono_ms();
	log_notice("agent", "ssm-agent %s starts (reported as %s)", PACKAGE_VERSION,
		   ssmapi_agent_version());
	a.notify = notify_new(a.base);
	r = start(&a, e);
	if (r == 0) {
		if (!a.gave_up)
			event_base_dispatch(a.base);
		if (a.gave_up)
			r = err_set(e, a.failed.code, "%s", err_text(&a.failed));
	}
	stop(&a);
	return r;
}

/* ------------------------------------------------------------------ once */

#define IDENTITY_MS 1500

static void
on_once_signal(void *arg, int sig)
{
	struct agent *a = arg;

	(void)sig;
	once_cancel(a->once);
}

static void
begin_once(struct agent *a, struct identity *who)
{
	static const json_t *const nothing;

	on_identity(a, who, nothing);
	if (a->gave_up)
		once_fail(a->once, err_text(&a->failed));
}

static void
on_once_identity(void *arg, struct identity *who, const json_t *passed_over)
{
	struct agent *a = arg;

	(void)passed_over;
	a->find = NULL;
	begin_once(a, who ? who : once_identity(a->once, false));
}

/* Given, or not to be found out soon. */
static void
on_once_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct identity *who = once_identity(a->once, true);

	(void)fd;
	(void)what;
	if (a->identity)
		return;
	identity_cancel(TAKE(a->find));
	begin_once(a, who ? who : once_identity(a->once, false));
}

static int
start_once(struct agent *a, struct err *e)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, 0 };
	struct identity *given = once_identity(a->once, true);
	struct timeval wait;
	int r;

	clock_timeval(given ? 0 : IDENTITY_MS, &wait);
	adopt_orphans(a);
	a->signals = signals_new(a->base, sigs, on_once_signal, a, e);
	if (!a->signals) {
		identity_free(given);
		return e->code;
	}
	r = open_net(a, e);
	if (r == 0) {
		open_creds(a);
		a->plugins = plugins_new(a->base, a->conf);
		if (!given)
			a->find = identity_look_once(a->base, a->conf, a->http, a->imds,
						     on_once_identity, a);
		event_base_once(a->base, -1, EV_TIMEOUT, on_once_timer, a, &wait);
	}
	identity_free(given);
	return r;
}

int
agent_run_once(struct conf *conf, struct err *e)
{
	struct agent a = { .conf = conf, .base = event_base_new(), .lock_fd = -1 };
	int r;

	a.started_ms = clock_mono_ms();
	a.notify = notify_new(a.base);
	a.once = once_new(a.base, conf, e);
	r = a.once ? start_once(&a, e) : e->code;
	if (r == 0) {
		event_base_dispatch(a.base);
		r = once_is_done(a.once) ? 0 : 1;
	}
	stop(&a);
	once_free(a.once);
	return r;
}

/* ---------------------------------------------------------------- whoami */

struct printed {
	struct event_base *base;
	bool json, found;
};

static void
on_report(void *arg, const json_t *report)
{
	struct printed *p = arg;
	autofree char *text = whoami_text(report);

	p->found = json_str(report, "source", NULL) != NULL;
	if (p->json) {
		json_dumpf(report, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
	} else {
		fputs(text, stdout);
	}
	event_base_loopbreak(p->base);
}

int
agent_whoami(const struct conf *conf, bool json, bool caller)
{
	struct agent a = { .conf = conf, .base = event_base_new(), .lock_fd = -1 };
	struct printed p = { a.base, json, false };
	struct err e = { 0, "" };

	if (open_net(&a, &e) < 0) {
		fprintf(stderr, "ssm-agent: %s\n", err_text(&e));
	} else {
		struct whoami_options o = {
			.base = a.base, .conf = conf, .http = a.http, .imds = a.imds
		};
		struct aws_options ao;
		struct whoami *w;

		open_creds(&a);
		o.creds = a.creds;
		ao = call_options(&a);
		o.caller = caller ? &ao : NULL;
		w = whoami_start(&o, on_report, &p);
		event_base_dispatch(a.base);
		(void)w;
	}
	stop(&a);
	return p.found ? 0 : 1;
}
