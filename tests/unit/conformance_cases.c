/* What every driver must do.  Each case works in a directory of its own. */
#include "tests/unit/conformance.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void
case_put_and_read(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(cleanup_free) char *version = NULL;

	make_directory(s, "basic");
	version = put_text(s, "basic/hello.txt", "hello");
	assert_int_equal(stat_entry(s, "basic/hello.txt", &entry), 0);
	assert_string_equal(entry.path, "basic/hello.txt");
	assert_int_equal(entry.kind, ENTRY_FILE);
	assert_int_equal(entry.size, 5);
	assert_string_equal(entry.version, version);
	assert_true(entry.mtime_ns != ENTRY_NO_TIME);
	expect_text(s, "basic/hello.txt", "hello");
	assert_int_equal(list(s, "basic", &entries), 0);
	assert_int_equal(entries.len, 1);
	assert_string_equal(entries.items[0].path, "basic/hello.txt");
	assert_int_equal(entries.items[0].kind, ENTRY_FILE);
	assert_int_equal(entries.items[0].size, 5);
	assert_string_equal(entries.items[0].version, version);
}

static void
case_top(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	bool found = false;

	assert_int_equal(stat_entry(s, "", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_DIRECTORY);
	make_directory(s, "top");
	assert_int_equal(list(s, "", &entries), 0);
	for (size_t i = 0; i < entries.len; i++) {
		assert_null(strchr(entries.items[i].path, '/'));
		if (strcmp(entries.items[i].path, "top") == 0)
			found = entries.items[i].kind == ENTRY_DIRECTORY;
	}
	assert_true(found);
}

static void
case_overwrite(struct subject *s)
{
	CLEANUP(cleanup_free) char *first = NULL;
	CLEANUP(cleanup_free) char *second = NULL;

	make_directory(s, "overwrite");
	first = put_text(s, "overwrite/file", "one");
	second = put_text(s, "overwrite/file", "three");
	assert_string_not_equal(first, second);
	expect_text(s, "overwrite/file", "three");
}

static void
case_ranges(struct subject *s)
{
	static const struct {
		uint64_t offset, length;
		const char *text;
	} cases[] = {
	    {0, UINT64_MAX, "0123456789"},
	    {0, 10, "0123456789"},
	    {0, 1, "0"},
	    {3, 4, "3456"},
	    {9, 1, "9"},
	    {5, UINT64_MAX, "56789"},
	    {5, 100, "56789"},
	    {0, 100, "0123456789"},
	    {10, 5, ""},
	    {10, UINT64_MAX, ""},
	    {99, 1, ""},
	    {0, 0, ""},
	    {4, 0, ""},
	};
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);
	CLEANUP(cleanup_free) char *version = NULL;

	make_directory(s, "ranges");
	version = put_text(s, "ranges/file", "0123456789");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (get_range(s, &got, "ranges/file", i % 2 == 0 ? version : NULL, cases[i].offset,
			cases[i].length) != 0)
			fail_msg("%" PRIu64 " + %" PRIu64 ": %s", cases[i].offset, cases[i].length,
			    s->err.msg);
		assert_string_equal(buf_str(&got), cases[i].text);
	}
}

static void
case_empty(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(cleanup_free) char *version = NULL;
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);

	make_directory(s, "empty");
	version = put_text(s, "empty/file", "");
	assert_int_equal(stat_entry(s, "empty/file", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_FILE);
	assert_int_equal(entry.size, 0);
	expect_text(s, "empty/file", "");
	assert_int_equal(get_range(s, &got, "empty/file", version, 0, 0), 0);
	assert_int_equal(got.len, 0);
}

