/* SPDX-License-Identifier: Apache-2.0 */
/* Whose credentials these are: GetCallerIdentity of STS, which needs no permission. spec/03 section
 * 7, get-diagnostics. */
#ifndef SSM_AWS_STS_H
#define SSM_AWS_STS_H

#include "core/aws/call.h"

/* For aws_start(); 2 s. Its answer is XML. */
extern const struct aws_request sts_caller_request;
/* The ARN in a good answer; caller frees. NULL: there is none. */
char *sts_caller_arn(const struct aws_reply *r);

#endif
