/* What is particular to the local driver; what all drivers do is in test_conformance.c. */
#include "providers/providers.h"
#include "tests/unit/conformance.h"
#include "tests/unit/scratch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct loop *loop;
struct cloud_runner *runner;
static struct pool *pool;
static char *scratch;
static struct subject here, there; /* two accounts: SCRATCH/here, SCRATCH/there */

static int
open_account(struct subject *s, json_t *credentials)
{
	int code =
	    cloud_account_open(&s->account, &local_driver, s->name, s->name, credentials, &s->err);

	json_decref(credentials);
	return code;
}

static int
open_directory(struct subject *s, const char *name)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/%s", scratch, name);

	s->name = name;
	if (mkdir(path, 0700) != 0)
		return -errno;
	return open_account(s, json_pack("{s:s, s:s}", "root", path, "fsync", "yes"));
}

static int
setup(void **state)
{
	const struct cloud_runner_config config = {.backoff_base_ms = 1};
	struct err err;

	scratch = scratch_make();
	loop = loop_new("test", &err);
	pool = pool_new(2, &err);
	runner = cloud_runner_new(loop, pool, &config, &err);
	return runner == NULL || open_directory(&here, "here") != 0 ||
	    open_directory(&there, "there") != 0;
}

static int
teardown(void **state)
{
	cloud_account_unref(here.account);
	cloud_account_unref(there.account);
	cloud_runner_free(runner);
	pool_free(pool);
	loop_free(loop);
	scratch_remove(scratch);
	return 0;
}

static char *
inside(const char *path)
{
	return xasprintf("%s/%s", scratch, path);
}

static bool
exists(const char *path)
{
	CLEANUP(cleanup_free) char *full = inside(path);
	struct stat st;

	return lstat(full, &st) == 0;
}

static void
test_open(void **state)
{
	CLEANUP(cleanup_free) char *file = inside("file");
	CLEANUP(cleanup_free) char *missing = inside("missing");
	CLEANUP(cleanup_free) char *link = inside("link");
	CLEANUP(cleanup_free) char *behind = inside("link/there");
	CLEANUP(cleanup_free) char *around = inside("here/../there");
	const struct {
		const char *root, *fsync;
		int code, first; /* of the opening; of the first op */
		const char *why;
	} cases[] = {
	    {scratch, "no", 0, 0, NULL},
	    {scratch, "yes", 0, 0, NULL},
	    {scratch, "maybe", -EINVAL, 0, "fsync"},
	    {"relative", "no", -EINVAL, 0, "absolute"},
	    {"~/Clouds", "no", -EINVAL, 0, "'~' is not expanded"},
	    {"", "no", -EINVAL, 0, "root"},
	    {around, "no", -EPERM, 0, "real path"},
	    {missing, "no", 0, -EIO, missing},
	    {file, "no", 0, -EIO, file},
	    {link, "no", 0, -EPERM, "symlink"},
	    {behind, "no", 0, -EPERM, "symlink"},
	};
	struct subject s = {.name = "test"};

	scratch_write(file, "x");
	assert_int_equal(symlink(scratch, link), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err_clear(&s.err);
		s.account = NULL;
		assert_int_equal(
		    open_account(&s,
			json_pack("{s:s, s:s}", "root", cases[i].root, "fsync", cases[i].fsync)),
		    cases[i].code);
		if (cases[i].code == 0)
			assert_int_equal(simple(&s, CLOUD_USAGE, "", NULL), cases[i].first);
		if (cases[i].why != NULL)
			assert_non_null(strstr(s.err.msg, cases[i].why));
		cloud_account_unref(s.account);
	}
	assert_int_equal(open_account(&s, json_pack("{}")), -EINVAL);
	assert_int_equal(
	    open_account(&s, json_pack("{s:s, s:s}", "root", scratch, "bucket", "b")), -EINVAL);
}

/* Before anything was done with either account: a move onto itself would remove the only copy. */
static void
test_identity(void **state)
{
	CLEANUP(cleanup_free) char *sub = inside("here/sub");
	struct subject all = {.name = "all"}, below = {.name = "below"}, other = {.name = "other"};

	assert_int_equal(open_account(&all, json_pack("{s:s}", "root", scratch)), 0);
	assert_int_equal(open_account(&below, json_pack("{s:s}", "root", sub)), 0);
	assert_int_equal(open_account(&other, json_pack("{s:s}", "root", "/")), 0);
	assert_true(cloud_is_same(all.account, "here/sub/f", below.account, "f"));
	assert_true(cloud_is_same(all.account, "here/sub/f", here.account, "sub/f"));
	assert_true(cloud_is_same(other.account, sub + 1, here.account, "sub"));
	assert_false(cloud_is_same(all.account, "here/sub/f", there.account, "sub/f"));
	assert_false(cloud_is_same(all.account, "here/sub/f", below.account, "sub/f"));
	cloud_account_unref(all.account);
	cloud_account_unref(below.account);
	cloud_account_unref(other.account);
}

