/* What every driver that has uploads in parts (limits.part_max) must do. */
#include "tests/unit/conformance.h"
#include <stdlib.h>
#include <string.h>

#define PARTS    5
#define PARALLEL 8

struct upload {
	struct subject *s;
	const char *path;
	char *id;
	struct upload_parts parts; /* as the cloud called them */
	unsigned char *content; /* of all parts */
	uint64_t part_size, len;
	struct cloud_put put; /* its strings are the test's */
	unsigned left; /* ops under way */
};

/* One part: its op and where its content comes from. */
struct piece {
	struct upload *upload;
	struct cloud_op *op;
	struct flow flow;
};

static void
upload_init(struct upload *u, struct subject *s, const char *path, uint64_t part_size, uint64_t len)
{
	*u = (struct upload){.s = s,
	    .path = path,
	    .part_size = part_size,
	    .len = len,
	    .put = {.mtime_ns = ENTRY_NO_TIME}};
	u->content = xmalloc(len);
	for (uint64_t i = 0; i < len; i++)
		u->content[i] = (unsigned char)((i * 2654435761u) >> 13);
}

static void
upload_fini(struct upload *u)
{
	upload_parts_fini(&u->parts);
	free(u->id);
	free(u->content);
}

/* Four parts of the smallest size, and a small one. */
static void
upload_init_five(struct upload *u, struct subject *s, const char *path)
{
	uint64_t size = s->account->driver->limits.part_min;

	upload_init(u, s, path, size, size * (PARTS - 1) + 77);
}

static void
put_attributes(struct cloud_op *op, const struct upload *u)
{
	op->put = u->put;
	op->put.content_type = xstrdup_null(u->put.content_type);
}

static int
begin_with(struct upload *u, const struct cloud_put *put)
{
	struct cloud_op *op = cloud_op_new(u->s->account, CLOUD_UPLOAD_BEGIN, u->path);
	int code;

	op->length = u->len;
	op->part.length = u->part_size;
	if (put != NULL)
		u->put = *put;
	put_attributes(op, u);
	op->put.temp_id = xstrdup("conformance");
	code = run(u->s, op);
	if (code == 0) {
		assert_non_null(op->upload);
		u->id = TAKE(op->upload);
	}
	cloud_op_free(op);
	return code;
}

static void
begin(struct upload *u)
{
	if (begin_with(u, NULL) != 0)
		fail_msg("begin '%s': %s", u->path, u->s->err.msg);
}

static struct cloud_op *
upload_op(struct upload *u, enum cloud_op_kind kind)
{
	struct cloud_op *op = cloud_op_new(u->s->account, kind, u->path);

	op->upload = xstrdup(u->id);
	op->length = u->len;
	return op;
}

static uint64_t
part_offset(const struct upload *u, unsigned number)
{
	return (number - 1) * u->part_size;
}

static void
piece_init(struct piece *piece, struct upload *u, unsigned number)
{
	uint64_t offset = part_offset(u, number);

	*piece = (struct piece){.upload = u, .op = upload_op(u, CLOUD_UPLOAD_PART)};
	piece->op->part.number = number;
	piece->op->offset = offset;
	piece->op->length = MIN(u->part_size, u->len - offset);
	piece->flow = (struct flow){.data = u->content + offset, .len = piece->op->length};
	flow_init(&piece->flow, piece->op);
}

static void
piece_fini(struct piece *piece)
{
	struct digests sent;
	const struct upload_part *part = &piece->op->part;
	const struct digests *got = &piece->op->entry.digests;

	flow_fini(&piece->flow, &sent);
	assert_true(part->tag[0] != '\0');
	assert_int_equal(part->length, piece->flow.len);
	if (got->have & HASH_BIT(HASH_MD5))
		assert_true(digests_equal(got, &sent, HASH_MD5));
	if (part->has_crc32c)
		assert_int_equal(part->crc32c, crc32c(0, piece->flow.data, piece->flow.len));
	upload_parts_put(&piece->upload->parts, part);
	piece->op->ring = NULL;
	cloud_op_free(piece->op);
}

static int
send_part(struct upload *u, unsigned number)
{
	struct piece piece;
	int code;

	piece_init(&piece, u, number);
	code = run(u->s, piece.op);
	if (code == 0) {
		piece_fini(&piece);
		return 0;
	}
	flow_fini(&piece.flow, NULL);
	piece.op->ring = NULL;
	cloud_op_free(piece.op);
	return code;
}

static void
must_send_part(struct upload *u, unsigned number)
{
	if (send_part(u, number) != 0)
		fail_msg("part %u of '%s': %s", number, u->path, u->s->err.msg);
}

