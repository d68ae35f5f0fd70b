#include "src/buf.h"
#include "src/err.h"
#include "tests/unit/check.h"
#include <string.h>

static void
test_set(void **state)
{
	struct err err = {.wait_ms = 7};

	assert_int_equal(err_set(&err, -ENOENT, "no file '%s'", "a"), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_int_equal(err.wait_ms, 0);
	assert_string_equal(err.msg, "no file 'a'");
	assert_int_equal(err_set(NULL, -EIO, "nobody listens"), -EIO);
	err_clear(&err);
	assert_int_equal(err.code, 0);
	assert_string_equal(err.msg, "");
	err_clear(NULL);
}

static void
test_keep(void **state)
{
	struct err err = ERR_INIT, *kept = NULL, *first;

	err_keep(&kept, NULL);
	assert_null(kept);
	err_set(&err, -EAGAIN, "busy");
	err.wait_ms = 7;
	err_keep(&kept, &err);
	err_set(&err, -EIO, "worse");
	assert_int_equal(kept->code, -EAGAIN);
	assert_int_equal(kept->wait_ms, 7);
	assert_string_equal(kept->msg, "busy");
	first = kept;
	err_keep(&kept, first); /* of itself */
	assert_string_equal(kept->msg, "busy");
	err_keep(&kept, &err);
	assert_int_equal(kept->code, -EIO);
	assert_string_equal(kept->msg, "worse");
	err_keep(&kept, NULL);
	assert_null(kept);
}

static void
test_sys(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_sys(&err, -EACCES, "open %s", "/x"), -EACCES);
	assert_string_equal(err.msg, "open /x: Permission denied");
	assert_int_equal(err_sys(NULL, -EIO, "nobody listens"), -EIO);
}

static void
test_message_is_one_clean_line(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, -EPROTO, "a\nb\tc\033[2J\x7f\xff\xc3z\xc3\xa9");
	assert_string_equal(err.msg, "a b c?[2J???z\xc3\xa9");
}

static void
test_long_message_is_cut_between_characters(void **state)
{
	char text[2 * ERR_MSG_MAX];
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i + 2 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[i] = '\0';
	err_set(&err, -EPROTO, "%s", text);
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
	assert_int_equal(utf8_valid_len(err.msg, strlen(err.msg)), strlen(err.msg));
	err_sys(&err, -EPROTO, "%s", text); /* no room for the reason: still a string */
	assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void
test_table(void **state)
{
	const struct err_info *a, *b;
	size_t i, k;

	for (i = 0; (a = err_table(i)) != NULL; i++) {
		assert_true(a->code < 0);
		assert_true(a->status >= 400 && a->status < 600);
		assert_true(a->text[0] != '\0');
		assert_ptr_equal(err_info(a->code), a);
		assert_int_equal(err_by_name(a->name), a->code);
		for (k = 0; k < i; k++) {
			b = err_table(k);
			assert_int_not_equal(a->code, b->code);
			assert_string_not_equal(a->name, b->name);
		}
	}
	assert_true(i > 30);
}

static void
test_meaning(void **state)
{
	assert_int_equal(err_info(-EAGAIN)->status, 429);
	assert_true(err_is_transient(-EAGAIN));
	assert_true(err_is_transient(-EBADMSG));
	assert_false(err_is_transient(-ENOENT));
	assert_true(err_is_transient(-EPROTO));
	assert_true(err_may_repeat(-EIO, 100));
	assert_true(err_may_repeat(-EPROTO, ERR_FEW - 1));
	assert_false(err_may_repeat(-EPROTO, ERR_FEW));
	assert_false(err_may_repeat(-ENOENT, 0));
	assert_false(err_is_transient(-EKEYEXPIRED));
	assert_int_equal(err_info(-EKEYEXPIRED)->retry, ERR_RETRY_REFRESH);
	assert_int_equal(err_info(-ENOTTY)->code, -EIO); /* not in the table */
	assert_int_equal(err_by_name("no_such_code"), -EIO);
	assert_int_equal(err_by_name(NULL), -EIO);
}

static void
test_text(void **state)
{
	struct err err = {.code = -ENOSPC};

	assert_string_equal(err_text(&err), "no space left");
	err_set(&err, -ENOSPC, "the disk of x is full");
	assert_string_equal(err_text(&err), "the disk of x is full");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_keep),
	    cmocka_unit_test(test_sys),
	    cmocka_unit_test(test_message_is_one_clean_line),
	    cmocka_unit_test(test_long_message_is_cut_between_characters),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_meaning),
	    cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
