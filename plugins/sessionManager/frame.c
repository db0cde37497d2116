/* SPDX-License-Identifier: Apache-2.0 */
/* The binary frame of ssmmessages: offsets, checks, digest. */
#include "plugins/sessionManager/frame.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/digest.h"

/* Where the fields are, spec 02 §2.1. */
enum {
	AT_TYPE = 4,
	AT_SCHEMA = 36,
	AT_CREATED = 40,
	AT_SEQ = 48,
	AT_FLAGS = 56,
	AT_ID = 64,
	AT_DIGEST = 80,
	AT_PAYLOAD_TYPE = 112,
	AT_PAYLOAD_LEN = 116,
};

static uint64_t
get_number(const unsigned char *p, size_t bytes)
{
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | p[i];
	return n;
}

static void
put_number(unsigned char *p, size_t bytes, uint64_t n)
{
	for (size_t i = bytes; i > 0; i--, n >>= 8)
		p[i - 1] = (unsigned char)n;
}

static bool
is_blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* NULs at both ends go first, then white space: the order of the reference (spec 02 §2.1). */
static int
read_type(const unsigned char *p, char ret[FRAME_TYPE_BYTES + 1], struct err *e)
{
	size_t from = 0, to = FRAME_TYPE_BYTES;

	while (from < to && !p[from])
		from++;
	while (to > from && !p[to - 1])
		to--;
	while (from < to && is_blank(p[from]))
		from++;
	while (to > from && is_blank(p[to - 1]))
		to--;
	if (from == to)
		return err_set(e, -EBADMSG, "the message has no type; it is dropped");
	for (size_t i = from; i < to; i++)
		if (p[i] < ' ' || p[i] > '~')
			return err_set(e, -EBADMSG, "byte %zu of the message's type is 0x%02x, "
				       "not a printable character; it is dropped", i, p[i]);
	memcpy(ret, p + from, to - from);
	ret[to - from] = 0;
	return 0;
}

