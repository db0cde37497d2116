/* SPDX-License-Identifier: Apache-2.0 */
/* AgentMessage of ssmmessages, as the service reads and writes it. */
#include "sdk/sandbox/agentmsg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/digest.h"
#include "core/base/text.h"

#define LOW_ALPHABET "abcdefghijklmnopqrstuvwxyz_"

static uint64_t
take(const unsigned char **p, int bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | *(*p)++;
	return n;
}

static void
give(struct sbuf *out, uint64_t n, int bytes)
{
	while (bytes-- > 0)
		(void)sbuf_addc(out, (char)(n >> 8 * bytes));
}

/* "dd01e56b-ff48-483e-a508-b5f073f31b16" is written second half first. */
static void
take_id(const unsigned char **p, char ret[RAND_UUID_SIZE])
{
	char digits[33], *to = ret;

	text_hex(*p + 8, 8, digits);
	text_hex(*p, 8, digits + 16);
	*p += 16;
	for (const char *from = digits; *from; from++) {
		if (from == digits + 8 || from == digits + 12 || from == digits + 16 ||
		    from == digits + 20)
			*to++ = '-';
		*to++ = *from;
	}
	*to = '\0';
}

static void
give_id(struct sbuf *out, const char *id)
{
	char hex[33] = "";
	unsigned char raw[16] = { 0 };
	size_t n = 0;

	for (const char *c = id; *c && n < 32; c++)
		if (*c != '-')
			hex[n++] = *c;
	(void)text_unhex(hex, raw, sizeof(raw));
	(void)sbuf_add(out, raw + 8, 8);
	(void)sbuf_add(out, raw, 8);
}

static int
take_type(const unsigned char **p, char ret[33], struct err *e)
{
	size_t len = 32;

	memcpy(ret, *p, 32);
	*p += 32;
	while (len && ret[len - 1] == ' ')
		len--;
	ret[len] = '\0';
	if (!len || strspn(ret, LOW_ALPHABET) != len)
		return err_set(e, -EINVAL, "the type is not letters padded with blanks");
	return 0;
}

int
agentmsg_read(const void *data, size_t len, struct agentmsg *ret, struct err *e)
{
	const unsigned char *p = data, *digest;
	unsigned char ours[DIGEST_SHA256_SIZE];
	uint64_t created, sequence;

	if (len < AGENTMSG_HEAD || len > AGENTMSG_MAX)
		return err_set(e, -EINVAL, "a frame of %zu bytes", len);
	if (take(&p, 4) != 116)
		return err_set(e, -EINVAL, "the header length is not 116");
	if (take_type(&p, ret->type, e) < 0)
		return -EINVAL;
	if (take(&p, 4) != 1)
		return err_set(e, -EINVAL, "%s: the schema version is not 1", ret->type);
	created = take(&p, 8);
	sequence = take(&p, 8);
	if (!created || created > INT64_MAX || sequence > INT64_MAX)
		return err_set(e, -EINVAL, "%s: date or sequence number", ret->type);
	ret->created_ms = (int64_t)created;
	ret->sequence = (int64_t)sequence;
	ret->flags = take(&p, 8);
	take_id(&p, ret->id);
	digest = p;
	p += DIGEST_SHA256_SIZE;
	ret->payload_type = (uint32_t)take(&p, 4);
	ret->payload.len = (size_t)take(&p, 4);
	ret->payload.p = (const char *)p;
	if (ret->payload.len != len - AGENTMSG_HEAD)
		return err_set(e, -EINVAL, "%s: the payload's length is wrong", ret->type);
	digest_sha256(ret->payload.p, ret->payload.len, ours);
	if (memcmp(ours, digest, sizeof(ours)) != 0)
		return err_set(e, -EINVAL, "%s: the payload's digest is wrong", ret->type);
	return 0;
}

void
agentmsg_write(const struct agentmsg *m, struct sbuf *out)
{
	unsigned char digest[DIGEST_SHA256_SIZE];
	char type[33];

	digest_sha256(m->payload.p, m->payload.len, digest);
	(void)snprintf(type, sizeof(type), "%-32s", m->type);
	give(out, 116, 4);
	(void)sbuf_add(out, type, 32);
	give(out, 1, 4);
	give(out, (uint64_t)m->created_ms, 8);
	give(out, (uint64_t)m->sequence, 8);
	give(out, m->flags, 8);
	give_id(out, m->id);
	(void)sbuf_add(out, digest, sizeof(digest));
	give(out, m->payload_type, 4);
	give(out, m->payload.len, 4);
	(void)sbuf_add(out, m->payload.p, m->payload.len);
}
