/* SPDX-License-Identifier: Apache-2.0 */
/* Access keys that the sandbox has given out, and who may use them for what. */
#include "sdk/sandbox/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"

#define ID_RANDOM 16
#define SECRET_LENGTH 40
#define TOKEN_BYTES 240

struct keys {
	struct map *by_id;     /* owns */
	struct map *by_source; /* current one, borrowed */
};

static void
free_key(void *value)
{
	struct key *key = value;

	secret_free(key->secret);
	secret_free(key->token);
	free(key);
}

struct keys *
keys_new(void)
{
	struct keys *k = xcalloc(1, sizeof(*k));

	k->by_id = map_new(free_key);
	k->by_source = map_new(NULL);
	return k;
}

struct keys *
keys_free(struct keys *k)
{
	if (!k)
		return NULL;
	map_free(k->by_source);
	map_free(k->by_id);
	free(k);
	return NULL;
}

/* '/' and '+' are in the alphabet on purpose: real secrets have them. */
static void
random_text(char *ret, size_t len, const char *alphabet)
{
	size_t letters = strlen(alphabet);

	for (size_t i = 0; i < len; i++)
		ret[i] = alphabet[rand_between(0, (int64_t)letters - 1)];
	ret[len] = '\0';
}

static char *
new_secret(void)
{
	char *secret = xcalloc(1, SECRET_LENGTH + 1);

	random_text(secret, SECRET_LENGTH,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	return secret;
}

static char *
new_token(void)
{
	unsigned char raw[TOKEN_BYTES];

	rand_bytes(raw, sizeof(raw));
	return text_base64(raw, sizeof(raw));
}

static struct key *
new_key(const char *source, enum key_side side, const char *id)
{
	struct key *key = xcalloc(1, sizeof(*key));

	snprintf(key->id, sizeof(key->id), "%s", id);
	snprintf(key->source, sizeof(key->source), "%s", source);
	key->side = side;
	return key;
}

static const struct key *
remember(struct keys *k, struct key *key)
{
	map_set(k->by_id, key->id, key);
	map_set(k->by_source, key->source, key);
	return key;
}

const struct key *
keys_add(struct keys *k, const char *source, enum key_side side, const char *id, const char *secret,
	 const char *token, int64_t expires_ms)
{
	struct key *key = new_key(source, side, id);

	key->secret = xstrdup(secret);
	key->token = xstrdup(token);
	key->expires_ms = expires_ms;
	return remember(k, key);
}

const struct key *
keys_issue(struct keys *k, const char *source, enum key_side side, int64_t now_ms, int64_t life_ms)
{
	char tail[ID_RANDOM + 1], id[ID_RANDOM + 5];
	struct key *key;

	random_text(tail, ID_RANDOM, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
	snprintf(id, sizeof(id), "%s%s", life_ms ? "ASIA" : "AKIA", tail);
	key = new_key(source, side, id);
	key->secret = new_secret();
	key->issued_ms = now_ms;
	if (life_ms) {
		key->token = new_token();
		/* The metadata documents carry whole seconds. */
		key->expires_ms = (now_ms + life_ms) / 1000 * 1000;
	}
	return remember(k, key);
}

const struct key *
keys_current(const struct keys *k, const char *source)
{
	return map_get(k->by_source, source);
}

const struct key *
keys_find(const struct keys *k, const char *id)
{
	return map_get(k->by_id, id);
}

int
keys_expire(struct keys *k, const char *source, int64_t at_ms)
{
	size_t iter = 0;
	void *value;
	int n = 0;

	while (map_next(k->by_id, &iter, NULL, &value)) {
		struct key *key = value;

		if (!key->expires_ms || (source && strcmp(key->source, source) != 0))
			continue;
		key->expires_ms = at_ms;
		n++;
	}
	return n;
}

/* Seconds only, as the real endpoints write it. */
static void
stamp(int64_t unix_ms, char ret[TEXT_STAMP_SIZE])
{
	text_iso8601_ms(unix_ms, ret);
	ret[19] = 'Z';
	ret[20] = '\0';
}

json_t *
keys_document(const struct key *key)
{
	char expires[TEXT_STAMP_SIZE];

	stamp(key->expires_ms, expires);
	return json_pack("{s:s, s:s, s:s*, s:s}", "AccessKeyId", key->id, "SecretAccessKey",
			 key->secret, "Token", key->token, "Expiration", expires);
}

json_t *
keys_list(const struct keys *k)
{
	json_t *list = json_array();
	size_t iter = 0;
	void *value;

	while (map_next(k->by_id, &iter, NULL, &value)) {
		const struct key *key = value;

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:b, s:I}", "id", key->id,
						"source", key->source, "side",
						key->side == KEY_NODE ? "node" : "operator",
						"current", keys_current(k, key->source) == key,
						"expires_ms", (json_int_t)key->expires_ms));
	}
	return list;
}
