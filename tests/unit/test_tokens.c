/* What an account's token and refresh token become (daemon/tokens.c) with a server whose refresh
   tokens are good for one use, while people change the account. */
#include "tests/unit/store_fixture.h"

#include "daemon/accounts.h"
#include "daemon/tokens.h"
#include "tests/unit/server.h"
#include <stdatomic.h>

/* Refresh tokens are NAME-N: the next of each name is N + 1, and any other is a thief's. */
#define NAMES 3
static const char *const names[NAMES] = {"ann", "bob", "new"};

struct granter {
	atomic_uint asked, answered, next[NAMES], thefts;
	atomic_bool shut; /* it does not answer yet */
};

static struct fixture *f;
static struct daemon daemon_;
static struct granter g;
static struct server *server;
static unsigned left;

/* the server */

static void
answer(int fd, const struct request *req)
{
	char form[1024], body[256];
	const char *token;
	unsigned n = 0, is = 0;

	snprintf(form, sizeof form, "%.*s", (int)req->body_len, req->body);
	token = strstr(form, "&refresh_token=") + strlen("&refresh_token=");
	while (n < NAMES && strncmp(token, names[n], strlen(names[n])) != 0)
		n++;
	if (n < NAMES && strtoul(token + 4, NULL, 10) == g.next[n]) {
		is = atomic_fetch_add(&g.next[n], 1) + 1;
		snprintf(body, sizeof body,
		    "{\"access_token\":\"access-%s-%u\",\"token_type\":\"bearer\",\"expires_in\":3600,"
		    "\"refresh_token\":\"%s-%u\"}",
		    names[n], is, names[n], is);
	} else {
		atomic_fetch_add(&g.thefts, 1);
		snprintf(body, sizeof body, "{\"error\":\"invalid_grant\"}");
	}
	server_write(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
	    is > 0 ? "200 OK" : "400 Bad", strlen(body), body);
}

static void
serve(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	while (server_read(fd, &req, true)) {
		atomic_fetch_add(&g.asked, 1);
		while (g.shut)
			usleep(1000);
		answer(fd, &req);
		atomic_fetch_add(&g.answered, 1);
		server_request_fini(&req);
	}
}

/* the scaffold */

static void
seal_into(struct account_record *record, const char *refresh_token)
{
	json_t *all =
	    json_pack("{s:s,s:s,s:o,s:s}", "clientId", "id", "refreshToken", refresh_token,
		"tokenEndpoint", json_sprintf("http://127.0.0.1:%d/token", server_port(server)),
		"endpoint", "http://127.0.0.1:1");
	char *text = json_dumps(all, 0);
	struct err err = ERR_INIT;

	buf_reset(&record->sealed);
	assert_int_equal(
	    seal(&record->sealed, daemon_.key, record->id, text, strlen(text), &err), 0);
	free(text);
	json_decref(all);
}

static void
add(const char *id, const char *user, const char *name, const char *refresh_token)
{
	struct account_record *a = account_record_new();

	snprintf(a->id, sizeof a->id, "%s", id);
	snprintf(a->user_id, sizeof a->user_id, "%s", user);
	a->name = xstrdup(name);
	a->driver = xstrdup("dropbox");
	a->status = xstrdup("ok");
	seal_into(a, refresh_token);
	assert_int_equal(AWAIT(f, store_account_add(f->s, a, TO(f)))->code, 0);
	account_record_free(a);
}

static char mine[37], theirs[37];

static int
setup(void **state)
{
	CLEANUP(cleanup_free) char *key = NULL;
	struct settings *settings = settings_new();
	struct err err = ERR_INIT;

	memset(&g, 0, sizeof g);
	left = 0;
	f = fixture_new();
	server = server_start(serve, NULL);
	key = xasprintf("%s/key", f->scratch);
	assert_int_equal(settings_set(settings, "endpoints.private", "yes", &err), 0);
	daemon_ = (struct daemon){.settings = settings, .loop = f->loop, .store = f->s};
	daemon_.pool = pool_new(1, &err);
	assert_int_equal(seal_key_load(&daemon_.key, key, true, &err), 0);
	daemon_.accounts = accounts_new(&daemon_);
	daemon_.tokens = tokens_new(&daemon_, &err);
	assert_non_null(daemon_.tokens);
	fixture_id(mine, 31);
	fixture_id(theirs, 32);
	add(mine, f->user, "mine", "ann-0");
	add(theirs, f->other, "mine", "bob-0");
	return 0;
}

