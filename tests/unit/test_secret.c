/* Files of secrets, and the names of environment variables. */
#include "tests/unit/check.h"

#include "cli/secret.h"
#include "tests/unit/scratch.h"

static const char *
value(const json_t *values, const char *name)
{
	return json_string_value(json_object_get(values, name));
}

static json_t *
parsed(const char *text)
{
	struct err err = ERR_INIT;
	json_t *values = NULL;

	assert_int_equal(secret_parse(&values, text, "photos", "file", &err), 0);
	return values;
}

static void
test_lines(void **state)
{
	json_t *v = parsed("# comment\n; another\n\n accessKeyId = AKIA \r\n"
			   "secretAccessKey=a=b ;c #d\nempty =\n");

	assert_int_equal(json_object_size(v), 3);
	assert_string_equal(value(v, "accessKeyId"), "AKIA");
	/* nothing of a value is taken for a comment */
	assert_string_equal(value(v, "secretAccessKey"), "a=b ;c #d");
	assert_string_equal(value(v, "empty"), "");
	json_decref(v);
}

static void
test_sections(void **state)
{
	json_t *v = parsed("region = eu\n[photos]\nkey = mine\n[backup]\nkey = other\nx = y\n");

	assert_int_equal(json_object_size(v), 2);
	assert_string_equal(value(v, "key"), "mine");
	assert_string_equal(value(v, "region"), "eu");
	json_decref(v);
}

static void
test_json(void **state)
{
	json_t *v = parsed(" \n{\"key\": \"a\\nb\", \"port\": 80, \"nested\": {\"a\": [1]}}");

	assert_string_equal(value(v, "key"), "a\nb");
	assert_string_equal(value(v, "port"), "80");
	assert_string_equal(value(v, "nested"), "{\"a\":[1]}");
	json_decref(v);
}

static void
refused(const char *text, const char *why)
{
	struct err err = ERR_INIT;
	json_t *values = NULL;

	assert_int_equal(secret_parse(&values, text, "photos", "file", &err), -EINVAL);
	assert_null(values);
	assert_string_equal(err.msg, why);
	/* a message is printed and logged: nothing of the content may be in it */
	assert_null(strstr(err.msg, "hunter2"));
}

static void
test_refusals(void **state)
{
	refused("a = b\nhunter2\n", "'file', line 2: 'name = value' is expected");
	refused("= hunter2\n", "'file', line 1: 'name = value' is expected");
	refused("k = \xff\n", "'file', line 1: not UTF-8");
	refused("{\"key\": hunter2}", "'file' is no JSON object (line 1)");
	refused("{\"a\":\"b\",\"a\":\"c\"}", "'file' is no JSON object (line 1)");
}

static void
test_files(void **state)
{
	char *dir = scratch_make(), *path = xasprintf("%s/secrets", dir), *line = NULL;
	struct err err = ERR_INIT;
	json_t *values = NULL;
	FILE *big;

	scratch_write(path, "first\nsecond\n");
	chmod(path, 0600);
	assert_int_equal(secret_read_line(&line, path, &err), 0);
	assert_string_equal(line, "first");
	mem_wipe_free(line);
	scratch_write(path, "\nx\n");
	assert_int_equal(secret_read_line(&line, path, &err), -EINVAL);
	big = fopen(path, "we");
	for (int i = 0; i < 70000; i++)
		putc('x', big);
	fclose(big);
	assert_int_equal(secret_read_file(&values, path, "photos", &err), -EFBIG);
	assert_int_equal(secret_read_file(&values, dir, "photos", &err), -EISDIR);
	unlink(path);
	assert_int_equal(secret_read_file(&values, path, "photos", &err), -ENOENT);
	free(path);
	scratch_remove(dir);
}

static void
test_environment(void **state)
{
	char name[64];

	secret_env_name(name, sizeof(name), "secretAccessKey");
	assert_string_equal(name, "SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY");
	setenv(name, "s3cret", 1);
	assert_string_equal(secret_from_env("secretAccessKey"), "s3cret");
	assert_null(secret_from_env("token"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_sections),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
