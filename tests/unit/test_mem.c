#include "src/mem.h"
#include "tests/unit/check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_copies(void **state)
{
	char *s = xstrndup("skyferry", 3);
	char *same;

	assert_string_equal(s, "sky");
	xstrset(&s, s + 1); /* a part of itself */
	assert_string_equal(s, "ky");
	xstrset(&s, NULL);
	assert_null(s);
	assert_null(xstrdup_null(NULL));
	s = xasprintf("%s-%d", "a", 7);
	assert_string_equal(s, "a-7");
	same = TAKE(s);
	assert_null(s);
	free(same);
	free(xmalloc(0)); /* never NULL */
}

static void
test_calloc_is_zeroed(void **state)
{
	unsigned char *p = xcalloc(64, 2), zero[128] = {0};

	assert_memory_equal(p, zero, sizeof zero);
	p = xrealloc(p, 1000, 1);
	assert_memory_equal(p, zero, sizeof zero);
	free(p);
}

static void
test_wipe(void **state)
{
	char secret[8] = "hunter2", zero[8] = {0};

	mem_wipe(secret, sizeof secret);
	assert_memory_equal(secret, zero, sizeof secret);
	mem_wipe_free(NULL);
	mem_wipe_free(xstrdup("secret"));
}

static void
test_cleanup(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), copy = fd;

	assert_true(fd >= 0);
	cleanup_close(&copy);
	assert_int_equal(copy, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	cleanup_close(&copy); /* -1 is a no-op */
	{
		CLEANUP(cleanup_free) char *p = xstrdup("freed here, says the leak sanitizer");

		assert_non_null(p);
	}
}

static void
test_overflow_aborts(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);

		signal(SIGABRT, SIG_DFL);
		dup2(null, STDERR_FILENO);
		xrealloc(NULL, SIZE_MAX / 2, 3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_calloc_is_zeroed),
	    cmocka_unit_test(test_wipe),
	    cmocka_unit_test(test_cleanup),
	    cmocka_unit_test(test_overflow_aborts),
	};

	return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
