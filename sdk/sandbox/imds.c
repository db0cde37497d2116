/* SPDX-License-Identifier: Apache-2.0 */
/* The instance metadata service, versions 1 and 2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"

#define TTL_MAX 21600
#define MACS "/latest/meta-data/network/interfaces/macs/"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"

static void
not_found(struct exchange *ex)
{
	exchange_answer_text(ex, 404, "<html><head><title>404 - Not Found</title></head></html>\n");
}

static void
give_token(struct exchange *ex, int64_t ttl)
{
	unsigned char raw[42];
	autofree char *token = NULL;
	int64_t *end = xcalloc(1, sizeof(*end));

	rand_bytes(raw, sizeof(raw));
	token = text_base64(raw, sizeof(raw));
	*end = sandbox_now_ms(ex->sb) + ttl * 1000;
	map_set(ex->sb->imds_tokens, token, end);
	ex->token_ttl = ttl;
	exchange_answer_text(ex, 200, token);
}

static void
put_token(struct exchange *ex)
{
	const struct settings *set = &ex->sb->set;
	const char *ttl = exchange_header(ex, "x-aws-ec2-metadata-token-ttl-seconds");
	int64_t seconds;

	if (strcmp(ex->method, "PUT") != 0)
		exchange_answer_text(ex, 405, "");
	else if (set->imds_token_status)
		exchange_answer_text(ex, (unsigned)set->imds_token_status, "");
	else if (set->imds == IMDS_V1_ONLY)
		not_found(ex);
	else if (exchange_header(ex, "x-forwarded-for"))
		exchange_answer_text(ex, 403, "");
	else if (!ttl || text_to_i64(ttl, 1, TTL_MAX, &seconds) < 0)
		exchange_answer_text(ex, 400, "");
	else
		give_token(ex, seconds);
}

static bool
token_is_good(const struct exchange *ex, const char *token)
{
	const int64_t *end = map_get(ex->sb->imds_tokens, token);

	return end && *end > sandbox_now_ms(ex->sb);
}

/* Current credentials, new ones once half of their life is over. */
static const struct key *
role_key(struct exchange *ex)
{
	struct sandbox *sb = ex->sb;
	const struct key *key = keys_current(sb->keys, "imds");
	int64_t now = sandbox_now_ms(sb);

	if (key && now < key->issued_ms + (key->expires_ms - key->issued_ms) / 2)
		return key;
	return keys_issue(sb->keys, "imds", KEY_NODE, now, sb->set.key_life_ms);
}

static void
give_role(struct exchange *ex)
{
	const struct key *key = role_key(ex);
	json_t *doc = keys_document(key), *out;
	char issued[TEXT_STAMP_SIZE];
	autofree char *text = NULL;

	text_iso8601_ms(key->issued_ms / 1000 * 1000, issued);
	snprintf(issued + 19, sizeof(issued) - 19, "Z");
	out = json_pack("{s:s, s:s, s:s}", "Code", "Success", "LastUpdated", issued, "Type",
			"AWS-HMAC");
	json_object_update(out, doc);
	text = json_dumps(out, JSON_INDENT(2));
	json_decref(out);
	json_decref(doc);
	exchange_answer_text(ex, 200, text);
}

static void
give_identity(struct exchange *ex)
{
	const struct settings *set = &ex->sb->set;
	json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n}", "accountId",
				set->account, "architecture", "x86_64", "availabilityZone",
				set->zone, "imageId", "ami-0123456789abcdef0", "instanceId",
				set->instance, "instanceType", "t3.micro", "region", set->region,
				"version", "2017-09-30", "ramdiskId");
	autofree char *text = json_dumps(doc, JSON_INDENT(2));

	json_decref(doc);
	exchange_answer_text(ex, 200, text);
}

static void
get_credentials(struct exchange *ex, const char *name)
{
	const struct settings *set = &ex->sb->set;

	if (set->imds_no_role)
		not_found(ex);
	else if (!*name)
		exchange_answer_text(ex, 200, set->role);
	else if (strcmp(name, set->role) == 0)
		give_role(ex);
	else
		not_found(ex);
}

static void
get(struct exchange *ex)
{
	const struct settings *set = &ex->sb->set;
	const struct {
		const char *path, *text;
	} plain[] = {
		{ "/latest/meta-data/instance-id", set->instance },
		{ "/latest/meta-data/placement/region", set->region },
		{ "/latest/meta-data/placement/availability-zone", set->zone },
		{ "/latest/meta-data/placement/availability-zone-id", set->zone_id },
		{ "/latest/meta-data/instance-type", "t3.micro" },
		{ "/latest/meta-data/ami-id", "ami-0123456789abcdef0" },
		{ "/latest/meta-data/hostname", "ip-127-0-0-1.sandbox.internal" },
		{ "/latest/meta-data/local-hostname", "ip-127-0-0-1.sandbox.internal" },
		{ "/latest/meta-data/local-ipv4", "127.0.0.1" },
		{ "/latest/meta-data/mac", "02:00:00:00:00:01" },
		{ MACS, "02:00:00:00:00:01/" },
		{ MACS "02:00:00:00:00:01/vpc-ipv4-cidr-block", "172.31.0.0/16" },
		{ "/latest/meta-data/services/domain", "amazonaws.com" },
		{ "/latest/meta-data/services/partition", "aws" },
	};

	for (size_t i = 0; i < NELEMS(plain); i++) {
		if (strcmp(ex->path, plain[i].path) == 0) {
			exchange_answer_text(ex, 200, plain[i].text);
			return;
		}
	}
	if (strcmp(ex->path, "/latest/dynamic/instance-identity/document") == 0)
		give_identity(ex);
	else if (text_starts(ex->path, ROLE_PATH))
		get_credentials(ex, ex->path + strlen(ROLE_PATH));
	else if (strlen(ex->path) == strlen(ROLE_PATH) - 1 && text_starts(ROLE_PATH, ex->path))
		get_credentials(ex, "");
	else
		not_found(ex);
}

void
imds_request(struct exchange *ex)
{
	const struct settings *set = &ex->sb->set;
	const char *token = exchange_header(ex, "x-aws-ec2-metadata-token");

	if (set->imds == IMDS_OFF)
		exchange_answer_text(ex, 403, "");
	else if (strcmp(ex->operation, "PutToken") == 0)
		put_token(ex);
	else if (strcmp(ex->method, "GET") != 0)
		exchange_answer_text(ex, 405, "");
	else if (token && set->imds != IMDS_V1_ONLY && !token_is_good(ex, token))
		exchange_answer_text(ex, 401, "");
	else if (!token && set->imds == IMDS_V2_REQUIRED)
		exchange_answer_text(ex, 401, "");
	else
		get(ex);
}
