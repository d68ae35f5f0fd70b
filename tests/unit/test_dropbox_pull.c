/* What the dropbox driver has Dropbox read from links, from requests written to answers understood;
 * no network. */
#include "tests/unit/dropbox_bench.h"
#include <stdlib.h>

#define MIB        ((uint64_t)1 << 20)
#define FIRST_MAX  (450 * MIB)
#define LINK       "https://cloud.example/f?secret"
#define TEMP       ".skyferry-pull-7"
#define UPLOAD     "pull 3 1369353600000 job-1 " TEMP /* begun at NOW_MS */
#define SAVE       "files/save_url"
#define CHECK      "files/save_url/check_job_status"
#define JOB        "{\"async_job_id\":\"job-1\"}"
#define RUNNING    "{\".tag\":\"in_progress\"}"
#define FAILED(of) "{\".tag\":\"failed\",\"failed\":" of "}"
#define MOVE       "{\"from_path\":\"id:9\",\"to_path\":\"/d/f\",\"autorename\":false}"
#define UNKNOWN    "{\"error\":{\".tag\":\"invalid_async_job_id\"}}"

/* Metadata without a tag, or with the job's. */
#define MADE(tag, path, name, hash)                                                                \
	"{" tag "\"id\":\"id:9\",\"name\":\"" name "\",\"rev\":\"" REV "\",\"size\":3,"            \
	"\"client_modified\":\"2026-01-02T03:04:05Z\",\"content_hash\":\"" hash "\","              \
	"\"path_display\":\"" path "\"}"
#define COMPLETE MADE("\".tag\":\"complete\",", "/d/" TEMP, TEMP, HASH)
#define STRAYED  MADE("\".tag\":\"complete\",", "/d/" TEMP " (1)", TEMP " (1)", HASH)
#define MOVED    "{\"metadata\":" MADE("\".tag\":\"file\",", "/d/f", "f", HASH) "}"
#define ITSELF   MADE("\".tag\":\"file\",", "/d/f", "f", HASH)

static void
pull_op(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, "d/f");
	b->op.put.temp_id = xstrdup("7");
	b->op.upload = xstrdup(UPLOAD);
	b->op.length = 3;
	if (kind == CLOUD_COPY_PART)
		b->op.link = xstrdup(LINK);
}

static void
begin_op(struct bench *b)
{
	pull_op(b, CLOUD_UPLOAD_BEGIN);
	xstrset(&b->op.upload, NULL);
	b->op.link = xstrdup(LINK);
}

/* There is nothing of another name in its way. */
static void
begin_looked(struct bench *b)
{
	begin_op(b);
	assert_int_equal(dropbox_driver.request(&b->op, &b->request, &b->err), CLOUD_STEP_SEND);
	expect_step(b, CLOUD_STEP_NEXT, 200, ITSELF);
}

