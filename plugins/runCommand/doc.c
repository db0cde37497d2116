/* SPDX-License-Identifier: Apache-2.0 */
/* From payload to steps: decode, schema version, parameters, substitution, list of steps. */
#include "plugins/runCommand/doc.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/store/store.h"
#include "plugins/runCommand/godec.h"
#include "plugins/runCommand/params.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define PARSE_ERROR "encountered error while parsing input - internal error "

/* Order and spelling as in the reference's types; errors show them. */
static const struct godec_field parameter_fields[] = {
	{ "default", GODEC_ANY, NULL },		  { "description", GODEC_STRING, NULL },
	{ "type", GODEC_STRING, NULL },		  { "allowedValues", GODEC_STRINGS, NULL },
	{ "allowedPattern", GODEC_STRING, NULL }, { "minItems", GODEC_NUMBER, NULL },
	{ "maxItems", GODEC_NUMBER, NULL },	  { "minChars", GODEC_NUMBER, NULL },
	{ "maxChars", GODEC_NUMBER, NULL },	  { "interpolationType", GODEC_STRING, NULL },
};
static const struct godec_type parameter_type = { "Parameter", "contracts", COUNT(parameter_fields),
						  parameter_fields };
static const struct godec_field plugin_fields[] = {
	{ "settings", GODEC_ANY, NULL },
	{ "properties", GODEC_ANY, NULL },
	{ "description", GODEC_STRING, NULL },
};
static const struct godec_type plugin_type = { "PluginConfig", "contracts", COUNT(plugin_fields),
					       plugin_fields };
static const struct godec_field step_fields[] = {
	{ "action", GODEC_STRING, NULL },      { "inputs", GODEC_ANY, NULL },
	{ "maxAttempts", GODEC_INT, NULL },    { "name", GODEC_STRING, NULL },
	{ "onFailure", GODEC_STRING, NULL },   { "settings", GODEC_ANY, NULL },
	{ "timeoutSeconds", GODEC_INT, NULL }, { "precondition", GODEC_MAP_STRINGS, NULL },
};
static const struct godec_type step_type = { "InstancePluginConfig", "contracts",
					     COUNT(step_fields), step_fields };
static const struct godec_field content_fields[] = {
	{ "schemaVersion", GODEC_STRING, NULL },      { "description", GODEC_STRING, NULL },
	{ "runtimeConfig", GODEC_MAP, &plugin_type }, { "mainSteps", GODEC_LIST, &step_type },
	{ "parameters", GODEC_MAP, &parameter_type },
};
static const struct godec_type content_type = { "DocumentContent", "contracts",
						COUNT(content_fields), content_fields };
static const struct godec_field payload_fields[] = {
	{ "Parameters", GODEC_MAP_ANY, NULL },
	{ "DocumentContent", GODEC_OBJECT, &content_type },
	{ "CommandId", GODEC_STRING, NULL },
	{ "DocumentName", GODEC_STRING, NULL },
	{ "OutputS3KeyPrefix", GODEC_STRING, NULL },
	{ "OutputS3BucketName", GODEC_STRING, NULL },
	{ "CloudWatchLogGroupName", GODEC_STRING, NULL },
	{ "CloudWatchOutputEnabled", GODEC_STRING, NULL },
};
static const struct godec_type payload_type = { "SendCommandPayload", "messageContracts",
						COUNT(payload_fields), payload_fields };

/* ------------------------------------------------------------- decoding */

static json_t *
decode_payload(const json_t *payload, char **ret_trace)
{
	autofree char *text = NULL;
	autojson json_t *parsed = NULL;
	struct err e = { 0, "" };
	json_t *out;

	if (json_is_string(payload)) {
		parsed = json_parse(json_string_value(payload), json_string_length(payload),
				    "Payload", &e);
		if (!parsed) {
			*ret_trace = xasprintf(PARSE_ERROR "%s", err_text(&e));
			return NULL;
		}
		payload = parsed;
	}
	out = godec_object(payload, &payload_type, &text);
	if (!out)
		*ret_trace = xasprintf(PARSE_ERROR "%s", text);
	return out;
}

