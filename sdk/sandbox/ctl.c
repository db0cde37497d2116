/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-sandbox ctl: one request to the control socket, its answer to standard output. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"
#include "sdk/sandbox/control.h"

#define ANSWER_MAX ((size_t)512 << 20)
#define VALUE_MAX ((size_t)4 << 20)

enum {
	CTL_OK,
	CTL_REFUSED,
	CTL_USAGE,
	CTL_NO_SANDBOX
};

static int
connect_to(const char *path, struct err *e)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	struct stat st;
	autofree char *inside = NULL;
	int fd;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		path = inside = xasprintf("%s/control.sock", path);
	if (strlen(path) >= sizeof(where.sun_path))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long for a socket", path);
	memcpy(where.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&where, sizeof(where)) == 0)
		return fd;
	err_set(e, -errno, "cannot reach the sandbox at '%s': %m; is it running?", path);
	if (fd >= 0)
		close(fd);
	return -ECONNREFUSED;
}

/* JSON where it is JSON, @FILE for what a file holds, else text. */
static json_t *
value_of(const char *text, struct err *e)
{
	autofree char *file = NULL;
	json_t *v;
	size_t len;

	if (*text == '@') {
		if (fs_read(AT_FDCWD, text + 1, VALUE_MAX, &file, &len, e) < 0)
			return NULL;
		text = file;
	}
	v = json_loads(text, JSON_DECODE_ANY, NULL);
	return v ? v : json_string(text);
}

static int
add_argument(json_t *request, const char *arg, struct err *e)
{
	const char *equals = strchr(arg, '=');
	autofree char *name = NULL;
	json_t *v;

	if (!equals)
		return err_set(e, -EINVAL, "'%s' is not NAME=VALUE", arg);
	name = xstrndup(arg, (size_t)(equals - arg));
	v = value_of(equals + 1, e);
	if (!v)
		return e->code ? e->code : err_set(e, -EINVAL, "'%s' is not UTF-8", arg);
	json_object_set_new(request, name, v);
	return 0;
}

static char *
ask(int fd, const json_t *request, struct err *e)
{
	struct sbuf answer = SBUF_INIT(ANSWER_MAX);
	autofree char *text = json_text(request);
	ssize_t n;

	if (fs_write_all(fd, text, strlen(text)) < 0 || fs_write_all(fd, "\n", 1) < 0) {
		err_set(e, -EPIPE, "the sandbox closed the control socket");
		return NULL;
	}
	while ((n = sbuf_read(&answer, fd, 65536)) > 0)
		if (answer.p[answer.len - 1] == '\n')
			return sbuf_take(&answer, NULL);
	sbuf_done(&answer);
	err_set(e, -EPIPE, "the sandbox ended before it answered");
	return NULL;
}

/* `journal` prints the file that the answer names. */
static void
print_file(const char *path)
{
	FILE *f = fopen(path, "re");
	char block[65536];
	size_t n;

	while (f && (n = fread(block, 1, sizeof(block), f)) > 0)
		fwrite(block, 1, n, stdout);
	if (f)
		fclose(f);
}

static int
print_answer(const char *op, const char *text)
{
	autojson json_t *answer = json_loads(text, 0, NULL);
	bool good = json_bool(answer, "ok", false);

	if (good && strcmp(op, "journal") == 0)
		print_file(json_str(answer, "path", ""));
	else
		fputs(text, stdout);
	return good ? CTL_OK : CTL_REFUSED;
}

static int
complain(int status, const struct err *e)
{
	fprintf(stderr, "ssm-sandbox ctl: %s\n", err_text(e));
	return status;
}

int
ctl_main(int argc, char **argv)
{
	autojson json_t *request = json_object();
	autofree char *text = NULL;
	struct err e = { 0 };
	autoclose int fd = -1;

	if (argc < 3) {
		fputs("usage: ssm-sandbox ctl SOCKET|ROOT OPERATION [NAME=VALUE]...\n", stderr);
		return CTL_USAGE;
	}
	json_object_set_new(request, "op", json_string(argv[2]));
	for (int i = 3; i < argc; i++)
		if (add_argument(request, argv[i], &e) < 0)
			return complain(CTL_USAGE, &e);
	fd = connect_to(argv[1], &e);
	if (fd < 0)
		return complain(CTL_NO_SANDBOX, &e);
	text = ask(fd, request, &e);
	if (!text)
		return complain(CTL_NO_SANDBOX, &e);
	return print_answer(argv[2], text);
}
