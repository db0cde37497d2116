/* SPDX-License-Identifier: Apache-2.0 */
/* GetCallerIdentity, which is open to everybody who has a key. Its request is a web form, its
 * answer XML. */
#include "sdk/sandbox/sts.h"

#include <string.h>

#include "core/base/mem.h"
#include "core/base/text.h"
#include "sdk/sandbox/dispatch.h"

#define SCOPE_END "/sts/aws4_request,"
#define CALL "Action=GetCallerIdentity&Version=2011-06-15"
#define FORM "application/x-www-form-urlencoded"

bool
sts_route(struct exchange *ex)
{
	const char *authorization = exchange_header(ex, "authorization");

	if (!authorization || !strstr(authorization, SCOPE_END))
		return false;
	ex->service = "sts";
	ex->operation = xstrdup(strcmp(sbuf_str(&ex->body), CALL) == 0 ? "GetCallerIdentity" : "");
	return true;
}

static bool
check_request(struct exchange *ex)
{
	const char *type = exchange_header(ex, "content-type");

	if (strcmp(ex->method, "POST") == 0 && strcmp(ex->path, "/") == 0 && !*ex->query && type &&
	    text_starts(type, FORM) && *ex->operation)
		return true;
	exchange_refuse(ex, 400, "InvalidAction",
			"GetCallerIdentity of version 2011-06-15 by POST is all there is here");
	return false;
}

/* The session of a role is named after the instance, or after its operator. */
static char *
caller_arn(const struct exchange *ex)
{
	bool node = ex->side == KEY_NODE;

	return xasprintf("arn:aws:sts::%s:assumed-role/%s/%s", ex->sb->set.account,
			 node ? ex->sb->set.role : "Operator",
			 node ? ex->sb->set.instance : "op@example.com");
}

void
sts_request(struct exchange *ex)
{
	autofree char *arn = NULL, *text = NULL;

	if (!dispatch_check_signature(ex) || !check_request(ex))
		return;
	arn = caller_arn(ex);
	text = xasprintf(
		"<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n"
		"  <GetCallerIdentityResult>\n    <Arn>%s</Arn>\n    <UserId>%s:%s</UserId>\n"
		"    <Account>%s</Account>\n  </GetCallerIdentityResult>\n"
		"  <ResponseMetadata>\n    <RequestId>%s</RequestId>\n  </ResponseMetadata>\n"
		"</GetCallerIdentityResponse>\n",
		arn, ex->key_id, strrchr(arn, '/') + 1, ex->sb->set.account, ex->request_id);
	exchange_answer(ex, 200, "text/xml", text, strlen(text));
}
