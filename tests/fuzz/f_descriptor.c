/* SPDX-License-Identifier: Apache-2.0 */
/* What --describe prints for one plugin or, as a list, for several: the table made of it. */
#include "tests/fuzz/fuzz.h"

#include "core/agent/plugin_file.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/conf/conf_layers.h"

#define PLUGINS_MAX 4u
#define KINDS 8u

static void
check_line(void *arg, enum log_level level, const char *component, const char *line)
{
	(void)arg;
	(void)level;
	(void)component;
	fuzz_check_message(line);
}

static void
check_table(const struct features *t, const json_t *descriptor, const char *plugin)
{
	autojson json_t *used = features_of(t, plugin), *unused = features_unused(t, plugin);
	json_t *rows = json_object_get(descriptor, "features"), *row;
	autofree char *snippet = opts_snippet(descriptor);
	size_t i;

	FUZZ_CHECK(json_array_size(used) + json_array_size(unused) <= json_array_size(rows));
	FUZZ_CHECK(snippet != NULL);
	json_array_foreach(rows, i, row)
	{
		for (uint32_t kind = 0; kind < KINDS; kind++) {
			const struct feature *f = features_find(t, kind, json_str(row, "name", ""));

			FUZZ_CHECK(!f || (f->kind == kind && f->name && f->plugin && f->path));
		}
	}
}

static void
add_plugin(struct list *files, struct plugin_file *f, char *name, json_t *descriptor)
{
	*f = (struct plugin_file){ .name = name, .path = name, .state = PLUGIN_GOOD,
				   .on_disk = true, .descriptor = descriptor };
	list_append(files, &f->link);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *names[PLUGINS_MAX] = { (char *)"a", (char *)"b", (char *)"c", (char *)"d" };
	autojson json_t *input = json_parse((const char *)data, size, "input", NULL);
	struct plugin_file plugins[PLUGINS_MAX];
	struct list files = LIST_INIT(files);
	struct features *t;
	struct conf *conf;
	size_t count = json_is_array(input) ? json_array_size(input) : 1;

	if (!input)
		return 0;
	log_set_sink(check_line, NULL);
	count = count < PLUGINS_MAX ? count : PLUGINS_MAX;
	for (size_t i = 0; i < count; i++)
		add_plugin(&files, &plugins[i], names[i],
			   json_is_array(input) ? json_array_get(input, i) : input);
	conf = conf_new(NULL, NULL);
	t = features_new();
	features_build(t, &files, conf);
	for (size_t i = 0; i < count; i++)
		check_table(t, plugins[i].descriptor, names[i]);
	features_free(t);
	conf_free(conf);
	return 0;
}
