/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of ssm-sandbox. */
#include "sdk/sandbox/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "sdk/sandbox/control.h"
#include "sdk/sandbox/shape.h"

enum {
	OPT_PORT = 256,
	OPT_IPV6,
	OPT_ROOT,
	OPT_DOCUMENTS,
	OPT_BUILTIN,
	OPT_REGION,
	OPT_ZONE,
	OPT_ZONE_ID,
	OPT_ACCOUNT,
	OPT_ROLE,
	OPT_INSTANCE,
	OPT_KEY_LIFE,
	OPT_POLL,
	OPT_MAX_MESSAGES,
	OPT_SKEW,
	OPT_IMDS,
	OPT_TOKEN_STATUS,
	OPT_NO_ROLE,
	OPT_ECS_TOKEN,
	OPT_FAULT,
	OPT_NO_JOURNAL,
	OPT_NO_STATE,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_UNREGISTERED,
	OPT_PARENT,
	OPT_STDIN,
	OPT_TRANSPORT,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option table[] = {
	{ "port", required_argument, NULL, OPT_PORT },
	{ "ipv6", no_argument, NULL, OPT_IPV6 },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "documents", required_argument, NULL, OPT_DOCUMENTS },
	{ "builtin-documents", required_argument, NULL, OPT_BUILTIN },
	{ "region", required_argument, NULL, OPT_REGION },
	{ "zone", required_argument, NULL, OPT_ZONE },
	{ "zone-id", required_argument, NULL, OPT_ZONE_ID },
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "key-life", required_argument, NULL, OPT_KEY_LIFE },
	{ "poll", required_argument, NULL, OPT_POLL },
	{ "max-messages", required_argument, NULL, OPT_MAX_MESSAGES },
	{ "skew", required_argument, NULL, OPT_SKEW },
	{ "imds", required_argument, NULL, OPT_IMDS },
	{ "imds-token-status", required_argument, NULL, OPT_TOKEN_STATUS },
	{ "imds-no-role", no_argument, NULL, OPT_NO_ROLE },
	{ "ecs-token", required_argument, NULL, OPT_ECS_TOKEN },
	{ "transport", required_argument, NULL, OPT_TRANSPORT },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "no-journal", no_argument, NULL, OPT_NO_JOURNAL },
	{ "no-state", no_argument, NULL, OPT_NO_STATE },
	{ "unregistered", no_argument, NULL, OPT_UNREGISTERED },
	{ "exit-with-parent", no_argument, NULL, OPT_PARENT },
	{ "exit-with-stdin", no_argument, NULL, OPT_STDIN },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

void
options_help(void)
{
	fputs("usage: ssm-sandbox --root DIR [OPTION]...\n"
	      "       ssm-sandbox ctl SOCKET|ROOT OPERATION [NAME=VALUE]...\n"
	      "\n"
	      "A local stand-in for the service: metadata, credentials, ec2messages and ssm on\n"
	      "one loopback port. It prints one JSON line when it is ready.\n"
	      "\n"
	      "  --root DIR               folder for everything it writes; made when missing\n"
	      "  --port N                 port on 127.0.0.1; 0 is a free one (default 0)\n"
	      "  --ipv6                   listen on ::1 instead\n"
	      "  --tls-cert FILE --tls-key FILE\n"
	      "                           a second port, with TLS; PEM files\n"
	      "  --documents DIR          NAME.json or NAME.yaml in it is document NAME\n"
	      "  --builtin-documents DIR  where its own documents are\n"
	      "  --instance ID            an instance; the first one is the metadata service's\n"
	      "                           (i-0123456789abcdef0); may be repeated\n"
	      "  --region R, --zone Z, --zone-id I, --account A, --role NAME\n"
	      "                           eu-west-1, R + a, euw1-az1, 123456789012, SandboxRole\n"
	      "  --key-life TIME          life of role and container credentials (6h)\n"
	      "  --poll TIME              longest wait of GetMessages (20s)\n"
	      "  --max-messages N         messages in one answer (10)\n"
	      "  --skew TIME              the sandbox's clock is that much ahead (-TIME: behind)\n"
	      "  --imds MODE              both, v2-required, v1-only, off (v2-required)\n"
	      "  --imds-token-status N    answer to a token request\n"
	      "  --imds-no-role           the instance has no role\n"
	      "  --ecs-token TEXT         Authorization wanted for container credentials\n"
	      "  --fault K=V[,K=V]...     a fault from the start; may be repeated\n"
	      "  --transport NAME         how commands go: auto, ec2messages, ssmmessages\n"
	      "  --no-journal             write no request journal\n"
	      "  --no-state               keep nothing for the next start, and read nothing\n"
	      "  --unregistered           send-command also to nodes that never reported\n"
	      "  --exit-with-parent       end when the parent process ends\n"
	      "  --exit-with-stdin        end when standard input ends\n"
	      "  --help, --version\n"
	      "\n"
	      "ssm-sandbox(1) describes the files, the faults and the control socket.\n",
	      stdout);
}

static int
number(const char *name, const char *text, int64_t min, int64_t max, int64_t *ret, struct err *e)
{
	if (text_to_i64(text, min, max, ret) < 0)
		return err_set(e, -EINVAL, "--%s=%s: not a number from %lld to %lld", name, text,
			       (long long)min, (long long)max);
	return 0;
}

static int
duration(const char *name, const char *text, int64_t *ret, struct err *e)
{
	bool behind = *text == '-';

	if (text_to_ms(text + behind, ret) < 0)
		return err_set(e, -EINVAL, "--%s=%s: not a time such as 500ms, 20s, 5m, 6h", name,
			       text);
	if (behind)
		*ret = -*ret;
	return 0;
}

