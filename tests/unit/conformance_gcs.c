/* What only a server can show of the gcs driver. */
#include "providers/providers.h"
#include "tests/unit/conformance.h"
#include <stdlib.h>
#include <string.h>

/* Names that others may have put there, and what a listing of "keys" makes of them. */
static void
case_odd_keys(struct subject *s)
{
	static const char *const shown[] = {"keys/a", "keys/both", "keys/dir", "keys/good", NULL};
	static const char *const keys[] = {"keys/a", "keys/a//b", "keys//c", "keys/both",
	    "keys/both/inner", "keys/good", NULL /* 300 bytes */};
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
		assert_int_equal(entries.items[i].kind, i == 3 ? ENTRY_FILE : ENTRY_DIRECTORY);
	}
	assert_null(shown[entries.len]);
	assert_int_equal(stat_entry(s, "keys/both", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_FILE);
	expect_text(s, "keys/both", "x");
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/a", NULL), -ENOTEMPTY);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_int_equal(
		    simple(s, CLOUD_REMOVE, keys[i] == NULL ? longest : keys[i], NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/dir", NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys", NULL), 0);
}

struct progress {
	uint64_t bytes;
	unsigned times;
};

static void
see_progress(void *arg, struct cloud_op *op, uint64_t bytes)
{
	/* arg is run()'s own */
	struct progress *p = op->head_arg;

	assert_true(bytes > p->bytes);
	p->bytes = bytes;
	p->times++;
}

/* From the bucket of one account into that of another, by the service, in several requests. */
static void
case_copy_between_accounts(struct subject *s)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/between/to", s->scratch);
	const struct content content = {
	    .len = 3 * 1024 * 1024 + 5, .put = {.mtime_ns = ENTRY_NO_TIME, .mode = 0600}};
	struct subject all = {.name = "all"};
	CLEANUP(entry_fini) struct entry from = entry_none();
	struct progress progress = {.bytes = 0};
	struct digests sent;
	struct cloud_op *op;

	make_directory(s, "between");
	assert_int_equal(put_content(s, "between/from +\xc3\xa4", &content, &from, &sent), 0);
	assert_int_equal(s->open_other(&all), 0);
	assert_true(cloud_copies_from(all.account, s->account));
	assert_true(cloud_is_same(all.account, path, s->account, "between/to"));
	op = cloud_op_new(all.account, CLOUD_COPY, path);
	op->from = s->account;
	op->path2 = xstrdup("between/from +\xc3\xa4");
	op->version = xstrdup(from.version);
	op->length = content.len;
	op->put.mtime_ns = 1234567890123456789;
	op->put.no_replace = true;
	op->progress = see_progress;
	op->head_arg = &progress;
	if (run(&all, op) != 0)
		fail_msg("copy: %s", all.err.msg);
	assert_int_equal(progress.times, 3);
	assert_int_equal(progress.bytes, 3 * 1024 * 1024);
	assert_int_equal(op->entry.size, content.len);
	assert_int_equal(op->entry.mtime_ns, 1234567890123456789);
	assert_true(digests_equal(&op->entry.digests, &sent, HASH_CRC32C));
	cloud_op_free(op);
	cloud_account_unref(all.account);
}

const struct conformance_case conformance_gcs_cases[] = {
    {"names that no path can have", case_odd_keys},
    {"a copy between accounts", case_copy_between_accounts},
    {NULL, NULL},
};
