/* Access tokens: the runner's part (src/cloud_sign_in.c) and OAuth's (providers/oauth.c), with a
   server that grants them and one that wants them. */
#include "providers/oauth.h"
#include "src/clock.h"
#include "tests/unit/runner_fixture.h"
#include <errno.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PROBES 5

struct grants {
	const char *const *answers; /* "STATUS BODY"; the last is repeated; of the token server */
	atomic_uint asked; /* for tokens */
	atomic_uint served, refused; /* ops with the right token, with another one */
	unsigned good; /* only the token of this number is right: "token-N"; 0: the newest */
	pthread_mutex_t lock; /* for form: each connection has a thread */
	char form[4096]; /* of the last request for a token */
};

static unsigned refreshes;
static char *service_key; /* PEM */
static EVP_PKEY *rsa;
static bool renews; /* refresh() gives the account other credentials */
static bool as_service;
static bool asks_later; /* refresh() is answered later: it is about one object */
static struct probe *meanwhile; /* what begins until then */

/* the servers, which are one */

static void
answer_token(struct grants *g, int fd, const struct request *req)
{
	unsigned at = atomic_fetch_add(&g->asked, 1), i = 0;
	const char *answer, *body;
	char made[128];

	pthread_mutex_lock(&g->lock);
	snprintf(g->form, sizeof g->form, "%.*s", (int)req->body_len, req->body);
	pthread_mutex_unlock(&g->lock);
	while (i < at && g->answers[i + 1] != NULL)
		i++;
	answer = g->answers[i];
	if (strcmp(answer, "hang") == 0) {
		server_wait_closed(fd);
		return;
	}
	if (strcmp(answer, "reset") == 0) {
		server_reset(fd);
		return;
	}
	body = strchr(answer, ' ') + 1;
	if (strncmp(body, "life ", 5) == 0) {
		snprintf(made, sizeof made,
		    "{\"access_token\":\"token-%u\",\"token_type\":\"bearer\",\"expires_in\":%s}",
		    at + 1, body + 5);
		body = made;
	}
	server_write(
	    fd, "HTTP/1.1 %.3s OK\r\nContent-Length: %zu\r\n\r\n%s", answer, strlen(body), body);
}

static void
answer_op(struct grants *g, int fd, const struct request *req)
{
	char wanted[64];

	snprintf(wanted, sizeof wanted, "Authorization: Bearer token-%u\r\n",
	    g->good > 0 ? g->good : atomic_load(&g->asked));
	if (strstr(req->head, wanted) != NULL && strcmp(req->target, "/never") != 0) {
		atomic_fetch_add(&g->served, 1);
		server_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	} else {
		atomic_fetch_add(&g->refused, 1);
		server_write(fd, "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n");
	}
}

static void
serve(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	while (server_read(fd, &req, true)) {
		if (strcmp(req.target, "/token") == 0)
			answer_token(arg, fd, &req);
		else
			answer_op(arg, fd, &req);
		server_request_fini(&req);
	}
}

/* a driver that wants a token */

struct signed_account {
	struct oauth oauth; /* first */
	char url[64];
};

static const struct cloud_field signed_fields[] = {
    {.name = "port", .title = "Port", .required = true},
    {.name = "refreshToken", .title = "Refresh token", .value = "refresh & me"},
    {.name = NULL},
};

static int
signed_open(struct account *a, const json_t *credentials, struct err *err)
{
	struct signed_account *own = a->data;
	const char *port = json_string_value(json_object_get(credentials, "port"));
	CLEANUP(cleanup_free) char *token = xasprintf("http://127.0.0.1:%s/token", port);
	json_t *file;
	char *text;
	int code;

	snprintf(own->url, sizeof own->url, "http://127.0.0.1:%s", port);
	if (!as_service)
		return oauth_open_refresh(&own->oauth, token, "client id", "client secret",
		    json_string_value(json_object_get(credentials, "refreshToken")), err);
	file = json_pack("{s:s,s:s,s:s}", "client_email", "robot@example.com", "private_key",
	    service_key, "token_uri", "https://oauth.example.com/token");
	text = json_dumps(file, 0);
	code = oauth_open_service(&own->oauth, text, token, "https://scope.example.com", err);
	free(text);
	json_decref(file);
	return code;
}

