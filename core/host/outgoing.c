/* SPDX-License-Identifier: Apache-2.0 */
/* Replies, ends, values: kept here until the agent says "stored", and in result.json while it is
 * away. Numbers are given in order and stored in order, so two of them tell what is where. */
#include "core/host/outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/ipc/ipc.h"

#define RESULT_FILE "result.json"

struct kept {
	struct list link;
	int64_t seq;
	json_t *json;
	char *body;
	size_t len;
	bool stored, watched; /* watched: somebody holds a pointer to "stored" */
};

struct outgoing {
	char *folder;
	struct list unstored, stored; /* stored: the watched ones */
	int64_t next, saved;	      /* saved: last one in result.json */
	int64_t resent;		      /* last one that was sent a second time */
	bool file;
};

struct outgoing *
outgoing_new(void)
{
	struct outgoing *o = xcalloc(1, sizeof(*o));

	o->next = 1;
	list_init(&o->unstored);
	list_init(&o->stored);
	return o;
}

static void
kept_free(struct kept *k)
{
	list_remove(&k->link);
	json_decref(k->json);
	free(k->body);
	free(k);
}

struct outgoing *
outgoing_free(struct outgoing *o)
{
	if (!o)
		return NULL;
	list_each (it, tmp, &o->unstored)
		kept_free(list_entry(it, struct kept, link));
	list_each (it, tmp, &o->stored)
		kept_free(list_entry(it, struct kept, link));
	free(o->folder);
	free(o);
	return NULL;
}

void
outgoing_set_folder(struct outgoing *o, const char *path)
{
	free(o->folder);
	o->folder = xstrdup(path);
}

static json_t *
record(const struct kept *k)
{
	json_t *one = json_copy(k->json), *text;

	if (!k->body)
		return one;
	text = json_stringn(k->body, k->len);
	if (text) {
		json_object_set_new(one, "body", text);
	} else {
		autofree char *base64 = text_base64(k->body, k->len);

		json_object_set_new(one, "base64", json_string(base64));
	}
	return one;
}

static int
write_file(const struct outgoing *o)
{
	autojson json_t *all = json_array();
	autofree char *text = NULL;
	autoclose int dir = open(o->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return -errno;
	list_each (it, tmp, (struct list *)&o->unstored)
		json_array_append_new(all, record(list_entry(it, struct kept, link)));
	text = json_text(all);
	return fs_write_atomic(dir, RESULT_FILE, text, strlen(text), 0600, true, NULL);
}

void
outgoing_let_go(struct outgoing *o)
{
	list_each (it, tmp, &o->unstored) {
		struct kept *k = list_entry(it, struct kept, link);

		k->stored = true;
		o->saved = k->seq;
	}
}

int
outgoing_save(struct outgoing *o)
{
	int r = list_empty(&o->unstored) || !o->folder ? 0 : write_file(o);

	if (r < 0 || list_empty(&o->unstored) || !o->folder)
		return r;
	o->file = true;
	outgoing_let_go(o);
	return 0;
}

static void
remove_file(struct outgoing *o)
{
	autofree char *path = xasprintf("%s/" RESULT_FILE, o->folder);

	unlink(path);
	o->file = false;
}

int
outgoing_add(struct outgoing *o, struct ipc *c, json_t *json, const void *body, size_t len,
	     const bool **ret_stored, int64_t *ret_seq)
{
	struct kept *k;
	int r = 0;

	json_object_set_new(json, "seq", json_integer(o->next));
	if (c)
		r = ipc_send(c, json_copy(json), body, len, NULL, 0);
	else if (len > IPC_BODY_MAX)
		r = -E2BIG;
	/* Any other failure means that the agent is gone, which the connection is about to tell. */
	if (r == -E2BIG)
		return r;
	k = xcalloc(1, sizeof(*k));
	k->seq = o->next++;
	k->json = json_incref(json);
	k->body = body ? xmemdup(body, len) : NULL;
	k->len = len;
	k->watched = ret_stored != NULL;
	list_append(&o->unstored, &k->link);
	if (ret_stored)
		*ret_stored = &k->stored;
	if (ret_seq)
		*ret_seq = k->seq;
	if (!c)
		(void)outgoing_save(o);
	return 0;
}

static void
settle(struct outgoing *o, struct kept *k)
{
	k->stored = true;
	if (!k->watched) {
		kept_free(k);
		return;
	}
	list_remove(&k->link);
	list_append(&o->stored, &k->link);
	free(TAKE(k->body));
	k->json = (json_decref(k->json), NULL);
}

static void
settle_range(struct outgoing *o, int64_t from, int64_t to)
{
	list_each (it, tmp, &o->unstored) {
		struct kept *k = list_entry(it, struct kept, link);

		if (k->seq >= from && k->seq <= to)
			settle(o, k);
	}
	if (o->file && list_empty(&o->unstored))
		remove_file(o);
}

void
outgoing_stored(struct outgoing *o, int64_t seq)
{
	settle_range(o, seq, seq);
}

void
outgoing_stored_up_to(struct outgoing *o, int64_t seq)
{
	settle_range(o, 0, seq);
}

bool
outgoing_has_stored(const struct outgoing *o, int64_t seq)
{
	if (seq <= o->saved)
		return true;
	for (const struct list *it = o->unstored.next; it != &o->unstored; it = it->next)
		if (list_entry(it, struct kept, link)->seq == seq)
			return false;
	return seq < o->next;
}

bool
outgoing_was_resent(const struct outgoing *o, int64_t seq)
{
	return seq <= o->resent;
}

size_t
outgoing_unstored(const struct outgoing *o)
{
	size_t n = 0;

	for (const struct list *it = o->unstored.next; it != &o->unstored; it = it->next)
		n += !list_entry(it, struct kept, link)->stored;
	return n;
}

void
outgoing_resend(struct outgoing *o, struct ipc *c)
{
	list_each (it, tmp, &o->unstored) {
		struct kept *k = list_entry(it, struct kept, link);

		o->resent = k->seq;
		ipc_send(c, json_copy(k->json), k->body, k->len, NULL, 0);
	}
}
