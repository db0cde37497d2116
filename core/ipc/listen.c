/* SPDX-License-Identifier: Apache-2.0 */
/* Bound through /proc/self/fd, because a socket's path has only 108 bytes. */
#include "core/ipc/listen.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/mem.h"

#define BACKLOG 64

int
ipc_listen(int dirfd, const char *name, mode_t mode, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_set(e, -errno, "cannot make a socket: %m");
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	unlinkat(dirfd, name, 0);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0)
		return err_set(e, -errno, "cannot listen at '%s': %m", name);
	if (fchmodat(dirfd, name, mode, 0) < 0)
		return err_set(e, -errno, "cannot set the mode of '%s': %m", name);
	return TAKE_FD(fd);
}
