#include "src/path.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

static void
test_canonical(void **state)
{
	static const char *const cases[][2] = {
	    {"", ""},
	    {"/", ""},
	    {"///", ""},
	    {"a", "a"},
	    {"/a/b/", "a/b"},
	    {"//a/b//", "a/b"},
	    {"...", "..."},
	    {".a/..b/c.", ".a/..b/c."},
	    {" ", " "},
	    {"a\nb/\"'%", "a\nb/\"'%"},
	    {"caf\xc3\xa9/\xe2\x82\xac", "caf\xc3\xa9/\xe2\x82\xac"},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *out = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(path_canonical(&out, cases[i][0], &err), 0);
		assert_string_equal(out, cases[i][1]);
		assert_true(path_is_canonical(out));
		assert_int_equal(
		    path_is_canonical(cases[i][0]), strcmp(cases[i][0], cases[i][1]) == 0);
	}
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = {
	    {".", -EINVAL},
	    {"..", -EINVAL},
	    {"/..", -EINVAL},
	    {"a/./b", -EINVAL},
	    {"a/../b", -EINVAL},
	    {"a/..", -EINVAL},
	    {"a//b", -EINVAL},
	    {"a/\xff/b", -EILSEQ},
	    {"caf\xe9", -EILSEQ},
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		char *out = NULL;

		assert_int_equal(path_canonical(&out, cases[i].path, &err), cases[i].code);
		assert_null(out);
		assert_int_equal(err.code, cases[i].code);
		assert_false(path_is_canonical(cases[i].path));
		if (cases[i].code == -EINVAL)
			assert_non_null(strstr(err.msg, cases[i].path));
	}
}

static void
test_lengths(void **state)
{
	char name[PATH_COMPONENT_MAX + 2], path[PATH_BYTES_MAX + 2];
	struct err err = ERR_INIT;
	char *out = NULL;
	size_t i;

	memset(name, 'n', sizeof name);
	name[PATH_COMPONENT_MAX] = '\0';
	assert_int_equal(path_canonical(&out, name, &err), 0);
	free(TAKE(out));
	name[PATH_COMPONENT_MAX] = 'n';
	name[PATH_COMPONENT_MAX + 1] = '\0';
	assert_int_equal(path_canonical(&out, name, &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.msg, "nnn"));

	for (i = 0; i < sizeof path; i++)
		path[i] = i % 2 == 0 ? 'a' : '/';
	path[PATH_BYTES_MAX - 1] = 'b';
	path[PATH_BYTES_MAX] = '\0';
	assert_int_equal(path_canonical(&out, path, &err), 0);
	free(TAKE(out));
	path[PATH_BYTES_MAX] = 'c';
	path[PATH_BYTES_MAX + 1] = '\0';
	assert_int_equal(path_canonical(&out, path, &err), -ENAMETOOLONG);
	assert_null(out);
}

static void
test_parts(void **state)
{
	static const char *const cases[][3] = {
	    {"a", "", "a"}, {"a/b", "a", "b"}, {"a/b/c d", "a/b", "c d"}};
	size_t i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP(cleanup_free) char *parent = path_parent(cases[i][0]);
		CLEANUP(cleanup_free) char *child = path_child(cases[i][1], cases[i][2]);

		assert_string_equal(parent, cases[i][1]);
		assert_string_equal(path_name(cases[i][0]), cases[i][2]);
		assert_string_equal(child, cases[i][0]);
		assert_int_equal(path_depth(cases[i][0]), i + 1);
	}
	assert_int_equal(path_depth(""), 0);
}

static void
test_inside(void **state)
{
	assert_true(path_is_inside("a/b", "a"));
	assert_true(path_is_inside("a", "a"));
	assert_true(path_is_inside("a", ""));
	assert_true(path_is_inside("", ""));
	assert_false(path_is_inside("ab", "a"));
	assert_false(path_is_inside("a", "a/b"));
	assert_false(path_is_inside("", "a"));
}

static void
test_account(void **state)
{
	CLEANUP(cleanup_free) char *account = NULL;
	CLEANUP(cleanup_free) char *path = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(path_split_account(&account, &path, "s3-main:/a:b/c/", &err), 0);
	assert_string_equal(account, "s3-main");
	assert_string_equal(path, "a:b/c");
	free(TAKE(account));
	free(TAKE(path));
	assert_int_equal(path_split_account(&account, &path, "x:", &err), 0);
	assert_string_equal(path, "");
	free(TAKE(account));
	free(TAKE(path));
	assert_int_equal(path_split_account(&account, &path, "plain/file", &err), -EINVAL);
	assert_non_null(strstr(err.msg, "ACCOUNT:path"));
	assert_int_equal(path_split_account(&account, &path, ":a", &err), -EINVAL);
	assert_int_equal(path_split_account(&account, &path, "a b:c", &err), -EINVAL);
	assert_int_equal(path_split_account(&account, &path, "a:../c", &err), -EINVAL);
	assert_null(account);
	assert_null(path);
}

static void
test_keys(void **state)
{
	CLEANUP(cleanup_free) char *longest = xcalloc(1, PATH_BYTES_MAX + 2);

	memset(longest, '/', PATH_BYTES_MAX);
	assert_true(path_is_key(longest));
	longest[PATH_BYTES_MAX] = '/';
	assert_false(path_is_key(longest));
	assert_true(path_is_key("a/../b"));
	assert_true(path_is_key("d/"));
	assert_true(path_is_key("\x01"));
	assert_false(path_is_key(""));
	assert_false(path_is_key("caf\xe9"));
}

static void
test_account_names(void **state)
{
	char longest[66];

	memset(longest, 'x', sizeof longest);
	longest[64] = '\0';
	assert_true(account_name_is_valid(longest));
	longest[64] = 'x';
	longest[65] = '\0';
	assert_false(account_name_is_valid(longest));
	assert_true(account_name_is_valid("Team.drive_2-b"));
	assert_true(account_name_is_valid("_"));
	assert_false(account_name_is_valid(""));
	assert_false(account_name_is_valid(".hidden"));
	assert_false(account_name_is_valid("-option"));
	assert_false(account_name_is_valid("a/b"));
	assert_false(account_name_is_valid("a:b"));
	assert_false(account_name_is_valid("caf\xc3\xa9"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_canonical),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_parts),
	    cmocka_unit_test(test_inside),
	    cmocka_unit_test(test_account),
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_account_names),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
