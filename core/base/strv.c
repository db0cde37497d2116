/* SPDX-License-Identifier: Apache-2.0 */
/* NULL-ended vectors of owned strings. */
#include "core/base/strv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/sbuf.h"

#define BLANKS " \t\r\n"

size_t
strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

void
strv_push(char ***v, char *s)
{
	size_t n = strv_len(*v);

	*v = xrealloc(*v, n + 2, sizeof(char *));
	(*v)[n] = s;
	(*v)[n + 1] = NULL;
}

void
strv_add(char ***v, const char *s)
{
	strv_push(v, xstrdup(s));
}

void
strv_addf(char ***v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strv_push(v, xvasprintf(fmt, ap));
	va_end(ap);
}

bool
strv_has(char *const *v, const char *s)
{
	for (; v && *v; v++)
		if (strcmp(*v, s) == 0)
			return true;
	return false;
}

char **
strv_dup(char *const *v)
{
	size_t n = strv_len(v);
	char **copy;

	if (!v)
		return NULL;
	copy = xcalloc(n + 1, sizeof(char *));
	for (size_t i = 0; i < n; i++)
		copy[i] = xstrdup(v[i]);
	return copy;
}

static void
add_trimmed(char ***v, const char *p, size_t len)
{
	while (len > 0 && strchr(BLANKS, *p)) {
		p++;
		len--;
	}
	while (len > 0 && strchr(BLANKS, p[len - 1]))
		len--;
	if (len > 0)
		strv_push(v, xstrndup(p, len));
}

char **
strv_split(const char *s, const char *seps)
{
	char **v = NULL;

	for (;;) {
		size_t len = strcspn(s, seps);

		add_trimmed(&v, s, len);
		if (s[len] == '\0')
			return v;
		s += len + 1;
	}
}

char *
strv_join(char *const *v, const char *sep)
{
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	for (size_t i = 0; v && v[i]; i++) {
		if (i > 0)
			sbuf_adds(&b, sep);
		sbuf_adds(&b, v[i]);
	}
	return sbuf_take(&b, NULL);
}

static bool
is_var(const char *entry, const char *name, size_t name_len)
{
	return strncmp(entry, name, name_len) == 0 && entry[name_len] == '=';
}

/* Each entry of that name: an environment from outside may hold it twice. */
static void
env_remove(char **v, const char *name)
{
	size_t len = strlen(name), out = 0;

	for (size_t i = 0; v && v[i]; i++) {
		if (is_var(v[i], name, len))
			free(v[i]);
		else
			v[out++] = v[i];
	}
	if (v)
		v[out] = NULL;
}

void
strv_env_set(char ***v, const char *name, const char *value)
{
	char *entry = value ? xasprintf("%s=%s", name, value) : NULL;
	size_t len = strlen(name);

	/* In place, if it is there: the order of an environment is kept. */
	for (size_t i = 0; entry && *v && (*v)[i]; i++) {
		if (!is_var((*v)[i], name, len))
			continue;
		free((*v)[i]);
		(*v)[i] = entry;
		env_remove(*v + i + 1, name);
		return;
	}
	if (entry)
		strv_push(v, entry);
	else
		env_remove(*v, name);
}

const char *
strv_env_get(char *const *v, const char *name)
{
	size_t len = strlen(name);

	for (; v && *v; v++)
		if (is_var(*v, name, len))
			return *v + len + 1;
	return NULL;
}

char **
strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
	return NULL;
}

void
strv_cleanup(char ***v)
{
	*v = strv_free(*v);
}
