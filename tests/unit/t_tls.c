/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of core/net/http.c and ca.c with TLS: whom it trusts, and that sessions are kept. */
#include <check.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/base/fs.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/base/strv.h"
#include "core/net/http.h"
#include "tests/unit/suite.h"

static struct event_base *base;
static SSL_CTX *tls;
static X509 *certificate;
static struct evconnlistener *listener;
static char dir[64], *pem_file, *pem_text, *url;
static int connections, resumed;

struct peer {
	struct list link;
	struct bufferevent *bev;
};
static struct list peers = LIST_INIT(peers);

static void
peer_free(struct peer *p)
{
	list_remove(&p->link);
	bufferevent_free(p->bev);
	free(p);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);

	(void)arg;
	if (end.pos < 0)
		return;
	evbuffer_drain(in, evbuffer_get_length(in));
	evbuffer_add_printf(bufferevent_get_output(bev),
			    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	if (what & BEV_EVENT_CONNECTED)
		resumed += SSL_session_reused(bufferevent_openssl_get_ssl(bev));
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		peer_free(arg);
}

static void
on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int len, void *arg)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	(void)l;
	(void)a;
	(void)len;
	(void)arg;
	connections++;
	p->bev = bufferevent_openssl_socket_new(base, fd, SSL_new(tls), BUFFEREVENT_SSL_ACCEPTING,
						BEV_OPT_CLOSE_ON_FREE);
	list_append(&peers, &p->link);
	bufferevent_setcb(p->bev, on_read, NULL, on_event, p);
	bufferevent_enable(p->bev, EV_READ | EV_WRITE);
}

static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	ck_assert_ptr_nonnull(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

/* Its own authority, for 127.0.0.1, valid from one to another number of seconds from now. */
static X509 *
make_certificate(EVP_PKEY *key, long from_s, long to_s)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), to_s);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
				   0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(x, NID_subject_alt_name, "IP:127.0.0.1");
	ck_assert_int_ne(X509_sign(x, key, EVP_sha256()), 0);
	return x;
}

static void
write_pem(void)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data;
	long len;

	PEM_write_bio_X509(out, certificate);
	len = BIO_get_mem_data(out, &data);
	pem_text = xstrndup(data, (size_t)len);
	pem_file = xasprintf("%s/ca.pem", dir);
	ck_assert_int_eq(fs_write_atomic(AT_FDCWD, pem_file, data, (size_t)len, 0644, false, NULL),
			 0);
	BIO_free(out);
}

static EVP_PKEY *
make_key(void)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	ck_assert_int_eq(EVP_PKEY_keygen_init(c), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(c, NID_X9_62_prime256v1), 1);
	ck_assert_int_eq(EVP_PKEY_keygen(c, &key), 1);
	EVP_PKEY_CTX_free(c);
	return key;
}

static void
serve_with(long from_s, long to_s)
{
	EVP_PKEY *key = make_key();

	SSL_CTX_free(tls);
	X509_free(certificate);
	free(pem_text);
	free(pem_file);
	certificate = make_certificate(key, from_s, to_s);
	tls = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(tls, certificate);
	SSL_CTX_use_PrivateKey(tls, key);
	SSL_CTX_set_session_id_context(tls, (const unsigned char *)"t", 1);
	EVP_PKEY_free(key);
	write_pem();
}

static void
setup(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	unsetenv("AWS_CA_BUNDLE");
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	snprintf(dir, sizeof(dir), "/tmp/t_tls.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	base = event_base_new();
	connections = resumed = 0;
	serve_with(-3600, 3600);
	listener = evconnlistener_new_bind(base, on_accept, NULL,
					   LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					   (struct sockaddr *)&a, sizeof(a));
	ck_assert_ptr_nonnull(listener);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&a, &len);
	url = xasprintf("https://127.0.0.1:%d/", ntohs(a.sin_port));
}

static void
teardown(void)
{
	evconnlistener_free(listener);
	list_each(it, tmp, &peers)
		peer_free(list_entry(it, struct peer, link));
	event_base_free(base);
	SSL_CTX_free(tls);
	X509_free(certificate);
	tls = NULL;
	certificate = NULL;
	fs_remove_tree(AT_FDCWD, dir, NULL);
	free(pem_file);
	free(pem_text);
	free(url);
	pem_file = pem_text = url = NULL;
}

static int last_result;
static char last_text[512], last_body[64];

static void
on_answer(void *arg, int result, const char *text, const struct http_response *r)
{
	(void)arg;
	last_result = result;
	snprintf(last_text, sizeof(last_text), "%s", text);
	snprintf(last_body, sizeof(last_body), "%s", r->body);
	event_base_loopbreak(base);
}

static int
fetch_with(struct http *h, const char *where, bool fresh)
{
	struct http_request r = {
		.method = "GET", .url = where, .connect_ms = 60000,
		.timeout_ms = 60000, .fresh = fresh
	};
	struct timeval limit = { 60, 0 };

	last_result = 1;
	ck_assert_ptr_nonnull(http_start(h, &r, on_answer, NULL, NULL));
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	return last_result;
}

static int
fetch(struct http_options o)
{
	struct http *h;
	int result;

	o.proxy = "";
	h = http_new(base, &o, NULL);
	ck_assert_ptr_nonnull(h);
	result = fetch_with(h, url, false);
	http_free(h);
	return result;
}

