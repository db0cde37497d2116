/* SPDX-License-Identifier: Apache-2.0 */
/* Region and service to URL: partitions, overrides. spec/01 sections 3.4, 3.5. */
#ifndef SSM_AWS_ENDPOINT_H
#define SSM_AWS_ENDPOINT_H

#include "core/base/err.h"

struct endpoint_options {
	const char *region;	    /* of the identity */
	const char *service_domain; /* Agent.ServiceDomain or "" */
	const char *override;	    /* Ssm.Endpoint ... or "" : URL or host[:port] */
};
/* Base URL without final '/', "https://ssm.eu-central-1.amazonaws.com". AWS_ENDPOINT_URL_<SERVICE>
 * and AWS_ENDPOINT_URL come after the configured override. Caller frees. -EINVAL for a bad region
 * or override. */
int endpoint_url(const char *service, const struct endpoint_options *o, char **ret, struct err *e);

#endif
