/*
 * Every driver through the same cases, by the real runner: memory and local always, s3 when
 * SKYFERRY_TEST_S3 holds what tests/servers/start-radosgw.sh prints, azure when SKYFERRY_TEST_AZURE
 * holds what start-azurite.sh prints, gcs, gdrive and dropbox when SKYFERRY_TEST_GCS and so on hold
 * what their fakes in tests/fakes print.  A new driver gets one entry in `subjects`.
 */
#include "providers/providers.h"
#include "src/clock.h"
#include "src/memory.h"
#include "tests/unit/conformance.h"
#include "tests/unit/scratch.h"
#include <inttypes.h>
#include <sys/stat.h>

#define EXTRAS_MAX 4 /* of one subject */

struct loop *loop;
struct cloud_runner *runner;
static struct pool *pool;

static int
subject_open(struct subject *s, const struct cloud_driver *driver, json_t *credentials)
{
	int code = cloud_account_open(&s->account, driver, "00000000-0000-0000-0000-000000000001",
	    s->name, credentials, &s->err);

	json_decref(credentials);
	if (code != 0)
		print_error("%s: %s\n", s->name, s->err.msg);
	return code;
}

static int
open_memory(struct subject *s)
{
	return subject_open(s, &memory_driver, json_pack("{s:s}", "server", "conformance"));
}

static void
close_memory(struct subject *s)
{
	memory_forget("conformance");
}

static int
open_local(struct subject *s)
{
	s->scratch = scratch_make();
	return subject_open(
	    s, &local_driver, json_pack("{s:s, s:s}", "root", s->scratch, "fsync", "no"));
}

static void
close_local(struct subject *s)
{
	scratch_remove(s->scratch);
}

static json_t *
s3_credentials(void)
{
	static const char *const optional[] = {
	    "ca", "checksum", "customerKey", "encryption", "service", "style"};
	const char *text = getenv("SKYFERRY_TEST_S3");
	json_t *server = text == NULL ? NULL : json_loads(text, 0, NULL);
	json_t *credentials;

	if (server == NULL)
		return NULL;
	credentials = json_pack("{s:O, s:O, s:O, s:O}", "endpoint",
	    json_object_get(server, "endpoint"), "region", json_object_get(server, "region"),
	    "accessKeyId", json_object_get(server, "access_key"), "secretAccessKey",
	    json_object_get(server, "secret_key"));
	for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
		json_t *value = json_object_get(server, optional[i]);

		if (value != NULL)
			json_object_set(credentials, optional[i], value);
	}
	json_decref(server);
	return credentials;
}

/* At the top of an account without a bucket setting a directory is a bucket.  Takes the
   credentials. */
static int
bucket_op(struct subject *s, const struct cloud_driver *driver, json_t *credentials,
    enum cloud_op_kind kind)
{
	struct account *account = s->account;
	int code;

	s->account = NULL;
	code = subject_open(s, driver, credentials);
	if (code == 0)
		code = simple(s, kind, s->scratch, NULL);
	if (code != 0)
		print_error("bucket %s: %s\n", s->scratch, s->err.msg);
	cloud_account_unref(s->account);
	s->account = account;
	return code;
}

/* In a bucket of its own, which the credentials' field names. */
static int
open_bucket(
    struct subject *s, const struct cloud_driver *driver, json_t *(*get)(void), const char *field)
{
	json_t *credentials = get();
	int code;

	if (credentials == NULL)
		return 1;
	s->scratch = xasprintf("conformance-%d-%" PRIu64, (int)getpid(), clock_ms());
	json_object_set_new(credentials, field, json_string(s->scratch));
	code = bucket_op(s, driver, get(), CLOUD_MKDIR);
	if (code != 0) {
		json_decref(credentials);
		return code;
	}
	return subject_open(s, driver, credentials);
}

static int
open_s3(struct subject *s)
{
	return open_bucket(s, &s3_driver, s3_credentials, "bucket");
}

static int
open_s3_all(struct subject *s)
{
	return subject_open(s, &s3_driver, s3_credentials());
}

static void
remove_tree(struct subject *s, const char *dir)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};

	if (list(s, dir, &entries) != 0)
		return;
	for (size_t i = 0; i < entries.len; i++) {
		if (entries.items[i].kind == ENTRY_DIRECTORY)
			remove_tree(s, entries.items[i].path);
		else
			simple(s, CLOUD_REMOVE, entries.items[i].path, NULL);
	}
	if (*dir != '\0')
		simple(s, CLOUD_RMDIR, dir, NULL);
}

static void
close_bucket(struct subject *s, const struct cloud_driver *driver, json_t *(*get)(void))
{
	remove_tree(s, "");
	if (bucket_op(s, driver, get(), CLOUD_RMDIR) != 0)
		exit(99);
	free(s->scratch);
}

