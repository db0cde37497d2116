/* SPDX-License-Identifier: Apache-2.0 */
/* A list of addresses, each as the 16 bytes of IPv6. */
#include "plugins/sessionManager/deny.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define RESERVED_FIRST 4 /* of a network: itself, router, DNS, future use */

struct deny {
	struct in6_addr *v;
	size_t count;
};

static const char *const usual[] = {
	"169.254.169.254", "fd00:ec2::254", /* metadata */
	"169.254.169.253", "fd00:ec2::253", /* DNS */
	"169.254.169.123", "fd00:ec2::123", /* time */
	"169.254.169.250", "169.254.169.251", "fd00:ec2::240", /* licences */
	NULL,
};

static struct in6_addr
mapped(struct in_addr a)
{
	struct in6_addr six = { .s6_addr = { [10] = 0xFF, [11] = 0xFF } };

	memcpy(six.s6_addr + 12, &a, sizeof(a));
	return six;
}

/* How many of the 128 bits are before those of the address itself (96 or 0), or -EINVAL. */
static int
parse(const char *text, struct in6_addr *ret)
{
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1) {
		*ret = mapped(four);
		return 96;
	}
	return inet_pton(AF_INET6, text, ret) == 1 ? 0 : -EINVAL;
}

static int
not_address(const char *text, const char *what, struct err *e)
{
	autofree char *shown = text_quote(text, 64);

	return err_set(e, -EINVAL, "%s is not %s", shown, what);
}

static int
add(struct deny *d, const struct in6_addr *a, struct err *e)
{
	if (d->count >= DENY_MAX)
		return err_set(e, -E2BIG, "more than %d addresses are denied", DENY_MAX);
	d->v = xrealloc(d->v, d->count + 1, sizeof(*d->v));
	d->v[d->count++] = *a;
	return 0;
}

int
deny_new(const char *const *texts, struct deny **ret, struct err *e)
{
	struct deny *d = xcalloc(1, sizeof(*d));
	int r = 0;

	for (const char *const *t = texts ? texts : usual; *t && r >= 0; t++) {
		struct in6_addr a;

		r = parse(*t, &a) < 0 ? not_address(*t, "an IP address", e) : add(d, &a, e);
	}
	if (r < 0)
		deny_free(d);
	else
		*ret = d;
	return r;
}

struct deny *
deny_free(struct deny *d)
{
	if (!d)
		return NULL;
	free(d->v);
	free(d);
	return NULL;
}

/* Set the bits of A from BIT on. */
static void
set_tail(struct in6_addr *a, int bit, bool to)
{
	for (; bit < 128; bit++) {
		unsigned char mask = (unsigned char)(0x80 >> bit % 8);

		if (to)
			a->s6_addr[bit / 8] |= mask;
		else
			a->s6_addr[bit / 8] &= (unsigned char)~mask;
	}
}

/* Those that still are in the network. */
static int
add_first(struct deny *d, struct in6_addr base, int prefix, struct err *e)
{
	int bits = 128 - prefix, r = 0;

	for (int i = 0; i < RESERVED_FIRST && (bits >= 2 || i < 1 << bits) && r >= 0; i++) {
		struct in6_addr a = base;

		a.s6_addr[15] |= (unsigned char)i;
		r = add(d, &a, e);
	}
	return r;
}

int
deny_add_network(struct deny *d, const char *cidr, struct err *e)
{
	const char *slash = strchr(cidr, '/');
	autofree char *text = slash ? xstrndup(cidr, (size_t)(slash - cidr)) : NULL;
	struct in6_addr base;
	int64_t prefix = 0;
	int before = text ? parse(text, &base) : -EINVAL, r;

	if (before < 0 || text_to_i64(slash + 1, 0, 128 - before, &prefix) < 0)
		return not_address(cidr, "a network", e);
	prefix += before;
	set_tail(&base, (int)prefix, false);
	r = add_first(d, base, (int)prefix, e);
	set_tail(&base, (int)prefix, true);
	return r < 0 ? r : add(d, &base, e);
}

bool
deny_has(const struct deny *d, const struct sockaddr *a)
{
	struct in6_addr six;

	if (a->sa_family == AF_INET)
		six = mapped(((const struct sockaddr_in *)(const void *)a)->sin_addr);
	else if (a->sa_family == AF_INET6)
		six = ((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
	else
		return false;
	for (size_t i = 0; i < d->count; i++)
		if (!memcmp(d->v + i, &six, sizeof(six)))
			return true;
	return false;
}
