/* SPDX-License-Identifier: Apache-2.0 */
/* A log into S3: where the bucket is, how it encrypts, the object.
 *
 * An object is encrypted as its bucket says; where that cannot be asked the bucket decides alone.
 */
#include "plugins/sessionManager/s3log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "plugins/sessionManager/answer.h"
#include "plugins/sessionManager/later.h"
#include "plugins/sessionManager/logfile.h"
#include "plugins/sessionManager/xml.h"

#define RETRY_MS 500 /* doubled each time */
#define PUT_MS 60000
#define NO_ENCRYPTION                                                                          \
	CANNOT_AS "encryption is not set up on the selected "                                  \
		  "Amazon S3 bucket. Either encrypt the bucket or choose an option to enable " \
		  "logging "                                                                   \
		  "without encryption."
#define NOT_VALIDATED                                                    \
	CANNOT_BECAUSE "we are unable to validate encryption on Amazon " \
		       "S3 bucket. Error: %s"

struct s3log {
	const struct logsink *sink;
	char *bucket, *key;
	char *region;	     /* NULL: the node's */
	char *sse, *kms_key; /* NULL: it was not said */
	void *arg;
	logsink_fn *done;
	unsigned tries;
	const char *why; /* no transfer could be started */
	int64_t wait_ms;
	struct ssm_watch *asked, *retry;
};

/* Empty parts and "." go, ".." takes the one before away. */
static char *
join(const char *prefix, const char *name)
{
	autofree char *whole = xasprintf("%s/%s", prefix, name);
	autostrv char **parts = strv_split(whole, "/"), **kept = NULL;
	autofree char *path = NULL;

	for (char **p = parts; p && *p; p++) {
		size_t n = strv_len(kept);

		if (strcmp(*p, "..") == 0 && n > 0) {
			free(kept[n - 1]);
			kept[n - 1] = NULL;
		} else if (**p && strcmp(*p, ".") != 0 && strcmp(*p, "..") != 0) {
			strv_add(&kept, *p);
		}
	}
	path = strv_join(kept, "/");
	return xasprintf("%s%s", *prefix == '/' ? "/" : "", path);
}