static void
case_pinned(struct subject *s)
{
	CLEANUP(cleanup_free) char *old = NULL;
	CLEANUP(cleanup_free) char *new = NULL;
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);

	make_directory(s, "pinned");
	old = put_text(s, "pinned/file", "before");
	assert_int_equal(get_range(s, &got, "pinned/file", old, 0, UINT64_MAX), 0);
	new = put_text(s, "pinned/file", "after!");
	assert_int_equal(get_range(s, &got, "pinned/file", old, 0, UINT64_MAX), -ESTALE);
	assert_int_equal(got.len, 0);
	assert_int_equal(get_range(s, &got, "pinned/file", old, 2, 3), -ESTALE);
	assert_int_equal(get_range(s, &got, "pinned/file", new, 2, 3), 0);
	assert_string_equal(buf_str(&got), "ter");
	assert_int_equal(simple(s, CLOUD_REMOVE, "pinned/file", NULL), 0);
	assert_int_equal(get_range(s, &got, "pinned/file", new, 0, UINT64_MAX), -ENOENT);
}

static void
case_no_replace(struct subject *s)
{
	const struct content content = {
	    .text = "new", .put = {.mtime_ns = ENTRY_NO_TIME, .no_replace = true}};
	CLEANUP(cleanup_free) char *version = NULL;

	make_directory(s, "no-replace");
	version = put_text(s, "no-replace/file", "old");
	assert_int_equal(put_content(s, "no-replace/file", &content, NULL, NULL), -EEXIST);
	expect_text(s, "no-replace/file", "old");
	assert_int_equal(put_content(s, "no-replace/other", &content, NULL, NULL), 0);
	expect_text(s, "no-replace/other", "new");
}

static void
case_not_found(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);

	assert_int_equal(stat_entry(s, "missing", &entry), -ENOENT);
	assert_int_equal(stat_entry(s, "missing/deeper", &entry), -ENOENT);
	assert_int_equal(get_range(s, &got, "missing", NULL, 0, UINT64_MAX), -ENOENT);
	assert_int_equal(simple(s, CLOUD_REMOVE, "missing", NULL), -ENOENT);
	assert_int_equal(simple(s, CLOUD_REMOVE, "missing", "v1"), -ENOENT);
	assert_int_equal(simple(s, CLOUD_RMDIR, "missing", NULL), -ENOENT);
	assert_int_equal(list(s, "missing", &entries), -ENOENT);
	assert_int_equal(simple(s, CLOUD_SWEEP, "missing", NULL), 0);
}

static bool
is_no_name(const struct subject *s, const char *name)
{
	for (size_t i = 0; s->no_names != NULL && s->no_names[i] != NULL; i++) {
		if (strcmp(s->no_names[i], name) == 0)
			return true;
	}
	return false;
}

/* Nothing is made under another name. */
static void
expect_no_name(struct subject *s, const char *path)
{
	const struct content content = {.text = "x", .put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	assert_int_equal(put_content(s, path, &content, NULL, NULL), -EILSEQ);
	assert_int_equal(simple(s, CLOUD_MKDIR, path, NULL), -EILSEQ);
	assert_int_equal(stat_entry(s, path, &entry), -ENOENT);
	assert_int_equal(simple(s, CLOUD_REMOVE, path, NULL), -ENOENT);
}

static void
case_odd_names(struct subject *s)
{
	static const char *const names[] = {"with space", " lead", "trail ", "uml\xc3\xa4ut",
	    "\xf0\x9f\x98\x80", "quo\"te's", "new\nline", "per%cent", "%2F", "plus+plus", "?#&=;",
	    "back\\slash", "a:b", "*", "~tilde", "tab\t", "<xml>&amp;", "...", ".hidden", "-dash",
	    "comma,", "[x]{y}", "$(echo)", "@", NULL /* 255 bytes */};
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	char longest[256];
	size_t made = 0;

	memset(longest, 'x', 255);
	longest[255] = '\0';
	make_directory(s, "odd");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *name = names[i] == NULL ? longest : names[i];
		CLEANUP(cleanup_free) char *path = path_child("odd", name);
		CLEANUP(cleanup_free) char *dir = xasprintf("odd %s", name);
		CLEANUP(cleanup_free) char *inner = path_child(dir, name);

		if (is_no_name(s, name)) {
			expect_no_name(s, path);
			continue;
		}
		made++;
		free(put_text(s, path, name));
		expect_text(s, path, name);
		if (names[i] == NULL)
			continue;
		make_directory(s, dir);
		free(put_text(s, inner, "inner"));
		assert_int_equal(list(s, dir, &entries), 0);
		assert_int_equal(entries.len, 1);
		assert_string_equal(entries.items[0].path, inner);
		entry_list_fini(&entries);
	}
	assert_int_equal(list(s, "odd", &entries), 0);
	assert_int_equal(entries.len, made);
	for (size_t i = 0; i < entries.len; i++) {
		expect_text(s, entries.items[i].path, path_name(entries.items[i].path));
		assert_int_equal(
		    simple(s, CLOUD_REMOVE, entries.items[i].path, entries.items[i].version), 0);
	}
	entry_list_fini(&entries);
	assert_int_equal(list(s, "odd", &entries), 0);
	assert_int_equal(entries.len, 0);
}

