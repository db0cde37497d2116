/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to its operation: routing, faults, signature, shape. */
#include "sdk/sandbox/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/text.h"
#include "sdk/sandbox/s3.h"
#include "sdk/sandbox/ssmmessages.h"
#include "sdk/sandbox/sts.h"

#define CONTENT_TYPE "application/x-amz-json-1.1"
#define AUTH "com.amazon.coral.service#"

static const struct {
	const char *prefix, *service;
} targets[] = {
	{ "EC2WindowsMessageDeliveryService.", "ec2messages" },
	{ "AmazonSSM.", "ssm" },
	{ "Logs_20140328.", "logs" },
	{ "TrentService.", "kms" },
};

static void
route(struct exchange *ex)
{
	const char *target = exchange_header(ex, "x-amz-target");

	if (s3_route(ex) || sts_route(ex))
		return;
	if (text_starts(ex->path, "/latest/")) {
		ex->service = "imds";
		ex->operation =
			xstrdup(strcmp(ex->path, "/latest/api/token") == 0 ? "PutToken" : ex->path);
	} else if (text_starts(ex->path, ECS_PATH)) {
		ex->service = "ecs";
		ex->operation = xstrdup("GetCredentials");
	}
	if (!*ex->service && ssmmessages_route(ex))
		return;
	for (size_t i = 0; !*ex->service && target && i < NELEMS(targets); i++) {
		if (!text_starts(target, targets[i].prefix))
			continue;
		ex->service = targets[i].service;
		ex->operation = xstrdup(target + strlen(targets[i].prefix));
	}
	if (!ex->operation)
		ex->operation = xstrdup("");
}

static void
verify_request_of(const struct exchange *ex, struct verify_request *ret)
{
	*ret = (struct verify_request){ .method = ex->method,
					.path = ex->path,
					.query = ex->query,
					.headers = ex->headers,
					.header_count = ex->header_count,
					.body = ex->body.p ? ex->body.p : "",
					.body_len = ex->body.len };
}

/* As services that answer in XML name them. */
static const char *
xml_code(const struct exchange *ex, const char *code)
{
	static const struct {
		const char *service, *code, *name;
	} names[] = {
		{ "", "InvalidSignatureException", "SignatureDoesNotMatch" },
		{ "", "ExpiredTokenException", "ExpiredToken" },
		{ "s3", "UnrecognizedClientException", "InvalidAccessKeyId" },
		{ "sts", "UnrecognizedClientException", "InvalidClientTokenId" },
	};

	for (size_t i = 0; i < NELEMS(names); i++)
		if (text_starts(ex->service, names[i].service) && strcmp(names[i].code, code) == 0)
			return names[i].name;
	return code;
}

bool
dispatch_check_signature(struct exchange *ex)
{
	bool s3 = strcmp(ex->service, "s3") == 0, xml = s3 || strcmp(ex->service, "sts") == 0;
	struct verify_rules rules = { .keys = ex->sb->keys,
				      .region = ex->region ? ex->region : ex->sb->set.region,
				      .single_encoding = s3,
				      .service = ex->service,
				      .now_ms = sandbox_now_ms(ex->sb),
				      .max_skew_ms = ex->sb->set.max_skew_ms };
	struct verify_request request;
	struct verify_result result;
	autofree char *code = NULL;
	int err;

	verify_request_of(ex, &request);
	verify_key_id(&request, ex->key_id, sizeof(ex->key_id));
	err = verify_check(&request, &rules, &result);
	if (result.key) {
		snprintf(ex->key_source, sizeof(ex->key_source), "%s", result.key->source);
		ex->side = result.key->side;
	}
	ex->verified = err == 0;
	if (!err)
		return true;
	code = xasprintf(AUTH "%s", xml ? xml_code(ex, result.code) : result.code);
	exchange_refuse(ex, xml ? 403 : 400, code, "%s", result.message);
	return false;
}

/* Headers that the service's clients send. */
static bool
check_headers(struct exchange *ex)
{
	static const char *const known[] = { "x-amz-date",	 "x-amz-security-token",
					     "x-amz-target",	 "x-amz-content-sha256",
					     "x-amz-user-agent", NULL };
	const char *type = exchange_header(ex, "content-type");
	const char *stray = exchange_stray_header(ex, known);

	if (stray) {
		exchange_refuse(ex, 400, "ValidationException",
				"header '%s' is unknown here or occurs more than once", stray);
		return false;
	}
	if (!type || strcmp(type, CONTENT_TYPE) != 0 ||
	    exchange_header_count(ex, "content-type") != 1) {
		exchange_refuse(ex, 400, "SerializationException",
				"Content-Type must be '" CONTENT_TYPE "', not '%.60s'",
				type ? type : "");
		return false;
	}
	return true;
}

