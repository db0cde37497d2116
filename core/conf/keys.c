/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the core's keys, and what a value may be. */
#include "core/conf/keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define DENIED_REMOTE_IPS                                              \
	"169.254.169.254 fd00:ec2::254 169.254.169.253 fd00:ec2::253 " \
	"169.254.169.123 fd00:ec2::123 169.254.169.250 169.254.169.251 fd00:ec2::240"

/* clang-format off */
#define STR(s, n, preset, help) { s, n, OPTS_STRING, preset, 0, 0, NULL, false, help }
#define LIST(s, n, preset, help) { s, n, KEYS_LIST, preset, 0, 0, NULL, false, help }
#define PATH(s, n, help) { s, n, OPTS_PATH, "", 0, 0, NULL, false, help }
#define BOOL(s, n, preset, help) { s, n, OPTS_BOOL, preset, 0, 0, NULL, false, help }
#define INT(s, n, preset, lo, hi, help) { s, n, OPTS_INT, preset, lo, hi, NULL, false, help }
#define MSEC(s, n, preset, lo, hi, help) { s, n, OPTS_MSEC, preset, lo, hi, NULL, false, help }
#define BYTES(s, n, preset, lo, hi, help) { s, n, OPTS_BYTES, preset, lo, hi, NULL, false, help }
#define ONE_OF(s, n, preset, set, help) { s, n, OPTS_STRING, preset, 0, 0, set, false, help }
#define UNUSED(s, n, type, preset, lo, hi, set) { s, n, type, preset, lo, hi, set, true, "" }

