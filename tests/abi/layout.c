/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of the public structs, for 64 and 32 bit: a change here breaks plugins in the field. */
#include <ssm_plugin.h>
#include <stddef.h>

#if UINTPTR_MAX == 0xffffffffffffffff
#define SIZE(lp64, ilp32, i386) (lp64)
#elif defined(__i386__) /* 64 bit members are aligned to 4 bytes there */
#define SIZE(lp64, ilp32, i386) (i386)
#else
#define SIZE(lp64, ilp32, i386) (ilp32)
#endif

/* X(struct, bytes where pointers have 64 bits, where they have 32, on i386) */
#define STRUCTS(X) \
	X(ssm, 16, 8, 8) \
	X(ssm_feature, 48, 28, 28) \
	X(ssm_action_ops, 24, 16, 16) \
	X(ssm_topic_ops, 16, 12, 12) \
	X(ssm_session_ops, 48, 28, 28) \
	X(ssm_gatherer_ops, 24, 16, 16) \
	X(ssm_service_ops, 32, 20, 20) \
	X(ssm_identity_ops, 24, 16, 16) \
	X(ssm_option, 32, 20, 20) \
	X(ssm_plugin, 104, 72, 72) \
	X(ssm_spawn, 120, 88, 88) \
	X(ssm_end, 16, 16, 16) \
	X(ssm_request, 96, 56, 56) \
	X(ssm_transfer, 80, 72, 64) \
	X(ssm_reply, 48, 28, 28) \
	X(ssm_delivery, 48, 28, 28) \
	X(ssm_job, 64, 48, 48) \
	X(ssm_job_end, 40, 28, 28) \
	X(ssm_step_run, 56, 40, 40) \
	X(ssm_step_result, 24, 20, 20) \
	X(ssm_watch_on, 56, 48, 44) \
	X(ssm_session_table, 32, 20, 20) \
	X(ssm_api, 408, 208, 208)

/* The compiler checks too, so that a target can be tried whose programs do not run here. */
#define CHECK(type, lp64, ilp32, i386) \
	_Static_assert(sizeof(struct type) == SIZE(lp64, ilp32, i386), "struct " #type);
STRUCTS(CHECK)

#if __STDC_HOSTED__
#include <stdio.h>

#define ROW(type, lp64, ilp32, i386) { #type, sizeof(struct type), SIZE(lp64, ilp32, i386) },
static const struct {
	const char *name;
	size_t is, wanted;
} rows[] = {STRUCTS(ROW)};

int
main(void)
{
	int bad = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fine = rows[i].is == rows[i].wanted;

		printf("%sok %zu - struct %s has %zu bytes%s\n", fine ? "" : "not ", i + 1,
		       rows[i].name, rows[i].is, fine ? "" : ", which it must not");
		bad |= !fine;
	}
	printf("1..%zu\n", sizeof(rows) / sizeof(rows[0]));
	return bad;
}
#endif