static void
signed_close(struct account *a)
{
	oauth_close(a->data);
}

static enum cloud_step
signed_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	const struct signed_account *own = op->account->data;
	const bool *is_written = op->data;

	buf_printf(&request->http.url, "%s/%s", own->url, op->path);
	if (op->kind == CLOUD_PUT && !*is_written) {
		request->http.method = "PUT";
		request->http.body = HTTP_BODY_STREAM;
		request->http.length = op->length;
	}
	oauth_put_authorization(&request->http, &own->oauth);
	return CLOUD_STEP_SEND;
}

/* What was written is looked at. */
static enum cloud_step
signed_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	bool *is_written = op->data;

	if (res->status == 200 && op->kind == CLOUD_PUT && !*is_written) {
		*is_written = true;
		return CLOUD_STEP_NEXT;
	}
	if (res->status == 200)
		return CLOUD_STEP_DONE;
	err_set(err, -EKEYEXPIRED, "not this token");
	return CLOUD_STEP_REFRESH;
}

static const struct cloud_driver signed_driver = {
    .name = "signed",
    .title = "Signed",
    .transport = CLOUD_HTTP,
    .limits = {.concurrency = 2 * PROBES},
    .fields = signed_fields,
    .account_size = sizeof(struct signed_account),
    .op_size = sizeof(bool),
    .open = signed_open,
    .close = signed_close,
    .request = signed_request,
    .response = signed_response,
    .sign_in = &oauth_sign_in,
};

/* the scaffold */

static json_t *
credentials_new(const char *refresh_token)
{
	return json_pack("{s:o,s:s}", "port", json_sprintf("%d", server_port(server)),
	    "refreshToken", refresh_token);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct err err = ERR_INIT;

	err_set(&err, -EACCES, "not this object");
	cloud_account_refreshed(runner, arg, err.code, &err);
}

static void
on_refresh(void *arg, struct account *a, const struct err *why)
{
	struct err err = ERR_INIT;
	json_t *other = credentials_new("another");

	refreshes++;
	if (asks_later) {
		static const struct timeval soon = {0, 50 * 1000};

		if (meanwhile != NULL)
			probe_start(meanwhile);
		event_base_once(loop_base(loop), -1, EV_TIMEOUT, on_later, a, &soon);
		json_decref(other);
		return;
	}
	if (renews)
		assert_int_equal(cloud_account_renew(a, other, &err), 0);
	else
		err = *why;
	json_decref(other);
	cloud_account_refreshed(runner, a, renews ? 0 : why->code, &err);
}

static const struct cloud_runner_config config = {
    .http = {.connect_timeout_ms = 5000, .stall_timeout_ms = 5000},
    .backoff_base_ms = 2,
    .backoff_max_ms = 10,
    .refresh = on_refresh,
};

static int
setup(void **state)
{
	fixture_setup(&config);
	refreshes = 0;
	renews = as_service = asks_later = false;
	meanwhile = NULL;
	return 0;
}

static void
start(struct grants *g)
{
	struct err err = ERR_INIT;
	json_t *credentials;

	server = server_start(serve, g);
	credentials = credentials_new("refresh & me");
	assert_int_equal(
	    cloud_account_open(&account, &signed_driver, "id", "mine", credentials, &err), 0);
	json_decref(credentials);
}

/* So many at once; all end with code. */
static void
run(struct probe *probes, unsigned n, int code)
{
	for (unsigned i = 0; i < n; i++) {
		probe_init(&probes[i], CLOUD_STAT);
		probe_start(&probes[i]);
	}
	loop_run(loop);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(probes[i].code, code);
		probe_fini(&probes[i]);
	}
}

#define GRANTS(...)                                                                                \
	{                                                                                          \
		.lock = PTHREAD_MUTEX_INITIALIZER, .answers = (const char *const[])                \
		{                                                                                  \
			__VA_ARGS__, NULL                                                          \
		}                                                                                  \
	}

static const char refused[] =
    "400 {\"error\":\"invalid_grant\",\"error_description\":\"Token has been revoked.\"}";

/* the tests */

