#include "src/paths.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"
#include <sys/stat.h>

static void
assert_path(char *path, const char *want)
{
	assert_string_equal(path, want);
	free(path);
}

static int
setup(void **state)
{
	setenv("HOME", "/home/ann", 1);
	setenv("SKYFERRY_SYSTEM", "0", 1);
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_STATE_HOME");
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static void
test_home(void **state)
{
	assert_false(paths_is_system());
	assert_path(paths_config_file(), "/home/ann/.config/skyferry/skyferry.conf");
	assert_path(paths_state_dir(), "/home/ann/.local/state/skyferry");
	assert_path(paths_runtime_dir(), "/home/ann/.local/state/skyferry/run");
	assert_path(paths_token_file(), "/home/ann/.config/skyferry/token");
}

static void
test_xdg(void **state)
{
	setenv("XDG_CONFIG_HOME", "/c", 1);
	setenv("XDG_STATE_HOME", "/s/", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_path(paths_config_file(), "/c/skyferry/skyferry.conf");
	assert_path(paths_state_dir(), "/s/skyferry");
	assert_path(paths_runtime_dir(), "/run/user/7/skyferry");
	assert_path(paths_token_file(), "/c/skyferry/token");
	setenv("XDG_STATE_HOME", "relative", 1); /* the specification: to be ignored */
	assert_path(paths_state_dir(), "/home/ann/.local/state/skyferry");
	setenv("XDG_RUNTIME_DIR", "", 1);
	assert_path(paths_runtime_dir(), "/home/ann/.local/state/skyferry/run");
}

static void
test_system(void **state)
{
	setenv("SKYFERRY_SYSTEM", "1", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	assert_true(paths_is_system());
	assert_path(paths_config_file(), "/etc/skyferry/skyferry.conf");
	assert_path(paths_state_dir(), "/var/lib/skyferry");
	assert_path(paths_runtime_dir(), "/run/skyferry");
	assert_path(paths_token_file(), "/home/ann/.config/skyferry/token"); /* a person's */
}

static void
test_join(void **state)
{
	assert_path(paths_join("/a", "b"), "/a/b");
	assert_path(paths_join("/", "b"), "/b");
	assert_path(paths_join("/a/", "b/c"), "/a/b/c");
}

static void
test_make_private(void **state)
{
	char *dir = scratch_make();
	char *deep = paths_join(dir, "one/two/three"), *one = paths_join(dir, "one");
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(paths_make_private(deep, &err), 0);
	assert_int_equal(stat(one, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(paths_make_private(deep, &err), 0); /* again */
	assert_int_equal(chmod(deep, 0755), 0);
	assert_int_equal(paths_make_private(deep, &err), 0); /* others may read, but not write */
	free(deep);
	free(one);
	scratch_remove(dir);
}

static void
test_make_private_refuses(void **state)
{
	char *dir = scratch_make();
	char *file = paths_join(dir, "file"), *below = paths_join(dir, "file/sub");
	char *open = paths_join(dir, "open");
	struct err err = ERR_INIT;

	scratch_write(file, "x");
	assert_int_equal(paths_make_private(file, &err), -ENOTDIR);
	assert_non_null(strstr(err.msg, file));
	assert_int_equal(paths_make_private(below, &err), -ENOTDIR);
	assert_int_equal(paths_make_private("", &err), -EINVAL);
	assert_int_equal(mkdir(open, 0700), 0);
	assert_int_equal(chmod(open, 0770), 0);
	assert_int_equal(paths_make_private(open, &err), -EPERM);
	assert_non_null(strstr(err.msg, "chmod go-w"));
	assert_int_equal(chmod(open, 0702), 0);
	assert_int_equal(paths_make_private(open, &err), -EPERM);
	if (geteuid() == 0) {
		assert_int_equal(chmod(open, 0700), 0);
		assert_int_equal(chown(open, 12345, 12345), 0);
		assert_int_equal(paths_make_private(open, &err), -EPERM);
		assert_non_null(strstr(err.msg, "12345"));
	}
	free(file);
	free(below);
	free(open);
	scratch_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_home, setup),
	    cmocka_unit_test_setup(test_xdg, setup),
	    cmocka_unit_test_setup(test_system, setup),
	    cmocka_unit_test(test_join),
	    cmocka_unit_test(test_make_private),
	    cmocka_unit_test(test_make_private_refuses),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
