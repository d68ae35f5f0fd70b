/*
 * dropbox_bench: driver_bench.h for the dropbox driver, signed in.
 */
#pragma once
#include "providers/dropbox_account.h"
#include "tests/unit/driver_bench.h"
#include <string.h>

#define APP     "\"clientId\":\"app\",\"refreshToken\":\"hush\""
#define OWN     "{" APP ",\"rootFolder\":\"/Box/in\",\"namespace\":\"123\"}"
#define ALL     "{" APP "}"
#define API     "https://api.dropboxapi.com/2/"
#define CONTENT "https://content.dropboxapi.com/2/"
#define REV     "0123456789abc"
#define OTHER   "0123456789abd"
/* Of "abc": SHA-256 of its SHA-256 (FIPS 180-4, and Dropbox's "Content hash"). */
#define HASH "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"
#define FILE_OF(id, name, rev, hash)                                                               \
	"{\".tag\":\"file\",\"id\":\"id:" id "\",\"name\":\"" name "\",\"rev\":\"" rev             \
	"\",\"size\":3,\"client_modified\":\"2009-02-13T23:31:30Z\",\"content_hash\":\"" hash      \
	"\",\"path_display\":\"/x\"}"
#define A_FILE FILE_OF("1", "f", REV, HASH)
/* The same, at a path. */
#define FILE_AT(id, path, name, rev)                                                               \
	"{\".tag\":\"file\",\"id\":\"id:" id "\",\"name\":\"" name "\",\"rev\":\"" rev             \
	"\",\"size\":3,\"content_hash\":\"" HASH "\",\"path_display\":\"" path "\"}"
#define FOLDER(id, name)                                                                           \
	"{\".tag\":\"folder\",\"id\":\"id:" id "\",\"name\":\"" name "\",\"path_display\":\"/x\"}"
#define PATH_NOT_FOUND                                                                             \
	"{\"error_summary\":\"path/not_found/..\",\"error\":{\".tag\":\"path\","                   \
	"\"path\":{\".tag\":\"not_found\"}}}"
#define CONFLICT(where, what)                                                                      \
	"{\"error\":{\".tag\":\"" where "\",\"" where                                              \
	"\":{\".tag\":\"conflict\",\"conflict\":{\".tag\":\"" what "\"}}}}"

static inline void
bench_open(struct bench *b, const char *credentials)
{
	struct dropbox_account *dropbox;

	bench_open_driver(b, &dropbox_driver, credentials);
	dropbox = b->account.data;
	dropbox->oauth.token = xstrdup("sl.token");
	dropbox->oauth.good_until_ms = UINT64_MAX;
}

/* The next request: its body is `arg`. */
static inline void
expect_rpc(struct bench *b, const char *route, const char *arg)
{
	CLEANUP(cleanup_free) char *url = xasprintf(API "%s", route);

	bench_expect(b, "POST", url);
	assert_string_equal(bench_header(b, "Content-Type"), "application/json");
	assert_string_equal(bench_header(b, "Authorization"), "Bearer sl.token");
	assert_string_equal(buf_str(&b->request.http.bytes), arg);
}

/* The same, with content. */
static inline void
expect_content(struct bench *b, const char *route, const char *arg)
{
	CLEANUP(cleanup_free) char *url = xasprintf(CONTENT "%s", route);

	bench_expect(b, "POST", url);
	assert_string_equal(bench_header(b, "Content-Type"), "application/octet-stream");
	assert_string_equal(bench_header(b, "Authorization"), "Bearer sl.token");
	assert_string_equal(bench_header(b, "Dropbox-API-Arg"), arg);
}

static inline void
expect_step(struct bench *b, enum cloud_step step, int status, const char *body)
{
	enum cloud_step got = bench_answer(b, status, "", body);

	if (got != step)
		fail_msg("%d %s: step %d, not %d: %s", status, body, got, step, b->err.msg);
}

static inline void
expect_failure(struct bench *b, int code, int status, const char *body)
{
	expect_step(b, CLOUD_STEP_FAIL, status, body);
	if (b->err.code != code)
		fail_msg("%s: %d, not %d", b->err.msg, b->err.code, code);
}

/* What is there is another to Skyferry, and the same to Dropbox. */
static inline void
expect_clash(struct bench *b, const char *body, const char *one, const char *two)
{
	expect_failure(b, -EILSEQ, 200, body);
	if (strstr(b->err.msg, one) == NULL || strstr(b->err.msg, two) == NULL)
		fail_msg("not '%s' and '%s': %s", one, two, b->err.msg);
}

static inline void
expect_refusal(struct bench *b, int code)
{
	assert_int_equal(dropbox_driver.request(&b->op, &b->request, &b->err), CLOUD_STEP_FAIL);
	assert_int_equal(b->err.code, code);
}

static inline void
set_hash(struct digests *digests)
{
	unsigned char sum[HASH_MAX_SIZE];

	assert_int_equal(hex_decode(sum, sizeof sum, HASH), 32);
	digests_set(digests, HASH_DROPBOX, sum);
}
