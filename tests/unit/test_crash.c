#include "src/buf.h"
#include "src/crash.h"
#include "tests/unit/check.h"
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs crash_init() with that in the environment, then passes `name` so many times; how it ended.
 */
static int
pass(const char *value, const char *name, int times)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDERR_FILENO);
		if (value != NULL)
			setenv("SKYFERRY_CRASH", value, 1);
		else
			unsetenv("SKYFERRY_CRASH");
		crash_init();
		for (; times > 0; times--)
			crash_point(name);
		_exit(42);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
assert_killed(int status)
{
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void
assert_exit(int status, int code)
{
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static void
test_every_point_kills(void **state)
{
	const char *name;
	unsigned i;

	for (i = 0; (name = crash_table(i)) != NULL; i++)
		assert_killed(pass(name, name, 1));
	assert_true(i > 0);
}

static void
test_nth_pass(void **state)
{
	assert_exit(pass("store.after_commit:3", "store.after_commit", 2), 42);
	assert_killed(pass("store.after_commit:3", "store.after_commit", 3));
}

static void
test_others_go_on(void **state)
{
	assert_exit(pass("store.after_commit", "store.before_commit", 5), 42);
	assert_exit(pass(NULL, "store.before_commit", 5), 42);
	assert_exit(pass("", "store.before_commit", 5), 42);
}

static void
test_mistakes_are_fatal(void **state)
{
	static const char *const bad[] = {"nowhere", "store",
	    "store.after_commit:", "store.after_commit:0", "store.after_commit:x",
	    "store.after_commit:-1", "store.after_commit:1x", ":1"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++)
		assert_exit(pass(bad[i], "store.after_commit", 0), 1);
}

/* Adds the text of all source files that match to *out. */
static void
read_sources(struct buf *out, const char *top, const char *pattern)
{
	CLEANUP(cleanup_free) char *full = xasprintf("%s/%s", top, pattern);
	char chunk[4096];
	glob_t found;
	size_t i, n;

	if (glob(full, 0, NULL, &found) != 0)
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		FILE *file = fopen(found.gl_pathv[i], "re");

		assert_non_null(file);
		while ((n = fread(chunk, 1, sizeof chunk, file)) > 0)
			buf_add(out, chunk, n);
		fclose(file);
	}
	globfree(&found);
}

/* Each point that the programs pass is in the table, and none in the table is passed nowhere. */
static void
test_table_and_sources_agree(void **state)
{
	static const char call[] = "crash_point(\"";
	static const char *const patterns[] = {"src/*.c", "daemon/*.c", "fs/*.c", "cli/*.c"};
	CLEANUP(buf_free) struct buf text = BUF_INIT(64 << 20);
	const char *top = getenv("top_srcdir"), *at, *name;
	size_t i;
	unsigned k;

	if (top == NULL)
		skip();
	for (i = 0; i < ARRAY_LEN(patterns); i++)
		read_sources(&text, top, patterns[i]);
	assert_false(text.failed);
	for (at = buf_str(&text); (at = strstr(at, call)) != NULL;) {
		size_t len;

		at += strlen(call);
		len = strcspn(at, "\"");
		for (k = 0; (name = crash_table(k)) != NULL; k++) {
			if (strlen(name) == len && memcmp(name, at, len) == 0)
				break;
		}
		if (name == NULL)
			fail_msg("crash_point(\"%.*s\") is not in the table", (int)len, at);
	}
	for (k = 0; (name = crash_table(k)) != NULL; k++) {
		CLEANUP(cleanup_free) char *want = xasprintf("%s%s\")", call, name);

		if (strstr(buf_str(&text), want) == NULL)
			fail_msg("no program passes the crash point %s", name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_point_kills),
	    cmocka_unit_test(test_nth_pass),
	    cmocka_unit_test(test_others_go_on),
	    cmocka_unit_test(test_mistakes_are_fatal),
	    cmocka_unit_test(test_table_and_sources_agree),
	};

	return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
