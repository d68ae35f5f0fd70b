#include "src/paths.h"
#include "src/settings.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"
#include <ctype.h>

/* No variable of ours may come from outside. */
static int
group_setup(void **state)
{
	char **at = environ;

	while (*at != NULL) {
		if (strncmp(*at, "SKYFERRY_", 9) == 0) {
			CLEANUP(cleanup_free) char *name = xstrndup(*at, strcspn(*at, "="));

			unsetenv(name);
			at = environ;
		} else {
			at++;
		}
	}
	setenv("HOME", "/home/ann", 1);
	return 0;
}

static void
test_table_is_sound(void **state)
{
	const struct setting *a;
	size_t i, k;

	for (i = 0; (a = settings_table(i)) != NULL; i++) {
		const char *p;
		int dots = 0;

		for (p = a->name; *p != '\0'; p++) {
			assert_true(islower((unsigned char)*p) || *p == '_' || *p == '.');
			dots += *p == '.';
		}
		assert_int_equal(dots, 1);
		assert_true(a->help != NULL && a->help[0] != '\0');
		assert_int_equal(a->choices != NULL, a->type == SETTING_ENUM);
		if (a->type == SETTING_INT || a->type == SETTING_SIZE || a->type == SETTING_TIME)
			assert_true(a->min >= 0 && a->max > a->min);
		for (k = 0; k < i; k++)
			assert_string_not_equal(a->name, settings_table(k)->name);
	}
	assert_true(i > 0);
}

static void
test_defaults(void **state)
{
	struct settings *s = settings_new();

	assert_string_equal(settings_str(s, "api.listen"), "127.0.0.1:3000");
	assert_string_equal(settings_str(s, "state.dir"), "");
	assert_string_equal(settings_str(s, "log.level"), "info");
	assert_int_equal(settings_int(s, "transfer.max"), 0);
	assert_int_equal(settings_int(s, "transfer.ring"), 1024 * 1024);
	assert_int_equal(settings_int(s, "store.map_size"), 1ll << 40);
	assert_int_equal(settings_int(s, "mount.settle"), 1000);
	assert_int_equal(settings_int(s, "token.lifetime"), 12 * 3600 * 1000);
	assert_true(settings_bool(s, "local.fsync"));
	assert_false(settings_bool(s, "drivers.test"));
	assert_null(settings_list(s, "local.roots", 0));
	settings_free(s);
	settings_free(NULL);
}

static void
test_types(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t number;
	} good[] = {
	    {"transfer.max", "1", 1},
	    {"transfer.max", "100000", 100000},
	    {"transfer.ring", "65536", 65536},
	    {"transfer.ring", "64k", 65536},
	    {"transfer.ring", "16M", 16 << 20},
	    {"store.map_size", "64T", 64ll << 40},
	    {"store.map_size", "3G", 3ll << 30},
	    {"spool.quota", "0", 0},
	    {"mount.settle", "250ms", 250},
	    {"mount.settle", "0", 0},
	    {"mount.settle", "30", 30000},
	    {"mount.settle", "30s", 30000},
	    {"mount.settle", "5m", 300000},
	    {"mount.settle", "1h", 3600000},
	    {"token.lifetime", "30d", 30ll * 86400 * 1000},
	};
	struct settings *s = settings_new();
	struct err err = ERR_INIT;
	size_t i;

	for (i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(settings_set(s, good[i].name, good[i].value, &err), 0);
		assert_int_equal(settings_int(s, good[i].name), good[i].number);
	}
	settings_free(s);
}

