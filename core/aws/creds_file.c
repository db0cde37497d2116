/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of the shared file. spec/04 section 3.3; read anew at each start, so that a corrected
 * file is taken up without a restart. */
#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/aws/creds.h"
#include "core/aws/creds_source.h"
#include "core/base/ini.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define FILE_MAX (1024 * 1024)

struct profile {
	const char *name;
	bool found;
	char *access_key, *secret_key, *token;
	char *bad; /* first bad line */
	unsigned bad_count;
};

static void
reset(struct profile *p)
{
	free(p->access_key);
	secret_free(p->secret_key);
	secret_free(p->token);
	p->access_key = p->secret_key = p->token = NULL;
}

static void
profile_done(struct profile *p)
{
	reset(p);
	free(p->bad);
}

static void
set_value(char **where, const char *value)
{
	secret_free(*where);
	*where = xstrdup(value);
}

/* A later section of the same name replaces the earlier one; an empty value is no value. */
static int
on_item(void *arg, const struct ini_item *item, struct err *e)
{
	struct profile *p = arg;

	(void)e;
	if (strcmp(item->section, p->name) != 0)
		return 0;
	if (!item->key) {
		p->found = true;
		reset(p);
	} else if (!p->found || *item->value == '\0') {
		return 0;
	} else if (strcmp(item->key, "aws_access_key_id") == 0) {
		set_value(&p->access_key, item->value);
	} else if (strcmp(item->key, "aws_secret_access_key") == 0) {
		set_value(&p->secret_key, item->value);
	} else if (strcmp(item->key, "aws_session_token") == 0) {
		set_value(&p->token, item->value);
	}
	return 0;
}

static void
on_bad(void *arg, const char *text)
{
	struct profile *p = arg;

	if (p->bad_count++ == 0)
		p->bad = xstrdup(text);
}

/* The bad lines as one text, or NULL. */
static char *
bad_text(const struct profile *p)
{
	if (p->bad_count == 0)
		return NULL;
	if (p->bad_count == 1)
		return xstrdup(p->bad);
	return xasprintf("%s (and more bad lines)", p->bad);
}

static struct creds *
take_profile(const struct profile *p, const char *path, struct err *e)
{
	autofree char *name = text_quote(p->name, 100);
	autofree char *file = text_quote(path, 256);
	autofree char *what = xasprintf("profile %s of %s", name, file);

	if (!p->found) {
		err_set(e, -ENOKEY, "there is no profile %s in %s", name, file);
		return NULL;
	}
	if (!p->access_key || !p->secret_key) {
		err_set(e, -ENOKEY, "%s has no %s", what,
			p->access_key ? "aws_secret_access_key" : "aws_access_key_id");
		return NULL;
	}
	return creds_source_make(p->access_key, p->secret_key, p->token, 0, "shared-file", what, e);
}

struct creds *
creds_source_profile(const char *file, const char *text, size_t len, const char *name,
		     char **ret_bad, struct err *e)
{
	struct profile p = {.name = name};
	struct creds *set = NULL;

	if (ini_parse(INI_PROFILE, file, text, len, on_item, on_bad, &p, e) >= 0) {
		set = take_profile(&p, file, e);
		*ret_bad = bad_text(&p);
	}
	profile_done(&p);
	return set;
}

static struct creds *
load(const char *path, const char *name, char **ret_bad, struct err *e)
{
	autosecret char *text = NULL;
	struct creds *set;
	size_t len;

	if (creds_source_read(path, FILE_MAX, &text, &len, e) < 0)
		return NULL;
	set = creds_source_profile(path, text, len, name, ret_bad, e);
	wipe(text, len);
	return set;
}

/* The home of our own uid; the environment may be that of whoever called sudo. */
static char *
home_of_uid(void)
{
	struct passwd entry, *found = NULL;
	size_t size = 16384;
	autofree char *buf = xmalloc(size);

	if (getpwuid_r(geteuid(), &entry, buf, size, &found) != 0 || !found || !*entry.pw_dir)
		return NULL;
	return xstrdup(entry.pw_dir);
}

/* NULL: there is no home. */
static char *
find_path(const char *home_override)
{
	const char *named = creds_source_env("AWS_SHARED_CREDENTIALS_FILE");
	autofree char *home = NULL;

	if (named)
		return xstrdup(named);
	home = home_override ? xstrdup(home_override) : home_of_uid();
	return home ? xasprintf("%s/.aws/credentials", home) : NULL;
}

static void *
file_start(void *ctx, creds_provider_done_fn *done, void *arg)
{
	const char *profile = creds_source_env("AWS_PROFILE");
	autofree char *path = find_path(ctx);
	autofree char *bad = NULL;
	autofree char *why = NULL;
	struct creds *set;
	struct err e = {0};

	if (!path) {
		done(arg, NULL,
		     "not configured (no AWS_SHARED_CREDENTIALS_FILE, and our user has "
		     "no home folder)");
		return NULL;
	}
	set = load(path, profile ? profile : "default", &bad, &e);
	if (set)
		why = TAKE(bad);
	else if (e.code == -ENOENT)
		why = xasprintf("not configured ('%s' does not exist)", path);
	else if (bad)
		why = xasprintf("%s; %s", err_text(&e), bad);
	else
		why = xstrdup(err_text(&e));
	done(arg, set, why);
	return NULL;
}

struct creds_provider
creds_file_provider(const char *home_override)
{
	return (struct creds_provider){
		.name = "shared-file",
		.start = file_start,
		.free = free,
		.ctx = xstrdup(home_override),
	};
}
