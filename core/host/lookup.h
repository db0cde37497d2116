/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the name service. It may hang, so a process of its own asks: this program. */
#ifndef SSM_HOST_LOOKUP_H
#define SSM_HOST_LOOKUP_H

/* The path of this program. Never NULL. */
const char *lookup_program(void);

#define LOOKUP_UNKNOWN 1 /* of --user: there is no such user */
#define LOOKUP_FAILED 4	 /* nor is it known whether there is one */

/* What --user and --addresses do; the exit status. A user as a JSON object, addresses one a line;
 * why there is no answer, on standard error. */
int lookup_print_user(const char *name);
int lookup_print_addresses(const char *name);

#endif