static void
test_bool_and_enum(void **state)
{
	static const char *const yes[] = {"yes", "true", "on", "1", "YES", "True"};
	static const char *const no[] = {"no", "false", "off", "0", "No"};
	struct settings *s = settings_new();
	size_t i;

	for (i = 0; i < ARRAY_LEN(yes); i++) {
		settings_set(s, "api.public", "no", NULL);
		assert_int_equal(settings_set(s, "api.public", yes[i], NULL), 0);
		assert_true(settings_bool(s, "api.public"));
	}
	for (i = 0; i < ARRAY_LEN(no); i++) {
		settings_set(s, "api.public", "yes", NULL);
		assert_int_equal(settings_set(s, "api.public", no[i], NULL), 0);
		assert_false(settings_bool(s, "api.public"));
	}
	assert_int_equal(settings_set(s, "log.level", "debug", NULL), 0);
	assert_string_equal(settings_str(s, "log.level"), "debug");
	settings_free(s);
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} bad[] = {
	    {"transfer.max", "100001", "from 0 to 100000"},
	    {"transfer.max", "99999999999999999999", "from 0 to 100000"},
	    {"transfer.max", "", "whole number"},
	    {"transfer.max", "-1", "whole number"},
	    {"transfer.max", "5x", "whole number"},
	    {"transfer.max", " 5", "whole number"},
	    {"transfer.ring", "1K", "from 64K to 16M"},
	    {"transfer.ring", "64KB", "a size such as"},
	    {"transfer.ring", "1.5M", "a size such as"},
	    {"store.map_size", "9223372036854775807T", "from 1M to 64T"},
	    {"mount.settle", "2h", "from 0ms to 1h"},
	    {"transfer.backoff", "0", "from 1ms to 1h"},
	    {"mount.settle", "5 s", "a time such as"},
	    {"mount.settle", "5y", "a time such as"},
	    {"api.public", "maybe", "yes or no"},
	    {"log.level", "loud", "one of error|warning|info|debug"},
	    {"log.level", "", "one of error"},
	    {"log.level", "error|warning", "one of error"},
	    {"no.such", "1", "there is no setting 'no.such'"},
	};
	struct settings *s = settings_new();
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(settings_set(s, bad[i].name, bad[i].value, &err), -EINVAL);
		if (strstr(err.msg, bad[i].says) == NULL || strstr(err.msg, bad[i].name) == NULL)
			fail_msg("%s=%s: %s", bad[i].name, bad[i].value, err.msg);
	}
	assert_int_equal(settings_int(s, "transfer.max"), 0); /* still the default */
	assert_string_equal(settings_str(s, "log.level"), "info");
	settings_free(s);
}

static void
test_paths_and_lists(void **state)
{
	struct settings *s = settings_new();

	settings_set(s, "state.dir", "~/state", NULL);
	assert_string_equal(settings_str(s, "state.dir"), "/home/ann/state");
	settings_set(s, "state.dir", "/a/~/b", NULL);
	assert_string_equal(settings_str(s, "state.dir"), "/a/~/b");
	settings_set(s, "local.roots", "/srv/a:~/b::/c d:", NULL);
	assert_string_equal(settings_list(s, "local.roots", 0), "/srv/a");
	assert_string_equal(settings_list(s, "local.roots", 1), "/home/ann/b");
	assert_string_equal(settings_list(s, "local.roots", 2), "/c d");
	assert_null(settings_list(s, "local.roots", 3));
	settings_set(s, "local.roots", "/only", NULL); /* replaces */
	assert_string_equal(settings_list(s, "local.roots", 0), "/only");
	assert_null(settings_list(s, "local.roots", 1));
	settings_set(s, "local.roots", "", NULL);
	assert_null(settings_list(s, "local.roots", 0));
	settings_free(s);
}

static void
test_argument(void **state)
{
	struct settings *s = settings_new();
	struct err err = ERR_INIT;

	assert_int_equal(settings_set_arg(s, "transfer.max=7", &err), 0);
	assert_int_equal(settings_int(s, "transfer.max"), 7);
	assert_int_equal(settings_set_arg(s, "api.listen=[::1]:80=x", &err), 0);
	assert_string_equal(settings_str(s, "api.listen"), "[::1]:80=x");
	assert_int_equal(settings_set_arg(s, "transfer.max", &err), -EINVAL);
	assert_int_equal(settings_set_arg(s, "=7", &err), -EINVAL);
	assert_int_equal(settings_set_arg(s, "max=7", &err), -EINVAL);
	settings_free(s);
}

/* Loads a file of that text; the message of a failure (without the directory) into out. */
static int
load_text(struct settings *s, const char *text, char *out, size_t size)
{
	char *dir = scratch_make();
	CLEANUP(cleanup_free) char *path = paths_join(dir, "x.conf");
	struct err err = ERR_INIT;
	int code;

	scratch_write(path, text);
	code = settings_load_file(s, path, true, &err);
	snprintf(out, size, "%s",
	    strncmp(err.msg, dir, strlen(dir)) == 0 ? err.msg + strlen(dir) + 1 : err.msg);
	scratch_remove(dir);
	return code;
}

