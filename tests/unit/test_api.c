/* The parts of the API that need no server: request tables, tokens, names and addresses. */
#include "daemon/auth.h"
#include "daemon/check.h"
#include "daemon/router.h"
#include "src/clock.h"
#include "src/path.h"
#include <jwt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct check_field fields[] = {
    {"name", CHECK_STRING, true, 1, 8},
    {"id", CHECK_ID},
    {"when", CHECK_TIME},
    {"count", CHECK_INT, false, -2, 10},
    {"wide", CHECK_INT, false, INT64_MIN, INT64_MAX},
    {"move", CHECK_BOOL},
    {"list", CHECK_ARRAY},
    {"map", CHECK_OBJECT},
    {NULL},
};

/* NULL: it is accepted; else the message. */
static void
assert_check(const char *text, const char *message)
{
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	struct err err = ERR_INIT;

	assert_non_null(json);
	if (message == NULL) {
		assert_int_equal(check_object(json, fields, &err), 0);
	} else {
		assert_int_equal(check_object(json, fields, &err), -EINVAL);
		assert_string_equal(err.msg, message);
	}
	json_decref(json);
}

static void
test_check_object(void **state)
{
	static const char id[] = "'id' must be a UUID";
	static const char when[] = "'when' must be a time such as \"2026-11-23T07:00:00Z\"";
	static const char count[] = "'count' must be a whole number from -2 to 10";

	assert_check("{\"name\":\"x\"}", NULL);
	assert_check("{\"name\":\"x\",\"count\":null,\"id\":null}", NULL);
	assert_check("{}", "'name' is required");
	assert_check("{\"name\":null}", "'name' is required");
	assert_check("{\"name\":\"\"}", "'name' must not be empty");
	assert_check("{\"name\":\"123456789\"}", "'name' must have from 1 to 8 bytes");
	assert_check("{\"name\":7}", "'name' must be a string");
	assert_check("{\"name\":\"x\",\"colour\":1}", "unknown field 'colour'");
	assert_check("{\"name\":\"x\",\"colour\":null}", "unknown field 'colour'");
	assert_check("{\"name\":\"x\",\"id\":\"00000000-0000-4000-8000-00000000000A\"}", NULL);
	assert_check("{\"name\":\"x\",\"id\":\"00000000-0000-4000-8000-00000000000\"}", id);
	assert_check("{\"name\":\"x\",\"id\":\"../../../../../../../../../../etc/passwd\"}", id);
	assert_check("{\"name\":\"x\",\"when\":\"2026-11-23T07:00:00+01:00\"}", NULL);
	assert_check("{\"name\":\"x\",\"when\":\"2026-11-23\"}", when);
	assert_check("{\"name\":\"x\",\"count\":-2}", NULL);
	assert_check("{\"name\":\"x\",\"count\":-3}", count);
	assert_check("{\"name\":\"x\",\"count\":11}", count);
	assert_check("{\"name\":\"x\",\"count\":1.0}", count);
	assert_check("{\"name\":\"x\",\"count\":\"1\"}", count);
	assert_check("{\"name\":\"x\",\"wide\":-9223372036854775808}", NULL);
	assert_check("{\"name\":\"x\",\"wide\":\"1\"}",
	    "'wide' must be a whole number from -9223372036854775808 to 9223372036854775807");
	assert_check("{\"name\":\"x\",\"move\":1}", "'move' must be true or false");
	assert_check("{\"name\":\"x\",\"list\":{}}", "'list' must be an array");
	assert_check("{\"name\":\"x\",\"map\":[]}", "'map' must be an object");
	assert_int_equal(check_object(NULL, fields, NULL), -EINVAL);
}

