/* The dropbox driver, from requests written to answers understood; no network. */
#include "providers/dropbox_answer.h"
#include "providers/dropbox_request.h"
#include "tests/unit/dropbox_bench.h"
#include <stdlib.h>
#include <string.h>

static void
bench_request_again(struct bench *b)
{
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	assert_int_equal(dropbox_driver.request(&b->op, &b->request, &b->err), CLOUD_STEP_SEND);
}

static void
test_open(void **state)
{
	static const struct {
		const char *credentials, *why; /* NULL: fine */
	} cases[] = {
	    {ALL, NULL},
	    {OWN, NULL},
	    {"{\"refreshToken\":\"hush\"}", "clientId"},
	    {"{\"clientId\":\"app\"}", NULL}, /* to be signed in */
	    {"{" APP ",\"rootFolder\":\"/\"}", NULL},
	    {"{" APP ",\"rootFolder\":\"a/../b\"}", "rootFolder"},
	    {"{" APP ",\"rootFolder\":\"back\\\\slash\"}", "rootFolder"},
	    {"{" APP ",\"namespace\":\"1\\\"\"}", "namespace"},
	    {"{" APP ",\"endpoint\":\"host\"}", "endpoint"},
	    {"{" APP ",\"tokenEndpoint\":\"http://example.com\"}", "tokenEndpoint"},
	    {"{" APP ",\"tokenEndpoint\":\"http://127.0.0.1:8080/token\"}", NULL},
	    {"{" APP ",\"tokenEndpoint\":\"http://127.0.0.1:8080@example.com/\"}", "tokenEndpoint"},
	    {"{" APP ",\"ca\":\"ca.pem\"}", "ca"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		bench_credentials(&dropbox_driver, cases[i].credentials, cases[i].why);
}

static void
test_identity(void **state)
{
	CLEANUP(cleanup_free) char *one = NULL;
	CLEANUP(cleanup_free) char *two = NULL;
	struct bench b;

	bench_open(&b, OWN);
	one = dropbox_driver.identity(&b.account, "A/\xc3\x84");
	two = dropbox_driver.identity(&b.account, "a/\xc3\x84");
	assert_string_equal(one, two);
	assert_non_null(strstr(one, "/123/box/in/a/\xc3\x84"));
	assert_null(strstr(one, "hush"));
	bench_close(&b);

	bench_open(&b, "{\"clientId\":\"app\"}");
	assert_null(dropbox_driver.identity(&b.account, "a"));
	bench_close(&b);
}

/* The header is ASCII: what is beyond has pairs of surrogates, and DEL is escaped as well. */
static void
test_arguments(void **state)
{
	static const struct {
		const char *path, *arg;
	} cases[] = {
	    {"a b/c", "{\"path\":\"/Box/in/a b/c\"}"},
	    {"\xc3\xbc", "{\"path\":\"/Box/in/\\u00FC\"}"},
	    {"\xf0\x9f\x90\x9f", "{\"path\":\"/Box/in/\\uD83D\\uDC1F\"}"},
	    {"q\"\n", "{\"path\":\"/Box/in/q\\\"\\n\"}"},
	};
	struct http_request req;
	struct bench b;

	bench_open(&b, OWN);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bench_op(&b, CLOUD_READ, cases[i].path);
		expect_content(&b, "files/download", cases[i].arg);
		assert_string_equal(bench_header(&b, "Dropbox-API-Path-Root"),
		    "{\".tag\": \"namespace_id\", \"namespace_id\": \"123\"}");
	}
	http_request_init(&req);
	dropbox_content(&req, b.account.data, "x", json_pack("{s:s}", "a", "\x7f"));
	assert_string_equal(
	    http_header_get(&req.headers, "Dropbox-API-Arg"), "{\"a\":\"\\u007f\"}");
	http_request_fini(&req);
	bench_close(&b);
}

static void
test_names(void **state)
{
	static const char *const names[] = {"a\\b", "\x7f", "blank ", "blank /b"};
	static const enum cloud_op_kind makes[] = {
	    CLOUD_PUT, CLOUD_MKDIR, CLOUD_COPY, CLOUD_UPLOAD_BEGIN, CLOUD_UPLOAD_COMMIT};
	static const enum cloud_op_kind looks[] = {
	    CLOUD_STAT, CLOUD_READ, CLOUD_LIST, CLOUD_REMOVE, CLOUD_RMDIR};
	struct bench b;

	bench_open(&b, ALL);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		for (size_t k = 0; k < ARRAY_LEN(makes); k++) {
			bench_op(&b, makes[k], names[i]);
			expect_refusal(&b, -EILSEQ);
		}
		for (size_t k = 0; k < ARRAY_LEN(looks); k++) {
			bench_op(&b, looks[k], names[i]);
			expect_refusal(&b, -ENOENT);
		}
		bench_op(&b, CLOUD_MOVE, "a");
		b.op.path2 = xstrdup(names[i]);
		expect_refusal(&b, -EILSEQ);
	}
	bench_op(&b, CLOUD_SETATTR, "a");
	expect_refusal(&b, -EOPNOTSUPP);
	bench_op(&b, CLOUD_COPY_PART, "a");
	expect_refusal(&b, -EOPNOTSUPP);
	bench_op(&b, CLOUD_RMDIR, "");
	expect_refusal(&b, -EBUSY);
	bench_op(&b, CLOUD_PUT, "");
	expect_refusal(&b, -EISDIR);
	bench_close(&b);
}

