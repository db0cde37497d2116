/* SPDX-License-Identifier: Apache-2.0 */
/* Signs what comes as one JSON object a line, for the comparison with another signer. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/sigv4.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/base/text.h"

static const char *
authorization_of(char *const *headers)
{
	for (; *headers; headers++)
		if (text_starts(*headers, "Authorization: "))
			return *headers + strlen("Authorization: ");
	return "";
}

static json_t *
sign_headers(const struct sigv4_request *r, const struct sigv4_key *key)
{
	autostrv char **wire = NULL;
	struct sigv4_parts p = { 0 };
	struct err e = { 0 };
	json_t *v;

	if (sigv4_sign_headers(r, key, &wire, &p, &e) < 0)
		return json_pack("{s:s}", "error", err_text(&e));
	v = json_pack("{s:s, s:s}", "result", authorization_of(wire), "canonical", p.canonical);
	sigv4_parts_done(&p);
	return v;
}

static json_t *
sign_query(const struct sigv4_request *r, const struct sigv4_key *key)
{
	autofree char *url = NULL;
	struct sigv4_parts p = { 0 };
	struct err e = { 0 };
	json_t *v;

	if (sigv4_sign_query(r, key, 600, &url, &p, &e) < 0)
		return json_pack("{s:s}", "error", err_text(&e));
	v = json_pack("{s:s, s:s}", "result", url, "canonical", p.canonical);
	sigv4_parts_done(&p);
	return v;
}

static json_t *
sign(const json_t *q)
{
	autostrv char **headers = NULL;
	const char *body = json_str(q, "body", "");
	const struct sigv4_key key = { json_str(q, "access", ""), json_str(q, "secret", ""),
				       json_str(q, "token", NULL) };
	struct sigv4_request r = {
		.method = json_str(q, "method", ""),
		.url = json_str(q, "url", ""),
		.body = body,
		.body_len = strlen(body),
		.region = json_str(q, "region", ""),
		.service = json_str(q, "service", ""),
		.when = (time_t)json_int(q, "when", 0),
	};
	const json_t *line;
	size_t i;

	json_array_foreach(json_object_get(q, "headers"), i, line)
		strv_add(&headers, json_string_value(line));
	r.headers = headers;
	return json_bool(q, "query", false) ? sign_query(&r, &key) : sign_headers(&r, &key);
}

int
main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, stdin)) > 0) {
		autojson json_t *q = json_parse(line, (size_t)len, "the line", NULL);
		autojson json_t *v = q ? sign(q) : json_pack("{s:s}", "error", "no JSON");
		autofree char *text = json_text(v);

		puts(text);
	}
	free(line);
	return EXIT_SUCCESS;
}
