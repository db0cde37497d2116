/* SPDX-License-Identifier: Apache-2.0 */
/* Replays a target's corpus without libFuzzer: each file whole, and cut after each of its bytes. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <time.h>

#include "core/base/fs.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)
#define CUTS_MAX 2000u /* a larger file is cut at so many places */
#define SECONDS_MAX 20 /* for one input, on a machine with much else to do */

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* On a copy of exactly that size: reading behind it is seen by AddressSanitizer or valgrind. */
static bool
run_one(const char *text, size_t len)
{
	autofree char *copy = len ? xmemdup(text, len) : xmalloc(1);
	double start = now();

	copy = xrealloc(copy, len ? len : 1, 1);
	LLVMFuzzerTestOneInput((const uint8_t *)copy, len);
	return now() - start < SECONDS_MAX;
}

static bool
replay(const char *path)
{
	autofree char *text = NULL;
	size_t len = 0, step;
	bool good;

	if (fs_read(AT_FDCWD, path, INPUT_MAX, &text, &len, NULL) < 0)
		return false;
	good = run_one(text, len);
	step = len / CUTS_MAX + 1;
	for (size_t n = 0; n < len && good; n += step)
		good = run_one(text, n);
	return good;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static unsigned
replay_folder(const char *folder, unsigned *failed)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, is_input, by_name);

	for (int i = 0; i < n; i++) {
		autofree char *path = xasprintf("%s/%s", folder, names[i]->d_name);
		bool good = replay(path);

		*failed += !good;
		printf("%sok %d - %s\n", good ? "" : "not ", i + 1, names[i]->d_name);
		fflush(stdout);
		free(names[i]);
	}
	free(names);
	return n > 0 ? (unsigned)n : 0;
}

/* Without arguments the corpus that belongs to the name of the program, f_NAME. */
int
main(int argc, char **argv)
{
	const char *top = secure_getenv("top_srcdir"), *base = strrchr(argv[0], '/');
	const char *name = strstr(base ? base : argv[0], "f_");
	autofree char *own = xasprintf("%s/tests/fuzz/corpora/%s", top ? top : ".",
				       name ? name + 2 : "");
	unsigned failed = 0, count = 0;

	if (argc > 1)
		for (int i = 1; i < argc; i++)
			count += replay_folder(argv[i], &failed);
	else
		count = replay_folder(own, &failed);
	printf("1..%u\n", count);
	return count == 0 || failed > 0;
}
