/* SPDX-License-Identifier: Apache-2.0 */
/* An operator's end of one session that is faster than the agent's: what it measures is the other
 * side. Its frames are its own (spec 02 §2, §3, §7.4): it agrees with no mistake of ours.
 *
 * Why the masks are zero: RFC 6455 wants a key, which the server has to use; with this one there is
 * nothing to compute. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

#define HEADER 120
#define CHUNK 1024
#define AHEAD 512 /* messages of ours without an acknowledgement */
#define IN_MAX (4u << 20)
#define READ_BYTES (256u << 10)
#define OVERDUE_MS 1000
#define SMUX_HEADER 8
#define SMUX_MAX 32768
#define STREAM 1u

enum {
	OUTPUT = 1,
	HANDSHAKE = 5,
	ANSWER = 6,
	COMPLETE = 7,
};

enum {
	SMUX_SYN,
	SMUX_FIN,
	SMUX_PSH,
	SMUX_NOP,
};

struct unacked {
	int64_t sent_ms;
	size_t len; /* 0: acknowledged */
	unsigned char frame[HEADER + CHUNK];
};

static struct {
	int fd;
	struct sbuf in, out;
	size_t used; /* of IN */
	int64_t expected, next, oldest;
	struct unacked unacked[AHEAD];
	uint64_t ids, repeated;
	bool closed;
	char *why; /* channel_closed */
	int why_len;
	/* What came as output and was not asked for yet, or its digest. */
	struct sbuf text;
	struct digest *digest;
	uint64_t counted;
	bool ready; /* handshake complete, or first output */
	bool mux;
	struct sbuf stream; /* part of a smux frame */
} c;

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ----------------------------------------------------------------- frames */

static void
put(unsigned char *p, uint64_t n, int bytes)
{
	while (bytes-- > 0)
		*p++ = (unsigned char)(n >> 8 * bytes);
}

static uint64_t
get(const unsigned char *p, int bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | *p++;
	return n;
}

static void
ws_send(int op, const void *p, size_t len)
{
	unsigned char head[14] = { (unsigned char)(0x80 | op) };
	size_t n = len < 126 ? 2 : 4;

	head[1] = (unsigned char)(0x80 | (len < 126 ? len : 126));
	if (len >= 126)
		put(head + 2, len, 2);
	(void)sbuf_add(&c.out, head, n + 4);
	(void)sbuf_add(&c.out, p, len);
}

/* Whole, with its header, into TO. */
static size_t
message(unsigned char *to, const char *type, int64_t seq, unsigned flags, unsigned payload_type,
	const void *p, size_t len)
{
	put(to, HEADER - 4, 4);
	memset(to + 4, ' ', 32);
	memcpy(to + 4, type, strlen(type));
	put(to + 36, 1, 4);
	put(to + 40, (uint64_t)time(NULL) * 1000, 8);
	put(to + 48, (uint64_t)seq, 8);
	put(to + 56, flags, 8);
	put(to + 64, 0x8000000000000000u | (uint64_t)getpid(), 8);
	put(to + 72, (++c.ids << 16) | 0x4000, 8);
	digest_sha256(p, len, to + 80);
	put(to + 112, payload_type, 4);
	put(to + 116, len, 4);
	memcpy(to + HEADER, p, len);
	return HEADER + len;
}

static void
acknowledge(const unsigned char *m)
{
	unsigned char out[HEADER + 512];
	char text[400], id[33];
	int n;

	text_hex(m + 72, 8, id);
	text_hex(m + 64, 8, id + 16);
	n = snprintf(text, sizeof(text),
		     "{\"AcknowledgedMessageType\":\"output_stream_data\","
		     "\"AcknowledgedMessageId\":\"%.8s-%.4s-%.4s-%.4s-%.12s\","
		     "\"AcknowledgedMessageSequenceNumber\":%" PRId64
		     ",\"IsSequentialMessage\":true}",
		     id, id + 8, id + 12, id + 16, id + 20, c.expected);
	ws_send(2, out, message(out, "acknowledge", 0, 3, 0, text, (size_t)n));
}

static bool
has_room(void)
{
	return c.next - c.oldest < AHEAD;
}

static void
send_input(unsigned payload_type, const void *p, size_t len)
{
	struct unacked *u = &c.unacked[c.next % AHEAD];

	u->len = message(u->frame, "input_stream_data", c.next++, 0, payload_type, p, len);
	u->sent_ms = now_us() / 1000;
	ws_send(2, u->frame, u->len);
}