static void
piece_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct piece *piece = arg;

	if (code != 0)
		fail_msg("part %u of '%s': %s", op->part.number, op->path, err->msg);
	if (--piece->upload->left == 0)
		loop_stop(loop);
}

/* At once: as many as PARALLEL. */
static void
send_parts(struct upload *u, const unsigned *numbers, unsigned len)
{
	struct piece pieces[PARALLEL];

	assert_true(len <= PARALLEL);
	u->left = len;
	for (unsigned i = 0; i < len; i++) {
		piece_init(&pieces[i], u, numbers[i]);
		cloud_op_start(runner, pieces[i].op, piece_on_done, &pieces[i]);
	}
	loop_run(loop);
	assert_int_equal(u->left, 0);
	for (unsigned i = 0; i < len; i++)
		piece_fini(&pieces[i]);
}

/* What the cloud has is what we sent. */
static void
expect_status(struct upload *u)
{
	struct cloud_op *op = upload_op(u, CLOUD_UPLOAD_STATUS);

	if (run(u->s, op) != 0)
		fail_msg("status of '%s': %s", u->path, u->s->err.msg);
	assert_int_equal(op->parts.len, u->parts.len);
	for (size_t i = 0; i < op->parts.len; i++) {
		const struct upload_part *have = &op->parts.items[i], *sent = &u->parts.items[i];

		assert_int_equal(have->number, sent->number);
		assert_int_equal(have->length, sent->length);
		assert_string_equal(have->tag, sent->tag);
	}
	cloud_op_free(op);
}

static int
commit_with(struct upload *u, const struct upload_parts *parts, bool no_replace, struct entry *out)
{
	struct cloud_op *op = upload_op(u, CLOUD_UPLOAD_COMMIT);
	int code;

	for (size_t i = 0; i < parts->len; i++)
		*upload_parts_add(&op->parts) = parts->items[i];
	put_attributes(op, u);
	op->put.no_replace = no_replace;
	code = run(u->s, op);
	if (code == 0 && out != NULL)
		entry_copy(out, &op->entry);
	cloud_op_free(op);
	return code;
}

static int
simple_op(struct upload *u, enum cloud_op_kind kind)
{
	struct cloud_op *op = upload_op(u, kind);
	int code = run(u->s, op);

	cloud_op_free(op);
	return code;
}

static size_t
find(struct subject *s, const char *path, const char *id, size_t *times)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_UPLOAD_FIND, path);
	size_t found;

	if (run(s, op) != 0)
		fail_msg("uploads of '%s': %s", path, s->err.msg);
	*times = 0;
	for (size_t i = 0; i < op->uploads_len; i++)
		*times += strcmp(op->uploads[i], id) == 0;
	found = op->uploads_len;
	cloud_op_free(op);
	return found;
}

static void
expect_content(struct upload *u, const struct entry *entry)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT((size_t)1 << 28);

	assert_int_equal(get_range(u->s, &got, u->path, entry->version, 0, UINT64_MAX), 0);
	assert_int_equal(got.len, u->len);
	assert_memory_equal(got.data, u->content, u->len);
	assert_int_equal(get_range(u->s, &got, u->path, entry->version, u->part_size - 3, 10), 0);
	assert_memory_equal(got.data, u->content + u->part_size - 3, 10);
}

/* One behind the other, and none twice. */
static void
send_in_order(struct upload *u)
{
	for (unsigned number = 1; number <= PARTS; number++) {
		must_send_part(u, number);
		expect_status(u);
	}
}

/* In any order, at once, and some again. */
static void
send_in_disorder(struct upload *u)
{
	static const unsigned rest[] = {5, 2, 4};
	unsigned char first;

	must_send_part(u, 3);
	expect_status(u);
	first = u->content[0];
	u->content[0] ^= 1;
	must_send_part(u, 1);
	expect_status(u);
	send_parts(u, rest, ARRAY_LEN(rest));
	expect_status(u);
	u->content[0] = first; /* replaced */
	must_send_part(u, 1);
	expect_status(u);
}