static int
teardown(void **state)
{
	tokens_free(TAKE(daemon_.tokens));
	accounts_free(daemon_.accounts);
	pool_free(daemon_.pool);
	seal_key_free(daemon_.key);
	settings_free((struct settings *)daemon_.settings);
	g.shut = false;
	server_stop(server);
	fixture_free(f);
	return 0;
}

struct got {
	int code;
	char token[64];
};

static void
on_token(void *arg, int code, const char *token, uint64_t until, const struct err *err)
{
	struct got *got = arg;

	got->code = code;
	snprintf(got->token, sizeof got->token, "%s", token == NULL ? "" : token);
	if (--left == 0)
		loop_stop(f->loop);
}

static void
ask(struct got *got, const char *id, const char *refused)
{
	left++;
	tokens_get(daemon_.tokens, id, refused, on_token, got);
}

static void
wait_all(void)
{
	while (left > 0)
		loop_run(f->loop);
}

static void
get(const char *id, const char *refused, const char *token)
{
	struct got got;

	ask(&got, id, refused);
	wait_all();
	assert_int_equal(got.code, 0);
	assert_string_equal(got.token, token);
}

static struct account_record *
record_of(const char *id)
{
	struct account_record *record;
	struct err err = ERR_INIT;

	assert_int_equal(store_account_get(f->s, id, &record, &err), 0);
	return record;
}

/* In the store. */
static void
assert_kept(const char *id, const char *refresh_token)
{
	struct account_record *record = record_of(id);
	json_t *credentials;
	struct err err = ERR_INIT;

	assert_int_equal(accounts_credentials(daemon_.accounts, record, &credentials, &err), 0);
	assert_string_equal(
	    json_string_value(json_object_get(credentials, "refreshToken")), refresh_token);
	account_credentials_free(credentials);
	account_record_free(record);
}

/* Asks, and returns when the server has been asked, and does not answer. */
static void
ask_shut(struct got *got)
{
	g.shut = true;
	ask(got, mine, NULL);
	while (g.asked == 0)
		event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
}

/* the tests */

static void
one_refresh_serves_all_and_the_next_token_is_kept(void **state)
{
	struct got got[5];
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(got); i++)
		ask(&got[i], mine, NULL);
	wait_all();
	for (size_t i = 0; i < ARRAY_LEN(got); i++)
		assert_string_equal(got[i].token, "access-ann-1");
	assert_int_equal(g.asked, 1);
	assert_kept(mine, "ann-1");
	/* Those who were refused it get another; whoever is late gets that too. */
	for (size_t i = 0; i < ARRAY_LEN(got); i++)
		ask(&got[i], mine, i == 0 ? NULL : "access-ann-1");
	wait_all();
	assert_string_equal(got[4].token, "access-ann-2");
	get(mine, "access-ann-1", "access-ann-2");
	assert_int_equal(g.asked, 2);
	/* Another daemon begins with what was kept. */
	tokens_free(daemon_.tokens);
	daemon_.tokens = tokens_new(&daemon_, &err);
	get(mine, NULL, "access-ann-3");
	assert_kept(mine, "ann-3");
	assert_int_equal(g.thefts, 0);
}

static void
another_users_account_has_its_own(void **state)
{
	struct got a, b;

	ask(&a, mine, NULL);
	ask(&b, theirs, "access-ann-1");
	wait_all();
	assert_string_equal(a.token, "access-ann-1");
	assert_string_equal(b.token, "access-bob-1");
	assert_kept(mine, "ann-1");
	assert_kept(theirs, "bob-1");
	assert_int_equal(g.thefts, 0);
}

static void
credentials_that_are_edited_meanwhile_stay(void **state)
{
	struct account_record *record = record_of(mine);
	struct got got;

	ask_shut(&got);
	seal_into(record, "new-0");
	assert_int_equal(AWAIT(f, store_account_update(f->s, record, TO(f)))->code, 0);
	tokens_changed(daemon_.tokens, mine);
	account_record_free(record);
	g.shut = false;
	wait_all();
	/* What came for the old ones is nobody's. */
	assert_string_equal(got.token, "access-new-1");
	assert_kept(mine, "new-1");
	assert_int_equal(g.thefts, 0);
}

