#include "tests/unit/conformance.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RING_SIZE  (64 * 1024)
#define RING_CHUNK (16 * 1024)

static unsigned char
pattern(uint64_t at)
{
	return (unsigned char)((at * 2654435761u) >> 16);
}

static void
flow_on_ring(void *arg)
{
	struct flow *flow = arg;

	event_active(flow->wake, EV_TIMEOUT, 0);
}

static void
flow_feed(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;
	unsigned char chunk[RING_CHUNK];

	while (flow->at < flow->len && ring_wants_input(flow->ring)) {
		size_t len = MIN(sizeof chunk, flow->len - flow->at);

		for (size_t i = 0; i < len; i++)
			chunk[i] =
			    flow->data == NULL ? pattern(flow->at + i) : flow->data[flow->at + i];
		assert_true(ring_put(flow->ring, chunk, len));
		hash_update(flow->hash, chunk, len);
		flow->at += len;
	}
	if (flow->at == flow->len)
		ring_end(flow->ring);
}

static void
flow_drain(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;
	unsigned char chunk[RING_CHUNK];
	size_t len;

	while ((len = ring_get(flow->ring, chunk, sizeof chunk)) > 0) {
		hash_update(flow->hash, chunk, len);
		if (flow->into != NULL)
			buf_add(flow->into, chunk, len);
		flow->at += len;
	}
}

void
flow_init(struct flow *flow, struct cloud_op *op)
{
	bool put = op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_PART;

	flow->hash = hash_new(HASH_BIT(HASH_MD5) | HASH_BIT(HASH_CRC32C) | HASH_BIT(HASH_CRC64) |
	    HASH_BIT(HASH_DROPBOX));
	flow->ring = op->ring = ring_new(RING_SIZE, RING_CHUNK);
	flow->wake = event_new(loop_base(loop), -1, 0, put ? flow_feed : flow_drain, flow);
	if (put) {
		ring_on_output(flow->ring, flow_on_ring, flow);
		event_active(flow->wake, EV_TIMEOUT, 0);
	} else {
		ring_on_input(flow->ring, flow_on_ring, flow);
	}
}

void
flow_fini(struct flow *flow, struct digests *out)
{
	struct digests digests = {.have = 0};

	if (flow->wake == NULL)
		return;
	event_free(flow->wake);
	if (flow->len == 0)
		flow_drain(-1, 0, flow);
	hash_final(flow->hash, &digests);
	hash_free(flow->hash);
	ring_free(flow->ring);
	if (out != NULL)
		*out = digests;
}

static void
on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct subject *s = arg;

	assert_false(s->done);
	s->done = true;
	s->code = code;
	if (code != 0) {
		s->err = *err;
		assert_int_equal(err->code, code);
		assert_true(err->msg[0] != '\0');
	}
	loop_stop(loop);
}

int
run(struct subject *s, struct cloud_op *op)
{
	s->done = false;
	err_clear(&s->err);
	cloud_op_start(runner, op, on_done, s);
	assert_false(s->done);
	loop_run(loop);
	assert_true(s->done);
	return s->code;
}

int
simple(struct subject *s, enum cloud_op_kind kind, const char *path, const char *version)
{
	struct cloud_op *op = cloud_op_new(s->account, kind, path);
	int code;

	xstrset(&op->version, version);
	code = run(s, op);
	cloud_op_free(op);
	return code;
}

int
stat_entry(struct subject *s, const char *path, struct entry *out)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_STAT, path);
	int code = run(s, op);

	if (code == 0)
		entry_copy(out, &op->entry);
	cloud_op_free(op);
	return code;
}

int
put_content(struct subject *s, const char *path, const struct content *content, struct entry *out,
    struct digests *digests)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_PUT, path);
	struct flow flow = {.data = (const unsigned char *)content->text,
	    .len = content->text == NULL ? content->len : strlen(content->text)};
	int code;

	op->length = flow.len;
	op->put = content->put;
	op->put.content_type = xstrdup_null(content->put.content_type);
	op->put.metadata = json_incref(content->put.metadata);
	op->put.temp_id = xstrdup("conformance");
	flow_init(&flow, op);
	code = run(s, op);
	flow_fini(&flow, digests);
	op->ring = NULL;
	if (code == 0 && out != NULL)
		entry_copy(out, &op->entry);
	cloud_op_free(op);
	return code;
}

char *
put_text(struct subject *s, const char *path, const char *text)
{
	const struct content content = {.text = text, .put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(entry_fini) struct entry entry = entry_none();

	if (put_content(s, path, &content, &entry, NULL) != 0)
		fail_msg("put '%s': %s", path, s->err.msg);
	assert_non_null(entry.version);
	return xstrdup(entry.version);
}

int
get_range(struct subject *s, struct buf *into, const char *path, const char *version,
    uint64_t offset, uint64_t length)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_READ, path);
	struct flow flow = {.into = into};
	int code;

	buf_reset(into);
	op->offset = offset;
	op->length = length;
	xstrset(&op->version, version);
	flow_init(&flow, op);
	code = run(s, op);
	if (code == 0)
		assert_int_equal(op->streamed, ring_held(flow.ring) + flow.at);
	flow_fini(&flow, NULL);
	op->ring = NULL;
	cloud_op_free(op);
	return code;
}

void
expect_text(struct subject *s, const char *path, const char *text)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 20);

	if (get_range(s, &got, path, NULL, 0, UINT64_MAX) != 0)
		fail_msg("read '%s': %s", path, s->err.msg);
	assert_string_equal(buf_str(&got), text);
}

static int
compare_paths(const void *a, const void *b)
{
	const struct entry *first = a, *second = b;

	return strcmp(first->path, second->path);
}

int
list(struct subject *s, const char *path, struct entry_list *out)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_LIST, path);
	int code = run(s, op);

	*out = (struct entry_list){.items = NULL};
	if (code == 0) {
		*out = op->list;
		op->list = (struct entry_list){.items = NULL};
		if (out->len > 0)
			qsort(out->items, out->len, sizeof *out->items, compare_paths);
	}
	cloud_op_free(op);
	return code;
}

void
expect_hidden(struct subject *s, const char *prefix, const char *const *keys)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_LIST, prefix);

	op->hidden = true;
	if (run(s, op) != 0)
		fail_msg("list the keys that begin with '%s': %s", prefix, s->err.msg);
	for (size_t i = 0; i < op->list.len; i++) {
		assert_non_null(keys[i]);
		assert_string_equal(op->list.items[i].path, keys[i]);
	}
	assert_null(keys[op->list.len]);
	cloud_op_free(op);
}

void
make_directory(struct subject *s, const char *path)
{
	if (simple(s, CLOUD_MKDIR, path, NULL) != 0)
		fail_msg("mkdir '%s': %s", path, s->err.msg);
}

bool
can(const struct subject *s, enum cloud_feature feature)
{
	return (s->account->driver->features & feature) != 0;
}

struct entry
entry_none(void)
{
	struct entry entry;

	entry_init(&entry);
	return entry;
}

int64_t
kept_mtime(const struct subject *s, int64_t mtime_ns)
{
	return s->mtime_unit > 0 ? mtime_ns / s->mtime_unit * s->mtime_unit : mtime_ns;
}
