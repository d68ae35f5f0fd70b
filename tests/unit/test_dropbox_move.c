/* The dropbox driver's copies, moves and uploads in sessions, from requests written to answers
 * understood; no network. */
#include "tests/unit/dropbox_bench.h"
#include <stdlib.h>

#define THERE       "{\"metadata\":" FILE_OF("9", "to", OTHER, HASH) "}"
#define MOVE_ARG    "{\"from_path\":\"/from\",\"to_path\":\"/to\",\"autorename\":false}"
#define TARGET_FILE FILE_OF("2", "to", OTHER, "00")
#define ASIDE       ".skyferry-rename-00000000"

static void
begin(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, kind == CLOUD_MOVE ? "from" : "to");
	b->op.path2 = xstrdup(kind == CLOUD_MOVE ? "to" : "from");
	b->op.from = &b->account;
}

/* The source is looked at, and then it is asked for. */
static void
asked(struct bench *b, const char *route, const char *source)
{
	expect_rpc(b, "files/get_metadata", "{\"path\":\"/from\"}");
	expect_step(b, CLOUD_STEP_NEXT, 200, source);
	expect_rpc(b, route, MOVE_ARG);
}

/* Something is in the way, and is looked at. */
static void
met(struct bench *b, const char *what)
{
	CLEANUP(cleanup_free)
	char *body =
	    xasprintf("{\"error\":{\".tag\":\"to\",\"to\":{\".tag\":\"conflict\",\"conflict\":"
		      "{\".tag\":\"%s\"}}}}",
		what);

	expect_step(b, CLOUD_STEP_NEXT, 409, body);
	expect_rpc(b, "files/get_metadata", "{\"path\":\"/to\"}");
}

static void
test_copy(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin(&b, CLOUD_COPY);
	b.op.version = xstrdup(REV);
	asked(&b, "files/copy_v2", A_FILE);
	expect_step(&b, CLOUD_STEP_DONE, 200, THERE);
	assert_string_equal(b.op.entry.path, "to");
	assert_string_equal(b.op.entry.version, OTHER);

	expect_failure(&b, -EPROTO, 200, "{\"metadata\":" FOLDER("9", "to") "}");
	/* Another content: the source has changed meanwhile.  It does not stay. */
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" TARGET_FILE "}");
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_failure(&b, -ESTALE, 200, THERE);

	begin(&b, CLOUD_COPY);
	b.op.version = xstrdup(OTHER);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/from\"}");
	expect_failure(&b, -ESTALE, 200, A_FILE);
	expect_failure(&b, -ESTALE, 200, FOLDER("1", "from"));
	expect_failure(&b, -ENOENT, 409, PATH_NOT_FOUND);
	xstrset(&b.op.version, NULL);
	expect_failure(&b, -EISDIR, 200, FOLDER("1", "from"));
	/* The source's time is the copy's. */
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	b.op.put.mtime_ns = INT64_C(1234567891000000000);
	begin(&b, CLOUD_COPY);
	b.op.put.mtime_ns = INT64_C(1234567891000000000);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/from\"}");
	expect_failure(&b, -EOPNOTSUPP, 200, A_FILE);
	assert_true(b.op.only_this);
	/* Unless nobody has asked for the other one. */
	b.op.put.mtime_optional = true;
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	assert_false(b.op.only_this);
	bench_close(&b);
}