static void
acknowledged(const char *p, size_t len)
{
	static const char key[] = "\"AcknowledgedMessageSequenceNumber\":";
	const char *at = memmem(p, len, key, sizeof(key) - 1);
	int64_t seq = at ? strtoll(at + sizeof(key) - 1, NULL, 10) : -1;

	if (seq < c.oldest || seq >= c.next)
		return;
	c.unacked[seq % AHEAD].len = 0;
	while (c.oldest < c.next && !c.unacked[c.oldest % AHEAD].len)
		c.oldest++;
}

static void
repeat_overdue(void)
{
	struct unacked *u = &c.unacked[c.oldest % AHEAD];

	if (c.oldest == c.next || now_us() / 1000 - u->sent_ms < OVERDUE_MS)
		return;
	u->sent_ms = now_us() / 1000;
	ws_send(2, u->frame, u->len);
}

/* --------------------------------------------------------------- contents */

static void
content(const void *p, size_t len)
{
	c.counted += len;
	if (c.digest)
		digest_add(c.digest, p, len);
	else
		(void)sbuf_add(&c.text, p, len);
}

static void
smux_send(int command, const void *p, size_t len)
{
	unsigned char m[CHUNK] = { 1, (unsigned char)command };

	m[2] = (unsigned char)len;
	m[3] = (unsigned char)(len >> 8);
	m[4] = STREAM;
	if (len)
		memcpy(m + SMUX_HEADER, p, len);
	send_input(OUTPUT, m, SMUX_HEADER + len);
}

static void
take_smux(const void *p, size_t len)
{
	size_t used = 0;

	(void)sbuf_add(&c.stream, p, len);
	while (c.stream.len - used >= SMUX_HEADER) {
		const unsigned char *m = (const unsigned char *)c.stream.p + used;
		size_t n = (size_t)m[2] | (size_t)m[3] << 8;

		if (c.stream.len - used < SMUX_HEADER + n)
			break;
		if (m[1] == SMUX_PSH)
			content(m + SMUX_HEADER, n);
		used += SMUX_HEADER + n;
	}
	sbuf_consume(&c.stream, used);
}

static void
take_stream(const unsigned char *m, size_t len)
{
	static const char answer[] =
		"{\"ClientVersion\":\"1.2.650.0\",\"ProcessedClientActions\":[{\"ActionType\":"
		"\"SessionType\",\"ActionStatus\":1,\"ActionResult\":null,\"Error\":\"\"}],"
		"\"Errors\":null}";
	unsigned type = (unsigned)get(m + 112, 4);
	unsigned char digest[DIGEST_SHA256_SIZE];

	if ((int64_t)get(m + 48, 8) < c.expected) {
		c.repeated++; /* not acknowledged again, spec 02 §3.4 */
		return;
	}
	if ((int64_t)get(m + 48, 8) > c.expected)
		die("message %" PRIu64 " came where %" PRId64 " was next", get(m + 48, 8),
		    c.expected);
	digest_sha256(m + HEADER, len - HEADER, digest);
	if (memcmp(digest, m + 80, sizeof(digest)) != 0)
		die("a digest is wrong");
	acknowledge(m);
	c.expected++;
	if (type == HANDSHAKE)
		send_input(ANSWER, answer, sizeof(answer) - 1);
	if (type == COMPLETE || type == OUTPUT)
		c.ready = true;
	if (type == OUTPUT && c.mux)
		take_smux(m + HEADER, len - HEADER);
	else if (type == OUTPUT)
		content(m + HEADER, len - HEADER);
}

static void
take_end(const void *p, size_t len)
{
	c.closed = true;
	c.why = xmemdup(p, len);
	c.why_len = (int)len;
}

static void
take_message(const unsigned char *m, size_t len)
{
	if (len < HEADER)
		die("a message of %zu bytes", len);
	if (!memcmp(m + 4, "output_stream_data ", 19))
		take_stream(m, len);
	else if (!memcmp(m + 4, "acknowledge ", 12))
		acknowledged((const char *)m + HEADER, len - HEADER);
	else if (!memcmp(m + 4, "channel_closed ", 15))
		take_end(m + HEADER, len - HEADER);
}

/* ------------------------------------------------------------- connection */

