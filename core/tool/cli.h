/* SPDX-License-Identifier: Apache-2.0 */
/* ssm-cli: the names, parameters and texts of the reference agent's tool. spec/03 section 7.2. */
#ifndef SSM_TOOL_CLI_H
#define SSM_TOOL_CLI_H

#include "core/tool/tool.h"

enum {
	CLI_FAILED = 255
};

/* WORDS (NULL-ended): the command and what stands behind it. The exit status: 0, EXIT_USAGE,
 * CLI_FAILED. All is printed to standard output. */
int cli_main(const struct options *o, char *const *words);

struct cli_args {
	json_t *parameters; /* name in lower case -> list of values */
	char **subcommands;
};
/* What stands behind the command. -EINVAL with E. */
int cli_parse(char *const *words, struct cli_args *ret, struct err *e);
void cli_args_done(struct cli_args *a);

/* What the running agent, or else its program, says of itself: as `ssmctl --json whoami`. Caller
 * owns; NULL with E. */
json_t *cli_whoami(const struct options *o, struct err *e);
/* The same by the agent's program, which asks STS as well whose the credentials are: "arn" or
 * "arn_error". */
json_t *cli_caller(const struct options *o, struct err *e);
/* The version that is reported to the service; "" when unknown. Caller frees. */
char *cli_version(const struct options *o);

/* diagnose.c: [{"Check","Status","Note"}] in the reference's order. Caller owns. */
json_t *diagnose(const struct options *o);
/* A table of them, WIDTH columns where that is possible. Caller frees. */
char *diagnose_table(const json_t *checks, size_t width);

#endif
