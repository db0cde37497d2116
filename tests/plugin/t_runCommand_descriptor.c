/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of runCommand, and the snippet that is made of its options. */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ssm_plugin.h"

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/conf/opts.h"
#include "tests/unit/suite.h"

extern const struct ssm_plugin SSM_SYMBOL(runCommand);
static const struct ssm_plugin *const plugin = &SSM_SYMBOL(runCommand);

static const struct ssm_feature *
feature(uint32_t kind, const char *name)
{
	for (uint32_t i = 0; i < plugin->feature_count; i++)
		if (plugin->features[i].kind == kind && strcmp(plugin->features[i].name, name) == 0)
			return &plugin->features[i];
	ck_abort_msg("no feature '%s'", name);
	return NULL;
}

START_TEST(test_head)
{
	ck_assert_uint_eq(plugin->magic, SSM_PLUGIN_MAGIC);
	ck_assert_uint_eq(plugin->size, sizeof(*plugin));
	ck_assert_uint_eq(plugin->abi, SSM_ABI_VERSION);
	ck_assert_str_eq(plugin->name, "runCommand");
	ck_assert_str_eq(plugin->license, "Apache-2.0");
	ck_assert_uint_eq(plugin->feature_size, sizeof(struct ssm_feature));
	ck_assert_uint_eq(plugin->option_size, sizeof(struct ssm_option));
}
END_TEST

START_TEST(test_features)
{
	const struct ssm_feature *send = feature(SSM_KIND_TOPIC, "aws.ssm.sendCommand.");
	const struct ssm_feature *cancel = feature(SSM_KIND_TOPIC, "aws.ssm.cancelCommand.");
	const struct ssm_feature *unchecked = feature(SSM_KIND_TOPIC, "ssm.offlineCommand.");
	const struct ssm_feature *shell = feature(SSM_KIND_ACTION, "aws:runShellScript");
	const struct ssm_topic_ops *ops = cancel->ops;

	ck_assert_str_eq(send->job_key, "/MessageId");
	ck_assert_ptr_null(send->cancel_key);
	ck_assert_str_eq(cancel->job_key, "/MessageId");
	ck_assert_str_eq(cancel->cancel_key, "/Payload/CancelMessageId");
	ck_assert_int_eq(ops->handle(NULL, NULL), 0);
	ck_assert_uint_eq(((const struct ssm_action_ops *)shell->ops)->size,
			  sizeof(struct ssm_action_ops));
	ck_assert_str_eq(unchecked->job_key, "/MessageId");
	ck_assert_str_eq(feature(SSM_KIND_TOPIC, "ssm.showCommand.")->job_key, "/MessageId");
	ck_assert_uint_eq(plugin->feature_count, 5);
}
END_TEST

#define RIGHTS                                                                   \
	"# What the agent signs for it: {{ssm:name}} in documents needs this.\n" \
	"Calls = ssm:GetParameters\n"

/* conf.d/50-runCommand.conf is what the table gives, and what the plugin may ask for. */
START_TEST(test_snippet)
{
	autojson json_t *options = json_array(), *descriptor = NULL;
	const char *source = secure_getenv("top_srcdir");
	autofree char *path = xasprintf("%s/conf.d/50-runCommand.conf", source ? source : ".");
	autofree char *want = NULL, *got = NULL, *table = NULL;
	size_t len;

	for (uint32_t i = 0; i < plugin->option_count; i++) {
		const struct ssm_option *o = &plugin->options[i];

		ck_assert_int_eq(opts_check((enum opts_type)o->type, o->preset, NULL, NULL), 0);
		json_array_append_new(options,
				      json_pack("{s:s, s:s, s:s}", "key", o->key, "preset",
						o->preset, "help", o->help));
	}
	descriptor = json_pack("{s:s, s:s, s:O}", "name", plugin->name, "summary", plugin->summary,
			       "options", options);
	table = opts_snippet(descriptor);
	got = xasprintf("%s" RIGHTS, table);
	ck_assert_int_eq(fs_read(AT_FDCWD, path, 1 << 16, &want, &len, NULL), 0);
	ck_assert_str_eq(got, want);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("runCommand descriptor");
	TCase *tc = tcase_create("descriptor");

	tcase_add_test(tc, test_head);
	tcase_add_test(tc, test_features);
	tcase_add_test(tc, test_snippet);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
