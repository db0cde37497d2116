/* SPDX-License-Identifier: Apache-2.0 */
/* Values against option types; the snippet of a plugin's options. */
#include "core/conf/opts.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/text.h"

static const char *
type_hint(enum opts_type type)
{
	switch (type) {
	case OPTS_INT:
		return "a whole number";
	case OPTS_BOOL:
		return "yes or no";
	case OPTS_MSEC:
		return "a duration such as 250ms, 30s, 5m, 1h, 2d";
	case OPTS_BYTES:
		return "a size such as 4096, 64K, 10M, 2G";
	case OPTS_PATH:
		return "an absolute path";
	case OPTS_STRING:
		break;
	}
	return "text without control characters";
}

static int
check_text(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return -EINVAL;
	return 0;
}

static int
check_path(const char *text)
{
	return text[0] == '/' ? check_text(text) : -EINVAL;
}

static int
check_value(enum opts_type type, const char *text, int64_t *ret)
{
	bool truth = false;
	int r;

	switch (type) {
	case OPTS_INT:
		return text_to_i64(text, INT64_MIN, INT64_MAX, ret);
	case OPTS_BOOL:
		r = text_to_bool(text, &truth);
		*ret = truth;
		return r;
	case OPTS_MSEC:
		return text_to_ms(text, ret);
	case OPTS_BYTES:
		return text_to_bytes(text, ret);
	case OPTS_PATH:
		return check_path(text);
	case OPTS_STRING:
		return check_text(text);
	}
	return -EINVAL;
}

int
opts_check(enum opts_type type, const char *text, int64_t *ret, struct err *e)
{
	int64_t value = 0;
	int r = check_value(type, text, &value);

	if (r < 0) {
		autofree char *shown = text_quote(text, 80);

		return err_set(e, r, "%s is not %s", shown, type_hint(type));
	}
	if (ret)
		*ret = value;
	return 0;
}

static const json_t *
find_option(const json_t *descriptor, const char *key)
{
	const json_t *option;
	size_t i;

	json_array_foreach(json_object_get(descriptor, "options"), i, option)
		if (strcmp(json_str(option, "key", ""), key) == 0)
			return option;
	return NULL;
}

/* What [plugin NAME] may hold whatever the plugin is. */
static bool
is_of_all_plugins(const char *key)
{
	static const char *const keys[] = {"Load", "Calls", "Transfer", "RunAs"};

	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

/* Caller frees; NULL: nothing is wrong. */
static char *
complaint(const json_t *descriptor, const char *section, const char *key, const char *value)
{
	const json_t *option = find_option(descriptor, key);
	enum opts_type type = (enum opts_type)json_int(option, "type", OPTS_STRING);
	autofree char *shown = NULL;
	struct err why = {0, ""};

	if (!option && is_of_all_plugins(key))
		return NULL;
	if (!option) {
		shown = text_quote(key, 80);
		return xasprintf("unknown key %s in [%s] is ignored", shown, section);
	}
	/* An option that is empty has no value, whatever its type. */
	if (!*value || opts_check(type, value, NULL, &why) == 0)
		return NULL;
	if (json_int(option, "flags", 0) & OPTS_SECRET)
		err_set(&why, -EINVAL, "its value is not %s", type_hint(type));
	return xasprintf("[%s] %s: %s; all that the plugin is asked for fails until it is",
			 section, key, err_text(&why));
}

void
opts_check_section(const struct conf *c, const json_t *descriptor, conf_warn_fn *warn, void *arg)
{
	autofree char *section = xasprintf("plugin %s", json_str(descriptor, "name", ""));
	const char *key, *value;
	size_t iter = 0;

	while (conf_next(c, section, &iter, &key, &value)) {
		autofree char *what = complaint(descriptor, section, key, value);
		autofree char *text = NULL;

		if (!what)
			continue;
		text = xasprintf("%s: %s", conf_origin(c, section, key), what);
		warn(arg, text);
	}
}

static void
add_option(struct sbuf *b, const json_t *option)
{
	const char *help = json_str(option, "help", ""), *preset = json_str(option, "preset", "");

	if (*help)
		sbuf_addf(b, "# %s\n", help);
	sbuf_addf(b, "#%s =%s%s\n", json_str(option, "key", ""), *preset ? " " : "", preset);
}

char *
opts_snippet(const json_t *descriptor)
{
	const char *name = json_str(descriptor, "name", "");
	struct sbuf b = SBUF_INIT(1u << 20);
	json_t *option;
	size_t i;

	sbuf_addf(&b, "# %s: %s\n", name, json_str(descriptor, "summary", ""));
	sbuf_adds(&b,
		  "# Set what you need in /etc/ssm/conf.d/; this file belongs to the package.\n\n");
	sbuf_addf(&b, "[plugin %s]\n", name);
	sbuf_adds(&b,
		  "# yes, no, or required: the agent does not start without it.\n#Load = yes\n");
	json_array_foreach(json_object_get(descriptor, "options"), i, option)
		add_option(&b, option);
	return sbuf_take(&b, NULL);
}
