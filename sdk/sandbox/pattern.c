/* SPDX-License-Identifier: Apache-2.0 */
/* allowedPattern of documents and AllowedPattern of the parameter store. */
#include "sdk/sandbox/pattern.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/pattern/pattern.h"

static struct pattern *
compile(const char *source)
{
	autofree char *reason = NULL;

	return pattern_new(source, strlen(source), &reason);
}

bool
pattern_is_known(const char *source)
{
	struct pattern *p = compile(source);

	(void)pattern_free(p);
	return p != NULL;
}

/* What needs more memory than is allowed does not match. */
bool
pattern_matches(const char *source, const char *value, bool whole)
{
	autofree char *all = xasprintf("^(?:%s)$", source);
	struct pattern *p = pattern_is_known(source) ? compile(whole ? all : source) : NULL;
	bool good = !p || pattern_match(p, value, strlen(value)) == 1;

	(void)pattern_free(p);
	return good;
}
