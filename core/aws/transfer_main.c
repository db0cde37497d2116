/* SPDX-License-Identifier: Apache-2.0 */
/* The --transfer process: one request between a URL and a descriptor. It holds no credentials, and
 * it may block on the descriptor: whoever started it ends it when its time is over. */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/aws/call.h"
#include "core/aws/call_error.h"
#include "core/aws/transfer.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/net/http.h"

#define CONTROL_FD 3
#define BODY_FD 4
#define REQUEST_MAX (256u * 1024u)
#define CA_MAX (4u * 1024u * 1024u)
#define ERROR_MAX (64u * 1024u)
#define PROGRESS_MS 500
#define NOBODY 65534
#define TIMEOUT_MS (3600 * 1000)
#define BYTES_MAX (1LL << 30)

struct job {
	json_t *request;
	char **headers;
	bool upload;
	int64_t max_bytes, bytes, told_ms;
	int64_t to_send;
	off_t start; /* of an upload in its file, -1 when it is none */
	struct digest *digest;
	struct sbuf error_body;
	char *ca_pem;
	json_t *result;
	struct event_base *base;
};

static void
job_done(struct job *j)
{
	char unused[DIGEST_SHA256_HEX_SIZE];

	json_decref(j->request);
	json_decref(j->result);
	strv_free(j->headers);
	sbuf_done(&j->error_body);
	free(j->ca_pem);
	if (j->digest)
		digest_finish_hex(j->digest, unused);
}

static int
write_line(const json_t *v)
{
	autofree char *text = json_text(v);
	autofree char *line = xasprintf("%s\n", text);

	return fs_write_all(CONTROL_FD, line, strlen(line));
}

/* The starter has gone when nobody reads this. */
static int
tell_progress(struct job *j)
{
	autojson json_t *v = NULL;
	int64_t now = clock_mono_ms();

	if (now - j->told_ms < PROGRESS_MS)
		return 0;
	j->told_ms = now;
	v = json_pack("{s:I}", "progress", (json_int_t)j->bytes);
	return write_line(v);
}

static void
set_result(struct job *j, int code, const char *error)
{
	json_object_set_new(j->result, "code", json_integer(code));
	json_object_set_new(j->result, "error", json_string(error));
}

/* ---- the body ---- */

static int
wait_for(short what)
{
	struct pollfd p = { .fd = BODY_FD, .events = what };
	int n = poll(&p, 1, -1);

	return n < 0 && errno != EINTR ? -errno : 0;
}

