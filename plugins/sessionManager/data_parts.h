/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the data channel: what data.c, data_out.c and data_in.c share. */
#ifndef SSM_SESSIONMANAGER_DATA_PARTS_H
#define SSM_SESSIONMANAGER_DATA_PARTS_H

#include "core/base/list.h"
#include "plugins/sessionManager/data.h"
#include "plugins/sessionManager/frame.h"

/* A frame on its way out. */
struct data_out {
	struct list link;
	int64_t seq, sent_ms;
	uint64_t first_turn, last_turn; /* which transmission of all it was */
	unsigned int tries;		/* transmissions since it was last new to a connection */
	bool stale;			/* sent too often to count in the window */
	bool repeated;			/* its acknowledgement tells no round-trip time */
	size_t len;
	unsigned char frame[];
};

/* A message of the stream that waits for its turn. */
struct data_in {
	struct list link;
	int64_t seq;
	uint32_t type;
	size_t len;
	char payload[];
};

#define DATA_ALONE 64

struct data {
	const struct data_ops *ops;
	void *arg;
	char *session;

	bool up, was_up, blocked, paused;
	int64_t timer_ms; /* when data_timer() will be called; INT64_MAX: it was not asked for */
	struct list control; /* data_out: acknowledgements and states, sent once */
	size_t control_count;
	char alone[DATA_ALONE][FRAME_UUID_SIZE]; /* ids of the latest of them */
	size_t alone_next;

	int64_t next_seq;
	struct list queue;  /* data_out, to be sent as soon as can be, by number */
	struct list flying; /* data_out, by the time they were sent */
	struct list stale;  /* data_out, sent too often to count in the window */
	int64_t stale_due_ms; /* not later than the first of them is overdue */
	size_t fresh_bytes, kept_bytes, kept_count;
	uint64_t turn, proof; /* transmissions; the latest one known to have arrived */
	double rtt_ms, rttvar_ms;
	int64_t rto_ms, backed_off_ms;
	bool wants_room;

	bool ending, ended;
	int64_t deadline_ms;

	int64_t expected;
	bool has_digests; /* the client's are those of the chapter */
	struct list store; /* data_in, by number */
	size_t store_bytes;
};

/* data.c: send what can be sent, call writable() and ended() if it is time, set the timer. */
void data_pump(struct data *d);

/* data_out.c */
void data_out_init(struct data *d);
void data_out_done(struct data *d);
/* A frame of TYPE that is not part of the stream, into the control list. */
void data_out_control(struct data *d, const char *type, struct span payload);
bool data_out_flush_control(struct data *d); /* false: the connection takes no more */
void data_out_flush(struct data *d);
void data_out_acked(struct data *d, int64_t seq, const char *id);
void data_out_requeue_all(struct data *d);	/* for a new connection */
void data_out_requeue_overdue(struct data *d);
int64_t data_out_due_ms(const struct data *d); /* when the next is overdue; INT64_MAX: none */
bool data_out_has_room(const struct data *d, size_t part); /* of the window, 1/PART being free */

/* data_in.c */
void data_in_init(struct data *d);
void data_in_done(struct data *d);
int data_in_take(struct data *d, const struct frame *f, struct err *e);

#endif
