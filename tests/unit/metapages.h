/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the instance metadata service, for a miniserver. */
#ifndef SSM_TESTS_METAPAGES_H
#define SSM_TESTS_METAPAGES_H

#include "tests/unit/miniserver.h"

/* From now on PATH answers this; the strings must live on. */
void metapages_put(const char *path, int status, const char *body);
void metapages_clear(void);
/* For mini_new(): a PUT gets a token, a path its page, all others 404. */
mini_fn metapages_serve;

#endif