static void
one_token_serves_all(void **state)
{
	struct grants g = GRANTS("200 life 3600");
	struct probe probes[PROBES];

	start(&g);
	run(probes, PROBES, 0);
	run(probes, PROBES, 0);
	assert_int_equal(g.asked, 1);
	assert_int_equal(g.served, 2 * PROBES);
	assert_int_equal(g.refused, 0);
	assert_string_equal(g.form,
	    "grant_type=refresh_token&refresh_token=refresh%20%26%20me&client_id=client%20id"
	    "&client_secret=client%20secret");
}

static void
a_token_is_renewed_before_it_expires(void **state)
{
	struct account fake = {.name = "fake"};
	struct oauth oauth = {.token_url = "http://127.0.0.1/"};
	struct http_response res;
	struct err err = ERR_INIT;

	fake.data = &oauth;
	http_response_init(&res);
	res.status = 200;
	res.body.max = 1000;
	buf_puts(&res.body, "{\"access_token\":\"t\",\"expires_in\":3600}");
	assert_true(oauth_sign_in.is_needed(&fake, 1000));
	assert_int_equal(oauth_sign_in.response(&fake, 1000, &res, &err), 0);
	assert_false(oauth_sign_in.is_needed(&fake, 1000 + 3539999));
	assert_true(oauth_sign_in.is_needed(&fake, 1000 + 3540000));
	/* A short life keeps most of itself. */
	buf_reset(&res.body);
	buf_puts(&res.body, "{\"access_token\":\"t\",\"expires_in\":8}");
	assert_int_equal(oauth_sign_in.response(&fake, 1000, &res, &err), 0);
	assert_false(oauth_sign_in.is_needed(&fake, 1000 + 5999));
	assert_true(oauth_sign_in.is_needed(&fake, 1000 + 6000));
	/* Not said: an hour. */
	buf_reset(&res.body);
	buf_puts(&res.body, "{\"access_token\":\"t\"}");
	assert_int_equal(oauth_sign_in.response(&fake, 1000, &res, &err), 0);
	assert_false(oauth_sign_in.is_needed(&fake, 1000 + 3539999));
	oauth_sign_in.forget(&fake);
	assert_true(oauth_sign_in.is_needed(&fake, 1000));
	http_response_fini(&res);
}

static void
a_refused_token_is_renewed_once_for_all(void **state)
{
	struct grants g = GRANTS("200 life 3600");
	struct probe probes[PROBES];

	start(&g);
	run(probes, 1, 0);
	g.good = 2; /* the first is worth nothing any more */
	run(probes, PROBES, 0);
	assert_int_equal(g.asked, 2);
	assert_int_equal(g.served, 1 + PROBES);
	assert_int_equal(refreshes, 0);
	/* Nothing that the token server gives is good: whoever looks after credentials is asked. */
	g.good = 1000;
	run(probes, 1, -EKEYEXPIRED);
	assert_int_equal(g.asked, 3);
	assert_int_equal(refreshes, 1);
	assert_false(cloud_account_is_signed_out(account));
}

/* RFC 6749, 6. */
static void
a_new_refresh_token_takes_the_place_of_the_old_one(void **state)
{
	struct grants g = GRANTS("200 {\"access_token\":\"token-1\",\"refresh_token\":\"second\"}",
	    "200 {\"access_token\":\"a b\",\"refresh_token\":\"third\"}",
	    "200 {\"access_token\":\"token-3\",\"refresh_token\":\"third\"}");
	struct probe probes[PROBES];
	char *was = NULL, *now = NULL;

	start(&g);
	run(probes, PROBES, 0);
	assert_true(oauth_sign_in.rotated(account, &was, &now));
	assert_string_equal(was, "refresh & me");
	assert_string_equal(now, "second");
	mem_wipe_free(was);
	mem_wipe_free(now);
	assert_false(oauth_sign_in.rotated(account, &was, &now));
	/* It is used at once, and so is one of an answer that is good for nothing else. */
	g.good = 3;
	run(probes, 1, 0);
	assert_non_null(strstr(g.form, "refresh_token=third"));
	assert_int_equal(g.asked, 3);
	assert_true(oauth_sign_in.rotated(account, &was, &now));
	assert_string_equal(was, "second");
	assert_string_equal(now, "third");
	mem_wipe_free(was);
	mem_wipe_free(now);
}

