/* SPDX-License-Identifier: Apache-2.0 */
/* What the figures of the bench are compared with: a bare fork and exec, a bare libcurl process. */
#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/base/text.h"

#define COUNT_MAX 100000

static int64_t
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int
run_once(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "true", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return -ECHILD;
	return 0;
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t
cpu_us(int who)
{
	struct rusage u = { 0 };

	getrusage(who, &u);
	return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
		u.ru_stime.tv_usec;
}

/* One line, in microseconds: median, 99th percentile, and CPU time of each. */
static int
spawn_many(int64_t count)
{
	int64_t *us = xcalloc((size_t)count, sizeof(*us));
	int64_t cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
	int r = 0;

	for (int64_t i = 0; i < count && r == 0; i++) {
		int64_t begin = now_us();

		r = run_once();
		us[i] = now_us() - begin;
	}
	cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN) - cpu;
	qsort(us, (size_t)count, sizeof(*us), compare);
	if (r == 0)
		printf("%lld %lld %lld\n", (long long)us[count / 2],
		       (long long)us[count * 99 / 100], (long long)(cpu / count));
	free(us);
	return r;
}

static size_t
ignore(char *data, size_t size, size_t n, void *arg)
{
	(void)data;
	(void)arg;
	return size * n;
}

/* One request, then it stays until its standard input is closed. */
static int
stay(const char *url)
{
	CURL *curl;
	char c;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -ENOMEM;
	curl = curl_easy_init();
	if (!curl)
		return -ENOMEM;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	if (curl_easy_perform(curl) != CURLE_OK)
		return -EIO;
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	return 0;
}

int
main(int argc, char **argv)
{
	int64_t count;
	int r = -EINVAL;

	if (argc == 3 && strcmp(argv[1], "spawn") == 0 &&
	    text_to_i64(argv[2], 1, COUNT_MAX, &count) == 0)
		r = spawn_many(count);
	else if (argc == 3 && strcmp(argv[1], "curl") == 0)
		r = stay(argv[2]);
	if (r < 0)
		fprintf(stderr, "base: %s\nusage: base spawn COUNT | base curl URL\n",
			strerror(-r));
	return r < 0;
}