/* Every tag of the driver's table, as the last of a union. */
static void
test_errors(void **state)
{
	static const struct {
		const char *tag;
		int code;
	} cases[] = {
	    {"malformed_path", -EILSEQ},
	    {"disallowed_name", -EILSEQ},
	    {"not_found", -ENOENT},
	    {"not_file", -EISDIR},
	    {"not_folder", -ENOTDIR},
	    {"restricted_content", -EACCES},
	    {"unsupported_content_type", -EOPNOTSUPP},
	    {"unsupported_file", -EOPNOTSUPP},
	    {"locked", -EBUSY},
	    {"lock_conflict", -EBUSY},
	    {"conflict", -EEXIST},
	    {"no_write_permission", -EACCES},
	    {"access_restricted", -EACCES},
	    {"insufficient_space", -EDQUOT},
	    {"insufficient_quota", -EDQUOT},
	    {"team_folder", -EPERM},
	    {"operation_suppressed", -EPERM},
	    {"too_many_write_operations", -EAGAIN},
	    {"too_many_requests", -EAGAIN},
	    {"too_many_files", -EOPNOTSUPP},
	    {"cant_copy_shared_folder", -EOPNOTSUPP},
	    {"cant_move_shared_folder", -EPERM},
	    {"cant_nest_shared_folder", -EPERM},
	    {"cant_transfer_ownership", -EPERM},
	    {"cant_move_into_vault", -EPERM},
	    {"is_shared_folder", -EPERM},
	    {"cant_move_into_family", -EPERM},
	    {"cant_move_folder_into_itself", -EINVAL},
	    {"duplicated_or_nested_paths", -EINVAL},
	    {"internal_error", -EIO},
	    {"content_hash_mismatch", -EBADMSG},
	    {"payload_too_large", -EFBIG},
	    {"too_large", -EFBIG},
	    {"encryption_not_supported", -EOPNOTSUPP},
	    {"incorrect_offset", -EINVAL},
	    {"closed", -EINVAL},
	    {"not_closed", -EINVAL},
	    {"concurrent_session_invalid_offset", -EINVAL},
	    {"concurrent_session_invalid_data_size", -EINVAL},
	    {"concurrent_session_missing_data", -EINVAL},
	    {"concurrent_session_not_closed", -EINVAL},
	    {"concurrent_session_data_not_allowed", -EINVAL},
	    {"concurrent_session_close_not_allowed", -EINVAL},
	    {"invalid_revision", -ENOENT},
	    {"in_progress", -EBUSY},
	    {"invalid_copy_reference", -EOPNOTSUPP},
	    {"email_not_verified", -EACCES},
	    {"not_allowed", -EACCES},
	    {"expired_access_token", -EKEYEXPIRED},
	    {"invalid_access_token", -EKEYEXPIRED},
	    {"missing_scope", -EACCES},
	    {"user_suspended", -EACCES},
	    {"route_access_denied", -EACCES},
	    {"invalid_root", -ENOENT},
	    {"no_permission", -EACCES},
	    {"something_new", -EPROTO},
	};
	struct bench b;

	bench_open(&b, ALL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free)
		char *body = xasprintf(
		    "{\"error_summary\":\"x\",\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"%s\"}}}",
		    cases[i].tag);
		struct dropbox_error error;

		bench_op(&b, CLOUD_STAT, "f");
		bench_answer(&b, 409, "Retry-After: 7\n", body);
		assert_int_equal(dropbox_check(&b.op, &b.response, &error, &b.err), cases[i].code);
		assert_int_equal(b.err.code, cases[i].code);
		assert_true(dropbox_error_is(&error, cases[i].tag));
		assert_int_equal(b.err.wait_ms, cases[i].code == -EAGAIN ? 7000 : 0);
		if (strstr(b.err.msg, cases[i].tag) == NULL)
			fail_msg("%s: %s", cases[i].tag, b.err.msg);
	}
	bench_close(&b);
}

