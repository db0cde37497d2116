/* SPDX-License-Identifier: Apache-2.0 */
/* The start of a session: its document with the operator's parameters put in. */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "core/base/json.h"
#include "plugins/sessionManager/document.h"
#include "plugins/sessionManager/inputs.h"

#define INPUT_MAX 65536u

/* They are read as in a session of each type. */
static void
read_inside(json_t *o)
{
	struct session_inputs in = { 0 };
	struct command_properties command = { 0 };
	struct port_properties port = { 0 };
	json_t *properties = json_object_get(o, "properties");

	(void)session_inputs_read(json_object_get(o, "inputs"), &in, NULL);
	session_inputs_done(&in);
	(void)command_properties_read(properties, &command, NULL);
	command_properties_done(&command);
	(void)port_properties_read(properties, &port, NULL);
	port_properties_done(&port);
}

/* Of the names asked for, those with an even length are there, every other one of them a list. */
static json_t *
answer(void *arg, const json_t *names, char **ret_trace)
{
	json_t *parameters = json_array(), *name;
	size_t i;

	(void)arg;
	(void)ret_trace;
	json_array_foreach((json_t *)(uintptr_t)names, i, name)
	{
		if (json_string_length(name) % 2 == 0)
			(void)json_array_append_new(parameters,
						    json_pack("{s:O,s:s,s:s}", "Name", name, "Type",
							      i % 2 ? "StringList" : "String",
							      "Value", "{{ssm:x}},b"));
	}
	return json_pack("{s:o}", "Parameters", parameters);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "SessionId", "RunAsUser", "SessionOwner",
					     "sessionType" };
	struct err e = { 0, "" };
	autojson json_t *o =
		size > INPUT_MAX ? NULL : document_read((const char *)data, size, answer, NULL, &e);

	if (!o) {
		FUZZ_CHECK(size > INPUT_MAX || (e.code == -EINVAL && *e.text));
		return 0;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		FUZZ_CHECK(json_is_string(json_object_get(o, texts[i])));
	FUZZ_CHECK(json_is_object(json_object_get(o, "inputs")));
	FUZZ_CHECK(json_is_object(json_object_get(o, "properties")));
	read_inside(o);
	return 0;
}