static void
case_nested(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "nested");
	make_directory(s, "nested/a");
	make_directory(s, "nested/a/b");
	free(put_text(s, "nested/a/b/file", "deep"));
	free(put_text(s, "nested/a-file", "shallow")); /* sorts before "a/" */
	expect_text(s, "nested/a/b/file", "deep");
	assert_int_equal(stat_entry(s, "nested/a", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_DIRECTORY);
	assert_int_equal(list(s, "nested", &entries), 0);
	assert_int_equal(entries.len, 2);
	assert_string_equal(entries.items[0].path, "nested/a");
	assert_int_equal(entries.items[0].kind, ENTRY_DIRECTORY);
	assert_int_equal(entries.items[0].size, 0);
	assert_string_equal(entries.items[1].path, "nested/a-file");
	assert_int_equal(entries.items[1].kind, ENTRY_FILE);
}

static void
case_many(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	char path[64];

	make_directory(s, "many");
	for (size_t i = 0; i < s->many; i++) {
		snprintf(path, sizeof path, "many/entry %05zu", i);
		if (i % 100 == 7) /* prefixes count in pages too */
			make_directory(s, path);
		else
			free(put_text(s, path, "x"));
	}
	assert_int_equal(list(s, "many", &entries), 0);
	assert_int_equal(entries.len, s->many);
	for (size_t i = 0; i < entries.len; i++) {
		snprintf(path, sizeof path, "many/entry %05zu", i);
		assert_string_equal(entries.items[i].path, path);
		assert_int_equal(
		    entries.items[i].kind, i % 100 == 7 ? ENTRY_DIRECTORY : ENTRY_FILE);
	}
}

static void
case_directories(struct subject *s)
{
	int code;
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "dirs");
	make_directory(s, "dirs/empty");
	make_directory(s, "dirs/empty"); /* one that is there is fine */
	assert_int_equal(list(s, "dirs/empty", &entries), 0);
	assert_int_equal(entries.len, 0);
	make_directory(s, "dirs/full");
	free(put_text(s, "dirs/full/file", "x"));
	assert_int_equal(simple(s, CLOUD_RMDIR, "dirs/full", NULL), -ENOTEMPTY);
	expect_text(s, "dirs/full/file", "x");
	assert_int_equal(simple(s, CLOUD_RMDIR, "dirs/empty", NULL), 0);
	assert_int_equal(stat_entry(s, "dirs/empty", &entry), -ENOENT);
	assert_int_equal(simple(s, CLOUD_REMOVE, "dirs/full/file", NULL), 0);
	assert_int_equal(stat_entry(s, "dirs/full", &entry), 0); /* it stays */
	assert_int_equal(simple(s, CLOUD_RMDIR, "dirs/full", NULL), 0);
	if (!can(s, CLOUD_HAS_DIRECTORIES))
		return;
	free(put_text(s, "dirs/file", "x"));
	code = simple(s, CLOUD_MKDIR, "dirs/file", NULL);
	assert_true(code == -EEXIST || code == -ENOTDIR);
	assert_int_equal(simple(s, CLOUD_REMOVE, "dirs", NULL), -EISDIR);
	assert_int_equal(simple(s, CLOUD_RMDIR, "dirs/file", NULL), -ENOTDIR);
}

