/* What is Dropbox's own: sessions that nobody can ask, names in any case, copies between people. */
#include "tests/unit/conformance.h"
#include <stdlib.h>
#include <string.h>

#define BLOCK ((uint64_t)4 << 20)
#define PARTS 4 /* three blocks, and the rest */
#define REST  77

struct session {
	struct subject *s;
	const char *path;
	char *id;
	unsigned char *content;
	uint64_t len;
	struct cloud_put put;
};

static struct cloud_op *
session_op(const struct session *u, enum cloud_op_kind kind)
{
	struct cloud_op *op = cloud_op_new(u->s->account, kind, u->path);

	op->upload = xstrdup_null(u->id);
	op->length = u->len;
	op->put = u->put;
	return op;
}

static void
session_begin(struct session *u, struct subject *s, const char *path)
{
	const uint64_t len = BLOCK * (PARTS - 1) + REST;
	struct cloud_op *op;
	struct hash *hash = hash_new(HASH_BIT(HASH_DROPBOX));

	*u = (struct session){.s = s, .path = path, .len = len, .content = xmalloc(len)};
	u->put.mtime_ns = INT64_C(1234567890123456789);
	for (uint64_t i = 0; i < u->len; i++)
		u->content[i] = (unsigned char)((i * 2654435761u) >> 13);
	hash_update(hash, u->content, u->len);
	hash_final(hash, &u->put.digests);
	hash_free(hash);
	op = session_op(u, CLOUD_UPLOAD_BEGIN);
	if (run(s, op) != 0)
		fail_msg("begin: %s", s->err.msg);
	u->id = TAKE(op->upload);
	cloud_op_free(op);
}

static void
session_fini(struct session *u)
{
	free(u->id);
	free(u->content);
}

static int
send_part(struct session *u, unsigned number)
{
	struct cloud_op *op = session_op(u, CLOUD_UPLOAD_PART);
	struct flow flow;
	int code;

	op->part.number = number;
	op->offset = (number - 1) * BLOCK;
	op->length = MIN(BLOCK, u->len - op->offset);
	op->put.digests.have = 0;
	flow = (struct flow){.data = u->content + op->offset, .len = op->length};
	flow_init(&flow, op);
	code = run(u->s, op);
	flow_fini(&flow, NULL);
	if (code == 0) {
		assert_int_equal(op->part.length, op->length);
		assert_string_equal(op->part.tag, "");
	}
	op->ring = NULL;
	cloud_op_free(op);
	return code;
}

static int
status(struct session *u)
{
	struct cloud_op *op = session_op(u, CLOUD_UPLOAD_STATUS);
	int code = run(u->s, op);

	assert_int_equal(op->parts.len, 0);
	cloud_op_free(op);
	return code;
}

static int
commit(struct session *u, bool no_replace, struct entry *out)
{
	struct cloud_op *op = session_op(u, CLOUD_UPLOAD_COMMIT);
	int code;

	op->put.no_replace = no_replace;
	code = run(u->s, op);
	if (code == 0 && out != NULL)
		entry_copy(out, &op->entry);
	cloud_op_free(op);
	return code;
}

static void
expect_content(struct session *u, const struct entry *entry)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT((size_t)1 << 28);

	assert_int_equal(get_range(u->s, &got, u->path, entry->version, 0, UINT64_MAX), 0);
	assert_int_equal(got.len, u->len);
	assert_memory_equal(got.data, u->content, u->len);
}

