#include "src/log.h"
#include "tests/unit/check.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 16384

/* What `say` wrote to stderr in a child, and how the child ended. */
static int
capture(char *out, void (*say)(void))
{
	int fds[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		dup2(fds[1], STDERR_FILENO);
		close(fds[1]);
		say();
		_exit(0);
	}
	close(fds[1]);
	while ((n = read(fds[0], out + len, OUTPUT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
say_levels(void)
{
	unsetenv("JOURNAL_STREAM");
	log_init("testd", LOG_LEVEL_INFO);
	log_debug("not shown");
	log_info("one");
	log_warning("two");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("not shown");
	log_error("three");
}

static void
test_levels(void **state)
{
	char out[OUTPUT_MAX];

	capture(out, say_levels);
	assert_non_null(strstr(out, " testd: info: one\n"));
	assert_non_null(strstr(out, " testd: warning: two\n"));
	assert_non_null(strstr(out, " testd: error: three\n"));
	assert_null(strstr(out, "not shown"));
	assert_int_equal(out[strlen("2026-11-23T07:00:00.000Z")], ' '); /* stderr is no terminal */
	assert_int_equal(out[strlen("2026-11-23T07:00:00.000")], 'Z');
}

static void
say_to_journal(void)
{
	char stream[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
	    (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("testd", LOG_LEVEL_DEBUG);
	log_error("e");
	log_warning("w");
	log_info("i");
	log_debug("d");
}

static void
test_journal(void **state)
{
	char out[OUTPUT_MAX];

	capture(out, say_to_journal);
	assert_string_equal(out, "<3>e\n<4>w\n<6>i\n<7>d\n");
}

static void
say_to_what_is_not_the_journal(void)
{
	setenv("JOURNAL_STREAM", "1:1", 1); /* somebody above us had it */
	log_init("testd", LOG_LEVEL_INFO);
	log_info("x");
	setenv("JOURNAL_STREAM", "nonsense", 1);
	log_init("testd", LOG_LEVEL_INFO);
	log_info("y");
}

static void
test_inherited_journal_variable(void **state)
{
	char out[OUTPUT_MAX];

	capture(out, say_to_what_is_not_the_journal);
	assert_non_null(strstr(out, " testd: info: x\n"));
	assert_non_null(strstr(out, " testd: info: y\n"));
}

static void
say_controls(void)
{
	log_init("testd", LOG_LEVEL_INFO);
	log_info("%s", "a\nb\033[2J\x7f caf\xc3\xa9 \xff \xc2\x9b!");
}

static void
test_controls_are_escaped(void **state)
{
	char out[OUTPUT_MAX];

	capture(out, say_controls);
	assert_non_null(strstr(out, "info: a\\x0ab\\x1b[2J\\x7f caf\xc3\xa9 \\xff \\x9b!\n"));
}

static void
say_much(void)
{
	char text[8000];

	memset(text, 1, sizeof text - 1); /* each byte is escaped */
	text[sizeof text - 1] = '\0';
	log_init("testd", LOG_LEVEL_INFO);
	errno = EDOM;
	log_info("%s", text);
	log_info("errno %s", errno == EDOM ? "kept" : "lost");
}

static void
test_long_lines_are_cut(void **state)
{
	char out[OUTPUT_MAX];
	char *newline;

	capture(out, say_much);
	newline = strchr(out, '\n');
	assert_non_null(newline);
	assert_true(newline - out > 8000 && newline - out < 8300);
	assert_non_null(strstr(newline, "errno kept\n"));
}

static void
say_fatal(void)
{
	log_init("testd", LOG_LEVEL_ERROR);
	log_fatal("cannot go on: %d", 5);
}

static void
test_fatal(void **state)
{
	char out[OUTPUT_MAX];
	int status = capture(out, say_fatal);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_non_null(strstr(out, "error: cannot go on: 5\n"));
}

static void
test_level_names(void **state)
{
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("warning"), LOG_LEVEL_WARNING);
	assert_int_equal(log_level_parse("info"), LOG_LEVEL_INFO);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud"), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_journal),
	    cmocka_unit_test(test_inherited_journal_variable),
	    cmocka_unit_test(test_controls_are_escaped),
	    cmocka_unit_test(test_long_lines_are_cut),
	    cmocka_unit_test(test_fatal),
	    cmocka_unit_test(test_level_names),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
