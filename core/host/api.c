/* SPDX-License-Identifier: Apache-2.0 */
/* struct ssm_api filled in; loading of plugins with their options; what is common to all kinds. */
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/conf/opts.h"
#include "core/host/host.h"
#include "core/host/lines.h"
#include "core/host/link.h"
#include "core/host/lookup.h"
#include "core/host/runchild.h"
#include "core/host/user.h"

#define ERROR_MAX 4096u
#define GRACE_MS 5000
#define USER_KEY "user:"

struct host *
host_new(struct event_base *base)
{
	struct host *h = xcalloc(1, sizeof(*h));

	h->base = base;
	h->grace_ms = GRACE_MS;
	h->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->lines = lines_new(base);
	list_init(&h->instances);
	list_init(&h->runs);
	list_init(&h->watches);
	return h;
}

static void
instance_free(struct instance *i)
{
	list_remove(&i->link);
	for (uint32_t n = 0; i->options && n < i->module->plugin.option_count; n++)
		free(i->options[n]);
	free(i->options);
	free(i->error);
	module_free(i->module);
	free(i);
}

struct host *
host_free(struct host *h)
{
	if (!h)
		return NULL;
	lines_free(h->lines);
	list_each(it, tmp, &h->instances)
		instance_free(list_entry(it, struct instance, link));
	json_decref(h->hello);
	mem_cleanup_fd(&h->cancel_fd);
	free(h->user);
	free(h->user_asked);
	free(h->user_text);
	free(h);
	return NULL;
}

struct instance *
host_instance(struct ssm *S)
{
	return (struct instance *)S;
}

void
host_wait(struct host *h, const bool *done)
{
	while (!*done && event_base_loop(h->base, EVLOOP_ONCE) == 0)
		;
}

void
host_cancel(struct host *h)
{
	const uint64_t one = 1;

	if (h->cancelled)
		return;
	h->cancelled = true;
	if (write(h->cancel_fd, &one, sizeof(one)) < 0)
		log_debug("host", "cancel_fd: %m");
	runs_cancel(h);
}

char *
host_failure(const struct instance *i, int32_t result)
{
	if (i->error && *i->error)
		return xstrdup(i->error);
	return xasprintf("the plugin '%s' failed: %s", i->module->plugin.name,
			 strerror(result < 0 ? -result : EIO));
}

/* Handlers run in the thread that began the process. */
bool
host_own_thread(void)
{
	return (pid_t)syscall(SYS_gettid) == getpid();
}

/* Nothing is recorded for another thread: the text of an error is the handler's. */
int32_t
host_may_block(struct ssm *S)
{
	if (!host_own_thread())
		return -EINVAL;
	if (!host_instance(S)->host->event_driven)
		return 0;
	return ssm_fail(S, -EDEADLK, "sessions and services may not block; use the form that ends "
				     "in _start");
}

int32_t
host_has_loop(struct ssm *S)
{
	if (!host_own_thread())
		return -EINVAL;
	if (host_instance(S)->host->event_driven)
		return 0;
	return ssm_fail(S, -ENOSYS, "only sessions and services have an event loop; use the form "
				    "that waits");
}

/* --------------------------------------------------------------- options */

static int
take_option(struct instance *i, uint32_t n, const char *set, struct err *e)
{
	const struct ssm_option *o = &i->module->options[n];
	bool is_set = set && (*set || o->type == SSM_OPT_STRING);
	const char *text = is_set ? set : o->preset ? o->preset : "";
	struct err why = { 0, "" };
	int64_t value = 0;
	bool empty_path = o->type == SSM_OPT_PATH && !*text;
	int r = empty_path ? 0 : opts_check((enum opts_type)o->type, text, &value, &why);

	if (r < 0)
		return err_set(e, r, "[plugin %s] %s: %s", i->module->plugin.name, o->key,
			       err_text(&why));
	if (o->type == SSM_OPT_STRING || o->type == SSM_OPT_PATH)
		i->options[n] = xstrdup(text);
	else
		i->options[n] = xasprintf("%lld", (long long)value);
	if (o->flags & SSM_OPT_F_SECRET)
		log_secret(text);
	return 0;
}