static void
case_remove(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	CLEANUP(cleanup_free) char *old = NULL;
	CLEANUP(cleanup_free) char *new = NULL;

	make_directory(s, "remove");
	old = put_text(s, "remove/file", "one");
	new = put_text(s, "remove/file", "two");
	assert_int_equal(simple(s, CLOUD_REMOVE, "remove/file", old), -ESTALE);
	expect_text(s, "remove/file", "two");
	assert_int_equal(simple(s, CLOUD_REMOVE, "remove/file", new), 0);
	assert_int_equal(stat_entry(s, "remove/file", &entry), -ENOENT);
	assert_int_equal(simple(s, CLOUD_REMOVE, "remove/file", new), -ENOENT);
}

/* Also what a copy by the cloud is given, beside a time, or is not. */
static void
case_metadata(struct subject *s)
{
	struct content content = {.text = "x",
	    .put = {.mtime_ns = 1000000000000000000,
		.metadata = json_pack("{s:s,s:s}", "color", "deep blue", "maker", "a test")}};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct cloud_op *op;

	if (!can(s, CLOUD_KEEPS_METADATA)) {
		json_decref(content.put.metadata);
		return;
	}
	make_directory(s, "metadata");
	assert_int_equal(put_content(s, "metadata/file", &content, NULL, NULL), 0);
	assert_int_equal(stat_entry(s, "metadata/file", &entry), 0);
	assert_true(json_equal(entry.metadata, content.put.metadata));
	if (can(s, CLOUD_CAN_COPY)) {
		op = cloud_op_new(s->account, CLOUD_COPY, "metadata/copy");
		op->from = s->account;
		op->path2 = xstrdup("metadata/file");
		op->put.mtime_ns = 1100000000000000000;
		op->put.metadata = json_incref(content.put.metadata);
		assert_int_equal(run(s, op), 0);
		cloud_op_free(op);
		assert_int_equal(stat_entry(s, "metadata/copy", &entry), 0);
		assert_true(json_equal(entry.metadata, content.put.metadata));
	}
	json_decref(content.put.metadata);
}

static void
case_attributes(struct subject *s)
{
	struct content content = {.text = "x",
	    .put = {.mtime_ns = 1234567890123456789,
		.mode = 0640,
		.content_type = (char *)"text/x-test"}};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "attributes");
	assert_int_equal(put_content(s, "attributes/file", &content, NULL, NULL), 0);
	assert_int_equal(stat_entry(s, "attributes/file", &entry), 0);
	if (can(s, CLOUD_KEEPS_MTIME))
		assert_int_equal(entry.mtime_ns, kept_mtime(s, 1234567890123456789));
	else
		assert_true(entry.mtime_ns > 1500000000 * (int64_t)1000000000);
	if (can(s, CLOUD_KEEPS_MODE))
		assert_int_equal(entry.mode, 0640);
	if (s->keeps_type)
		assert_string_equal(entry.content_type, "text/x-test");
	/* Before 1970. */
	content.put.mtime_ns = -1500000000;
	assert_int_equal(put_content(s, "attributes/old", &content, NULL, NULL), 0);
	assert_int_equal(stat_entry(s, "attributes/old", &entry), 0);
	if (can(s, CLOUD_KEEPS_MTIME) && kept_mtime(s, -1500000000) == -1500000000)
		assert_int_equal(entry.mtime_ns, -1500000000);
}

static int
copy(struct subject *s, const char *from, const char *to, const char *version, bool no_replace)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_COPY, to);
	int code;

	op->from = s->account;
	op->path2 = xstrdup(from);
	op->put.temp_id = xstrdup("conformance");
	op->put.no_replace = no_replace;
	xstrset(&op->version, version);
	code = run(s, op);
	if (code == 0) {
		assert_string_equal(op->entry.path, to);
		assert_non_null(op->entry.version);
	}
	cloud_op_free(op);
	return code;
}

