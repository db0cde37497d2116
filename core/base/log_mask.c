/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that lines must not show. Why marks instead of replacing one after the other: where two
 * secrets overlap, replacing the first would leave the rest of the second readable. */
#include "core/base/log_mask.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"

#define SECRET_MIN 8

struct secret {
	char **forms; /* as it is, and as it looks in URLs, quotes and JSON */
	unsigned refs;
};

static struct secret *secrets;
static size_t secret_count;

static void
add_form(char ***forms, char *s)
{
	if (strv_has(*forms, s))
		secret_free(s);
	else
		strv_push(forms, s);
}

/* text_quote() without its quotes. */
static char *
quoted_form(const char *s)
{
	autosecret char *quoted = text_quote(s, SIZE_MAX);

	return xstrndup(quoted + 1, strlen(quoted) - 2);
}

static char *
lower_percent(const char *s)
{
	char *p = text_percent(s, strlen(s), NULL);

	for (char *c = p; *c; c++)
		for (int i = 1; *c == '%' && i <= 2; i++)
			if (c[i] >= 'A' && c[i] <= 'F')
				c[i] = (char)(c[i] - 'A' + 'a');
	return p;
}

static char **
forms_of(const char *s)
{
	char **forms = NULL;

	strv_add(&forms, s);
	add_form(&forms, text_percent(s, strlen(s), NULL));
	add_form(&forms, text_percent(s, strlen(s), "/"));
	add_form(&forms, lower_percent(s));
	add_form(&forms, quoted_form(s));
	add_form(&forms, text_escape_controls(s, strlen(s)));
	return forms;
}

static struct secret *
find(const char *s)
{
	for (size_t i = 0; i < secret_count; i++)
		if (strcmp(secrets[i].forms[0], s) == 0)
			return &secrets[i];
	return NULL;
}

void
log_secret(const char *s)
{
	struct secret *known;

	if (!s || strlen(s) < SECRET_MIN)
		return;
	known = find(s);
	if (known) {
		known->refs++;
		return;
	}
	secrets = xrealloc(secrets, secret_count + 1, sizeof(*secrets));
	secrets[secret_count++] = (struct secret){ forms_of(s), 1 };
}

void
log_secret_forget(const char *s)
{
	struct secret *known = s ? find(s) : NULL;

	if (!known || --known->refs > 0)
		return;
	for (size_t i = 0; known->forms[i]; i++)
		wipe(known->forms[i], strlen(known->forms[i]));
	strv_free(known->forms);
	*known = secrets[--secret_count];
	if (secret_count == 0) {
		free(secrets);
		secrets = NULL;
	}
}

static bool
mark(const char *line, const char *form, char *marks)
{
	size_t len = strlen(form);
	bool found = false;

	for (const char *at = line; (at = strstr(at, form)) != NULL; at++) {
		memset(marks + (at - line), 1, len);
		found = true;
	}
	return found;
}

static bool
mark_all(const char *line, char *marks)
{
	bool found = false;

	for (size_t i = 0; i < secret_count; i++)
		for (char **form = secrets[i].forms; *form; form++)
			if (mark(line, *form, marks))
				found = true;
	return found;
}

char *
log_mask(const char *line)
{
	size_t len = strlen(line);
	autofree char *marks = NULL;
	struct sbuf b = SBUF_INIT(SIZE_MAX);

	if (secret_count == 0)
		return xmemdup(line, len);
	marks = xcalloc(len, 1);
	if (!mark_all(line, marks))
		return xmemdup(line, len);
	for (size_t i = 0; i < len; i++) {
		if (!marks[i])
			sbuf_addc(&b, line[i]);
		else if (i == 0 || !marks[i - 1])
			sbuf_adds(&b, "***");
	}
	return sbuf_take(&b, NULL);
}