static void
test_error_shapes(void **state)
{
	static const struct {
		int status, code;
		const char *body, *words;
	} cases[] = {
	    {409, -EEXIST, CONFLICT("path", "file"), "path/conflict/file"},
	    {409, -EISDIR, CONFLICT("to", "folder"), "to/conflict/folder"},
	    {409, -ENOTDIR, CONFLICT("path", "file_ancestor"), "something above it is a file"},
	    /* A struct in a union, with the reason in a member; a union that is a string. */
	    {409, -EDQUOT,
		"{\"error\":{\".tag\":\"path\",\"reason\":{\".tag\":\"insufficient_space\"},"
		"\"upload_session_id\":\"x\"}}",
		"path/insufficient_space"},
	    {409, -EBUSY, "{\"error\":\"locked\"}", "locked it"},
	    /* A word beside the tag is none. */
	    {409, -EILSEQ,
		"{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"malformed_path\","
		"\"malformed_path\":\"locked\"}}}",
		"path/malformed_path"},
	    {409, -EACCES,
		"{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"no_write_permission\"}},"
		"\"user_message\":{\"locale\":\"en\",\"text\":\"Ask Ann.\"}}",
		"Ask Ann."},
	    {401, -EACCES,
		"{\"error\":{\".tag\":\"missing_scope\",\"required_scope\":\"files.content.write\"}}",
		"files.content.write"},
	    {401, -EKEYEXPIRED, "The given OAuth 2 access token is malformed.", "malformed"},
	    {400, -EINVAL, "Error in call to API function \"x\": no\nsuch", "no such"},
	    {403, -EACCES, "{\"error\":{\".tag\":\"team_access_denied\"}}", "team_access_denied"},
	    {422, -EACCES, "{\"error\":{\".tag\":\"no_permission\"}}", "no_permission"},
	    {429, -EAGAIN, "{\"error\":{\"reason\":{\".tag\":\"too_many_requests\"}}}", "too_many"},
	    {429, -EAGAIN, "", "429"},
	    {500, -EIO, "", "500"},
	    {503, -EAGAIN, "busy", "503"},
	    {404, -EOPNOTSUPP, "Unknown API function", "404"},
	    {302, -EINVAL, "", "302"},
	    {409, -EPROTO, "no JSON", "no JSON"},
	    {409, -EPROTO, "{\"error\":{\".tag\":[1]}}", "409"},
	};
	struct bench b;

	bench_open(&b, ALL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct dropbox_error error;

		bench_op(&b, CLOUD_STAT, "f");
		bench_answer(&b, cases[i].status, "", cases[i].body);
		if (dropbox_check(&b.op, &b.response, &error, &b.err) != cases[i].code ||
		    strstr(b.err.msg, cases[i].words) == NULL)
			fail_msg(
			    "%d %s: %d %s", cases[i].status, cases[i].body, b.err.code, b.err.msg);
	}
	bench_op(&b, CLOUD_PUT, "f");
	b.op.length = 0;
	b.op.put.no_replace = true;
	expect_failure(&b, -EEXIST, 409, CONFLICT("path", "folder"));
	expect_step(&b, CLOUD_STEP_REFRESH, 401, "{\"error\":{\".tag\":\"expired_access_token\"}}");
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");
	bench_close(&b);
}

static void
test_list(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_LIST, "d");
	expect_rpc(&b, "files/list_folder", "{\"path\":\"/d\",\"limit\":2000}");
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"entries\":[" FILE_OF("1", "B", REV, HASH) "," FOLDER(
		"2", "a") "],\"cursor\":\"c1\",\"has_more\":true}");
	expect_rpc(&b, "files/list_folder/continue", "{\"cursor\":\"c1\"}");
	/* It begins again: what was there before does not count. */
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"reset\"}}");
	expect_rpc(&b, "files/list_folder", "{\"path\":\"/d\",\"limit\":2000}");
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"entries\":[" FILE_OF("1", "B", REV, HASH) "],\"cursor\":\"c2\",\"has_more\":true}");
	expect_rpc(&b, "files/list_folder/continue", "{\"cursor\":\"c2\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    "{\"entries\":[{\".tag\":\"deleted\",\"name\":\"gone\"}," FOLDER("2", "a") "," FOLDER(
		"3", "a/b") "," FILE_OF("4", "back\\\\slash", REV,
		HASH) "],\"cursor\":\"c3\",\"has_more\":false}");
	assert_int_equal(b.op.list.len, 2);
	assert_int_equal(b.op.list.hidden, 2); /* no path has such names */
	assert_string_equal(b.op.list.items[0].path, "d/B");
	assert_string_equal(b.op.list.items[0].version, REV);
	assert_int_equal(b.op.list.items[0].size, 3);
	assert_int_equal(b.op.list.items[0].mtime_ns, INT64_C(1234567890000000000));
	assert_int_equal(b.op.list.items[0].digests.have, HASH_BIT(HASH_DROPBOX));
	assert_string_equal(b.op.list.items[1].path, "d/a");
	assert_int_equal(b.op.list.items[1].kind, ENTRY_DIRECTORY);

	bench_op(&b, CLOUD_LIST, "");
	expect_rpc(&b, "files/list_folder", "{\"path\":\"\",\"limit\":2000}");
	expect_failure(&b, -EPROTO, 200, "{\"entries\":[],\"has_more\":true}");
	expect_step(&b, CLOUD_STEP_RETRY, 200, "{\"entries\":[");
	for (int i = 0; i < 3; i++)
		expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"reset\"}}");
	expect_step(
	    &b, CLOUD_STEP_RETRY, 409, "{\"error\":{\".tag\":\"reset\"}}"); /* not for ever */
	bench_op(&b, CLOUD_LIST, "f");
	expect_failure(&b, -ENOTDIR, 409,
	    "{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"not_folder\"}}}");
	bench_close(&b);
}

