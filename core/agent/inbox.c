/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of offline commands. inotify tells of a file once it is whole; where there is none,
 * the folder is looked at as often as the reference agent does. */
#include "core/agent/inbox.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/agent/plugins.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define TOPIC "ssm.offlineCommand.local"
#define PREFIX "aws.ssm."
#define DOCUMENT_MAX (1u << 20)
#define FILES_MAX 1000u /* at one look */
#define NAME_SHOWN 200	/* bytes of a name that stay before the id */
#define ID_LEN (RAND_UUID_SIZE - 1)
#define LOOK_MS 2500
#define RECENT_MS (48 * 3600000LL) /* nobody waits for older ones */

enum folder {
	SUBMITTED,
	INVALID,
	COMPLETED,
	FOLDERS
};
static const char *const names[FOLDERS] = { "submitted", "invalid", "completed" };

struct inbox {
	struct event_base *base;
	char *path, *instance_id, *topic;
	int64_t max_age_ms;
	int dirfd, folders[FOLDERS], inotify;
	struct event *event, *timer;
	struct dispatch *dispatch;
	struct plugins *plugins;
	struct plugins_wait *wait;
	bool waiting, began;
};

/* ---------------------------------------------------------------- folders */

static int
open_folders(struct inbox *i, struct err *e)
{
	i->dirfd = fs_make_dirs(i->path, 0700, e);
	if (i->dirfd < 0)
		return i->dirfd;
	if (fs_check_trusted(i->dirfd, i->path, true, e) < 0)
		return e->code;
	for (size_t k = 0; k < FOLDERS; k++) {
		i->folders[k] = fs_make_dir(i->dirfd, names[k], 0700, e);
		if (i->folders[k] < 0)
			return i->folders[k];
	}
	return 0;
}

typedef void each_fn(struct inbox *i, enum folder f, const char *name);

static void
each_file(struct inbox *i, enum folder f, each_fn *fn)
{
	int fd = openat(i->folders[f], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			fn(i, f, entry->d_name);
	if (d)
		closedir(d);
}

static int64_t
age_ms(int dirfd, const char *name)
{
	struct stat st;

	/* When it was moved there, which is later than when it was written. */
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return clock_wall_ms() - (int64_t)st.st_ctim.tv_sec * 1000;
}

static void
remove_old(struct inbox *i, enum folder f, const char *name)
{
	if (age_ms(i->folders[f], name) > i->max_age_ms)
		(void)unlinkat(i->folders[f], name, 0);
}

static void
prune(struct inbox *i)
{
	for (size_t k = 0; k < FOLDERS; k++)
		each_file(i, (enum folder)k, remove_old);
}

/* ---------------------------------------------------------------- replies */

/* Full today, empty tomorrow. */
static int
write_reply(const struct inbox *i, const char *id, const char *text, size_t len)
{
	struct err e = { 0, "" };
	int r = fs_write_atomic(i->folders[COMPLETED], id, text, len, 0600, true, &e);

	if (r == -ENOSPC || r == -EDQUOT)
		return -EAGAIN;
	if (r < 0)
		log_warn("inbox", "%s", err_text(&e));
	return r;
}

static int
on_reply(void *arg, const char *job_id, bool final, const char *payload, size_t len)
{
	autofree char *id = NULL;

	(void) final;
	if (!text_starts(job_id, PREFIX) || strlen(job_id) < strlen(PREFIX) + ID_LEN)
		return -EINVAL;
	id = xstrndup(job_id + strlen(PREFIX), ID_LEN);
	return write_reply(arg, id, payload, len);
}

struct dispatch_local
inbox_local(struct inbox *i)
{
	return (struct dispatch_local){ on_reply, NULL, i };
}

/* It could not even become a job. */
static void
refuse(const struct inbox *i, const char *id, const char *why)
{
	autojson json_t *reply = json_pack("{s:s,s:s,s:n}", "documentStatus", "Failed",
					   "documentTraceOutput", why, "runtimeStatus");
	autofree char *text = json_text(reply);

	log_warn("inbox", "command '%s' is refused: %s", id, why);
	(void)write_reply(i, id, text, strlen(text));
}

/* ---------------------------------------------------------------- commands */

static json_t *
message(const struct inbox *i, const char *id, const char *name, const char *document)
{
	autosbuf struct sbuf b = SBUF_INIT(2 * DOCUMENT_MAX);
	autofree char *message_id = xasprintf(PREFIX "%s.%s", id, i->instance_id);
	char now[TEXT_STAMP_SIZE];

	text_iso8601_ms(clock_wall_ms(), now);
	(void)sbuf_addf(&b, "{\"CommandId\":\"%s\",\"DocumentName\":", id);
	(void)json_add_string_go(&b, name, strlen(name));
	(void)sbuf_addf(&b, ",\"DocumentContent\":%s,\"Parameters\":{}}", document);
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "MessageId", message_id, "Topic", i->topic,
			 "Destination", i->instance_id, "CreatedDate", now, "Payload",
			 sbuf_str(&b));
}

