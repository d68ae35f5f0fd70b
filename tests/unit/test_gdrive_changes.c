/* The gdrive driver's changes: what others have changed, page by page. */
#include "tests/unit/gdrive_bench.h"
#include <string.h>

#define CHANGES HOST "/drive/v3/changes"
#define START   CHANGES "/startPageToken?fields=startPageToken&supportsAllDrives=true"
#define FOLLOW(drive, token)                                                                       \
	CHANGES "?" drive "fields=nextPageToken,newStartPageToken,changes(changeType,driveId,"     \
		"fileId,file(id,name,mimeType,parents,trashed))&includeItemsFromAllDrives=true"    \
		"&pageSize=1000&pageToken=" token "&supportsAllDrives=true"
#define CHANGED(id, file) "{\"changeType\":\"file\",\"fileId\":\"" id "\",\"file\":" file "}"
#define GONE(id)          "{\"changeType\":\"file\",\"fileId\":\"" id "\"}"
#define TRASHED(id, parent)                                                                        \
	"{\"id\":\"" id "\",\"name\":\"n\",\"mimeType\":\"text/plain\",\"parents\":[\"" parent     \
	"\"],\"trashed\":true}"
#define TOLD(changes) "{\"changes\":[" changes "],\"newStartPageToken\":\"2\"}"

/* One page of changes: what it tells. */
static void
expect_told(struct bench *b, const char *changes, const char *told)
{
	CLEANUP(cleanup_free)
	char *answer = xasprintf("{\"changes\":[%s],\"newStartPageToken\":\"2\"}", changes);

	bench_changes(b, "1");
	bench_expect(b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(b, 200, "", answer), CLOUD_STEP_DONE);
	bench_expect_changed(b, "2", told);
}

/* The list of "a" (d1) has "sub" (d2) and "f" (f1); that of "a/sub" has "g" (f2). */
static void
bench_follow(struct bench *b)
{
	bench_at_top(b);
	bench_changes(b, NULL);
	bench_expect(b, "GET", START);
	assert_int_equal(bench_answer(b, 200, "", "{\"startPageToken\":\"1\"}"), CLOUD_STEP_DONE);
	bench_expect_changed(b, "1", "");
	bench_op(b, CLOUD_LIST, "a");
	bench_expect(b, "GET", NAMED("top", "a"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(FOLDER("d1", "a", "top"))), CLOUD_STEP_NEXT);
	bench_expect(b, "GET", CHILDREN("d1", "1000"));
	assert_int_equal(
	    bench_answer(b, 200, "", PAGE(FOLDER("d2", "sub", "d1") "," FILE_OF("f1", "f", "d1"))),
	    CLOUD_STEP_DONE);
	bench_op(b, CLOUD_LIST, "a/sub");
	bench_expect(b, "GET", NAMED("d1", "sub"));
	assert_int_equal(
	    bench_answer(b, 200, "", PAGE(FOLDER("d2", "sub", "d1"))), CLOUD_STEP_NEXT);
	bench_expect(b, "GET", CHILDREN("d2", "1000"));
	assert_int_equal(bench_answer(b, 200, "", PAGE(FILE_OF("f2", "g", "d2"))), CLOUD_STEP_DONE);
}

static void
test_changes(void **state)
{
	struct bench b;

	bench_follow(&b);
	expect_told(&b, "", "");
	expect_told(&b, CHANGED("x1", FILE_OF("x1", "new", "d1")), "a/");
	expect_told(&b, CHANGED("x2", FILE_OF("x2", "new", "elsewhere")), "");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d2")), "a/sub/");
	/* Where it was, and where it is. */
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d1")), "a/sub/ a/");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "h", "d1")), "a/");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "h", "elsewhere")), "a/");
	expect_told(&b, CHANGED("f1", TRASHED("f1", "d1")), "a/");
	expect_told(&b, GONE("f1"), "a/");
	expect_told(&b, GONE("x2"), "");
	expect_told(&b, CHANGED("x3", FILE_OF("x3", "new", "top")), "/");
	bench_close(&b);
}

/* The directories that it remembers are made right too. */
static void
test_changes_of_directories(void **state)
{
	struct bench b;

	bench_follow(&b);
	expect_told(&b, CHANGED("d2", FOLDER("d2", "sub", "d1")), "a/"); /* its time */
	expect_told(&b, CHANGED("d1", FOLDER("d1", "b", "top")), "/ a/*");
	bench_op(&b, CLOUD_LIST, "a");
	find_none(&b, NAMED("top", "a"));
	bench_op(&b, CLOUD_LIST, "b");
	bench_expect(&b, "GET", NAMED("top", "b"));
	assert_int_equal(
	    bench_answer(&b, 200, "", PAGE(FOLDER("d1", "b", "top"))), CLOUD_STEP_NEXT);
	expect_told(&b, GONE("d1"), "/ b/*");
	expect_told(&b, CHANGED("top", TRASHED("top", "x")), "/*");
	bench_close(&b);
}

