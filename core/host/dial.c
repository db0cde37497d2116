/* SPDX-License-Identifier: Apache-2.0 */
/* A socket's address has 108 bytes: its folder is opened first and named by its number. */
#include "core/host/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/mem.h"

int
dial(const char *path)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
	autoclose int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = -1;
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int n;

	if (dir < 0)
		return -errno;
	n = snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", dir,
		     slash ? slash + 1 : path);
	if (n < 0 || (size_t)n >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return TAKE_FD(fd);
}
