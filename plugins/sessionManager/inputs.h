/* SPDX-License-Identifier: Apache-2.0 */
/* What a session document asks for (spec 02 §5.2), after its parameters have been put in: the
 * inputs of all sessions, the properties of those that run commands or forward a port. */
#ifndef SSM_SESSIONMANAGER_INPUTS_H
#define SSM_SESSIONMANAGER_INPUTS_H

#include <jansson.h>
#include <stdbool.h>

#include "core/base/err.h"

/* Texts are never NULL in what was read. */
struct session_inputs {
	char *s3_bucket, *s3_prefix, *log_group, *kms_key_id, *run_as_user, *shell_profile;
	bool s3_encrypted, log_encrypted, log_streaming, run_as;
};

struct command_properties {
	char *commands, *stdout_prefix, *stderr_prefix;
	bool elevated, separate_output;
};

struct port_properties {
	char *port, *host, *type; /* the port may be any text */
};

/* Keys in any case, strangers passed over, null and nothing are empty or false; a wrong type is
 * -EINVAL. Written on success only; freed by the functions below. V NULL is empty. */
int session_inputs_read(json_t *v, struct session_inputs *ret, struct err *e);
/* The object "linux" of V. A prefix that is not allowed has the text that operators know. */
int command_properties_read(json_t *v, struct command_properties *ret, struct err *e);
int port_properties_read(json_t *v, struct port_properties *ret, struct err *e);

void session_inputs_done(struct session_inputs *s); /* also of zeros */
void command_properties_done(struct command_properties *p);
void port_properties_done(struct port_properties *p);

#endif
