/* SPDX-License-Identifier: Apache-2.0 */
/* Names of services as they sign, and their keys. */
#include "core/agent/endpoints.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/conf/conf.h"

const char *
endpoints_configured(void *conf, const char *service)
{
	static const char *const keys[][2] = {
		{ "ssm", "Ssm.Endpoint" }, { "ec2messages", "Mds.Endpoint" },
		{ "s3", "S3.Endpoint" },   { "logs", "Logs.Endpoint" },
		{ "kms", "Kms.Endpoint" }, { "ssmmessages", "Mgs.Endpoint" },
		{ "sts", "Sts.Endpoint" },
	};

	for (size_t i = 0; i < NELEMS(keys); i++)
		if (strcmp(keys[i][0], service) == 0)
			return conf_str(conf, keys[i][1]);
	return "";
}