static void
test_never_left(void **state)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);
	const struct content content = {.text = "x", .put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(cleanup_free) char *secret = inside("there/secret");
	CLEANUP(cleanup_free) char *absolute = inside("here/absolute");
	CLEANUP(cleanup_free) char *relative = inside("here/relative");
	CLEANUP(cleanup_free) char *directory = inside("here/directory");
	CLEANUP(cleanup_free) char *within = inside("here/within");
	CLEANUP(cleanup_free) char *fifo = inside("here/fifo");

	free(put_text(&here, "file", "mine"));
	scratch_write(secret, "secret");
	assert_int_equal(symlink(secret, absolute), 0);
	assert_int_equal(symlink("../there/secret", relative), 0);
	assert_int_equal(symlink("../there", directory), 0);
	assert_int_equal(symlink("file", within), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);

	assert_int_equal(stat_entry(&here, "absolute", &entry), -ENOENT);
	assert_int_equal(stat_entry(&here, "relative", &entry), -ENOENT);
	assert_int_equal(stat_entry(&here, "directory/secret", &entry), -ENOENT);
	assert_int_equal(stat_entry(&here, "fifo", &entry), -ENOENT);
	assert_int_equal(get_range(&here, &got, "relative", NULL, 0, UINT64_MAX), -ENOENT);
	assert_int_equal(get_range(&here, &got, "fifo", NULL, 0, UINT64_MAX), -ENOENT);
	assert_int_equal(simple(&here, CLOUD_REMOVE, "directory/secret", NULL), -ENOENT);
	assert_true(put_content(&here, "directory/new", &content, NULL, NULL) < 0);
	assert_true(simple(&here, CLOUD_MKDIR, "directory/new", NULL) < 0);
	assert_true(exists("there/secret"));
	assert_false(exists("there/new"));
	expect_text(&here, "within", "mine");

	assert_int_equal(list(&here, "", &entries), 0);
	for (size_t i = 0; i < entries.len; i++) {
		if (strcmp(entries.items[i].path, "file") != 0)
			assert_string_equal(entries.items[i].path, "within");
	}
	assert_in_range(entries.len, 1, 2);
}

static void
test_temporaries(void **state)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(cleanup_free) char *temp = inside("here/dir/" DISK_TEMP_PREFIX "left-over");
	struct cloud_op *op;

	make_directory(&here, "dir");
	scratch_write(temp, "half");
	assert_int_equal(list(&here, "dir", &entries), 0);
	assert_int_equal(entries.len, 0);
	assert_int_equal(stat_entry(&here, "dir/" DISK_TEMP_PREFIX "left-over", &entry), -ENOENT);

	op = cloud_op_new(here.account, CLOUD_SWEEP, "dir/file");
	op->put.temp_id = xstrdup("other");
	assert_int_equal(run(&here, op), 0);
	assert_true(exists("here/dir/" DISK_TEMP_PREFIX "left-over"));
	cloud_op_free(op);
	op = cloud_op_new(here.account, CLOUD_SWEEP, "dir/file");
	op->put.temp_id = xstrdup("left-over");
	assert_int_equal(run(&here, op), 0);
	assert_false(exists("here/dir/" DISK_TEMP_PREFIX "left-over"));
	assert_int_equal(run(&here, op), 0); /* nothing is left: fine */
	cloud_op_free(op);
}

static void
test_copy_between(void **state)
{
	CLEANUP(cleanup_free) char *version = put_text(&here, "from", "content");
	struct cloud_op *op = cloud_op_new(there.account, CLOUD_COPY, "sub/to");

	assert_true(cloud_copies_from(there.account, here.account));
	op->from = here.account;
	op->path2 = xstrdup("from");
	op->version = xstrdup(version);
	op->put.temp_id = xstrdup("copy");
	op->put.mtime_ns = 1000000000000000001;
	op->put.mode = 0604;
	make_directory(&there, "sub");
	assert_int_equal(run(&there, op), 0);
	assert_int_equal(op->entry.size, 7);
	assert_int_equal(op->entry.mtime_ns, 1000000000000000001);
	assert_int_equal(op->entry.mode, 0604);
	cloud_op_free(op);
	expect_text(&there, "sub/to", "content");
	assert_false(exists("here/sub/to"));
	assert_true(exists("there/sub/to"));
}

static const char *expected; /* the content that a commit is to find; NULL: it does not look */

static void
sha256_expect(struct digests *out, const char *text)
{
	struct hash *hash = hash_new(HASH_BIT(HASH_SHA256));

	hash_update(hash, text, strlen(text));
	hash_final(hash, out);
	hash_free(hash);
}

/* An op of the upload `id` to dir/file, of "one", "two": its code; what it tells is in *out. */
static int
upload(
    struct entry *out, enum cloud_op_kind kind, const char *id, uint64_t offset, const char *text)
{
	struct cloud_op *op = cloud_op_new(here.account, kind, "dir/file");
	struct flow flow = {.data = (const unsigned char *)text};
	int code;

