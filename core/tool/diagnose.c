/* SPDX-License-Identifier: Apache-2.0 */
/* get-diagnostics: checks with the names that the reference gives them, and their table. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/sbuf.h"
#include "core/base/strv.h"
#include "core/base/text.h"
#include "core/tool/ask.h"
#include "core/tool/cli.h"

#define CONNECT_MS 1000
#define PROXY_MS 3000
#define ENVIRON_MAX (1u << 20)

struct facts {
	const struct options *o;
	struct conf *conf;
	json_t *who, *status, *checks;
	char **environ; /* of the agent, or ours */
	const char *proxy, *no_proxy;
};

static void
add(struct facts *f, const char *check, const char *status, const char *note)
{
	autofree char *valid = text_utf8_repair(note, strlen(note), NULL);

	(void)json_array_append_new(f->checks,
				    json_pack("{s:s,s:s,s:s}", "Check", check, "Status", status,
					      "Note", valid));
}

static const char *
identity_reason(const struct facts *f, const char *kind)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(f->who, "identity_passed_over"), i, one)
	{
		if (strcmp(json_str(one, "identity", ""), kind) == 0)
			return json_str(one, "reason", "");
	}
	return "it is not asked";
}

/* ---------------------------------------------------------------- identity */

static void
check_identity(struct facts *f)
{
	const char *kind = json_str(f->who, "identity", "");
	const char *id = json_str(f->who, "instance_id", "");
	const char *region = json_str(f->who, "region", "");
	bool hybrid = strcmp(kind, "OnPrem") == 0, ec2 = strcmp(kind, "EC2") == 0;
	autofree char *note = ec2
		? xasprintf("IMDS is accessible and has instance id %s in region %s", id, region)
		: xasprintf("Failed to query IMDS: %s", identity_reason(f, "EC2"));
	autofree char *hybrid_note =
		xasprintf("Instance has hybrid registration with instance id %s in region %s", id,
			  region);

	add(f, "EC2 IMDS",
	    hybrid	  ? "Skipped"
		    : ec2 ? "Success"
			  : "Failed",
	    hybrid ? "Instance has hybrid registration" : note);
	add(f, "Hybrid instance registration", hybrid ? "Success" : "Skipped",
	    hybrid ? hybrid_note : "Instance does not have hybrid registration");
}

static void
check_credentials(struct facts *f)
{
	autojson json_t *caller = cli_caller(f->o, NULL);
	const char *arn = json_str(caller, "arn", NULL);
	const char *expires = json_str(caller, "expires", "");
	const char *error = json_str(caller, "arn_error", "STS cannot be asked");
	autofree char *end = strlen(expires) > 18
		? xasprintf("expire at %.10s %.8s +0000 UTC", expires, expires + 11)
		: xstrdup("not expire");
	autofree char *note = arn ? xasprintf("Credentials are for %s and will %s", arn, end)
				  : xasprintf("Failed call sts endpoint: %s", error);

	if (!*json_str(caller, "source", ""))
		add(f, "AWS Credentials", "Skipped", "No credentials available");
	else
		add(f, "AWS Credentials", arn ? "Success" : "Failed", note);
}

/* ------------------------------------------------------------ connectivity */

static int
wait_for_fd(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r > 0 ? 0 : r == 0 ? -ETIMEDOUT : -errno;
}

static int
connect_one(const struct addrinfo *a, int ms)
{
	autoclose int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(int);
	int r, error = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
		return -errno;
	r = wait_for_fd(fd, POLLOUT, ms);
	if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error)
		r = -error;
	return r < 0 ? r : TAKE_FD(fd);
}

/* A connected socket, or an error with its text. */
static int
connect_to(const char *host, const char *port, int ms, struct err *e)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	int r = getaddrinfo(host, port, &hints, &all), fd = -EHOSTUNREACH;

	if (r != 0)
		return err_set(e, -EHOSTUNREACH, "%s", gai_strerror(r));
	for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next)
		fd = connect_one(a, ms);
	freeaddrinfo(all);
	return fd < 0 ? err_set(e, fd, "%s", strerror(-fd)) : fd;
}