static void
close_s3(struct subject *s)
{
	close_bucket(s, &s3_driver, s3_credentials);
}

static json_t *
azure_credentials(void)
{
	const char *text = getenv("SKYFERRY_TEST_AZURE");
	json_t *server = text == NULL ? NULL : json_loads(text, 0, NULL);
	json_t *credentials;

	if (server == NULL)
		return NULL;
	credentials = json_pack("{s:O, s:O, s:O}", "endpoint", json_object_get(server, "endpoint"),
	    "accountName", json_object_get(server, "account"), "accountKey",
	    json_object_get(server, "key"));
	json_decref(server);
	return credentials;
}

static int
open_azure(struct subject *s)
{
	return open_bucket(s, &azure_driver, azure_credentials, "container");
}

static int
open_azure_all(struct subject *s)
{
	return subject_open(s, &azure_driver, azure_credentials());
}

static void
close_azure(struct subject *s)
{
	close_bucket(s, &azure_driver, azure_credentials);
}

static json_t *
gcs_credentials(void)
{
	const char *text = getenv("SKYFERRY_TEST_GCS");
	json_t *server = text == NULL ? NULL : json_loads(text, 0, NULL);
	const char *endpoint = json_string_value(json_object_get(server, "endpoint"));
	CLEANUP(cleanup_free) char *tokens = NULL;
	json_t *credentials;

	if (endpoint == NULL)
		return NULL;
	tokens = xasprintf("%s/token", endpoint);
	credentials = json_pack("{s:s, s:s, s:O}", "endpoint", endpoint, "tokenEndpoint", tokens,
	    "serviceAccount", json_object_get(server, "serviceAccount"));
	json_decref(server);
	return credentials;
}

static int
open_gcs(struct subject *s)
{
	return open_bucket(s, &gcs_driver, gcs_credentials, "bucket");
}

static int
open_gcs_all(struct subject *s)
{
	return subject_open(s, &gcs_driver, gcs_credentials());
}

/* Where the service has no uploads in parts, or is not to be asked for them. */
static json_t *
gcs_session_credentials(void)
{
	json_t *credentials = gcs_credentials();

	if (credentials != NULL)
		json_object_set_new(credentials, "uploads", json_string("resumable"));
	return credentials;
}

static int
open_gcs_sessions(struct subject *s)
{
	return open_bucket(s, &gcs_driver, gcs_session_credentials, "bucket");
}

static void
close_gcs(struct subject *s)
{
	close_bucket(s, &gcs_driver, gcs_credentials);
}

/* The top of the account is cleared at the end: rootFolder names one for the tests. */
static int
open_gdrive(struct subject *s)
{
	const char *text = getenv("SKYFERRY_TEST_GDRIVE");
	json_t *server = text == NULL ? NULL : json_loads(text, 0, NULL);
	static const char *const names[] = {
	    "endpoint", "clientId", "clientSecret", "refreshToken", "rootFolder"};
	json_t *credentials = json_object();

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (json_is_string(json_object_get(server, names[i])))
			json_object_set(credentials, names[i], json_object_get(server, names[i]));
	}
	if (server == NULL) {
		json_decref(credentials);
		return 1;
	}
	if (json_is_string(json_object_get(server, "tokenPath")))
		json_object_set_new(credentials, "tokenEndpoint",
		    json_sprintf("%s%s", json_string_value(json_object_get(server, "endpoint")),
			json_string_value(json_object_get(server, "tokenPath"))));
	json_decref(server);
	return subject_open(s, &gdrive_driver, credentials);
}

static void
close_gdrive(struct subject *s)
{
	remove_tree(s, "");
}

/* Faults reach uploads too. */
static void
lost_upload(struct subject *s)
{
	struct cloud_op *op = cloud_op_new(s->account, CLOUD_UPLOAD_BEGIN, "lost/upload");
	struct cloud_op *part = cloud_op_new(s->account, CLOUD_UPLOAD_PART, "lost/upload");
	struct cloud_op *commit = cloud_op_new(s->account, CLOUD_UPLOAD_COMMIT, "lost/upload");
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct flow flow = {.len = 1000};

	memory_fault("conformance", "POST", 2, 503, 0, 0);
	assert_int_equal(run(s, op), 0);
	part->upload = xstrdup(op->upload);
	part->part.number = 1;
	part->length = 1000;
	for (int i = 0; i < 2; i++) {
		if (i == 0)
			memory_fault("conformance", "PUT", 1, 0, 500, 0);
		flow.at = 0;
		flow_init(&flow, part);
		assert_int_equal(run(s, part), i == 0 ? -ECONNRESET : 0);
		flow_fini(&flow, NULL);
	}
	/* It is made, the answer is lost, and the upload is gone: the runner asks again. */
	commit->upload = TAKE(op->upload);
	*upload_parts_add(&commit->parts) = part->part;
	memory_fault("conformance", "POST", 1, 0, UINT64_MAX, 0);
	assert_int_equal(run(s, commit), 0);
	assert_int_equal(stat_entry(s, "lost/upload", &entry), 0);
	assert_int_equal(entry.size, 1000);
	part->ring = NULL;
	cloud_op_free(op);
	cloud_op_free(part);
	cloud_op_free(commit);
}