/* Of its own section; the job's plugin and those it finds have one each. */
static const json_t *
config_of(const struct instance *i)
{
	const char *name = i->module->plugin.name;
	const json_t *hello = i->host->hello, *one;
	size_t n;

	if (strcmp(json_str(hello, "plugin", name), name) == 0)
		return json_object_get(hello, "config");
	json_array_foreach(json_object_get(hello, "plugins"), n, one)
	{
		if (strcmp(json_str(one, "name", ""), name) == 0)
			return json_object_get(one, "config");
	}
	return NULL;
}

static int
take_options(struct instance *i, struct err *e)
{
	const json_t *config = config_of(i);
	uint32_t count = i->module->plugin.option_count;

	i->options = xcalloc(count + 1, sizeof(*i->options));
	for (uint32_t n = 0; n < count; n++) {
		int r = take_option(i, n, json_str(config, i->module->options[n].key, NULL), e);

		if (r < 0)
			return r;
	}
	return 0;
}

static const char *
api_option(struct ssm *S, const char *key)
{
	const struct instance *i = host_instance(S);

	for (uint32_t n = 0; n < i->module->plugin.option_count; n++)
		if (strcmp(i->module->options[n].key, key) == 0)
			return i->options[n];
	return NULL;
}

static int32_t
api_option_int(struct ssm *S, const char *key, int64_t *ret)
{
	const char *text = api_option(S, key);

	return text ? text_to_i64(text, INT64_MIN, INT64_MAX, ret) : -ENOENT;
}

/* --------------------------------------------------------------- plugins */

static int
init(struct instance *i, struct err *e)
{
	const struct ssm_plugin *p = &i->module->plugin;
	int32_t r = p->init ? p->init(&i->ssm) : 0;
	autofree char *why = NULL;

	i->inited = r >= 0;
	if (r >= 0)
		return 0;
	why = host_failure(i, r);
	return err_set(e, r, "the plugin '%s' could not be initialised: %s", p->name, why);
}

struct instance *
host_add_plugin(struct host *h, const char *file, struct err *e)
{
	struct module *m = loader_open(file, e);
	struct instance *i;

	if (!m) {
		err_prefix(e, "plugin '%s'", file);
		return NULL;
	}
	i = xcalloc(1, sizeof(*i));
	i->ssm.api = host_api();
	i->host = h;
	i->module = m;
	list_append(&h->instances, &i->link);
	if (take_options(i, e) == 0 && init(i, e) == 0)
		return i;
	instance_free(i);
	return NULL;
}

void
host_fini(struct host *h)
{
	for (struct list *it = h->instances.prev; it != &h->instances; it = it->prev) {
		struct instance *i = list_entry(it, struct instance, link);

		if (i->inited && i->module->plugin.fini)
			i->module->plugin.fini(&i->ssm);
		i->inited = false;
	}
}

static const char *const kinds[] = {"",		"action",  "topic",   "session",
				    "gatherer", "service", "identity"};

static bool
provides(const json_t *plugin, uint32_t kind, const char *name)
{
	const json_t *row;
	size_t n;

	json_array_foreach(json_object_get(plugin, "features"), n, row)
	{
		if (json_int(row, "kind", 0) == kind && text_glob(json_str(row, "name", ""), name))
			return true;
	}
	return false;
}

static const char *
path_of_feature(const struct host *h, uint32_t kind, const char *name)
{
	const json_t *plugin;
	size_t n;

	json_array_foreach(json_object_get(h->hello, "plugins"), n, plugin)
	{
		if (provides(plugin, kind, name))
			return json_str(plugin, "path", NULL);
	}
	return NULL;
}

