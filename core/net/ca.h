/* SPDX-License-Identifier: Apache-2.0 */
/* Where the certificates of the authorities are: options, environment, the system's folder. */
#ifndef SSM_NET_CA_H
#define SSM_NET_CA_H

#include <stdbool.h>

struct ca {
	char *file, *path, *pem; /* all NULL: libcurl's default */
	bool settled;
};

/* Each may be NULL or "". */
void ca_init(struct ca *ca, const char *file, const char *path, const char *pem);
/* Fill in from AWS_CA_BUNDLE, SSL_CERT_FILE and SSL_CERT_DIR, or the system when nothing was given.
 * It reads a folder, so it waits for the first request that needs it. */
void ca_settle(struct ca *ca);
void ca_done(struct ca *ca);

#endif
