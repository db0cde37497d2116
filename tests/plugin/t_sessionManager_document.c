/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of plugins/sessionManager/document.c: spec 02 sections 5.1 to 5.3. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "plugins/sessionManager/document.h"
#include "tests/unit/suite.h"

static struct err e;

static unsigned asked;

/* A parameter store with a text, a list, a secret, and another version of the text. */
static json_t *
answer(void *arg, const json_t *names, char **ret_trace)
{
	static const char *const known[][4] = {
		{ "/app/port", "/app/port", "String", "8080" },
		{ "/app/port:2", "/app/port", "String", "9090" },
		{ "hosts", "hosts", "StringList", "a,b" },
		{ "secret", "secret", "SecureString", "x" },
		{ "nested", "nested", "String", "{{ name }} {{ssm:hosts}}" },
	};
	json_t *parameters = json_array(), *invalid = json_array();
	const char *name;

	ck_assert_ptr_eq(arg, &asked);
	for (size_t i = 0; i < json_array_size(names); i++) {
		size_t n = 0;

		asked++;
		name = json_string_value(json_array_get(names, i));
		if (strcmp(name, "broken") == 0) {
			*ret_trace = xstrdup("Encountered error while calling GetParameters API");
			json_decref(parameters);
			json_decref(invalid);
			return NULL;
		}
		while (n < NELEMS(known) && strcmp(known[n][0], name) != 0)
			n++;
		if (n == NELEMS(known))
			(void)json_array_append_new(invalid, json_string(name));
		else
			(void)json_array_append_new(parameters,
						    json_pack("{s:s,s:s,s:s,s:i,s:s}", "Name",
							      known[n][1], "Type", known[n][2],
							      "Value", known[n][3], "Version",
							      strchr(name, ':') ? 2 : 7, "Selector",
							      strchr(name, ':') ? ":2" : ""));
	}
	return json_pack("{s:o,s:o}", "Parameters", parameters, "InvalidParameters", invalid);
}

static json_t *
read_text(const char *text)
{
	e = (struct err){ 0, "" };
	return document_read(text, strlen(text), answer, &asked, &e);
}

/* A start message whose document has these parameters and properties, PARAMETERS as given. */
static char *
start_text(const char *declared, const char *properties, const char *given)
{
	return xasprintf("{\"SessionId\":\"op-1\",\"DocumentContent\":{\"schemaVersion\":\"1.0\","
			 "\"sessionType\":\"Port\",\"inputs\":{},\"parameters\":%s,"
			 "\"properties\":%s},\"Parameters\":%s}",
			 declared, properties, given);
}

/* What becomes of PROPERTIES; WANT NULL: REASON says why nothing does. */
static void
check_filled(const char *declared, const char *given, const char *properties, const char *want,
	     const char *reason)
{
	autofree char *text = start_text(declared, properties, given);
	autojson json_t *o = read_text(text);
	autofree char *got = o ? json_text_sorted(json_object_get(o, "properties")) : NULL;

	if (want) {
		ck_assert_msg(o != NULL, "%s", e.text);
		ck_assert_str_eq(got, want);
	} else {
		ck_assert_msg(o == NULL, "%s", got);
		ck_assert_int_eq(e.code, -EINVAL);
		ck_assert_str_eq(e.text, reason);
	}
}

START_TEST(test_members)
{
	autojson json_t *o = read_text(
		"{\"sessionid\":\"op-1\",\"RunAsUser\":null,\"SessionOwner\":\"arn\",\"more\":[],"
		"\"documentcontent\":{\"SCHEMAVERSION\":\"1.0\",\"sessionType\":\"Port\","
		"\"inputs\":{\"a\":1},\"description\":7}}");
	autofree char *text = NULL;

	ck_assert_msg(o != NULL, "%s", e.text);
	text = json_text_sorted(o);
	ck_assert_str_eq(text,
			 "{\"DocumentName\":\"\",\"RunAsUser\":\"\",\"SessionId\":\"op-1\","
			 "\"SessionOwner\":\"arn\","
			 "\"inputs\":{\"a\":1},\"properties\":{},\"sessionType\":\"Port\"}");
}
END_TEST