static void
test_copy_onto(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin(&b, CLOUD_COPY);
	asked(&b, "files/copy_v2", A_FILE);
	met(&b, "file");
	expect_failure(&b, -EISDIR, 200, FOLDER("2", "to"));
	expect_failure(&b, -EINVAL, 200, FILE_OF("1", "To", REV, HASH)); /* itself */
	expect_step(&b, CLOUD_STEP_NEXT, 200, TARGET_FILE);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/copy_v2", MOVE_ARG);
	/* A refusal puts back what was there, and is what is told. */
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"insufficient_quota\"}}");
	expect_rpc(&b, "files/restore", "{\"path\":\"/to\",\"rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_RETRY, 503, "");
	expect_failure(&b, -EDQUOT, 200, TARGET_FILE);

	/* So does a copy that is not what was asked for. */
	begin(&b, CLOUD_COPY);
	asked(&b, "files/copy_v2", A_FILE);
	met(&b, "file");
	expect_step(&b, CLOUD_STEP_NEXT, 200, TARGET_FILE);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/copy_v2", MOVE_ARG);
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" FILE_OF("3", "to", REV, "00") "}");
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" REV "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/restore", "{\"path\":\"/to\",\"rev\":\"" OTHER "\"}");
	expect_failure(&b, -ESTALE, 200, TARGET_FILE);

	begin(&b, CLOUD_COPY);
	b.op.put.no_replace = true;
	asked(&b, "files/copy_v2", A_FILE);
	met(&b, "file");
	expect_failure(&b, -EEXIST, 200, FILE_OF("2", "to", OTHER, HASH));
	/* Asked for twice: the first answer was lost, and it is our copy. */
	begin(&b, CLOUD_COPY);
	b.op.put.no_replace = true;
	asked(&b, "files/copy_v2", A_FILE);
	expect_rpc(&b, "files/copy_v2", MOVE_ARG);
	met(&b, "file");
	expect_failure(&b, -EEXIST, 200, TARGET_FILE);
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_OF("2", "to", OTHER, HASH));
	assert_string_equal(b.op.entry.version, OTHER);
	bench_close(&b);
}

/* What is there under another name stays, and nothing is made in a folder of another name. */
static void
test_copy_case(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin(&b, CLOUD_COPY);
	asked(&b, "files/copy_v2", A_FILE);
	met(&b, "file");
	expect_clash(&b, FILE_OF("2", "To", OTHER, "00"), "'to'", "'To'");
	begin(&b, CLOUD_MOVE);
	asked(&b, "files/move_v2", A_FILE);
	met(&b, "file");
	expect_clash(&b, FILE_OF("2", "To", OTHER, "00"), "'to'", "'To'");

	bench_op(&b, CLOUD_COPY, "d/to");
	b.op.path2 = xstrdup("from");
	b.op.from = &b.account;
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_step(
	    &b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" FILE_AT("9", "/D/to", "to", OTHER) "}");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FOLDER("3", "d"));
	assert_string_equal(b.op.entry.version, OTHER);
	bench_op(&b, CLOUD_COPY, "d/to");
	b.op.path2 = xstrdup("from");
	b.op.from = &b.account;
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_step(
	    &b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" FILE_AT("9", "/D/to", "to", OTHER) "}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("3", "D"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_clash(&b, THERE, "'d/to'", "'D'");

	/* Something is in the way there: is it that? */
	bench_op(&b, CLOUD_COPY, "d/to");
	b.op.path2 = xstrdup("from");
	b.op.from = &b.account;
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("to", "file"));
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("2", "/D/to", "to", OTHER));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d\"}");
	expect_clash(&b, FOLDER("3", "D"), "'d/to'", "'D'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("3", "d"));
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/d/to\",\"parent_rev\":\"" OTHER "\"}");
	bench_close(&b);
}

