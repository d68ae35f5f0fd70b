#include "src/clock.h"
#include "src/mem.h"
#include "tests/unit/check.h"
#include <errno.h>
#include <time.h>

static void
test_now(void **state)
{
	uint64_t before = (uint64_t)time(NULL), ms = clock_ms(), mono = clock_mono_ms();

	assert_true(ms / 1000 >= before && ms / 1000 <= before + 60);
	assert_true((uint64_t)clock_ns() / 1000000 >= ms);
	assert_true(clock_mono_ms() >= mono);
}

static void
test_format(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {951782399999, "2000-02-28T23:59:59.999Z"},
	    {951782400000, "2000-02-29T00:00:00.000Z"},
	    {1795417200007, "2026-11-23T07:00:00.007Z"},
	    {253402300799999, "9999-12-31T23:59:59.999Z"},
	};
	char out[25];
	uint64_t ms;
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_string_equal(clock_format(out, sizeof out, cases[i].ms), cases[i].text);
		assert_int_equal(clock_parse(&ms, cases[i].text), 0);
		assert_int_equal(ms, cases[i].ms);
	}
	assert_string_equal(clock_format(out, sizeof out, UINT64_MAX), "9999-12-31T23:59:59.999Z");
}

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
	    {"2026-11-23T07:00:00Z", 1795417200000}, {"2026-11-23t07:00:00z", 1795417200000},
	    {"2026-11-23 07:00:00Z", 1795417200000}, {"2026-11-23T08:30:00+01:30", 1795417200000},
	    {"2026-11-22T23:00:00-08:00", 1795417200000}, {"2026-11-23T07:00:00.5Z", 1795417200500},
	    {"2026-11-23T07:00:00.123456789Z", 1795417200123},
	    {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second is the next one */
	};
	uint64_t ms;
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(clock_parse(&ms, cases[i].text), 0);
		assert_int_equal(ms, cases[i].ms);
	}
}

static void
test_parse_refusals(void **state)
{
	static const char *const bad[] = {"", "now", "2026-11-23", "2026-11-23T07:00:00",
	    "2026-11-23T07:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
	    "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-11-31T00:00:00Z",
	    "2026-11-00T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T07:60:00Z",
	    "2026-11-23T07:00:61Z", "2026-11-23T07:00:00.Z", "2026-11-23T07:00:00+1:00",
	    "2026-11-23T07:00:00+0100", "2026-11-23T07:00:00+24:00", "2026-11-23T07:00:00Zx",
	    "2026-11-23X07:00:00Z", "+026-11-23T07:00:00Z", "1969-12-31T23:59:59Z",
	    "1970-01-01T00:00:00+00:01"};
	uint64_t ms = 77;
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(clock_parse(&ms, bad[i]), -EINVAL);
	assert_int_equal(ms, 77);
}

static void
test_http(void **state)
{
	static const char *const bad[] = {"", "Sun, 06 Nov 1994 08:49:37",
	    "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 6 Nov 1994 08:49:37 GMT",
	    "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
	    "Sun, 31 Nov 1994 08:49:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
	    "Sun, 06 Nox 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT "};
	int64_t s;
	size_t i;

	assert_int_equal(
	    clock_parse_http(&s, "Sun, 06 Nov 1994 08:49:37 GMT"), 0); /* RFC 9110 5.6.7 */
	assert_int_equal(s, 784111777);
	assert_int_equal(clock_parse_http(&s, "Thu, 01 Jan 1970 00:00:00 GMT"), 0);
	assert_int_equal(s, 0);
	assert_int_equal(clock_parse_http(&s, "Wed, 31 Dec 1969 23:59:59 GMT"), 0);
	assert_int_equal(s, -1);
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(clock_parse_http(&s, bad[i]), -EINVAL);
}

static void
test_ns(void **state)
{
	static const struct {
		int64_t ns;
		const char *text;
	} cases[] = {
	    {0, "1970-01-01T00:00:00.000000000Z"},
	    {1700000000123456789, "2023-11-14T22:13:20.123456789Z"},
	    {-1, "1969-12-31T23:59:59.999999999Z"},
	    {-1500000000, "1969-12-31T23:59:58.500000000Z"},
	    {-1000000000, "1969-12-31T23:59:59.000000000Z"},
	};
	char out[36];
	int64_t ns;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_string_equal(clock_format_ns(out, sizeof out, cases[i].ns), cases[i].text);
		assert_int_equal(clock_parse_ns(&ns, cases[i].text), 0);
		assert_int_equal(ns, cases[i].ns);
	}
	assert_int_equal(clock_parse_ns(&ns, "2023-11-14T23:13:20.5+01:00"), 0);
	assert_int_equal(ns, 1700000000500000000);
	assert_int_equal(clock_parse_ns(&ns, "9999-12-31T23:59:59Z"), -EINVAL); /* too many ns */
	assert_int_equal(clock_parse_ns(&ns, "1700000000.5"), -EINVAL);
}

static void
test_format_http(void **state)
{
	char out[30];

	assert_string_equal(
	    clock_format_http(out, sizeof out, 784111777999), "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(clock_format_http(out, sizeof out, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_now),
	    cmocka_unit_test(test_format),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_refusals),
	    cmocka_unit_test(test_http),
	    cmocka_unit_test(test_ns),
	    cmocka_unit_test(test_format_http),
	};

	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
