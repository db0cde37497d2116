/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON texts that are sent back, byte for byte as the service's readers know them (spec/01 1.8,
 * spec/03 3.7). */
#ifndef SSM_RUNCOMMAND_REPLY_H
#define SSM_RUNCOMMAND_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum status { /* in the order of merging: the later one wins */
	STATUS_SKIPPED,
	STATUS_SUCCESS,
	STATUS_SUCCESS_AND_REBOOT,
	STATUS_PASSED_AND_REBOOT,
	STATUS_NOT_STARTED,
	STATUS_IN_PROGRESS,
	STATUS_FAILED,
	STATUS_CANCELLED,
	STATUS_TIMED_OUT,
	STATUS_COUNT
};
const char *status_name(enum status s);

struct result { /* of one step; the texts are the owner's */
	const char *id, *action;
	enum status status;
	int code;
	char *output, *standard_output, *standard_error;
	size_t output_len, standard_output_len, standard_error_len;
	int64_t start_ms, end_ms;		 /* unix time */
	char *s3_bucket, *s3_prefix, *step_name; /* NULL without a bucket */
};
void result_done(struct result *r);
/* Free the three long texts; status and code stay, for they are counted. */
void result_forget_texts(struct result *r);

enum reply_channel {
	REPLY_CHANNEL_UNKNOWN,
	REPLY_CHANNEL_CLOSED,
	REPLY_CHANNEL_OPEN
};
struct reply_agent { /* additionalInfo */
	const char *lang, *name, *os, *os_version, *version;
	enum reply_channel channel;
};

/* Status of the document, from all results. */
enum status reply_document_status(const struct result *results, size_t count);
/* All return a text that the caller frees. */
/* Without a document: it could not be read; TRACE says why. */
char *reply_refused(const struct reply_agent *a, int64_t now_ms, const char *trace,
		    size_t *ret_len);
/* The SHOWN-th of COUNT results; or with SHOWN == COUNT the final one, which holds the result only
 * where there is one alone. */
char *reply_results(const struct reply_agent *a, int64_t now_ms, enum status document,
		    const struct result *results, size_t count, size_t shown, size_t *ret_len);

#endif