static void
test_file(void **state)
{
	static const char text[] =
	    "# comment\n; another\n\n[transfer]\nmax = 9\nring=1M ; inline\n"
	    "  retries : 3\n[local]\n\troots = /a\n\troots = /b:/c\n[log]\nlevel = "
	    "debug";
	struct settings *s = settings_new();
	char msg[ERR_MSG_MAX];

	settings_set(s, "local.roots", "/before", NULL);
	assert_int_equal(load_text(s, text, msg, sizeof msg), 0);
	assert_int_equal(settings_int(s, "transfer.max"), 9);
	assert_int_equal(settings_int(s, "transfer.ring"), 1 << 20);
	assert_int_equal(settings_int(s, "transfer.retries"), 3);
	assert_string_equal(settings_str(s, "log.level"), "debug");
	assert_string_equal(settings_list(s, "local.roots", 0), "/a");
	assert_string_equal(settings_list(s, "local.roots", 1), "/b");
	assert_string_equal(settings_list(s, "local.roots", 2), "/c");
	assert_null(settings_list(s, "local.roots", 3));
	/* a second file is no repetition */
	assert_int_equal(load_text(s, "[transfer]\nmax = 10\n", msg, sizeof msg), 0);
	assert_int_equal(settings_int(s, "transfer.max"), 10);
	assert_int_equal(load_text(s, "", msg, sizeof msg), 0);
	settings_free(s);
}

static void
test_file_errors_name_the_line(void **state)
{
	static const char *const bad[][2] = {
	    {"[transfer]\n\nmax = none\n",
		"x.conf:3: transfer.max must be a whole number, not 'none'"},
	    {"[transfer]\nmix = 1\nmax = none\n", "x.conf:2: there is no setting 'transfer.mix'"},
	    {"max = 1\n", "x.conf:1: 'max' stands before the first [section]"},
	    {"[log]\nlevel = debug\nnonsense\n",
		"x.conf:3: this is neither a [section] nor 'name = value'"},
	    {"[log\nlevel = debug\n", "x.conf:1: this is neither a [section] nor 'name = value'"},
	    {"[log]\nlevel = debug\nlevel = info\n",
		"x.conf:3: log.level was given already in line 2"},
	    {"[log]\n  level = debug\n  level = info\n",
		"x.conf:3: log.level was given already in line 2"},
	};
	char msg[ERR_MSG_MAX];
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct settings *s = settings_new();

		assert_int_equal(load_text(s, bad[i][0], msg, sizeof msg), -EINVAL);
		assert_string_equal(msg, bad[i][1]);
		settings_free(s);
	}
}

static void
test_file_line_too_long(void **state)
{
	struct settings *s = settings_new();
	char text[8000], msg[ERR_MSG_MAX];

	memset(text, 'x', sizeof text);
	memcpy(text, "[api]\n# ok\nlisten=", 18);
	text[sizeof text - 1] = '\0';
	assert_int_equal(load_text(s, text, msg, sizeof msg), -EINVAL);
	assert_non_null(strstr(msg, "x.conf:3: the line is longer than"));
	text[300] = '\n'; /* too long for inih alone */
	text[301] = '\0';
	assert_int_equal(load_text(s, text, msg, sizeof msg), -EINVAL);
	assert_non_null(strstr(msg, "x.conf:3: the line is longer than"));
	assert_string_equal(settings_str(s, "api.listen"), "127.0.0.1:3000");
	settings_free(s);
}

