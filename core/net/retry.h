/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential back-off with full jitter, Retry-After, and which failures are worth another try. */
#ifndef SSM_NET_RETRY_H
#define SSM_NET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
	int64_t base_ms, cap_ms;
	unsigned failures;
};

void retry_init(struct retry *r, int64_t base_ms, int64_t cap_ms);
/* Count a failure and give the wait: uniform in [0, min(cap, base * 2^n)], at least AT_LEAST_MS. */
int64_t retry_next_ms(struct retry *r, int64_t at_least_ms);
void retry_reset(struct retry *r);

enum retry_class {
	RETRY_NO,	 /* a refusal that stays one */
	RETRY_TRANSPORT, /* no answer, 5xx: base 0.5 s, cap 60 s */
	RETRY_THROTTLED, /* 429 and the throttle codes: base 2 s, cap 300 s, Retry-After */
	RETRY_AUTH,	 /* expired or refused credentials: refresh, base 5 s, cap 300 s */
	RETRY_SKEW,	 /* refused for its time: adopt the server's clock, once */
};
#define RETRY_BASE_MS 500
#define RETRY_CAP_MS 60000
#define RETRY_THROTTLED_BASE_MS 2000
#define RETRY_THROTTLED_CAP_MS 300000

/* Further attempts that all calls share, so that an outage does not multiply the traffic: each
 * takes from the budget, successes refill it. */
struct retry_budget {
	int tokens;
};
void retry_budget_init(struct retry_budget *b);
bool retry_budget_take(struct retry_budget *b);
void retry_budget_give(struct retry_budget *b, bool was_retried);

/* From the transport's result, HTTP status and the service's error code (may be NULL). spec/01
 * section 4.4. */
enum retry_class retry_classify(int result, int status, const char *code);
/* Retry-After as ms from now (seconds or HTTP date), 0 when absent or silly (> 15 min is cut). */
int64_t retry_after_ms(const char *value, int64_t now_unix_ms);

#endif