static void
test_begin(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin_op(&b);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_clash(&b, MADE("\".tag\":\"file\",", "/d/F", "F", HASH), "'d/f'", "'d/F'");
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_clash(&b, FOLDER("1", "D"), "'d/f'", "'D'");
	begin_looked(&b);
	expect_rpc(&b, SAVE, "{\"path\":\"/d/" TEMP "\",\"url\":\"" LINK "\"}");
	expect_step(
	    &b, CLOUD_STEP_DONE, 200, "{\".tag\":\"async_job_id\",\"async_job_id\":\"job-1\"}");
	assert_string_equal(b.op.upload, UPLOAD);
	/* "complete": it is there at once, perhaps under another name. */
	expect_step(&b, CLOUD_STEP_DONE, 200, STRAYED);
	assert_string_equal(b.op.upload, "pull 3 1369353600000 - " TEMP " (1)");
	expect_failure(&b, -EPROTO, 200, "{}");
	expect_failure(&b, -EPROTO, 200, "nothing");
	expect_failure(&b, -EPROTO, 200, "{\"async_job_id\":\"with a blank\"}");
	expect_failure(&b, -EPROTO, 200, MADE("\".tag\":\"complete\",", "/d/x", "../x", HASH));
	assert_null(b.op.upload);
	expect_failure(&b, -EOPNOTSUPP, 409, "{\"error\":{\".tag\":\"invalid_url\"}}");
	expect_failure(&b, -EOPNOTSUPP, 409, "{\"error\":{\".tag\":\"download_failed\"}}");
	expect_failure(&b, -ENOENT, 409, "{\"error\":{\".tag\":\"not_found\"}}");
	expect_failure(&b, -EILSEQ, 409,
	    "{\"error\":{\".tag\":\"path\",\"path\":{\".tag\":\"disallowed_name\"}}}");
	expect_step(&b, CLOUD_STEP_RETRY, 429,
	    "{\"error\":{\"reason\":{\".tag\":\"too_many_write_operations\"}}}");
	expect_step(&b, CLOUD_STEP_REFRESH, 401, "{\"error\":{\".tag\":\"expired_access_token\"}}");
	assert_null(strstr(b.err.msg, "secret"));
	/* It would have no time of ours: only where nobody has set one. */
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	expect_refusal(&b, -EOPNOTSUPP);
	b.op.put.mtime_optional = true;
	expect_rpc(&b, SAVE, "{\"path\":\"/d/" TEMP "\",\"url\":\"" LINK "\"}");
	/* A link is no copy, and a session takes none. */
	bench_op(&b, CLOUD_COPY, "f");
	b.op.path2 = xstrdup("from");
	b.op.link = xstrdup(LINK);
	expect_refusal(&b, -EOPNOTSUPP);
	pull_op(&b, CLOUD_COPY_PART);
	xstrset(&b.op.upload, "3 session");
	expect_refusal(&b, -EOPNOTSUPP);
	bench_close(&b);
}

/* Of an account whose top is a folder. */
static void
test_begin_below(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	begin_looked(&b);
	expect_rpc(&b, SAVE, "{\"path\":\"/Box/in/d/" TEMP "\",\"url\":\"" LINK "\"}");
	pull_op(&b, CLOUD_UPLOAD_COMMIT);
	expect_step(&b, CLOUD_STEP_NEXT, 200, COMPLETE);
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"id:9\",\"to_path\":\"/Box/in/d/f\",\"autorename\":false}");
	pull_op(&b, CLOUD_UPLOAD_ABORT);
	expect_step(&b, CLOUD_STEP_NEXT, 200, COMPLETE);
	expect_rpc(
	    &b, "files/delete_v2", "{\"path\":\"/Box/in/d/" TEMP "\",\"parent_rev\":\"" REV "\"}");
	bench_close(&b);
}

static void
test_part(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	pull_op(&b, CLOUD_COPY_PART);
	expect_rpc(&b, CHECK, JOB);
	expect_step(&b, CLOUD_STEP_DONE, 200, COMPLETE);
	assert_int_equal(b.op.part.length, 3);
	assert_string_equal(b.op.part.tag, HASH);
	assert_int_equal(b.op.entry.digests.have, 0);
	b.op.length = 4;
	expect_failure(&b, -ESTALE, 200, COMPLETE);
	expect_failure(&b, -EPROTO, 200, "{}");
	expect_failure(&b, -EPROTO, 200, "nothing");
	expect_failure(&b, -EPROTO, 200, "{\".tag\":\"complete\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");
	/* What says nothing against the relay leads there. */
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"download_failed\"}"));
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"invalid_url\"}"));
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"other\"}"));
	expect_failure(&b, -EOPNOTSUPP, 200, "{\".tag\":\"failed\"}");
	expect_failure(&b, -EDQUOT, 200,
	    FAILED("{\".tag\":\"path\",\"path\":{\".tag\":\"insufficient_space\"}}"));
	expect_failure(&b, -EACCES, 200,
	    FAILED("{\".tag\":\"path\",\"path\":{\".tag\":\"no_write_permission\"}}"));
	expect_failure(&b, -ENOTDIR, 200,
	    FAILED("{\".tag\":\"path\",\"path\":{\".tag\":\"conflict\",\"conflict\":{\".tag\":"
		   "\"file_ancestor\"}}}"));
	/* The job is no more: another one is begun. */
	expect_failure(&b, -ENOENT, 200, FAILED("{\".tag\":\"not_found\"}"));
	expect_failure(&b, -ENOENT, 200,
	    FAILED("{\".tag\":\"path\",\"path\":{\".tag\":\"too_many_write_operations\"}}"));
	expect_failure(&b, -ENOENT, 409, UNKNOWN);
	expect_failure(&b, -ENOENT, 409, "{\"error\":{\".tag\":\"internal_error\"}}");
	/* Without a job. */
	xstrset(&b.op.upload, "pull 3 1 - " TEMP " (1)");
	b.op.length = 3;
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/" TEMP " (1)\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, ITSELF);
	expect_failure(&b, -EPROTO, 200, FOLDER("9", TEMP));
	expect_failure(&b, -ENOENT, 409, PATH_NOT_FOUND);
	bench_close(&b);
}