static void
case_parts(struct subject *s)
{
	const struct cloud_put put = {
	    .mtime_ns = 1234567890123456789, .mode = 0640, .content_type = (char *)"text/x-test"};
	CLEANUP(entry_fini) struct entry made = entry_none();
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct upload u;
	size_t times;

	make_directory(s, "upload");
	upload_init_five(&u, s, "upload/file");
	assert_int_equal(begin_with(&u, &put), 0);
	expect_status(&u);
	if (s->account->limits.in_order)
		send_in_order(&u);
	else
		send_in_disorder(&u);
	assert_int_equal(stat_entry(s, "upload/file", &entry), -ENOENT);
	find(s, "upload/file", u.id, &times);
	assert_int_equal(times, s->lapses || s->unlisted ? 0 : 1);

	if (commit_with(&u, &u.parts, false, &made) != 0)
		fail_msg("commit: %s", s->err.msg);
	assert_string_equal(made.path, "upload/file");
	assert_int_equal(made.size, u.len);
	assert_int_equal(stat_entry(s, "upload/file", &entry), 0);
	assert_int_equal(entry.size, u.len);
	assert_string_equal(entry.version, made.version);
	if (can(s, CLOUD_KEEPS_MTIME))
		assert_int_equal(entry.mtime_ns, kept_mtime(s, put.mtime_ns));
	if (can(s, CLOUD_KEEPS_MODE))
		assert_int_equal(entry.mode, put.mode);
	if (s->keeps_type)
		assert_string_equal(entry.content_type, put.content_type);
	expect_content(&u, &entry);
	find(s, "upload/file", u.id, &times);
	assert_int_equal(times, 0);

	/* The answer was lost, says its caller: it is done, also where nothing may be replaced. */
	entry_fini(&made);
	made = entry_none();
	assert_int_equal(commit_with(&u, &u.parts, false, &made), 0);
	assert_string_equal(entry.version, made.version);
	assert_int_equal(commit_with(&u, &u.parts, true, NULL), 0);
	/* Unless it is another file by now. */
	free(put_text(s, "upload/file", "another"));
	assert_int_equal(commit_with(&u, &u.parts, false, NULL), -ENOENT);
	upload_fini(&u);
}

/* It says beforehand how large it will be: so all of it must be there. */
static void
case_missing_end(struct subject *s)
{
	CLEANUP(upload_parts_fini) struct upload_parts parts = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct upload u;

	make_directory(s, "upload-missing");
	upload_init_five(&u, s, "upload-missing/file");
	free(put_text(s, u.path, "before"));
	begin(&u);
	must_send_part(&u, 1);
	*upload_parts_add(&parts) = u.parts.items[0];
	assert_int_equal(commit_with(&u, &parts, false, NULL), -EINVAL);
	*upload_parts_add(&parts) = u.parts.items[0];
	parts.items[1].number = 2;
	assert_int_equal(commit_with(&u, &parts, false, NULL), -EINVAL);
	assert_int_equal(send_part(&u, 3), -ENOENT); /* it would not be the next */
	expect_text(s, u.path, "before");
	expect_status(&u);
	for (unsigned number = 2; number <= PARTS; number++)
		must_send_part(&u, number);
	if (commit_with(&u, &u.parts, false, &entry) != 0)
		fail_msg("commit: %s", s->err.msg);
	expect_content(&u, &entry);
	upload_fini(&u);
}

/* Refused, and neither the upload nor what is at the path suffers. */
static void
case_missing_part(struct subject *s)
{
	CLEANUP(upload_parts_fini) struct upload_parts parts = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct upload u;

	if (s->account->limits.in_order) {
		case_missing_end(s);
		return;
	}
	make_directory(s, "upload-missing");
	upload_init_five(&u, s, "upload-missing/file");
	free(put_text(s, u.path, "before"));
	begin(&u);
	must_send_part(&u, 1);
	must_send_part(&u, 5);
	*upload_parts_add(&parts) = u.parts.items[0];
	*upload_parts_add(&parts) = u.parts.items[1];
	parts.items[1].number = 2; /* never sent */
	assert_int_equal(commit_with(&u, &parts, false, NULL), -EINVAL);
	expect_text(s, u.path, "before");
	/* Another tag: content that was replaced. */
	parts.items[1] = u.parts.items[1];
	memcpy(parts.items[1].tag, u.parts.items[0].tag, sizeof parts.items[1].tag);
	assert_int_equal(commit_with(&u, &parts, false, NULL), -EINVAL);
	expect_text(s, u.path, "before");
	expect_status(&u);
	/* The two that are there make a file as well. */
	if (commit_with(&u, &u.parts, false, NULL) != 0)
		fail_msg("commit: %s", s->err.msg);
	assert_int_equal(stat_entry(s, u.path, &entry), 0);
	assert_int_equal(entry.size, u.part_size + 77);
	upload_fini(&u);
}