static void
test_stat(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_STAT, "");
	expect_rpc(&b, "files/list_folder", "{\"path\":\"\",\"limit\":1}");
	expect_step(
	    &b, CLOUD_STEP_DONE, 200, "{\"entries\":[],\"cursor\":\"c\",\"has_more\":false}");
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	bench_op(&b, CLOUD_STAT, "D/f");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/D/f\"}");
	expect_failure(&b, -ENOENT, 409, PATH_NOT_FOUND);
	expect_step(
	    &b, CLOUD_STEP_RETRY, 200, "{\".tag\":\"file\",\"size\":-1,\"rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 200, "{\".tag\":\"file\",\"size\":1}");
	expect_failure(&b, -ENOENT, 200, "{\".tag\":\"deleted\",\"name\":\"f\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 200, "<html>");
	expect_step(&b, CLOUD_STEP_DONE, 200, A_FILE);
	assert_string_equal(b.op.entry.path, "D/f");
	assert_string_equal(b.op.entry.version, REV);
	bench_close(&b);
	bench_open(&b, OWN);
	bench_op(&b, CLOUD_STAT, "");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in\"}");
	bench_close(&b);
}

#define RESULT "Dropbox-API-Result: " A_FILE "\n"

static void
test_read(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_READ, "f");
	b.op.version = xstrdup(REV);
	expect_content(&b, "files/download", "{\"path\":\"/f\"}");
	assert_null(bench_header(&b, "Range"));
	assert_int_equal(b.request.http.bytes.len, 0);
	assert_int_equal(
	    bench_answer(&b, 200, RESULT "Content-Length: 3\n", ""), CLOUD_STEP_STREAM);
	assert_string_equal(b.op.entry.version, REV);
	assert_int_equal(b.op.entry.size, 3);
	xstrset(&b.op.version, OTHER);
	assert_int_equal(bench_answer(&b, 200, RESULT "Content-Length: 3\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);
	xstrset(&b.op.version, NULL);
	assert_int_equal(bench_answer(&b, 200, "Content-Length: 3\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_int_equal(bench_answer(&b, 200, RESULT "Content-Length: 4\n", ""), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);

	/* It goes on with what it began with. */
	b.op.offset = 1;
	b.op.streamed = 1;
	bench_answer(&b, 206, RESULT "Content-Range: bytes 2-2/3\nContent-Length: 1\n", "");
	expect_content(&b, "files/download", "{\"path\":\"/f\"}");
	assert_string_equal(bench_header(&b, "Range"), "bytes=2-");
	assert_int_equal(bench_answer(&b, 206,
			     "Dropbox-API-Result: " FILE_OF(
				 "1", "f", OTHER, HASH) "\n"
							"Content-Range: bytes 2-2/3\n",
			     ""),
	    CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -ESTALE);

	bench_op(&b, CLOUD_READ, "f");
	b.op.offset = 9;
	expect_content(&b, "files/download", "{\"path\":\"/f\"}");
	expect_step(&b, CLOUD_STEP_DONE, 416, "");
	expect_failure(
	    &b, -EISDIR, 409, "{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"not_file\"}}}");

	bench_op(&b, CLOUD_READ, "f");
	b.op.length = 0;
	b.op.version = xstrdup(OTHER);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_failure(&b, -ESTALE, 200, A_FILE);
	expect_failure(&b, -EISDIR, 200, FOLDER("1", "f"));
	bench_close(&b);
}

#define REFUSED                                                                                    \
	"{\"error\":{\".tag\":\"path\",\"reason\":{\".tag\":\"conflict\",\"conflict\":"            \
	"{\".tag\":\"file\"}},\"upload_session_id\":\"s\"}}"
#define FINISH(mode)                                                                                   \
	"{\"cursor\":{\"session_id\":\"s\",\"offset\":3},\"commit\":{\"path\":\"/d/f\",\"mode\":" mode \
	",\"autorename\":false,\"strict_conflict\":true}}"
#define UPDATE FINISH("{\".tag\":\"update\",\"update\":\"" REV "\"}")

/* An upload that was refused, since something is there. */
static void
refused(struct bench *b)
{
	bench_op(b, CLOUD_PUT, "d/f");
	b->op.length = 3;
	expect_step(b, CLOUD_STEP_NEXT, 409, REFUSED);
	expect_rpc(b, "files/get_metadata", "{\"path\":\"/d/f\"}");
}

/* What is there is replaced by its revision, without the content being sent again. */
static void
test_put_onto(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	refused(&b);
	expect_failure(&b, -EISDIR, 200, FOLDER("1", "f"));
	expect_clash(&b, FILE_AT("1", "/d/F", "F", REV), "'d/f'", "'d/F'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/d/f", "f", REV));
	expect_content(&b, "files/upload_session/finish", UPDATE);
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/d/f", "f", OTHER));
	assert_string_equal(b.op.entry.version, OTHER);

	/* It is another, or gone, by then. */
	for (int i = 0; i < 2; i++) {
		expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path", "file"));
		expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
		expect_step(&b, CLOUD_STEP_NEXT, i == 0 ? 200 : 409,
		    i == 0 ? FILE_AT("1", "/d/f", "f", REV) : PATH_NOT_FOUND);
		expect_content(
		    &b, "files/upload_session/finish", i == 0 ? UPDATE : FINISH("\"add\""));
	}
	expect_failure(&b, -EBUSY, 409, CONFLICT("path", "file"));
	expect_failure(&b, -EDQUOT, 409,
	    "{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"insufficient_space\"}}}");

	/* The answer to the end was lost, or the content is. */
	refused(&b);
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/d/f", "f", REV));
	expect_content(&b, "files/upload_session/finish", UPDATE);
	expect_step(&b, CLOUD_STEP_NEXT, 409,
	    "{\"error\":{\".tag\":\"lookup_failed\",\"lookup_failed\":{\".tag\":\"not_found\"}}}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_failure(&b, -ECONNRESET, 200, FILE_AT("1", "/d/f", "f", REV));
	set_hash(&b.op.put.digests);
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/d/f", "f", OTHER));

	/* A refusal that names no session leads nowhere. */
	bench_op(&b, CLOUD_PUT, "d/f");
	b.op.length = 3;
	expect_failure(&b, -EPROTO, 409, CONFLICT("path", "file"));
	bench_close(&b);
}

/* It came to lie in a folder of another name.  Only the last of what a path shows is true. */
static void
test_put_elsewhere(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_PUT, "a/d/f");
	expect_step(
	    &b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/box/in/a/d/f", "f", REV)); /* the root's */
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_AT("1", "/A/d/f", "f", REV)); /* of a mount */
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/Box/in/A/D/f", "f", REV));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "a"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FOLDER("2", "d"));
	assert_string_equal(b.op.entry.version, REV);

	bench_op(&b, CLOUD_PUT, "a/d/f");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/Box/in/a/D/f", "f", REV));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "D"));
	expect_rpc(
	    &b, "files/delete_v2", "{\"path\":\"/Box/in/a/d/f\",\"parent_rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");
	expect_clash(&b, "{\"metadata\":" A_FILE "}", "'a/d/f'", "'a/D'");

	/* What is there is not even touched. */
	bench_op(&b, CLOUD_PUT, "a/d/f");
	expect_step(&b, CLOUD_STEP_NEXT, 409, REFUSED);
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/Box/in/a/D/f", "f", REV));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d\"}");
	expect_clash(&b, FOLDER("2", "D"), "'a/d/f'", "'a/D'");
	bench_close(&b);
}

static void
test_put(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_PUT, "f");
	b.op.length = 3;
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	set_hash(&b.op.put.digests);
	expect_content(&b, "files/upload",
	    "{\"path\":\"/f\",\"mode\":\"add\",\"autorename\":false,\"strict_conflict\":true,"
	    "\"client_modified\":\"2009-02-13T23:31:30Z\","
	    "\"content_hash\":\"" HASH "\"}");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, 3);
	expect_step(&b, CLOUD_STEP_DONE, 200, A_FILE);
	assert_string_equal(b.op.entry.version, REV);
	assert_string_equal(b.op.entry.path, "f");
	assert_int_equal(b.op.entry.mtime_ns, INT64_C(1234567890000000000));
	expect_step(&b, CLOUD_STEP_RETRY, 409, "{\"error\":{\".tag\":\"content_hash_mismatch\"}}");

	bench_op(&b, CLOUD_PUT, "f");
	b.op.length = 0;
	b.op.put.no_replace = true;
	b.op.put.mtime_ns = -1; /* before 1970: not told */
	expect_content(&b, "files/upload",
	    "{\"path\":\"/f\",\"mode\":\"add\",\"autorename\":false,\"strict_conflict\":true}");
	expect_failure(&b, -EEXIST, 409, REFUSED);
	bench_op(&b, CLOUD_PUT, "f");
	b.op.length = (150 << 20) + 1;
	expect_refusal(&b, -EFBIG);
	bench_close(&b);
}