/* "http://host:8080/" and the like; *RET_PORT is PRESET where there is none. */
static void
split_url(const char *url, const char *preset, char **ret_host, char **ret_port)
{
	const char *start = strstr(url, "://"), *end, *colon;

	start = start ? start + 3 : url;
	end = start + strcspn(start, "/");
	for (const char *at = start; at < end; at++)
		if (*at == '@')
			start = at + 1;
	colon = *start == '[' ? memchr(start, ']', (size_t)(end - start)) : start;
	colon = colon ? memchr(colon, ':', (size_t)(end - colon)) : NULL;
	*ret_port = colon ? xstrndup(colon + 1, (size_t)(end - colon - 1))
			  : xstrdup(text_starts(url, "http://") ? "80" : preset);
	if (colon)
		end = colon;
	if (*start == '[' && end > start + 1)
		*ret_host = xstrndup(start + 1, (size_t)(end - start - 2));
	else
		*ret_host = xstrndup(start, (size_t)(end - start));
}

static bool
goes_by_proxy(const struct facts *f, const char *host)
{
	autostrv char **list = strv_split(f->no_proxy ? f->no_proxy : "", ", ");

	if (!f->proxy || !*f->proxy)
		return false;
	for (char **one = list; one && *one; one++) {
		const char *suffix = **one == '.' ? *one + 1 : *one;
		size_t len = strlen(suffix), all = strlen(host);

		if (strcmp(suffix, "*") == 0 ||
		    (len <= all && strcasecmp(host + all - len, suffix) == 0 &&
		     (len == all || host[all - len - 1] == '.')))
			return false;
	}
	return true;
}

static int
through_proxy(const struct facts *f, const char *host, const char *port, struct err *e)
{
	autofree char *proxy_host = NULL, *proxy_port = NULL, *request = NULL;
	autosbuf struct sbuf b = SBUF_INIT(8192);
	autoclose int fd = -1;
	int r;

	split_url(f->proxy, "3128", &proxy_host, &proxy_port);
	fd = connect_to(proxy_host, proxy_port, PROXY_MS, e);
	if (fd < 0)
		return fd;
	request = xasprintf("CONNECT %s:%s HTTP/1.1\r\nHost: %s:%s\r\n"
			    "User-Agent: ssm-cli get diagnostics\r\n\r\n",
			    host, port, host, port);
	r = fs_write_all(fd, request, strlen(request));
	while (r == 0 && !strstr(sbuf_str(&b), "\r\n")) {
		r = wait_for_fd(fd, POLLIN, PROXY_MS);
		if (r == 0 && sbuf_read(&b, fd, 4096) <= 0)
			r = -ECONNRESET;
	}
	if (r < 0)
		return err_set(e, r, "%s", strerror(-r));
	if (b.len > 12 && text_starts(b.p, "HTTP/1.") && b.p[9] == '2')
		return 0;
	b.p[strcspn(b.p, "\r\n")] = '\0';
	return err_set(e, -ECONNREFUSED, "the proxy answered '%.60s'", b.p);
}

static const struct service {
	const char *name, *key;
} services[] = {
	{ "ssm", "Ssm.Endpoint" },
	{ "ec2messages", "Mds.Endpoint" },
	{ "ssmmessages", "Mgs.Endpoint" },
	{ "s3", "S3.Endpoint" },
	{ "kms", "Kms.Endpoint" },
	{ "logs", "Logs.Endpoint" },
	{ "monitoring", NULL },
};

