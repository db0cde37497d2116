/* SPDX-License-Identifier: Apache-2.0 */
/* Where a port session leads, whether it may, and which way its bytes go.
 *
 * A name is resolved once. Its addresses are what the rules are applied to, and what connections
 * are made to: another answer of the name service cannot lead elsewhere later. */
#include "plugins/sessionManager/port.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/sessionManager/addresses.h"
#include "plugins/sessionManager/basic.h"
#include "plugins/sessionManager/deny.h"
#include "plugins/sessionManager/inputs.h"
#include "plugins/sessionManager/messages.h"
#include "plugins/sessionManager/mux.h"
#include "plugins/sessionManager/resolve.h"

#define TYPE "LocalPortForwarding"
#define MUX_SINCE "1.1.70"	  /* spec 02 §7.1 */
#define NO_KEEP_ALIVE "1.2.331.0" /* clients up to this need it, spec 02 §7.4 */
#define SHOWN_MAX 2000		  /* bytes of properties in a text */

static struct {
	enum {
		PORT_RESOLVES,
		PORT_BASIC,
		PORT_MUX,
		PORT_OVER
	} way;
	struct port_properties asked;
	uint16_t number;
	struct addresses to;
	struct resolve *resolve;
	struct ssm *S;
	struct ssm_session *session;
} port;

static void
refuse(const char *text)
{
	port.way = PORT_OVER;
	(void)port.S->api->session_end(port.S, port.session, SSM_FAILED, text);
}

/* ------------------------------------------------------------------ rules */

/* The texts of a JSON list that the agent told; NULL-ended, caller frees. NULL: it told none. */
static char **
told_list(struct ssm *S, const char *key)
{
	const char *text = S->api->info(S, key);
	autojson json_t *list = text ? json_parse(text, strlen(text), key, NULL) : NULL;
	char **all = NULL;
	const json_t *one;
	size_t i;

	if (!json_is_array(list))
		return NULL;
	all = xcalloc(1, sizeof(*all));
	json_array_foreach(list, i, one)
		strv_add(&all, json_is_string(one) ? json_string_value(one) : "");
	return all;
}

static int
add_networks(struct ssm *S, struct deny *d, struct err *e)
{
	char **networks = told_list(S, "vpc-networks");
	int r = 0;

	for (char **n = networks; n && *n && r >= 0; n++)
		r = deny_add_network(d, *n, e);
	(void)strv_free(networks);
	return r;
}

/* Rules that cannot be read forbid everything. */
static int
read_rules(struct ssm *S, struct deny **ret, struct err *e)
{
	char **list = told_list(S, "denied-addresses");
	struct deny *d = NULL;
	int r = deny_new((const char *const *)list, &d, e);

	(void)strv_free(list);
	if (r < 0)
		return err_prefix(e, "Mgs.DeniedPortForwardingRemoteIPs");
	r = add_networks(S, d, e);
	if (r < 0)
		(void)deny_free(d);
	else
		*ret = d;
	return r;
}

/* One forbidden address forbids the name. */
static int
check_rules(struct err *e)
{
	struct deny *d = NULL;
	int r = read_rules(port.S, &d, e);

	for (size_t i = 0; r >= 0 && i < port.to.count; i++)
		if (deny_has(d, (const struct sockaddr *)&port.to.v[i]))
			r = err_set(e, -EACCES, "Forwarding to IP address %s is forbidden.",
				    port.asked.host);
	(void)deny_free(d);
	return r;
}

/* ------------------------------------------------------------------ start */

static void
begin(void)
{
	const char *client = port.S->api->session_str(port.S, port.session, "/ClientVersion", "");
	bool typed = strcmp(port.asked.type, TYPE) == 0;

	port.way = typed && version_compare(client, MUX_SINCE) >= 0 ? PORT_MUX : PORT_BASIC;
	if (port.way == PORT_MUX)
		mux_open(port.S, port.session, &port.to,
			 version_compare(client, NO_KEEP_ALIVE) <= 0);
	else
		basic_open(port.S, port.session, &port.to, typed);
	/* For what came meanwhile. */
	(void)port.S->api->session_send(port.S, port.session, PAYLOAD_OUTPUT, NULL, 0);
}