/* False: more is needed. */
static bool
take_frame(void)
{
	const unsigned char *p = (const unsigned char *)c.in.p + c.used;
	size_t left = c.in.len - c.used, len, head = 2;

	if (left < 2)
		return false;
	len = p[1] & 0x7f;
	if (len >= 126)
		head = len == 126 ? 4 : 10;
	if (left < head)
		return false;
	if (len >= 126)
		len = (size_t)get(p + 2, (int)head - 2);
	if (left < head + len)
		return false;
	if ((p[0] & 15) == 2)
		take_message(p + head, len);
	else if ((p[0] & 15) == 8)
		c.closed = true;
	c.used += head + len;
	return true;
}

static void
flush(void)
{
	size_t done = 0;

	while (done < c.out.len) {
		ssize_t n = send(c.fd, c.out.p + done, c.out.len - done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			die("send: %m");
		if (n < 0)
			break;
		done += (size_t)n;
	}
	sbuf_consume(&c.out, done);
}

/* Sends, waits at most MS, takes what came. */
static void
step(int ms)
{
	struct pollfd p = { .fd = c.fd, .events = POLLIN };
	ssize_t n;

	flush();
	if (c.out.len)
		p.events |= POLLOUT;
	if (poll(&p, 1, ms) < 0)
		die("poll: %m");
	repeat_overdue();
	if (!(p.revents & ~POLLOUT))
		return;
	n = sbuf_read(&c.in, c.fd, READ_BYTES);
	if (n == 0) {
		c.closed = true;
		return;
	}
	if (n < 0)
		die("the connection broke off: %s", strerror((int)-n));
	while (take_frame())
		;
	sbuf_consume(&c.in, c.used);
	c.used = 0;
}

static void
dial(const char *port, const char *path, const char *token)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	autofree char *ask = xasprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n"
				       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
				       "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
				       "Sec-WebSocket-Version: 13\r\n\r\n", path, port);
	autofree char *open_message = xasprintf(
		"{\"MessageSchemaVersion\":\"1.0\","
		"\"RequestId\":\"11111111-2222-4333-8444-555555555555\",\"TokenValue\":\"%s\","
		"\"ClientId\":\"11111111-2222-4333-8444-555555555556\","
		"\"ClientVersion\":\"1.2.650.0\"}", token);
	const char *end;
	int on = 1;

	sbuf_init(&c.in, IN_MAX);
	sbuf_init(&c.out, IN_MAX);
	sbuf_init(&c.text, IN_MAX);
	sbuf_init(&c.stream, IN_MAX);
	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c.fd < 0 || connect(c.fd, (const void *)&a, sizeof(a)) < 0)
		die("port %s: %m", port);
	setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)sbuf_adds(&c.out, ask);
	flush();
	do
		if (sbuf_read(&c.in, c.fd, 1) <= 0)
			die("no answer to the upgrade");
	while (!(end = strstr(sbuf_str(&c.in), "\r\n\r\n")));
	if (!strstr(c.in.p, " 101 "))
		die("the upgrade is refused: %s", c.in.p);
	sbuf_consume(&c.in, (size_t)(end + 4 - c.in.p));
	ws_send(1, open_message, strlen(open_message));
}

/* Until TEXT was put out; what is up to its end is forgotten. */
static void
until(const char *text)
{
	char *at;

	while (!(at = c.text.len ? memmem(c.text.p, c.text.len, text, strlen(text)) : NULL)) {
		if (c.closed)
			die("it ended before '%s' came", text);
		step(1000);
	}
	sbuf_consume(&c.text, (size_t)(at - c.text.p) + strlen(text));
}

static void
until_closed(void)
{
	while (!c.closed)
		step(1000);
}

static void
type(const char *text)
{
	send_input(OUTPUT, text, strlen(text));
}

/* -------------------------------------------------------------- the modes */

static void
until_ready(void)
{
	while (!c.ready) {
		if (c.closed)
			die("it ended before it was ready: %.*s", c.why_len, c.why ? c.why : "");
		step(1000);
	}
}

/* When the first output was there. */
static void
mode_prompt(void)
{
	until_ready();
	printf("%" PRId64 "\n", now_us());
	type("exit\r");
	until_closed();
}

