#include "tests/unit/gdrive_bench.h"
#include <string.h>

void
bench_open(struct bench *b, const char *credentials)
{
	bench_open_driver(b, &gdrive_driver, credentials);
}

void
bench_at_top(struct bench *b)
{
	struct gdrive_account *drive;

	bench_open(b, ACCOUNT);
	drive = b->account.data;
	snprintf(drive->root, sizeof drive->root, "top");
	snprintf(drive->ids[drive->ids_len++], GDRIVE_ID_MAX, "new1");
}

enum cloud_step
bench_request(struct bench *b)
{
	b->request.take = 0;
	http_request_fini(&b->request.http);
	http_request_init(&b->request.http);
	return gdrive_driver.request(&b->op, &b->request, &b->err);
}

void
expect_body(const struct bench *b, const char *json)
{
	json_t *want = json_loads(json, 0, NULL);
	json_t *have = json_loads(buf_str(&b->request.http.bytes), 0, NULL);

	assert_non_null(want);
	if (!json_equal(want, have))
		fail_msg("not %s: %s", json, buf_str(&b->request.http.bytes));
	json_decref(want);
	json_decref(have);
}

void
find_none(struct bench *b, const char *url)
{
	bench_expect(b, "GET", url);
	assert_int_equal(bench_answer(b, 200, "", PAGE("")), CLOUD_STEP_NEXT);
}

const char *
listed(const struct bench *b, size_t i)
{
	return i < b->op.list.len ? b->op.list.items[i].path : "";
}