static void
submit(struct inbox *i, const char *id, const char *name, const char *document)
{
	autojson json_t *m = message(i, id, name, document);
	struct err e = { 0, "" };

	if (!m)
		refuse(i, id, "the document is not UTF-8");
	else if (dispatch_take_local(i->dispatch, m, NULL, &e) < 0)
		refuse(i, id, err_text(&e));
}

/* The document, or NULL with the reason. */
static char *
read_document(int dirfd, const char *name, struct err *e)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autojson json_t *v = NULL;
	autofree char *text = NULL;
	size_t len = 0;

	if (fd < 0)
		err_set(e, -errno, "it cannot be opened: %m");
	if (fd < 0 || fs_check_trusted(fd, name, false, e) < 0 ||
	    fs_read_fd(fd, name, DOCUMENT_MAX, &text, &len, e) < 0)
		return NULL;
	v = json_parse(text, len, "it", e);
	if (v && !json_is_object(v))
		err_set(e, -EINVAL, "it is JSON, but no object");
	return json_is_object(v) ? TAKE(text) : NULL;
}

/* Moved before anything of it runs: what cannot be moved would run again and again. */
static bool
move(struct inbox *i, const char *name, enum folder to, const char *id, char **ret)
{
	char *moved = xasprintf("%.*s.%s", NAME_SHOWN, name, id);

	*ret = moved;
	if (renameat(i->dirfd, name, i->folders[to], moved) == 0) {
		(void)fsync(i->folders[to]);
		return true;
	}
	log_error("inbox", "'%s/%s' cannot be moved and is removed: %m", i->path, name);
	(void)unlinkat(i->dirfd, name, 0);
	return false;
}

static void
take_file(struct inbox *i, const char *name)
{
	struct err e = { 0, "" };
	autofree char *document = read_document(i->dirfd, name, &e), *moved = NULL;
	autofree char *shown = text_quote(name, 100);
	char id[RAND_UUID_SIZE];

	if (!document && err_may_pass(e.code))
		return;
	rand_uuid4(id);
	if (!move(i, name, document ? SUBMITTED : INVALID, id, &moved))
		return;
	if (document) {
		log_info("inbox", "%s is command '%s'", shown, id);
		submit(i, id, name, document);
	} else {
		log_warn("inbox", "%s is no document: %s", shown, err_text(&e));
	}
}

/* The id that a moved file has at its end, or NULL. */
static const char *
id_of(const char *name)
{
	size_t len = strlen(name);
	const char *id = len > ID_LEN + 1 ? name + len - ID_LEN : NULL;

	return id && id[-1] == '.' && strspn(id, "0123456789abcdef-") == ID_LEN ? id : NULL;
}