static void
case_abort(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct upload u;
	size_t times;

	make_directory(s, "upload-abort");
	upload_init(&u, s, "upload-abort/file", 1000, 1000);
	begin(&u);
	must_send_part(&u, 1);
	assert_int_equal(simple_op(&u, CLOUD_UPLOAD_ABORT), 0);
	if (!s->lapses) {
		assert_int_equal(simple_op(&u, CLOUD_UPLOAD_STATUS), -ENOENT);
		assert_int_equal(send_part(&u, 1), -ENOENT);
		assert_int_equal(commit_with(&u, &u.parts, false, NULL), -ENOENT);
	}
	assert_int_equal(simple_op(&u, CLOUD_UPLOAD_ABORT), 0);
	find(s, u.path, u.id, &times);
	assert_int_equal(times, 0);
	assert_int_equal(stat_entry(s, u.path, &entry), -ENOENT);
	upload_fini(&u);
}

/* Nothing is told of uploads that were begun: an id that was lost has left nothing. */
static void
case_lapses(struct subject *s)
{
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct upload one, two;
	size_t times;

	make_directory(s, "upload-lapses");
	upload_init(&one, s, "upload-lapses/key", 1000, 1000);
	upload_init(&two, s, "upload-lapses/key", 1000, 1000);
	begin(&one);
	begin(&two);
	assert_string_not_equal(one.id, two.id);
	expect_status(&one);
	must_send_part(&one, 1);
	expect_status(&one);
	expect_status(&two); /* none of the other's */
	assert_int_equal(find(s, one.path, one.id, &times), 0);
	/* Nor can the other's be taken for its own. */
	upload_parts_put(&two.parts, &one.parts.items[0]);
	assert_int_equal(commit_with(&two, &two.parts, false, NULL), -ENOENT);
	assert_int_equal(stat_entry(s, one.path, &entry), -ENOENT);
	expect_status(&one);
	/* Somebody writes a blob there: if the cloud dropped the parts, they are sent again. */
	free(put_text(s, one.path, "theirs"));
	must_send_part(&one, 1);
	assert_int_equal(commit_with(&one, &one.parts, false, NULL), 0);
	upload_fini(&one);
	upload_fini(&two);
}

/* Two of one path are two. */
static void
case_unlisted(struct subject *s)
{
	struct upload one, two;
	size_t times;

	make_directory(s, "upload-unlisted");
	upload_init(&one, s, "upload-unlisted/key", 1000, 1000);
	upload_init(&two, s, "upload-unlisted/key", 1000, 1000);
	begin(&one);
	begin(&two);
	assert_string_not_equal(one.id, two.id);
	must_send_part(&one, 1);
	expect_status(&one);
	expect_status(&two);
	assert_int_equal(find(s, one.path, one.id, &times), 0);
	upload_parts_put(&two.parts, &one.parts.items[0]);
	assert_int_equal(commit_with(&two, &two.parts, false, NULL), -EINVAL);
	assert_int_equal(simple_op(&two, CLOUD_UPLOAD_ABORT), 0);
	assert_int_equal(commit_with(&one, &one.parts, false, NULL), 0);
	upload_fini(&one);
	upload_fini(&two);
}

static void
case_find(struct subject *s)
{
	struct upload one, two, longer;
	size_t times;

	if (s->lapses || s->unlisted) {
		(s->lapses ? case_lapses : case_unlisted)(s);
		return;
	}
	make_directory(s, "upload-find");
	upload_init(&one, s, "upload-find/key", 1000, 1000);
	upload_init(&two, s, "upload-find/key", 1000, 1000);
	upload_init(&longer, s, "upload-find/key longer", 1000, 1000);
	assert_int_equal(find(s, one.path, "", &times), 0);
	begin(&longer);
	assert_int_equal(find(s, one.path, longer.id, &times), 0);
	begin(&one);
	begin(&two);
	assert_string_not_equal(one.id, two.id);
	assert_int_equal(find(s, one.path, one.id, &times), 2);
	assert_int_equal(times, 1);
	assert_int_equal(find(s, one.path, two.id, &times), 2);
	assert_int_equal(times, 1);
	assert_int_equal(find(s, longer.path, longer.id, &times), 1);
	assert_int_equal(times, 1);
	assert_int_equal(find(s, "upload-find/ke", one.id, &times), 0);
	assert_int_equal(simple_op(&one, CLOUD_UPLOAD_ABORT), 0);
	assert_int_equal(find(s, one.path, two.id, &times), 1);
	assert_int_equal(times, 1);
	assert_int_equal(simple_op(&two, CLOUD_UPLOAD_ABORT), 0);
	assert_int_equal(simple_op(&longer, CLOUD_UPLOAD_ABORT), 0);
	upload_fini(&one);
	upload_fini(&two);
	upload_fini(&longer);
}