/* A read goes on where the connection was lost, with the version that it began with. */
static void
case_lost_connection(struct subject *s)
{
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);

	make_directory(s, "lost");
	free(put_text(s, "lost/file", "0123456789"));
	memory_fault("conformance", "GET", 1, 0, 4, 0);
	memory_fault("conformance", "GET", 1, 503, 0, 0);
	assert_int_equal(get_range(s, &got, "lost/file", NULL, 1, 8), 0);
	assert_string_equal(buf_str(&got), "12345678");
	lost_upload(s);
}

static void
case_wrong_secret(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	struct subject wrong = {.name = "wrong"};
	json_t *credentials = s3_credentials();

	json_object_set_new(credentials, "bucket", json_string(s->scratch));
	json_object_set_new(credentials, "secretAccessKey", json_string("guessed"));
	assert_int_equal(subject_open(&wrong, &s3_driver, credentials), 0);
	assert_int_equal(stat_entry(&wrong, "", &entry), -EACCES); /* HEAD has no words */
	assert_int_equal(list(&wrong, "", &entries), -EKEYEXPIRED);
	assert_non_null(strstr(wrong.err.msg, "SignatureDoesNotMatch"));
	assert_null(strstr(wrong.err.msg, "guessed"));
	cloud_account_unref(wrong.account);
}

/* `token`: which of the fake's people. */
static int
open_dropbox_as(struct subject *s, const char *token)
{
	const char *text = getenv("SKYFERRY_TEST_DROPBOX");
	json_t *server = text == NULL ? NULL : json_loads(text, 0, NULL);
	CLEANUP(cleanup_free) char *token_url = NULL;
	json_t *credentials;

	if (server == NULL)
		return 1;
	token_url = xasprintf("%s%s", json_string_value(json_object_get(server, "endpoint")),
	    json_string_value(json_object_get(server, "tokenPath")));
	credentials =
	    json_pack("{s:O, s:s, s:O, s:O, s:O}", "endpoint", json_object_get(server, "endpoint"),
		"tokenEndpoint", token_url, "clientId", json_object_get(server, "clientId"),
		"clientSecret", json_object_get(server, "clientSecret"), "refreshToken",
		json_object_get(server, token));
	json_decref(server);
	return subject_open(s, &dropbox_driver, credentials);
}

static int
open_dropbox(struct subject *s)
{
	return open_dropbox_as(s, "refreshToken");
}

static int
open_dropbox_other(struct subject *s)
{
	return open_dropbox_as(s, "otherRefreshToken");
}

static void
close_dropbox(struct subject *s)
{
	remove_tree(s, "");
}

/* Of those that case_odd_names() tries. */
static const char *const dropbox_no_names[] = {"trail ", "back\\slash", NULL};
static const char *const azure_no_names[] = {"new\nline", "back\\slash", "tab\t", "...", NULL};
static const char *const gcs_no_names[] = {"new\nline", NULL};

