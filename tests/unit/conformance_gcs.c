/* What only a server can show of the gcs driver. */
#include "providers/providers.h"
#include "src/loop.h"
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

	expect_hidden(s, "keys/", (const char *const[]){"keys//", longest, NULL});
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

struct progress {
	uint64_t bytes;
	unsigned times;
};

static void
see_progress(void *arg, struct cloud_op *op, uint64_t bytes)
{
	struct progress *p = arg;

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
	op->progress_arg = &progress;
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

struct got {
	int code, status;
	struct buf body;
};

static enum http_take
got_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	*collect_max = 1 << 16;
	return HTTP_COLLECT;
}

static void
got_done(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct got *got = arg;

	got->code = code;
	got->status = res->status;
	buf_puts(&got->body, buf_str(&res->body));
	loop_stop(loop);
}

/* As anybody would. */
static void
expect_link(const char *url, int status, const char *text)
{
	static const struct http_handler handler = {.head = got_head, .done = got_done};
	const struct http_limits limits = {.connect_timeout_ms = 5000,
	    .stall_timeout_ms = 20000,
	    .buffer = 64 * 1024,
	    .user_agent = "anybody"};
	struct http_client *client = http_client_new(loop, &limits, NULL);
	struct got got = {.body = BUF_INIT(1 << 16)};
	struct http_request req;

	http_request_init(&req);
	req.method = "GET";
	buf_puts(&req.url, url);
	http_request_header(&req, "Range", "bytes=2-4");
	http_start(client, &req, NULL, &handler, &got);
	loop_run(loop);
	assert_int_equal(got.code, 0);
	assert_int_equal(got.status, status);
	if (text != NULL)
		assert_string_equal(buf_str(&got.body), text);
	http_request_fini(&req);
	buf_free(&got.body);
	http_client_free(client);
}

/* A link leads to its version alone, and whoever has it may read that. */
static void
case_links(struct subject *s)
{
	CLEANUP(cleanup_free) char *version = NULL;
	struct cloud_op *op, *any;

	make_directory(s, "links");
	version = put_text(s, "links/a b+%\xc3\xa4", "0123456789");
	op = cloud_op_new(s->account, CLOUD_LINK, "links/a b+%\xc3\xa4");
	op->version = xstrdup(version);
	assert_int_equal(run(s, op), 0);
	assert_true(op->is_pinned);
	any = cloud_op_new(s->account, CLOUD_LINK, "links/a b+%\xc3\xa4");
	assert_int_equal(run(s, any), 0);
	assert_false(any->is_pinned);
	expect_link(op->link, 206, "234");
	expect_link(any->link, 206, "234");
	free(put_text(s, "links/a b+%\xc3\xa4", "changed"));
	expect_link(op->link, 404, NULL);
	expect_link(any->link, 206, "ang");
	/* Nothing of it can be changed. */
	op->link[strlen(op->link) - 1] ^= 1;
	expect_link(op->link, 403, NULL);
	cloud_op_free(op);
	cloud_op_free(any);
}

const struct conformance_case conformance_gcs_cases[] = {
    {"links", case_links},
    {"names that no path can have", case_odd_keys},
    {"a copy between accounts", case_copy_between_accounts},
    {NULL, NULL},
};