static int
copy_part(struct upload *u, unsigned number, const char *from, uint64_t offset, uint64_t length,
    const char *version)
{
	struct cloud_op *op = upload_op(u, CLOUD_COPY_PART);
	int code;

	op->from = u->s->account;
	op->path2 = xstrdup(from);
	op->part.number = number;
	op->offset = offset;
	op->length = length;
	xstrset(&op->version, version);
	code = run(u->s, op);
	if (code == 0) {
		assert_int_equal(op->part.number, number);
		assert_int_equal(op->part.length, length);
		upload_parts_put(&u->parts, &op->part);
	}
	cloud_op_free(op);
	return code;
}

static void
case_copy_part(struct subject *s)
{
	CLEANUP(entry_fini) struct entry source = entry_none();
	CLEANUP(entry_fini) struct entry made = entry_none();
	CLEANUP(cleanup_free) char *changed = NULL;
	uint64_t size = s->account->driver->limits.part_min;
	struct content content = {.put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(cleanup_free) char *text = xmalloc(size + 101);
	struct upload u;

	make_directory(s, "upload-copy");
	upload_init(&u, s, "upload-copy/to it", size, size + 50);
	for (uint64_t i = 0; i < size + 100; i++)
		text[i] = (char)('a' + i % 23);
	text[size + 100] = '\0';
	content.text = text;
	assert_int_equal(put_content(s, "upload-copy/from +\xc3\xa4", &content, &source, NULL), 0);
	begin(&u);
	if (!can(s, CLOUD_CAN_COPY) || s->copies_whole) {
		assert_int_equal(
		    copy_part(&u, 1, "upload-copy/from +\xc3\xa4", 7, size, NULL), -EOPNOTSUPP);
		assert_int_equal(simple_op(&u, CLOUD_UPLOAD_ABORT), 0);
		upload_fini(&u);
		return;
	}
	memcpy(u.content, text + 7, size);
	if (copy_part(&u, 1, "upload-copy/from +\xc3\xa4", 7, size, source.version) != 0)
		fail_msg("copy of a part: %s", s->err.msg);
	must_send_part(&u, 2);
	expect_status(&u);
	assert_int_equal(copy_part(&u, 2, "upload-copy/missing", 0, 10, NULL), -ENOENT);
	changed = put_text(s, "upload-copy/from +\xc3\xa4", "changed");
	assert_int_equal(
	    copy_part(&u, 2, "upload-copy/from +\xc3\xa4", 0, 5, source.version), -ESTALE);
	/* What was there may have been replaced before that was seen. */
	must_send_part(&u, 2);
	expect_status(&u);
	assert_int_equal(commit_with(&u, &u.parts, false, &made), 0);
	expect_content(&u, &made);
	upload_fini(&u);
}

static void
case_no_replace_upload(struct subject *s)
{
	struct upload u;

	make_directory(s, "upload-no-replace");
	upload_init(&u, s, "upload-no-replace/file", 1000, 1000);
	free(put_text(s, u.path, "first"));
	begin(&u);
	must_send_part(&u, 1);
	assert_int_equal(commit_with(&u, &u.parts, true, NULL), -EEXIST);
	expect_text(s, u.path, "first");
	expect_status(&u);
	assert_int_equal(simple(s, CLOUD_REMOVE, u.path, NULL), 0);
	if (s->lapses) /* they went with the blob */
		must_send_part(&u, 1);
	assert_int_equal(commit_with(&u, &u.parts, true, NULL), 0);
	upload_fini(&u);
}

/* More parts than a page of the status has. */
static void
case_many_parts(struct subject *s)
{
	unsigned numbers[PARALLEL];
	unsigned most = MIN((unsigned)s->many_parts, s->account->limits.parts_max);
	struct upload u;

	make_directory(s, "upload-many");
	upload_init(&u, s, "upload-many/file", 1, most);
	begin(&u);
	for (unsigned next = 1; next <= most;) {
		unsigned len = 0;

		while (len < PARALLEL && next <= most)
			numbers[len++] = next++;
		send_parts(&u, numbers, len);
	}
	assert_int_equal(u.parts.len, most);
	expect_status(&u);
	assert_int_equal(simple_op(&u, CLOUD_UPLOAD_ABORT), 0);
	upload_fini(&u);
}

const struct conformance_case conformance_upload_cases[] = {
    {"an upload in parts", case_parts},
    {"an upload with a part missing", case_missing_part},
    {"an upload that is aborted", case_abort},
    {"uploads of one path", case_find},
    {"a part copied", case_copy_part},
    {"an upload that replaces nothing", case_no_replace_upload},
    {"an upload of many parts", case_many_parts},
};

size_t
conformance_upload_cases_len(void)
{
	return ARRAY_LEN(conformance_upload_cases);
}
