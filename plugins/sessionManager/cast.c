/* SPDX-License-Identifier: Apache-2.0 */
/* asciicast version 2: a line of JSON for the terminal, then one for each piece of output.
 *
 * Why bytes are held back: a line is UTF-8, so a character waits until it is whole. */
#include "plugins/sessionManager/cast.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "plugins/sessionManager/keep.h"
#include "plugins/sessionManager/shelltext.h"

#define LINE_MAX_BYTES ((size_t)8 << 20)
#define CHARACTER_MAX 4

struct cast {
	int fd, error;
	uint64_t len, max_bytes;
	int64_t began_ms;
	struct sbuf held; /* the beginning of a character */
};

static int
write_line(struct cast *c, const struct sbuf *b)
{
	int r = b->err;

	if (c->error)
		return c->error;
	if (r == 0)
		r = fs_write_all(c->fd, b->p, b->len);
	c->len += b->len;
	c->error = r;
	return r;
}

static void
begin_line(const struct cast *c, char kind, struct sbuf *b)
{
	int64_t ms = clock_mono_ms() - c->began_ms;

	(void)sbuf_addf(b, "[%" PRId64 ".%03d, \"%c\", ", ms / 1000, (int)(ms % 1000), kind);
}

static int
write_event(struct cast *c, char kind, const char *p, size_t len)
{
	autosbuf struct sbuf b = SBUF_INIT(LINE_MAX_BYTES);

	begin_line(c, kind, &b);
	(void)json_add_string_go(&b, p, len);
	(void)sbuf_adds(&b, "]\n");
	return write_line(c, &b);
}

static int
write_head(struct cast *c, const char *title, uint32_t cols, uint32_t rows)
{
	autosbuf struct sbuf b = SBUF_INIT(LINE_MAX_BYTES);

	(void)sbuf_addf(&b,
			"{\"version\": 2, \"width\": %" PRIu32 ", \"height\": %" PRIu32
			", \"timestamp\": %" PRId64 ", \"title\": ",
			cols, rows, clock_wall_ms() / 1000);
	(void)json_add_string_go(&b, title, strlen(title));
	(void)sbuf_adds(&b, ", \"env\": {\"TERM\": \"xterm-256color\"}}\n");
	return write_line(c, &b);
}

struct cast *
cast_new(const struct keep *k, uint32_t cols, uint32_t rows, struct err *e)
{
	autoclose int folder = -1;
	int fd = keep_file(k, KEEP_CAST, &folder, e);
	struct cast *c;

	if (fd < 0)
		return NULL;
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->max_bytes = k->max_bytes;
	c->began_ms = clock_mono_ms();
	sbuf_init(&c->held, CHARACTER_MAX);
	if (write_head(c, k->session, cols, rows) == 0)
		return c;
	(void)err_set(e, c->error, "%s: %s", k->folder, strerror(-c->error));
	return cast_free(c);
}

struct cast *
cast_free(struct cast *c)
{
	if (!c)
		return NULL;
	if (c->held.len > 0)
		(void)write_event(c, 'o', c->held.p, c->held.len);
	sbuf_done(&c->held);
	mem_cleanup_fd(&c->fd);
	free(c);
	return NULL;
}

static int
end_here(struct cast *c)
{
	static const char text[] =
		"the transcript ends here: it has all the bytes that it may have";

	(void)write_event(c, 'm', text, strlen(text));
	sbuf_reset(&c->held);
	c->error = -EFBIG;
	return c->error;
}

int
cast_output(struct cast *c, const void *p, size_t len)
{
	autosbuf struct sbuf all = SBUF_INIT(LINE_MAX_BYTES);
	size_t whole;
	int r = 0;

	if (c->error)
		return c->error;
	if (c->len + len > c->max_bytes)
		return end_here(c);
	(void)sbuf_add(&all, sbuf_str(&c->held), c->held.len);
	(void)sbuf_add(&all, p, len);
	whole = shelltext_chunk(sbuf_str(&all), all.len, all.len, false);
	if (whole > 0)
		r = write_event(c, 'o', all.p, whole);
	sbuf_reset(&c->held);
	if (whole < all.len)
		(void)sbuf_add(&c->held, all.p + whole, all.len - whole);
	return r;
}

int
cast_resize(struct cast *c, uint32_t cols, uint32_t rows)
{
	char size[32];

	(void)snprintf(size, sizeof(size), "%" PRIu32 "x%" PRIu32, cols, rows);
	return write_event(c, 'r', size, strlen(size));
}
