/* SPDX-License-Identifier: Apache-2.0 */
/* Facts of the node and of the configuration, as text, for plugins. */
#include "core/agent/info.h"

#include <stdint.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/agent/endpoints.h"
#include "core/agent/identity.h"
#include "core/agent/users.h"
#include "core/aws/endpoint.h"
#include "core/aws/ssmapi.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/conf/conf.h"
#include "core/net/proxy.h"
#include "core/net/url.h"

static void
put(json_t *o, const char *key, const char *value)
{
	json_object_set_new(o, key, json_string(value ? value : ""));
}

static void
put_number(json_t *o, const char *key, int64_t value)
{
	autofree char *text = xasprintf("%lld", (long long)value);

	put(o, key, text);
}

static const char *
partition_of(const char *region)
{
	if (text_starts(region, "cn-"))
		return "aws-cn";
	if (text_starts(region, "us-gov-"))
		return "aws-us-gov";
	return "aws";
}

/* As JSON: an empty list is told apart from none. */
static void
put_list(json_t *o, const char *key, char *const *list)
{
	autojson json_t *all = json_array();
	autofree char *text = NULL;

	for (; list && *list; list++)
		(void)json_array_append_new(all, json_string(*list));
	text = json_text(all);
	put(o, key, text);
}

static void
put_users(json_t *o, const struct conf *conf)
{
	autojson json_t *settings = users_settings(conf);
	autofree char *text = json_text(settings);

	put(o, "users", text);
}

void
info_put_live(json_t *o, const struct conf *conf)
{
	put(o, "leftover-processes", conf_str(conf, "Agent.LeftoverProcesses"));
	put_number(o, "kill-grace-ms", conf_ms(conf, "Agent.KillGrace"));
	put(o, "session-logs-destination", conf_str(conf, "Ssm.SessionLogsDestination"));
	put_number(o, "session-logs-hours",
		   conf_int(conf, "Ssm.SessionLogsRetentionDurationHours"));
	put_number(o, "output-max-bytes", conf_bytes(conf, "Ssm.OutputMaxBytes"));
	put_list(o, "denied-addresses", conf_list(conf, "Mgs.DeniedPortForwardingRemoteIPs"));
	put_users(o, conf);
}

void
info_put_networks(json_t *o, char *const *networks)
{
	put_list(o, "vpc-networks", networks);
}

json_t *
info_new(const struct conf *conf, const struct identity *who, const char *platform,
	 const char *platform_version)
{
	autofree char *run = xstrdup(conf_path(conf, CONF_PATH_RUN));
	const char *version = conf_str(conf, "Agent.Version");
	json_t *o = json_object();
	struct utsname u;

	uname(&u);
	put(o, "instance-id", who->instance_id);
	put(o, "region", who->region);
	put(o, "partition", partition_of(who->region));
	put(o, "availability-zone", who->availability_zone);
	put(o, "platform-name", platform);
	put(o, "platform-version", platform_version);
	put(o, "arch", u.machine);
	put(o, "reported-version", *version ? version : ssmapi_agent_version());
	put(o, "agent-name", conf_str(conf, "Agent.Name"));
	put(o, "os-lang", conf_str(conf, "Os.Lang"));
	put(o, "os-name", conf_str(conf, "Os.Name"));
	put(o, "os-version", conf_str(conf, "Os.Version"));
	put(o, "state-dir", conf_path(conf, CONF_PATH_STATE));
	put(o, "run-dir", run);
	put(o, "ca-file", conf_str(conf, "Net.CaFile"));
	put(o, "require-kms-challenge",
	    conf_bool(conf, "Kms.RequireKMSChallengeResponse") ? "yes" : "no");
	info_put_live(o, conf);
	return o;
}

/* Where a service is and by which proxy: for plugins that connect by themselves. */
static void
put_endpoint(json_t *info, const char *service, const struct conf *conf, const struct identity *who,
	     const struct proxy_rules *proxies)
{
	const struct endpoint_options o = {
		.region = who->region,
		.service_domain = conf_str(conf, "Agent.ServiceDomain"),
		.override = endpoints_configured((void *)(uintptr_t)conf, service)
	};
	autofree char *url = NULL, *key = xasprintf("endpoint:%s", service), *proxy_key = NULL;
	autourl struct url u = { 0 };
	const char *proxy;

	if (endpoint_url(service, &o, &url, NULL) < 0 || url_parse(url, &u, NULL) < 0)
		return;
	put(info, key, url);
	proxy = proxy_for(proxies, &u);
	proxy_key = xasprintf("proxy:%s", url);
	if (proxy)
		put(info, proxy_key, proxy);
}

json_t *
info_for_services(const json_t *common, const struct conf *conf, const struct identity *who)
{
	const char *proxy = conf_str(conf, "Net.Proxy");
	const char *no_proxy = conf_str(conf, "Net.NoProxy");
	const char *ca_file = conf_str(conf, "Net.CaFile");
	struct proxy_rules proxies = { 0 };
	json_t *info = json_copy((json_t *)(uintptr_t)common);
	struct err e = { 0, "" };

	/* Its environment has nothing of ours. */
	if (!*ca_file)
		ca_file = secure_getenv("AWS_CA_BUNDLE");
	if (ca_file)
		put(info, "ca-file", ca_file);
	if (proxy_rules_init(&proxies, *proxy ? proxy : NULL, *no_proxy ? no_proxy : NULL, &e) == 0)
		put_endpoint(info, "ssmmessages", conf, who, &proxies);
	proxy_rules_done(&proxies);
	return info;
}
