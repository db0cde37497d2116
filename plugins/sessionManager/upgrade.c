/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP exchange that opens a WebSocket: nothing of it is taken on trust, since a proxy or a web
 * server that is not meant may answer. */
#include "plugins/sessionManager/upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/base/digest.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"

#define URL_MAX 8192u
#define FIELDS_MAX 100u
#define MAGIC "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* ------------------------------------------------------------------- URL */

static bool
is_token_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		(c && strchr("!#$%&'*+-.^_`|~", c));
}

static const struct scheme {
	const char *prefix;
	bool tls;
	const char *port;
} schemes[] = {
	{ "http://", false, ":80" },
	{ "ws://", false, ":80" },
	{ "https://", true, ":443" },
	{ "wss://", true, ":443" },
};

static const struct scheme *
scheme_of(const char *url)
{
	for (size_t i = 0; i < NELEMS(schemes); i++)
		if (strncasecmp(url, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
			return &schemes[i];
	return NULL;
}

static bool
is_clean(const char *url)
{
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '#')
			return false;
	return true;
}

static char *
lower(const char *s, size_t len)
{
	char *copy = xstrndup(s, len);

	for (char *p = copy; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

int
upgrade_url_read(const char *url, struct upgrade_url *ret, struct err *e)
{
	const struct scheme *s = scheme_of(url);
	const char *host = s ? url + strlen(s->prefix) : "";
	size_t len = strcspn(host, "/?");
	char *authority;

	if (!s || !len || strlen(url) > URL_MAX || !is_clean(url) || memchr(host, '@', len)) {
		autofree char *shown = text_quote(url, 128);

		return err_set(e, -EINVAL, "%s is no address of a WebSocket", shown);
	}
	authority = lower(host, len);
	ret->tls = s->tls;
	ret->connect = xasprintf("%s://%s/", s->tls ? "https" : "http", authority);
	if (text_ends(authority, s->port))
		authority[strlen(authority) - strlen(s->port)] = '\0';
	ret->host = authority;
	ret->target = host[len] == '/' ? xstrdup(host + len) : xasprintf("/%s", host + len);
	return 0;
}

void
upgrade_url_done(struct upgrade_url *u)
{
	free(u->connect);
	free(u->host);
	free(u->target);
	memset(u, 0, sizeof(*u));
}

/* --------------------------------------------------------------- request */

void
upgrade_key(char ret[UPGRADE_KEY_SIZE])
{
	unsigned char raw[16];
	autofree char *text = NULL;

	rand_bytes(raw, sizeof(raw));
	text = text_base64(raw, sizeof(raw));
	memcpy(ret, text, UPGRADE_KEY_SIZE);
}

static bool
is_header(const char *line)
{
	size_t name = 0;

	while (is_token_char((unsigned char)line[name]))
		name++;
	return name > 0 && line[name] == ':' && !strpbrk(line, "\r\n");
}

int
upgrade_write(const struct upgrade_url *u, const char *key, const char *const *headers,
	      struct sbuf *out, struct err *e)
{
	(void)sbuf_addf(out,
			"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
			"Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
			"Sec-WebSocket-Version: 13\r\n",
			u->target, u->host, key);
	for (; headers && *headers; headers++) {
		if (!is_header(*headers))
			return err_set(e, -EINVAL, "a header of the upgrade is none");
		(void)sbuf_addf(out, "%s\r\n", *headers);
	}
	(void)sbuf_adds(out, "\r\n");
	return out->err ? err_set(e, out->err, "the upgrade's request is too large") : 0;
}

/* ---------------------------------------------------------------- answer */

/* Where the head ends, behind its empty line; 0: not yet. */
static size_t
head_length(const char *data, size_t len)
{
	const char *end = len >= 4 ? memmem(data, len, "\r\n\r\n", 4) : NULL;

	return end ? (size_t)(end - data) + 4 : 0;
}

/* "HTTP/1.1 101 ..." -> 101, or -EPROTO. Any 1.x will do. */
static int
status_of(const char *head)
{
	int status = 0;

	if (strncmp(head, "HTTP/1.", 7) != 0 || head[7] < '0' || head[7] > '9' || head[8] != ' ')
		return -EPROTO;
	for (size_t i = 9; i < 12; i++) {
		if (head[i] < '0' || head[i] > '9')
			return -EPROTO;
		status = status * 10 + head[i] - '0';
	}
	return head[12] == ' ' || head[12] == '\r' ? status : -EPROTO;
}

struct answer {
	unsigned accepts, upgrades, connections, offers;
	bool accepted, upgraded, connected;
};

/* A comma-separated list holds WORD, whatever its case. */
static bool
list_has(const struct span *list, const char *word)
{
	const char *p = list->p, *end = list->p + list->len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end, *last = stop;

		while (p < last && (*p == ' ' || *p == '\t'))
			p++;
		while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if ((size_t)(last - p) == strlen(word) && strncasecmp(p, word, strlen(word)) == 0)
			return true;
		p = stop + 1;
	}
	return false;
}

static bool
is_named(const char *line, size_t name_len, const char *name)
{
	return name_len == strlen(name) && strncasecmp(line, name, name_len) == 0;
}

static void
take_field(struct answer *a, const char *line, size_t name_len, const struct span *value,
	   const char *wanted)
{
	if (is_named(line, name_len, "Upgrade")) {
		a->upgrades++;
		a->upgraded = list_has(value, "websocket");
	} else if (is_named(line, name_len, "Connection")) {
		a->connections++;
		a->connected = a->connected || list_has(value, "upgrade");
	} else if (is_named(line, name_len, "Sec-WebSocket-Accept")) {
		a->accepts++;
		a->accepted = value->len == strlen(wanted) &&
			memcmp(value->p, wanted, value->len) == 0;
	} else if (is_named(line, name_len, "Sec-WebSocket-Extensions") ||
		   is_named(line, name_len, "Sec-WebSocket-Protocol")) {
		a->offers++;
	}
}

/* One line without its end; folded ones and those with control characters are refused. */
static int
read_field(struct answer *a, const char *line, size_t len, const char *wanted)
{
	size_t name = 0;
	struct span value;

	while (name < len && is_token_char((unsigned char)line[name]))
		name++;
	if (name == 0 || name == len || line[name] != ':')
		return -EPROTO;
	for (size_t i = name; i < len; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return -EPROTO;
	value = (struct span){ line + name + 1, len - name - 1 };
	while (value.len && (*value.p == ' ' || *value.p == '\t')) {
		value.p++;
		value.len--;
	}
	while (value.len && (value.p[value.len - 1] == ' ' || value.p[value.len - 1] == '\t'))
		value.len--;
	take_field(a, line, name, &value, wanted);
	return 0;
}

static int
read_fields(struct answer *a, const char *head, size_t len, const char *wanted)
{
	const char *line = (const char *)memmem(head, len, "\r\n", 2) + 2, *end = head + len - 2;

	for (unsigned n = 0; line < end; n++) {
		const char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

		if (n == FIELDS_MAX || read_field(a, line, (size_t)(stop - line), wanted) < 0)
			return -EPROTO;
		line = stop + 2;
	}
	return 0;
}

static char *
accept_of(const char *key)
{
	autofree char *text = xasprintf("%s" MAGIC, key);
	unsigned char digest[DIGEST_SHA1_SIZE];

	digest_sha1(text, strlen(text), digest);
	return text_base64(digest, sizeof(digest));
}

static int
check_answer(const struct answer *a, struct err *e)
{
	if (a->upgrades != 1 || !a->upgraded)
		return err_set(e, -EPROTO, "the answer to the upgrade lacks 'Upgrade: websocket'");
	if (!a->connected)
		return err_set(e, -EPROTO, "the answer to the upgrade lacks 'Connection: Upgrade'");
	if (a->accepts != 1 || !a->accepted)
		return err_set(e, -EPROTO, "the Sec-WebSocket-Accept of the answer does not belong "
					   "to our key: something between us and the service "
					   "answered in its place");
	if (a->offers)
		return err_set(e, -EPROTO, "the answer to the upgrade names an extension or a "
					   "protocol that was not asked for");
	return 0;
}

int
upgrade_read(const char *data, size_t len, const char *key, size_t *ret_used, int *ret_status,
	     struct err *e)
{
	size_t head = head_length(data, len < UPGRADE_ANSWER_MAX ? len : UPGRADE_ANSWER_MAX);
	size_t known = len < 7 ? len : 7;
	struct answer a = { 0 };
	autofree char *wanted = NULL;
	int status;

	if (memcmp(data, "HTTP/1.", known) != 0)
		return err_set(e, -EPROTO, "the answer to the upgrade is not HTTP");
	if (!head && len >= UPGRADE_ANSWER_MAX)
		return err_set(e, -E2BIG, "the head of the answer to the upgrade is longer than %u "
			       "bytes", UPGRADE_ANSWER_MAX);
	if (!head)
		return 1;
	status = status_of(data);
	wanted = accept_of(key);
	if (status < 0 || read_fields(&a, data, head, wanted) < 0)
		return err_set(e, -EPROTO, "the answer to the upgrade is not HTTP");
	*ret_status = status;
	if (status != 101)
		return err_set(e, status == 401 || status == 403 ? -EACCES : -EREMOTEIO,
			       "the upgrade was refused with status %d", status);
	*ret_used = head;
	return check_answer(&a, e);
}