static bool
is_completed(const struct inbox *i, const char *id)
{
	return faccessat(i->folders[COMPLETED], id, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Between the move and the record of the job an agent before us came to its end. */
static void
take_again(struct inbox *i, enum folder f, const char *name)
{
	const char *id = id_of(name);
	autofree char *message_id = xasprintf(PREFIX "%s.%s", id ? id : "", i->instance_id);
	autofree char *document = NULL, *first = NULL;

	if (!id || is_completed(i, id) || dispatch_knows(i->dispatch, message_id) ||
	    age_ms(i->folders[f], name) > RECENT_MS)
		return;
	document = read_document(i->folders[f], name, NULL);
	first = xstrndup(name, (size_t)(id - 1 - name));
	if (document)
		submit(i, id, first, document);
}

/* ------------------------------------------------------------------- looks */

/* Names first: taking a file changes the folder. */
static char **
list_files(const struct inbox *i)
{
	int fd = openat(i->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat st;
	char **list = NULL;
	size_t n = 0;

	while (d && n < FILES_MAX && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' ||
		    fstatat(i->dirfd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    S_ISDIR(st.st_mode))
			continue;
		strv_add(&list, entry->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return list;
}

static void
take_files(void *arg)
{
	struct inbox *i = arg;
	autostrv char **list = list_files(i);

	i->wait = NULL;
	i->waiting = false;
	if (!i->began)
		each_file(i, SUBMITTED, take_again);
	i->began = true;
	for (char **name = list; name && *name; name++)
		take_file(i, *name);
	prune(i);
	/* The rest of very many at the next turn. */
	if (strv_len(list) == FILES_MAX)
		event_active(i->timer, EV_TIMEOUT, 0);
}

/* The table of plugins must be fresh, as for any new job. */
void
inbox_look(struct inbox *i)
{
	autostrv char **list = NULL;
	struct plugins_wait *w;

	if (!i || !i->dispatch || i->waiting)
		return;
	list = list_files(i);
	if (!list && i->began)
		return;
	i->waiting = true;
	w = plugins_refresh(i->plugins, take_files, i);
	if (i->waiting)
		i->wait = w;
}

static void
on_inotify(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[4096];

	(void)what;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	inbox_look(arg);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct inbox *i = arg;
	struct timeval tv;

	(void)fd;
	(void)what;
	if (i->inotify < 0) {
		clock_timeval(LOOK_MS, &tv);
		(void)event_add(i->timer, &tv);
	}
	inbox_look(i);
}

static void
watch(struct inbox *i)
{
	i->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (i->inotify >= 0 &&
	    inotify_add_watch(i->inotify, i->path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0)
		mem_cleanup_fd(&i->inotify);
	if (i->inotify < 0) {
		event_active(i->timer, EV_TIMEOUT, 0);
		return;
	}
	i->event = event_new(i->base, i->inotify, EV_READ | EV_PERSIST, on_inotify, i);
	(void)event_add(i->event, NULL);
}

void
inbox_begin(struct inbox *i, struct dispatch *d, struct plugins *p)
{
	i->dispatch = d;
	i->plugins = p;
	watch(i);
	inbox_look(i);
}

struct inbox *
inbox_new(const struct inbox_options *o, struct err *e)
{
	struct inbox *i = xcalloc(1, sizeof(*i));

	i->base = o->base;
	i->path = xasprintf("%s/" INBOX_FOLDER, o->state_path);
	i->instance_id = xstrdup(o->instance_id);
	i->topic = xstrdup(o->topic ? o->topic : TOPIC);
	i->max_age_ms = o->max_age_ms;
	i->dirfd = i->inotify = -1;
	for (size_t k = 0; k < FOLDERS; k++)
		i->folders[k] = -1;
	i->timer = evtimer_new(o->base, on_timer, i);
	return open_folders(i, e) < 0 ? inbox_free(i) : i;
}

struct inbox *
inbox_free(struct inbox *i)
{
	if (!i)
		return NULL;
	plugins_wait_cancel(i->wait);
	if (i->event)
		event_free(i->event);
	event_free(i->timer);
	mem_cleanup_fd(&i->inotify);
	mem_cleanup_fd(&i->dirfd);
	for (size_t k = 0; k < FOLDERS; k++)
		mem_cleanup_fd(&i->folders[k]);
	free(i->path);
	free(i->instance_id);
	free(i->topic);
	free(i);
	return NULL;
}
