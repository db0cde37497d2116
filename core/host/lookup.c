/* SPDX-License-Identifier: Apache-2.0 */
/* What the name service says, on standard output. */
#include "core/host/lookup.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/err.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/proc.h"
#include "core/host/user.h"

#define SELF "/proc/self/exe"

/* By its name where that still leads to it, for below valgrind the link is valgrind's. */
const char *
lookup_program(void)
{
	static char path[PATH_MAX];
	ssize_t n = readlink(SELF, path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	return n > 0 && access(path, X_OK) == 0 ? path : SELF;
}

int
lookup_print_user(const char *name)
{
	struct proc_user u;
	struct err e = { 0, "" };
	autojson json_t *all = NULL;
	autofree char *text = NULL;
	int r = proc_lookup_user(name, &u, &e);

	if (r < 0) {
		fprintf(stderr, "%s\n", err_text(&e));
		return r == -ENOENT ? LOOKUP_UNKNOWN : LOOKUP_FAILED;
	}
	all = user_to_json(&u);
	if (!all) {
		fprintf(stderr, "what is known of '%s' is not UTF-8\n", name);
		return LOOKUP_FAILED;
	}
	text = json_text(all);
	return printf("%s\n", text) < 0 ? LOOKUP_FAILED : 0;
}

static int
print_address(const struct addrinfo *a)
{
	char text[NI_MAXHOST];
	int r = getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);

	return r == 0 && printf("%s\n", text) < 0;
}

int
lookup_print_addresses(const char *name)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int r = getaddrinfo(name, NULL, &hints, &found);

	if (r != 0) {
		fprintf(stderr, "%s\n", gai_strerror(r));
		return 1;
	}
	for (const struct addrinfo *a = found; a && r == 0; a = a->ai_next)
		r = print_address(a);
	freeaddrinfo(found);
	return r;
}