/* Where the members are, for LP64 and i386: who moves one breaks plugins as much as who resizes. */
#if UINTPTR_MAX == 0xffffffffffffffff || defined(__i386__)
#define PLACE(type, member, lp64, i386) \
	_Static_assert(offsetof(struct type, member) == SIZE(lp64, i386, i386), \
		       #type "." #member " was moved")

PLACE(ssm, api, 0, 0);
PLACE(ssm, user, 8, 4);
PLACE(ssm_feature, kind, 0, 0);
PLACE(ssm_feature, flags, 4, 4);
PLACE(ssm_feature, name, 8, 8);
PLACE(ssm_feature, ops, 16, 12);
PLACE(ssm_feature, needs, 24, 16);
PLACE(ssm_feature, job_key, 32, 20);
PLACE(ssm_feature, cancel_key, 40, 24);
PLACE(ssm_action_ops, size, 0, 0);
PLACE(ssm_action_ops, flags, 4, 4);
PLACE(ssm_action_ops, check, 8, 8);
PLACE(ssm_action_ops, run, 16, 12);
PLACE(ssm_topic_ops, size, 0, 0);
PLACE(ssm_topic_ops, flags, 4, 4);
PLACE(ssm_topic_ops, handle, 8, 8);
PLACE(ssm_session_ops, size, 0, 0);
PLACE(ssm_session_ops, flags, 4, 4);
PLACE(ssm_session_ops, open, 8, 8);
PLACE(ssm_session_ops, input, 16, 12);
PLACE(ssm_session_ops, resize, 24, 16);
PLACE(ssm_session_ops, writable, 32, 20);
PLACE(ssm_session_ops, close, 40, 24);
PLACE(ssm_gatherer_ops, size, 0, 0);
PLACE(ssm_gatherer_ops, flags, 4, 4);
PLACE(ssm_gatherer_ops, schema_version, 8, 8);
PLACE(ssm_gatherer_ops, gather, 16, 12);
PLACE(ssm_service_ops, size, 0, 0);
PLACE(ssm_service_ops, flags, 4, 4);
PLACE(ssm_service_ops, start, 8, 8);
PLACE(ssm_service_ops, notify, 16, 12);
PLACE(ssm_service_ops, stop, 24, 16);
PLACE(ssm_identity_ops, size, 0, 0);
PLACE(ssm_identity_ops, flags, 4, 4);
PLACE(ssm_identity_ops, identify, 8, 8);
PLACE(ssm_identity_ops, credentials, 16, 12);
PLACE(ssm_option, type, 0, 0);
PLACE(ssm_option, flags, 4, 4);
PLACE(ssm_option, key, 8, 8);
PLACE(ssm_option, preset, 16, 12);
PLACE(ssm_option, help, 24, 16);
PLACE(ssm_plugin, magic, 0, 0);
PLACE(ssm_plugin, size, 4, 4);
PLACE(ssm_plugin, abi, 8, 8);
PLACE(ssm_plugin, abi_min, 12, 12);
PLACE(ssm_plugin, name, 16, 16);
PLACE(ssm_plugin, version, 24, 20);
PLACE(ssm_plugin, license, 32, 24);
PLACE(ssm_plugin, summary, 40, 28);
PLACE(ssm_plugin, feature_size, 48, 32);
PLACE(ssm_plugin, feature_count, 52, 36);
PLACE(ssm_plugin, features, 56, 40);
PLACE(ssm_plugin, option_size, 64, 44);
PLACE(ssm_plugin, option_count, 68, 48);
PLACE(ssm_plugin, options, 72, 52);
PLACE(ssm_plugin, flags, 80, 56);
PLACE(ssm_plugin, init, 88, 64);
PLACE(ssm_plugin, fini, 96, 68);
PLACE(ssm_spawn, size, 0, 0);
PLACE(ssm_spawn, flags, 4, 4);
PLACE(ssm_spawn, argv, 8, 8);
PLACE(ssm_spawn, envp, 16, 12);
PLACE(ssm_spawn, cwd, 24, 16);
PLACE(ssm_spawn, run_as, 32, 20);
PLACE(ssm_spawn, timeout_ms, 40, 24);
PLACE(ssm_spawn, stdin_data, 48, 32);
PLACE(ssm_spawn, stdin_len, 56, 36);
PLACE(ssm_spawn, stdin_fd, 64, 40);
PLACE(ssm_spawn, stdout_fd, 68, 44);
PLACE(ssm_spawn, stderr_fd, 72, 48);
PLACE(ssm_spawn, reserved, 76, 52);
PLACE(ssm_spawn, output_fn, 80, 56);
PLACE(ssm_spawn, output_arg, 88, 60);
PLACE(ssm_spawn, max_output, 96, 64);
PLACE(ssm_spawn, grace_ms, 104, 72);
PLACE(ssm_spawn, cols, 112, 80);
PLACE(ssm_spawn, rows, 116, 84);
PLACE(ssm_end, size, 0, 0);
PLACE(ssm_end, how, 4, 4);
PLACE(ssm_end, code, 8, 8);
PLACE(ssm_end, left, 12, 12);
PLACE(ssm_request, size, 0, 0);
PLACE(ssm_request, flags, 4, 4);
PLACE(ssm_request, service, 8, 8);
PLACE(ssm_request, target, 16, 12);
PLACE(ssm_request, body, 24, 16);
PLACE(ssm_request, body_len, 32, 20);
PLACE(ssm_request, timeout_ms, 40, 24);
PLACE(ssm_request, method, 48, 32);
PLACE(ssm_request, path, 56, 36);
PLACE(ssm_request, content_type, 64, 40);
PLACE(ssm_request, headers, 72, 44);
PLACE(ssm_request, region, 80, 48);
PLACE(ssm_request, url, 88, 52);
PLACE(ssm_transfer, size, 0, 0);
PLACE(ssm_transfer, flags, 4, 4);
PLACE(ssm_transfer, url, 8, 8);
PLACE(ssm_transfer, fd, 16, 12);
PLACE(ssm_transfer, reserved, 20, 16);
PLACE(ssm_transfer, max_bytes, 24, 20);
PLACE(ssm_transfer, sha256, 32, 28);
PLACE(ssm_transfer, timeout_ms, 40, 32);
PLACE(ssm_transfer, method, 48, 40);
PLACE(ssm_transfer, headers, 56, 44);
PLACE(ssm_transfer, range_start, 64, 48);
PLACE(ssm_transfer, range_len, 72, 56);
PLACE(ssm_reply, size, 0, 0);
PLACE(ssm_reply, status, 4, 4);
PLACE(ssm_reply, error, 8, 8);
PLACE(ssm_reply, body, 16, 12);
PLACE(ssm_reply, body_len, 24, 16);
PLACE(ssm_reply, headers, 32, 20);
PLACE(ssm_reply, url, 40, 24);
PLACE(ssm_delivery, size, 0, 0);
PLACE(ssm_delivery, flags, 4, 4);
PLACE(ssm_delivery, id, 8, 8);
PLACE(ssm_delivery, topic, 16, 12);
PLACE(ssm_delivery, route, 24, 16);
PLACE(ssm_delivery, json, 32, 20);
PLACE(ssm_delivery, len, 40, 24);
PLACE(ssm_job, size, 0, 0);
PLACE(ssm_job, flags, 4, 4);
PLACE(ssm_job, kind, 8, 8);
PLACE(ssm_job, reserved, 12, 12);
PLACE(ssm_job, name, 16, 16);
PLACE(ssm_job, step, 24, 20);
PLACE(ssm_job, json, 32, 24);
PLACE(ssm_job, len, 40, 28);
PLACE(ssm_job, timeout_ms, 48, 32);
PLACE(ssm_job, stdout_fd, 56, 40);
PLACE(ssm_job, stderr_fd, 60, 44);
PLACE(ssm_job_end, size, 0, 0);
PLACE(ssm_job_end, result, 4, 4);
PLACE(ssm_job_end, exit_code, 8, 8);
PLACE(ssm_job_end, reserved, 12, 12);
PLACE(ssm_job_end, error, 16, 16);
PLACE(ssm_job_end, json, 24, 20);
PLACE(ssm_job_end, len, 32, 24);
PLACE(ssm_step_run, size, 0, 0);
PLACE(ssm_step_run, flags, 4, 4);
PLACE(ssm_step_run, action, 8, 8);
PLACE(ssm_step_run, name, 16, 12);
PLACE(ssm_step_run, inputs, 24, 16);
PLACE(ssm_step_run, inputs_len, 32, 20);
PLACE(ssm_step_run, timeout_ms, 40, 24);
PLACE(ssm_step_run, stdout_fd, 48, 32);
PLACE(ssm_step_run, stderr_fd, 52, 36);
PLACE(ssm_step_result, size, 0, 0);
PLACE(ssm_step_result, result, 4, 4);
PLACE(ssm_step_result, exit_code, 8, 8);
PLACE(ssm_step_result, reserved, 12, 12);
PLACE(ssm_step_result, error, 16, 16);
PLACE(ssm_watch_on, size, 0, 0);
PLACE(ssm_watch_on, flags, 4, 4);
PLACE(ssm_watch_on, fd_fn, 8, 8);
PLACE(ssm_watch_on, timer_fn, 16, 12);
PLACE(ssm_watch_on, arg, 24, 16);
PLACE(ssm_watch_on, fd, 32, 20);
PLACE(ssm_watch_on, events, 36, 24);
PLACE(ssm_watch_on, after_ms, 40, 28);
PLACE(ssm_watch_on, every_ms, 48, 36);
PLACE(ssm_session_table, size, 0, 0);
PLACE(ssm_session_table, flags, 4, 4);
PLACE(ssm_session_table, str, 8, 8);
PLACE(ssm_session_table, send, 16, 12);
PLACE(ssm_session_table, end, 24, 16);
PLACE(ssm_api, size, 0, 0);
PLACE(ssm_api, abi, 4, 4);
PLACE(ssm_api, agent_version, 8, 8);
PLACE(ssm_api, vlog, 16, 12);
PLACE(ssm_api, verror, 24, 16);
PLACE(ssm_api, alloc, 32, 20);
PLACE(ssm_api, free, 40, 24);
PLACE(ssm_api, has, 48, 28);
PLACE(ssm_api, info, 56, 32);
PLACE(ssm_api, option, 64, 36);
PLACE(ssm_api, option_int, 72, 40);
PLACE(ssm_api, cancelled, 80, 44);
PLACE(ssm_api, cancel_fd, 88, 48);
PLACE(ssm_api, spawn, 96, 52);
PLACE(ssm_api, call, 104, 56);
PLACE(ssm_api, sign, 112, 60);
PLACE(ssm_api, transfer, 120, 64);
PLACE(ssm_api, state_get, 128, 68);
PLACE(ssm_api, state_put, 136, 72);
PLACE(ssm_api, find, 144, 76);
PLACE(ssm_api, watch, 152, 80);
PLACE(ssm_api, watch_set, 160, 84);
PLACE(ssm_api, watch_end, 168, 88);
PLACE(ssm_api, spawn_start, 176, 92);
PLACE(ssm_api, call_start, 184, 96);
PLACE(ssm_api, sign_start, 192, 100);
PLACE(ssm_api, transfer_start, 200, 104);
PLACE(ssm_api, state_put_start, 208, 108);
PLACE(ssm_api, deliver_start, 216, 112);
PLACE(ssm_api, job_launch, 224, 116);
PLACE(ssm_api, child_signal, 232, 120);
PLACE(ssm_api, child_resize, 240, 124);
PLACE(ssm_api, step_str, 248, 128);
PLACE(ssm_api, step_json, 256, 132);
PLACE(ssm_api, step_write, 264, 136);
PLACE(ssm_api, step_done, 272, 140);
PLACE(ssm_api, progress, 280, 144);
PLACE(ssm_api, msg_json, 288, 148);
PLACE(ssm_api, msg_reply, 296, 152);
PLACE(ssm_api, step_run, 304, 156);
PLACE(ssm_api, deliver, 312, 160);
PLACE(ssm_api, job_start, 320, 164);
PLACE(ssm_api, job_wait, 328, 168);
PLACE(ssm_api, job_cancel, 336, 172);
PLACE(ssm_api, reply_done, 344, 176);
PLACE(ssm_api, service_state, 352, 180);
PLACE(ssm_api, session_provide, 360, 184);
PLACE(ssm_api, session_str, 368, 188);
PLACE(ssm_api, session_send, 376, 192);
PLACE(ssm_api, session_end, 384, 196);
PLACE(ssm_api, gather_item, 392, 200);
PLACE(ssm_api, identity_set, 400, 204);
#endif
