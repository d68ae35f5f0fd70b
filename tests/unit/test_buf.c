#include "src/buf.h"
#include "tests/unit/check.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
test_grow(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1 << 20);
	size_t i;

	assert_string_equal(buf_str(&b), "");
	for (i = 0; i < 10000; i++)
		assert_true(buf_printf(&b, "%04zu,", i));
	assert_int_equal(b.len, 50000);
	assert_memory_equal(b.data + 5 * 9999, "9999,", 6);
	buf_reset(&b);
	assert_string_equal(buf_str(&b), "");
	assert_true(buf_puts(&b, "again"));
	assert_string_equal(buf_str(&b), "again");
}

static void
test_maximum(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(10);

	assert_true(buf_puts(&b, "0123456789")); /* exactly */
	assert_true(buf_puts(&b, ""));
	assert_false(buf_putc(&b, 'x'));
	assert_true(b.failed);
	assert_false(buf_puts(&b, "")); /* it remembers */
	assert_string_equal(buf_str(&b), "0123456789");
	buf_reset(&b);
	assert_true(buf_puts(&b, "01234"));
	assert_false(buf_printf(&b, "%s", "567890")); /* would fit into the spare capacity */
	assert_string_equal(buf_str(&b), "01234");
	buf_free(&b);
	assert_true(buf_printf(&b, "%010d", 7));
	assert_int_equal(b.len, 10);
	buf_free(&b);
	assert_false(buf_printf(&b, "%0200d", 7));
	assert_string_equal(buf_str(&b), "");
}

static void
test_overflow(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);

	assert_true(buf_puts(&b, "abc"));
	assert_false(buf_add(&b, "x", SIZE_MAX));
	assert_true(b.failed);
	assert_string_equal(buf_str(&b), "abc");
}

static void
test_secret(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(10000);
	size_t i;

	b.secret = true;
	for (i = 0; i < 1000; i++)
		buf_puts(&b, "secret");
	assert_int_equal(b.len, 6000);
	assert_memory_equal(b.data + 5994, "secret", 7);
	buf_reset(&b);
	for (i = 0; i < b.cap; i++)
		assert_int_equal(b.data[i], 0);
}

static void
test_consume_and_take(void **state)
{
	struct buf b = BUF_INIT(100);
	char *s;

	buf_consume(&b, 0);
	buf_puts(&b, "hello world");
	buf_consume(&b, 6);
	assert_string_equal(buf_str(&b), "world");
	s = buf_take(&b);
	assert_string_equal(s, "world");
	free(s);
	assert_int_equal(b.len, 0);
	s = buf_take(&b); /* also of nothing */
	assert_string_equal(s, "");
	free(s);
	assert_true(buf_puts(&b, "new"));
	buf_free(&b);
}

static void
test_uri(void **state)
{
	CLEANUP(buf_free) struct buf b = BUF_INIT(1000);
	char bad[] = "%zz%4%41%%42%", plus[] = "a+b%2Bc%c3%A9";

	buf_put_uri(&b, "az-AZ.09_~ /?&+=%\xc3\xa9'\n", NULL);
	assert_string_equal(buf_str(&b), "az-AZ.09_~%20%2F%3F%26%2B%3D%25%C3%A9%27%0A");
	assert_int_equal(uri_decode(b.data), 21);
	assert_string_equal(b.data, "az-AZ.09_~ /?&+=%\xc3\xa9'\n");
	buf_reset(&b);
	buf_put_uri(&b, "a/b c", "/");
	assert_string_equal(buf_str(&b), "a/b%20c");
	assert_int_equal(uri_decode(bad), 9);
	assert_string_equal(bad, "%zz%4A%B%");
	uri_decode(plus);
	assert_string_equal(plus, "a+b+c\xc3\xa9");
}

static void
test_uri_nul_is_seen_in_the_length(void **state)
{
	char s[] = "a%00b";

	assert_int_equal(uri_decode(s), 3);
	assert_int_equal(strlen(s), 1);
}

static void
test_hex(void **state)
{
	static const unsigned char bytes[] = {0x00, 0x7f, 0xff, 0xa5};
	CLEANUP(buf_free) struct buf b = BUF_INIT(100);
	unsigned char out[4];

	buf_put_hex(&b, bytes, sizeof bytes);
	assert_string_equal(buf_str(&b), "007fffa5");
	assert_int_equal(hex_decode(out, sizeof out, "007fFFA5"), 4);
	assert_memory_equal(out, bytes, 4);
	assert_int_equal(hex_decode(out, sizeof out, ""), 0);
	assert_int_equal(hex_decode(out, 3, "007fffa5"), -EINVAL);
	assert_int_equal(hex_decode(out, sizeof out, "007"), -EINVAL);
	assert_int_equal(hex_decode(out, sizeof out, "0g"), -EINVAL);
	assert_int_equal(hex_decode(out, sizeof out, " 0"), -EINVAL);
}

/* RFC 4648 section 10 */
static const char *const base64_vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+"},
};

static void
test_base64(void **state)
{
	unsigned char out[16];
	size_t i;

	for (i = 0; i < ARRAY_LEN(base64_vectors); i++) {
		const char *plain = base64_vectors[i][0], *text = base64_vectors[i][1];
		CLEANUP(buf_free) struct buf b = BUF_INIT(100);

		assert_true(buf_put_base64(&b, plain, strlen(plain)));
		assert_string_equal(buf_str(&b), text);
		assert_int_equal(base64_decode(out, strlen(plain), text), strlen(plain));
		assert_memory_equal(out, plain, strlen(plain));
	}
}

static void
test_base64_refusals(void **state)
{
	static const char *const bad[] = {"Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zm9v\n",
	    "Zh==", "Zm9=", "Z-9v", "Zg==Zg==", "Z=g="};
	unsigned char out[64];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(base64_decode(out, sizeof out, bad[i]), -EINVAL);
	assert_int_equal(base64_decode(out, 2, "Zm9v"), -EINVAL); /* no room */
}

static void
test_utf8(void **state)
{
	static const char *const good[] = {"a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
	    "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf",
	    "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
	    "\xc3", "\xe2\x82", "\xe2\x82z", "\xc3z"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(utf8_char_len(good[i], strlen(good[i])), strlen(good[i]));
	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(utf8_char_len(bad[i], strlen(bad[i])), 0);
	assert_int_equal(utf8_char_len("", 0), 0);
	assert_int_equal(utf8_valid_len("caf\xc3\xa9\xff", 6), 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grow),
	    cmocka_unit_test(test_maximum),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_consume_and_take),
	    cmocka_unit_test(test_uri),
	    cmocka_unit_test(test_uri_nul_is_seen_in_the_length),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_base64_refusals),
	    cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