static void
case_session(struct subject *s)
{
	static const unsigned order[] = {3, 1, 1, 2, 4, 4}; /* some of whose answers were lost */
	CLEANUP(entry_fini) struct entry made = entry_none();
	CLEANUP(entry_fini) struct entry again = entry_none();
	struct session u;

	make_directory(s, "session");
	session_begin(&u, s, "session/file");
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_int_equal(status(&u), 0);
		if (send_part(&u, order[i]) != 0)
			fail_msg("part %u: %s", order[i], s->err.msg);
	}
	assert_int_equal(stat_entry(s, u.path, &made), -ENOENT);
	if (commit(&u, true, &made) != 0)
		fail_msg("commit: %s", s->err.msg);
	assert_string_equal(made.path, u.path);
	assert_int_equal(made.mtime_ns, INT64_C(1234567890000000000));
	assert_true(digests_equal(&made.digests, &u.put.digests, HASH_DROPBOX));
	expect_content(&u, &made);

	/* The answer was lost, says its caller: it is done, also where nothing may be replaced. */
	assert_int_equal(status(&u), -ENOENT);
	assert_int_equal(commit(&u, true, &again), 0);
	assert_string_equal(made.version, again.version);
	/* Unless it is another file by now. */
	free(put_text(s, u.path, "another"));
	assert_int_equal(commit(&u, false, NULL), -ENOENT);
	expect_text(s, u.path, "another");
	session_fini(&u);
}

static void
case_session_unfinished(struct subject *s)
{
	struct session u;

	make_directory(s, "unfinished");
	session_begin(&u, s, "unfinished/file");
	free(put_text(s, u.path, "before"));
	assert_int_equal(send_part(&u, 2), 0);
	assert_int_equal(commit(&u, false, NULL), -EINVAL); /* not closed */
	assert_int_equal(send_part(&u, 4), 0);
	assert_int_equal(commit(&u, false, NULL), -EINVAL); /* two are missing */
	expect_text(s, u.path, "before");
	/* Closed: what is sent then is taken for there, and the end tells that it is not. */
	assert_int_equal(send_part(&u, 1), 0);
	assert_int_equal(commit(&u, false, NULL), -EINVAL);
	expect_text(s, u.path, "before");
	session_fini(&u);

	session_begin(&u, s, "unfinished/file");
	for (unsigned number = 1; number <= PARTS; number++)
		assert_int_equal(send_part(&u, number), 0);
	assert_int_equal(commit(&u, true, NULL), -EEXIST);
	expect_text(s, u.path, "before");
	assert_int_equal(commit(&u, false, NULL), 0); /* the upload has stayed */
	session_fini(&u);
}

static int
relocate(struct subject *s, enum cloud_op_kind kind, const char *path, const char *path2,
    struct account *from)
{
	struct cloud_op *op = cloud_op_new(s->account, kind, path);
	int code;

	op->path2 = xstrdup(path2);
	op->from = from;
	code = run(s, op);
	cloud_op_free(op);
	return code;
}

static void
expect_names(struct subject *s, const char *dir, const char *one)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};

	assert_int_equal(list(s, dir, &entries), 0);
	assert_int_equal(entries.len, 1);
	assert_string_equal(path_name(entries.items[0].path), one);
}

static int
try_put(struct subject *s, const char *path, const char *text)
{
	const struct content content = {.text = text, .put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	return put_content(s, path, &content, &entry, NULL);
}

/* What is written fails, and both names are told. */
static void
expect_clash(struct subject *s, int code, const char *one, const char *two)
{
	assert_int_equal(code, -EILSEQ);
	if (strstr(s->err.msg, one) == NULL || strstr(s->err.msg, two) == NULL)
		fail_msg("not '%s' and '%s': %s", one, two, s->err.msg);
}

static int
try_begin(struct subject *s, const char *path)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_UPLOAD_BEGIN, path);
	int code;

	op->length = BLOCK * PARTS;
	code = run(s, op);
	cloud_op_free(op);
	return code;
}