/* No request to remove goes without a file's revision: a folder would be removed with all in it. */
static void
test_remove(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_REMOVE, "f");
	b.op.version = xstrdup(REV);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/f\",\"parent_rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" A_FILE "}");
	expect_failure(&b, -ESTALE, 409, CONFLICT("path_write", "file"));
	expect_failure(&b, -ENOENT, 409,
	    "{\"error\":{\".tag\":\"path_lookup\",\"path_lookup\":{\".tag\":\"not_found\"}}}");

	bench_op(&b, CLOUD_REMOVE, "f");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_failure(&b, -EISDIR, 200, FOLDER("1", "f"));
	expect_clash(&b, FILE_OF("1", "F", REV, HASH), "'f'", "'F'"); /* it is not the one meant */
	for (int i = 0; i < 3; i++) { /* it changes in between */
		expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
		expect_rpc(&b, "files/delete_v2", "{\"path\":\"/f\",\"parent_rev\":\"" REV "\"}");
		expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path_write", "file"));
		expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	}
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_failure(&b, -EBUSY, 409, CONFLICT("path_write", "file"));

	bench_op(&b, CLOUD_REMOVE, "d/f");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/D/f", "f", REV));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_clash(&b, FOLDER("2", "D"), "'d/f'", "'D'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "d"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" REV "\"}");

	/* What cannot be a revision would be a bad request. */
	bench_op(&b, CLOUD_REMOVE, "f");
	b.op.version = xstrdup("v1");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_failure(&b, -ESTALE, 200, A_FILE);
	bench_close(&b);
}