static void
begin_if_allowed(void)
{
	struct err e = { 0, "" };

	if (check_rules(&e) < 0) {
		ssm_log(port.S, SSM_NOTICE, "the session's host may not be reached by it");
		refuse(err_text(&e));
	} else {
		begin();
	}
}

static void
on_resolved(void *arg, int result, const struct addresses *found, const char *text)
{
	(void)arg;
	port.resolve = NULL;
	if (result < 0) {
		refuse(text);
		return;
	}
	port.to = *found;
	begin_if_allowed();
}

static void
find_host(void)
{
	const char *host = port.asked.host;

	if (!*host) {
		addresses_add_loopback(&port.to, port.number);
		begin();
	} else if (addresses_add(&port.to, host, port.number) == 0) {
		begin_if_allowed();
	} else {
		port.resolve = resolve_start(port.S, host, port.number, on_resolved, NULL);
		if (!port.resolve)
			refuse("The name service could not be asked.");
	}
}

/* As the reference shows a map: by the order of its keys. Caller frees. */
static char *
map_text(const json_t *v)
{
	autofree char *sorted = json_text_sorted(v);
	autojson json_t *map = json_parse(sorted, strlen(sorted), "properties", NULL);
	struct sbuf b = SBUF_INIT(SHOWN_MAX);
	const char *key;
	json_t *one;

	json_object_foreach(map, key, one)
	{
		autofree char *other = json_is_string(one) ? NULL : json_text(one);
		autofree char *shown =
			text_escape_controls(other ? other : json_string_value(one),
					     other ? strlen(other) : json_string_length(one));

		(void)sbuf_addf(&b, "%s%s:%s", b.len ? " " : "", key, shown);
	}
	return sbuf_take(&b, NULL);
}

static int
check(const json_t *properties, struct err *e)
{
	const struct port_properties *p = &port.asked;
	int64_t number = 0;

	if (!*p->port) {
		autofree char *shown = map_text(properties);

		return err_set(e, -EINVAL, "Port number is empty in session properties. map[%s]",
			       shown);
	}
	if (text_to_i64(p->port, 1, 65535, &number) < 0)
		return err_set(e, -EINVAL, "'%.20s' is not the number of a port", p->port);
	if (strlen(p->host) > RESOLVE_NAME_MAX)
		return err_set(e, -EINVAL, "The name of the host is longer than %d bytes.",
			       RESOLVE_NAME_MAX);
	port.number = (uint16_t)number;
	return 0;
}

static int32_t
port_open(struct ssm *S, struct ssm_session *s)
{
	const char *text = S->api->session_str(S, s, "/properties", "{}");
	struct err e = { 0, "" };
	autojson json_t *v = json_parse(text, strlen(text), "properties", &e);

	port.S = S;
	port.session = s;
	if (!v || port_properties_read(v, &port.asked, &e) < 0) {
		autofree char *why =
			xasprintf("Unable to remarshal session properties. %s", err_text(&e));

		refuse(why);
	} else if (check(v, &e) < 0) {
		refuse(err_text(&e));
	} else {
		find_host();
	}
	return 0;
}

/* ---------------------------------------------------------------- session */

static int32_t
port_input(struct ssm *S, struct ssm_session *s, uint32_t payload_type, const void *data,
	   size_t len)
{
	switch (port.way) {
	case PORT_RESOLVES:
		return -EAGAIN;
	case PORT_BASIC:
		return basic_input(S, s, payload_type, data, len);
	case PORT_MUX:
		return mux_input(S, s, payload_type, data, len);
	default:
		return 0;
	}
}

static int32_t
port_writable(struct ssm *S, struct ssm_session *s)
{
	if (port.way == PORT_MUX)
		return mux_writable(S, s);
	return port.way == PORT_BASIC ? basic_writable(S, s) : 0;
}

static void
port_close(struct ssm *S, struct ssm_session *s, int32_t reason)
{
	(void)reason;
	if (port.way == PORT_MUX) {
		mux_close(S, s);
	} else if (port.way == PORT_BASIC) {
		basic_close(S, s);
	} else if (port.way == PORT_RESOLVES) {
		port.resolve = resolve_cancel(port.resolve);
		port.way = PORT_OVER;
		(void)S->api->session_end(S, s, SSM_SUCCESS, "");
	}
}

const struct ssm_session_ops port_ops = { sizeof(port_ops), 0,	       port_open, port_input, NULL,
					  port_writable,    port_close };