static void
test_file_that_cannot_be_read(void **state)
{
	struct settings *s = settings_new();
	struct err err = ERR_INIT;

	assert_int_equal(settings_load_file(s, "/nonexistent/skyferry.conf", false, &err), 0);
	assert_int_equal(settings_load_file(s, "/nonexistent/skyferry.conf", true, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/skyferry.conf"));
	assert_int_equal(settings_load_file(s, "/tmp", true, &err), -EISDIR);
	settings_free(s);
}

static void
test_environment(void **state)
{
	struct settings *s = settings_new();
	struct err err = ERR_INIT;

	setenv("SKYFERRY_TRANSFER_MAX", "11", 1);
	setenv("SKYFERRY_TRANSFER_BACKOFF_MAX", "7s", 1);
	setenv("SKYFERRY_URL", "http://example", 1); /* ours, but no setting */
	setenv("SKYFERRY_TEST_ANYTHING", "1", 1);
	setenv("SKYFERRY_CREDENTIAL_secretKey", "1", 1);
	assert_int_equal(settings_load_env(s, &err), 0);
	assert_int_equal(settings_int(s, "transfer.max"), 11);
	assert_int_equal(settings_int(s, "transfer.backoff_max"), 7000);

	setenv("SKYFERRY_TRANSFER_MAX", "none", 1);
	assert_int_equal(settings_load_env(s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "SKYFERRY_TRANSFER_MAX: "));
	unsetenv("SKYFERRY_TRANSFER_MAX");
	setenv("SKYFERRY_TRANSFER_MIX", "1", 1);
	assert_int_equal(settings_load_env(s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "SKYFERRY_TRANSFER_MIX"));
	unsetenv("SKYFERRY_TRANSFER_MIX");
	setenv("SKYFERRY_URLS", "1", 1); /* the whole name counts */
	assert_int_equal(settings_load_env(s, &err), -EINVAL);
	unsetenv("SKYFERRY_URLS");
	settings_free(s);
	group_setup(NULL);
}

static void
test_load_order(void **state)
{
	char *dir = scratch_make();
	CLEANUP(cleanup_free) char *path = paths_join(dir, "x.conf");
	struct settings *s = settings_new();
	struct err err = ERR_INIT;

	scratch_write(path, "[transfer]\nmax = 5\nretries = 5\n");
	setenv("SKYFERRY_CONFIG", path, 1);
	setenv("SKYFERRY_TRANSFER_MAX", "6", 1);
	assert_int_equal(settings_load(s, &err), 0);
	assert_int_equal(settings_int(s, "transfer.max"), 6); /* the environment after the file */
	assert_int_equal(settings_int(s, "transfer.retries"), 5);
	setenv("SKYFERRY_CONFIG", "/nonexistent/x.conf", 1); /* named: must be there */
	assert_int_equal(settings_load(s, &err), -ENOENT);
	unsetenv("SKYFERRY_CONFIG");
	setenv("XDG_CONFIG_HOME", dir, 1);
	assert_int_equal(settings_load(s, &err), 0); /* the usual one: may be missing */
	unsetenv("XDG_CONFIG_HOME");
	settings_free(s);
	scratch_remove(dir);
	group_setup(NULL);
}

static bool
is_setting(const char *name, size_t len)
{
	const struct setting *def;
	size_t i;

	for (i = 0; (def = settings_table(i)) != NULL; i++) {
		if (strlen(def->name) == len && memcmp(def->name, name, len) == 0)
			return true;
	}
	return false;
}

/* The manual page has ".It Va section.name" for each setting, with its default, and for nothing
 * else. */
static void
test_manual_page(void **state)
{
	static const char item[] = "\n.It Va ";
	const char *top = getenv("top_srcdir"), *at;
	CLEANUP(cleanup_free)
	char *path = xasprintf("%s/man/skyferry.conf.5", top != NULL ? top : ".");
	char *text = xcalloc(1, 1 << 20);
	const struct setting *def;
	FILE *file;
	size_t i;

	if (top == NULL) {
		free(text);
		skip();
	}
	file = fopen(path, "re");
	assert_non_null(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	for (i = 0; (def = settings_table(i)) != NULL; i++) {
		CLEANUP(cleanup_free)
		char *want = def->value[0] != '\0'
		    ? xasprintf("%s%s = Ar %s\n", item, def->name, def->value)
		    : xasprintf("%s%s\n", item, def->name);

		if (strstr(text, want) == NULL)
			fail_msg("%s lacks '%s'", path, want + 1);
	}
	for (at = text; (at = strstr(at, item)) != NULL;) {
		at += strlen(item);
		if (!is_setting(at, strcspn(at, " \n")))
			fail_msg(
			    "%s: there is no setting '%.*s'", path, (int)strcspn(at, " \n"), at);
	}
	free(text);
}

static unsigned told_len;

static void
told(const char *name)
{
	assert_string_equal(name, told_len++ == 0 ? "users.register" : "local.roots");
}

static void
test_keep(void **state)
{
	struct settings *old = settings_new(), *s = settings_new();

	assert_int_equal(settings_set(old, "local.roots", "/a:/b", NULL), 0);
	assert_int_equal(settings_set(s, "users.register", "yes", NULL), 0);
	assert_int_equal(settings_set(s, "transfer.max", "7", NULL), 0);
	settings_keep(s, old, told);
	assert_int_equal(told_len, 2);
	assert_string_equal(settings_str(s, "users.register"), "local");
	assert_string_equal(settings_list(s, "local.roots", 1), "/b");
	assert_int_equal(settings_int(s, "transfer.max"), 7);
	settings_free(old);
	settings_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table_is_sound),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_bool_and_enum),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_paths_and_lists),
	    cmocka_unit_test(test_argument),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_file_errors_name_the_line),
	    cmocka_unit_test(test_file_line_too_long),
	    cmocka_unit_test(test_file_that_cannot_be_read),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_load_order),
	    cmocka_unit_test(test_manual_page),
	    cmocka_unit_test(test_keep),
	};

	return cmocka_run_group_tests_name("settings", tests, group_setup, NULL);
}
