/* SPDX-License-Identifier: Apache-2.0 */
/* Region and service to URL: partitions, overrides. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/aws/endpoint.h"
#include "core/base/mem.h"
#include "core/base/text.h"
#include "core/net/url.h"

#define REGION_MAX 100u

static const struct {
	const char *prefix, *domain;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn" },	  { "us-iso-", "c2s.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov" },  { "us-isof-", "csp.hci.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk" }, { "eusc-de-", "amazonaws.eu" },
};

static const char *
domain_of(const char *region)
{
	for (size_t i = 0; i < NELEMS(partitions); i++)
		if (text_starts(region, partitions[i].prefix))
			return partitions[i].domain;
	return "amazonaws.com";
}

static int
check_region(const char *region, struct err *e)
{
	size_t len = region ? strlen(region) : 0;

	if (len == 0)
		return err_set(e, -EINVAL, "no region is known: set Agent.Region or AWS_REGION");
	if (len > REGION_MAX)
		return err_set(e, -EINVAL, "the region has %zu characters, at most %u are taken",
			       len, REGION_MAX);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)region[i]) && region[i] != '-') {
			autofree char *shown = text_quote(region, 64);

			return err_set(e, -EINVAL,
				       "region %s: only letters, digits and '-' are taken", shown);
		}
	return 0;
}

/* AWS_ENDPOINT_URL_<SERVICE>, then AWS_ENDPOINT_URL, as the AWS command line has them. */
static const char *
environment_override(const char *service)
{
	const char *ignore = secure_getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), *value;
	autofree char *name = xasprintf("AWS_ENDPOINT_URL_%s", service);

	if (ignore && strcasecmp(ignore, "true") == 0)
		return NULL;
	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	value = secure_getenv(name);
	return value && value[0] ? value : secure_getenv("AWS_ENDPOINT_URL");
}

static void
drop_final_slashes(char *s)
{
	size_t len = strlen(s);

	while (len > 0 && s[len - 1] == '/')
		s[--len] = '\0';
}

static int
from_override(const char *service, const char *given, char **ret, struct err *e)
{
	/* Its WebSockets begin as HTTP, and are named either way. */
	bool ws = strcmp(service, "ssmmessages") == 0 &&
		(text_starts(given, "ws://") || text_starts(given, "wss://"));
	autofree char *text = ws       ? xasprintf("http%s", given + 2)
		: strstr(given, "://") ? xstrdup(given)
				       : xasprintf("https://%s", given);
	autofree char *shown = text_quote(given, 128);
	autourl struct url u = { 0 };

	int n = url_parse(text, &u, e);

	if (n < 0) {
		err_prefix(e, "endpoint %s of %s", shown, service);
		return n;
	}
	if (strcmp(u.scheme, "http") != 0 && strcmp(u.scheme, "https") != 0)
		return err_set(e, -EINVAL, "endpoint %s of %s: the scheme is http or https", shown,
			       service);
	if (u.query)
		return err_set(e, -EINVAL, "endpoint %s of %s: a query is not taken", shown,
			       service);
	*ret = url_text(&u);
	drop_final_slashes(*ret);
	return 0;
}

int
endpoint_url(const char *service, const struct endpoint_options *o, char **ret, struct err *e)
{
	const char *given = o->override, *domain = o->service_domain;
	autofree char *text = NULL;
	int r;

	if (!given || !given[0])
		given = environment_override(service);
	if (given && given[0])
		return from_override(service, given, ret, e);
	r = check_region(o->region, e);
	if (r < 0)
		return r;
	text = xasprintf("%s.%s.%s", service, o->region,
			 domain && domain[0] ? domain : domain_of(o->region));
	return from_override(service, text, ret, e);
}