static void
test_directories(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_MKDIR, "d");
	expect_rpc(&b, "files/create_folder_v2", "{\"path\":\"/d\",\"autorename\":false}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" FOLDER("1", "d") "}");
	expect_failure(&b, -EEXIST, 409, CONFLICT("path", "file"));
	expect_failure(&b, -ENOTDIR, 409, CONFLICT("path", "file_ancestor"));
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path", "folder"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FOLDER("1", "d"));
	expect_clash(&b, FOLDER("1", "D"), "'d'", "'D'");

	/* In a folder of another name it is not made. */
	bench_op(&b, CLOUD_MKDIR, "a/b/d");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a/b\"}");
	expect_clash(&b, FOLDER("1", "B"), "'a/b/d'", "'a/B'");
	expect_failure(&b, -ENOTDIR, 200, FILE_OF("1", "b", REV, HASH));
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\".tag\":\"folder\",\"id\":\"id:1\",\"name\":\"b\",\"path_display\":\"/A/b\"}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a\"}");
	expect_clash(&b, FOLDER("2", "A"), "'a/b/d'", "'A'");
	bench_op(&b, CLOUD_MKDIR, "a/b/d");
	bench_request_again(&b);
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND); /* it would be made too */
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a\"}");
	expect_clash(&b, FOLDER("2", "A"), "'a/b/d'", "'A'");
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND);
	expect_rpc(&b, "files/create_folder_v2", "{\"path\":\"/a/b/d\",\"autorename\":false}");
	/* If that was renamed meanwhile it stays: somebody may have put something there. */
	bench_op(&b, CLOUD_MKDIR, "a/d");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "a"));
	expect_rpc(&b, "files/create_folder_v2", "{\"path\":\"/a/d\",\"autorename\":false}");
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"metadata\":{\"id\":\"id:1\",\"name\":\"d\",\"path_display\":\"/A/d\"}}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a\"}");
	expect_clash(&b, FOLDER("2", "A"), "'a/d'", "'A'");
	expect_step(&b, CLOUD_STEP_DONE, 200, FOLDER("2", "a"));
	bench_close(&b);
}

