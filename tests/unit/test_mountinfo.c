/* What the kernel lists as our mounts, and how a directory that may be stuck is named. */
#include "tests/unit/check.h"

#include "cli/mountinfo.h"
#include "src/mount_line.h"
#include "tests/unit/scratch.h"
#include <limits.h>

static void
test_line(void **state)
{
	static const char *const none[] = {"", "garbage\n", " - fuse.skyferry\n",
	    "36 35 0:42 / - fuse.skyferry skyferry rw\n",
	    "36 35 0-42 / /mnt rw - fuse.skyferry skyferry rw\n",
	    "36 35 0:42x / /mnt rw - fuse.skyferry skyferry rw\n", "36 35 0:42 / /mnt rw\n"};
	char line[] = "36 35 7:42 / /mnt/a\\040b rw,noatime master:1 - fuse.skyferry skyferry rw\n";
	char other[] = "37 35 8:1 / / rw - ext4 /dev/root rw\n";
	struct mount_line mount;

	assert_true(mount_line_parse(&mount, line));
	assert_int_equal(mount.id, 36);
	assert_int_equal(mount.major, 7);
	assert_int_equal(mount.minor, 42);
	assert_string_equal(mount.point, "/mnt/a b");
	assert_true(mount.is_ours);
	assert_true(mount_line_parse(&mount, other));
	assert_false(mount.is_ours);
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		CLEANUP(cleanup_free) char *copy = xstrdup(none[i]);

		assert_false(mount_line_parse(&mount, copy));
	}
}

static void
test_read(void **state)
{
	char *dir = scratch_make(), *path = xasprintf("%s/mountinfo", dir);
	json_t *list;

	scratch_write(path,
	    "22 1 0:21 / /proc rw,relatime shared:1 - proc proc rw\n"
	    "90 22 0:50 / /home/me/My\\040Clouds rw,nosuid shared:7 master:1 - fuse.skyferry "
	    "skyferry rw,user_id=0\n"
	    "91 22 0:51 / /mnt/other rw - fuse.skyferry2 skyferry rw\n"
	    "92 22 0:52 / /mnt/sshfs rw - fuse.sshfs host: rw\n"
	    "93 22 0:50 /photos /mnt/a\\134b\\012 rw - fuse.skyferry skyferry rw\n"
	    "garbage\n - fuse.skyferry\n");
	list = mountinfo_read(path);
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_array_get(list, 0)), "/home/me/My Clouds");
	assert_string_equal(json_string_value(json_array_get(list, 1)), "/mnt/a\\b\n");
	json_decref(list);
	unlink(path);
	list = mountinfo_read(path);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
	free(path);
	scratch_remove(dir);
}

static void
check_resolve(const char *dir, const char *expected)
{
	struct err err = ERR_INIT;
	char *out = NULL;

	assert_int_equal(mountinfo_resolve(&out, dir, &err), 0);
	assert_string_equal(out, expected);
	free(out);
}

static void
test_resolve(void **state)
{
	char *dir = scratch_make(), *real = realpath(dir, NULL), cwd[PATH_MAX];
	char *link = xasprintf("%s/link", dir), *through = xasprintf("%s/link/Clouds/", dir);
	char *expected = xasprintf("%s/Clouds", real);
	struct err err = ERR_INIT;
	char *out = NULL;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(symlink(".", link), 0);
	check_resolve(through, expected);
	assert_int_equal(chdir(dir), 0);
	check_resolve("Clouds", expected);
	check_resolve("./Clouds//", expected);
	check_resolve(".", real);
	check_resolve("/", "/");
	check_resolve("/Clouds", "/Clouds");
	assert_int_equal(mountinfo_resolve(&out, "missing/Clouds", &err), -ENOENT);
	assert_int_equal(chdir(cwd), 0);
	free(expected);
	free(through);
	free(link);
	free(real);
	scratch_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_line),
	    cmocka_unit_test(test_read),
	    cmocka_unit_test(test_resolve),
	};

	return cmocka_run_group_tests_name("mountinfo", tests, NULL, NULL);
}
