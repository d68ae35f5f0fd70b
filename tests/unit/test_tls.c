/* TLS is verified: against the account's authority or the environment's, by name and by date, also
   of a proxy and on warm connections.  The certificates are made here. */
#include "src/http.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"
#include "tests/unit/server.h"
#include <errno.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define DAY 86400L

struct identity { /* a certificate and its key */
	X509 *cert;
	EVP_PKEY *key;
};

struct site { /* what the server shows, and how many requests reached it */
	SSL_CTX *ctx;
	atomic_uint requests;
	char head[4096]; /* of the last one */
};

static struct identity authority, stranger;
static char *dir, *authority_file, *stranger_file;
static struct loop *loop;
static struct http_client *client;

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

/* names: a subjectAltName, or NULL for an authority of its own.  from, to: seconds from now. */
static struct identity
identity_make(const char *name, const char *names, const struct identity *by, long from, long to)
{
	struct identity id = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME *subject = X509_get_subject_name(id.cert);
	static long serial;

	assert_non_null(id.key);
	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), from);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), to);
	X509_set_pubkey(id.cert, id.key);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id.cert, by == NULL ? subject : X509_get_subject_name(by->cert));
	if (by == NULL)
		add_extension(id.cert, id.cert, NID_basic_constraints, "critical,CA:TRUE");
	else
		add_extension(id.cert, by->cert, NID_subject_alt_name, names);
	assert_true(X509_sign(id.cert, by == NULL ? id.key : by->key, EVP_sha256()) > 0);
	return id;
}

static void
identity_free(struct identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static char *
authority_make(struct identity *out, const char *name)
{
	char *path = xasprintf("%s/%s.pem", dir, name);
	BIO *file = BIO_new_file(path, "w");

	*out = identity_make(name, NULL, NULL, -DAY, DAY);
	assert_non_null(file);
	assert_int_equal(PEM_write_bio_X509(file, out->cert), 1);
	BIO_free(file);
	return path;
}

static void
site_init(struct site *site, const char *names, const struct identity *by, long from, long to)
{
	struct identity id = identity_make("site", names, by, from, to);

	*site = (struct site){.ctx = SSL_CTX_new(TLS_server_method())};
	assert_int_equal(SSL_CTX_use_certificate(site->ctx, id.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(site->ctx, id.key), 1);
	identity_free(&id);
}

static bool
tls_read_head(SSL *ssl, char *head, size_t size)
{
	size_t len = 0;

	while (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0) {
		if (len + 1 >= size || SSL_read(ssl, head + len, 1) != 1)
			return false;
		head[++len] = '\0';
	}
	return true;
}

static void
serve_site(struct server *s, int fd, unsigned n, void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
	struct site *site = arg;
	SSL *ssl = SSL_new(site->ctx);

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		while (tls_read_head(ssl, site->head, sizeof site->head)) {
			atomic_fetch_add(&site->requests, 1);
			SSL_write(ssl, answer, sizeof answer - 1);
		}
	}
	SSL_free(ssl);
}

/* A proxy that makes a tunnel, of which the other end is the site. */
static void
serve_tunnel(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	if (!server_read(fd, &req, false))
		return;
	if (strcmp(req.method, "CONNECT") != 0 || strcasestr(req.head, "authorization") != NULL)
		server_write(fd, "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
	else if (server_write(fd, "HTTP/1.1 200 Yes\r\nX-Proxy: 1\r\n\r\n"))
		serve_site(s, fd, n, arg);
}

static void
client_make(void)
{
	const struct http_limits limits = {
	    .connect_timeout_ms = 5000, .stall_timeout_ms = 5000, .buffer = 65536};
	struct err err = ERR_INIT;

	client = http_client_new(loop, &limits, &err);
	assert_non_null(client);
}

static void
client_remake(void)
{
	http_client_free(client);
	client_make();
}

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	setenv("no_proxy", "*", 1);
	loop = loop_new("tls", &err);
	assert_non_null(loop);
	client_make();
	return 0;
}

static int
teardown(void **state)
{
	http_client_free(client);
	loop_free(loop);
	unsetenv("CURL_CA_BUNDLE");
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	return 0;
}

struct result {
	int code, status;
	struct err err;
};

static enum http_take
on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	*collect_max = 100;
	return HTTP_COLLECT;
}

static void
on_done(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct result *result = arg;

	*result = (struct result){code, res->status, *err};
	loop_stop(loop);
}