static void
credentials_are_edited_while_their_token_is_kept(void **state)
{
	struct account_record *record = record_of(mine);
	struct got got;

	ask_shut(&got);
	g.shut = false;
	while (g.answered == 0)
		usleep(1000);
	/* Both are on their way into the store. */
	seal_into(record, "new-0");
	f->awaited++;
	store_account_update(f->s, record, fixture_done, f);
	wait_all();
	while (f->awaited > 0)
		loop_run(f->loop);
	assert_int_equal(f->reply.code, 0);
	account_record_free(record);
	get(mine, "access-ann-1", g.next[2] > 0 ? got.token : "access-new-1");
	assert_kept(mine, "new-1");
	assert_int_equal(g.thefts, 0);
}

static void
a_rename_leaves_the_next_token(void **state)
{
	struct account_record *record = record_of(mine);
	struct got got;

	ask_shut(&got);
	xstrset(&record->name, "renamed");
	buf_free(&record->sealed);
	assert_int_equal(AWAIT(f, store_account_update(f->s, record, TO(f)))->code, 0);
	account_record_free(record);
	g.shut = false;
	wait_all();
	/* It is another revision, so it was opened anew, with what had been kept. */
	assert_string_equal(got.token, "access-ann-2");
	assert_kept(mine, "ann-2");
	/* And one that was read before the token came, and is written after it. */
	record = record_of(mine);
	get(mine, "access-ann-2", "access-ann-3");
	buf_free(&record->sealed);
	assert_int_equal(AWAIT(f, store_account_update(f->s, record, TO(f)))->code, 0);
	account_record_free(record);
	assert_kept(mine, "ann-3");
	assert_int_equal(g.thefts, 0);
}

static void
an_account_that_is_removed_meanwhile_stays_away(void **state)
{
	struct account_record *record;
	struct got got;
	struct err err = ERR_INIT;

	ask_shut(&got);
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, mine, TO(f)))->code, 0);
	tokens_changed(daemon_.tokens, mine);
	g.shut = false;
	wait_all();
	assert_int_equal(got.code, -ENOENT);
	assert_int_equal(store_account_get(f->s, mine, &record, &err), -ENOENT);
	ask(&got, mine, NULL);
	wait_all();
	assert_int_equal(got.code, -ENOENT);
}

/* An answer that is under way when the daemon is to end is still kept. */
static void
the_end_waits_for_an_answer(void **state)
{
	struct got got;

	ask_shut(&got);
	tokens_stop(daemon_.tokens);
	assert_false(tokens_are_idle(daemon_.tokens));
	g.shut = false;
	while (!tokens_are_idle(daemon_.tokens))
		event_base_loop(loop_base(f->loop), EVLOOP_ONCE);
	assert_kept(mine, "ann-1");
	/* Nothing else is asked for. */
	wait_all();
	assert_string_equal(got.token, "access-ann-1");
	ask(&got, theirs, NULL);
	wait_all();
	assert_int_equal(got.code, -ESHUTDOWN);
	assert_int_equal(g.asked, 1);
}

static void
whoever_waits_at_the_end_is_told(void **state)
{
	struct got got, other;
	struct token_wait *wait;

	ask_shut(&got);
	wait = tokens_get(daemon_.tokens, mine, NULL, on_token, &other);
	tokens_cancel(wait);
	left++; /* so that nothing stops a loop that does not run */
	tokens_free(TAKE(daemon_.tokens));
	assert_int_equal(got.code, -ESHUTDOWN);
	assert_int_equal(left, 1);
}

static void
what_needs_no_token_gets_none(void **state)
{
	struct got got;

	ask(&got, f->a, NULL);
	wait_all();
	assert_int_equal(got.code, -EOPNOTSUPP);
}

static void
a_revoked_grant_is_told(void **state)
{
	struct got got;

	g.next[0] = 7;
	ask(&got, mine, NULL);
	wait_all();
	assert_int_equal(got.code, -EKEYEXPIRED);
	assert_kept(mine, "ann-0");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_refresh_serves_all_and_the_next_token_is_kept),
	    TEST(another_users_account_has_its_own),
	    TEST(credentials_that_are_edited_meanwhile_stay),
	    TEST(credentials_are_edited_while_their_token_is_kept),
	    TEST(a_rename_leaves_the_next_token),
	    TEST(an_account_that_is_removed_meanwhile_stays_away),
	    TEST(the_end_waits_for_an_answer),
	    TEST(whoever_waits_at_the_end_is_told),
	    TEST(what_needs_no_token_gets_none),
	    TEST(a_revoked_grant_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