static int
write_body(const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(BODY_FD, p, len);
		int r = 0;

		if (n >= 0) {
			p += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			r = wait_for(POLLOUT);
		} else if (errno != EINTR) {
			r = -errno;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int
count(struct job *j, const void *data, size_t len)
{
	j->bytes += (int64_t)len;
	if (j->bytes > j->max_bytes)
		return -EFBIG;
	digest_add(j->digest, data, len);
	return tell_progress(j);
}

/* What is no success is not the file that was asked for: kept aside for its error code. */
static int
on_data(void *arg, int status, const void *data, size_t len)
{
	struct job *j = arg;
	int r;

	if (status < 200 || status > 299) {
		size_t room = ERROR_MAX - j->error_body.len;

		sbuf_add(&j->error_body, data, len < room ? len : room);
		return 0;
	}
	if (j->upload)
		return 0;
	r = count(j, data, len);
	return r < 0 ? r : write_body(data, len);
}

static ssize_t
on_wanted(void *arg, void *buf, size_t len)
{
	struct job *j = arg;
	ssize_t n;
	int r = 0;

	do {
		n = read(BODY_FD, buf, len);
		if (n < 0 && errno == EAGAIN)
			r = wait_for(POLLIN);
	} while (r == 0 && n < 0 && (errno == EINTR || errno == EAGAIN));
	if (r < 0 || n < 0)
		return r < 0 ? r : -errno;
	if (n == 0 && j->bytes < j->to_send)
		return -ENODATA; /* shorter than announced: the server would wait for the rest */
	if (n > 0)
		r = count(j, buf, (size_t)n);
	return r < 0 ? r : n;
}

/* ---- the result ---- */

static void
service_error(struct job *j, const struct http_response *r)
{
	struct http_response with_body = *r;
	struct call_error e;
	const char *region = http_header(r, "x-amz-bucket-region");
	autofree char *text = NULL;

	with_body.body = sbuf_str(&j->error_body);
	with_body.body_len = j->error_body.len;
	call_error_read(&with_body, NULL, &e);
	text = xasprintf("status %d%s%s%s%s", r->status, e.code[0] ? " " : "", e.code,
			 e.message ? ": " : "", e.message ? e.message : "");
	set_result(j, -EREMOTEIO, text);
	if (e.code[0])
		json_object_set_new(j->result, "service_code", json_string(e.code));
	if (region)
		json_object_set_new(j->result, "region", json_string(region));
	call_error_done(&e);
}

static void
check_content(struct job *j)
{
	char hex[DIGEST_SHA256_HEX_SIZE];
	const char *want = json_str(j->request, "sha256", "");
	int64_t size = json_int(j->request, "size", -1);
	autofree char *text = NULL;

	digest_finish_hex(TAKE(j->digest), hex);
	json_object_set_new(j->result, "sha256", json_string(hex));
	if (size >= 0 && size != j->bytes) {
		text = xasprintf("%" PRId64 " bytes came, %" PRId64 " were expected", j->bytes,
				 size);
		set_result(j, -EBADMSG, text);
	} else if (want[0] && strcasecmp(want, hex) != 0) {
		text = xasprintf("the SHA-256 is %s, expected was %.64s", hex, want);
		set_result(j, -EBADMSG, text);
	}
}

static void
on_done(void *arg, int result, const char *text, const struct http_response *r)
{
	struct job *j = arg;

	json_object_set_new(j->result, "status", json_integer(r->status));
	if (result == -EFBIG) {
		autofree char *limit =
			xasprintf("more than the allowed %" PRId64 " bytes", j->max_bytes);

		set_result(j, result, limit);
	} else if (result < 0) {
		set_result(j, result, text);
	} else if (r->status < 200 || r->status > 299) {
		service_error(j, r);
	} else {
		check_content(j);
	}
	json_object_set_new(j->result, "bytes", json_integer(j->bytes));
	event_base_loopbreak(j->base);
}

/* ---- the start ---- */

static int
read_request(struct job *j, struct err *e)
{
	autosbuf struct sbuf b = SBUF_INIT(REQUEST_MAX);
	ssize_t n;
	const json_t *line;
	size_t i;

	do
		n = sbuf_read(&b, CONTROL_FD, 16384);
	while (n > 0 || n == -EINTR);
	if (n < 0)
		return err_set(e, (int)n, "the request for a transfer cannot be read");
	j->request = json_parse(sbuf_str(&b), b.len, "the request for a transfer", e);
	if (!j->request)
		return e->code;
	json_array_foreach(json_object_get(j->request, "headers"), i, line)
		strv_add(&j->headers, json_is_string(line) ? json_string_value(line) : "");
	j->upload = json_bool(j->request, "upload", false);
	j->max_bytes = json_int(j->request, "max_bytes", 0);
	if (j->max_bytes <= 0)
		j->max_bytes = BYTES_MAX;
	return 0;
}

/* Read while we still may. */
static int
read_ca(struct job *j, struct err *e)
{
	const char *file = json_str(j->request, "ca_file", "");

	if (!file[0])
		file = secure_getenv("AWS_CA_BUNDLE");
	if (!file || !file[0])
		return 0;
	return fs_read(AT_FDCWD, file, CA_MAX, &j->ca_pem, NULL, e);
}

static int
drop_privileges(const struct job *j, struct err *e)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (geteuid() == 0 && !json_bool(j->request, "keep_user", false) &&
	    (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return err_set(e, -errno, "the transfer cannot give up root's rights: %m");
	/* After the change of user, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return 0;
}

/* The length of what is sent, or -errno. */
static int64_t
upload_length(struct job *j, struct err *e)
{
	struct stat st;

	j->start = lseek(BODY_FD, 0, SEEK_CUR);
	if (fstat(BODY_FD, &st) < 0)
		return err_set(e, -errno, "what is to be sent cannot be read: %m");
	if (S_ISREG(st.st_mode) && st.st_size >= j->start)
		return st.st_size - j->start;
	if (json_int(j->request, "size", -1) < 0)
		return err_set(e, -EINVAL, "the size of what is to be sent is not known");
	return json_int(j->request, "size", 0);
}

static int
start_request(struct job *j, struct http *h, struct err *e)
{
	const json_t *q = j->request;
	struct http_request r = {
		.method = json_str(q, "method", j->upload ? "PUT" : "GET"),
		.url = json_str(q, "url", ""),
		.headers = j->headers,
		.timeout_ms = json_int(q, "timeout_ms", 0),
		.sink = on_data,
		.stream = j,
	};

	if (r.timeout_ms <= 0)
		r.timeout_ms = TIMEOUT_MS;
	if (j->upload) {
		r.source = on_wanted;
		r.source_len = j->to_send = upload_length(j, e);
		if (r.source_len < 0)
			return (int)r.source_len;
		if (r.source_len > j->max_bytes)
			return err_set(e, -EFBIG, "%" PRId64 " bytes to send, %" PRId64 " allowed",
				       r.source_len, j->max_bytes);
	}
	return http_start(h, &r, on_done, j, e) ? 0 : e->code;
}

static const char *
or_null(const char *s)
{
	return s && s[0] ? s : NULL;
}

static int
run(struct job *j, struct err *e)
{
	struct http_options o = { .user_agent = aws_user_agent(), .ca_pem = j->ca_pem };
	struct http *h;
	int r;

	o.proxy = or_null(json_str(j->request, "proxy", ""));
	o.no_proxy = or_null(json_str(j->request, "no_proxy", ""));
	h = http_new(j->base, &o, e);
	if (!h)
		return e->code;
	r = start_request(j, h, e);
	if (r == 0)
		event_base_dispatch(j->base);
	http_free(h);
	/* So that it can be sent once more to where the bucket is. */
	if (j->upload && j->start >= 0 && json_int(j->result, "code", 0) < 0)
		lseek(BODY_FD, j->start, SEEK_SET);
	return r;
}

int
transfer_main(void)
{
	struct job j = { .start = -1, .result = json_object(), .error_body = SBUF_INIT(ERROR_MAX) };
	struct err e = { 0 };
	int r;

	signal(SIGPIPE, SIG_IGN);
	j.base = event_base_new();
	j.digest = digest_new();
	set_result(&j, 0, "");
	r = read_request(&j, &e);
	if (r == 0)
		r = read_ca(&j, &e);
	if (r == 0)
		r = drop_privileges(&j, &e);
	if (r == 0)
		r = run(&j, &e);
	if (r < 0)
		set_result(&j, r, err_text(&e));
	r = write_line(j.result);
	job_done(&j);
	event_base_free(j.base);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
