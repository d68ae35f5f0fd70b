/* What only a real server can show of the azure driver. */
#include "providers/providers.h"
#include "providers/sharedkey.h"
#include "src/clock.h"
#include "tests/unit/conformance.h"
#include <stdlib.h>
#include <string.h>

/* Names that others may have put there, and what a listing of "keys" makes of them. */
static void
case_odd_keys(struct subject *s)
{
	static const char *const shown[] = {
	    "keys/a", "keys/both", "keys/dir", "keys/good", "keys/slash", NULL};
	static const char *const keys[] = {"keys/a", "keys/a//b", "keys//c", "keys/both",
	    "keys/both/inner", "keys/good", "keys/slash/", NULL /* 300 bytes */};
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(entry_fini) struct entry entry = entry_none();
	char longest[5 + 300 + 1];

	memset(longest, 'x', sizeof longest);
	memcpy(longest, "keys/", 5);
	longest[sizeof longest - 1] = '\0';
	make_directory(s, "keys");
	make_directory(s, "keys/dir");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		free(put_text(s, keys[i] == NULL ? longest : keys[i],
		    keys[i] != NULL && strcmp(keys[i], "keys/slash/") == 0 ? "" : "x"));

	assert_int_equal(list(s, "keys", &entries), 0);
	for (size_t i = 0; i < entries.len; i++) {
		assert_non_null(shown[i]);
		assert_string_equal(entries.items[i].path, shown[i]);
		assert_int_equal(entries.items[i].kind, i == 3 ? ENTRY_FILE : ENTRY_DIRECTORY);
	}
	assert_null(shown[entries.len]);
	/* STAT and READ find the file that is a directory as well. */
	assert_int_equal(stat_entry(s, "keys/both", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_FILE);
	expect_text(s, "keys/both", "x");
	entry_list_fini(&entries);
	assert_int_equal(list(s, "keys/both", &entries), 0);
	assert_int_equal(entries.len, 1);
	entry_list_fini(&entries);
	/* What cannot be shown is there all the same: its directory is not empty. */
	assert_int_equal(list(s, "keys/a", &entries), 0);
	assert_int_equal(entries.len, 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/a", NULL), -ENOTEMPTY);
	/* A marker as others write it is one. */
	assert_int_equal(list(s, "keys/slash", &entries), 0);
	assert_int_equal(entries.len, 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/slash", NULL), 0);
	assert_int_equal(stat_entry(s, "keys/slash", &entry), -ENOENT);

	expect_hidden(s, "keys/", (const char *const[]){"keys//", longest, NULL});
	expect_hidden(s, "keys//", (const char *const[]){"keys//c", NULL});
	expect_hidden(s, "keys/a/", (const char *const[]){"keys/a//", NULL});
	expect_hidden(s, "keys/both/", (const char *const[]){NULL});
	expect_text(s, "keys/a//b", "x");

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (keys[i] == NULL || strcmp(keys[i], "keys/slash/") != 0)
			assert_int_equal(
			    simple(s, CLOUD_REMOVE, keys[i] == NULL ? longest : keys[i], NULL), 0);
	}
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys/dir", NULL), 0);
	assert_int_equal(simple(s, CLOUD_RMDIR, "keys", NULL), 0);
}

/* Blobs that stand for directories are none to whoever wants a file, and the other way round. */
static void
case_folders(struct subject *s)
{
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);
	CLEANUP(entry_fini) struct entry entry = entry_none();

	make_directory(s, "folders");
	make_directory(s, "folders/empty");
	free(put_text(s, "folders/file", "x"));
	assert_int_equal(stat_entry(s, "folders/empty", &entry), 0);
	assert_int_equal(entry.kind, ENTRY_DIRECTORY);
	assert_int_equal(get_range(s, &got, "folders/empty", NULL, 0, UINT64_MAX), -EISDIR);
	assert_int_equal(simple(s, CLOUD_REMOVE, "folders/empty", NULL), -EISDIR);
	assert_int_equal(simple(s, CLOUD_MKDIR, "folders/file", NULL), -EEXIST);
	assert_int_equal(simple(s, CLOUD_RMDIR, "folders/file", NULL), -ENOTDIR);
	assert_int_equal(list(s, "folders/file", &entries), -ENOENT);
	assert_int_equal(list(s, "folders", &entries), 0);
	assert_int_equal(entries.len, 2);
	assert_int_equal(entries.items[0].kind, ENTRY_DIRECTORY);
	assert_int_equal(entries.items[1].kind, ENTRY_FILE);
	expect_text(s, "folders/file", "x");
}

/* From the container of one account into that of another, by the service. */
static void
case_copy_between_accounts(struct subject *s)
{
	CLEANUP(cleanup_free) char *path = xasprintf("%s/between/to", s->scratch);
	CLEANUP(cleanup_free) char *version = NULL;
	struct subject all = {.name = "all"};
	struct cloud_op *op;

	make_directory(s, "between");
	version = put_text(s, "between/from +\xc3\xa4", "content");
	assert_int_equal(s->open_other(&all), 0);
	assert_true(cloud_copies_from(all.account, s->account));
	op = cloud_op_new(all.account, CLOUD_COPY, path);
	op->from = s->account;
	op->path2 = xstrdup("between/from +\xc3\xa4");
	op->version = xstrdup(version);
	op->length = 7;
	op->put.mtime_ns = 1234567890123456789;
	op->put.content_type = xstrdup("text/x-test");
	if (run(&all, op) != 0)
		fail_msg("copy: %s", all.err.msg);
	assert_int_equal(op->entry.size, 7);
	assert_int_equal(op->entry.mtime_ns, 1234567890123456789);
	cloud_op_free(op);
	expect_text(s, "between/to", "content");
	cloud_account_unref(all.account);
}

static json_t *
server_field(const char *name)
{
	json_t *server = json_loads(getenv("SKYFERRY_TEST_AZURE"), 0, NULL);
	json_t *field = json_incref(json_object_get(server, name));

	json_decref(server);
	return field;
}

static struct subject
open_with(struct subject *s, const char *field, const char *secret)
{
	struct subject other = {.name = "other"};
	json_t *credentials =
	    json_pack("{s:o, s:o, s:s, s:s}", "endpoint", server_field("endpoint"), "accountName",
		server_field("account"), "container", s->scratch, field, secret);

	if (cloud_account_open(&other.account, &azure_driver,
		"00000000-0000-0000-0000-000000000002", "other", credentials, &other.err) != 0)
		fail_msg("%s", other.err.msg);
	json_decref(credentials);
	return other;
}

/* A wrong key, and a shared access signature: valid for one blob and for reading it. */
static void
case_secrets(struct subject *s)
{
	const struct content content = {.text = "x", .put = {.mtime_ns = ENTRY_NO_TIME}};
	CLEANUP(entry_list_fini) struct entry_list entries = {.items = NULL};
	CLEANUP(cleanup_free) char *blob = xasprintf("/%s/secrets/a b+%%\xc3\xa4", s->scratch);
	CLEANUP(buf_free) struct buf sas = BUF_INIT(1000);
	CLEANUP(buf_free) struct buf got = BUF_INIT(1 << 10);
	json_t *account = server_field("account"), *text = server_field("key");
	unsigned char raw[SHAREDKEY_MAX];
	struct sharedkey key = {.account = json_string_value(account), .key = raw};
	struct subject other;

	key.len = (size_t)base64_decode(raw, sizeof raw, json_string_value(text));
	make_directory(s, "secrets");
	free(put_text(s, "secrets/a b+%\xc3\xa4", "shared"));
	free(put_text(s, "secrets/other", "not shared"));
	other = open_with(s, "accountKey", "Z3Vlc3NlZA==");
	assert_int_equal(list(&other, "", &entries), -EACCES);
	assert_non_null(strstr(other.err.msg, "Authorization"));
	assert_null(strstr(other.err.msg, "Z3Vlc3NlZA"));
	cloud_account_unref(other.account);

	assert_true(sharedkey_sas_to_read(&sas, &key, blob, clock_ms() + 60000));
	other = open_with(s, "sasToken", buf_str(&sas));
	assert_int_equal(get_range(&other, &got, "secrets/a b+%\xc3\xa4", NULL, 1, 3), 0);
	assert_string_equal(buf_str(&got), "har");
	assert_int_equal(get_range(&other, &got, "secrets/other", NULL, 0, 1), -EACCES);
	assert_int_equal(
	    put_content(&other, "secrets/a b+%\xc3\xa4", &content, NULL, NULL), -EACCES);
	cloud_account_unref(other.account);
	buf_reset(&sas);
	assert_true(sharedkey_sas_to_read(&sas, &key, blob, clock_ms() - 60000));
	other = open_with(s, "sasToken", buf_str(&sas));
	assert_int_not_equal(get_range(&other, &got, "secrets/a b+%\xc3\xa4", NULL, 0, 1), 0);
	cloud_account_unref(other.account);
	json_decref(account);
	json_decref(text);
}

const struct conformance_case conformance_azure_cases[] = {
    {"names that no path can have", case_odd_keys},
    {"blobs that stand for directories", case_folders},
    {"a copy between accounts", case_copy_between_accounts},
    {"keys and signatures", case_secrets},
    {NULL, NULL},
};