static void
test_copy_between(void **state)
{
	struct bench b, from;

	bench_open(&b, ALL);
	bench_open(&from, "{" APP ",\"rootFolder\":\"theirs\"}");
	xstrset(&((struct dropbox_account *)from.account.data)->oauth.token, "sl.theirs");
	assert_true(dropbox_driver.copies_from(&b.account, &from.account));
	begin(&b, CLOUD_COPY);
	b.op.from = &from.account;
	bench_expect(&b, "POST", API "files/copy_reference/get");
	assert_string_equal(bench_header(&b, "Authorization"), "Bearer sl.theirs");
	assert_string_equal(buf_str(&b.request.http.bytes), "{\"path\":\"/theirs/from\"}");
	expect_failure(&b, -EOPNOTSUPP, 401, "{\"error\":{\".tag\":\"invalid_access_token\"}}");
	expect_failure(&b, -EOPNOTSUPP, 200, "{\"metadata\":" A_FILE "}");
	expect_step(
	    &b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" A_FILE ",\"copy_reference\":\"ref\"}");
	expect_rpc(
	    &b, "files/copy_reference/save", "{\"path\":\"/to\",\"copy_reference\":\"ref\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, THERE);

	/* Nobody gets a token for it: then it is relayed. */
	begin(&b, CLOUD_COPY);
	b.op.from = &from.account;
	((struct dropbox_account *)from.account.data)->oauth.good_until_ms = 0;
	expect_refusal(&b, -EOPNOTSUPP);
	bench_close(&from);
	bench_open(&from, "{\"clientId\":\"another\",\"refreshToken\":\"x\"}");
	assert_false(dropbox_driver.copies_from(&b.account, &from.account));
	bench_close(&from);
	bench_close(&b);
}

static void
test_move(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin(&b, CLOUD_MOVE);
	asked(&b, "files/move_v2", A_FILE);
	expect_step(&b, CLOUD_STEP_DONE, 200, THERE);
	assert_string_equal(b.op.entry.path, "to");
	expect_failure(&b, -ENOENT, 409,
	    "{\"error\":{\".tag\":\"from_lookup\",\"from_lookup\":{\".tag\":\"not_found\"}}}");
	met(&b, "file");
	b.op.put.no_replace = true;
	expect_failure(&b, -EEXIST, 200, TARGET_FILE);
	b.op.put.no_replace = false;
	expect_failure(&b, -EISDIR, 200, FOLDER("2", "to"));
	expect_step(&b, CLOUD_STEP_NEXT, 200, TARGET_FILE);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path_write", "file")); /* another by now */
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/to\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, TARGET_FILE);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/move_v2", MOVE_ARG);
	/* Moved before, perhaps, with an answer that was lost: nothing is put back over it. */
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_rpc(&b, "files/move_v2", MOVE_ARG);
	expect_failure(&b, -ENOENT, 409,
	    "{\"error\":{\".tag\":\"from_lookup\",\"from_lookup\":{\".tag\":\"not_found\"}}}");
	expect_failure(&b, -EEXIST, 409, CONFLICT("to", "file"));
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"cant_nest_shared_folder\"}}");
	expect_rpc(&b, "files/restore", "{\"path\":\"/to\",\"rev\":\"" OTHER "\"}");
	expect_failure(&b, -EPERM, 409, PATH_NOT_FOUND);

	/* Somebody else has taken the source away: then what was in the way comes back. */
	begin(&b, CLOUD_MOVE);
	asked(&b, "files/move_v2", A_FILE);
	met(&b, "file");
	expect_step(&b, CLOUD_STEP_NEXT, 200, TARGET_FILE);
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\",\"parent_rev\":\"" OTHER "\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/move_v2", MOVE_ARG);
	expect_step(&b, CLOUD_STEP_NEXT, 409,
	    "{\"error\":{\".tag\":\"from_lookup\",\"from_lookup\":{\".tag\":\"not_found\"}}}");
	expect_rpc(&b, "files/restore", "{\"path\":\"/to\",\"rev\":\"" OTHER "\"}");
	expect_failure(&b, -ENOENT, 200, TARGET_FILE);
	bench_close(&b);
}

static void
test_move_folder(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	begin(&b, CLOUD_MOVE);
	asked(&b, "files/move_v2", FOLDER("1", "from"));
	met(&b, "folder");
	expect_failure(&b, -ENOTDIR, 200, TARGET_FILE);
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "to"));
	expect_rpc(&b, "files/list_folder", "{\"path\":\"/to\",\"limit\":1}");
	expect_failure(&b, -ENOTEMPTY, 200, "{\"entries\":[" A_FILE "],\"has_more\":false}");
	expect_failure(&b, -ENOTEMPTY, 200, "{\"entries\":[],\"has_more\":true}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"entries\":[],\"has_more\":false}");
	expect_rpc(&b, "files/delete_v2", "{\"path\":\"/to\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" FOLDER("2", "to") "}");
	expect_rpc(&b, "files/move_v2", MOVE_ARG);
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" FOLDER("1", "to") "}");
	assert_int_equal(b.op.entry.kind, ENTRY_DIRECTORY);
	bench_close(&b);
}

