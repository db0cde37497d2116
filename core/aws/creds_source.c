/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of credentials share. */
#include "core/aws/creds_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define VALUE_MAX 16384
#define MESSAGE_MAX 200

const char *
creds_source_env(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

/* LOWEST: 0x21 where a blank would break the header, 0x20 where it may be part of the value. */
static int
check_value(const char *value, int lowest, const char *name, const char *what, struct err *e)
{
	if (strlen(value) > VALUE_MAX)
		return err_set(e, -EINVAL, "%s: the %s has more than %d bytes", what, name,
			       VALUE_MAX);
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < lowest || (unsigned char)*c > 0x7e)
			return err_set(e, -EINVAL,
				       "%s: the %s holds a blank, a control character or a byte "
				       "that is not ASCII",
				       what, name);
	return 0;
}

struct creds *
creds_source_make(const char *access_key, const char *secret_key, const char *token,
		  int64_t expires_ms, const char *source, const char *what, struct err *e)
{
	if (!access_key || !*access_key || !secret_key || !*secret_key) {
		err_set(e, -ENOKEY, "%s: there is no %s", what,
			access_key && *access_key ? "secret access key" : "access key id");
		return NULL;
	}
	if (check_value(access_key, 0x21, "access key id", what, e) < 0 ||
	    check_value(secret_key, 0x20, "secret access key", what, e) < 0 ||
	    (token && check_value(token, 0x21, "session token", what, e) < 0))
		return NULL;
	return creds_new(access_key, secret_key, token, expires_ms, source);
}

/* Member by name in any case: "", when absent, null or not a string. */
static const char *
member(const json_t *obj, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)obj, key,
			    value) if (strcasecmp(key, name) == 0 &&
				       json_is_string(value)) return json_string_value(value);
	return "";
}

static struct creds *
refusal(const json_t *obj, const char *what, struct err *e)
{
	autofree char *code = text_quote(member(obj, "Code"), MESSAGE_MAX);
	autofree char *message = text_quote(member(obj, "Message"), MESSAGE_MAX);

	err_set(e, -EACCES, "%s: refused with code %s and message %s", what, code, message);
	return NULL;
}

static int
parse_expiry(const json_t *obj, const char *what, int64_t *ret_ms, struct err *e)
{
	const char *text = member(obj, "Expiration");
	autofree char *shown = text_quote(text, 40);

	*ret_ms = 0;
	if (*text && (text_from_iso8601(text, ret_ms) < 0 || *ret_ms <= 0))
		return err_set(e, -EINVAL, "%s: Expiration %s is not a time", what, shown);
	return 0;
}

struct creds *
creds_source_json(const char *text, size_t len, const char *source, const char *what, struct err *e)
{
	autojson json_t *obj = json_parse(text, len, what, e);
	const char *code;
	int64_t expires_ms;

	if (!obj)
		return NULL;
	if (!json_is_object(obj)) {
		err_set(e, -EINVAL, "%s: the answer is not a JSON object", what);
		return NULL;
	}
	code = member(obj, "Code");
	if (*code && strcmp(code, "Success") != 0)
		return refusal(obj, what, e);
	if (parse_expiry(obj, what, &expires_ms, e) < 0)
		return NULL;
	return creds_source_make(member(obj, "AccessKeyId"), member(obj, "SecretAccessKey"),
				 member(obj, "Token"), expires_ms, source, what, e);
}

static int
read_whole(int fd, size_t max, char **ret, size_t *ret_len)
{
	autosecret char *text = xcalloc(max + 2, 1);
	size_t len = 0;

	while (len <= max) {
		ssize_t n = read(fd, text + len, max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > max) {
		wipe(text, len);
		return -EFBIG;
	}
	*ret = TAKE(text);
	*ret_len = len;
	return 0;
}

int
creds_source_read(const char *path, size_t max, char **ret, size_t *ret_len, struct err *e)
{
	autofree char *shown = text_quote(path, 256);
	/* O_NONBLOCK: a FIFO must not hold up the agent. */
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int r;

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened: %m", shown);
	if (fstat(fd, &st) < 0)
		return err_set(e, -errno, "%s: %m", shown);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is not a regular file", shown);
	r = read_whole(fd, max, ret, ret_len);
	if (r == -EFBIG)
		return err_set(e, r, "%s has more than %zu bytes", shown, max);
	if (r < 0)
		return err_set(e, r, "%s cannot be read: %s", shown, strerror(-r));
	return 0;
}
