/* SPDX-License-Identifier: Apache-2.0 */
/* Data channel, handshake and encryption as one. */
#include "plugins/sessionManager/channel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/mem.h"
#include "plugins/sessionManager/crypt.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/frame.h"
#include "plugins/sessionManager/messages.h"

struct channel {
	const struct channel_ops *ops;
	void *arg;
	struct data *data;
	struct handshake *handshake; /* NULL: none is needed */
	struct crypt *crypt;	     /* NULL: plain */
	bool was_up, ready;
};

static int
on_frame(void *arg, const void *frame, size_t len)
{
	struct channel *c = arg;

	return c->ops->send(c->arg, frame, len);
}

static void
on_data_timer(void *arg, int64_t after_ms)
{
	struct channel *c = arg;

	c->ops->timer(c->arg, CHANNEL_DATA, after_ms);
}

/* Only keyboard and port data of the client is encrypted (spec 02 §4.4). */
static int
on_input(void *arg, uint32_t payload_type, struct span payload, struct err *e)
{
	autosbuf struct sbuf plain = SBUF_INIT(FRAME_MAX_BYTES);
	struct channel *c = arg;
	int r;

	if (!c->ready) {
		if (c->handshake)
			handshake_input(c->handshake, payload_type, payload);
		return 0;
	}
	if (!c->crypt || payload_type != PAYLOAD_OUTPUT)
		return c->ops->input(c->arg, payload_type, payload, e);
	r = crypt_open(c->crypt, payload.p, payload.len, &plain, e);
	if (r < 0)
		return r;
	return c->ops->input(c->arg, payload_type, (struct span){ plain.p, plain.len }, e);
}

static void
on_writable(void *arg)
{
	struct channel *c = arg;

	c->ops->writable(c->arg);
}

static void
on_closed(void *arg)
{
	struct channel *c = arg;

	c->ops->closed(c->arg);
}

static void
on_ended(void *arg, int result)
{
	struct channel *c = arg;

	c->ops->ended(c->arg, result);
}

static const struct data_ops data_ops = { on_frame,    on_data_timer, on_input,
					  on_writable, on_closed,     on_ended };

static int
on_handshake_send(void *arg, uint32_t payload_type, const void *p, size_t len)
{
	struct channel *c = arg;

	return data_send(c->data, payload_type, p, len);
}

static void
on_handshake_timer(void *arg, int64_t after_ms)
{
	struct channel *c = arg;

	c->ops->timer(c->arg, CHANNEL_HANDSHAKE, after_ms);
}

static void
on_decrypt(void *arg, const char *cipher_text, const char *challenge)
{
	struct channel *c = arg;

	c->ops->decrypt(c->arg, cipher_text, challenge);
}

static void
on_done(void *arg, int result, const char *text)
{
	struct channel *c = arg;

	c->crypt = handshake_take_crypt(c->handshake);
	c->ready = result >= 0;
	c->ops->ready(c->arg, result, text);
}

static const struct handshake_ops handshake_ops = { on_handshake_send, on_handshake_timer,
						    on_decrypt, on_done };

struct channel *
channel_new(const char *session, const struct handshake_conf *handshake,
	    const struct channel_ops *ops, void *arg)
{
	struct channel *c = xcalloc(1, sizeof(*c));

	c->ops = ops;
	c->arg = arg;
	c->data = data_new(session, &data_ops, c);
	if (handshake)
		c->handshake = handshake_new(handshake, &handshake_ops, c);
	return c;
}

struct channel *
channel_free(struct channel *c)
{
	if (!c)
		return NULL;
	data_free(c->data);
	handshake_free(c->handshake);
	crypt_free(c->crypt);
	free(c);
	return NULL;
}

void
channel_up(struct channel *c)
{
	bool first = !c->was_up;

	c->was_up = true;
	data_up(c->data);
	if (!first)
		return;
	if (c->handshake) {
		handshake_start(c->handshake);
	} else {
		c->ready = true;
		c->ops->ready(c->arg, 0, "");
	}
}

void
channel_down(struct channel *c)
{
	data_down(c->data);
}

void
channel_transport_ready(struct channel *c)
{
	data_ready(c->data);
}

void
channel_timer(struct channel *c, enum channel_timer which)
{
	if (which == CHANNEL_DATA)
		data_timer(c->data);
	else if (c->handshake)
		handshake_timer(c->handshake);
}

int
channel_read(struct channel *c, const void *frame, size_t len, struct err *e)
{
	return data_read(c->data, frame, len, e);
}

int
channel_input_ready(struct channel *c, struct err *e)
{
	return data_input_ready(c->data, e);
}

void
channel_key(struct channel *c, int result, const char *text, const void *key, size_t len)
{
	if (c->handshake)
		handshake_key(c->handshake, result, text, key, len);
}

static bool
is_secret(uint32_t payload_type)
{
	return payload_type == PAYLOAD_OUTPUT || payload_type == PAYLOAD_STDERR ||
		payload_type == PAYLOAD_EXIT_CODE;
}

int
channel_send(struct channel *c, uint32_t payload_type, const void *p, size_t len)
{
	autosbuf struct sbuf sealed = SBUF_INIT(FRAME_MAX_BYTES);
	int r;

	if (!c->ready)
		return -EINVAL;
	if (!len || !c->crypt || !is_secret(payload_type))
		return data_send(c->data, payload_type, p, len);
	r = crypt_seal(c->crypt, p, len, &sealed, NULL);
	return r < 0 ? r : data_send(c->data, payload_type, sealed.p, sealed.len);
}

void
channel_send_state(struct channel *c, const char *state)
{
	data_send_state(c->data, state);
}

void
channel_end(struct channel *c, int64_t deadline_ms)
{
	data_end(c->data, deadline_ms);
}

size_t
channel_unacked(const struct channel *c)
{
	return data_unacked(c->data);
}

const char *
channel_client_version(const struct channel *c)
{
	return c->handshake ? handshake_client_version(c->handshake) : "";
}