static void
case_case(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct session u;

	make_directory(s, "Case");
	free(put_text(s, "Case/File", "one"));
	expect_text(s, "CASE/FILE", "one");
	expect_names(s, "case", "File");
	/* By the name that it has it is replaced, by another nothing is. */
	free(put_text(s, "Case/File", "two"));
	expect_clash(s, try_put(s, "Case/file", "three"), "'Case/file'", "'Case/File'");
	expect_clash(s, try_put(s, "case/File", "three"), "'case/File'", "'Case'");
	expect_clash(s, try_put(s, "case/new", "three"), "'case/new'", "'Case'");
	expect_clash(s, relocate(s, CLOUD_MKDIR, "case", "", NULL), "'case'", "'Case'");
	assert_int_equal(relocate(s, CLOUD_MKDIR, "Case", "", NULL), 0);
	expect_clash(s, relocate(s, CLOUD_MKDIR, "case/new", "", NULL), "'case/new'", "'Case'");
	expect_names(s, "Case", "File"); /* nothing was made */
	expect_clash(
	    s, relocate(s, CLOUD_REMOVE, "Case/file", "", NULL), "'Case/file'", "'Case/File'");
	expect_clash(s, relocate(s, CLOUD_REMOVE, "case/File", "", NULL), "'case/File'", "'Case'");
	expect_clash(s, try_begin(s, "Case/file"), "'Case/file'", "'Case/File'");
	expect_clash(s, try_begin(s, "case/File"), "'case/File'", "'Case'");
	expect_clash(s, try_begin(s, "case/new"), "'case/new'", "'Case'");
	/* Somebody makes it meanwhile. */
	session_begin(&u, s, "another");
	u.path = "Case/file";
	for (unsigned number = 1; number <= PARTS; number++)
		assert_int_equal(send_part(&u, number), 0);
	expect_clash(s, commit(&u, false, NULL), "'Case/file'", "'Case/File'");
	u.path = "case/new";
	expect_clash(s, commit(&u, false, NULL), "'case/new'", "'Case'");
	session_fini(&u);
	make_directory(s, "Case/Empty");
	expect_clash(
	    s, relocate(s, CLOUD_RMDIR, "Case/empty", "", NULL), "'Case/empty'", "'Case/Empty'");
	expect_clash(s, relocate(s, CLOUD_RMDIR, "case/Empty", "", NULL), "'case/Empty'", "'Case'");
	assert_int_equal(relocate(s, CLOUD_RMDIR, "Case/Empty", "", NULL), 0);
	make_directory(s, "from");
	free(put_text(s, "from/other", "three"));
	expect_clash(s, relocate(s, CLOUD_COPY, "Case/file", "from/other", s->account),
	    "'Case/file'", "'Case/File'");
	expect_clash(s, relocate(s, CLOUD_COPY, "case/File", "from/other", s->account),
	    "'case/File'", "'Case'");
	expect_clash(s, relocate(s, CLOUD_COPY, "case/new", "from/other", s->account), "'case/new'",
	    "'Case'");
	expect_clash(s, relocate(s, CLOUD_MOVE, "from/other", "Case/file", NULL), "'Case/file'",
	    "'Case/File'");
	expect_text(s, "from/other", "three");
	expect_names(s, "Case", "File");
	expect_text(s, "Case/File", "two");

	assert_int_equal(relocate(s, CLOUD_COPY, "case/FILE", "case/File", s->account), -EINVAL);
	assert_int_equal(relocate(s, CLOUD_MOVE, "case/File", "case/FILE", NULL), 0);
	expect_names(s, "Case", "FILE");
	expect_text(s, "case/file", "two");
	assert_int_equal(relocate(s, CLOUD_MOVE, "case/FILE", "case/FILE", NULL), 0);
	assert_int_equal(relocate(s, CLOUD_MOVE, "Case", "cASE", NULL), 0);
	assert_int_equal(stat_entry(s, "case", &entry), 0);
	expect_text(s, "case/file", "two");
}

