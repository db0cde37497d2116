/* SPDX-License-Identifier: Apache-2.0 */
/* GenerateDataKey and Decrypt. A ciphertext is a random name for what is remembered; there is every
 * key of the account whose id or alias is well formed. */
#include "sdk/sandbox/kms.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"

#define BLOB_MORE 120u /* bytes of a ciphertext, beyond those of its key */
#define KEY_MAX 1024u
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-"

struct data_key {
	char *arn;
	json_t *context; /* an object, perhaps empty */
	size_t len;
	unsigned char plain[KEY_MAX];
};

void
kms_data_key_free(void *value)
{
	struct data_key *key = value;

	wipe(key->plain, sizeof(key->plain));
	json_decref(key->context);
	free(key->arn);
	free(key);
}

/* An id, "alias/NAME" or the ARN of either, as the ARN. NULL: it is none of this account. */
static char *
key_arn(const struct exchange *ex, const char *id)
{
	autofree char *prefix =
		xasprintf("arn:aws:kms:%s:%s:", ex->sb->set.region, ex->sb->set.account);
	const char *name = text_starts(id, prefix) ? id + strlen(prefix) : id;
	bool alias = text_starts(name, "alias/");

	if (!alias && text_starts(name, "key/"))
		name += strlen("key/");
	else if (!alias && name != id)
		return NULL;
	if (!*name || strspn(name, NAME_LETTERS) != strlen(name) || (!alias && strchr(name, '/')))
		return NULL;
	return xasprintf("%s%s%s", prefix, alias ? "" : "key/", name);
}

static char *
arn_of_request(struct exchange *ex)
{
	const char *id = json_str(ex->request, "KeyId", "");
	char *arn = key_arn(ex, id);

	if (!arn)
		exchange_refuse(ex, 400, "NotFoundException", "Invalid keyId '%.200s'", id);
	return arn;
}

static json_t *
context_of(const struct exchange *ex)
{
	json_t *context = json_object_get(ex->request, "EncryptionContext");

	return context ? json_deep_copy(context) : json_object();
}

static size_t
wanted_bytes(const struct exchange *ex)
{
	const char *spec = json_str(ex->request, "KeySpec", NULL);

	if (!spec)
		return (size_t)json_int(ex->request, "NumberOfBytes", 0);
	return strcmp(spec, "AES_256") == 0 ? 32 : 16;
}

static void
forget_oldest(struct map *keys)
{
	size_t iter = 0;
	const char *name;
	void *value;

	if (map_len(keys) >= KMS_DATA_KEYS_MAX && map_next(keys, &iter, &name, &value)) {
		autofree char *first = xstrdup(name);

		kms_data_key_free(map_take(keys, first));
	}
}

static void
generate_data_key(struct exchange *ex)
{
	unsigned char blob[KEY_MAX + BLOB_MORE];
	autofree char *arn = arn_of_request(ex), *name = NULL, *plain = NULL;
	size_t len = wanted_bytes(ex);
	struct data_key *key;

	if (!arn)
		return;
	if (!json_object_get(ex->request, "NumberOfBytes") ==
	    !json_object_get(ex->request, "KeySpec")) {
		exchange_refuse(ex, 400, "ValidationException",
				"Please specify either number of bytes or key spec.");
		return;
	}
	key = xcalloc(1, sizeof(*key));
	key->arn = xstrdup(arn);
	key->context = context_of(ex);
	key->len = len;
	rand_bytes(key->plain, len);
	rand_bytes(blob, len + BLOB_MORE);
	name = text_base64(blob, len + BLOB_MORE);
	plain = text_base64(key->plain, len);
	forget_oldest(ex->sb->data_keys);
	map_set(ex->sb->data_keys, name, key);
	exchange_answer_json(ex,
			     json_pack("{s:s, s:s, s:s}", "CiphertextBlob", name, "Plaintext",
				       plain, "KeyId", arn));
}

static void
decrypt(struct exchange *ex)
{
	const struct data_key *key =
		map_get(ex->sb->data_keys, json_str(ex->request, "CiphertextBlob", ""));
	autojson json_t *context = context_of(ex);
	bool named = json_object_get(ex->request, "KeyId") != NULL;
	autofree char *arn = named ? arn_of_request(ex) : NULL, *plain = NULL;

	if (named && !arn)
		return;
	if (key && arn && strcmp(arn, key->arn) != 0) {
		exchange_refuse(
			ex, 400, "IncorrectKeyException",
			"The key ID in the request does not identify a CMK that can perform "
			"this operation.");
		return;
	}
	if (!key || !json_equal(context, key->context)) {
		exchange_refuse(ex, 400, "InvalidCiphertextException", "%s", "");
		return;
	}
	plain = text_base64(key->plain, key->len);
	exchange_answer_json(ex,
			     json_pack("{s:s, s:s, s:s}", "KeyId", key->arn, "Plaintext", plain,
				       "EncryptionAlgorithm", "SYMMETRIC_DEFAULT"));
}

static const char *const specs[] = { "AES_256", "AES_128", NULL };
static const char *const algorithms[] = { "SYMMETRIC_DEFAULT", NULL };
static const struct shape text = { .name = "text", .type = SHAPE_STRING };
static const struct shape token = { .name = "token", .type = SHAPE_STRING, .min = 1, .max = 8192 };
static const struct shape generate_members[] = {
	{ .name = "KeyId", .type = SHAPE_STRING, .required = true, .min = 1, .max = 2048 },
	{ .name = "EncryptionContext", .type = SHAPE_MAP, .inner = &text },
	{ .name = "NumberOfBytes", .type = SHAPE_INTEGER, .min = 1, .max = KEY_MAX },
	{ .name = "KeySpec", .type = SHAPE_STRING, .allowed = specs },
	{ .name = "GrantTokens", .type = SHAPE_LIST, .max = 10, .inner = &token },
	{ .name = NULL },
};
static const struct shape decrypt_members[] = {
	{ .name = "CiphertextBlob", .type = SHAPE_STRING, .required = true, .min = 1, .max = 8192 },
	{ .name = "EncryptionContext", .type = SHAPE_MAP, .inner = &text },
	{ .name = "GrantTokens", .type = SHAPE_LIST, .max = 10, .inner = &token },
	{ .name = "KeyId", .type = SHAPE_STRING, .min = 1, .max = 2048 },
	{ .name = "EncryptionAlgorithm", .type = SHAPE_STRING, .allowed = algorithms },
	{ .name = NULL },
};

const struct operation kms_operations[] = {
	{ "GenerateDataKey", false, true, generate_members, generate_data_key },
	{ "Decrypt", true, true, decrypt_members, decrypt },
	{ NULL, false, false, NULL, NULL },
};
