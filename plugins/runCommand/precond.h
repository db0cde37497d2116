/* SPDX-License-Identifier: Apache-2.0 */
/* Preconditions of a step (spec/03 3.4). */
#ifndef SSM_RUNCOMMAND_PRECOND_H
#define SSM_RUNCOMMAND_PRECOND_H

#include <jansson.h>

enum precond {
	PRECOND_MET,
	PRECOND_NOT_MET,
	PRECOND_INVALID
};

/* PRECONDITION (operator -> arguments) with VALUES of the parameters. *RET_LIST gets an entry for
 * each operator that is not met or not valid, in the reference's words; caller frees it with
 * strv_free(). */
enum precond precond_check(const json_t *precondition, const json_t *values, char ***ret_list);

#endif