/* Another request is due: the folder is the one that is meant. */
static void
rmdir_op(struct bench *b)
{
	bench_op(b, CLOUD_RMDIR, "d");
	expect_rpc(b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(b, CLOUD_STEP_NEXT, 200, FOLDER("1", "d"));
	expect_rpc(b, "files/list_folder", "{\"path\":\"/d\",\"limit\":1}");
}

static void
test_rmdir(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	rmdir_op(&b);
	expect_failure(&b, -ENOTEMPTY, 200, "{\"entries\":[" A_FILE "],\"has_more\":false}");
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"entries\":[],\"cursor\":\"c\",\"has_more\":true}"); /* a page may be empty */
	expect_rpc(&b, "files/list_folder/continue", "{\"cursor\":\"c\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"entries\":[],\"has_more\":false}");
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" FOLDER("1", "d") "}");

	/* It is not the one that is meant. */
	bench_op(&b, CLOUD_RMDIR, "a/d");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a/d\"}");
	expect_clash(&b, FOLDER("1", "D"), "'a/d'", "'a/D'");
	expect_failure(&b, -ENOTDIR, 200, FILE_OF("1", "d", REV, HASH));
	expect_failure(&b, -ENOENT, 409, PATH_NOT_FOUND);
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\".tag\":\"folder\",\"id\":\"id:1\",\"name\":\"d\",\"path_display\":\"/A/d\"}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/a\"}");
	expect_clash(&b, FOLDER("2", "A"), "'a/d'", "'A'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "a"));
	expect_rpc(&b, "files/list_folder", "{\"path\":\"/a/d\",\"limit\":1}");

	/* It had to wait: is it still empty? */
	rmdir_op(&b);
	expect_step(
	    &b, CLOUD_STEP_NEXT, 200, "{\"entries\":[],\"cursor\":\"c\",\"has_more\":true}");
	expect_rpc(&b, "files/list_folder/continue", "{\"cursor\":\"c\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"entries\":[],\"has_more\":false}");
	for (int i = 0; i < 3; i++) {
		expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d\"}");
		expect_step(&b, CLOUD_STEP_RETRY, 429,
		    "{\"error\":{\"reason\":{\".tag\":\"too_many_write_operations\"}}}");
		expect_rpc(&b, "files/list_folder", "{\"path\":\"/d\",\"limit\":1}");
		expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"entries\":[],\"has_more\":false}");
	}
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d\"}");
	expect_refusal(&b, -EAGAIN);
	bench_close(&b);
}

static void
test_link(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_LINK, "f");
	b.op.version = xstrdup(REV);
	expect_rpc(&b, "files/get_temporary_link", "{\"path\":\"/f\"}");
	expect_failure(&b, -EACCES, 409, "{\"error\":{\".tag\":\"email_not_verified\"}}");
	expect_failure(&b, -EPROTO, 200, "{\"metadata\":" A_FILE "}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" A_FILE ",\"link\":\"https://x/y\"}");
	assert_string_equal(b.op.link, "https://x/y");
	assert_false(b.op.is_pinned);
	mem_wipe_free(TAKE(b.op.link));
	xstrset(&b.op.version, OTHER);
	expect_failure(&b, -ESTALE, 200, "{\"metadata\":" A_FILE ",\"link\":\"https://x/y\"}");
	bench_close(&b);
}

static void
test_usage(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_USAGE, "");
	expect_rpc(&b, "users/get_space_usage", "null");
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    "{\"used\":30,\"allocation\":{\".tag\":\"individual\",\"allocated\":100}}");
	assert_int_equal(b.op.usage.used, 30);
	assert_int_equal(b.op.usage.total, 100);
	assert_int_equal(b.op.usage.available, 70);
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    "{\"used\":30,\"allocation\":{\".tag\":\"team\",\"used\":400,\"allocated\":1000,"
	    "\"user_within_team_space_allocated\":0}}");
	assert_int_equal(b.op.usage.used, 400);
	assert_int_equal(b.op.usage.available, 600);
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    "{\"used\":30,\"allocation\":{\".tag\":\"team\",\"used\":400,\"allocated\":1000,"
	    "\"user_within_team_space_allocated\":20}}");
	assert_int_equal(b.op.usage.total, 30); /* more than its share */
	assert_int_equal(b.op.usage.available, 0);
	bench_close(&b);
}

#define LATEST              "files/list_folder/get_latest_cursor"
#define NEXT                "files/list_folder/continue"
#define AT(tag, path)       "{\".tag\":\"" tag "\",\"name\":\"x\",\"path_display\":\"" path "\"}"
#define TOLD(entries, more) "{\"entries\":[" entries "],\"cursor\":\"c2\",\"has_more\":" more "}"

static void
expect_longpoll(struct bench *b)
{
	bench_expect(b, "POST", "https://notify.dropboxapi.com/2/files/list_folder/longpoll");
	assert_null(bench_header(b, "Authorization"));
	assert_string_equal(buf_str(&b->request.http.bytes), "{\"cursor\":\"c1\",\"timeout\":30}");
	assert_int_equal(b->request.http.patience_ms, 120000); /* and the jitter */
}