/* Somebody else who has tokens. */
static struct {
	unsigned asked, ticket, next;
	char refused[64];
	bool keeps_silent;
} elsewhere;

static void
on_sign_in(void *arg, struct account *a, unsigned ticket, const char *not_this)
{
	static const struct err none = ERR_INIT;
	CLEANUP(cleanup_free) char *token = xasprintf("token-%u", elsewhere.next);

	elsewhere.asked++;
	elsewhere.ticket = ticket;
	snprintf(
	    elsewhere.refused, sizeof elsewhere.refused, "%s", not_this == NULL ? "" : not_this);
	if (!elsewhere.keeps_silent)
		cloud_account_signed_in(a, ticket, 0, token, UINT64_MAX, &none);
}

static int
setup_elsewhere(void **state)
{
	struct cloud_runner_config with_tokens = config;

	setup(state);
	with_tokens.sign_in = on_sign_in;
	fixture_set_runner(&with_tokens);
	memset(&elsewhere, 0, sizeof elsewhere);
	return 0;
}

static void
a_token_comes_from_elsewhere(void **state)
{
	struct grants g = GRANTS("500 nobody asks here");
	struct probe probes[PROBES];

	start(&g);
	elsewhere.next = g.good = 1;
	run(probes, PROBES, 0);
	assert_int_equal(elsewhere.asked, 1);
	assert_string_equal(elsewhere.refused, "");
	/* What was refused is told. */
	elsewhere.next = g.good = 2;
	run(probes, PROBES, 0);
	assert_int_equal(elsewhere.asked, 2);
	assert_string_equal(elsewhere.refused, "token-1");
	assert_int_equal(g.asked, 0);
}

static void
what_was_asked_for_other_credentials_is_not_taken(void **state)
{
	static const struct err none = ERR_INIT;
	struct grants g = GRANTS("500 nobody asks here");
	struct probe probe;
	struct err err = ERR_INIT;
	json_t *other;
	unsigned first;

	start(&g);
	g.good = 2;
	elsewhere.keeps_silent = true;
	probe_init(&probe, CLOUD_STAT);
	probe_start(&probe);
	while (elsewhere.asked == 0)
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	first = elsewhere.ticket;
	other = credentials_new("another");
	assert_int_equal(cloud_account_renew(account, other, &err), 0);
	json_decref(other);
	while (elsewhere.asked == 1)
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	cloud_account_signed_in(account, first, 0, "token-1", UINT64_MAX, &none);
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	assert_int_equal(g.served + g.refused, 0);
	cloud_account_signed_in(account, elsewhere.ticket, 0, "token-2", UINT64_MAX, &none);
	loop_run(loop);
	assert_int_equal(probe.code, 0);
	assert_int_equal(g.served, 1);
	assert_int_equal(g.refused, 0);
	probe_fini(&probe);
	/* Nobody waits. */
	cloud_account_signed_in(account, 0, -ENOENT, NULL, 0, &none);
}

/* A token that has just come is not too old: others will not do either, and are not asked for. */
static void
tokens_that_are_refused_at_once_are_no_storm(void **state)
{
	struct grants g = GRANTS("200 life 3600");
	struct probe probes[PROBES];

	start(&g);
	run(probes, 1, 0);
	g.good = 1000;
	for (int i = 0; i < 60; i++)
		run(probes, PROBES, -EKEYEXPIRED);
	assert_int_equal(g.asked, 21);
	assert_true(refreshes >= 60);
	/* Other credentials are another matter. */
	g.good = 22;
	renews = true;
	run(probes, PROBES, 0);
	assert_int_equal(g.asked, 22);
}

static void
put(int code)
{
	struct probe probe;

	probe_init(&probe, CLOUD_PUT);
	probe_source(&probe, 7);
	assert_int_equal(probe_run(&probe), code);
	probe_fini(&probe);
}

/* Each time its caller reads the source again, but not for ever. */
static void
a_stream_that_is_always_refused_ends(void **state)
{
	struct grants g = GRANTS("200 life 3600");

	start(&g);
	g.good = 1000;
	put(-EAGAIN);
	put(-EAGAIN);
	put(-EKEYEXPIRED);
	assert_int_equal(g.asked, 3);
	assert_int_equal(refreshes, 1);
}