static const struct key keys[] = {
	STR("Agent", "Name", "amazon-ssm-agent", "Name in replies and in the User-Agent."),
	STR("Agent", "Version", "", "Overrides the version in replies and in the User-Agent only."),
	STR("Agent", "Region", "", "Region that requests are signed for; empty: the identity's."),
	STR("Agent", "ServiceDomain", "", "Domain of all services; empty: by region."),
	MSEC("Agent", "KillGrace", "5s", 0, 600000,
	     "From TERM to KILL of a cancelled or late command."),
	BOOL("Agent", "Cgroups", "yes",
	     "A control group for each command, where one may be made."),
	LIST("Agent", "RebootCommand", "/sbin/shutdown -r now",
	     "Restarts the machine when a command asked for it."),
	MSEC("Agent", "RebootGrace", "10m", 0, 86400000,
	     "What runs has this long to end before the machine is restarted."),
	ONE_OF("Agent", "LeftoverProcesses", "keep", "|keep|kill|",
	       "What becomes of children that a finished step leaves behind."),
	STR("Os", "Lang", "en-US", "Language in replies."),
	STR("Os", "Name", "linux", "System name in replies."),
	STR("Os", "Version", "1", "System version in replies."),

	STR("Mds", "Endpoint", "", "Endpoint of ec2messages: URL or host."),
	INT("Mds", "CommandWorkersLimit", "5", 1, 1000, "Commands that run at once."),
	INT("Mds", "QueueLimit", "1000", 1, 100000,
	    "Commands that wait on disk; beyond, they stay at the service."),
	MSEC("Mds", "StopTimeoutMillis", "20000", 10000, 1000000,
	     "How long the service may hold a poll."),
	STR("Ssm", "Endpoint", "", "Endpoint of ssm: URL or host."),
	INT("Ssm", "HealthFrequencyMinutes", "5", 5, 60, "Minutes between two pings."),
	INT("Ssm", "RunCommandLogsRetentionDurationHours", "336", 8, 87600,
	    "Hours that a finished command's folder is kept."),
	BYTES("Ssm", "OutputMaxBytes", "128M", 4096, INT64_C(1) << 40,
	      "Kept of one output stream, head and tail."),
	ONE_OF("Users", "Create", "session", "|never|session|install|",
	       "When the user of sessions is made: by the first, by ssm-agent --make-user."),
	STR("Users", "Name", "ssm-user", "The user of sessions whose document names none."),
	LIST("Users", "AddCommand", "",
	     "Makes it, the name is added; empty: useradd -m, or adduser -D without useradd."),
	BOOL("Users", "Sudo", "yes", "Write a sudoers file when it is made."),
	PATH("Users", "SudoersFile", "That file; empty: /etc/sudoers.d/ssm-agent-users."),
	LIST("Users", "CheckCommand", "visudo -c -f",
	     "Checks that file, whose path is added, where the program is installed."),
	STR("S3", "Endpoint", "", "Endpoint of S3: URL or host."),
	STR("Logs", "Endpoint", "", "Endpoint of CloudWatch Logs: URL or host."),
	STR("Sts", "Endpoint", "", "Endpoint of STS: URL or host."),
	STR("Kms", "Endpoint", "", "Endpoint of KMS: URL or host."),
	BOOL("Kms", "RequireKMSChallengeResponse", "no",
	     "Refuse encrypted sessions with a client too old to bind the key to a challenge."),
	STR("Mgs", "Endpoint", "", "Endpoint of ssmmessages: URL or host."),
	LIST("Identity", "ConsumptionOrder", "OnPrem EC2 CustomIdentity",
	     "Identities in the order in which they are tried: OnPrem EC2 ECS CustomIdentity."),
	{ "Identity", "CustomIdentities", KEYS_JSON, "[]", 0, 0, NULL, false,
	  "Only in the JSON file." },

	BYTES("State", "MaxBytes", "256M", 1 << 20, INT64_C(1) << 40,
	      "Kept of finished commands, in all."),
	INT("State", "MaxFiles", "4096", 16, 10000000, "Files kept of finished commands, in all."),
	BOOL("Imds", "V1", "yes",
	     "Use version 1 of the metadata service where it has no version 2."),
	STR("Net", "Proxy", "", "Proxy URL; empty: HTTPS_PROXY and the like."),
	STR("Net", "NoProxy", "", "Hosts that are reached without proxy; empty: NO_PROXY."),
	PATH("Net", "CaFile", "CA certificates; empty: AWS_CA_BUNDLE or the system's."),
	LIST("Net", "ConnectTo", "", "HOST:PORT:ADDR:PORT; only with --root."),
	ONE_OF("Log", "Level", "info", "|error|warning|notice|info|debug|trace|",
	       "Least urgent level that is logged."),
	ONE_OF("Log", "Target", "auto", "|auto|stderr|syslog|", "Where lines go."),
	BOOL("Log", "File", "no", "Also write ssm-agent.log in the log folder."),
	BYTES("Log", "FileMaxBytes", "10M", 65536, INT64_C(1) << 32,
	      "Size at which that file is rotated."),
	ONE_OF("Plugins", "Load", "all", "|all|list|",
	       "list: only plugins with Load = yes in their section."),
	LIST("Plugins", "Path", "", "Further plugin folders."),
	PATH("Paths", "State", "State folder."),
	PATH("Paths", "Run", "Folder of sockets and logs of hosts."),
	PATH("Paths", "Log", "Folder of log files."),
	PATH("Paths", "Cache", "Cache folder."),
	PATH("Paths", "Plugins", "Plugin folder."),
	PATH("Paths", "Host", "The ssm-plugin-host program."),

	UNUSED("Profile", "ShareCreds", OPTS_BOOL, "yes", 0, 0, NULL),
	UNUSED("Profile", "ShareProfile", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("Profile", "ForceUpdateCreds", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Profile", "KeyAutoRotateDays", OPTS_INT, "0", 0, 365, NULL),
	UNUSED("Mds", "CommandWorkerBufferLimit", OPTS_INT, "5", 1, INT32_MAX, NULL),
	UNUSED("Mds", "CommandRetryLimit", OPTS_INT, "15", 1, 100, NULL),
	UNUSED("Ssm", "AssociationFrequencyMinutes", OPTS_INT, "10", 5, 60, NULL),
	UNUSED("Ssm", "AssociationRetryLimit", OPTS_INT, "5", 0, 0, NULL),
	UNUSED("Ssm", "CustomInventoryDefaultLocation", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("Ssm", "AssociationLogsRetentionDurationHours", OPTS_INT, "24", 8, 87600, NULL),
	INT("Ssm", "SessionLogsRetentionDurationHours", "336", 8, 87600,
	    "Hours that transcripts of sessions are kept."),
	ONE_OF("Ssm", "SessionLogsDestination", "none", "|disk|none|",
	       "disk: a transcript of each session is kept on this machine."),
	UNUSED("Ssm", "PluginLocalOutputCleanup", OPTS_STRING, "default", 0, 0,
	       "|after-execution|after-upload|default|"),
	UNUSED("Ssm", "OrchestrationDirectoryCleanup", OPTS_STRING, "default", 0, 0,
	       "|clean-success|clean-success-failed|default|"),
	UNUSED("Mgs", "Region", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("Mgs", "StopTimeoutMillis", OPTS_INT, "20000", 0, 0, NULL),
	INT("Mgs", "SessionWorkersLimit", "1000", 1, 100000, "Sessions at one time."),
	UNUSED("Mgs", "SessionWorkerBufferLimit", OPTS_INT, "1", 1, INT32_MAX, NULL),
	{ "Mgs", "DeniedPortForwardingRemoteIPs", KEYS_ADDRESSES, DENIED_REMOTE_IPS, 0, 0, NULL,
	  false, "Addresses that port sessions to other hosts may not reach." },
	UNUSED("Agent", "OrchestrationRootDir", OPTS_STRING, "orchestration", 0, 0, NULL),
	UNUSED("Agent", "DownloadRootDir", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("Agent", "ContainerMode", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Agent", "SelfUpdate", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Agent", "SelfUpdateScheduleDay", OPTS_INT, "7", 1, 7, NULL),
	UNUSED("Agent", "TelemetryMetricsToCloudWatch", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Agent", "TelemetryMetricsToSSM", OPTS_BOOL, "yes", 0, 0, NULL),
	UNUSED("Agent", "TelemetryMetricsNamespace", OPTS_STRING,
	       "amazon-ssm-agent-telemetry", 0, 0, NULL),
	UNUSED("Agent", "LongRunningWorkerMonitorIntervalSeconds", OPTS_INT, "60", 30, 1800, NULL),
	UNUSED("Agent", "ShouldPurgeInstanceProfileRoleCreds", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Agent", "AuditExpirationDay", OPTS_INT, "7", 3, 30, NULL),
	UNUSED("Agent", "ForceFileIPC", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Agent", "GoMaxProcForAgentWorker", OPTS_INT, "0", 0, 65536, NULL),
	UNUSED("S3", "Region", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("S3", "LogBucket", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("S3", "LogKey", OPTS_STRING, "", 0, 0, NULL),
	UNUSED("Birdwatcher", "ForceEnable", OPTS_BOOL, "no", 0, 0, NULL),
	UNUSED("Identity", "Ec2SystemInfoDetectionResponse", OPTS_STRING, "", 0, 0,
	       "||true|false|"),
};
/* clang-format on */

const struct key *
key_table(size_t *ret_count)
{
	*ret_count = NELEMS(keys);
	return keys;
}

const struct key *
key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

const struct key *
key_find_any_case(const char *section, const char *name)
{
	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcasecmp(keys[i].section, section) == 0 &&
		    strcasecmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

bool
key_is_section(const char *section)
{
	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcmp(keys[i].section, section) == 0)
			return true;
	return false;
}

/* Those who use these ask each time. */
bool
key_is_live(const struct key *k)
{
	static const char *const live[][2] = {
		{ "Agent", "KillGrace" },
		{ "Agent", "LeftoverProcesses" },
		{ "Mds", "CommandWorkersLimit" },
		{ "Mds", "QueueLimit" },
		{ "Mgs", "DeniedPortForwardingRemoteIPs" },
		{ "Mgs", "SessionWorkersLimit" },
		{ "Ssm", "HealthFrequencyMinutes" },
		{ "Ssm", "OutputMaxBytes" },
		{ "Ssm", "RunCommandLogsRetentionDurationHours" },
		{ "Ssm", "SessionLogsDestination" },
		{ "Ssm", "SessionLogsRetentionDurationHours" },
		{ "State", "MaxBytes" },
		{ "State", "MaxFiles" },
		{ "Users", "AddCommand" },
		{ "Users", "CheckCommand" },
		{ "Users", "Create" },
		{ "Users", "Name" },
		{ "Users", "Sudo" },
		{ "Users", "SudoersFile" },
		{ "Log", "Level" },
		{ "Plugins", "Load" },
		{ "Plugins", "Path" },
	};

	for (size_t i = 0; i < NELEMS(live); i++)
		if (strcmp(k->section, live[i][0]) == 0 && strcmp(k->name, live[i][1]) == 0)
			return true;
	return false;
}

const char *
key_nearest(const char *section, const char *name)
{
	const char *names[NELEMS(keys) + 1];
	size_t n = 0;

	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcmp(keys[i].section, section) == 0)
			names[n++] = keys[i].name;
	names[n] = NULL;
	return text_nearest(name, names);
}

static int
check_choice(const struct key *k, const char *text, struct err *e)
{
	autofree char *wanted = xasprintf("|%s|", text);
	autofree char *shown = NULL;

	if (!strchr(text, '|') && strstr(k->choices, wanted))
		return 0;
	shown = text_quote(text, 80);
	return err_set(e, -EINVAL, "%s is not one of %s", shown, k->choices);
}

static int
check_addresses(const char *text, struct err *e)
{
	autostrv char **words = strv_split(text, KEYS_SEPARATORS);
	struct in6_addr a;

	for (char **w = words; w && *w; w++) {
		autofree char *shown = text_quote(*w, 80);

		if (inet_pton(AF_INET, *w, &a) != 1 && inet_pton(AF_INET6, *w, &a) != 1)
			return err_set(e, -EINVAL, "%s is not an IP address", shown);
	}
	return 0;
}

int
key_check(const struct key *k, const char *text, int64_t *ret, struct err *e)
{
	int64_t value = 0;
	int r = 0;

	if (k->type < KEYS_LIST && (k->type != OPTS_PATH || *text))
		r = opts_check((enum opts_type)k->type, text, &value, e);
	if (k->type == KEYS_ADDRESSES)
		r = check_addresses(text, e);
	if (r < 0)
		return r;
	if (k->choices && (r = check_choice(k, text, e)) < 0)
		return r;
	if ((k->min || k->max) && (value < k->min || value > k->max))
		return err_set(e, -ERANGE, "'%s' is out of range (%" PRId64 " to %" PRId64 ")",
			       text, k->min, k->max);
	if (ret)
		*ret = value;
	return 0;
}