START_TEST(test_untrusted)
{
	ck_assert_int_eq(fetch((struct http_options){ 0 }), -EPROTO);
	ck_assert_msg(strstr(last_text, "AWS_CA_BUNDLE") != NULL, "%s", last_text);
	ck_assert_str_eq(last_body, "");
}
END_TEST

START_TEST(test_trusted)
{
	autofree char *link = xasprintf("%s/%08lx.0", dir, X509_subject_name_hash(certificate));

	ck_assert_msg(fetch((struct http_options){ .ca_file = pem_file }) == 0, "%s", last_text);
	ck_assert_str_eq(last_body, "secret");
	ck_assert_msg(fetch((struct http_options){ .ca_pem = pem_text }) == 0, "%s", last_text);
	ck_assert_int_eq(symlink("ca.pem", link), 0);
	ck_assert_msg(fetch((struct http_options){ .ca_path = dir }) == 0, "%s", last_text);
}
END_TEST

START_TEST(test_environment)
{
	setenv("AWS_CA_BUNDLE", pem_file, 1);
	ck_assert_msg(fetch((struct http_options){ 0 }) == 0, "%s", last_text);
	/* an option goes before it */
	ck_assert_int_eq(fetch((struct http_options){ .ca_path = "/var/empty" }), -EPROTO);
	unsetenv("AWS_CA_BUNDLE");
	setenv("SSL_CERT_FILE", pem_file, 1);
	ck_assert_msg(fetch((struct http_options){ 0 }) == 0, "%s", last_text);
	setenv("AWS_CA_BUNDLE", "/no/such/file", 1);
	ck_assert_int_eq(fetch((struct http_options){ 0 }), -EPROTO);
	ck_assert_msg(strstr(last_text, "CA file") != NULL, "%s", last_text);
}
END_TEST

START_TEST(test_wrong_name)
{
	struct http_options o = { .ca_file = pem_file, .proxy = "" };
	struct http *h = http_new(base, &o, NULL);
	autofree char *other = xasprintf("https://localhost:%s", strrchr(url, ':') + 1);

	ck_assert_int_eq(fetch_with(h, other, false), -EPROTO);
	ck_assert_msg(strstr(last_text, "localhost") != NULL, "%s", last_text);
	ck_assert_msg(strstr(last_text, "another name") != NULL, "%s", last_text);
	http_free(h);
}
END_TEST

START_TEST(test_wrong_time)
{
	serve_with(-7200, -3600);
	ck_assert_int_eq(fetch((struct http_options){ .ca_file = pem_file }), -EPROTO);
	ck_assert_msg(strstr(last_text, "has expired, or the clock") != NULL, "%s", last_text);
	serve_with(3600, 7200);
	ck_assert_int_eq(fetch((struct http_options){ .ca_file = pem_file }), -EPROTO);
	ck_assert_msg(strstr(last_text, "not valid yet; is the clock") != NULL, "%s", last_text);
}
END_TEST

/* Ours is the only lower bound here: see allow_old(). */
START_TEST(test_old_protocol)
{
	SSL_CTX_set_security_level(tls, 0);
	SSL_CTX_set_min_proto_version(tls, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(tls, TLS1_1_VERSION);
	ck_assert_int_eq(fetch((struct http_options){ .ca_file = pem_file }), -EPROTO);
	ck_assert_msg(strstr(last_text, "TLS") != NULL, "%s", last_text);
}
END_TEST

START_TEST(test_kept)
{
	struct http_options o = { .ca_file = pem_file, .proxy = "" };
	struct http *h = http_new(base, &o, NULL);

	ck_assert_int_eq(fetch_with(h, url, false), 0);
	ck_assert_int_eq(fetch_with(h, url, false), 0);
	ck_assert_int_eq(connections, 1);
	ck_assert_int_eq(resumed, 0);
	ck_assert_int_eq(fetch_with(h, url, true), 0);
	ck_assert_int_eq(connections, 2);
	ck_assert_int_eq(resumed, 1);
	http_free(h);
}
END_TEST

/* The machine's own settings may refuse old protocols, too: whatever they are, these are read in
 * their place, by client and server. */
static void
allow_old(char *file)
{
	static const char text[] = "openssl_conf = all\n"
				   "[all]\nssl_conf = ssl\n"
				   "[ssl]\nsystem_default = old\n"
				   "[old]\nMinProtocol = TLSv1\n"
				   "CipherString = DEFAULT:@SECLEVEL=0\n";
	int fd = mkstemp(file);

	if (fd < 0 || fs_write_all(fd, text, strlen(text)) < 0)
		abort();
	close(fd);
	setenv("OPENSSL_CONF", file, 1);
}

int
main(void)
{
	Suite *s = suite_create("tls");
	TCase *t = tcase_create("tls");
	char settings[] = "/tmp/t_tls.cnf.XXXXXX";
	int status;

	allow_old(settings);
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_untrusted);
	tcase_add_test(t, test_trusted);
	tcase_add_test(t, test_environment);
	tcase_add_test(t, test_wrong_name);
	tcase_add_test(t, test_wrong_time);
	tcase_add_test(t, test_old_protocol);
	tcase_add_test(t, test_kept);
	suite_add_tcase(s, t);
	status = run_suite(s);
	unlink(settings);
	return status;
}