static void
mode_hold(void)
{
	char end;
	struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = c.fd, .events = POLLIN } };

	until_ready();
	printf("%" PRId64 "\n", now_us());
	fflush(stdout);
	for (;;) {
		flush();
		(void)poll(p, 2, 1000);
		if (p[0].revents && read(0, &end, 1) <= 0)
			break;
		step(0);
	}
	type("exit\r");
	until_closed();
}

/* Microseconds of each. */
static void
mode_echo(long count)
{
	until_ready();
	type("PS1=; stty -icanon; echo GO''ES\r");
	until("GOES\r\n");
	while (count-- > 0) {
		int64_t begin = now_us();

		type("x");
		until("x");
		printf("%" PRId64 "\n", now_us() - begin);
	}
	type("\r");
	type("exit\r");
	until_closed();
}

/* Of BYTES of content from now on: how long, and what. */
static void
receive(uint64_t bytes)
{
	char hex[DIGEST_SHA256_HEX_SIZE];
	int64_t begin = now_us();

	c.counted = c.text.len;
	c.digest = digest_new();
	digest_add(c.digest, sbuf_str(&c.text), c.text.len);
	while (c.counted < bytes && !c.closed)
		step(1000);
	begin = now_us() - begin;
	digest_finish_hex(TAKE(c.digest), hex);
	printf("%" PRId64 " %" PRIu64 " %s\n", begin, c.counted, hex);
}

static void
mode_cat(const char *file, uint64_t bytes)
{
	autofree char *line = xasprintf("stty raw -echo; echo GO''ES; cat '%s'; exit\r", file);

	until_ready();
	type(line);
	until("GOES\n");
	receive(bytes);
	until_closed();
}

static void
end_port(void)
{
	static const unsigned char terminate[4] = { 0, 0, 0, 2 };

	send_input(10, terminate, sizeof(terminate));
	until_closed();
}

static void
mode_pull(uint64_t bytes)
{
	until_ready();
	if (c.mux)
		smux_send(SMUX_SYN, NULL, 0);
	receive(bytes);
	end_port();
}

/* The bytes of standard input, BYTES of them; the time is up to the last acknowledgement. */
static void
mode_push(uint64_t bytes)
{
	char block[CHUNK];
	size_t most = c.mux ? CHUNK - SMUX_HEADER : CHUNK;
	int64_t begin;

	until_ready();
	begin = now_us();
	if (c.mux)
		smux_send(SMUX_SYN, NULL, 0);
	while (bytes > 0 && !c.closed) {
		while (bytes > 0 && has_room() && c.out.len < IN_MAX / 2) {
			size_t n = fread(block, 1, bytes < most ? (size_t)bytes : most, stdin);

			if (n == 0)
				die("standard input is too short");
			if (c.mux)
				smux_send(SMUX_PSH, block, n);
			else
				send_input(OUTPUT, block, n);
			bytes -= n;
		}
		step(has_room() ? 0 : 1000);
	}
	while (c.oldest < c.next && !c.closed)
		step(1000);
	printf("%" PRId64 "\n", now_us() - begin);
	fflush(stdout);
	if (getc(stdin) == EOF) /* the other side has it all */
		end_port();
}

int
main(int argc, char **argv)
{
	const char *mode = argc > 4 ? argv[4] : "";
	uint64_t n = argc > 5 ? strtoull(argv[argc - 1], NULL, 10) : 0;

	if (argc < 5)
		die("usage: session_load PORT PATH TOKEN MODE [ARGUMENT]...\n"
		    "modes: prompt, hold, echo COUNT, cat FILE BYTES,\n"
		    "       pull BYTES, push BYTES, mux-pull BYTES, mux-push BYTES");
	c.mux = !strncmp(mode, "mux-", 4);
	mode += c.mux ? 4 : 0;
	dial(argv[1], argv[2], argv[3]);
	if (!strcmp(mode, "prompt"))
		mode_prompt();
	else if (!strcmp(mode, "hold"))
		mode_hold();
	else if (!strcmp(mode, "echo"))
		mode_echo((long)n);
	else if (!strcmp(mode, "cat") && argc > 6)
		mode_cat(argv[5], n);
	else if (!strcmp(mode, "pull"))
		mode_pull(n);
	else if (!strcmp(mode, "push"))
		mode_push(n);
	else
		die("there is no mode '%s'", argv[4]);
	if (c.repeated)
		fprintf(stderr, "session_load: %" PRIu64 " messages came again\n", c.repeated);
	return 0;
}
