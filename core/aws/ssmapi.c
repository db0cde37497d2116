/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateInstanceInformation and what it says of the machine; its platform is in ssmapi_platform.c.
 */
#include "core/aws/ssmapi.h"

#include <arpa/inet.h>
#include <config.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/aws/creds_source.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define PING_MS 30000
#define PING_ATTEMPTS 4u
#define HOSTS_MAX (1024 * 1024)

const char *
ssmapi_agent_version(void)
{
	return SSM_REPORTED_AGENT_VERSION;
}

/* ------------------------------------------------------------ computer name */

/* The first name of a line that has HOST among its names, if that is a full one. */
static char *
full_name_in_line(const char *line, const char *host)
{
	autofree char *text = xstrndup(line, strcspn(line, "#"));
	autostrv char **words = strv_split(text, " \t\r");

	if (strv_len(words) < 2 || !strv_has(words + 1, host) || !strchr(words[1], '.'))
		return NULL;
	return xstrdup(words[1]);
}

char *
ssmapi_computer_name(const char *host, const char *etc)
{
	autofree char *path = xasprintf("%s/hosts", etc);
	autofree char *text = NULL;
	autostrv char **lines = NULL;
	char *found = NULL;
	size_t len;

	if (!strchr(host, '.') && creds_source_read(path, HOSTS_MAX, &text, &len, NULL) == 0)
		lines = strv_split(text, "\n");
	for (size_t i = 0; lines && lines[i] && !found; i++)
		found = full_name_in_line(lines[i], host);
	return found ? found : xstrdup(host);
}

static char *
own_name(void)
{
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) < 0 || *host == '\0')
		return NULL;
	return ssmapi_computer_name(host, "/etc");
}

/* ------------------------------------------------------------------ address */

/* 0 not usable, 1 loopback or link-local, 2 IPv6, 3 IPv4: the first of the highest is taken. An
 * IPv4 address of the machine alone does not replace an IPv6 one. */
static int
rank_v4(const struct sockaddr *a)
{
	uint32_t ip = ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr);

	if (ip == 0)
		return 0;
	return ip >> 24 == 127 || ip >> 16 == 0xa9fe || ip >> 8 == 0xe00000 ? 1 : 3;
}

static int
rank_v6(const struct sockaddr *a)
{
	const struct in6_addr *ip = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;

	if (IN6_IS_ADDR_UNSPECIFIED(ip))
		return 0;
	return IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_MC_LINKLOCAL(ip)
		? 1
		: 2;
}

static int
rank(const struct sockaddr *a)
{
	if (!a)
		return 0;
	return a->sa_family == AF_INET ? rank_v4(a) : a->sa_family == AF_INET6 ? rank_v6(a) : 0;
}

static bool
show_address(const struct sockaddr *a, char *ret, size_t size)
{
	const void *ip = a->sa_family == AF_INET
		? (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
		: &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;

	return inet_ntop(a->sa_family, ip, ret, (socklen_t)size) != NULL;
}

bool
ssmapi_choose_address(const struct ifaddrs *list, char *ret, size_t size)
{
	const struct sockaddr *best = NULL;

	for (; list; list = list->ifa_next)
		if (rank(list->ifa_addr) > rank(best))
			best = list->ifa_addr;
	return best && show_address(best, ret, size);
}

static bool
own_address(char *ret, size_t size)
{
	struct ifaddrs *list;
	bool found;

	if (getifaddrs(&list) < 0)
		return false;
	found = ssmapi_choose_address(list, ret, size);
	freeifaddrs(list);
	return found;
}

/* ------------------------------------------------------------------ ping */

static void
put(json_t *o, const char *key, const char *value)
{
	json_t *v = value ? json_string(value) : NULL;

	if (v)
		json_object_set_new(o, key, v);
}

/* The order is the service model's; a value that cannot be found is left out. */
static json_t *
full_ping(const struct ssmapi_ping *p)
{
	json_t *o = json_object();
	autofree char *name = own_name();
	char address[INET6_ADDRSTRLEN];

	put(o, "AgentName", "amazon-ssm-agent");
	put(o, "AgentStatus", "Active");
	put(o, "AgentVersion", ssmapi_agent_version());
	put(o, "AvailabilityZone", p->availability_zone);
	put(o, "AvailabilityZoneId", p->availability_zone_id);
	put(o, "ComputerName", name);
	if (own_address(address, sizeof(address)))
		put(o, "IPAddress", address);
	put(o, "InstanceId", p->instance_id);
	put(o, "PlatformName", p->platform_name);
	put(o, "PlatformType", "Linux");
	put(o, "PlatformVersion", p->platform_version);
	put(o, "SSMConnectionChannel", p->channel);
	return o;
}

static json_t *
empty_ping(const struct ssmapi_ping *p)
{
	json_t *o = json_object();

	put(o, "AgentName", "amazon-ssm-agent");
	put(o, "AgentVersion", ssmapi_agent_version());
	put(o, "InstanceId", p->instance_id);
	put(o, "PlatformType", "Linux");
	return o;
}

struct aws_call *
ssmapi_ping(struct aws *a, const struct ssmapi_ping *p, bool empty, aws_done_fn *done, void *arg)
{
	autojson json_t *body = empty ? empty_ping(p) : full_ping(p);
	autofree char *text = json_text(body);
	struct aws_request q = {
		.service = "ssm",
		.target = "AmazonSSM.UpdateInstanceInformation",
		.body = text,
		.body_len = strlen(text),
		.timeout_ms = PING_MS,
		.attempts = PING_ATTEMPTS,
	};

	return aws_start(a, &q, done, arg, NULL);
}