START_TEST(test_values)
{
	static const char declared[] = "{\"a\":{\"default\":\"x\"},\"b\":{\"type\":\"String\"},"
				       "\"n\":{\"default\":7},\"o\":{\"default\":{\"k\":[1]}}}";

	check_filled(declared, "{}", "{\"p\":\"{{ a }}\"}", "{\"p\":\"x\"}", NULL);
	check_filled(declared, "{\"a\":\"y\"}", "{\"p\":\"{{a}}-{{  a }}\"}", "{\"p\":\"y-y\"}",
		     NULL);
	check_filled(declared, "{\"a\":null}", "{\"p\":\"{{ a }}\"}", "{\"p\":\"x\"}", NULL);
	check_filled(declared, "{}", "{\"p\":\"{{ b }}\",\"q\":\"<{{ b }}>\"}",
		     "{\"p\":null,\"q\":\"<null>\"}", NULL);
	check_filled(declared, "{}", "{\"p\":\"{{ n }}\",\"q\":\"n={{ n }}\"}",
		     "{\"p\":7,\"q\":\"n=7\"}", NULL);
	check_filled(declared, "{}", "{\"p\":[\"{{ o }}\"],\"q\":\" {{ o }}\"}",
		     "{\"p\":[{\"k\":[1]}],\"q\":\" {\\\"k\\\":[1]}\"}", NULL);
	check_filled(declared, "{\"a\":\"$$1 {{ b }}\"}",
		     "{\"p\":\"{{ a }}\",\"q\":\"{{ a }} $$\"}",
		     "{\"p\":\"$$1 {{ b }}\",\"q\":\"$1 {{ b }} $$\"}", NULL);
	check_filled(declared, "{}",
		     "{\"p\":\"{{ c }} {{ a\",\"{{ a }}\":{\"deep\":[[\"{{a}}\"]]}}",
		     "{\"p\":\"{{ c }} {{ a\",\"{{ a }}\":{\"deep\":[[\"x\"]]}}", NULL);
	check_filled("{}", "{\"a\":\"y\"}", "{\"p\":\"{{ a }}\"}", "{\"p\":\"{{ a }}\"}", NULL);
	check_filled("{\"a b\":{\"default\":\"x\"}}", "{\"a b\":\"y\"}", "{\"p\":\"{{ a b }}\"}",
		     "{\"p\":\"{{ a b }}\"}", NULL);
}
END_TEST

/* RE2 syntax, a search anywhere. */
START_TEST(test_patterns)
{
	static const char *const good[][2] = {
		{ "^[0-9]{1,5}$", "8080" },
		{ "\\\\d+", "port 80" },
		{ "^[\\\\w.-]+$", "db-1.internal" },
		{ "(?i)^yes$", "YES" },
		{ "^(?:a|bc)*?$", "abcbc" },
		{ "^\\\\p{Greek}+$", "\u03b1\u03b2" },
		{ "", "anything" },
	};
	static const char *const bad[][2] = {
		{ "^[0-9]{1,5}$", "80 " },
		{ "^[0-9]{1,5}$", "80\\n" },
		{ "^\\\\w$", "ab" },
		{ "\\\\bcat\\\\b", "concat" },
	};

	for (size_t i = 0; i < NELEMS(good); i++) {
		autofree char *declared =
			xasprintf("{\"a\":{\"allowedPattern\":\"%s\"}}", good[i][0]);
		autofree char *given = xasprintf("{\"a\":\"%s\"}", good[i][1]);

		check_filled(declared, given, "{}", "{}", NULL);
	}
	for (size_t i = 0; i < NELEMS(bad); i++) {
		autofree char *declared =
			xasprintf("{\"a\":{\"AllowedPattern\":\"%s\"}}", bad[i][0]);
		autofree char *given = xasprintf("{\"a\":\"%s\"}", bad[i][1]);

		check_filled(declared, given, "{}", NULL,
			     "parameter 'a' does not match its allowedPattern");
	}
	check_filled("{\"a\":{\"allowedPattern\":\"x\"}}", "{}", "{}", NULL,
		     "parameter 'a' is missing");
	check_filled("{\"a\":{\"allowedPattern\":\"^7$\",\"default\":7}}", "{}", "{}", "{}", NULL);
	check_filled("{\"a\":{\"allowedPattern\":\"(?=x)\"}}", "{\"a\":\"x\"}", "{}", NULL,
		     "the allowedPattern of parameter 'a' cannot be read: invalid or unsupported "
		     "Perl syntax: `(?=`");
}
END_TEST

