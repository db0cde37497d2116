/* SPDX-License-Identifier: Apache-2.0 */
/* What a document that an operator creates has to look like (spec/03 sections 1 and 2). */
#include <stdint.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/map.h"
#include "core/yaml/yaml.h"
#include "sdk/sandbox/documents.h"

static bool
is_one_of(const char *s, const char *const *names)
{
	for (; s && *names; names++)
		if (strcmp(*names, s) == 0)
			return true;
	return false;
}

json_t *
document_parse(const char *text, size_t len, const char *format, const char *what, struct err *e)
{
	if (strcmp(format, "YAML") == 0)
		return yaml_parse(text, len, what, e);
	return json_parse(text, len, what, e);
}

static bool
check_parameters(const json_t *parameters, struct refusal *ret)
{
	static const char *const types[] = { "String",	"StringList", "Integer", "Boolean",
					     "MapList", "StringMap",  NULL };
	const char *name;
	json_t *def;

	if (parameters && !json_is_object(parameters))
		return refusal_set(ret, "InvalidDocumentContent", "'parameters' is not an object.");
	json_object_foreach((json_t *)(uintptr_t)parameters, name, def) {
		if (!is_one_of(json_str(def, "type", NULL), types))
			return refusal_set(ret, "InvalidDocumentContent",
					   "parameter '%.100s' has no type that there is.", name);
	}
	return true;
}

static bool
check_steps(const json_t *steps, struct refusal *ret)
{
	struct map *names = NULL;
	const json_t *step;
	bool good = true;
	size_t i;

	if (!json_is_array(steps) || !json_array_size(steps))
		return refusal_set(ret, "InvalidDocumentContent",
				   "'mainSteps' is not a list of at least one step.");
	names = map_new(NULL);
	json_array_foreach(steps, i, step) {
		const char *name = json_str(step, "name", "");

		if (!*name || !*json_str(step, "action", ""))
			good = refusal_set(ret, "InvalidDocumentContent",
					   "step %zu of 'mainSteps' lacks its name or action.",
					   i + 1);
		else if (map_get(names, name))
			good = refusal_set(ret, "InvalidDocumentContent",
					   "two steps of 'mainSteps' are named '%.100s'.", name);
		if (!good)
			break;
		map_set(names, name, names);
	}
	map_free(names);
	return good;
}

static bool
check_command(const json_t *content, const char *version, struct refusal *ret)
{
	static const char *const versions[] = { "1.2", "2.0", "2.2", NULL };
	const json_t *runtime = json_object_get(content, "runtimeConfig");

	if (!is_one_of(version, versions))
		return refusal_set(
			ret, "InvalidDocumentSchemaVersion",
			"The schemaVersion of a Command document is 1.2, 2.0 or 2.2, not "
			"'%.20s'.",
			version);
	if (*version == '2')
		return check_steps(json_object_get(content, "mainSteps"), ret);
	if (!json_is_object(runtime) || !json_object_size(runtime))
		return refusal_set(ret, "InvalidDocumentContent",
				   "'runtimeConfig' is not an object of at least one action.");
	return true;
}

static bool
check_session(const json_t *content, const char *version, struct refusal *ret)
{
	static const char *const types[] = { "Standard_Stream", "InteractiveCommands",
					     "NonInteractiveCommands", "Port", NULL };
	const char *kind = json_str(content, "sessionType", NULL);

	if (strcmp(version, "1.0") != 0)
		return refusal_set(ret, "InvalidDocumentSchemaVersion",
				   "The schemaVersion of a Session document is 1.0, not '%.20s'.",
				   version);
	/* Types of plugins are not the service's; who writes one wants to try it. */
	if (!is_one_of(kind, types) && !(kind && strchr(kind, ':')))
		return refusal_set(ret, "InvalidDocumentContent",
				   "'sessionType' is none of Standard_Stream, InteractiveCommands, "
				   "NonInteractiveCommands, Port.");
	return true;
}

bool
document_check(const json_t *content, const char *type, struct refusal *ret)
{
	const char *version = json_str(content, "schemaVersion", NULL);

	if (!json_is_object(content))
		return refusal_set(ret, "InvalidDocumentContent", "The content is not an object.");
	if (!version)
		return refusal_set(ret, "InvalidDocumentContent", "'schemaVersion' is missing.");
	if (!check_parameters(json_object_get(content, "parameters"), ret))
		return false;
	return strcmp(type, "Session") == 0 ? check_session(content, version, ret)
					    : check_command(content, version, ret);
}
