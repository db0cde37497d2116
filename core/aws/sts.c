/* SPDX-License-Identifier: Apache-2.0 */
/* The form of STS: parameters as of a web form, answers in XML. */
#include "core/aws/sts.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define CALL "Action=GetCallerIdentity&Version=2011-06-15"
#define OPEN "<Arn>"
#define ARN_MAX 2048u

const struct aws_request sts_caller_request = {
	.service = "sts",
	.content_type = "application/x-www-form-urlencoded; charset=utf-8",
	.body = CALL,
	.body_len = sizeof(CALL) - 1,
	.timeout_ms = 2000,
	.max_bytes = 65536,
};

char *
sts_caller_arn(const struct aws_reply *r)
{
	const char *start = r->result == 0 && r->body ? strstr(r->body, OPEN) : NULL;
	size_t len = start ? strcspn(start + strlen(OPEN), "<") : 0;

	return len > 0 && len <= ARN_MAX ? text_escape_controls(start + strlen(OPEN), len) : NULL;
}