/* Of the file's name, not of the prefix. */
static char *
name_of(const char *session)
{
	char *name = xasprintf("%s.log", session), *to = name;

	for (const char *from = name; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return name;
}

struct s3log *
s3log_new(const struct logsink *sink, const char *bucket, const char *prefix, void *arg)
{
	struct s3log *l = xcalloc(1, sizeof(*l));
	autofree char *name = name_of(sink->session);

	l->sink = sink;
	l->bucket = xstrdup(bucket);
	l->key = join(prefix, name);
	l->arg = arg;
	return l;
}

struct s3log *
s3log_free(struct s3log *l)
{
	if (!l)
		return NULL;
	later_never(l->sink->S, &l->asked);
	later_never(l->sink->S, &l->retry);
	free(l->bucket);
	free(l->key);
	free(l->region);
	free(l->sse);
	free(l->kms_key);
	free(l);
	return NULL;
}

const char *
s3log_key(const struct s3log *l)
{
	return l->key;
}

static void
finish(struct s3log *l, const char *failure)
{
	logsink_fn *done = TAKE(l->done);

	if (done)
		done(l->arg, failure);
}

/* ------------------------------------------------------------------- checks */

static void
not_validated(struct s3log *l, const char *why)
{
	autofree char *text = xasprintf(l->sink->encrypted ? NOT_VALIDATED : "%s", why);

	finish(l, text);
}

static int32_t
on_nobody(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct s3log *l = arg;

	(void)S;
	(void)w;
	l->retry = NULL;
	not_validated(l, NOBODY);
	return 0;
}

/* "/bucket/key", as a URL has it. Caller frees. */
static char *
path_of(const struct s3log *l, const char *key, const char *query)
{
	autofree char *bucket = text_percent(l->bucket, strlen(l->bucket), "");
	autofree char *name = text_percent(key, strlen(key), "/");

	return xasprintf("/%s%s%s%s", bucket, *key ? "/" : "", name, query);
}

static void
ask(struct s3log *l, const char *method, const char *query, ssm_done_fn *fn)
{
	autofree char *path = path_of(l, "", query);
	const struct ssm_request q = { .size = sizeof(q),
				       .service = "s3",
				       .method = method,
				       .path = path,
				       .region = l->region,
				       .timeout_ms = LOGSINK_CALL_MS };

	if (l->sink->S->api->call_start(l->sink->S, &q, fn, l, &l->asked) < 0)
		later(l->sink->S, &l->retry, on_nobody, l, 0);
}

static bool
has_no_encryption(const struct ssm_reply *r)
{
	return r && r->error &&
		strcmp(r->error, "ServerSideEncryptionConfigurationNotFoundError") == 0;
}

static void
take_encryption(struct s3log *l, const struct ssm_reply *r)
{
	const char *xml = r->body ? r->body : "";
	size_t len = r->body ? r->body_len : 0;

	free(l->sse);
	free(l->kms_key);
	l->sse = xml_text(xml, len, "SSEAlgorithm", XML_ANYWHERE);
	l->kms_key = xml_text(xml, len, "KMSMasterKeyID", XML_ANYWHERE);
	if (l->sse && strcmp(l->sse, "AES256") != 0 && strcmp(l->sse, "aws:kms") != 0)
		free(TAKE(l->sse));
}

static void
on_encryption(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct s3log *l = arg;
	autofree char *why = NULL;

	(void)S;
	l->asked = NULL;
	if (answer_is_good(result, r))
		take_encryption(l, r);
	else if (l->sink->encrypted && !has_no_encryption(r))
		why = answer_reason(result, r);
	if (why)
		not_validated(l, why);
	else
		finish(l, l->sink->encrypted && !l->sse ? NO_ENCRYPTION : NULL);
}

/* A bucket that is elsewhere, or that may not be looked at, says where it is all the same. */
static void
on_head(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct s3log *l = arg;
	autofree char *why = NULL;

	(void)S;
	l->asked = NULL;
	free(l->region);
	l->region = r ? answer_header(r, "x-amz-bucket-region") : NULL;
	if (result >= 0 && r->status != 404) {
		ask(l, "GET", "?encryption", on_encryption);
		return;
	}
	why = result < 0 ? answer_reason(result, r)
			 : xstrdup("NoSuchBucket: The specified bucket does not exist");
	not_validated(l, why);
}

void
s3log_check(struct s3log *l, logsink_fn *done)
{
	l->done = done;
	ask(l, "HEAD", "", on_head);
}

/* -------------------------------------------------------------------- upload */

static void put(struct s3log *l);

static int32_t
on_no_transfer(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct s3log *l = arg;

	(void)S;
	(void)w;
	l->retry = NULL;
	finish(l, l->why);
	return 0;
}

static int32_t
on_retry(struct ssm *S, struct ssm_watch *w, void *arg)
{
	struct s3log *l = arg;

	(void)S;
	(void)w;
	l->retry = NULL;
	put(l);
	return 0;
}

/* A refusal will not change, but for those that ask for patience. */
static bool
may_pass(int32_t result, const struct ssm_reply *r)
{
	if (result < 0 && result != -EREMOTEIO)
		return result != -EACCES && result != -EINVAL;
	return !r || r->status == 0 || r->status >= 500 || r->status == 429;
}

static void
on_put(struct ssm *S, int32_t result, const struct ssm_reply *r, void *arg)
{
	struct s3log *l = arg;
	autofree char *why = NULL;

	(void)S;
	l->asked = NULL;
	if (result >= 0) {
		finish(l, NULL);
		return;
	}
	why = answer_reason(result, r);
	if (--l->tries > 0 && may_pass(result, r)) {
		later(S, &l->retry, on_retry, l, l->wait_ms);
		l->wait_ms *= 2;
		return;
	}
	finish(l, why);
}

static char **
headers_of(const struct s3log *l)
{
	char **h = NULL;

	strv_add(&h, "Content-Type: text/plain");
	strv_add(&h, "x-amz-acl: bucket-owner-full-control");
	if (l->sse)
		strv_addf(&h, "x-amz-server-side-encryption: %s", l->sse);
	if (l->sse && strcmp(l->sse, "aws:kms") == 0 && l->kms_key && *l->kms_key)
		strv_addf(&h, "x-amz-server-side-encryption-aws-kms-key-id: %s", l->kms_key);
	return h;
}

static void
put(struct s3log *l)
{
	autofree char *path = path_of(l, l->key, "");
	autostrv char **headers = headers_of(l);
	autoclose int fd = logfile_reader(l->sink->file);
	const struct ssm_transfer t = { .size = sizeof(t),
					.flags = SSM_T_UPLOAD | SSM_T_SIGN,
					.url = path,
					.fd = fd,
					.timeout_ms = PUT_MS,
					.headers = (const char *const *)headers };

	if (fd >= 0 && l->sink->S->api->transfer_start(l->sink->S, &t, on_put, l, &l->asked) >= 0)
		return;
	l->why = fd < 0 ? strerror(-fd) : NOBODY;
	later(l->sink->S, &l->retry, on_no_transfer, l, 0);
}

void
s3log_put(struct s3log *l, unsigned tries, logsink_fn *done)
{
	l->done = done;
	l->tries = tries;
	l->wait_ms = RETRY_MS;
	put(l);
}