/* "action=aws:runDocument ?service=mgs": only what is named there may be found. */
static bool
is_needed(const struct instance *i, uint32_t kind, const char *name)
{
	autofree char *wanted =
		xasprintf("%s=%s", kind < NELEMS(kinds) ? kinds[kind] : "vendor", name);

	for (uint32_t n = 0; n < i->module->plugin.feature_count; n++) {
		const char *needs = i->module->features[n].needs;
		autostrv char **words = needs ? strv_split(needs, " ") : NULL;

		for (char **w = words; w && *w; w++)
			if (text_glob(**w == '?' ? *w + 1 : *w, wanted))
				return true;
	}
	return module_feature(i->module, kind, name) != NULL;
}

static struct instance *
loaded(struct host *h, const char *path)
{
	list_each(it, tmp, &h->instances) {
		struct instance *i = list_entry(it, struct instance, link);

		if (strcmp(i->module->path, path) == 0)
			return i;
	}
	return NULL;
}

static int32_t
api_find(struct ssm *S, uint32_t kind, const char *name, struct ssm **ret_owner,
	 const struct ssm_feature **ret)
{
	struct host *h = host_instance(S)->host;
	const char *path = path_of_feature(h, kind, name);
	struct instance *i;
	struct err e = { 0, "" };

	if (!is_needed(host_instance(S), kind, name))
		return ssm_fail(S, -EACCES, "the plugin's table does not say that it needs '%s'",
				name);
	if (!path)
		return ssm_fail(S, -ENOENT, "no plugin provides '%s'", name);
	i = loaded(h, path);
	if (!i)
		i = host_add_plugin(h, path, &e);
	if (!i)
		return ssm_fail(S, -ELIBACC, "%s", err_text(&e));
	*ret_owner = &i->ssm;
	*ret = module_feature(i->module, kind, name);
	return *ret ? 0 : -ENOENT;
}

/* ---------------------------------------------------------------- common */

/* Callable from any thread. */
__attribute__((format(printf, 3, 0))) static void
api_vlog(struct ssm *S, int32_t level, const char *fmt, va_list ap)
{
	const struct instance *i = host_instance(S);

	lines_write(i->host->lines, level, i->module->plugin.name, fmt, ap);
}

__attribute__((format(printf, 2, 0))) static void
api_verror(struct ssm *S, const char *fmt, va_list ap)
{
	struct instance *i = host_instance(S);
	char *text = xvasprintf(fmt, ap);

	if (strlen(text) > ERROR_MAX)
		text[text_utf8_floor(text, strlen(text), ERROR_MAX)] = '\0';
	free(i->error);
	i->error = text_utf8_repair(text, strlen(text), NULL);
	free(text);
}

static void *
api_alloc(struct ssm *S, size_t len)
{
	(void)S;
	return xcalloc(1, len ? len : 1);
}

static void
api_free(struct ssm *S, void *p)
{
	(void)S;
	free(p);
}

static bool
has_feature(const struct host *h, const char *capability)
{
	const char *colon = strchr(capability, ':');

	for (uint32_t kind = 1; colon && kind < NELEMS(kinds); kind++)
		if (strlen(kinds[kind]) == (size_t)(colon - capability) &&
		    strncmp(kinds[kind], capability, strlen(kinds[kind])) == 0)
			return path_of_feature(h, kind, colon + 1) != NULL;
	return false;
}

/* What the table alone cannot tell, since no row of it is empty. */
static int32_t
api_has(struct ssm *S, const char *capability)
{
	const struct host *h = host_instance(S)->host;

	if (strcmp(capability, "spawn") == 0 || strcmp(capability, "pty") == 0)
		return 1;
	if (strcmp(capability, "watch") == 0)
		return h->event_driven;
	if (strcmp(capability, "agent") == 0 || strcmp(capability, "call") == 0 ||
	    strcmp(capability, "transfer") == 0 || strcmp(capability, "state") == 0)
		return h->link != NULL;
	if (strcmp(capability, "step_run") == 0)
		return json_int(h->hello, "kind", 0) == SSM_KIND_TOPIC;
	return has_feature(h, capability);
}