/* By a reference, which goes from one person's account to the other's. */
static void
case_other_account(struct subject *s)
{
	struct subject other = {.name = "other"};

	make_directory(s, "other");
	if (s->open_other(&other) != 0)
		fail_msg("the other account: %s", other.err.msg);
	assert_true(cloud_copies_from(s->account, other.account));
	free(put_text(&other, "theirs", "theirs"));
	assert_int_equal(relocate(s, CLOUD_COPY, "other/ours", "theirs", other.account), 0);
	expect_text(s, "other/ours", "theirs");
	free(put_text(&other, "theirs", "by now"));
	assert_int_equal(relocate(s, CLOUD_COPY, "other/ours", "theirs", other.account), 0);
	expect_text(s, "other/ours", "by now");
	assert_int_equal(relocate(s, CLOUD_COPY, "other/ours", "nothing", other.account), -ENOENT);
	cloud_account_unref(other.account);
}

static char *
link_to(struct subject *s, const char *path)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_LINK, path);
	char *link;

	assert_int_equal(run(s, op), 0);
	link = TAKE(op->link);
	cloud_op_free(op);
	return link;
}

/* Of an upload to "d/new": `upload`, or one that is begun with the link. */
static struct cloud_op *
pull_op(struct subject *s, enum cloud_op_kind kind, const char *upload, const char *link)
{
	struct cloud_op *op = cloud_op_new(s->account, kind, "d/new");

	op->put.temp_id = xstrdup("of-this-test");
	op->upload = xstrdup_null(upload);
	op->link = xstrdup_null(link);
	op->length = 10;
	return op;
}

static char *
pull(struct subject *s, const char *link)
{
	struct cloud_op *begin = pull_op(s, CLOUD_UPLOAD_BEGIN, NULL, link), *part;
	char *upload;

	assert_int_equal(run(s, begin), 0);
	upload = TAKE(begin->upload);
	cloud_op_free(begin);
	part = pull_op(s, CLOUD_COPY_PART, upload, link);
	assert_int_equal(run(s, part), 0);
	assert_int_equal(strlen(part->part.tag), 64);
	cloud_op_free(part);
	return upload;
}

/* What Dropbox reads from a link is seen as a whole, or not at all. */
static void
case_pull(struct subject *s)
{
	char *link, *upload;
	struct cloud_op *op;

	make_directory(s, "d");
	free(put_text(s, "d/from", "0123456789"));
	link = link_to(s, "d/from");
	upload = pull(s, link);
	op = cloud_op_new(s->account, CLOUD_STAT, "d/new");
	assert_int_equal(run(s, op), -ENOENT);
	cloud_op_free(op);
	for (int times = 0; times < 2; times++) { /* the first answer is lost */
		op = pull_op(s, CLOUD_UPLOAD_COMMIT, upload, NULL);
		assert_int_equal(run(s, op), 0);
		assert_int_equal(op->entry.size, 10);
		assert_string_equal(op->entry.path, "d/new");
		cloud_op_free(op);
	}
	expect_text(s, "d/new", "0123456789");
	/* It is too late for that: it stays. */
	op = pull_op(s, CLOUD_UPLOAD_ABORT, upload, NULL);
	assert_int_equal(run(s, op), 0);
	cloud_op_free(op);
	expect_text(s, "d/new", "0123456789");
	free(upload);

	upload = pull(s, link);
	op = pull_op(s, CLOUD_UPLOAD_COMMIT, upload, NULL);
	op->put.no_replace = true;
	assert_int_equal(run(s, op), -EEXIST);
	cloud_op_free(op);
	op = pull_op(s, CLOUD_UPLOAD_ABORT, upload, NULL);
	assert_int_equal(run(s, op), 0);
	cloud_op_free(op);
	op = cloud_op_new(s->account, CLOUD_LIST, "d");
	assert_int_equal(run(s, op), 0);
	assert_int_equal(op->list.len, 2); /* and no temporary */
	cloud_op_free(op);
	free(upload);
	mem_wipe_free(link);
}

const struct conformance_case conformance_dropbox_cases[] = {
    {"a session", case_session},
    {"a session that is not finished", case_session_unfinished},
    {"names in another case", case_case},
    {"a copy between people", case_other_account},
    {"a link is read", case_pull},
    {NULL, NULL},
};