/* First in the values, which have to match their patterns, then in what is left of the document. */
START_TEST(test_store)
{
	static const char declared[] =
		"{\"p\":{\"default\":\"{{ssm:/app/port}}\",\"allowedPattern\":\"^[0-9]+$\"},"
		"\"name\":{\"default\":\"n\"}}";

	asked = 0;
	check_filled(declared, "{}", "{\"a\":\"{{ p }}\",\"b\":\"{{ ssm:/app/port }}\"}",
		     "{\"a\":\"8080\",\"b\":\"8080\"}", NULL);
	ck_assert_uint_eq(asked, 1); /* each name once */
	check_filled(declared, "{\"p\":\"{{ssm:/app/port:2}}\"}", "{\"a\":\"{{ p }}\"}",
		     "{\"a\":\"9090\"}", NULL);
	check_filled(declared, "{\"p\":\"{{ssm:/app/port}} \"}", "{}", NULL,
		     "parameter 'p' does not match its allowedPattern");
	check_filled(declared, "{}", "{\"l\":[\"{{ssm:hosts}}\",\"c\"],\"s\":\"{{ssm:nested}}\"}",
		     "{\"l\":[\"a\",\"b\",\"c\"],\"s\":\"{{ name }} {{ssm:hosts}}\"}", NULL);
	check_filled(declared, "{}", "{\"s\":\"<{{ssm:hosts}}>\"}", NULL,
		     "Parameter hosts of type StringList cannot be used as a String");
	check_filled(declared, "{}", "{\"s\":\"{{ssm:secret}}\"}", NULL,
		     "Parameters [secret] of type SecureString are not supported");
	check_filled(declared, "{\"p\":\"{{ssm:none}}\"}", "{}", NULL,
		     "Input contains invalid parameters [none]");
	check_filled(declared, "{}", "{\"s\":\"{{ssm:broken}}\"}", NULL,
		     "Encountered error while calling GetParameters API");
	asked = 0;
	check_filled(declared, "{\"p\":\"1\"}", "{\"s\":\"{{ssm-secure:secret}} {{ssm:}}\"}",
		     "{\"s\":\"{{ssm-secure:secret}} {{ssm:}}\"}", NULL);
	ck_assert_uint_eq(asked, 0);
}
END_TEST

START_TEST(test_refused)
{
	static const char *const texts[][2] = {
		{ "", NULL },
		{ "[]", "the session is not a JSON object" },
		{ "{}", "the session has no document" },
		{ "{\"DocumentContent\":[]}", "the session has no document" },
		{ "{\"DocumentContent\":{}}", "the session document's schemaVersion is not 1.0" },
		{ "{\"DocumentContent\":{\"schemaVersion\":\"2.2\"}}",
		  "the session document's schemaVersion is not 1.0" },
		{ "{\"DocumentContent\":{\"schemaVersion\":\"1.0\"}}", "the session has no name" },
		{ "{\"SessionId\":7,\"DocumentContent\":{\"schemaVersion\":\"1.0\"}}",
		  "'SessionId' is not a text without NUL" },
		{ "{\"SessionId\":\"a\\u0000b\",\"DocumentContent\":{\"schemaVersion\":\"1.0\"}}",
		  "'SessionId' is not a text without NUL" },
		{ "{\"SessionId\":\"a\",\"DocumentContent\":{\"schemaVersion\":\"1.0\","
		  "\"inputs\":[]}}",
		  "'inputs' of the session document is not an object" },
	};

	for (size_t i = 0; i < NELEMS(texts); i++) {
		ck_assert_ptr_null(read_text(texts[i][0]));
		ck_assert_int_eq(e.code, -EINVAL);
		if (texts[i][1])
			ck_assert_str_eq(e.text, texts[i][1]);
	}
}
END_TEST

/* Values multiply. */
START_TEST(test_ceiling)
{
	autofree char *value = xmalloc(600001);
	autofree char *given = NULL;

	memset(value, 'x', 600000);
	value[600000] = '\0';
	given = xasprintf("{\"a\":\"%s\"}", value);
	check_filled("{\"a\":{}}", given, "{\"p\":\"{{ a }}{{ a }}\"}", NULL,
		     "a text of the session document is too long");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sessionManager document");
	TCase *tc = tcase_create("document");

	tcase_add_test(tc, test_members);
	tcase_add_test(tc, test_values);
	tcase_add_test(tc, test_patterns);
	tcase_add_test(tc, test_store);
	tcase_add_test(tc, test_refused);
	tcase_add_test(tc, test_ceiling);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