	op->upload = xstrdup_null(id);
	op->offset = offset;
	op->length = 6;
	op->put.temp_id = xstrdup("change");
	op->put.mtime_ns = 1000000000000000001;
	op->put.no_replace = out == NULL;
	if (kind == CLOUD_UPLOAD_COMMIT && expected != NULL)
		sha256_expect(&op->put.digests, expected);
	if (text != NULL) {
		op->length = flow.len = strlen(text);
		flow_init(&flow, op);
	}
	code = run(&here, op);
	if (text != NULL)
		flow_fini(&flow, NULL);
	if (code == 0 && out != NULL)
		entry_copy(out, &op->entry);
	op->ring = NULL;
	cloud_op_free(op);
	return code;
}

static char *
upload_begin(void)
{
	struct cloud_op *op = cloud_op_new(here.account, CLOUD_UPLOAD_BEGIN, "dir/file");
	char *id;

	op->length = 6;
	op->part.length = 3;
	op->put.temp_id = xstrdup("change");
	assert_int_equal(run(&here, op), 0);
	id = TAKE(op->upload);
	assert_non_null(id);
	cloud_op_free(op);
	return id;
}

#define UPLOAD_TEMP "here/dir/" DISK_TEMP_PREFIX "change"

static void
test_upload(void **state)
{
	CLEANUP(entry_fini) struct entry made = entry_none(), proven = entry_none();
	CLEANUP(cleanup_free) char *id = upload_begin(); /* makes the directory */

	free(put_text(&here, "dir/file", "before"));
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 0, "one"), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, id, 0, NULL), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_COMMIT, id, 0, NULL), -EINVAL);
	expect_text(&here, "dir/file", "before");
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 3, "TWO"), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 3, "two"), 0); /* again */
	assert_int_equal(upload(NULL, CLOUD_UPLOAD_COMMIT, id, 0, NULL), -EEXIST);
	expected = "oneTWO";
	assert_int_equal(upload(&made, CLOUD_UPLOAD_COMMIT, id, 0, NULL), -EBADMSG);
	expect_text(&here, "dir/file", "before");
	expected = "onetwo";
	assert_int_equal(upload(&made, CLOUD_SWEEP, id, 0, NULL), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, id, 0, NULL), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_COMMIT, id, 0, NULL), 0);
	expect_text(&here, "dir/file", "onetwo");
	expected = NULL;
	assert_int_equal(made.digests.have, HASH_BIT(HASH_SHA256));
	assert_int_equal(made.size, 6);
	assert_int_equal(made.mtime_ns, 1000000000000000001);
	assert_false(exists(UPLOAD_TEMP));
	/* The answer was lost: it is done.  Unless it is another file by now. */
	assert_int_equal(upload(&proven, CLOUD_UPLOAD_COMMIT, id, 0, NULL), 0);
	assert_string_equal(proven.version, made.version);
	free(put_text(&here, "dir/file", "onetwo"));
	assert_int_equal(upload(&made, CLOUD_UPLOAD_COMMIT, id, 0, NULL), -ENOENT);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, id, 0, NULL), -ENOENT);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 0, "one"), -ENOENT);
}

/* What has the name of the temporary file, and is not that file, is nobody's upload. */
static void
test_upload_of_others(void **state)
{
	CLEANUP(entry_fini) struct entry made = entry_none();
	CLEANUP(cleanup_free) char *id = upload_begin();
	CLEANUP(cleanup_free) char *temp = inside(UPLOAD_TEMP), *moved = inside("here/dir/moved");
	CLEANUP(cleanup_free) char *other = inside("here/other");

	assert_int_equal(rename(temp, moved), 0);
	scratch_write(other, "theirs");
	assert_int_equal(symlink(other, temp), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 0, "one"), -ENOENT);
	assert_int_equal(unlink(temp), 0);
	assert_int_equal(link(other, temp), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_PART, id, 0, "one"), -ENOENT);
	assert_int_equal(unlink(temp), 0);
	assert_int_equal(mkfifo(temp, 0600), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_COMMIT, id, 0, NULL), -ENOENT);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_ABORT, id, 0, NULL), 0);
	assert_true(exists(UPLOAD_TEMP));
	assert_int_equal(unlink(temp), 0);
	expect_text(&here, "other", "theirs");
	/* Another name of ours lets somebody else change it. */
	assert_int_equal(link(moved, temp), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, id, 0, NULL), -ENOENT);
	assert_int_equal(unlink(moved), 0);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, id, 0, NULL), 0);
	assert_int_equal(upload(&made, CLOUD_SWEEP, NULL, 0, NULL), 0);
	assert_false(exists(UPLOAD_TEMP));
	free(id);
	id = upload_begin();
	assert_int_equal(upload(&made, CLOUD_UPLOAD_ABORT, id, 0, NULL), 0);
	assert_false(exists(UPLOAD_TEMP));
	assert_int_equal(upload(&made, CLOUD_UPLOAD_ABORT, id, 0, NULL), 0);
	/* Ids come from a checkpoint. */
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, "1f", 0, NULL), -ENOENT);
	assert_int_equal(upload(&made, CLOUD_UPLOAD_STATUS, "1f /../x", 0, NULL), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_open, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_never_left, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_temporaries, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_copy_between, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_upload, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_upload_of_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
