/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of ssm-sandbox. */
#ifndef SSM_SANDBOX_OPTIONS_H
#define SSM_SANDBOX_OPTIONS_H

#include "core/base/err.h"
#include "sdk/sandbox/sandbox.h"

struct options {
	struct settings set;
	char **faults;	  /* texts of --fault */
	char **instances; /* further ids of --instance */
	bool help, version;
};

/* 0 or -EINVAL. Strings stay argv's. */
int options_parse(int argc, char **argv, struct options *ret, struct err *e);
void options_done(struct options *o);
void options_help(void);

#endif
