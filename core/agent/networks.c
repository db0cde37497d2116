/* SPDX-License-Identifier: Apache-2.0 */
/* Asks for the interfaces of the instance, then each for its networks; a container for its own. */
#include "core/agent/networks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/imds.h"
#include "core/aws/metahttp.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define MACS "/latest/meta-data/network/interfaces/macs/"
#define INTERFACES_MAX 64
#define NETWORKS_MAX 512

static const char *const blocks[] = { "vpc-ipv4-cidr-block", "vpc-ipv6-cidr-blocks" };

struct networks {
	struct networks_options o;
	networks_fn *fn;
	void *arg;
	struct event *timer;
	struct imds_call *call;
	struct metahttp *get;
	char **macs;
	size_t next; /* of the questions: NELEMS(blocks) for each interface */
	char **list;
};

static bool
is_busy(const struct networks *n)
{
	return n->call || n->get;
}

static void
forget(struct networks *n)
{
	n->macs = strv_free(n->macs);
	n->list = strv_free(n->list);
	n->next = 0;
}

struct networks *
networks_free(struct networks *n)
{
	if (!n)
		return NULL;
	imds_cancel(n->call);
	metahttp_cancel(n->get);
	event_free(n->timer);
	forget(n);
	free(n);
	return NULL;
}

/* What the metadata says is told to plugins, which refuse all when they cannot read it. */
static bool
is_network(const char *text)
{
	const char *slash = strchr(text, '/');
	autofree char *base = slash ? xstrndup(text, (size_t)(slash - text)) : NULL;
	struct in6_addr a;
	int64_t prefix;

	if (!base)
		return false;
	if (inet_pton(AF_INET, base, &a) == 1)
		return text_to_i64(slash + 1, 0, 32, &prefix) == 0;
	return inet_pton(AF_INET6, base, &a) == 1 && text_to_i64(slash + 1, 0, 128, &prefix) == 0;
}

static void
add(struct networks *n, const char *text)
{
	autofree char *shown = NULL;

	if (!*text || strv_has(n->list, text) || strv_len(n->list) >= NETWORKS_MAX)
		return;
	if (is_network(text)) {
		strv_add(&n->list, text);
		return;
	}
	shown = text_quote(text, 64);
	log_warn("networks", "the metadata names %s, which is no network: it is passed over",
		 shown);
}

static void
finish(struct networks *n)
{
	autofree char *all = strv_join(n->list, " ");
	char *const none[] = { NULL };

	log_debug("networks", "networks of the VPC: %s", *all ? all : "none");
	n->fn(n->arg, n->list ? n->list : none);
	forget(n);
}

/* What was known stays. */
static void
fail(struct networks *n, const char *text)
{
	struct timeval tv;

	forget(n);
	if (n->o.retry_ms == 0) {
		log_debug("networks", "the networks of the VPC are not known: %s", text);
		return;
	}
	log_warn("networks",
		 "the networks of the VPC could not be asked for; to port sessions only what was "
		 "known before and Mgs.DeniedPortForwardingRemoteIPs is forbidden: %s",
		 text);
	clock_timeval(n->o.retry_ms, &tv);
	event_add(n->timer, &tv);
}

/* ------------------------------------------------------------- instances */

static void ask_next(struct networks *n);

static void
on_blocks(void *arg, int result, const char *body, const char *text)
{
	struct networks *n = arg;
	autostrv char **lines = result == 0 ? strv_split(body, "\r\n") : NULL;

	n->call = NULL;
	if (result < 0 && result != -ENOENT) {
		fail(n, text);
		return;
	}
	for (char **line = lines; line && *line; line++)
		add(n, *line);
	ask_next(n);
}

static void
ask_next(struct networks *n)
{
	size_t at = n->next / NELEMS(blocks);
	const char *mac = at < strv_len(n->macs) ? n->macs[at] : NULL;
	autofree char *path = NULL;

	if (!mac) {
		finish(n);
		return;
	}
	path = xasprintf(MACS "%s%s%s", mac, text_ends(mac, "/") ? "" : "/",
			 blocks[n->next++ % NELEMS(blocks)]);
	n->call = imds_get(n->o.imds, path, on_blocks, n);
}

static bool
is_mac(const char *text)
{
	size_t len = strspn(text, "0123456789abcdefABCDEF:");

	return len > 0 && (text[len] == '\0' || strcmp(text + len, "/") == 0);
}

/* Where there is no such page, there is no VPC. */
static void
on_macs(void *arg, int result, const char *body, const char *text)
{
	struct networks *n = arg;
	autostrv char **lines = result == 0 ? strv_split(body, "\r\n") : NULL;

	n->call = NULL;
	if (result < 0 && result != -ENOENT && result != -ENODEV) {
		fail(n, text);
		return;
	}
	for (char **line = lines; line && *line && strv_len(n->macs) < INTERFACES_MAX; line++)
		if (is_mac(*line))
			strv_add(&n->macs, *line);
	ask_next(n);
}

/* ------------------------------------------------------------ containers */

static void
on_container(void *arg, int result, const char *text, const struct http_response *r)
{
	struct networks *n = arg;
	autojson json_t *o = result == 0 && r->status == 200
		? json_parse(r->body, r->body_len, "the container's metadata", NULL)
		: NULL;
	const json_t *network = json_at(o, "/Networks/0");

	n->get = NULL;
	if (!o) {
		fail(n, result < 0 ? text : "the container's metadata cannot be read");
		return;
	}
	add(n, json_str(network, "IPv4SubnetCIDRBlock", ""));
	add(n, json_str(network, "IPv6SubnetCIDRBlock", ""));
	finish(n);
}

static void
ask_container(struct networks *n)
{
	const struct metahttp_request r = { .method = "GET", .url = n->o.ecs_uri };
	struct err e = { 0, "" };

	n->get = metahttp_start(n->o.base, n->o.http, &r, on_container, n, &e);
	if (!n->get)
		fail(n, err_text(&e));
}

/* ------------------------------------------------------------------ both */

void
networks_look(struct networks *n)
{
	if (!n || is_busy(n))
		return;
	event_del(n->timer);
	if (n->o.ecs_uri)
		ask_container(n);
	else
		n->call = imds_get(n->o.imds, MACS, on_macs, n);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	networks_look(arg);
}

struct networks *
networks_new(const struct networks_options *o, networks_fn *fn, void *arg)
{
	struct networks *n = xcalloc(1, sizeof(*n));

	n->o = *o;
	n->fn = fn;
	n->arg = arg;
	n->timer = evtimer_new(o->base, on_time, n);
	networks_look(n);
	return n;
}
