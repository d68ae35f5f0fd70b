/* Numbers as people read them, and text that is safe on a terminal. */
#include "tests/unit/check.h"

#include "cli/format.h"
#include "cli/text.h"
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
	    {0, "0 B"},
	    {1, "1 B"},
	    {1023, "1023 B"},
	    {1024, "1.0 KiB"},
	    {1536, "1.5 KiB"},
	    {102399, "100 KiB"},
	    {1023 * 1024, "1.0 MiB"},
	    {UINT64_C(1) << 20, "1.0 MiB"},
	    {UINT64_C(12345678901), "11.5 GiB"},
	    {(UINT64_C(1) << 32) + 5, "4.0 GiB"},
	    {UINT64_C(1) << 50, "1.0 PiB"},
	    {UINT64_MAX - 1, "16.0 EiB"},
	    {UINT64_MAX, "?"},
	};
	char out[FORMAT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(format_bytes(out, cases[i].bytes), cases[i].text);
	assert_string_equal(format_rate(out, 1536), "1.5 KiB/s");
}

static void
test_duration(void **state)
{
	char out[FORMAT_MAX];

	assert_string_equal(format_duration(out, 0), "0:00");
	assert_string_equal(format_duration(out, 59), "0:59");
	assert_string_equal(format_duration(out, 3599), "59:59");
	assert_string_equal(format_duration(out, 3600), "1:00:00");
	assert_string_equal(format_duration(out, 99 * 3600 + 61), "99:01:01");
	assert_string_equal(format_duration(out, 100 * 3600), "4d 4h");
	assert_string_equal(format_duration(out, UINT64_MAX - 1), "213503982334601d 7h");
	assert_string_equal(format_duration(out, UINT64_MAX), "?");
}

static void
test_count(void **state)
{
	char out[FORMAT_MAX];

	assert_string_equal(format_count(out, 0), "0");
	assert_string_equal(format_count(out, 999), "999");
	assert_string_equal(format_count(out, 1000), "1,000");
	assert_string_equal(format_count(out, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void
test_time(void **state)
{
	char out[FORMAT_MAX];

	setenv("TZ", "UTC0", 1);
	tzset();
	assert_string_equal(format_time(out, "2026-11-23T07:00:01.250Z"), "2026-11-23 07:00:01");
	assert_string_equal(format_time(out, ""), "-");
	assert_string_equal(format_time(out, NULL), "-");
}

static void
test_bar(void **state)
{
	char out[16];

	assert_string_equal(format_bar(out, sizeof(out), 0, 10, 12), "[..........]");
	assert_string_equal(format_bar(out, sizeof(out), 5, 10, 12), "[#####.....]");
	assert_string_equal(format_bar(out, sizeof(out), 10, 10, 12), "[##########]");
	assert_string_equal(format_bar(out, sizeof(out), 11, 10, 12), "[##########]");
	assert_string_equal(format_bar(out, sizeof(out), 0, 0, 12), "[##########]");
	assert_string_equal(format_bar(out, sizeof(out), 5, UINT64_MAX, 12), "[..........]");
	/* not full before it is all there, however near */
	assert_string_equal(
	    format_bar(out, sizeof(out), UINT64_MAX - 2, UINT64_MAX - 1, 12), "[#########.]");
	assert_string_equal(format_bar(out, sizeof(out), 1, 1, 100), "[#############]");
}

static void
test_percent(void **state)
{
	assert_int_equal(format_percent(0, 100), 0);
	assert_int_equal(format_percent(99, 100), 99);
	assert_int_equal(format_percent(999, 1000), 99);
	assert_int_equal(format_percent(UINT64_MAX - 2, UINT64_MAX - 1), 99);
	assert_int_equal(format_percent(0, 0), 100);
	assert_int_equal(format_percent(5, UINT64_MAX), -1);
}

static void
check_escape(const char *raw, const char *safe)
{
	char *out = text_escape(raw);

	assert_string_equal(out, safe);
	free(out);
}

static void
test_escape(void **state)
{
	check_escape("", "");
	check_escape("plain name.txt", "plain name.txt");
	check_escape("back\\slash", "back\\slash");
	check_escape("gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2 \xf0\x9f\x9a\xa2",
	    "gr\xc3\xbc\xc3\x9f \xe6\xbc\xa2 \xf0\x9f\x9a\xa2");
	check_escape("a\033[2Jb\nc\177", "a\\x1b[2Jb\\x0ac\\x7f");
	check_escape("\xc2\x9b"
		     "31m",
	    "\\xc2\\x9b"
	    "31m"); /* CSI as a C1 control */
	check_escape("\xe2\x80\xae"
		     "gpj",
	    "\\xe2\\x80\\xae"
	    "gpj"); /* right-to-left override */
	check_escape("\xff\xc3", "\\xff\\xc3");
	check_escape("\xc0\xaf", "\\xc0\\xaf"); /* overlong */
	check_escape("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
	check_escape("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	check_escape("\xe6\xbc", "\\xe6\\xbc"); /* cut off */
}

static void
check_fit(const char *text, size_t columns, const char *expected)
{
	char *out = text_fit(text, columns);

	assert_string_equal(out, expected);
	assert_true(text_width(out) <= columns);
	free(out);
}

static void
test_fit(void **state)
{
	check_fit("short", 5, "short");
	check_fit("photos/2026/summer/beach.jpg", 16, "phot...beach.jpg");
	check_fit("abcdef", 3, "abc");
	check_fit("abcdef", 0, "");
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		skip();
	assert_int_equal(text_width("\xe6\xbc\xa2\xe5\xad\x97"), 4);
	/* two columns each: neither end may hold half of one */
	check_fit("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97", 9,
	    "\xe6\xbc\xa2...\xe6\xbc\xa2\xe5\xad\x97");
	check_fit("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97", 8,
	    "...\xe6\xbc\xa2\xe5\xad\x97");
}

static void
test_distance(void **state)
{
	assert_int_equal(text_distance("", ""), 0);
	assert_int_equal(text_distance("mount", "mount"), 0);
	assert_int_equal(text_distance("muont", "mount"), 2);
	assert_int_equal(text_distance("mout", "mount"), 1);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_int_equal(text_distance("", "abc"), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_duration),
	    cmocka_unit_test(test_count),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_bar),
	    cmocka_unit_test(test_percent),
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_fit),
	    cmocka_unit_test(test_distance),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