static int PRINTF(2, 3) get(const char *ca_file, const char *fmt, ...)
{
	static const struct http_handler handler = {.head = on_head, .done = on_done};
	struct http_request req;
	struct result result;
	char url[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(url, sizeof url, fmt, ap);
	va_end(ap);
	http_request_init(&req);
	buf_puts(&req.url, url);
	req.ca_file = ca_file;
	http_request_header(&req, "Authorization", "secret");
	http_start(client, &req, NULL, &handler, &result);
	loop_run(loop);
	http_request_fini(&req);
	if (result.code == 0)
		assert_int_equal(result.status, 200);
	return result.code;
}

static void
who_is_not_proven_gets_no_request(void **state)
{
	static const struct {
		const char *names;
		struct identity *by;
		long from, to;
		int code;
	} cases[] = {
	    {"IP:127.0.0.1", &authority, -DAY, DAY, 0},
	    {"IP:127.0.0.1", &stranger, -DAY, DAY, -EACCES},
	    {"IP:127.0.0.2,DNS:elsewhere.example", &authority, -DAY, DAY, -EACCES},
	    {"IP:127.0.0.1", &authority, -2 * DAY, -DAY, -EACCES},
	    {"IP:127.0.0.1", &authority, DAY, 2 * DAY, -EACCES},
	};
	struct site site;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct server *server;

		site_init(&site, cases[i].names, cases[i].by, cases[i].from, cases[i].to);
		server = server_start(serve_site, &site);
		assert_int_equal(get(authority_file, "https://127.0.0.1:%d/", server_port(server)),
		    cases[i].code);
		server_stop(server);
		assert_int_equal(atomic_load(&site.requests), cases[i].code == 0);
		SSL_CTX_free(site.ctx);
	}
}

/* Neither a kept connection nor a session of it proves anything to an account with another
   authority. */
static void
proof_is_not_borrowed(void **state)
{
	struct server *server;
	struct site site;

	site_init(&site, "IP:127.0.0.1", &authority, -DAY, DAY);
	server = server_start(serve_site, &site);
	assert_int_equal(get(authority_file, "https://127.0.0.1:%d/", server_port(server)), 0);
	assert_int_equal(get(authority_file, "https://127.0.0.1:%d/", server_port(server)), 0);
	assert_int_equal(server_connections(server), 1);
	assert_int_equal(get(stranger_file, "https://127.0.0.1:%d/", server_port(server)), -EACCES);
	assert_int_equal(get(NULL, "https://127.0.0.1:%d/", server_port(server)), -EACCES);
	assert_int_equal(
	    get("/nowhere.pem", "https://127.0.0.1:%d/", server_port(server)), -EACCES);
	assert_int_equal(atomic_load(&site.requests), 2);
	http_client_free(client);
	client = NULL;
	server_stop(server);
	SSL_CTX_free(site.ctx);
}

static void
the_environment_names_the_authority(void **state)
{
	struct server *server;
	struct site site;

	site_init(&site, "IP:127.0.0.1", &authority, -DAY, DAY);
	server = server_start(serve_site, &site);
	setenv("CURL_CA_BUNDLE", authority_file, 1);
	client_remake();
	assert_int_equal(get(NULL, "https://127.0.0.1:%d/", server_port(server)), 0);
	assert_int_equal(get(stranger_file, "https://127.0.0.1:%d/", server_port(server)), -EACCES);
	server_stop(server);
	SSL_CTX_free(site.ctx);
}

static void
through_a_tunnel_the_site_is_verified(void **state)
{
	CLEANUP(cleanup_free) char *proxy = NULL;
	struct server *server;
	struct site site;

	site_init(&site, "DNS:site.example", &authority, -DAY, DAY);
	server = server_start(serve_tunnel, &site);
	proxy = xasprintf("http://127.0.0.1:%d", server_port(server));
	setenv("https_proxy", proxy, 1);
	setenv("no_proxy", "", 1);
	/* No name is looked up here, and the proxy sees no header of ours. */
	assert_int_equal(get(authority_file, "https://site.example/"), 0);
	assert_non_null(strstr(site.head, "Authorization: secret"));
	assert_int_equal(get(authority_file, "https://other.example/"), -EACCES);
	assert_int_equal(atomic_load(&site.requests), 1);
	server_stop(server);
	SSL_CTX_free(site.ctx);
}

static void
a_proxy_with_tls_is_verified(void **state)
{
	CLEANUP(cleanup_free) char *proxy = NULL;
	struct server *server;
	struct site site;

	site_init(&site, "IP:127.0.0.1", &authority, -DAY, DAY);
	server = server_start(serve_site, &site);
	proxy = xasprintf("https://127.0.0.1:%d", server_port(server));
	setenv("http_proxy", proxy, 1);
	setenv("no_proxy", "", 1);
	assert_int_equal(get(NULL, "http://site.example/"), -EACCES);
	setenv("CURL_CA_BUNDLE", authority_file, 1);
	client_remake();
	assert_int_equal(get(NULL, "http://site.example/"), 0);
	/* The account's authority speaks for its service, not for the way there. */
	assert_int_equal(get(stranger_file, "http://site.example/"), 0);
	assert_int_equal(atomic_load(&site.requests), 2);
	server_stop(server);
	SSL_CTX_free(site.ctx);
}

static int
group_setup(void **state)
{
	dir = scratch_make();
	authority_file = authority_make(&authority, "authority");
	stranger_file = authority_make(&stranger, "stranger");
	return 0;
}

static int
group_teardown(void **state)
{
	identity_free(&authority);
	identity_free(&stranger);
	free(authority_file);
	free(stranger_file);
	scratch_remove(dir);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	    TEST(who_is_not_proven_gets_no_request),
	    TEST(proof_is_not_borrowed),
	    TEST(the_environment_names_the_authority),
	    TEST(through_a_tunnel_the_site_is_verified),
	    TEST(a_proxy_with_tls_is_verified),
	};

	signal(SIGPIPE, SIG_IGN); /* TLS writes to who has hung up */
	return cmocka_run_group_tests_name("tls", tests, group_setup, group_teardown);
}