static void
case_copy(struct subject *s)
{
	CLEANUP(cleanup_free) char *version = NULL;

	make_directory(s, "copy");
	version = put_text(s, "copy/from", "content");
	if (!can(s, CLOUD_CAN_COPY)) {
		assert_int_equal(copy(s, "copy/from", "copy/to", NULL, false), -EOPNOTSUPP);
		return;
	}
	assert_true(cloud_copies_from(s->account, s->account));
	assert_int_equal(copy(s, "copy/from", "copy/to", NULL, false), 0);
	expect_text(s, "copy/to", "content");
	expect_text(s, "copy/from", "content");
	assert_int_equal(copy(s, "copy/from", "copy/to", version, true), -EEXIST);
	assert_int_equal(copy(s, "copy/from", "copy/other", version, true), 0);
	assert_int_equal(copy(s, "copy/missing", "copy/to", NULL, false), -ENOENT);
	free(put_text(s, "copy/from", "changed"));
	assert_int_equal(copy(s, "copy/from", "copy/to", version, false), -ESTALE);
	expect_text(s, "copy/to", "content");
	if (s->copies_anew) {
		assert_int_equal(copy(s, "copy/from", "copy/to", NULL, false), -EOPNOTSUPP);
		expect_text(s, "copy/to", "content");
		return;
	}
	assert_int_equal(copy(s, "copy/from", "copy/to", NULL, false), 0);
	expect_text(s, "copy/to", "changed");
}

static int
move(struct subject *s, const char *from, const char *to, const char *version, bool no_replace)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_MOVE, from);
	int code;

	op->path2 = xstrdup(to);
	op->put.no_replace = no_replace;
	xstrset(&op->version, version);
	code = run(s, op);
	cloud_op_free(op);
	return code;
}

static void
case_move(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "move");
	free(put_text(s, "move/from", "content"));
	if (!can(s, CLOUD_CAN_MOVE)) {
		assert_int_equal(move(s, "move/from", "move/to", NULL, false), -EOPNOTSUPP);
		return;
	}
	assert_int_equal(move(s, "move/from", "move/to", NULL, true), 0);
	expect_text(s, "move/to", "content");
	assert_int_equal(stat_entry(s, "move/from", &entry), -ENOENT);
	assert_int_equal(move(s, "move/from", "move/other", NULL, false), -ENOENT);
	free(put_text(s, "move/from", "second"));
	assert_int_equal(move(s, "move/from", "move/to", NULL, true), -EEXIST);
	assert_int_equal(move(s, "move/from", "move/to", "not that", false), -ESTALE);
	expect_text(s, "move/to", "content");
	assert_int_equal(move(s, "move/from", "move/to", NULL, false), 0);
	expect_text(s, "move/to", "second");
	if (!can(s, CLOUD_CAN_MOVE_DIR))
		return;
	make_directory(s, "move/dir");
	make_directory(s, "move/dir/sub");
	free(put_text(s, "move/dir/sub/file", "inside"));
	assert_int_equal(move(s, "move/dir", "move/renamed", NULL, true), 0);
	expect_text(s, "move/renamed/sub/file", "inside");
	assert_int_equal(stat_entry(s, "move/dir", &entry), -ENOENT);
	make_directory(s, "move/dir");
	free(put_text(s, "move/dir/file", "x"));
	assert_int_equal(move(s, "move/renamed", "move/dir", NULL, false), -ENOTEMPTY);
}

static void
case_setattr(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct cloud_op *op;
	int code;

	make_directory(s, "setattr");
	free(put_text(s, "setattr/file", "x"));
	op = cloud_op_new(s->account, CLOUD_SETATTR, "setattr/file");
	op->put.mtime_ns = 1000000000000000001;
	op->put.mode = 0600;
	code = run(s, op);
	cloud_op_free(op);
	if (!can(s, CLOUD_CAN_SETATTR)) {
		assert_int_equal(code, -EOPNOTSUPP);
		return;
	}
	assert_int_equal(code, 0);
	assert_int_equal(stat_entry(s, "setattr/file", &entry), 0);
	assert_int_equal(entry.mtime_ns, kept_mtime(s, 1000000000000000001));
	if (can(s, CLOUD_KEEPS_MODE))
		assert_int_equal(entry.mode, 0600);
	expect_text(s, "setattr/file", "x");
}