/* The pauses become longer, and there are not more of them than a job can last. */
static void
test_waits(void **state)
{
	struct bench b;
	uint64_t waited = 0;
	unsigned times = 0;

	bench_open(&b, ALL);
	pull_op(&b, CLOUD_COPY_PART);
	for (; bench_answer(&b, 200, "", RUNNING) == CLOUD_STEP_WAIT; times++) {
		if (times == 0)
			assert_int_equal(b.op.wait_ms, 250);
		assert_in_range(b.op.wait_ms, 250, 10000);
		waited += b.op.wait_ms;
		b.op.now_ms += b.op.wait_ms;
	}
	assert_int_equal(b.err.code, -EOPNOTSUPP);
	assert_in_range(waited, 15 * 60 * 1000, 20 * 60 * 1000);
	assert_in_range(times, 90, 110);
	bench_close(&b);
}

/* By the speed of those before: half of 15 minutes. */
static void
test_speed(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	assert_int_equal(b.account.limits.pull_max, FIRST_MAX);
	assert_int_equal(b.account.limits.pull_min, 16 * MIB);
	pull_op(&b, CLOUD_COPY_PART);
	xstrset(&b.op.upload, "pull 838860800 1369353600000 job-1 " TEMP); /* 800 MiB */
	b.op.length = 3;
	b.op.now_ms = NOW_MS + 1000;
	expect_step(&b, CLOUD_STEP_DONE, 200, COMPLETE); /* who knows when it ended */
	assert_int_equal(b.account.limits.pull_max, FIRST_MAX);
	expect_step(&b, CLOUD_STEP_WAIT, 200, RUNNING);
	b.op.now_ms = NOW_MS + 8000; /* 100 MiB a second */
	expect_step(&b, CLOUD_STEP_DONE, 200, COMPLETE);
	assert_int_equal(b.account.limits.pull_max, FIRST_MAX / 2 + 100 * FIRST_MAX / 2);
	/* Too slow: half as much, but what is the least goes on being tried. */
	b.op.now_ms = NOW_MS + 900000;
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"download_failed\"}"));
	assert_int_equal(b.account.limits.pull_max, 400 * MIB);
	xstrset(&b.op.upload, "pull 17825792 1369353600000 job-1 " TEMP); /* 17 MiB */
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"download_failed\"}"));
	assert_int_equal(b.account.limits.pull_max, 16 * MIB);
	/* A failure that came sooner says nothing of speed. */
	b.account.limits.pull_max = FIRST_MAX;
	b.op.now_ms = NOW_MS + 899999;
	expect_failure(&b, -EOPNOTSUPP, 200, FAILED("{\".tag\":\"download_failed\"}"));
	assert_int_equal(b.account.limits.pull_max, FIRST_MAX);
	bench_close(&b);
}