/* A rename to another case: what is in the way is the file itself. */
static void
test_move_case(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_MOVE, "d/f");
	b.op.path2 = xstrdup("d/F");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/f\",\"to_path\":\"/d/F\",\"autorename\":false}");
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("to", "file"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/F\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_OF("1", "F", REV, HASH)); /* it has it */
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/f\",\"to_path\":\"/d/" ASIDE "\",\"autorename\":false}");
	expect_failure(&b, -EACCES, 409, "{\"error\":{\".tag\":\"no_write_permission\"}}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, THERE);
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/" ASIDE "\",\"to_path\":\"/d/F\",\"autorename\":false}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"metadata\":" FILE_OF("1", "F", REV, HASH) "}");
	/* What cannot be done is undone. */
	expect_step(&b, CLOUD_STEP_NEXT, 409, "{\"error\":{\".tag\":\"no_write_permission\"}}");
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/" ASIDE "\",\"to_path\":\"/d/f\",\"autorename\":false}");
	expect_failure(&b, -EACCES, 200, THERE);

	/* A service that takes it for done, and has changed nothing. */
	bench_op(&b, CLOUD_MOVE, "d/f");
	b.op.path2 = xstrdup("d/F");
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/d/f\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/f\",\"to_path\":\"/d/F\",\"autorename\":false}");
	expect_step(&b, CLOUD_STEP_NEXT, 200, "{\"metadata\":" A_FILE "}");
	expect_rpc(&b, "files/move_v2",
	    "{\"from_path\":\"/d/f\",\"to_path\":\"/d/" ASIDE "\",\"autorename\":false}");
	bench_close(&b);
}

/* Uploads */

#define MIB4       4194304
#define APPEND     "files/upload_session/append_v2"
#define CURSOR(at) "{\"cursor\":{\"session_id\":\"s\",\"offset\":" at "}"
#define LOOKUP(error)                                                                              \
	"{\"error\":{\".tag\":\"lookup_failed\",\"lookup_failed\":{\".tag\":\"" error "\"}}}"

static void
upload_op(struct bench *b, enum cloud_op_kind kind)
{
	bench_op(b, kind, "f");
	b->op.upload = xstrdup("4194307 s"); /* a block, and three bytes */
	b->op.length = 4194307;
}

static void
test_begin(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "f");
	b.op.length = 20000000;
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND);
	expect_content(&b, "files/upload_session/start", "{\"session_type\":\"concurrent\"}");
	expect_step(&b, CLOUD_STEP_DONE, 200, "{\"session_id\":\"s\"}");
	assert_string_equal(b.op.upload, "20000000 s");
	expect_failure(&b, -EPROTO, 200, "{}");
	b.op.length = UINT64_C(2199019061249);
	expect_refusal(&b, -EFBIG);
	for (enum cloud_op_kind kind = CLOUD_UPLOAD_ABORT; kind <= CLOUD_UPLOAD_FIND; kind++) {
		upload_op(&b, kind);
		assert_int_equal(
		    dropbox_driver.request(&b.op, &b.request, &b.err), CLOUD_STEP_DONE);
	}
	upload_op(&b, CLOUD_UPLOAD_STATUS);
	xstrset(&b.op.upload, "not ours");
	expect_refusal(&b, -ENOENT);
	bench_close(&b);
}

