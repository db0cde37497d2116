/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of jobs as a whole: which there are, which must go, and the spare space. */
#ifndef SSM_AGENT_STATEFILES_H
#define SSM_AGENT_STATEFILES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/agent/seen.h"
#include "core/base/err.h"

struct statefiles_limits {
	int64_t bytes, files, age_ms;
};
/* Folders in DIRFD whose names are not in SEEN, oldest first; strv_free. */
char **statefiles_list(int dirfd, const struct seen *seen);
/* Remove folders of finished jobs until the limits hold. */
int statefiles_prune(int dirfd, struct seen *seen, const struct statefiles_limits *l,
		     struct err *e);
/* Space for the answers to commands that ran while the disk filled up. */
void statefiles_spare_make(int dirfd);
bool statefiles_spare_free(int dirfd);
bool statefiles_spare_is_there(int dirfd);

#endif
