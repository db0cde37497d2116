/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential back-off with full jitter, Retry-After, and which failures are worth another try. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/net/retry.h"

#define RETRY_AFTER_MAX_MS (15 * 60 * 1000)
#define BUDGET_FULL 500
#define BUDGET_COST 5

static const char *const throttle_codes[] = {
	"ProvisionedThroughputExceededException",
	"ThrottledException",
	"Throttling",
	"ThrottlingException",
	"RequestLimitExceeded",
	"RequestThrottled",
	"RequestThrottledException",
	"TooManyRequestsException",
	"PriorRequestNotComplete",
	"TransactionInProgressException",
	"EC2ThrottledException",
	"BandwidthLimitExceeded",
	"LimitExceededException",
	"SlowDown",
	NULL,
};

static const char *const transport_codes[] = {
	"RequestTimeout",
	"RequestTimeoutException",
	"ResponseTimeout",
	"RequestError",
	"InternalServerException",
	"InternalServerError",
	"InternalFailure",
	"InternalError",
	"ServiceUnavailable",
	"ServiceUnavailableException",
	NULL,
};

static const char *const auth_codes[] = {
	"ExpiredToken",
	"ExpiredTokenException",
	"UnrecognizedClientException",
	"UnrecognizedClient",
	"InvalidClientTokenId",
	"InvalidAccessKeyId",
	"InvalidToken",
	"TokenRefreshRequired",
	"AuthFailure",
	"IncompleteSignature",
	"IncompleteSignatureException",
	"MissingAuthenticationToken",
	"MissingAuthenticationTokenException",
	NULL,
};

static const char *const skew_codes[] = {
	"InvalidSignatureException",
	"InvalidSignature",
	"SignatureDoesNotMatch",
	"RequestTimeTooSkewed",
	"RequestExpired",
	"RequestInTheFuture",
	NULL,
};

void
retry_init(struct retry *r, int64_t base_ms, int64_t cap_ms)
{
	*r = (struct retry){ .base_ms = base_ms, .cap_ms = cap_ms };
}

int64_t
retry_next_ms(struct retry *r, int64_t at_least_ms)
{
	int64_t upper = r->base_ms > 0 ? r->base_ms : 0, wait;

	for (unsigned i = 0; i < r->failures && upper > 0 && upper < r->cap_ms; i++)
		upper = upper > INT64_MAX / 2 ? INT64_MAX : upper * 2;
	if (upper > r->cap_ms)
		upper = r->cap_ms > 0 ? r->cap_ms : 0;
	if (r->failures < UINT32_MAX)
		r->failures++;
	wait = rand_between(0, upper);
	return wait > at_least_ms ? wait : at_least_ms;
}

void
retry_reset(struct retry *r)
{
	r->failures = 0;
}

static bool
listed(const char *const *list, const char *code)
{
	for (; *list; list++)
		if (strcmp(*list, code) == 0)
			return true;
	return false;
}

static enum retry_class
classify_transport(int result)
{
	if (result == -ENOKEY)
		return RETRY_AUTH;
	/* The same question gives the same too long answer. */
	return result == -E2BIG || result == -EINVAL ? RETRY_NO : RETRY_TRANSPORT;
}

enum retry_class
retry_classify(int result, int status, const char *code)
{
	if (result < 0 && result != -EREMOTEIO)
		return classify_transport(result);
	if (code && listed(throttle_codes, code))
		return RETRY_THROTTLED;
	if (code && listed(auth_codes, code))
		return RETRY_AUTH;
	if (code && listed(skew_codes, code))
		return RETRY_SKEW;
	if (code && listed(transport_codes, code))
		return RETRY_TRANSPORT;
	if (status == 429)
		return RETRY_THROTTLED;
	return status >= 500 || status == 408 ? RETRY_TRANSPORT : RETRY_NO;
}

int64_t
retry_after_ms(const char *value, int64_t now_unix_ms)
{
	int64_t seconds, at, wait = 0;

	if (!value)
		return 0;
	if (text_to_i64(value, 0, INT64_MAX / 1000, &seconds) == 0)
		wait = seconds * 1000;
	else if (text_from_http_date(value, &at) == 0 && at > now_unix_ms)
		wait = at - now_unix_ms;
	return wait > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait;
}

void
retry_budget_init(struct retry_budget *b)
{
	b->tokens = BUDGET_FULL;
}

bool
retry_budget_take(struct retry_budget *b)
{
	if (b->tokens < BUDGET_COST)
		return false;
	b->tokens -= BUDGET_COST;
	return true;
}

void
retry_budget_give(struct retry_budget *b, bool was_retried)
{
	b->tokens += was_retried ? BUDGET_COST + 1 : 1;
	if (b->tokens > BUDGET_FULL)
		b->tokens = BUDGET_FULL;
}