static void
test_status(void **state)
{
	static const char *const damaged[] = {"pull ", "pull 3", "pull 3 1 job", "pull 3 1 job ",
	    "pull x 1 job name", "pull 3 1  name", "pull 3 1 job a/b",
	    "pull 99999999999999999999 1 j n"};
	struct bench b;

	bench_open(&b, ALL);
	pull_op(&b, CLOUD_UPLOAD_STATUS);
	expect_rpc(&b, CHECK, JOB);
	expect_step(&b, CLOUD_STEP_DONE, 200, RUNNING);
	expect_step(&b, CLOUD_STEP_DONE, 200, COMPLETE);
	expect_failure(&b, -ENOENT, 200, FAILED("{\".tag\":\"download_failed\"}"));
	expect_failure(&b, -ENOENT, 409, UNKNOWN);
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		xstrset(&b.op.upload, damaged[i]);
		expect_refusal(&b, -ENOENT);
	}
	bench_close(&b);
}

/* The job is asked what it made, and that is moved. */
static void
commit_begin(struct bench *b, const char *made)
{
	pull_op(b, CLOUD_UPLOAD_COMMIT);
	expect_rpc(b, CHECK, JOB);
	expect_step(b, CLOUD_STEP_NEXT, 200, made);
	expect_rpc(b, "files/move_v2", MOVE);
}

static void
commit_met(struct bench *b)
{
	expect_step(b, CLOUD_STEP_NEXT, 409, CONFLICT("to", "file"));
	expect_rpc(b, "files/get_metadata", "{\"path\":\"/d/f\"}");
}

static void
test_commit(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	commit_begin(&b, COMPLETE);
	expect_step(&b, CLOUD_STEP_DONE, 200, MOVED);
	assert_string_equal(b.op.entry.path, "d/f");
	assert_string_equal(b.op.entry.version, REV);
	assert_int_equal(b.op.entry.size, 3);

	/* What was replaced goes by its revision, and comes back if the move fails. */
	commit_begin(&b, COMPLETE);
	commit_met(&b);
	expect_failure(&b, -EISDIR, 200, FOLDER("2", "f"));
	expect_clash(&b, FILE_OF("2", "F", OTHER, "00"), "'d/f'", "'d/F'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_OF("2", "f", OTHER, "00"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, MOVED);
	expect_rpc(&b, "files/move_v2", MOVE);
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"insufficient_quota\"}}");
	expect_rpc(&b, "files/restore", "{\"path\":\"/d/f\",\"rev\":\"" OTHER "\"}");
	expect_failure(&b, -EDQUOT, 200, ITSELF);

	commit_begin(&b, COMPLETE);
	b.op.put.no_replace = true;
	commit_met(&b);
	expect_failure(&b, -EEXIST, 200, FILE_OF("2", "f", OTHER, HASH));

	/* It is there already: an answer was lost, or a restart came in between. */
	commit_begin(&b, COMPLETE);
	b.op.put.no_replace = true;
	commit_met(&b);
	expect_step(&b, CLOUD_STEP_DONE, 200, ITSELF);
	assert_string_equal(b.op.entry.version, REV);
	/* Also when it is in its own way after something else was. */
	commit_begin(&b, COMPLETE);
	commit_met(&b);
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_OF("2", "f", OTHER, "00"));
	expect_step(&b, CLOUD_STEP_NEXT, 200, MOVED);
	expect_rpc(&b, "files/move_v2", MOVE);
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_rpc(&b, "files/move_v2", MOVE);
	commit_met(&b);
	expect_step(&b, CLOUD_STEP_DONE, 200, ITSELF);

	/* Somebody has changed it: it does not stay. */
	commit_begin(&b, COMPLETE);
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"metadata\":" MADE("\".tag\":\"file\",", "/d/f", "f", "00") "}");
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" REV "\"}");
	expect_failure(&b, -ESTALE, 200, MOVED);

	/* It is gone, or the job is. */
	commit_begin(&b, COMPLETE);
	expect_failure(&b, -ENOENT, 409,
	    "{\"error\":{\".tag\":\"from_lookup\",\"from_lookup\":{\".tag\":\"not_found\"}}}");
	pull_op(&b, CLOUD_UPLOAD_COMMIT);
	expect_failure(&b, -ENOENT, 409, UNKNOWN);
	expect_failure(&b, -ENOENT, 200, FAILED("{\".tag\":\"other\"}"));
	bench_close(&b);
}