static void
test_check_query(void **state)
{
	json_t *q = json_pack("{ssssss}", "name", "x", "count", "-1", "move", "true");
	struct err err = ERR_INIT;

	assert_int_equal(check_query(q, fields, &err), 0);
	assert_int_equal(get_int(q, "count", 0), -1);
	assert_true(get_bool(q, "move", false));
	json_object_set_new(q, "count", json_string("1x"));
	assert_int_equal(check_query(q, fields, &err), -EINVAL);
	json_object_set_new(q, "count", json_string("+1"));
	assert_int_equal(check_query(q, fields, &err), -EINVAL);
	json_object_set_new(q, "count", json_string("99999999999999999999"));
	assert_int_equal(check_query(q, fields, &err), -EINVAL);
	json_object_set_new(q, "count", json_string(""));
	assert_int_equal(check_query(q, fields, &err), -EINVAL);
	json_object_set_new(q, "count", json_string("1"));
	json_object_set_new(q, "move", json_string("yes"));
	assert_int_equal(check_query(q, fields, &err), -EINVAL);
	json_decref(q);
}

static void
test_getters(void **state)
{
	json_t *o = json_pack(
	    "{sbsIsnss}", "no", 0, "n", (json_int_t)7, "null", "t", "1970-01-01T00:00:01Z");
	char id[37];

	assert_false(get_bool(o, "no", true));
	assert_true(get_bool(o, "absent", true));
	assert_true(get_bool(o, "null", true));
	assert_int_equal(get_int(o, "n", 1), 7);
	assert_int_equal(get_int(o, "absent", 1), 1);
	assert_int_equal(get_time(o, "t"), 1000);
	assert_int_equal(get_time(o, "absent"), 0);
	assert_null(get_str(o, "n"));
	assert_true(get_has(o, "no"));
	assert_false(get_has(o, "null"));
	assert_int_equal(uuid_canonical(id, "00000000-0000-4000-8000-00000000000A"), 0);
	assert_string_equal(id, "00000000-0000-4000-8000-00000000000a");
	json_decref(o);
}

static void
test_names(void **state)
{
	char name[66];

	assert_true(auth_name_is_valid("anna.b-c_d@example.org"));
	assert_false(auth_name_is_valid(""));
	assert_false(auth_name_is_valid("Anna"));
	assert_false(auth_name_is_valid("a b"));
	assert_false(auth_name_is_valid("\xc3\xa4"));
	memset(name, 'x', sizeof name);
	name[64] = '\0';
	assert_true(auth_name_is_valid(name));
	name[64] = 'x';
	name[65] = '\0';
	assert_false(auth_name_is_valid(name));
}

static void
test_loopback(void **state)
{
	assert_true(auth_is_loopback("127.0.0.1"));
	assert_true(auth_is_loopback("127.255.0.9"));
	assert_true(auth_is_loopback("::1"));
	assert_true(auth_is_loopback("::ffff:127.0.0.1"));
	assert_false(auth_is_loopback("0.0.0.0"));
	assert_false(auth_is_loopback("128.0.0.1"));
	assert_false(auth_is_loopback("::"));
	assert_false(auth_is_loopback("::ffff:10.0.0.1"));
	assert_false(auth_is_loopback("localhost"));
	assert_false(auth_is_loopback(""));
}

/* -- tokens */

static const char user_id[] = "00000000-0000-4000-8000-000000000001";

struct fixture {
	char dir[64], file[80];
	struct daemon daemon;
	struct settings *settings;
	struct auth *auth;
	unsigned char key[32];
};

