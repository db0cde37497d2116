/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of replies, to the byte. Files are in output_file.c. */
#include "plugins/runCommand/output.h"

#include <string.h>

#include "core/base/text.h"

static const char stream_marker[] = "--output truncated--";
static const char error_title[] = "\n----------ERROR-------\n";
static const char out_marker[] = "\n---Output truncated---";
static const char err_marker[] = "\n---Error truncated----";

#define LEN(text) (sizeof(text) - 1)

/* The first LEN bytes, less where that would cut a character. */
static void
add_cut(struct sbuf *b, struct span head, size_t len)
{
	if (len > head.len)
		len = head.len;
	sbuf_add(b, head.p, text_utf8_floor(head.p, head.len, len));
}

static void
add_whole(struct sbuf *b, struct span head)
{
	if (head.len > 0)
		sbuf_add(b, head.p, head.len);
}

void
output_add_stream(struct sbuf *b, struct span head, uint64_t total)
{
	if (total < OUTPUT_STREAM_LIMIT) {
		add_whole(b, head);
		return;
	}
	add_cut(b, head, OUTPUT_STREAM_LIMIT - LEN(stream_marker));
	sbuf_adds(b, stream_marker);
}

/* The four cases of spec/01 1.9; half is rounded down, as there. */
void
output_add_combined(struct sbuf *b, struct span out, uint64_t out_total, struct span err,
		    uint64_t err_total)
{
	const char *title = err_total > 0 ? error_title : "";
	size_t avail = OUTPUT_COMBINED_LIMIT - strlen(title);
	bool long_out = out_total > avail / 2, long_err = err_total > avail / 2;
	size_t k = (avail - LEN(out_marker) - LEN(err_marker)) / 2;
	bool whole = out_total + err_total < avail;
	bool cut_out = !whole && long_out, cut_err = !whole && !(long_out && !long_err);

	if (cut_out)
		add_cut(b, out, cut_err ? k : avail - LEN(out_marker) - (size_t)err_total);
	else
		add_whole(b, out);
	sbuf_adds(b, cut_out ? out_marker : "");
	sbuf_adds(b, title);
	if (cut_err)
		add_cut(b, err, cut_out ? k : avail - LEN(err_marker) - (size_t)out_total);
	else
		add_whole(b, err);
	sbuf_adds(b, cut_err ? err_marker : "");
}