/* Refusals of before count no more when it went well in between. */
static void
a_stream_that_went_well_may_be_refused_again(void **state)
{
	struct grants g = GRANTS("200 life 3600");

	start(&g);
	g.good = 3;
	put(-EAGAIN);
	put(-EAGAIN);
	put(0);
	g.good = 4;
	put(-EAGAIN);
	put(0);
	assert_int_equal(g.asked, 4);
	assert_int_equal(refreshes, 0);
}

static void
one_object_that_is_refused_fails_no_other(void **state)
{
	struct grants g = GRANTS("200 life 3600");
	struct probe never, other;

	start(&g);
	probe_init(&never, CLOUD_STAT);
	xstrset(&never.op->path, "never");
	probe_init(&other, CLOUD_STAT);
	asks_later = true;
	meanwhile = &other;
	assert_int_equal(probe_run(&never), -EACCES);
	assert_int_equal(other.code, 0);
	assert_int_equal(refreshes, 1);
	probe_fini(&never);
	probe_fini(&other);
}

static void
a_token_server_in_trouble_is_asked_again(void **state)
{
	struct grants g = GRANTS("503 busy", "reset", "429 {}", "200 life 3600");
	struct probe probes[PROBES];

	start(&g);
	run(probes, PROBES, 0);
	assert_int_equal(g.asked, 4);
}

static void
a_token_server_that_stays_in_trouble_fails_them(void **state)
{
	struct grants g = GRANTS("503 {\"error\":\"temporarily_unavailable\"}");
	struct probe probes[PROBES];

	start(&g);
	run(probes, PROBES, -EAGAIN);
	assert_int_equal(g.asked, 5);
	assert_non_null(strstr(probes[0].err.msg, "503: temporarily_unavailable"));
	assert_int_equal(refreshes, 0);
	assert_int_equal(g.served + g.refused, 0);
}

static void
nonsense_is_no_token(void **state)
{
	struct grants g = GRANTS("200 {\"access_token\":\"a b\"}");
	struct probe probes[1];

	start(&g);
	run(probes, 1, -EPROTO);
	assert_non_null(strstr(probes[0].err.msg, "gave no bearer token"));
}

static void
a_revoked_grant_needs_a_person(void **state)
{
	struct grants g = GRANTS(refused);
	struct probe probes[PROBES];

	start(&g);
	run(probes, PROBES, -EKEYEXPIRED);
	assert_int_equal(refreshes, 1);
	assert_int_equal(g.asked, 1);
	assert_true(cloud_account_is_signed_out(account));
	assert_non_null(strstr(probes[0].err.msg, "'mine' must be signed in again"));
	assert_non_null(strstr(probes[0].err.msg, "Token has been revoked."));
	assert_null(strstr(probes[0].err.msg, "refresh & me"));
}

static void
other_credentials_end_a_revocation(void **state)
{
	struct grants g = GRANTS(refused, "200 life 3600", refused);
	struct probe probes[PROBES];

	renews = true;
	start(&g);
	run(probes, PROBES, 0);
	assert_int_equal(refreshes, 1);
	assert_int_equal(g.asked, 2);
	assert_non_null(strstr(g.form, "refresh_token=another"));
	assert_false(cloud_account_is_signed_out(account));
	/* But not for ever: what is refused again, with other credentials, has failed. */
	g.good = 1000;
	run(probes, 1, -EKEYEXPIRED);
	assert_int_equal(refreshes, 2);
}

