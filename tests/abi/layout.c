/* SPDX-License-Identifier: Apache-2.0 */
/* The sizes of the public structs, for 64 and 32 bit: a change here breaks plugins in the field. */
#include <ssm_plugin.h>
#include <stdio.h>

#if UINTPTR_MAX == 0xffffffffffffffff
#define SIZE(lp64, ilp32, i386) (lp64)
#elif defined(__i386__) /* 64 bit members are aligned to 4 bytes there */
#define SIZE(lp64, ilp32, i386) (i386)
#else
#define SIZE(lp64, ilp32, i386) (ilp32)
#endif
#define ROW(type, lp64, ilp32, i386) { #type, sizeof(struct type), SIZE(lp64, ilp32, i386) }

static const struct {
	const char *name;
	size_t is, wanted;
} rows[] = {
	ROW(ssm, 16, 8, 8),
	ROW(ssm_feature, 48, 28, 28),
	ROW(ssm_action_ops, 24, 16, 16),
	ROW(ssm_topic_ops, 16, 12, 12),
	ROW(ssm_session_ops, 48, 28, 28),
	ROW(ssm_gatherer_ops, 24, 16, 16),
	ROW(ssm_service_ops, 32, 20, 20),
	ROW(ssm_identity_ops, 24, 16, 16),
	ROW(ssm_option, 32, 20, 20),
	ROW(ssm_plugin, 104, 72, 72),
	ROW(ssm_spawn, 120, 88, 88),
	ROW(ssm_end, 16, 16, 16),
	ROW(ssm_request, 96, 56, 56),
	ROW(ssm_transfer, 80, 72, 64),
	ROW(ssm_reply, 48, 28, 28),
	ROW(ssm_delivery, 48, 28, 28),
	ROW(ssm_job, 64, 48, 48),
	ROW(ssm_job_end, 40, 28, 28),
	ROW(ssm_step_run, 56, 40, 40),
	ROW(ssm_step_result, 24, 20, 20),
	ROW(ssm_watch_on, 56, 48, 44),
	ROW(ssm_session_table, 32, 20, 20),
	ROW(ssm_api, 408, 208, 208),
};

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
