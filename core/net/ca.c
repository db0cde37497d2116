/* SPDX-License-Identifier: Apache-2.0 */
/* Where the certificates of the authorities are: options, environment, the system's folder. */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mem.h"
#include "core/net/ca.h"

#define SYSTEM_FOLDER "/etc/ssl/certs"

static void
take_value(char **to, const char *value)
{
	if (!*to && value && value[0])
		*to = xstrdup(value);
}

void
ca_init(struct ca *ca, const char *file, const char *path, const char *pem)
{
	memset(ca, 0, sizeof(*ca));
	take_value(&ca->file, file);
	take_value(&ca->path, path);
	take_value(&ca->pem, pem);
}

/* A folder made by c_rehash holds names like 4042bcee.0. Looking certificates up there one by one
 * spares megabytes of parsed bundle. */
static bool
is_hashed(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	bool found = false;

	while (d && !found && (entry = readdir(d)))
		found = strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.' &&
			isdigit((unsigned char)entry->d_name[9]);
	if (d)
		closedir(d);
	return found;
}

void
ca_settle(struct ca *ca)
{
	if (ca->settled)
		return;
	ca->settled = true;
	if (ca->file || ca->path || ca->pem)
		return;
	take_value(&ca->file, secure_getenv("AWS_CA_BUNDLE"));
	if (ca->file)
		return;
	take_value(&ca->file, secure_getenv("SSL_CERT_FILE"));
	take_value(&ca->path, secure_getenv("SSL_CERT_DIR"));
	if (!ca->file && !ca->path && is_hashed(SYSTEM_FOLDER))
		ca->path = xstrdup(SYSTEM_FOLDER);
}

void
ca_done(struct ca *ca)
{
	free(ca->file);
	free(ca->path);
	free(ca->pem);
	memset(ca, 0, sizeof(*ca));
}