/* A folder of another name, which the service takes for the same. */
static void
test_commit_elsewhere(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	commit_begin(&b, COMPLETE);
	expect_step(&b, CLOUD_STEP_NEXT, 200,
	    "{\"metadata\":" MADE("\".tag\":\"file\",", "/D/f", "f", HASH) "}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("5", "D"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" REV "\"}");
	expect_clash(&b, MOVED, "'d'", "'D'");
	/* The same, where the move's answer was lost. */
	commit_begin(&b, COMPLETE);
	commit_met(&b);
	expect_step(&b, CLOUD_STEP_NEXT, 200, MADE("\".tag\":\"file\",", "/D/f", "f", HASH));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("5", "D"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/f\",\"parent_rev\":\"" REV "\"}");
	bench_close(&b);
}

/* A job whose id was lost had made a file: the one of this job has another name. */
static void
test_commit_stray(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	commit_begin(&b, STRAYED);
	expect_step(&b, CLOUD_STEP_NEXT, 200, MOVED);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/" TEMP "\"}");
	assert_string_equal(b.op.entry.path, "d/f");
	expect_step(&b, CLOUD_STEP_DONE, 409, PATH_NOT_FOUND);
	expect_step(&b, CLOUD_STEP_DONE, 500, "");
	bench_close(&b);
}

static void
test_abort(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	pull_op(&b, CLOUD_UPLOAD_ABORT);
	expect_rpc(&b, CHECK, JOB);
	expect_step(&b, CLOUD_STEP_WAIT, 200, RUNNING);
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_step(&b, CLOUD_STEP_NEXT, 200, COMPLETE);
	/* Only that file, and not where it has been moved to. */
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/" TEMP "\",\"parent_rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, MOVED);
	expect_step(&b, CLOUD_STEP_DONE, 409, PATH_NOT_FOUND);
	expect_step(&b, CLOUD_STEP_DONE, 409, CONFLICT("path_write", "file"));
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");

	pull_op(&b, CLOUD_UPLOAD_ABORT);
	expect_step(&b, CLOUD_STEP_NEXT, 200, STRAYED);
	expect_rpc(
	    &b, "files/delete_v2", "{\"path\":\"/d/" TEMP " (1)\",\"parent_rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, MOVED);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/" TEMP "\"}");
	expect_step(&b, CLOUD_STEP_DONE, 409, PATH_NOT_FOUND);

	/* Nothing has come of it, as far as anybody knows. */
	pull_op(&b, CLOUD_UPLOAD_ABORT);
	expect_step(&b, CLOUD_STEP_NEXT, 200, FAILED("{\".tag\":\"download_failed\"}"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/" TEMP "\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, MOVED);
	pull_op(&b, CLOUD_UPLOAD_ABORT);
	expect_step(&b, CLOUD_STEP_NEXT, 409, UNKNOWN);

	/* It is swept: there will be another time. */
	pull_op(&b, CLOUD_UPLOAD_ABORT);
	b.op.soon = true;
	for (int i = 0; i < 4; i++)
		expect_step(&b, CLOUD_STEP_WAIT, 200, RUNNING);
	expect_failure(&b, -EAGAIN, 200, RUNNING);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_begin_below),
	    cmocka_unit_test(test_part),
	    cmocka_unit_test(test_waits),
	    cmocka_unit_test(test_speed),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_commit_elsewhere),
	    cmocka_unit_test(test_commit_stray),
	    cmocka_unit_test(test_abort),
	};

	return cmocka_run_group_tests_name("dropbox: pulls", tests, NULL, NULL);
}