static const struct operation *
find_in(const struct operation *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static const struct operation *
find_operation(const struct exchange *ex)
{
	static const struct operation *const ssm[] = {
		ssm_node_operations,	  ssm_operator_operations, ssm_document_operations,
		ssm_parameter_operations, ssm_session_operations,  ssm_tag_operations
	};
	const struct operation *op = NULL;

	if (strcmp(ex->service, "ec2messages") == 0)
		return find_in(ec2messages_operations, ex->operation);
	if (strcmp(ex->service, "kms") == 0)
		return find_in(kms_operations, ex->operation);
	if (strcmp(ex->service, "logs") == 0)
		return find_in(logs_operations, ex->operation);
	for (size_t i = 0; !op && i < NELEMS(ssm); i++)
		op = find_in(ssm[i], ex->operation);
	return op;
}

static bool
check_access(struct exchange *ex, const struct operation *op)
{
	if (ex->side == KEY_NODE ? op->node : op->op)
		return true;
	exchange_refuse(ex, 400, "AccessDeniedException",
			"User: arn:aws:sts::%s:assumed-role/%s/%s is not authorized to perform: "
			"%s:%s",
			ex->sb->set.account, ex->sb->set.role, ex->key_source, ex->service,
			ex->operation);
	return false;
}

static bool
check_body(struct exchange *ex, const struct operation *op)
{
	struct err e = { 0 };
	struct shape_error why;

	ex->request = json_parse(ex->body.p ? ex->body.p : "", ex->body.len, "body", &e);
	if (!ex->request) {
		exchange_refuse(ex, 400, "SerializationException", "%s", err_text(&e));
		return false;
	}
	if (shape_check(op->members, ex->request, &why) == 0)
		return true;
	exchange_refuse(ex, 400, why.code, "%s", why.text);
	return false;
}

static void
service_request(struct exchange *ex)
{
	const struct operation *op;

	rand_uuid4(ex->request_id);
	if (strcmp(ex->method, "POST") != 0 || strcmp(ex->path, "/") != 0) {
		exchange_refuse(ex, 404, AUTH "UnknownOperationException", "%s %s", ex->method,
				ex->path);
		return;
	}
	if (!dispatch_check_signature(ex) || !check_headers(ex))
		return;
	op = find_operation(ex);
	if (!op) {
		exchange_refuse(ex, 400, AUTH "UnknownOperationException",
				"%s has no operation '%.60s'", ex->service, ex->operation);
		return;
	}
	if (check_access(ex, op) && check_body(ex, op))
		op->run(ex);
}

static void
run_service(struct exchange *ex)
{
	if (ex->too_large || ex->too_many_headers)
		exchange_answer_text(ex, ex->too_large ? 413 : 431, "the request is too large\n");
	else if (strcmp(ex->service, "imds") == 0)
		imds_request(ex);
	else if (strcmp(ex->service, "ecs") == 0)
		ecs_request(ex);
	else if (strcmp(ex->service, "ssmmessages") == 0)
		ssmmessages_request(ex);
	else if (strcmp(ex->service, "s3") == 0)
		s3_request(ex);
	else if (strcmp(ex->service, "sts") == 0)
		sts_request(ex);
	else if (*ex->service)
		service_request(ex);
	else if (exchange_header(ex, "x-amz-target"))
		exchange_refuse(ex, 400, AUTH "UnknownOperationException",
				"no service for X-Amz-Target '%.80s'",
				exchange_header(ex, "x-amz-target"));
	else
		exchange_answer_text(ex, 404, "nothing here\n");
}

/* ---- faults ---- */

static const char *
default_code(unsigned status)
{
	return status == 429	? "ThrottlingException"
		: status == 403 ? "AccessDeniedException"
		: status >= 500 ? "InternalServerException"
				: "ValidationException";
}

static void
answer_status_fault(struct exchange *ex)
{
	const struct fault_hit *hit = &ex->fault;

	ex->retry_after = hit->retry_after;
	ex->retry_date = hit->retry_date;
	exchange_refuse(ex, hit->status, *hit->code ? hit->code : default_code(hit->status), "%s",
			hit->message);
}

static void
answer_garbage(struct exchange *ex)
{
	const char *type;
	size_t len;
	autofree char *data = faults_garbage(ex->fault.garbage, &len, &type);

	exchange_answer(ex, ex->fault.status, type, data, len);
}

/* The answer that a fault puts in place of the right one; false: the right one may come. */
static bool
answer_fault(struct exchange *ex)
{
	switch (ex->fault.kind) {
	case FAULT_STATUS:
		answer_status_fault(ex);
		return true;
	case FAULT_GARBAGE:
		answer_garbage(ex);
		return true;
	case FAULT_RESET:
	case FAULT_CLOSE:
		exchange_cut(ex, ex->fault.kind == FAULT_RESET);
		return true;
	case FAULT_HANG:
		exchange_watch_hangup(ex, NULL);
		return true;
	case FAULT_NONE:
	case FAULT_DELAY:
	case FAULT_TRUNCATE:
	case FAULT_SLOW:
	case FAULT_DUPLICATE:
	case FAULT_DROP:
	case FAULT_REORDER:
	case FAULT_CORRUPT:
		break;
	}
	return false;
}

static void
work(void *arg)
{
	struct exchange *ex = arg;

	if (ex->fault.after || !answer_fault(ex))
		run_service(ex);
}

bool
dispatch_spoil(struct exchange *ex)
{
	if (!ex->fault.after || ex->spoilt)
		return false;
	ex->spoilt = true;
	return answer_fault(ex);
}

void
dispatch_exchange(struct exchange *ex)
{
	route(ex);
	faults_pick(ex->sb->faults, ex->service, ex->operation, &ex->fault);
	if (!ex->fault.delay_ms) {
		work(ex);
		return;
	}
	ex->timer.fn = work;
	ex->timer.arg = ex;
	timer_in(ex->sb->ev, &ex->timer, ex->fault.delay_ms);
}
