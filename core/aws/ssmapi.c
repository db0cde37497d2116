/* SPDX-License-Identifier: Apache-2.0 */
/* UpdateInstanceInformation and what it says of the machine. */
#include "core/aws/ssmapi.h"

#include <arpa/inet.h>
#include <config.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define PING_MS 30000
#define PING_ATTEMPTS 4u
#define RELEASE_MAX 65536u

const char *
ssmapi_agent_version(void)
{
	return SSM_REPORTED_AGENT_VERSION;
}

/* -------------------------------------------------------------- platform */

static char *
read_release(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *text = NULL;

	/* Links are usual here: /etc/os-release points to /usr/lib. */
	if (fd < 0 || fs_read_fd(fd, path, RELEASE_MAX, &text, NULL, NULL) < 0)
		return NULL;
	return text;
}

/* KEY=value or KEY="value" of an os-release file. */
static bool
release_value(const char *text, const char *key, char *ret, size_t size)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		line += n + 1;
		snprintf(ret, size, "%.*s", (int)strcspn(line, "\n"), line);
		n = strlen(ret);
		if (n >= 2 && (ret[0] == '"' || ret[0] == '\'') && ret[n - 1] == ret[0]) {
			memmove(ret, ret + 1, n - 2);
			ret[n - 2] = '\0';
		}
		return *ret != '\0';
	}
	return false;
}

static void
copy_trimmed(char *ret, size_t size, const char *from, size_t len)
{
	autofree char *copy = xstrndup(from, len);

	snprintf(ret, size, "%s", text_trim(copy));
}

/* "CentOS Linux release 7.9.2009 (Core)": the name before, the version after the word. */
static bool
split_at_release(const char *text, char *name, size_t name_size, char *version, size_t version_size)
{
	const char *word = strstr(text, "release");
	const char *after = word ? word + strlen("release") : NULL;

	if (!word)
		return false;
	copy_trimmed(name, name_size, text, (size_t)(word - text));
	copy_trimmed(version, version_size, after, strcspn(after, "(\n"));
	return *name && *version;
}

static bool
from_os_release(const char *path, char *name, size_t name_size, char *version, size_t version_size)
{
	autofree char *text = read_release(path);

	return text && release_value(text, "NAME", name, name_size) &&
		release_value(text, "VERSION_ID", version, version_size);
}

static bool
from_release_line(const char *path, const char *must_hold, char *name, size_t name_size,
		  char *version, size_t version_size)
{
	autofree char *text = read_release(path);

	if (!text || (must_hold && !strstr(text, must_hold)))
		return false;
	return split_at_release(text, name, name_size, version, version_size);
}

static void
drop_invalid(char *s)
{
	size_t len = strlen(s), out = 0;

	for (size_t i = 0; i < len;) {
		size_t n = text_utf8_char(s + i, len - i);

		memmove(s + out, s + i, n);
		out += n;
		i += n ? n : 1;
	}
	s[out] = '\0';
}

void
ssmapi_platform(char *ret_name, size_t name_size, char *ret_version, size_t version_size)
{
	if (!from_release_line("/etc/centos-release", "CentOS", ret_name, name_size, ret_version,
			       version_size) &&
	    !from_os_release("/etc/bottlerocket-release", ret_name, name_size, ret_version,
			     version_size) &&
	    !from_os_release("/etc/os-release", ret_name, name_size, ret_version, version_size) &&
	    !from_release_line("/etc/system-release", NULL, ret_name, name_size, ret_version,
			       version_size) &&
	    !from_release_line("/etc/redhat-release", NULL, ret_name, name_size, ret_version,
			       version_size)) {
		snprintf(ret_name, name_size, "NotAvailable");
		snprintf(ret_version, version_size, "NotAvailable");
	}
	drop_invalid(ret_name);
	drop_invalid(ret_version);
}

/* --------------------------------------------------------------- address */

enum rank {
	NOT_USABLE,
	LOCAL_ONLY,
	ROUTABLE_6,
	ROUTABLE_4
};

static enum rank
rank_v4(const struct in_addr *a)
{
	uint32_t ip = ntohl(a->s_addr);

	if (ip == 0)
		return NOT_USABLE;
	return ip >> 24 == 127 || ip >> 16 == 0xa9fe ? LOCAL_ONLY : ROUTABLE_4;
}

static enum rank
rank_v6(const struct in6_addr *a)
{
	if (IN6_IS_ADDR_UNSPECIFIED(a))
		return NOT_USABLE;
	if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_LINKLOCAL(a) || IN6_IS_ADDR_MC_LINKLOCAL(a))
		return LOCAL_ONLY;
	return ROUTABLE_6;
}

static enum rank
rank_of(const struct sockaddr *sa, char *ret, socklen_t size)
{
	if (sa && sa->sa_family == AF_INET) {
		const struct in_addr *a = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;

		inet_ntop(AF_INET, a, ret, size);
		return rank_v4(a);
	}
	if (sa && sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
			&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

		inet_ntop(AF_INET6, a, ret, size);
		return rank_v6(a);
	}
	return NOT_USABLE;
}

/* The first of the best kind, in the kernel's order. */
static bool
find_address(char *ret, socklen_t size)
{
	enum rank best = NOT_USABLE;
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		enum rank r = rank_of(i->ifa_addr, text, sizeof(text));

		if (r <= best)
			continue;
		best = r;
		snprintf(ret, size, "%s", text);
	}
	freeifaddrs(all);
	return best != NOT_USABLE;
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
	char host[256] = "", address[INET6_ADDRSTRLEN] = "";

	put(o, "AgentName", "amazon-ssm-agent");
	put(o, "AgentStatus", "Active");
	put(o, "AgentVersion", ssmapi_agent_version());
	put(o, "AvailabilityZone", p->availability_zone);
	put(o, "AvailabilityZoneId", p->availability_zone_id);
	if (gethostname(host, sizeof(host) - 1) == 0 && *host)
		put(o, "ComputerName", host);
	if (find_address(address, sizeof(address)))
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
