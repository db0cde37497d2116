/* SPDX-License-Identifier: Apache-2.0 */
/* The line that says of a command which it was, as whom it ran, when, and to which end. */
#include "plugins/runCommand/audit.h"

#include <inttypes.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/text.h"

/* Of the first step that has one that is not 0. */
static int
exit_code(const struct audit *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->results[i].code != 0)
			return a->results[i].code;
	return 0;
}

void
audit_command(struct ssm *S, const struct audit *a)
{
	autofree char *id = text_quote(a->id, 64), *document = text_quote(a->document, 200);
	int64_t now_ms = clock_wall_ms();
	char began[TEXT_STAMP_SIZE], ended[TEXT_STAMP_SIZE];

	text_iso8601_ms(a->count ? a->results[0].start_ms : now_ms, began);
	text_iso8601_ms(now_ms, ended);
	ssm_log(S, SSM_INFO,
		"audit: command %s, document %s, run as uid %u: %s, exit %d, from %s to %s, %zu "
		"step(s), %" PRIu64 " bytes out",
		id, document, (unsigned)geteuid(), status_name(a->status), exit_code(a), began,
		ended, a->count, a->bytes);
}