static bool
check_schema(struct doc *d, const json_t *content, char **ret_trace)
{
	static const char *const versions[] = { "1.0",	 "1.2",	  "2.0", "2.0.1",
						"2.0.2", "2.0.3", "2.2" };
	const char *version = json_str(content, "schemaVersion", "");

	for (size_t i = 0; i < COUNT(versions); i++) {
		if (strcmp(version, versions[i]) != 0)
			continue;
		d->is_v1 = version[0] == '1';
		d->has_preconditions = strcmp(version, "2.2") == 0;
		return true;
	}
	*ret_trace =
		xasprintf("Document with schema version %s is not supported by this version of ssm "
			  "agent, please update to latest version",
			  version);
	return false;
}

/* --------------------------------------------------------------- steps */

/* Parameters of the document; what those of the store make of it is seen to when all is known. */
static json_t *
fill(struct params *p, json_t *v, char **ret_trace)
{
	return params_fill(p, v ? v : json_null(), ret_trace);
}

/* A list cannot take the place of a set, as it could were the sets filled as one value. */
static bool
fill_step_from_store(const struct store *store, struct doc_step *s, size_t *left, char **ret_trace)
{
	json_t *sets = json_array(), *filled = store_fill(store, s->settings, left, ret_trace);
	size_t i = 0;

	json_decref(s->settings);
	s->settings = filled;
	while (filled && i < json_array_size(s->sets)) {
		filled = store_fill(store, json_array_get(s->sets, i++), left, ret_trace);
		if (filled)
			(void)json_array_append_new(sets, filled);
	}
	json_decref(s->sets);
	s->sets = sets;
	return filled != NULL;
}

/* All names of all steps at once: ten to a call. */
static bool
fill_steps_from_store(struct doc *d, size_t left, char **ret_trace)
{
	autojson json_t *all = json_array();

	for (size_t i = 0; i < d->step_count; i++) {
		(void)json_array_append(all, d->steps[i].settings);
		(void)json_array_append(all, d->steps[i].sets);
	}
	if (!store_resolve(&d->store, all, ret_trace))
		return false;
	for (size_t i = 0; i < d->step_count; i++)
		if (!fill_step_from_store(&d->store, &d->steps[i], &left, ret_trace))
			return false;
	return true;
}

/* A list of property sets stays one; anything else is the only set. */
static json_t *
property_sets(json_t *properties)
{
	json_t *sets;

	if (json_is_array(properties))
		return properties;
	sets = json_array();
	(void)json_array_append_new(sets, properties);
	return sets;
}

static bool
add_v1_step(struct doc *d, const char *action, json_t *config, struct params *p, char **ret_trace)
{
	struct doc_step *s = &d->steps[d->step_count++];
	json_t *properties;

	s->id = xstrdup(action);
	s->action = xstrdup(action);
	s->settings = fill(p, json_object_get(config, "settings"), ret_trace);
	properties = s->settings ? fill(p, json_object_get(config, "properties"), ret_trace) : NULL;
	if (!properties)
		return false;
	s->sets = property_sets(properties);
	return true;
}

static bool
list_v1_steps(struct doc *d, json_t *content, struct params *p, char **ret_trace)
{
	json_t *config = json_object_get(content, "runtimeConfig");

	d->steps = xcalloc(json_object_size(config), sizeof(*d->steps));
	for (void *it = json_object_iter(config); it; it = json_object_iter_next(config, it))
		if (!add_v1_step(d, json_object_iter_key(it), json_object_iter_value(it), p,
				 ret_trace))
			return false;
	return true;
}