const char *
host_info(const struct host *h, const char *key)
{
	const char *text;

	if (strcmp(key, "job-id") == 0)
		return json_str(h->hello, "job", NULL);
	if (strcmp(key, "feature") == 0)
		return h->step ? h->step->feature : json_str(h->hello, "feature", NULL);
	if (strcmp(key, "agent-version") == 0)
		return json_str(h->hello, "agent_version", NULL);
	if (strcmp(key, "step-name") == 0 && h->step)
		return h->step->name;
	text = json_str(json_object_get(h->hello, "info"), key, NULL);
	if (!text && strcmp(key, "host-program") == 0)
		return lookup_program();
	return text && *text ? text : NULL;
}

static const char *
api_info(struct ssm *S, const char *key)
{
	struct host *h = host_instance(S)->host;

	if (text_starts(key, USER_KEY))
		return host_user_info(h, key + strlen(USER_KEY));
	return host_info(h, key);
}

static int32_t
api_cancelled(struct ssm *S)
{
	return __atomic_load_n(&host_instance(S)->host->cancelled, __ATOMIC_RELAXED);
}

static int32_t
api_cancel_fd(struct ssm *S)
{
	return host_instance(S)->host->cancel_fd;
}

/* ------------------------------------------------------- rows without use */

/* No kind of process that this host runs has what they need. They stand in the table all the same:
 * a plugin that calls one is answered, where an empty row would end its process. */
static int32_t
nothing(struct ssm *S, const char *what)
{
	return ssm_fail(S, -ENOSYS, "%s is for a kind of feature that this host does not run",
			what);
}

static int32_t
no_gather_item(struct ssm *S, struct ssm_gather *g, const char *json, size_t len)
{
	(void)g, (void)json, (void)len;
	return nothing(S, "gather_item");
}

static int32_t
no_identity_set(struct ssm *S, struct ssm_identity *i, const char *key, const char *value)
{
	(void)i, (void)key, (void)value;
	return nothing(S, "identity_set");
}

/* The one table of every process. What it cannot do there is answered by -ENOSYS, or by -EDEADLK
 * for waiting where the loop is the plugin's. */
static const struct ssm_api table = {
	.size = sizeof(table),
	.abi = SSM_ABI_VERSION,
	.agent_version = SSM_HOST_VERSION,
	.vlog = api_vlog,
	.verror = api_verror,
	.alloc = api_alloc,
	.free = api_free,
	.has = api_has,
	.info = api_info,
	.option = api_option,
	.option_int = api_option_int,
	.cancelled = api_cancelled,
	.cancel_fd = api_cancel_fd,
	.spawn = api_spawn,
	.call = api_call,
	.sign = api_sign,
	.transfer = api_transfer,
	.state_get = api_state_get,
	.state_put = api_state_put,
	.find = api_find,
	.watch = api_watch,
	.watch_set = api_watch_set,
	.watch_end = api_watch_end,
	.spawn_start = api_spawn_start,
	.call_start = api_call_start,
	.sign_start = api_sign_start,
	.transfer_start = api_transfer_start,
	.state_put_start = api_state_put_start,
	.deliver_start = api_deliver_start,
	.job_launch = api_job_launch,
	.child_signal = api_child_signal,
	.child_resize = api_child_resize,
	.step_str = step_str,
	.step_json = step_json,
	.step_write = step_write,
	.step_done = step_done,
	.progress = step_progress,
	.msg_json = msg_json,
	.msg_reply = msg_reply,
	.step_run = msg_step_run,
	.deliver = api_deliver,
	.job_start = api_job_start,
	.job_wait = api_job_wait,
	.job_cancel = api_job_cancel,
	.reply_done = api_reply_done,
	.service_state = api_service_state,
	.session_provide = api_session_provide,
	.session_str = api_session_str,
	.session_send = api_session_send,
	.session_end = api_session_end,
	.gather_item = no_gather_item,
	.identity_set = no_identity_set,
};

const struct ssm_api *
host_api(void)
{
	return &table;
}
