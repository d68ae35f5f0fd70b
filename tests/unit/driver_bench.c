#include "tests/unit/driver_bench.h"
#include <stdlib.h>
#include <string.h>

void
bench_credentials(const struct cloud_driver *driver, const char *credentials, const char *why)
{
	struct account account = {.driver = driver, .data = xcalloc(1, driver->account_size)};
	json_t *json = json_loads(credentials, 0, NULL);
	struct err err = ERR_INIT;
	int code;

	assert_non_null(json);
	code = driver->open(&account, json, &err);
	if (code != (why == NULL ? 0 : -EINVAL) || (why != NULL && strstr(err.msg, why) != err.msg))
		fail_msg("%s: %d, %s", credentials, code, err.msg);
	assert_int_equal(err.code, code);
	assert_null(strstr(err.msg, "hush"));
	if (code == 0) /* what is refused has nothing to be closed */
		driver->close(&account);
	free(account.data);
	json_decref(json);
}

void
bench_open_driver(struct bench *b, const struct cloud_driver *driver, const char *credentials)
{
	json_t *json = json_loads(credentials, 0, NULL);

	*b = (struct bench){.account = {.driver = driver, .limits = driver->limits}};
	b->account.data = xcalloc(1, driver->account_size);
	b->account.throttle = throttle_new(0, 0);
	assert_non_null(json);
	if (driver->open(&b->account, json, &b->err) != 0)
		fail_msg("%s", b->err.msg);
	json_decref(json);
	b->op.data = xcalloc(1, driver->op_size);
	entry_init(&b->op.entry);
	http_request_init(&b->request.http);
	http_response_init(&b->response);
}

static void
bench_clear(struct bench *b)
{
	free(b->op.path);
	free(b->op.path2);
	free(b->op.version);
	free(b->op.upload);
	free(b->op.resume);
	free(b->op.after);
	free(b->op.cursor);
	free(b->op.page);
	cloud_changed_fini(&b->op.changed);
	buf_free(&b->op.taken);
	upload_parts_fini(&b->op.parts);
	for (size_t i = 0; i < b->op.uploads_len; i++)
		free(b->op.uploads[i]);
	free(b->op.uploads);
	free(b->op.put.content_type);
	free(b->op.put.temp_id);
	json_decref(b->op.put.metadata);
	mem_wipe_free(b->op.link);
	free(b->op.data);
	entry_fini(&b->op.entry);
	entry_list_fini(&b->op.list);
	http_request_fini(&b->request.http);
	http_response_fini(&b->response);
}

void
bench_close(struct bench *b)
{
	bench_clear(b);
	b->account.driver->close(&b->account);
	free(b->account.data);
	throttle_unref(b->account.throttle);
}

void
bench_op(struct bench *b, enum cloud_op_kind kind, const char *path)
{
	bench_clear(b);
	b->op = (struct cloud_op){.kind = kind,
	    .account = &b->account,
	    .path = xstrdup(path),
	    .length = UINT64_MAX,
	    .put = {.mtime_ns = ENTRY_NO_TIME},
	    .data = xcalloc(1, b->account.driver->op_size),
	    .now_ms = NOW_MS};
	entry_init(&b->op.entry);
	http_request_init(&b->request.http);
	http_response_init(&b->response);
	err_clear(&b->err);
}

const char *
bench_header(const struct bench *b, const char *name)
{
	return http_header_get(&b->request.http.headers, name);
}

void
bench_expect(struct bench *b, const char *method, const char *url)
{
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	if (b->account.driver->request(&b->op, &b->request, &b->err) != CLOUD_STEP_SEND)
		fail_msg("no request: %s", b->err.msg);
	assert_string_equal(b->request.http.method, method);
	assert_string_equal(buf_str(&b->request.http.url), url);
}

void
bench_changes(struct bench *b, const char *cursor)
{
	bench_op(b, CLOUD_CHANGES, "");
	b->op.cursor = xstrdup_null(cursor);
}

void
bench_expect_changed(const struct bench *b, const char *cursor, const char *changed)
{
	CLEANUP(buf_free) struct buf told = BUF_INIT(1 << 16);

	for (size_t i = 0; i < b->op.changed.len; i++)
		buf_printf(&told, "%s%s%s", i == 0 ? "" : " ", b->op.changed.items[i].path,
		    b->op.changed.items[i].is_tree ? "/*" : "/");
	assert_string_equal(buf_str(&told), changed);
	assert_string_equal(b->op.cursor, cursor);
}

static void
bench_set_response(struct bench *b, int status, const char *headers, const char *body)
{
	http_response_fini(&b->response);
	http_response_init(&b->response);
	b->response.status = status;
	b->response.answered = true;
	while (*headers != '\0') {
		size_t len = strcspn(headers, "\n"), name = strcspn(headers, ":");
		CLEANUP(cleanup_free) char *key = xstrndup(headers, name);
		CLEANUP(cleanup_free) char *value = xstrndup(headers + name + 2, len - name - 2);

		http_headers_add(&b->response.headers, key, value);
		headers += len;
		headers += *headers == '\n';
	}
	b->response.body.max = CLOUD_COLLECT_MAX;
	buf_puts(&b->response.body, body);
}

enum cloud_step
bench_answer(struct bench *b, int status, const char *headers, const char *body)
{
	enum cloud_step step;

	bench_set_response(b, status, headers, body);
	step = b->account.driver->head(&b->op, &b->response, &b->err);
	return step == CLOUD_STEP_COLLECT
	    ? b->account.driver->response(&b->op, &b->response, &b->err)
	    : step;
}