static bool
add_v2_step(struct doc *d, json_t *step, struct params *p, char **ret_trace)
{
	struct doc_step *s = &d->steps[d->step_count++];
	json_t *precondition = json_object_get(step, "precondition");
	json_t *inputs;

	s->id = xstrdup(json_str(step, "name", ""));
	s->action = xstrdup(json_str(step, "action", ""));
	s->precondition = json_object_size(precondition) ? json_incref(precondition) : NULL;
	s->settings = fill(p, json_object_get(step, "settings"), ret_trace);
	inputs = s->settings ? fill(p, json_object_get(step, "inputs"), ret_trace) : NULL;
	if (!inputs)
		return false;
	s->sets = json_array();
	return json_array_append_new(s->sets, inputs) == 0;
}

static bool
list_v2_steps(struct doc *d, json_t *content, struct params *p, char **ret_trace)
{
	json_t *steps = json_object_get(content, "mainSteps");
	size_t count = json_array_size(steps);

	d->steps = xcalloc(count, sizeof(*d->steps));
	for (size_t i = 0; i < count; i++)
		if (!add_v2_step(d, json_array_get(steps, i), p, ret_trace))
			return false;
	return true;
}

/* With both lists there, the reference fills in the 1.x one only, whichever runs (2.2). */
static bool
list_steps(struct doc *d, json_t *content, char **ret_trace)
{
	size_t v1_count = json_object_size(json_object_get(content, "runtimeConfig"));
	size_t v2_count = json_array_size(json_object_get(content, "mainSteps"));
	struct params p;

	if ((d->is_v1 ? v1_count : v2_count) == 0) {
		*ret_trace = xstrdup("Unsupported schema format");
		return false;
	}
	params_init(&p, !d->is_v1 && v1_count > 0 ? NULL : d->params);
	return (d->is_v1 ? list_v1_steps(d, content, &p, ret_trace)
			 : list_v2_steps(d, content, &p, ret_trace)) &&
		fill_steps_from_store(d, p.left, ret_trace);
}

/* ---------------------------------------------------------- parameters */

static bool
is_variable_name(const char *name)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	return name[0] && !name[strspn(name, chars)];
}

/* interpolationType ENV_VAR (2.9): a String of a 2.2 document, under SSM_ and its name. */
static bool
set_environment(struct doc *d, json_t *definitions, json_t *values, char **ret_trace)
{
	for (void *it = json_object_iter(definitions); it && d->has_preconditions;
	     it = json_object_iter_next(definitions, it)) {
		const char *name = json_object_iter_key(it);
		const json_t *definition = json_object_iter_value(it);
		json_t *value = json_object_get(values, name);
		autofree char *variable = NULL;

		if (strcmp(json_str(definition, "interpolationType", ""), "ENV_VAR") != 0 ||
		    strcmp(json_str(definition, "type", ""), "String") != 0 ||
		    !json_is_string(value) || !is_variable_name(name))
			continue;
		if (strlen(json_string_value(value)) != json_string_length(value)) {
			*ret_trace = xasprintf("the parameter '%s' holds a NUL byte, which no "
					       "environment variable can; leave it out",
					       name);
			return false;
		}
		variable = xasprintf("SSM_%s", name);
		(void)json_object_set(d->environment, variable, value);
	}
	return true;
}

/* With the values of the store in them, parameters are only looked at and become variables: what is
 * put in their place in a step is resolved there (2.7). */
static bool
check_params(struct doc *d, json_t *definitions, bool unchecked, char **ret_trace)
{
	json_t *supplied = json_object_get(d->payload, "Parameters");
	struct params_check check = { definitions, NULL, supplied, unchecked };
	size_t left = PARAMS_MAX_BYTES;
	autojson json_t *values = NULL;

	if (!store_resolve(&d->store, d->params, ret_trace))
		return false;
	values = store_fill(&d->store, d->params, &left, ret_trace);
	if (!values)
		return false;
	check.values = values;
	*ret_trace = params_validate(&check);
	return !*ret_trace && set_environment(d, definitions, values, ret_trace);
}