static char *
endpoint(const struct facts *f, const struct service *s, const char *region)
{
	const char *set = s->key && f->conf ? conf_str(f->conf, s->key) : "";
	const char *domain = f->conf ? conf_str(f->conf, "Agent.ServiceDomain") : "";

	if (*set)
		return xstrdup(set);
	if (!*domain)
		domain = text_starts(region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com";
	return xasprintf("%s.%s.%s", s->name, region, domain);
}

static void
check_service(struct facts *f, const struct service *s, const char *region)
{
	autofree char *check = xasprintf("Connectivity to %s endpoint", s->name);
	autofree char *url = endpoint(f, s, region), *host = NULL, *port = NULL, *note = NULL;
	struct err e = { 0, "" };
	int r;

	split_url(url, "443", &host, &port);
	if (goes_by_proxy(f, host))
		r = through_proxy(f, host, port, &e);
	else
		r = connect_to(host, port, CONNECT_MS, &e);
	if (r > 0)
		close(r);
	if (r >= 0)
		note = xasprintf("%s is reachable", host);
	else if (r == -ETIMEDOUT)
		note = xasprintf("connection timed out for %s", host);
	else
		note = xasprintf("%s is not reachable: %s", host, err_text(&e));
	add(f, check, r < 0 ? "Failed" : "Success", note);
}

static void
check_services(struct facts *f)
{
	const char *region = json_str(f->who, "region", "");

	for (size_t i = 0; i < NELEMS(services); i++) {
		autofree char *check = xasprintf("Connectivity to %s endpoint", services[i].name);

		if (*region)
			check_service(f, &services[i], region);
		else
			add(f, check, "Skipped", "Unable to fetch AWS region details");
	}
}

/* ------------------------------------------------------------- this machine */

static void
check_agent(struct facts *f)
{
	autofree char *path = xasprintf("/proc/%lld", (long long)json_int(f->status, "pid", 0));
	autofree char *note = NULL;
	struct stat st;

	if (!f->status)
		add(f, "Agent service", "Failed", "Unable to find ssm agent on this instance");
	else if (stat(path, &st) < 0)
		add(f, "Agent service", "Failed",
		    "Agent service is running but failed to get user: its process is gone");
	else if (st.st_uid == geteuid())
		add(f, "Agent service", "Success",
		    "Agent service is running and is running as expected user");
	else {
		note = xasprintf("Agent service is running but agent is running as uid %lu instead "
				 "of expected user root",
				 (unsigned long)st.st_uid);
		add(f, "Agent service", "Failed", note);
	}
}

/* A proxy's password is nobody's business: what stands before the @ is left out. */
static void
add_setting(struct sbuf *b, const char *name, const char *value)
{
	const char *start = strstr(value, "://"), *at;

	start = start ? start + 3 : value;
	at = strrchr(start, '@');
	(void)sbuf_addf(b, " %s: %.*s%s", name, (int)(start - value), value, at ? "***" : "");
	(void)sbuf_adds(b, at ? at : start);
}

static void
check_proxy(struct facts *f)
{
	static const char *const known[] = { "http_proxy", "https_proxy", "no_proxy" };
	struct sbuf b = SBUF_INIT(65536);

	(void)sbuf_adds(&b, "Detected proxy configuration:");
	for (char **v = f->environ; v && *v; v++)
		for (size_t i = 0; i < NELEMS(known); i++)
			if (strncasecmp(*v, known[i], strlen(known[i])) == 0 &&
			    (*v)[strlen(known[i])] == '=')
				add_setting(&b, known[i], *v + strlen(known[i]) + 1);
	if (f->conf && *conf_str(f->conf, "Net.Proxy"))
		add_setting(&b, "Net.Proxy", conf_str(f->conf, "Net.Proxy"));
	if (text_ends(sbuf_str(&b), "configuration:"))
		add(f, "Proxy configuration", "Skipped", "No proxy configuration detected");
	else
		add(f, "Proxy configuration", "Success", sbuf_str(&b));
	sbuf_done(&b);
}

static void
check_version(struct facts *f)
{
	autofree char *version = cli_version(f->o);
	autofree char *note = xasprintf("SSM Agent version is %s", version);

	if (*version)
		add(f, "SSM Agent version", "Success", note);
	else
		add(f, "SSM Agent version", "Failed",
		    "Failed to get SSM Agent version: the agent's program cannot be run");
}

extern char **environ;

/* NUL-ended, one behind the other; ours where there is no agent. */
static char **
agent_environ(const json_t *status)
{
	autofree char *path =
		xasprintf("/proc/%lld/environ", (long long)json_int(status, "pid", 0));
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	autosbuf struct sbuf b = SBUF_INIT(ENVIRON_MAX);
	char **all = NULL;

	while (fd >= 0 && sbuf_read(&b, fd, 65536) > 0)
		;
	if (b.len == 0)
		return strv_dup(environ);
	for (size_t at = 0; at < b.len; at += strlen(b.p + at) + 1)
		strv_add(&all, b.p + at);
	return all;
}

static const char *
first_of(const char *a, const char *b, const char *c)
{
	return a && *a ? a : b && *b ? b : c;
}

json_t *
diagnose(const struct options *o)
{
	struct facts f = { .o = o, .conf = tool_conf(o, false), .checks = json_array() };

	/* A name server that does not answer must not hold us up for half a minute. */
	(void)setenv("RES_OPTIONS", "timeout:1 attempts:1", 0);
	f.status = f.conf ? ask_agent(conf_path(f.conf, CONF_PATH_RUN), "status", NULL) : NULL;
	f.who = cli_whoami(o, NULL);
	f.environ = agent_environ(f.status);
	f.proxy = first_of(f.conf ? conf_str(f.conf, "Net.Proxy") : NULL,
			   strv_env_get(f.environ, "HTTPS_PROXY"),
			   strv_env_get(f.environ, "https_proxy"));
	f.no_proxy =
		first_of(f.conf ? conf_str(f.conf, "Net.NoProxy") : NULL,
			 strv_env_get(f.environ, "NO_PROXY"), strv_env_get(f.environ, "no_proxy"));
	check_identity(&f);
	check_services(&f);
	check_credentials(&f);
	check_agent(&f);
	check_proxy(&f);
	check_version(&f);
	conf_free(f.conf);
	json_decref(f.who);
	json_decref(f.status);
	strv_free(f.environ);
	return f.checks;
}

/* ------------------------------------------------------------------- table */

static const char *const columns[] = { "Check", "Status", "Note" };

/* Characters, not bytes. */
static size_t
width_of(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
add_line(struct sbuf *b, const size_t widths[3], const char *const marks[3])
{
	for (size_t k = 0; k < NELEMS(columns); k++) {
		(void)sbuf_adds(b, marks[k == 0 ? 0 : 1]);
		for (size_t i = 0; i < widths[k] + 2; i++)
			(void)sbuf_adds(b, "\xe2\x94\x80");
	}
	(void)sbuf_addf(b, "%s\n", marks[2]);
}

static void
add_cell(struct sbuf *b, const char *text, size_t width)
{
	size_t n = width_of(text);

	(void)sbuf_addf(b, "\xe2\x94\x82 %s%*s ", text, n < width ? (int)(width - n) : 0, "");
}

/* As many words of *AT as fit, at least one. Caller frees. */
static char *
next_part(const char **at, size_t width)
{
	struct sbuf b = SBUF_INIT(1u << 20);

	while (**at) {
		size_t len = strcspn(*at, " ");
		autofree char *word = xstrndup(*at, len);

		if (b.len > 0 && width_of(sbuf_str(&b)) + 1 + width_of(word) > width)
			break;
		/* A word that fits into no line is cut. */
		if (width_of(word) > width) {
			len = text_utf8_floor(word, len, width);
			word[len] = '\0';
		}
		(void)sbuf_addf(&b, "%s%s", b.len > 0 ? " " : "", word);
		*at += len + strspn(*at + len, " ");
	}
	return sbuf_take(&b, NULL);
}

static void
add_row(struct sbuf *b, const size_t widths[3], const char *const cells[3])
{
	const char *rest = cells[2];
	bool first = true;

	while (*rest || first) {
		autofree char *part = next_part(&rest, widths[2]);

		add_cell(b, first ? cells[0] : "", widths[0]);
		add_cell(b, first ? cells[1] : "", widths[1]);
		add_cell(b, part, widths[2]);
		(void)sbuf_adds(b, "\xe2\x94\x82\n");
		first = false;
	}
}

char *
diagnose_table(const json_t *checks, size_t width)
{
	static const char *const top[] = { "\xe2\x94\x8c", "\xe2\x94\xac", "\xe2\x94\x90" };
	static const char *const middle[] = { "\xe2\x94\x9c", "\xe2\x94\xbc", "\xe2\x94\xa4" };
	static const char *const bottom[] = { "\xe2\x94\x94", "\xe2\x94\xb4", "\xe2\x94\x98" };
	size_t widths[3] = { width_of(columns[0]), width_of(columns[1]), 20 }, i, used;
	struct sbuf b = SBUF_INIT(4u << 20);
	json_t *one;

	for (size_t k = 0; k < 2; k++)
		json_array_foreach(checks, i, one)
		{
			size_t n = width_of(json_str(one, columns[k], ""));

			widths[k] = n > widths[k] ? n : widths[k];
		}
	used = widths[0] + widths[1] + 10;
	if (used + widths[2] < width)
		widths[2] = width - used;
	add_line(&b, widths, top);
	add_row(&b, widths, columns);
	json_array_foreach(checks, i, one)
	{
		const char *const cells[] = { json_str(one, "Check", ""),
					      json_str(one, "Status", ""),
					      json_str(one, "Note", "") };

		add_line(&b, widths, middle);
		add_row(&b, widths, cells);
	}
	add_line(&b, widths, bottom);
	return sbuf_take(&b, NULL);
}
