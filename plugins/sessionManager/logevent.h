/* SPDX-License-Identifier: Apache-2.0 */
/* The log events of CloudWatch (spec 02 §8.4, §8.5): which bytes of a log become the next
 * one. Pure code. */
#ifndef SSM_SESSIONMANAGER_LOGEVENT_H
#define SSM_SESSIONMANAGER_LOGEVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/sbuf.h"

#define LOGEVENT_JSON_MAX 33000	 /* bytes of a JSON event */
#define LOGEVENT_TEXT_MAX 200000 /* bytes of a plain one */

struct logevent_head { /* what each JSON event says; none is NULL */
	const char *region, *node, *owner_arn, *user, *session;
};

/* An event of the complete lines at the beginning of TEXT, as many as it holds; LAST: of an
 * incomplete one at the end, too. A line that alone is too long is cut between characters. The
 * event goes to OUT, which is empty; how many bytes of TEXT it stands for, 0: no line is complete.
 */
size_t logevent_json(const struct logevent_head *h, struct span text, bool last, int64_t now_ms,
		     struct sbuf *out);
size_t logevent_text(struct span text, bool last, struct sbuf *out);

#endif