/* On the wire the second half of a UUID comes first. */
static void
read_id(const unsigned char *p, char ret[FRAME_UUID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char *to = ret;

	for (size_t i = 0; i < 16; i++) {
		unsigned char byte = p[(i + 8) % 16];

		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	*to = 0;
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int
write_id(const char id[FRAME_UUID_SIZE], unsigned char *p)
{
	const char *from = id;

	for (size_t i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *from++ != '-')
			return -EINVAL;
		high = digit_value(from[0]);
		low = high < 0 ? -1 : digit_value(from[1]);
		if (low < 0)
			return -EINVAL;
		p[(i + 8) % 16] = (unsigned char)(high << 4 | low);
		from += 2;
	}
	return *from ? -EINVAL : 0;
}

static int
read_payload(const unsigned char *p, size_t len, struct frame *f, struct err *e)
{
	size_t header = get_number(p, 4), said;
	unsigned char digest[DIGEST_SHA256_SIZE];

	if (header < AT_PAYLOAD_LEN || header > len - 4)
		return err_set(e, -EBADMSG, "%s: the header length %zu is not between %d and %zu; "
			       "the message is dropped", f->type, header, AT_PAYLOAD_LEN, len - 4);
	said = get_number(p + header, 4);
	f->payload.p = (const char *)p + header + 4;
	f->payload.len = len - header - 4;
	if (said != f->payload.len)
		return err_set(e, -EBADMSG, "%s: %zu bytes of payload came where the header says "
			       "%zu; the message is dropped", f->type, f->payload.len, said);
	digest_sha256(f->payload.p, f->payload.len, digest);
	f->intact = !said || memcmp(digest, p + AT_DIGEST, sizeof(digest)) == 0;
	return 0;
}

int
frame_read(const void *data, size_t len, struct frame *ret, struct err *e)
{
	const unsigned char *p = data;
	uint64_t seq;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->intact = true;
	if (len > FRAME_MAX_BYTES)
		return err_set(e, -EMSGSIZE, "a message has %zu bytes, more than %d; it is dropped",
			       len, FRAME_MAX_BYTES);
	if (len < FRAME_HEADER_BYTES)
		return err_set(e, -EBADMSG, "a message has %zu bytes, its header alone takes %d; "
			       "it is dropped", len, FRAME_HEADER_BYTES);
	r = read_type(p + AT_TYPE, ret->type, e);
	if (r < 0)
		return r;
	ret->schema = (uint32_t)get_number(p + AT_SCHEMA, 4);
	ret->created_ms = get_number(p + AT_CREATED, 8);
	seq = get_number(p + AT_SEQ, 8);
	ret->flags = get_number(p + AT_FLAGS, 8);
	read_id(p + AT_ID, ret->id);
	ret->payload_type = (uint32_t)get_number(p + AT_PAYLOAD_TYPE, 4);
	if (seq > INT64_MAX)
		return err_set(e, -EBADMSG, "%s: the sequence number is negative; the message is "
			       "dropped", ret->type);
	ret->seq = (int64_t)seq;
	if (!strcmp(ret->type, "start_publication") || !strcmp(ret->type, "pause_publication"))
		return 0;
	if (!ret->created_ms)
		return err_set(e, -EBADMSG, "%s: the message has no date; it is dropped",
			       ret->type);
	return read_payload(p, len, ret, e);
}

static int
check_type(const char type[FRAME_TYPE_BYTES + 1])
{
	size_t len = strnlen(type, FRAME_TYPE_BYTES + 1);

	if (!len || len > FRAME_TYPE_BYTES || type[0] == ' ' || type[len - 1] == ' ')
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (type[i] < ' ' || type[i] > '~')
			return -EINVAL;
	return 0;
}

int
frame_write(const struct frame *f, struct sbuf *out, struct err *e)
{
	unsigned char h[FRAME_HEADER_BYTES];

	if (check_type(f->type) < 0)
		return err_set(e, -EINVAL, "a message's type must be 1 to %d printable characters",
			       FRAME_TYPE_BYTES);
	if (f->seq < 0)
		return err_set(e, -EINVAL, "%s: the sequence number %" PRId64 " is negative; give "
			       "0 or more", f->type, f->seq);
	if (!f->created_ms)
		return err_set(e, -EINVAL, "%s: a message without a date is refused by whoever "
			       "reads it", f->type);
	if (f->payload.len > FRAME_MAX_BYTES - FRAME_HEADER_BYTES)
		return err_set(e, -EMSGSIZE, "%s: the payload has %zu bytes; split it, %d is the "
			       "most", f->type, f->payload.len,
			       FRAME_MAX_BYTES - FRAME_HEADER_BYTES);
	if (write_id(f->id, h + AT_ID) < 0)
		return err_set(e, -EINVAL, "%s: the message id is not a lower-case UUID", f->type);
	if (out->err || out->len > out->max || out->max - out->len < sizeof(h) + f->payload.len)
		return err_set(e, -E2BIG, "%s: no room for the message's %zu bytes", f->type,
			       sizeof(h) + f->payload.len);
	put_number(h, 4, AT_PAYLOAD_LEN);
	memset(h + AT_TYPE, ' ', FRAME_TYPE_BYTES);
	memcpy(h + AT_TYPE, f->type, strlen(f->type));
	put_number(h + AT_SCHEMA, 4, f->schema);
	put_number(h + AT_CREATED, 8, f->created_ms);
	put_number(h + AT_SEQ, 8, (uint64_t)f->seq);
	put_number(h + AT_FLAGS, 8, f->flags);
	digest_sha256(f->payload.len ? f->payload.p : "", f->payload.len, h + AT_DIGEST);
	put_number(h + AT_PAYLOAD_TYPE, 4, f->payload_type);
	put_number(h + AT_PAYLOAD_LEN, 4, f->payload.len);
	sbuf_add(out, h, sizeof(h));
	if (f->payload.len)
		sbuf_add(out, f->payload.p, f->payload.len);
	return 0;
}