/* Its ops are gone, and then the account: nothing is left to answer to. */
static void
an_account_goes_while_it_signs_in(void **state)
{
	struct grants g = GRANTS("hang");
	struct probe probe;

	start(&g);
	probe_init(&probe, CLOUD_STAT);
	probe_start(&probe);
	while (g.asked == 0)
		event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
	cloud_op_cancel(probe.op);
	probe_fini(&probe);
	cloud_account_unref(account);
	account = NULL;
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void
a_service_account_signs_its_grant(void **state)
{
	struct grants g = GRANTS("200 life 3600");
	struct probe probes[1];
	char *public;
	const char *assertion;
	BIO *bio = BIO_new(BIO_s_mem());
	long length;
	jwt_t *jwt = NULL;
	long now = (long)(clock_ms() / 1000);

	as_service = true;
	start(&g);
	run(probes, 1, 0);
	assertion = strstr(g.form, "&assertion=");
	assert_non_null(assertion);
	assert_ptr_equal(
	    strstr(g.form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"),
	    g.form);
	PEM_write_bio_PUBKEY(bio, rsa);
	length = BIO_get_mem_data(bio, &public);
	assert_int_equal(jwt_decode(&jwt, assertion + strlen("&assertion="),
			     (const unsigned char *)public, (int)length),
	    0);
	assert_int_equal(jwt_get_alg(jwt), JWT_ALG_RS256);
	assert_string_equal(jwt_get_grant(jwt, "iss"), "robot@example.com");
	assert_string_equal(jwt_get_grant(jwt, "scope"), "https://scope.example.com");
	assert_non_null(strstr(jwt_get_grant(jwt, "aud"), "/token"));
	assert_true(jwt_get_grant_int(jwt, "iat") <= now);
	assert_true(jwt_get_grant_int(jwt, "exp") > now);
	assert_int_equal(jwt_get_grant_int(jwt, "exp") - jwt_get_grant_int(jwt, "iat"), 3600);
	jwt_free(jwt);
	BIO_free(bio);
}

static void
what_is_no_grant_is_refused(void **state)
{
	struct oauth oauth = {.token = NULL};
	struct err err = ERR_INIT;

	assert_int_equal(
	    oauth_open_refresh(&oauth, "http://example.com/token", "i", NULL, "r", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "must begin with https://"));
	assert_int_equal(
	    oauth_open_refresh(&oauth, "http://127.0.0.1.example.com/", "i", NULL, "r", &err),
	    -EINVAL);
	assert_int_equal(
	    oauth_open_refresh(&oauth, "https://a b/token", "i", NULL, "r", &err), -EINVAL);
	assert_int_equal(oauth_open_service(&oauth, "{}", NULL, "s", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "serviceAccount: it must be the JSON key file"));
	assert_int_equal(
	    oauth_open_service(&oauth,
		"{\"client_email\":\"m\",\"private_key\":\"k\",\"token_uri\":\"https://x/\"}", NULL,
		"s", &err),
	    -EINVAL);
	assert_non_null(strstr(err.msg, "no RSA key"));
	oauth_close(&oauth);
}

static int
make_key(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	rsa = EVP_RSA_gen(2048);
	PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL);
	len = BIO_get_mem_data(bio, &pem);
	service_key = xstrndup(pem, (size_t)len);
	BIO_free(bio);
	return 0;
}

static int
free_key(void **state)
{
	EVP_PKEY_free(rsa);
	free(service_key);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_token_serves_all),
	    cmocka_unit_test(a_token_is_renewed_before_it_expires),
	    TEST(a_refused_token_is_renewed_once_for_all),
	    TEST(tokens_that_are_refused_at_once_are_no_storm),
	    TEST(a_stream_that_is_always_refused_ends),
	    TEST(a_stream_that_went_well_may_be_refused_again),
	    TEST(one_object_that_is_refused_fails_no_other),
	    TEST(a_new_refresh_token_takes_the_place_of_the_old_one),
	    cmocka_unit_test_setup_teardown(
		a_token_comes_from_elsewhere, setup_elsewhere, fixture_teardown),
	    cmocka_unit_test_setup_teardown(what_was_asked_for_other_credentials_is_not_taken,
		setup_elsewhere, fixture_teardown),
	    TEST(a_token_server_in_trouble_is_asked_again),
	    TEST(a_token_server_that_stays_in_trouble_fails_them),
	    TEST(nonsense_is_no_token),
	    TEST(a_revoked_grant_needs_a_person),
	    TEST(other_credentials_end_a_revocation),
	    TEST(an_account_goes_while_it_signs_in),
	    TEST(a_service_account_signs_its_grant),
	    cmocka_unit_test(what_is_no_grant_is_refused),
	};

	return cmocka_run_group_tests(tests, make_key, free_key);
}