/* COMMIT would be refused: that is known before anything is sent. */
static void
test_begin_case(void **state)
{
	struct bench b;

	bench_open(&b, OWN);
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "a/d/f");
	b.op.length = 20000000;
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d/f\"}");
	expect_clash(&b, FILE_AT("1", "/Box/in/a/d/F", "F", REV), "'a/d/f'", "'a/d/F'");
	expect_failure(&b, -EISDIR, 200, FOLDER("1", "f"));
	expect_failure(&b, -EACCES, 409, "{\"error\":{\".tag\":\"missing_scope\"}}");
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FILE_AT("1", "/Box/in/A/d/f", "f", REV));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a\"}");
	expect_clash(&b, FOLDER("2", "A"), "'a/d/f'", "'A'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, FOLDER("2", "a")); /* only that of the file was so */
	expect_content(&b, "files/upload_session/start", "{\"session_type\":\"concurrent\"}");

	/* A new file: what would be above it? */
	bench_op(&b, CLOUD_UPLOAD_BEGIN, "a/d/f");
	b.op.length = 20000000;
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d/f\"}");
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a/d\"}");
	expect_clash(&b, FOLDER("1", "D"), "'a/d/f'", "'a/D'");
	expect_failure(&b, -ENOTDIR, 200, FILE_OF("1", "d", REV, HASH));
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND);
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/Box/in/a\"}");
	expect_clash(&b, FOLDER("1", "A"), "'a/d/f'", "'A'");
	expect_step(&b, CLOUD_STEP_NEXT, 409, PATH_NOT_FOUND); /* nothing: COMMIT makes both */
	expect_content(&b, "files/upload_session/start", "{\"session_type\":\"concurrent\"}");
	bench_close(&b);
}

static void
test_part(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	upload_op(&b, CLOUD_UPLOAD_PART);
	b.op.part.number = 1;
	b.op.length = MIB4;
	expect_content(&b, APPEND, CURSOR("0") ",\"close\":false}");
	assert_int_equal(b.request.http.body, HTTP_BODY_STREAM);
	assert_int_equal(b.request.http.length, MIB4);
	expect_step(&b, CLOUD_STEP_DONE, 200, "null");
	assert_int_equal(b.op.part.length, MIB4);
	assert_string_equal(b.op.part.tag, "");
	expect_failure(&b, -ENOENT, 409, "{\"error\":{\".tag\":\"not_found\"}}");
	/* Closed by the last one: a crash may have lost the notes of both. */
	expect_step(&b, CLOUD_STEP_DONE, 409, "{\"error\":{\".tag\":\"closed\"}}");
	/* It has the part already, or less. */
	expect_step(&b, CLOUD_STEP_DONE, 409,
	    "{\"error\":{\".tag\":\"incorrect_offset\",\"correct_offset\":4194304}}");
	expect_failure(&b, -EINVAL, 409,
	    "{\"error\":{\".tag\":\"incorrect_offset\",\"correct_offset\":4194303}}");

	b.op.offset = MIB4;
	b.op.length = 3;
	expect_content(&b, APPEND, CURSOR("4194304") ",\"close\":true}");
	expect_step(&b, CLOUD_STEP_DONE, 409, "{\"error\":{\".tag\":\"closed\"}}"); /* by itself */
	b.op.length = 2; /* not the last, and no block */
	expect_refusal(&b, -EINVAL);
	b.op.length = 4; /* beyond the end */
	expect_refusal(&b, -EINVAL);
	b.op.length = 0;
	expect_refusal(&b, -EINVAL);
	b.op.offset = 1;
	b.op.length = MIB4;
	expect_refusal(&b, -EINVAL);
	bench_close(&b);
}

static void
test_status(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	upload_op(&b, CLOUD_UPLOAD_STATUS);
	expect_content(&b, APPEND, CURSOR("0") "}");
	assert_int_equal(b.request.http.body, HTTP_BODY_BYTES);
	expect_step(&b, CLOUD_STEP_DONE, 200, "null");
	expect_step(&b, CLOUD_STEP_DONE, 409, "{\"error\":{\".tag\":\"closed\"}}");
	expect_failure(&b, -ENOENT, 409, "{\"error\":{\".tag\":\"not_found\"}}");
	expect_step(&b, CLOUD_STEP_RETRY, 500, "");
	expect_step(&b, CLOUD_STEP_REFRESH, 401, "{\"error\":{\".tag\":\"expired_access_token\"}}");
	bench_close(&b);
}

