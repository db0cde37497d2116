/* SPDX-License-Identifier: Apache-2.0 */
/* The files below --root that let others use the sandbox. */
#include "sdk/sandbox/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "sdk/sandbox/dispatch.h"
#include "sdk/sandbox/server.h"

#define FILE_MAX ((size_t)65536)

char *
files_path(const struct sandbox *sb, const char *name)
{
	return xasprintf("%s/%s", sb->set.root, name);
}

static int
make_dir(const struct sandbox *sb, const char *name, struct err *e)
{
	autofree char *path = files_path(sb, name);
	int fd = fs_make_dirs(path, 0700, e);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int
files_make_root(struct sandbox *sb, struct err *e)
{
	static const char *const dirs[] = { "", "aws", "bin", "node" };

	for (size_t i = 0; i < NELEMS(dirs); i++) {
		int err = make_dir(sb, dirs[i], e);

		if (err < 0)
			return err;
	}
	return 0;
}

static int
write_file(const struct sandbox *sb, const char *name, const struct sbuf *b, mode_t mode,
	   struct err *e)
{
	autofree char *path = files_path(sb, name);

	return fs_write_atomic(AT_FDCWD, path, sbuf_str(b), b->len, mode, false, e);
}

static char *
endpoint(const struct sandbox *sb)
{
	return xasprintf("http://%s:%u", sb->set.ipv6 ? "[::1]" : "127.0.0.1",
			 server_port(sb->server));
}

static void
add_profile(struct sbuf *b, const char *name, const struct key *key)
{
	sbuf_addf(b, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, key->id,
		  key->secret);
	if (key->token)
		sbuf_addf(b, "aws_session_token = %s\n", key->token);
}

static int
write_profile(struct sandbox *sb, const char *file, const char *source, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);

	add_profile(&b, "default", keys_current(sb->keys, source));
	return write_file(sb, file, &b, 0600, e);
}

static int
write_config(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);

	sbuf_addf(&b, "[default]\nregion = %s\noutput = json\ncli_pager =\n", sb->set.region);
	return write_file(sb, "aws/config", &b, 0600, e);
}

/* For `. operator.env`: everything that the aws command line needs but --endpoint-url. */
static int
write_operator_env(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	autofree char *url = endpoint(sb);

	sbuf_addf(&b,
		  "# aws ssm --endpoint-url \"$SSM_SANDBOX_ENDPOINT\" ...; or %s/bin/aws ssm ...\n"
		  "SSM_SANDBOX_ENDPOINT='%s'\n"
		  "AWS_CONFIG_FILE='%s/aws/config'\n"
		  "AWS_SHARED_CREDENTIALS_FILE='%s/aws/credentials'\n"
		  "AWS_DEFAULT_REGION='%s'\n"
		  "AWS_EC2_METADATA_DISABLED=true\n"
		  "AWS_PAGER=\n"
		  "no_proxy='127.0.0.1,::1' NO_PROXY='127.0.0.1,::1'\n"
		  "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE\n"
		  "export SSM_SANDBOX_ENDPOINT AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE "
		  "AWS_DEFAULT_REGION AWS_EC2_METADATA_DISABLED AWS_PAGER no_proxy NO_PROXY\n",
		  sb->set.root, url, sb->set.root, sb->set.root, sb->set.region);
	return write_file(sb, "operator.env", &b, 0600, e);
}

/* The same as a command, so that `aws ssm ...` needs nothing else. */
static int
write_wrapper(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);

	sbuf_addf(&b,
		  "#!/bin/sh\n"
		  "# The aws command line, pointed at this sandbox.\n"
		  ". '%s/operator.env'\n"
		  "exec \"${SSM_SANDBOX_AWS:-/usr/bin/aws}\" --endpoint-url "
		  "\"$SSM_SANDBOX_ENDPOINT\" \"$@\"\n",
		  sb->set.root);
	return write_file(sb, "bin/aws", &b, 0700, e);
}

static int
write_agent_env(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	autofree char *url = endpoint(sb);

	sbuf_addf(&b,
		  "# Credentials by the instance profile of the sandbox's metadata service.\n"
		  "AWS_EC2_METADATA_SERVICE_ENDPOINT='%s'\n"
		  "export AWS_EC2_METADATA_SERVICE_ENDPOINT\n",
		  url);
	return write_file(sb, "agent.env", &b, 0600, e);
}

static int
write_agent_conf(struct sandbox *sb, struct err *e)
{
	static const char *const sections[] = { "Mds", "Ssm", "Mgs", "Kms", "S3", "Logs", "Sts" };
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	autofree char *url = endpoint(sb);

	sbuf_adds(&b, "# Endpoints of the sandbox.\n");
	for (size_t i = 0; i < NELEMS(sections); i++)
		sbuf_addf(&b, "%s[%s]\nEndpoint = %s\n", i ? "\n" : "", sections[i], url);
	return write_file(sb, "agent.conf", &b, 0600, e);
}

static int
write_static_env(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	const struct key *key = keys_current(sb->keys, "static");

	sbuf_addf(&b,
		  "AWS_ACCESS_KEY_ID='%s'\nAWS_SECRET_ACCESS_KEY='%s'\n"
		  "export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY\n",
		  key->id, key->secret);
	return write_file(sb, "node/static.env", &b, 0600, e);
}

int
files_write_credentials(struct sandbox *sb, struct err *e)
{
	int err = write_profile(sb, "aws/credentials", "operator", e);

	if (!err)
		err = write_profile(sb, "node/credentials", "profile", e);
	return err ? err : write_static_env(sb, e);
}

int
files_write_all(struct sandbox *sb, struct err *e)
{
	int (*const writers[])(struct sandbox *, struct err *) = {
		files_write_credentials, write_config,	  write_operator_env,
		write_wrapper,		 write_agent_env, write_agent_conf,
	};

	for (size_t i = 0; i < NELEMS(writers); i++) {
		int err = writers[i](sb, e);

		if (err < 0)
			return err;
	}
	return 0;
}

json_t *
files_ready_line(const struct sandbox *sb)
{
	autofree char *url = endpoint(sb), *control = files_path(sb, "control.sock");
	autofree char *journal = files_path(sb, "journal.jsonl"), *aws = files_path(sb, "bin/aws");
	autofree char *ecs = xasprintf("%s%ssandbox", url, ECS_PATH);

	return json_pack("{s:i, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
			 "pid", (int)getpid(), "port", (int)server_port(sb->server), "tls_port",
			 (int)server_tls_port(sb->server), "endpoint", url, "ssm", url,
			 "ec2messages", url, "imds", url, "ecs_full_uri", ecs, "control", control,
			 "journal", journal, "root", sb->set.root, "aws", aws, "instance",
			 sb->set.instance, "region", sb->set.region);
}

void
files_remove_ready(struct sandbox *sb)
{
	autofree char *ready = files_path(sb, "ready.json");

	unlink(ready);
}

int
files_write_ready(struct sandbox *sb, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(FILE_MAX);
	autojson json_t *line = files_ready_line(sb);
	autofree char *text = json_text(line);

	sbuf_addf(&b, "%s\n", text);
	return write_file(sb, "ready.json", &b, 0600, e);
}
