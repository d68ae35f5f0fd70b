#include "fs/options.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

static int
parse(struct fs_options *options, const char *list, struct err *err)
{
	*options = (struct fs_options){.settle_ms = -1, .fsync_cloud = true};
	return options_parse_mount(options, list, err);
}

static void
test_accepted(void **state)
{
	struct err err = ERR_INIT;
	struct fs_options options;

	assert_int_equal(
	    parse(
		&options, "ro,settle=2s,fsync=spool,uid=1000,gid=100,umask=077,allow_other", &err),
	    0);
	assert_true(options.read_only);
	assert_true(options.allow_other);
	assert_false(options.fsync_cloud);
	assert_int_equal(options.settle_ms, 2000);
	assert_int_equal(options.uid, 1000);
	assert_int_equal(options.gid, 100);
	assert_int_equal(options.umask, 077);
	assert_false(options.sync);

	assert_int_equal(parse(&options, "sync", &err), 0);
	assert_true(options.sync);
	assert_int_equal(options.settle_ms, 0);

	/* as mount(8) passes an fstab line on */
	assert_int_equal(
	    parse(&options,
		"rw,noexec,nosuid,nodev,noauto,user,_netdev,nofail,x-gvfs-show,x-systemd.requires=a.service,",
		&err),
	    0);
}

static void
test_refused(void **state)
{
	static const char *const lists[] = {"uid=-1", "uid=x", "uid=", "umask=8", "umask=01000",
	    "settle=soon", "fsync=never", "allow", "password=secret"};
	struct fs_options options;
	size_t i;

	for (i = 0; i < ARRAY_LEN(lists); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(parse(&options, lists[i], &err), -EINVAL);
		assert_non_null(
		    strstr(err.msg, "settle") != NULL ? err.msg : strstr(err.msg, "-o "));
	}
}

static void
test_arguments(void **state)
{
	char program[] = "mount.skyferry", o[] = "-o", list[] = "ro", slash[] = "/tmp/.",
	     spec[] = "me:";
	char *argv[] = {program, spec, slash, o, list, NULL}, *none[] = {program, NULL};
	struct settings *settings = settings_new();
	struct err err = ERR_INIT;
	struct fs_options options;

	assert_int_equal(options_parse(&options, settings, 5, argv, &err), 0);
	assert_string_equal(options.directory, "/tmp");
	assert_string_equal(options.spec, "me:");
	assert_true(options.read_only);
	options_fini(&options);
	assert_int_equal(options_parse(&options, settings, 1, none, &err), -EINVAL);
	options_fini(&options);
	settings_free(settings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
