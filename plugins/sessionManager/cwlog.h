/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a session in a log group of CloudWatch (spec 02 §8.2 to §8.5): as it grows, each
 * line within about a second, or as a whole at the end. */
#ifndef SSM_SESSIONMANAGER_CWLOG_H
#define SSM_SESSIONMANAGER_CWLOG_H

#include "plugins/sessionManager/logevent.h"
#include "plugins/sessionManager/logsink.h"

#define CWLOG_CALL_EVENTS 4 /* in one call */
#define CWLOG_PACE_MS 1000  /* between two calls */

struct cwlog;

/* Never NULL. GROUP is copied; HEAD (the caller's, may change) is what each event says. */
struct cwlog *cwlog_new(const struct logsink *sink, const char *group, bool streaming,
			const struct logevent_head *head, void *arg);
struct cwlog *cwlog_free(struct cwlog *l); /* NULL; NULL is fine. What runs ends without a word. */

/* Ask whether the group is there, and encrypted where that is wanted (DONE has the words of spec 02
 * §8.2 then), and make the stream. */
void cwlog_check(struct cwlog *l, logsink_fn *done);
/* After a check that went well: from now on the file is read. */
void cwlog_begin(struct cwlog *l);
/* There is more in the file. Streaming: complete lines go within a second or so. */
void cwlog_more(struct cwlog *l);
/* The log is whole: send what is not sent yet, in up to TRIES tries in a row without success. */
void cwlog_finish(struct cwlog *l, unsigned tries, logsink_fn *done);

/* For how long there was something to send and nothing was taken; 0: all is well. */
int64_t cwlog_stalled_ms(const struct cwlog *l);
/* The newest failure in words, "" when there is none. */
const char *cwlog_failure(const struct cwlog *l);

#endif
