/* SPDX-License-Identifier: Apache-2.0 */
/* The document-level replies that the core itself writes. spec/01 section 1.8. */
#ifndef SSM_AWS_NOTICE_H
#define SSM_AWS_NOTICE_H

#include <stddef.h>
#include <stdint.h>

struct notice_agent { /* additionalInfo.agent */
	const char *lang, *name, *os, *os_version, *version;
};
enum notice_channel {
	NOTICE_CHANNEL_UNKNOWN,
	NOTICE_CHANNEL_CLOSED,
	NOTICE_CHANNEL_OPEN
};
/* The payload text: STATUS "InProgress" "Failed" "Cancelled" "TimedOut"; TRACE may be "". Caller
 * frees. */
char *notice_payload(const struct notice_agent *agent, int64_t now_unix_ms, const char *status,
		     const char *trace, enum notice_channel channel);

#endif