static void
case_usage(struct subject *s)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_USAGE, "");
	int code = run(s, op);

	if (s->has_usage) {
		assert_int_equal(code, 0);
		assert_true(op->usage.total > 0);
		assert_true(op->usage.used <= op->usage.total);
		assert_true(op->usage.available <= op->usage.total);
	} else {
		assert_int_equal(code, -EOPNOTSUPP);
	}
	cloud_op_free(op);
}

static void
case_stream(struct subject *s)
{
	const struct content content = {
	    .len = 5 * 1024 * 1024 + 1, .put = {.mtime_ns = ENTRY_NO_TIME}};
	struct digests sent, got;
	struct flow flow = {.len = 0};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct cloud_op *op;

	make_directory(s, "stream");
	assert_int_equal(put_content(s, "stream/file", &content, &entry, &sent), 0);
	assert_int_equal(entry.size, content.len);
	/* What the driver says that it reports, it reports, and rightly. */
	assert_int_equal(
	    (entry.digests.have | s->put_hashes_untold) & s->account->hashes, s->account->hashes);
	for (enum hash_type type = 0; type < HASH_TYPES; type++) {
		if (s->account->hashes & ~s->put_hashes_untold & HASH_BIT(type))
			assert_true(digests_equal(&entry.digests, &sent, type));
	}
	op = cloud_op_new(s->account, CLOUD_READ, "stream/file");
	op->length = UINT64_MAX;
	op->version = xstrdup(entry.version);
	flow_init(&flow, op);
	assert_int_equal(run(s, op), 0);
	assert_int_equal(op->entry.size, content.len);
	assert_string_equal(op->entry.version, entry.version);
	flow_fini(&flow, &got);
	assert_int_equal(flow.at, content.len);
	assert_true(digests_equal(&got, &sent, HASH_MD5));
	op->ring = NULL;
	cloud_op_free(op);
}

struct head_seen {
	struct entry entry;
	unsigned times;
	size_t held; /* in the ring by then */
};

static void
see_head(void *arg, const struct cloud_op *op)
{
	struct head_seen *seen = arg;

	entry_copy(&seen->entry, &op->entry);
	seen->held += ring_held(op->ring);
	seen->times++;
}

/* So a file that is read from its beginning need not be asked for first. */
static void
case_head(struct subject *s)
{
	static const char *const texts[] = {"", "content"};
	struct cloud_put put = {.mtime_ns = 1700000000 * INT64_C(1000000000)};
	enum hash_type type;

	if (s->account->driver->transport == CLOUD_DISK)
		return; /* asking a disk costs nothing */
	make_directory(s, "head");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(entry_fini) struct entry entry = entry_none();
		struct content content = {.text = texts[i], .put = put};
		struct head_seen seen = {.entry = entry_none()};
		struct cloud_op *op = cloud_op_new(s->account, CLOUD_READ, "head/file");
		struct flow flow = {.len = 0};

		assert_int_equal(put_content(s, "head/file", &content, NULL, NULL), 0);
		assert_int_equal(stat_entry(s, "head/file", &entry), 0);
		op->head = see_head;
		op->head_arg = &seen;
		flow_init(&flow, op);
		assert_int_equal(run(s, op), 0);
		flow_fini(&flow, NULL);
		op->ring = NULL;
		assert_int_equal(seen.times, 1);
		assert_int_equal(seen.held, 0);
		assert_int_equal(seen.entry.kind, ENTRY_FILE);
		assert_int_equal(seen.entry.size, strlen(texts[i]));
		assert_string_equal(seen.entry.version, entry.version);
		assert_true(seen.entry.mtime_ns == entry.mtime_ns);
		assert_int_equal(seen.entry.mode, entry.mode);
		if (entry.content_type != NULL)
			assert_string_equal(seen.entry.content_type, entry.content_type);
		for (type = 0; type < HASH_TYPES; type++) {
			if (entry.digests.have & HASH_BIT(type))
				assert_true(
				    digests_equal(&seen.entry.digests, &entry.digests, type));
		}
		entry_fini(&seen.entry);
		cloud_op_free(op);
	}
}

