/* What only a real S3 server can show of the s3 driver. */
#include "tests/unit/conformance.h"
#include <stdlib.h>
#include <string.h>

/* Keys that others may have put there, and what a listing of "keys" makes of them. */
static void
case_odd_keys(struct subject *s)
{
	static const char *const shown[] = {
	    "keys/\x01 ctl\x7f", "keys/a", "keys/both", "keys/dir", "keys/good", NULL};
	static const char *const keys[] = {"keys/a", "keys/a//b", "keys//c", "keys/./d", "keys/..",
	    "keys/both", "keys/both/inner", "keys/\x01 ctl\x7f", "keys/good", NULL /* 300 bytes */};
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	char longest[5 + 300 + 1];

	memset(longest, 'x', sizeof longest);
	memcpy(longest, "keys/", 5);
	longest[sizeof longest - 1] = '\0';
	make_directory(s, "keys");
	make_directory(s, "keys/dir");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		free(put_text(s, keys[i] == NULL ? longest : keys[i], "x"));

	assert_int_equal(list(s, "keys", &entries), 0);
	for (size_t i = 0; i < entries.len; i++) {
		assert_non_null(shown[i]);
		assert_string_equal(entries.items[i].path, shown[i]);
	}
	assert_null(shown[entries.len]);
	/* "a" and "both" are files and directories: directories in the list, else all in them were
	   hidden; STAT and READ find the files. */
	assert_int_equal(entries.items[1].kind, ENTRY_DIRECTORY);
	assert_int_equal(entries.items[2].kind, ENTRY_DIRECTORY);
	assert_int_equal(stat_entry(s, "keys/both", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_FILE);
	expect_text(s, "keys/both", "x");
	entry_list_fini(&entries);
	assert_int_equal(list(s, "keys/both", &entries), 0);
	assert_int_equal(entries.len, 1);
	entry_list_fini(&entries);
	/* What cannot be shown is there all the same: its directory is not empty. */
	assert_int_equal(list(s, "keys/a", &entries), 0);
	assert_int_equal(entries.len, 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/a", NULL), -ENOTEMPTY);

	expect_hidden(
	    s, "keys/", (const char *const[]){"keys/..", "keys/./", "keys//", longest, NULL});
	expect_hidden(s, "keys//", (const char *const[]){"keys//c", NULL});
	expect_hidden(s, "keys/a/", (const char *const[]){"keys/a//", NULL});
	expect_hidden(s, "keys/both/", (const char *const[]){NULL});
	expect_text(s, "keys/a//b", "x");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(
		    simple(s, CLOUD_REMOVE, keys[i] == NULL ? longest : keys[i], NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/dir", NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys", NULL), 0);
}

/* Some tools write a directory's marker with content: it is a directory, and keeps that. */
static void
case_full_marker(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "full");
	free(put_text(s, "full/marker/", "content"));
	make_directory(s, "full/marker");
	expect_text(s, "full/marker/", "content");
	assert_int_equal(stat_entry(s, "full/marker", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_DIRECTORY);
	assert_int_equal(list(s, "full/marker", &entries), 0);
	assert_int_equal(entries.len, 0);
	expect_hidden(s, "full/marker/", (const char *const[]){"full/marker/", NULL});
	assert_int_equal(simple(s, CLOUD_RMDIR, "full/marker", NULL), -ENOTEMPTY);
	expect_text(s, "full/marker/", "content");
	assert_int_equal(simple(s, CLOUD_REMOVE, "full/marker/", NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "full", NULL), 0);
}

/* From the bucket of one account into that of another, by the service. */
static void
case_copy_between_accounts(struct subject *s)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/between/to", s->scratch);
	struct subject all = {.name = "all"};
	CLEANUP(cleanup_free) char *version = NULL;
	struct cloud_op *op;

	make_directory(s, "between");
	version = put_text(s, "between/from", "content");
	assert_int_equal(s->open_other(&all), 0);
	assert_true(cloud_copies_from(all.account, s->account));
	op = cloud_op_new(all.account, CLOUD_COPY, path);
	op->from = s->account;
	op->path2 = xstrdup("between/from");
	op->version = xstrdup(version);
	op->length = 7;
	op->put.mtime_ns = 1234567890123456789;
	if (run(&all, op) != 0)
		fail_msg("copy: %s", all.err.msg);
	assert_int_equal(op->entry.size, 7);
	assert_int_equal(op->entry.mtime_ns, 1234567890123456789);
	cloud_op_free(op);
	expect_text(s, "between/to", "content");
	cloud_account_unref(all.account);
}

const struct conformance_case conformance_s3_cases[] = {
    {"keys that no path can name", case_odd_keys},
    {"a marker with content", case_full_marker},
    {"a copy between accounts", case_copy_between_accounts},
    {NULL, NULL},
};