static int
take_instance(struct options *o, const char *id, struct err *e)
{
	if (!shape_is_instance_id(id))
		return err_set(e, -EINVAL,
			       "--instance=%s: an id is i- and 8 or 17, or mi- and 17 "
			       "letters and digits",
			       id);
	if (!o->set.instance)
		o->set.instance = id;
	strv_add(&o->instances, id);
	return 0;
}

static int
take_imds(struct options *o, const char *name, struct err *e)
{
	int mode = control_imds_mode(name);

	if (mode < 0)
		return err_set(e, -EINVAL,
			       "--imds=%s: the mode is both, v2-required, v1-only or off", name);
	o->set.imds = (enum imds_mode)mode;
	return 0;
}

static int
take_transport(struct options *o, const char *name, struct err *e)
{
	int transport = control_transport(name);

	if (transport < 0)
		return err_set(e, -EINVAL,
			       "--transport=%s: it is auto, ec2messages or ssmmessages", name);
	o->set.transport = (enum transport)transport;
	return 0;
}

static int
take_number(struct options *o, int opt, const char *arg, struct err *e)
{
	int64_t port = 0;
	int err;

	switch (opt) {
	case OPT_PORT:
		err = number("port", arg, 0, 65535, &port, e);
		o->set.port = (uint16_t)port;
		return err;
	case OPT_KEY_LIFE:
		return duration("key-life", arg, &o->set.key_life_ms, e);
	case OPT_POLL:
		return duration("poll", arg, &o->set.poll_ms, e);
	case OPT_SKEW:
		return duration("skew", arg, &o->set.skew_ms, e);
	case OPT_MAX_MESSAGES:
		return number("max-messages", arg, 1, 1000, &o->set.max_messages, e);
	case OPT_TOKEN_STATUS:
		return number("imds-token-status", arg, 200, 599, &o->set.imds_token_status, e);
	case OPT_INSTANCE:
		return take_instance(o, arg, e);
	case OPT_TRANSPORT:
		return take_transport(o, arg, e);
	case OPT_IMDS:
		return take_imds(o, arg, e);
	}
	return -ENOENT;
}

/* Options that are a string or a switch. */
static void
take_plain(struct options *o, int opt, const char *arg)
{
	struct settings *set = &o->set;
	const struct {
		int opt;
		const char **text;
		bool *flag;
	} targets[] = {
		{ OPT_ROOT, &set->root, NULL },
		{ OPT_DOCUMENTS, &set->documents, NULL },
		{ OPT_BUILTIN, &set->builtin, NULL },
		{ OPT_REGION, &set->region, NULL },
		{ OPT_ZONE, &set->zone, NULL },
		{ OPT_ZONE_ID, &set->zone_id, NULL },
		{ OPT_ACCOUNT, &set->account, NULL },
		{ OPT_ROLE, &set->role, NULL },
		{ OPT_TLS_CERT, &set->tls_cert, NULL },
		{ OPT_TLS_KEY, &set->tls_key, NULL },
		{ OPT_IPV6, NULL, &set->ipv6 },
		{ OPT_NO_ROLE, NULL, &set->imds_no_role },
		{ OPT_NO_JOURNAL, NULL, &set->journal_off },
		{ OPT_NO_STATE, NULL, &set->state_off },
		{ OPT_UNREGISTERED, NULL, &set->unregistered },
		{ OPT_PARENT, NULL, &set->parent_exit },
		{ OPT_STDIN, NULL, &set->stdin_exit },
		{ OPT_HELP, NULL, &o->help },
		{ OPT_VERSION, NULL, &o->version },
	};

	for (size_t i = 0; i < NELEMS(targets); i++) {
		if (targets[i].opt != opt)
			continue;
		if (targets[i].text)
			*targets[i].text = arg;
		else
			*targets[i].flag = true;
	}
}

static int
take(struct options *o, int opt, const char *arg, struct err *e)
{
	int err;

	if (opt == OPT_FAULT) {
		strv_add(&o->faults, arg);
		return 0;
	}
	if (opt == OPT_ECS_TOKEN) {
		secret_free(o->set.ecs_token);
		o->set.ecs_token = xstrdup(arg);
		return 0;
	}
	err = take_number(o, opt, arg, e);
	if (err != -ENOENT)
		return err;
	take_plain(o, opt, arg);
	return 0;
}

static const struct settings defaults = {
	.region = "eu-west-1",
	.zone_id = "euw1-az1",
	.account = "123456789012",
	.role = "SandboxRole",
	.key_life_ms = (int64_t)6 * 3600 * 1000,
	.poll_ms = 20000,
	.max_messages = 10,
	.max_skew_ms = (int64_t)5 * 60 * 1000,
	.minute_ms = 60000,
	.imds = IMDS_V2_REQUIRED,
};

int
options_parse(int argc, char **argv, struct options *ret, struct err *e)
{
	int opt, err = 0;

	memset(ret, 0, sizeof(*ret));
	ret->set = defaults;
	opterr = 0;
	while (!err && (opt = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (opt == '?')
			return err_set(e, -EINVAL,
				       "option '%s' is unknown or lacks its value; see "
				       "--help",
				       argv[optind - 1]);
		err = take(ret, opt, optarg, e);
	}
	if (!err && optind < argc)
		return err_set(e, -EINVAL, "'%s' is no option; see --help", argv[optind]);
	if (!err && !ret->set.tls_cert != !ret->set.tls_key)
		return err_set(e, -EINVAL, "--tls-cert and --tls-key go together; see --help");
	if (!ret->set.instance)
		ret->set.instance = "i-0123456789abcdef0";
	return err;
}

void
options_done(struct options *o)
{
	o->faults = strv_free(o->faults);
	o->instances = strv_free(o->instances);
	secret_free(o->set.ecs_token);
	o->set.ecs_token = NULL;
}