static void
test_changes(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_changes(&b, NULL);
	expect_rpc(&b, LATEST, "{\"path\":\"\",\"recursive\":true,\"limit\":2000}");
	expect_failure(&b, -EPROTO, 200, "{}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"cursor\":\"c1\"}");
	bench_expect_changed(&b, "c1", "");

	bench_changes(&b, "c1");
	expect_rpc(&b, NEXT, "{\"cursor\":\"c1\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    TOLD(AT("file", "/f") "," AT("file", "/a/f") "," AT("file", "/a/g"), "true"));
	expect_rpc(&b, NEXT, "{\"cursor\":\"c2\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    TOLD(AT("folder", "/b/d") "," AT("deleted", "/c/e") "," AT("file", "/c/e/f"), "false"));
	bench_expect_changed(&b, "c2", "/ a/ b/ b/d/* c/ c/e/*");
	assert_int_equal(b.op.again_ms, 0); /* it has not waited */
	bench_close(&b);
}

static void
test_changes_nonsense(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	for (int i = 0; i < 2; i++) {
		bench_changes(&b, "c1");
		b.op.may_wait = i == 1;
		bench_request_again(&b);
		expect_failure(&b, -EPROTO, 200, "{\"cursor\":\"c2\"}");
		expect_failure(&b, -EPROTO, 200, "nothing");
		assert_string_equal(b.op.cursor, "c1"); /* it goes on from there */
	}
	bench_changes(&b, "c1");
	bench_request_again(&b);
	expect_failure(&b, -EPROTO, 200, "{\"entries\":[],\"has_more\":false}");
	expect_step(&b, CLOUD_STEP_REFRESH, 401, "{\"error\":{\".tag\":\"expired_access_token\"}}");
	expect_failure(&b, -EINVAL, 400, "Invalid \"cursor\" parameter");
	bench_close(&b);
}

/* It answers as soon as there is something, and is not asked again before it likes. */
static void
test_changes_wait(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_changes(&b, "c1");
	b.op.may_wait = true;
	expect_longpoll(&b);
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");
	expect_longpoll(&b);
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"changes\":false}");
	bench_expect_changed(&b, "c1", "");
	assert_int_equal(b.op.again_ms, 1000);

	bench_changes(&b, NULL);
	b.op.may_wait = true;
	bench_request_again(&b);
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"cursor\":\"c1\"}");
	assert_int_equal(b.op.again_ms, 1000);

	bench_changes(&b, "c1");
	b.op.may_wait = true;
	expect_longpoll(&b);
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"changes\":true,\"backoff\":60}");
	expect_rpc(&b, NEXT, "{\"cursor\":\"c1\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, TOLD(AT("file", "/a/f"), "false"));
	bench_expect_changed(&b, "c2", "a/");
	assert_int_equal(b.op.again_ms, 60000);
	bench_close(&b);
}

/* A cursor that is good for nothing any more, or too much to read: everything, and a new one. */
static void
test_changes_reset(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	for (int i = 0; i < 3; i++) {
		bench_changes(&b, "c1");
		b.op.may_wait = i == 1;
		bench_request_again(&b);
		if (i < 2)
			expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"reset\"}}");
		for (int page = 0; i == 2 && page < 10; page++)
			expect_step(&b, CLOUD_STEP_NEXT, 200, TOLD(AT("file", "/a/f"), "true"));
		expect_rpc(&b, LATEST, "{\"path\":\"\",\"recursive\":true,\"limit\":2000}");
		expect_step(&b, CLOUD_STEP_DONE, 200, "{\"cursor\":\"c3\"}");
		bench_expect_changed(&b, "c3", "/*");
	}
	bench_close(&b);
}

/* Of a folder as the account, however Dropbox shows its name. */
static void
test_changes_below(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_changes(&b, "c1");
	expect_rpc(&b, NEXT, "{\"cursor\":\"c1\"}");
	assert_non_null(bench_header(&b, "Dropbox-API-Path-Root"));
	expect_step(&b, CLOUD_STEP_DONE, 200,
	    TOLD(AT("file", "/box/IN/a/f") "," AT("file", "/Box/in/g"), "false"));
	bench_expect_changed(&b, "c2", "a/ /");
	bench_changes(&b, "c1");
	bench_request_again(&b);
	expect_step(&b, CLOUD_STEP_DONE, 200, TOLD(AT("deleted", "/Box/in"), "false"));
	bench_expect_changed(&b, "c2", "/*");
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open),
	    cmocka_unit_test(test_identity),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_error_shapes),
	    cmocka_unit_test(test_list),
	    cmocka_unit_test(test_stat),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_put_onto),
	    cmocka_unit_test(test_put_elsewhere),
	    cmocka_unit_test(test_remove),
	    cmocka_unit_test(test_directories),
	    cmocka_unit_test(test_rmdir),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_changes_nonsense),
	    cmocka_unit_test(test_changes_wait),
	    cmocka_unit_test(test_changes_reset),
	    cmocka_unit_test(test_changes_below),
	};

	return cmocka_run_group_tests_name("dropbox", tests, NULL, NULL);
}
