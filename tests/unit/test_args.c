/* The parser of options and operands. */
#include "tests/unit/check.h"

#include "cli/args.h"
#include "src/mem.h"
#include <string.h>

static const struct option_def options[] = {
    {'r', "recursive", NULL, "a flag"},
    {'n', "limit", "N", "a value"},
    {0, "only-long", "X", "no letter"},
    {'o', NULL, "OPTS", "no name"},
    {0},
};

static int
parse(struct args **out, const char *line, bool stop, struct err *err)
{
	static char copy[256];
	static char *argv[16];
	char *save = NULL;
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok_r(copy, " ", &save); word != NULL;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return args_parse(out, options, argc, argv, stop, err);
}

static struct args *
parsed(const char *line, bool stop)
{
	struct err err = ERR_INIT;
	struct args *args = NULL;

	assert_int_equal(parse(&args, line, stop, &err), 0);
	return args;
}

static void
refused(const char *line, const char *why)
{
	struct err err = ERR_INIT;
	struct args *args = NULL;

	assert_int_equal(parse(&args, line, false, &err), -EINVAL);
	assert_null(args);
	assert_string_equal(err.msg, why);
}

static void
test_forms(void **state)
{
	static const char *lines[] = {
	    "-n5 a b", "-n 5 a b", "--limit=5 a b", "--limit 5 a b", "a -n5 b", "a b --limit 5"};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct args *args = parsed(lines[i], false);

		assert_string_equal(args_value(args, "limit"), "5");
		assert_false(args_has(args, "recursive"));
		assert_int_equal(args_count(args), 2);
		assert_string_equal(args_operand(args, 0), "a");
		assert_string_equal(args_operand(args, 1), "b");
		args_free(args);
	}
}

static void
test_clusters_and_repetition(void **state)
{
	struct args *args = parsed("-rn5 -o a -ob --limit= -o c", false);

	assert_true(args_has(args, "recursive"));
	assert_string_equal(args_value(args, "limit"), "");
	assert_string_equal(args_value_at(args, "limit", 0), "5");
	assert_string_equal(args_value(args, "o"), "c");
	assert_string_equal(args_value_at(args, "o", 1), "b");
	assert_null(args_value_at(args, "o", 3));
	assert_null(args_value(args, "only-long"));
	args_free(args);
}

static void
test_ends(void **state)
{
	struct args *args = parsed("-r -- -n - --x", false);

	assert_int_equal(args_count(args), 3);
	assert_string_equal(args_operand(args, 0), "-n");
	assert_string_equal(args_operand(args, 1), "-");
	args_free(args);
	args = parsed("-r ls -l --anything", true);
	assert_true(args_has(args, "recursive"));
	assert_int_equal(args_count(args), 3);
	assert_string_equal(args_operand(args, 1), "-l");
	args_free(args);
}

static void
test_refusals(void **state)
{
	refused("--nope", "there is no option --nope");
	refused("--recursiv", "there is no option --recursiv");
	refused("-x", "there is no option -x");
	refused("-rx", "there is no option -x");
	refused("--recursive=1", "--recursive takes no value");
	refused("--limit", "--limit needs a value (N)");
	refused("-n", "-n needs a value (N)");
}

static void
check_number(const char *line, int code, long expected)
{
	struct err err = ERR_INIT;
	struct args *args = parsed(line, false);
	long n = -7;

	assert_int_equal(args_number(args, "limit", 20, 1, 100, &n, &err), code);
	if (code == 0)
		assert_int_equal(n, expected);
	else
		assert_non_null(strstr(err.msg, "--limit takes a number from 1 to 100"));
	args_free(args);
}

static void
test_numbers(void **state)
{
	check_number("", 0, 20);
	check_number("-n100", 0, 100);
	check_number("-n101", -EINVAL, 0);
	check_number("-n0", -EINVAL, 0);
	check_number("-n7x", -EINVAL, 0);
	check_number("--limit=", -EINVAL, 0);
	check_number("--limit=99999999999999999999", -EINVAL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_clusters_and_repetition),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