static int
fixture_make(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct fixture *f = xcalloc(1, sizeof *f);
	struct err err = ERR_INIT;

	snprintf(f->dir, sizeof f->dir, "%s/test_api.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(f->dir) == NULL)
		return -1;
	snprintf(f->file, sizeof f->file, "%s/key", f->dir);
	if (seal_key_load(&f->daemon.key, f->file, true, &err) != 0)
		return -1;
	f->settings = settings_new();
	f->daemon.settings = f->settings;
	f->auth = auth_new(&f->daemon);
	seal_derive(f->daemon.key, "jwt", f->key, sizeof f->key);
	*state = f;
	return 0;
}

static int
fixture_end(void **state)
{
	struct fixture *f = *state;

	auth_unref(f->auth);
	seal_key_free(f->daemon.key);
	settings_free(f->settings);
	unlink(f->file);
	rmdir(f->dir);
	free(f);
	return 0;
}

static char *
token_make(jwt_alg_t alg, const unsigned char *key, const char *sub, long exp)
{
	jwt_t *jwt;
	char *token;

	assert_int_equal(jwt_new(&jwt), 0);
	assert_int_equal(jwt_set_alg(jwt, alg, key, key != NULL ? 32 : 0), 0);
	if (sub != NULL)
		jwt_add_grant(jwt, "sub", sub);
	if (exp != 0)
		jwt_add_grant_int(jwt, "exp", exp);
	token = jwt_encode_str(jwt);
	jwt_free(jwt);
	assert_non_null(token);
	return token;
}

/* Takes the token. */
static void
assert_refused(struct fixture *f, char *token, const char *message)
{
	struct err err = ERR_INIT;
	uint64_t epoch;
	char id[37];

	assert_int_equal(auth_token_verify(f->auth, token, id, &epoch, &err), -EACCES);
	assert_string_equal(err.msg, message);
	free(token);
}

static void
test_token(void **state)
{
	static const char foreign[] = "the token is not one of this daemon's";
	struct fixture *f = *state;
	struct user user = {.name = NULL};
	long later = (long)(clock_ms() / 1000) + 60;
	unsigned char other[32];
	struct err err = ERR_INIT;
	int64_t seconds;
	uint64_t epoch;
	char id[37], *token, *dot;

	memcpy(user.id, user_id, sizeof user_id);
	token = auth_token(f->auth, &user, &seconds);
	assert_int_equal(seconds, 12 * 3600);
	assert_int_equal(auth_token_verify(f->auth, token, id, &epoch, &err), 0);
	assert_string_equal(id, user_id);

	dot = strrchr(token, '.'); /* another signature */
	dot[1] = dot[1] == 'A' ? 'B' : 'A';
	assert_refused(f, token, foreign);

	memcpy(other, f->key, sizeof other);
	other[31] ^= 1;
	assert_refused(f, token_make(JWT_ALG_HS256, other, user_id, later), foreign);
	assert_refused(f, token_make(JWT_ALG_HS512, f->key, user_id, later), foreign);
	assert_refused(f, token_make(JWT_ALG_NONE, NULL, user_id, later), foreign);
	assert_refused(f, token_make(JWT_ALG_HS256, f->key, NULL, later), foreign);
	assert_refused(f, token_make(JWT_ALG_HS256, f->key, "root", later), foreign);
	assert_refused(f, token_make(JWT_ALG_HS256, f->key, user_id, later - 120),
	    "the token has expired; sign in again");
	assert_refused(f, token_make(JWT_ALG_HS256, f->key, user_id, 0),
	    "the token has expired; sign in again");
	assert_refused(f, xstrdup(""), foreign);
	assert_refused(f, xstrdup("a.b.c"), foreign);
	token = xmalloc(5000);
	memset(token, 'a', 4999);
	token[4999] = '\0';
	assert_refused(f, token, foreign);

	token = token_make(JWT_ALG_HS256, f->key, user_id, later); /* so the crafting is right */
	assert_int_equal(auth_token_verify(f->auth, token, id, &epoch, &err), 0);
	free(token);
}

/* A route that could never be reached, or twice, is a mistake. */
static void
test_routes(void **state)
{
	const struct route *a, *b;
	size_t i, k;

	for (i = 0; (a = router_at(i)) != NULL; i++) {
		assert_non_null(a->handler);
		assert_int_equal(a->pattern[0], '/');
		for (k = 0; k < i; k++) {
			b = router_at(k);
			assert_false(a->method == b->method && strcmp(a->pattern, b->pattern) == 0);
		}
	}
	assert_true(i > 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_check_object),
	    cmocka_unit_test(test_check_query),
	    cmocka_unit_test(test_getters),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_loopback),
	    cmocka_unit_test_setup_teardown(test_token, fixture_make, fixture_end),
	    cmocka_unit_test(test_routes),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
