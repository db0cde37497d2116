/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and properties of session documents, by tables of their keys. */
#include "plugins/sessionManager/inputs.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"

#define PREFIX_MAX 30 /* bytes; spec 02 §6.6 */

enum kind {
	TEXT,
	BOOL,		/* true or false only */
	BOOL_OR_STRING, /* the words of Go's strconv.ParseBool, too */
};

struct field {
	const char *key;
	enum kind kind;
	size_t at;
};

static int
wrong(const char *key, const char *wanted, struct err *e)
{
	return err_set(e, -EINVAL, "'%s' is not %s", key, wanted);
}

static int
word_to_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "True", "TRUE" };
	static const char *const no[] = { "", "0", "f", "F", "false", "False", "FALSE" };

	for (size_t i = 0; i < NELEMS(yes); i++)
		if (!strcmp(s, yes[i])) {
			*ret = true;
			return 0;
		}
	for (size_t i = 0; i < NELEMS(no); i++)
		if (!strcmp(s, no[i])) {
			*ret = false;
			return 0;
		}
	return -EINVAL;
}

static int
read_bool(const json_t *v, const struct field *f, bool *ret, struct err *e)
{
	*ret = v && json_is_true(v);
	if (!v || json_is_boolean(v))
		return 0;
	if (f->kind == BOOL)
		return wrong(f->key, "true or false", e);
	if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) &&
	    word_to_bool(json_string_value(v), ret) == 0)
		return 0;
	return wrong(f->key, "true or false, nor a word for one of them", e);
}

static int
read_field(json_t *obj, const struct field *f, void *to, struct err *e)
{
	const json_t *v = json_any_case(obj, f->key);

	if (f->kind != TEXT)
		return read_bool(v, f, (bool *)((char *)to + f->at), e);
	if (v && (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)))
		return wrong(f->key, "a text without NUL", e);
	*(char **)(void *)((char *)to + f->at) = xstrdup(v ? json_string_value(v) : "");
	return 0;
}

static int
read_fields(json_t *obj, const struct field *f, size_t count, void *to, struct err *e)
{
	int r = 0;

	if (obj && !json_is_null(obj) && !json_is_object(obj))
		return err_set(e, -EINVAL, "not a JSON object");
	for (size_t i = 0; i < count && r >= 0; i++)
		r = read_field(obj, f + i, to, e);
	return r;
}

#define AT(member) offsetof(struct session_inputs, member)
static const struct field input_fields[] = {
	{ "s3BucketName", TEXT, AT(s3_bucket) },
	{ "s3KeyPrefix", TEXT, AT(s3_prefix) },
	{ "s3EncryptionEnabled", BOOL_OR_STRING, AT(s3_encrypted) },
	{ "cloudWatchLogGroupName", TEXT, AT(log_group) },
	{ "cloudWatchEncryptionEnabled", BOOL_OR_STRING, AT(log_encrypted) },
	{ "cloudWatchStreamingEnabled", BOOL, AT(log_streaming) },
	{ "kmsKeyId", TEXT, AT(kms_key_id) },
	{ "runAsEnabled", BOOL_OR_STRING, AT(run_as) },
	{ "runAsDefaultUser", TEXT, AT(run_as_user) },
};
static const struct field profile_fields[] = { { "linux", TEXT, AT(shell_profile) } };
#undef AT

int
session_inputs_read(json_t *v, struct session_inputs *ret, struct err *e)
{
	struct session_inputs s = { 0 };
	int r = read_fields(v, input_fields, NELEMS(input_fields), &s, e);

	if (r >= 0) {
		r = read_fields(json_any_case(v, "shellProfile"), profile_fields,
			    NELEMS(profile_fields),
				&s, e);
		if (r < 0)
			(void)err_prefix(e, "shellProfile");
	}
	if (r < 0)
		session_inputs_done(&s);
	else
		*ret = s;
	return r;
}

void
session_inputs_done(struct session_inputs *s)
{
	mem_cleanup_free(&s->s3_bucket);
	mem_cleanup_free(&s->s3_prefix);
	mem_cleanup_free(&s->log_group);
	mem_cleanup_free(&s->kms_key_id);
	mem_cleanup_free(&s->run_as_user);
	mem_cleanup_free(&s->shell_profile);
	memset(s, 0, sizeof(*s));
}

#define AT(member) offsetof(struct command_properties, member)
static const struct field command_fields[] = {
	{ "commands", TEXT, AT(commands) },
	{ "runAsElevated", BOOL, AT(elevated) },
	{ "separateOutputStream", BOOL_OR_STRING, AT(separate_output) },
	{ "stdOutSeparatorPrefix", TEXT, AT(stdout_prefix) },
	{ "stdErrSeparatorPrefix", TEXT, AT(stderr_prefix) },
};
#undef AT

/* ^[0-9a-zA-Z\r\n_:-]{0,30}$ */
static int
check_prefix(const char *name, const char *s, struct err *e)
{
	static const char allowed[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ\r\n_:-";
	autofree char *shown = NULL;

	if (s[strspn(s, allowed)] == 0 && strlen(s) <= PREFIX_MAX)
		return 0;
	shown = text_escape_controls(s, strnlen(s, 4 * PREFIX_MAX));
	return err_set(e, -EINVAL, "invalid %sSeparatorPrefix %s", name, shown);
}

int
command_properties_read(json_t *v, struct command_properties *ret, struct err *e)
{
	struct command_properties p = { 0 };
	int r = read_fields(v, NULL, 0, &p, e);

	if (r >= 0)
		r = read_fields(json_any_case(v, "linux"), command_fields, NELEMS(command_fields),
			    &p, e);
	if (r >= 0)
		r = check_prefix("stdout", p.stdout_prefix, e);
	if (r >= 0)
		r = check_prefix("stderr", p.stderr_prefix, e);
	if (r < 0)
		command_properties_done(&p);
	else
		*ret = p;
	return r;
}

void
command_properties_done(struct command_properties *p)
{
	mem_cleanup_free(&p->commands);
	mem_cleanup_free(&p->stdout_prefix);
	mem_cleanup_free(&p->stderr_prefix);
	memset(p, 0, sizeof(*p));
}

#define AT(member) offsetof(struct port_properties, member)
static const struct field port_fields[] = {
	{ "portNumber", TEXT, AT(port) },
	{ "host", TEXT, AT(host) },
	{ "type", TEXT, AT(type) },
};
#undef AT

int
port_properties_read(json_t *v, struct port_properties *ret, struct err *e)
{
	struct port_properties p = { 0 };
	int r = read_fields(v, port_fields, NELEMS(port_fields), &p, e);

	if (r < 0)
		port_properties_done(&p);
	else
		*ret = p;
	return r;
}

void
port_properties_done(struct port_properties *p)
{
	mem_cleanup_free(&p->port);
	mem_cleanup_free(&p->host);
	mem_cleanup_free(&p->type);
	memset(p, 0, sizeof(*p));
}