/* What it drops itself leads nowhere when it changes: so it is told. */
static void
test_changes_forgotten(void **state)
{
	struct bench b;
	char path[16];

	bench_follow(&b);
	gdrive_place_drop(b.account.data, "a/sub", 5);
	expect_told(&b, "", "a/sub/*");
	for (int i = 0; i < GDRIVE_PLACES_MAX; i++) {
		snprintf(path, sizeof path, "p%d", i);
		gdrive_place_put(b.account.data, path, strlen(path), "p", false, NOW_MS);
	}
	expect_told(&b, "", "a/*");
	for (int i = 0; i < 65536; i++) {
		struct gdrive_node node = {.parent = "d1"};

		snprintf(node.id, sizeof node.id, "n%d", i);
		gdrive_seen(b.account.data, &node);
	}
	expect_told(&b, "", "/*");
	bench_close(&b);
}

/* An answer that is lost, or makes no sense in its middle, loses nothing of what it was to tell. */
static void
test_changes_again(void **state)
{
	struct bench b;

	bench_follow(&b);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 503, "", ""), CLOUD_STEP_RETRY);
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 200, "",
			     "{\"changes\":[" CHANGED(
				 "f2", FILE_OF("f2", "g", "d1")) "],"
								 "\"nextPageToken\":\"1b\"}"),
	    CLOUD_STEP_NEXT);
	bench_expect(&b, "GET", FOLLOW("", "1b"));
	assert_int_equal(bench_answer(&b, 200, "", "{\"changes\":[{}]}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("", "1"));
	assert_int_equal(bench_answer(&b, 200, "", "{\"changes\":[]}"), CLOUD_STEP_FAIL);
	assert_int_equal(b.err.code, -EPROTO);
	assert_string_equal(b.op.cursor, "1");
	expect_told(&b, CHANGED("f2", FILE_OF("f2", "g", "d1")), "a/sub/ a/");
	bench_close(&b);
}

/* A token that is refused, too many pages, an account that was opened anew and does not know what
   the one before has shown: everything, and a new token. */
static void
test_changes_reset(void **state)
{
	static const int refused[] = {400, 404, 410};
	struct bench b;

	bench_follow(&b);
	for (size_t i = 0; i < ARRAY_LEN(refused) + 2; i++) {
		if (i == ARRAY_LEN(refused)) {
			bench_close(&b);
			bench_at_top(&b);
		}
		bench_changes(&b, "1");
		for (size_t page = 0; i > ARRAY_LEN(refused) && page < 10; page++) {
			CLEANUP(cleanup_free)
			char *answer = xasprintf("{\"nextPageToken\":\"1-%zu\"}", page);

			assert_int_equal(bench_request(&b), CLOUD_STEP_SEND);
			assert_int_equal(bench_answer(&b, 200, "", answer), CLOUD_STEP_NEXT);
		}
		if (i < ARRAY_LEN(refused)) {
			bench_expect(&b, "GET", FOLLOW("", "1"));
			assert_int_equal(
			    bench_answer(&b, refused[i], "", REFUSED("invalid")), CLOUD_STEP_NEXT);
		}
		bench_expect(&b, "GET", START);
		assert_int_equal(
		    bench_answer(&b, 200, "", "{\"startPageToken\":\"9\"}"), CLOUD_STEP_DONE);
		bench_expect_changed(&b, "9", "/*");
	}
	bench_changes(&b, NULL);
	bench_expect(&b, "GET", START);
	assert_int_equal(bench_answer(&b, 404, "", REFUSED("notFound")), CLOUD_STEP_FAIL);
	bench_close(&b);
}

static void
test_changes_of_drives(void **state)
{
	struct bench b;

	bench_open(&b, "{" GRANT ",\"endpoint\":\"https://host\",\"drive\":\"0AD\"}");
	bench_changes(&b, NULL);
	bench_expect(&b, "GET",
	    CHANGES "/startPageToken?driveId=0AD&fields=startPageToken&supportsAllDrives=true");
	assert_int_equal(bench_answer(&b, 200, "", "{\"startPageToken\":\"1\"}"), CLOUD_STEP_DONE);
	bench_changes(&b, "1");
	bench_expect(&b, "GET", FOLLOW("driveId=0AD&", "1"));
	assert_int_equal(
	    bench_answer(&b, 200, "", TOLD("{\"changeType\":\"drive\",\"driveId\":\"0AD\"}")),
	    CLOUD_STEP_DONE);
	bench_expect_changed(&b, "2", "/*");
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_changes),
	    cmocka_unit_test(test_changes_of_directories),
	    cmocka_unit_test(test_changes_forgotten),
	    cmocka_unit_test(test_changes_again),
	    cmocka_unit_test(test_changes_reset),
	    cmocka_unit_test(test_changes_of_drives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