static bool
prepare(struct doc *d, bool unchecked, char **ret_trace)
{
	json_t *content = json_object_get(d->payload, "DocumentContent");
	json_t *definitions = json_object_get(content, "parameters");

	d->command_id = json_str(d->payload, "CommandId", "");
	d->name = json_str(d->payload, "DocumentName", "");
	d->s3_bucket = json_str(d->payload, "OutputS3BucketName", "");
	d->s3_prefix = json_str(d->payload, "OutputS3KeyPrefix", "");
	if (!check_schema(d, content, ret_trace))
		return false;
	d->params = params_merge(definitions, json_object_get(d->payload, "Parameters"));
	return check_params(d, definitions, unchecked, ret_trace) &&
		list_steps(d, content, ret_trace);
}

struct doc *
doc_new(const struct doc_source *source, char **ret_trace)
{
	struct doc *d = xcalloc(1, sizeof(*d));

	*ret_trace = NULL;
	store_init(&d->store, PARAMS_MAX_BYTES, source->ask, source->ask_arg);
	d->environment = json_object();
	d->payload = decode_payload(source->payload, ret_trace);
	if (!d->payload)
		return doc_free(d);
	godec_round_numbers(d->payload);
	return prepare(d, source->unchecked, ret_trace) ? d : doc_free(d);
}

struct doc *
doc_free(struct doc *d)
{
	if (!d)
		return NULL;
	for (size_t i = 0; i < d->step_count; i++) {
		free(d->steps[i].id);
		free(d->steps[i].action);
		json_decref(d->steps[i].sets);
		json_decref(d->steps[i].settings);
		json_decref(d->steps[i].precondition);
	}
	free(d->steps);
	store_done(&d->store);
	json_decref(d->environment);
	json_decref(d->params);
	json_decref(d->payload);
	free(d);
	return NULL;
}

/* -------------------------------------------------------- about a step */

/* Modifiers of property sets count only where there is one set that was not in a list; a list of
 * one cannot be told apart here, and is as good. */
static const json_t *
modifier(const struct doc_step *s, const char *name)
{
	if (json_array_size(s->sets) != 1)
		return NULL;
	return json_object_get(json_array_get(s->sets, 0), name);
}

static bool
is_text(const json_t *v, const char *text)
{
	return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

enum doc_flow
doc_on_failure(const struct doc_step *s)
{
	const json_t *v = modifier(s, "onFailure");

	if (is_text(v, "exit"))
		return DOC_FLOW_EXIT;
	return is_text(v, "successAndExit") ? DOC_FLOW_SUCCESS_AND_EXIT : DOC_FLOW_NONE;
}

enum doc_flow
doc_on_success(const struct doc_step *s)
{
	return is_text(modifier(s, "onSuccess"), "exit") ? DOC_FLOW_EXIT : DOC_FLOW_NONE;
}

bool
doc_is_finally(const struct doc_step *s)
{
	const json_t *v = modifier(s, "finallyStep");

	return json_is_true(v) || is_text(v, "true");
}

const char *
doc_folder(const struct doc_step *s, size_t set)
{
	if (strcmp(s->id, s->action) != 0)
		return s->id;
	return json_str(json_array_get(s->sets, set), "id", "");
}

/* ------------------------------------------------------------------ ids */

char *
doc_command_id(const char *message_id)
{
	const char *last = strrchr(message_id, '.');
	const char *start = last;

	if (!text_starts(message_id, "aws.ssm."))
		return NULL;
	while (start > message_id && start[-1] != '.')
		start--;
	return start - message_id >= 8 && last > start ? xstrndup(start, (size_t)(last - start))
						       : NULL;
}

char *
doc_without_colons(const char *s)
{
	char *out = xstrdup(s), *to = out;

	for (const char *from = out; *from; from++)
		if (*from != ':')
			*to++ = *from;
	*to = '\0';
	return out;
}
