/* SPDX-License-Identifier: Apache-2.0 */
/* The payloads of the data channel's messages (spec 02 §2.5, §3.3, §4, §5.5, §5.7): what the
 * client sends is read by strict rules, what it gets is written byte by byte as the reference does.
 * Pure code. */
#ifndef SSM_SESSIONMANAGER_MESSAGES_H
#define SSM_SESSIONMANAGER_MESSAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/err.h"
#include "core/base/sbuf.h"
#include "plugins/sessionManager/frame.h"

/* Payload types of stream messages, spec 02 §2.5. */
enum payload_type {
	PAYLOAD_OUTPUT = 1,
	PAYLOAD_ERROR = 2,
	PAYLOAD_SIZE = 3,
	PAYLOAD_PARAMETER = 4,
	PAYLOAD_HANDSHAKE_REQUEST = 5,
	PAYLOAD_HANDSHAKE_RESPONSE = 6,
	PAYLOAD_HANDSHAKE_COMPLETE = 7,
	PAYLOAD_CHALLENGE_REQUEST = 8,
	PAYLOAD_CHALLENGE_RESPONSE = 9,
	PAYLOAD_FLAG = 10,
	PAYLOAD_STDERR = 11,
	PAYLOAD_EXIT_CODE = 12,
};

enum session_flag {
	FLAG_DISCONNECT_TO_PORT = 1,
	FLAG_TERMINATE_SESSION = 2,
	FLAG_CONNECT_TO_PORT_ERROR = 3,
};

#define MESSAGE_MAX_SMALL 4096		 /* bytes of any payload but a handshake response */
#define MESSAGE_MAX_HANDSHAKE (64 * 1024) /* of a handshake response */
#define MESSAGE_MAX_ACTIONS 16		 /* client actions in one; we ask for two */
#define MESSAGE_VERSION_SIZE 64
#define MESSAGE_KMS_KEY_MAX 8192 /* characters of an encrypted data key */

/* All readers: keys match in any case, unknown keys are passed over, null is absent, absent is 0 or
 * empty, a wrong type refuses the message (spec 02 §2.6). -EMSGSIZE for more bytes than the limits
 * above, else -EBADMSG; RET is written only on success. */

/* An acknowledgement: the number, which is not negative, and what stands for the id of the message,
 * "" where that is no UUID. */
int message_read_ack(struct span payload, int64_t *ret_seq, char ret_id[FRAME_UUID_SIZE],
		     struct err *e);
int message_read_size(struct span payload, uint32_t *ret_cols, uint32_t *ret_rows, struct err *e);
int message_read_flag(struct span payload, uint32_t *ret_flag, struct err *e); /* any value */
/* RET_SESSION (freed by the caller) may be "". */
int message_read_closed(struct span payload, char **ret_session, struct err *e);
/* The bytes behind the base64 of an answered challenge; not empty, freed by the caller. */
int message_read_challenge(struct span payload, unsigned char **ret, size_t *ret_len,
			   struct err *e);

struct handshake_response {
	char client_version[MESSAGE_VERSION_SIZE]; /* as said, may be "" */
	bool session_type;			   /* it took the session type */
	bool kms;				   /* it took the encryption */
	char *kms_key;				   /* base64 of the encrypted data key; with KMS */
	bool challenge_known;			   /* the key's context holds the challenge */
	char *failure; /* "<ActionType> failed on client with status ...", or NULL */
};

/* RET is to be given to handshake_response_done(). An action that failed is no error here. */
int message_read_handshake(struct span payload, struct handshake_response *ret, struct err *e);
void handshake_response_done(struct handshake_response *r); /* also of zeros */

struct handshake_request {
	const char *agent_version; /* four numbers; it steers the client (spec 02 §4.2) */
	const char *session_type;
	const json_t *properties; /* NULL: null */
	const char *kms_key_id;	  /* NULL: no encryption is asked for */
	const char *challenge;	  /* base64; with KMS_KEY_ID */
};

/* All writers append to OUT: 0 or OUT's -E2BIG. Texts need not be UTF-8. */
int message_write_ack(const struct frame *of, struct sbuf *out);
int message_write_state(const char *state, const char *session, struct sbuf *out);
int message_write_flag(enum session_flag flag, struct sbuf *out);
int message_write_exit_code(int code, struct sbuf *out);
int message_write_challenge(const void *data, size_t len, struct sbuf *out);
int message_write_handshake(const struct handshake_request *r, struct sbuf *out);
int message_write_complete(int64_t took_ns, const char *text, struct sbuf *out);

/* Part by part as numbers; when all common parts are equal the longer one is greater (spec 02
 * §7.1). A part that is no number counts as 0. Negative, 0, positive. */
int version_compare(const char *a, const char *b);

#endif
