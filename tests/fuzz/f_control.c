/* SPDX-License-Identifier: Apache-2.0 */
/* What the service says over the control channel but for frames: the XML with the token, the JSON
 * of jobs, acknowledgements and starts of sessions; and replies that have to be made shorter. */
#include "tests/fuzz/fuzz.h"

#include "plugins/sessionManager/control_messages.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autofree char *copy = size ? xmemdup(data, size) : xstrdup("");
	struct span p = { copy, size };
	struct control_job j;
	struct err e = { 0, "" };
	char *text = control_token_read(copy, size, &e);

	if (text)
		FUZZ_CHECK(*text && strlen(text) <= size && text_utf8_valid(text, strlen(text)));
	else
		fuzz_check_message(err_text(&e));
	free(text);
	if (control_job_read(p, &j, &e) == 0)
		FUZZ_CHECK(*j.id && *j.topic && j.content);
	else
		fuzz_check_message(err_text(&e));
	control_job_done(&j);
	free(control_reply_ack_read(p, &e));
	free(control_task_ack_read(p, &e));
	text = NULL;
	free(control_shell_read(p, &text, &e));
	free(text);
	text = control_content_fit(copy, size);
	FUZZ_CHECK(!text || strlen(text) <= CONTROL_CONTENT_MAX);
	free(text);
	return 0;
}