/* What has changed since the cursor, which goes on. */
static void
changes(struct subject *s, char **cursor, struct cloud_changed_list *out)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_CHANGES, "");

	op->cursor = TAKE(*cursor);
	if (run(s, op) != 0)
		fail_msg("changes: %s", s->err.msg);
	assert_non_null(op->cursor);
	*cursor = TAKE(op->cursor);
	*out = op->changed;
	op->changed = (struct cloud_changed_list){.items = NULL};
	cloud_op_free(op);
}

static bool
is_told(const struct cloud_changed_list *list, const char *dir, bool is_tree)
{
	for (size_t i = 0; i < list->len; i++) {
		const struct cloud_changed *one = &list->items[i];

		if (one->is_tree ? path_is_inside(dir, one->path)
				 : !is_tree && strcmp(one->path, dir) == 0)
			return true;
	}
	return false;
}

static void
expect_change(struct subject *s, char **cursor, const char *dir, const char *dir2, const char *tree)
{
	struct cloud_changed_list told;

	changes(s, cursor, &told);
	assert_true(is_told(&told, dir, false));
	assert_true(dir2 == NULL || is_told(&told, dir2, false));
	assert_true(tree == NULL || is_told(&told, tree, true));
	cloud_changed_fini(&told);
}

static void
look(struct subject *s, const char *dir)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};

	assert_int_equal(list(s, dir, &entries), 0);
}

/* What was shown since the cursor, and is not so any more, is told. */
static void
case_changes(struct subject *s)
{
	CLEANUP(cleanup_free) char *cursor = NULL;
	struct cloud_changed_list told;

	if (!can(s, CLOUD_HAS_CHANGES))
		return;
	make_directory(s, "changes/d");
	changes(s, &cursor, &told);
	assert_int_equal(told.len, 0);
	look(s, "changes");
	look(s, "changes/d");
	free(put_text(s, "changes/d/f", "1"));
	changes(s, &cursor, &told);
	assert_true(is_told(&told, "changes/d", false));
	assert_false(is_told(&told, "changes/d", true));
	assert_false(is_told(&told, "changes", false));
	cloud_changed_fini(&told);
	changes(s, &cursor, &told);
	assert_int_equal(told.len, 0);
	free(put_text(s, "changes/d/f", "2"));
	expect_change(s, &cursor, "changes/d", NULL, NULL);
	look(s, "changes/d");
	assert_int_equal(move(s, "changes/d/f", "changes/g", NULL, false), 0);
	expect_change(s, &cursor, "changes/d", "changes", NULL);
	look(s, "changes");
	look(s, "changes/d");
	assert_int_equal(move(s, "changes/d", "changes/e", NULL, false), 0);
	expect_change(s, &cursor, "changes", NULL, "changes/d");
	look(s, "changes");
	assert_int_equal(simple(s, CLOUD_REMOVE, "changes/g", NULL), 0);
	expect_change(s, &cursor, "changes", NULL, NULL);
	look(s, "changes/e");
	assert_int_equal(simple(s, CLOUD_RMDIR, "changes/e", NULL), 0);
	expect_change(s, &cursor, "changes", NULL, "changes/e");
}

const struct conformance_case conformance_cases[] = {
    {"put, stat, list, read", case_put_and_read},
    {"the top", case_top},
    {"overwrite", case_overwrite},
    {"ranges", case_ranges},
    {"empty files", case_empty},
    {"pinned reads", case_pinned},
    {"what a read tells", case_head},
    {"no replacement", case_no_replace},
    {"what is not there", case_not_found},
    {"odd names", case_odd_names},
    {"nested directories", case_nested},
    {"many entries", case_many},
    {"directories", case_directories},
    {"removal", case_remove},
    {"attributes", case_attributes},
    {"metadata", case_metadata},
    {"copy", case_copy},
    {"move", case_move},
    {"setattr", case_setattr},
    {"usage", case_usage},
    {"a stream", case_stream},
    {"changes", case_changes},
};

size_t
conformance_cases_len(void)
{
	return ARRAY_LEN(conformance_cases);
}