static struct subject subjects[] = {
    {
	.name = "memory",
	.extra = {"a lost connection", case_lost_connection},
	.open = open_memory,
	.close = close_memory,
	.many = 2500,
	.many_parts = 2100,
	.keeps_type = true,
	.has_usage = true,
    },
    {
	.name = "local",
	.open = open_local,
	.close = close_local,
	.many = 2500,
	.has_usage = true,
    },
    {
	.name = "s3",
	.extra = {"a wrong secret", case_wrong_secret},
	.extras = conformance_s3_cases,
	.open = open_s3,
	.open_other = open_s3_all,
	.close = close_s3,
	.many = 1100,
	.many_parts = 1010,
	.keeps_type = true,
    },
    {
	.name = "azure",
	.extras = conformance_azure_cases,
	.open = open_azure,
	.open_other = open_azure_all,
	.close = close_azure,
	.many = 1100,
	.many_parts = 100,
	.keeps_type = true,
	.lapses = true,
	.no_names = azure_no_names,
	.put_hashes_untold = HASH_BIT(HASH_CRC64), /* Azurite; Azure tells it */
    },
    {
	.name = "gcs",
	.extras = conformance_gcs_cases,
	.open = open_gcs,
	.open_other = open_gcs_all,
	.close = close_gcs,
	.many = 2100,
	.many_parts = 1010,
	.keeps_type = true,
	.copies_whole = true,
	.no_names = gcs_no_names,
    },
    {
	.name = "gcs sessions",
	.extras = conformance_gcs_cases,
	.open = open_gcs_sessions,
	.open_other = open_gcs_all,
	.close = close_gcs,
	.many = 2100,
	.many_parts = 1,
	.keeps_type = true,
	.unlisted = true,
	.copies_whole = true,
	.no_names = gcs_no_names,
    },
    {
	.name = "dropbox",
	.extras = conformance_dropbox_cases,
	.open = open_dropbox,
	.open_other = open_dropbox_other,
	.close = close_dropbox,
	.many = 2100,
	.has_usage = true,
	.mtime_unit = 1000000000,
	.no_names = dropbox_no_names,
    },
    {
	.name = "gdrive",
	.open = open_gdrive,
	.close = close_gdrive,
	.many = 1100,
	.many_parts = 1,
	.keeps_type = true,
	.has_usage = true,
	.unlisted = true,
	.copies_whole = true,
	.copies_anew = true,
	.mtime_unit = 1000000,
    },
};

struct test {
	struct subject *subject;
	void (*run)(struct subject *);
};

static void
run_case(void **state)
{
	struct test *test = *state;

	test->run(test->subject);
}

static bool
open_all(void)
{
	const struct cloud_runner_config config = {
	    .http = {.connect_timeout_ms = 5000,
		.stall_timeout_ms = 20000,
		.buffer = 64 * 1024,
		.user_agent = "skyferry-test"},
	    .backoff_base_ms = 1,
	};
	struct err err = ERR_INIT;

	loop = loop_new("test", &err);
	pool = pool_new(2, &err);
	runner = loop == NULL || pool == NULL ? NULL : cloud_runner_new(loop, pool, &config, &err);
	if (runner == NULL) {
		print_error("%s\n", err.msg);
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		int code = subjects[i].open(&subjects[i]);

		if (code < 0)
			return false;
		if (code > 0)
			print_message("# %s is not configured, and left out\n", subjects[i].name);
	}
	return true;
}

static void
close_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		if (subjects[i].account == NULL)
			continue;
		subjects[i].close(&subjects[i]);
		cloud_account_unref(subjects[i].account);
	}
	cloud_runner_free(runner);
	pool_free(pool);
	loop_free(loop);
}

static size_t
add_test(struct CMUnitTest *test, struct test *entry, struct subject *subject,
    const struct conformance_case *one)
{
	if (one->run == NULL)
		return 0;
	*entry = (struct test){subject, one->run};
	*test = (struct CMUnitTest){
	    .name = xasprintf("%s: %s", subject->name, one->name),
	    .test_func = run_case,
	    .initial_state = entry,
	};
	return 1;
}

/* cmocka's "skip" is a failure in TAP ("not ok"): what is not configured has no tests. */
static size_t
make_tests(struct CMUnitTest *tests, struct test *matrix)
{
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		struct subject *s = &subjects[i];

		if (s->account == NULL)
			continue;
		for (size_t at = 0; at < conformance_cases_len(); at++)
			len += add_test(&tests[len], &matrix[len], s, &conformance_cases[at]);
		for (size_t at = 0; at < conformance_upload_cases_len(); at++) {
			if (s->account->driver->limits.part_max > 0 &&
			    !can(s, CLOUD_UPLOADS_UNTOLD))
				len += add_test(
				    &tests[len], &matrix[len], s, &conformance_upload_cases[at]);
		}
		len += add_test(&tests[len], &matrix[len], s, &s->extra);
		for (size_t at = 0; s->extras != NULL && s->extras[at].run != NULL; at++)
			len += add_test(&tests[len], &matrix[len], s, &s->extras[at]);
	}
	return len;
}

int
main(void)
{
	size_t each = conformance_cases_len() + conformance_upload_cases_len() + EXTRAS_MAX, len;
	size_t max = ARRAY_LEN(subjects) * each;
	struct test *matrix = xcalloc(max, sizeof *matrix);
	struct CMUnitTest *tests = xcalloc(max, sizeof *tests);
	int failed;

	if (!open_all())
		return 99; /* Automake: the test could not be set up */
	len = make_tests(tests, matrix);
	failed = _cmocka_run_group_tests("conformance", tests, len, NULL, NULL);
	close_all();
	for (size_t i = 0; i < len; i++)
		free((char *)tests[i].name);
	free(tests);
	free(matrix);
	return failed;
}