static void
test_commit(void **state)
{
	struct bench b;

	bench_open(&b, ALL);
	upload_op(&b, CLOUD_UPLOAD_COMMIT);
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	expect_content(&b, "files/upload_session/finish",
	    CURSOR("4194307") ",\"commit\":{\"path\":\"/f\",\"mode\":\"add\",\"autorename\":false,"
			      "\"strict_conflict\":true,"
			      "\"client_modified\":\"2009-02-13T23:31:30Z\"}}");
	expect_step(&b, CLOUD_STEP_DONE, 200, A_FILE);
	assert_string_equal(b.op.entry.version, REV);
	b.op.put.no_replace = true;
	expect_failure(&b, -EEXIST, 409, CONFLICT("path", "file"));
	b.op.put.no_replace = false;
	expect_failure(
	    &b, -EINVAL, 409, "{\"error\":{\".tag\":\"concurrent_session_missing_data\"}}");
	expect_failure(
	    &b, -EINVAL, 409, "{\"error\":{\".tag\":\"concurrent_session_not_closed\"}}");
	expect_failure(&b, -EINVAL, 409, LOOKUP("incorrect_offset"));
	/* What is there is replaced by its revision. */
	upload_op(&b, CLOUD_UPLOAD_COMMIT);
	expect_step(&b, CLOUD_STEP_NEXT, 409, CONFLICT("path", "file"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_clash(&b, FILE_OF("1", "F", REV, HASH), "'f'", "'F'");
	expect_step(&b, CLOUD_STEP_NEXT, 200, A_FILE);
	expect_content(&b, "files/upload_session/finish",
	    CURSOR("4194307") ",\"commit\":{\"path\":\"/f\",\"mode\":{\".tag\":\"update\","
			      "\"update\":\"" REV "\"},\"autorename\":false,"
			      "\"strict_conflict\":true}}");
	expect_step(&b, CLOUD_STEP_DONE, 200, FILE_OF("1", "f", OTHER, HASH));
	bench_close(&b);
}

/* The session is gone: has it become the file? */
static void
test_commit_proved(void **state)
{
	static const char file[] =
	    "{\".tag\":\"file\",\"rev\":\"" REV "\",\"size\":4194307,\"content_hash\":\"" HASH
	    "\",\"client_modified\":\"2009-02-13T23:31:30Z\"}";
	struct bench b;

	bench_open(&b, ALL);
	upload_op(&b, CLOUD_UPLOAD_COMMIT);
	set_hash(&b.op.put.digests);
	expect_step(&b, CLOUD_STEP_NEXT, 409, LOOKUP("not_found"));
	expect_rpc(&b, "files/get_metadata", "{\"path\":\"/f\"}");
	expect_failure(&b, -ENOENT, 409, PATH_NOT_FOUND);
	expect_failure(&b, -ENOENT, 200, A_FILE); /* another size */
	expect_failure(&b, -ENOENT, 200, FOLDER("1", "f"));
	expect_step(&b, CLOUD_STEP_DONE, 200, file);
	assert_string_equal(b.op.entry.version, REV);
	b.op.put.digests.sum[HASH_DROPBOX][0] ^= 1;
	expect_failure(&b, -ENOENT, 200, file);
	/* Large parts have no hash of the whole: then it is size and time. */
	b.op.put.digests.have = 0;
	expect_failure(&b, -ENOENT, 200, file);
	b.op.put.mtime_ns = INT64_C(1234567890999999999);
	expect_step(&b, CLOUD_STEP_DONE, 200, file);
	b.op.put.mtime_ns = INT64_C(1234567891999999999);
	expect_failure(&b, -ENOENT, 200, file);
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_copy_onto),
	    cmocka_unit_test(test_copy_case),
	    cmocka_unit_test(test_copy_between),
	    cmocka_unit_test(test_move),
	    cmocka_unit_test(test_move_folder),
	    cmocka_unit_test(test_move_case),
	    cmocka_unit_test(test_begin),
	    cmocka_unit_test(test_begin_case),
	    cmocka_unit_test(test_part),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_commit),
	    cmocka_unit_test(test_commit_proved),
	};

	return cmocka_run_group_tests_name("dropbox: copies, moves, uploads", tests, NULL, NULL);
}
