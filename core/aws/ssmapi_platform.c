/* SPDX-License-Identifier: Apache-2.0 */
/* Platform name and version from the release files. spec/01 section 2.2. lsb_release is not run: it
 * reads /etc/lsb-release itself, and so do we. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/creds_source.h"
#include "core/aws/ssmapi.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define FILE_MAX 65536
#define VALUE_MAX 256

struct platform {
	char *name, *version;
};

/* NULL when there is none, or when it is no text. */
static char *
read_text(const char *etc, const char *name)
{
	autofree char *path = xasprintf("%s/%s", etc, name);
	autofree char *text = NULL;
	size_t len;

	if (creds_source_read(path, FILE_MAX, &text, &len, NULL) < 0 || strlen(text) != len)
		return NULL;
	return TAKE(text);
}

/* Control characters become blanks, blanks at the ends go, and so does what is not UTF-8. */
static char *
clean(const char *s)
{
	autofree char *copy = xstrndup(s, VALUE_MAX);
	size_t len, out = 0;
	char *start;

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	start = text_trim(copy);
	len = strlen(start);
	for (size_t i = 0, n; i < len; i += n ? n : 1) {
		n = text_utf8_char(start + i, len - i);
		memmove(start + out, start + i, n);
		out += n;
	}
	return xstrndup(start, out);
}

static void
set(struct platform *p, const char *name, const char *version)
{
	free(p->name);
	free(p->version);
	p->name = clean(name);
	p->version = clean(version);
}

/* "Amazon Linux release 2 (Karoo)": name before "release", version after it up to '('. */
static bool
take_release(const char *text, struct platform *p)
{
	const char *at = strstr(text, "release");
	autofree char *name = NULL;
	autofree char *version = NULL;

	if (!at)
		return false;
	name = xstrndup(text, (size_t)(at - text));
	at += strlen("release");
	version = xstrndup(at, strcspn(at, "(\n"));
	set(p, name, version);
	return *p->name != '\0';
}

/* The value of a shell-like KEY=value line without its quotes, or NULL. */
static char *
shell_value(const char *text, const char *key)
{
	autostrv char **lines = strv_split(text, "\r\n");
	size_t len = strlen(key);

	for (size_t i = 0; lines && lines[i]; i++) {
		const char *v = lines[i] + len + 1;
		size_t n;

		if (strncmp(lines[i], key, len) != 0 || lines[i][len] != '=')
			continue;
		n = strlen(v);
		if (n >= 2 && (*v == '"' || *v == '\'') && v[n - 1] == *v)
			return xstrndup(v + 1, n - 2);
		return xstrdup(v);
	}
	return NULL;
}

static bool
take_shell(const char *text, const char *name_key, const char *version_key, struct platform *p)
{
	autofree char *name = shell_value(text, name_key);
	autofree char *version = shell_value(text, version_key);

	if (!name || *name == '\0')
		return false;
	set(p, name, version ? version : "");
	return true;
}

static bool
from_centos(const char *text, struct platform *p)
{
	return strstr(text, "CentOS") && take_release(text, p);
}

static bool
from_os_release(const char *text, struct platform *p)
{
	return take_shell(text, "NAME", "VERSION_ID", p);
}

static bool
from_system_release(const char *text, struct platform *p)
{
	static const char *const known[] = { "Amazon",	 "Red Hat", "CentOS", "SLES",
					     "Raspbian", "Oracle",  "Rocky" };

	for (size_t i = 0; i < NELEMS(known); i++)
		if (strstr(text, known[i]))
			return take_release(text, p);
	return false;
}

static bool
from_lsb(const char *text, struct platform *p)
{
	return take_shell(text, "DISTRIB_ID", "DISTRIB_RELEASE", p);
}

static const struct {
	const char *file;
	bool (*take)(const char *text, struct platform *p);
} sources[] = {
	{ "centos-release", from_centos },  { "bottlerocket-release", from_os_release },
	{ "os-release", from_os_release },  { "system-release", from_system_release },
	{ "redhat-release", take_release }, { "lsb-release", from_lsb },
};

static void
show(const char *value, char *ret, size_t size)
{
	snprintf(ret, size, "%s", value && *value ? value : "NotAvailable");
}

void
ssmapi_platform_of(const char *etc, char *ret_name, size_t name_size, char *ret_version,
		   size_t version_size)
{
	struct platform p = { 0 };
	bool found = false;

	for (size_t i = 0; i < NELEMS(sources) && !found; i++) {
		autofree char *text = read_text(etc, sources[i].file);

		found = text && sources[i].take(text, &p);
	}
	show(found ? p.name : NULL, ret_name, name_size);
	show(found ? p.version : NULL, ret_version, version_size);
	free(p.name);
	free(p.version);
}

void
ssmapi_platform(char *ret_name, size_t name_size, char *ret_version, size_t version_size)
{
	ssmapi_platform_of("/etc", ret_name, name_size, ret_version, version_size);
}
