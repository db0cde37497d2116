/* SPDX-License-Identifier: Apache-2.0 */
/* Today's sample on the host of each older minor: a table of functions that ends earlier. The copy
 * has exactly that size, so that a sanitizer sees every look behind its end. */
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/host/host.h"

extern const struct ssm_plugin hello_LTX_ssm_plugin;

#define END_OF(member) (offsetof(struct ssm_api, member) + sizeof(((struct ssm_api *)0)->member))

/* The last member of each minor; a new minor adds its row. */
static const struct {
	unsigned minor;
	size_t size;
} minors[] = {
	{ 0, END_OF(identity_set) },
};

static int tests, failures;

static void
result(bool good, const char *name, size_t size)
{
	failures += !good;
	printf("%sok %d - %s, a table of %zu bytes\n", good ? "" : "not ", ++tests, name, size);
}

static char *option_values[] = { (char *)"hello", NULL };

/* What host_add_plugin() makes of a file. */
static struct instance *
new_instance(struct host *h, struct module *m)
{
	struct instance *i = xcalloc(1, sizeof(*i));

	m->plugin = hello_LTX_ssm_plugin;
	m->features = (struct ssm_feature *)(uintptr_t)m->plugin.features;
	m->options = (struct ssm_option *)(uintptr_t)m->plugin.options;
	i->host = h;
	i->module = m;
	i->options = option_values;
	return i;
}

static bool
runs_with(struct host *h, const struct ssm_api *api)
{
	struct module m = { .path = NULL };
	struct instance *i = new_instance(h, &m);
	autojson json_t *inputs = json_pack("{s:s}", "who", "you");
	FILE *out = tmpfile();
	char text[64] = "", *error = NULL;
	struct ssm_step *step = step_new(inputs, "x", "acme:hello", fileno(out), 2, 0);
	bool good;

	i->ssm.api = api;
	step_execute(i, &m.features[0], step, &error);
	rewind(out);
	good = step->result == SSM_SUCCESS && fgets(text, sizeof(text), out) &&
		strcmp(text, "hello you\n") == 0;
	if (!good)
		printf("# result %d: %s; said '%s'\n", (int)step->result, error ? error : "", text);
	fclose(out);
	free(error);
	free(i->error);
	step_free(step);
	free(i);
	return good;
}

static bool
has_as_told(const struct ssm_api *api)
{
	struct ssm s = { api, NULL };
	size_t last = offsetof(struct ssm_api, identity_set);

	return !!SSM_HAS(&s, identity_set) == (api->size >= last + sizeof(api->identity_set)) &&
		!!SSM_HAS(&s, progress) == (api->size >= END_OF(progress)) &&
		SSM_HAS(&s, step_done) && SSM_HAS(&s, spawn);
}

static struct ssm_api *
cut_table(size_t size, uint32_t abi)
{
	struct ssm_api *cut = xcalloc(1, size);

	memcpy(cut, host_api(), size);
	cut->size = (uint32_t)size;
	cut->abi = abi;
	return cut;
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct host *h = host_new(base);

	h->hello = json_pack("{s:s}", "job", "x");
	for (size_t i = 0; i < NELEMS(minors); i++) {
		struct ssm_api *cut = cut_table(minors[i].size, SSM_ABI(1, minors[i].minor));

		result(runs_with(h, cut), "today's sample on an older minor", minors[i].size);
		free(cut);
	}
	result(minors[SSM_ABI_MINOR].size == sizeof(struct ssm_api),
	       "this minor has its row above", sizeof(struct ssm_api));
	/* Every end there could be, from the last function that the sample calls. */
	for (size_t size = END_OF(step_done); size <= sizeof(struct ssm_api);
	     size += sizeof(void *)) {
		struct ssm_api *cut = cut_table(size, SSM_ABI_VERSION);

		result(runs_with(h, cut) && has_as_told(cut), "the sample", size);
		free(cut);
	}
	host_free(h);
	event_base_free(base);
	printf("1..%d\n", tests);
	return failures != 0;
}
