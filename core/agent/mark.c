/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc/PID/environ: what the process was started with, whatever it did to it since. */
#include "core/agent/mark.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define ENVIRON_MAX (256 * 1024)
#define NAME "SSM_JOB="

bool
mark_is_within(const char *what, const char *job)
{
	size_t n = strlen(job);

	return strncmp(what, job, n) == 0 && (what[n] == '\0' || what[n] == '/');
}

/* Strings one after the other, the last one ended, too. Caller frees. NULL: not ours to read. */
static char *
read_environ(pid_t pid, size_t *ret_len)
{
	char path[64];
	autofree char *env = NULL;
	ssize_t n = 1;

	(void)snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	env = xmalloc(ENVIRON_MAX + 1);
	for (*ret_len = 0; n > 0 && *ret_len < ENVIRON_MAX; *ret_len += n > 0 ? (size_t)n : 0)
		n = read(fd, env + *ret_len, ENVIRON_MAX - *ret_len);
	env[*ret_len] = '\0';
	return TAKE(env);
}

bool
mark_carries(pid_t pid, const char *job)
{
	size_t len = 0;
	autofree char *env = read_environ(pid, &len);

	for (const char *p = env; p && p < env + len; p += strlen(p) + 1)
		if (text_starts(p, NAME) && mark_is_within(p + strlen(NAME), job))
			return true;
	return false;
}

char *
mark_read(pid_t pid)
{
	size_t len = 0;
	autofree char *env = read_environ(pid, &len);

	for (const char *p = env; p && p < env + len; p += strlen(p) + 1)
		if (text_starts(p, NAME))
			return xstrdup(p + strlen(NAME));
	return NULL;
}
