#include "src/change.h"
#include "tests/unit/check.h"
#include <stdlib.h>
#include <string.h>

#define ID      "0e6f1c5e-6a1c-4f0b-9c53-0d6c0a3f7a11"
#define USER    "7d1f6f0a-0000-4000-8000-000000000001"
#define ACCOUNT "7d1f6f0a-0000-4000-8000-00000000000a"

static struct change *
change_plain(enum change_kind kind)
{
	struct change *c = change_new();

	memcpy(c->id, ID, sizeof ID);
	memcpy(c->user_id, USER, sizeof USER);
	c->kind = kind;
	c->state = CHANGE_QUEUED;
	c->account_id = xstrdup(ACCOUNT);
	c->path = xstrdup("dir/file");
	return c;
}

static struct change *
change_full(void)
{
	struct change *c = change_plain(CHANGE_TRANSFER);
	struct segment *s = change_add_segment(c, SEGMENT_ENTRY);

	s->account_id = xstrdup("source account");
	s->path = xstrdup("a/b");
	s->version = xstrdup("\"v1\"");
	s->length = SEGMENT_TO_END;
	c->state = CHANGE_RUNNING;
	c->phase = CHANGE_PHASE_VERIFIED;
	c->move = true;
	c->tree = true;
	c->overwrite = false;
	c->preserve = false;
	c->version = xstrdup("v0");
	c->mtime_ns = 0; /* 1970 is a time */
	c->mtime_set = false;
	c->mode = 0644;
	c->content_type = xstrdup("text/plain");
	c->priority = 0;
	c->attempts = 2;
	c->retries_max = 8;
	c->created_ms = 1795417200001;
	c->not_before_ms = 1795417200002;
	c->started_ms = 1795417200003;
	c->finished_ms = 1795417200004;
	c->mount_id = xstrdup("mount");
	c->cancel = true;
	c->bytes_total = 0; /* known to be empty */
	c->bytes_done = 9;
	c->route = xstrdup("relay");
	c->route_reason = xstrdup("other driver");
	c->verified = xstrdup("crc32c,size");
	c->result_version = xstrdup("v2");
	c->error = -EAGAIN;
	c->error_text = xstrdup("slow down");
	c->seq = 1ull << 40;
	c->blockers = 3;
	c->owner = xstrdup("daemon-1");
	c->lease_ms = 1795417200005;
	return c;
}

static void
assert_segment(const struct segment *a, const struct segment *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->offset, b->offset);
	assert_int_equal(a->length, b->length);
	assert_string_equal(a->account_id != NULL ? a->account_id : "-",
	    b->account_id != NULL ? b->account_id : "-");
	assert_string_equal(a->path != NULL ? a->path : "-", b->path != NULL ? b->path : "-");
	assert_string_equal(
	    a->version != NULL ? a->version : "-", b->version != NULL ? b->version : "-");
}

static void
assert_change(const struct change *a, const struct change *b)
{
	size_t i;

	assert_string_equal(a->id, b->id);
	assert_string_equal(a->user_id, b->user_id);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->phase, b->phase);
	assert_string_equal(a->account_id, b->account_id);
	assert_string_equal(a->path, b->path);
	assert_int_equal(a->segments_len, b->segments_len);
	for (i = 0; i < a->segments_len; i++)
		assert_segment(&a->segments[i], &b->segments[i]);
	assert_int_equal(a->move, b->move);
	assert_int_equal(a->tree, b->tree);
	assert_int_equal(a->overwrite, b->overwrite);
	assert_int_equal(a->preserve, b->preserve);
	assert_string_equal(a->version, b->version);
	assert_int_equal(a->mtime_ns, b->mtime_ns);
	assert_int_equal(a->mtime_set, b->mtime_set);
	assert_int_equal(a->mode, b->mode);
	assert_string_equal(a->content_type, b->content_type);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->attempts, b->attempts);
	assert_int_equal(a->retries_max, b->retries_max);
	assert_int_equal(a->created_ms, b->created_ms);
	assert_int_equal(a->not_before_ms, b->not_before_ms);
	assert_int_equal(a->started_ms, b->started_ms);
	assert_int_equal(a->finished_ms, b->finished_ms);
	assert_string_equal(a->mount_id, b->mount_id);
	assert_int_equal(a->cancel, b->cancel);
	assert_int_equal(a->bytes_total, b->bytes_total);
	assert_int_equal(a->bytes_done, b->bytes_done);
	assert_string_equal(a->route, b->route);
	assert_string_equal(a->route_reason, b->route_reason);
	assert_string_equal(a->verified, b->verified);
	assert_string_equal(a->result_version, b->result_version);
	assert_int_equal(a->error, b->error);
	assert_string_equal(a->error_text, b->error_text);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->blockers, b->blockers);
	assert_string_equal(a->owner, b->owner);
	assert_int_equal(a->lease_ms, b->lease_ms);
}

static void
test_round_trip(void **state)
{
	struct change *c = change_full(), *copy = change_copy(c), *back = NULL;
	struct err err = ERR_INIT;
	json_t *json = change_to_json(c);

	assert_change(c, copy);
	assert_ptr_not_equal(c->segments, copy->segments);
	assert_int_equal(change_from_json(&back, json, &err), 0);
	assert_change(c, back);
	json_decref(json);
	change_free(c);
	change_free(copy);
	change_free(back);
	change_free(NULL);
}

static void
test_defaults_are_left_out(void **state)
{
	struct change *c = change_plain(CHANGE_REMOVE), *back = NULL;
	struct err err = ERR_INIT;
	json_t *json = change_to_json(c);
	char *text = json_dumps(json, JSON_COMPACT);

	assert_string_equal(text,
	    "{\"id\":\"" ID "\",\"userId\":\"" USER "\",\"kind\":\"remove\","
	    "\"state\":\"queued\",\"accountId\":\"" ACCOUNT "\",\"path\":\"dir/file\"}");
	assert_int_equal(change_from_json(&back, json, &err), 0);
	assert_int_equal(back->priority, 5);
	assert_true(back->overwrite && back->preserve && back->mtime_set);
	assert_int_equal(back->mtime_ns, ENTRY_NO_TIME);
	assert_int_equal(back->bytes_total, UINT64_MAX);
	assert_int_equal(back->phase, CHANGE_PHASE_COPY);
	free(text);
	json_decref(json);
	change_free(c);
	change_free(back);
}

/* A hostile answer may hold a version of any length and any bytes; its record must stay readable.
 */
static void
test_long_version(void **state)
{
	struct change *c = change_plain(CHANGE_TRANSFER), *back = NULL;
	struct err err = ERR_INIT;
	json_t *json;

	c->result_version = xcalloc(1, 65537);
	memset(c->result_version, 0xff, 65536);
	json = change_to_json(c);
	assert_int_equal(change_from_json(&back, json, &err), 0);
	assert_int_equal(strlen(back->result_version), 3 * 65536);
	json_decref(json);
	change_free(c);
	change_free(back);
}

/* Each of these, put into a good change, makes it a bad one. */
static const struct {
	const char *key, *value;
} bad_members[] = {
    {"id", "7"}, {"id", "null"}, {"id", "\"\""},
    {"id", "\"0e6f1c5e-6a1c-4f0b-9c53-0d6c0a3f7a11x\""}, {"userId", "null"}, {"kind", "\"copy\""},
    {"kind", "null"}, {"state", "\"sleeping\""}, {"phase", "\"done\""}, {"accountId", "null"},
    {"path", "null"}, {"path", "\"/a\""}, {"path", "\"a/../b\""}, {"segments", "{}"},
    {"overwrite", "1"}, {"mode", "65536"}, {"mode", "-1"}, {"priority", "11"},
    {"priority", "\"5\""}, {"attempts", "4294967296"}, {"createdMs", "-1"}, {"bytesTotal", "1.5"},
    {"error", "5"}, {"errorText", "[]"}, {"move", "true"}, /* has no source */
    {"kind", "\"rename\""}, /* has no source */
};

static void
test_refusals(void **state)
{
	struct change *back = NULL;
	struct err err = ERR_INIT;
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad_members); i++) {
		struct change *c = change_plain(CHANGE_TRANSFER);
		json_t *json = change_to_json(c);
		json_t *value = json_loads(bad_members[i].value, JSON_DECODE_ANY, NULL);

		assert_non_null(value);
		assert_int_equal(change_from_json(&back, json, &err), 0);
		change_free(TAKE(back));
		json_object_set_new(json, bad_members[i].key, value);
		err_clear(&err);
		if (change_from_json(&back, json, &err) != -EINVAL)
			fail_msg("%s: %s was taken", bad_members[i].key, bad_members[i].value);
		assert_null(back);
		assert_string_not_equal(err.msg, "");
		json_decref(json);
		change_free(c);
	}
	assert_int_equal(change_from_json(&back, array, &err), -EINVAL);
	json_decref(array);
}

static void
test_segments(void **state)
{
	static const char text[] =
	    "[{\"account\":\"acc\",\"path\":\"a/b\",\"version\":\"v\",\"offset\":10,\"length\":5},"
	    "{\"spool\":\"f1\",\"length\":3},{\"zero\":true,\"length\":0},{\"zero\":true,\"length\":9}]";
	struct change *c = change_plain(CHANGE_TRANSFER);
	struct err err = ERR_INIT;
	json_t *in = json_loads(text, 0, NULL), *out;
	char *dumped;

	change_add_segment(c, SEGMENT_ZERO); /* replaced */
	assert_int_equal(segments_from_json(c, in, &err), 0);
	assert_int_equal(c->segments_len, 4);
	assert_int_equal(c->segments[0].kind, SEGMENT_ENTRY);
	assert_int_equal(c->segments[0].offset, 10);
	assert_int_equal(c->segments[1].kind, SEGMENT_SPOOL);
	assert_string_equal(c->segments[1].path, "f1");
	assert_int_equal(c->segments[3].kind, SEGMENT_ZERO);
	assert_int_equal(c->segments[3].length, 9);
	assert_null(change_source(c));
	out = segments_to_json(c->segments, c->segments_len);
	dumped = json_dumps(out, JSON_COMPACT);
	assert_string_equal(dumped, text);
	free(dumped);
	json_decref(in);
	json_decref(out);
	change_free(c);
}

static const char *const bad_segments[] = {
    "{}",
    "[7]",
    "[{}]",
    "[{\"zero\":true}]",
    "[{\"zero\":false,\"length\":1}]",
    "[{\"account\":\"a\"}]",
    "[{\"account\":\"\",\"path\":\"x\"}]",
    "[{\"account\":\"a\",\"path\":\"\"}]",
    "[{\"account\":\"a\",\"path\":\"/x\"}]",
    "[{\"account\":\"a\",\"path\":\"x/../y\"}]",
    "[{\"account\":\"a\",\"path\":\"x\",\"spool\":\"f\"}]",
    "[{\"path\":\"x\"}]",
    "[{\"spool\":\"f\",\"path\":\"x\"}]",
    "[{\"spool\":\"\"}]",
    "[{\"spool\":\"..\"}]",
    "[{\"spool\":\".hidden\"}]",
    "[{\"spool\":\"../key\"}]",
    "[{\"spool\":\"f\",\"zero\":true,\"length\":1}]",
    "[{\"spool\":\"f\",\"offset\":1}]",
    "[{\"spool\":\"f\",\"offset\":-1,\"length\":1}]",
    "[{\"spool\":\"f\",\"length\":-1}]",
    "[{\"spool\":\"f\",\"offset\":9223372036854775807,\"length\":1}]",
    "[{\"spool\":\"f\"},{\"zero\":true,\"length\":1}]",
};

static void
test_segment_refusals(void **state)
{
	struct change *c = change_plain(CHANGE_TRANSFER);
	struct err err = ERR_INIT;
	json_t *json;
	int i;

	for (i = 0; i < (int)ARRAY_LEN(bad_segments); i++) {
		json = json_loads(bad_segments[i], 0, NULL);
		assert_non_null(json);
		err_clear(&err);
		if (segments_from_json(c, json, &err) != -EINVAL)
			fail_msg("%s was taken", bad_segments[i]);
		assert_string_not_equal(err.msg, "");
		json_decref(json);
	}
	assert_non_null(strstr(err.msg, "segment 0:"));

	json = json_loads(
	    "[{\"zero\":true,\"length\":9223372036854775807},{\"zero\":true,\"length\":1}]", 0,
	    NULL);
	assert_int_equal(segments_from_json(c, json, &err), -EFBIG);
	json_decref(json);

	json = json_array();
	for (i = 0; i <= SEGMENTS_MAX; i++)
		json_array_append_new(json, json_pack("{s:b,s:i}", "zero", 1, "length", 1));
	assert_int_equal(segments_from_json(c, json, &err), -E2BIG);
	json_array_remove(json, 0);
	assert_int_equal(segments_from_json(c, json, &err), 0);
	assert_int_equal(c->segments_len, SEGMENTS_MAX);
	json_decref(json);
	change_free(c);
}

/* A key may be what no path can express: that of what is removed, and of a transfer's source. */
static void
test_by_key(void **state)
{
	static const struct {
		enum change_kind kind;
		bool by_key;
		const char *path, *source; /* NULL: none */
		int code;
	} cases[] = {
	    {CHANGE_REMOVE, true, "a//b", NULL, 0},
	    {CHANGE_REMOVE, true, "/", NULL, 0},
	    {CHANGE_REMOVE, true, "", NULL, 0},
	    {CHANGE_REMOVE, false, "a//b", NULL, -EINVAL},
	    {CHANGE_RMDIR, true, "a//b", NULL, -EINVAL},
	    {CHANGE_MKDIR, true, "d/", NULL, -EINVAL},
	    {CHANGE_TRANSFER, true, "b", "/../d/", 0},
	    {CHANGE_TRANSFER, true, "b", "a", 0},
	    {CHANGE_TRANSFER, false, "b", "d/", -EINVAL},
	    {CHANGE_TRANSFER, true, "b/", "a", -EINVAL},
	    {CHANGE_TREE, true, "b", "d/", -EINVAL},
	    {CHANGE_RENAME, true, "b", "d/", -EINVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct change *c = change_plain(cases[i].kind), *again = NULL;
		struct err err = ERR_INIT;
		json_t *json;

		change_clear_segments(c);
		xstrset(&c->path, cases[i].path);
		c->by_key = cases[i].by_key;
		if (cases[i].source != NULL) {
			struct segment *s = change_add_segment(c, SEGMENT_ENTRY);

			s->account_id = xstrdup("acc");
			s->path = xstrdup(cases[i].source);
			s->length = SEGMENT_TO_END;
		}
		json = change_to_json(c);
		if (change_from_json(&again, json, &err) != cases[i].code)
			fail_msg("case %zu: %s", i, err.msg);
		if (cases[i].code == 0) {
			assert_string_equal(again->path, cases[i].path);
			assert_int_equal(again->by_key, cases[i].by_key);
		}
		json_decref(json);
		change_free(again);
		change_free(c);
	}
}

static void
test_source(void **state)
{
	struct change *c = change_full();

	assert_ptr_equal(change_source(c), &c->segments[0]);
	c->segments[0].length = 5;
	assert_null(change_source(c)); /* a range is no entry */
	c->segments[0].length = SEGMENT_TO_END;
	c->kind = CHANGE_REMOVE;
	assert_null(change_source(c));
	change_free(c);
}

static void
test_live(void **state)
{
	struct change *c = change_new();
	int s;

	for (s = 0; s < CHANGE_STATES; s++) {
		c->state = s;
		assert_int_equal(change_is_live(c), s <= CHANGE_RUNNING);
	}
	change_free(c);
}

static void
test_names(void **state)
{
	int i;

	for (i = 0; i < CHANGE_KINDS; i++)
		assert_int_equal(change_kind_parse(change_kind_name(i)), i);
	for (i = 0; i < CHANGE_STATES; i++)
		assert_int_equal(change_state_parse(change_state_name(i)), i);
	assert_int_equal(change_kind_parse("nothing"), -EINVAL);
	assert_int_equal(change_state_parse(""), -EINVAL);
}

static void
test_retries(void **state)
{
	struct change c = {.attempts = 1, .retries_max = 8};

	assert_true(change_will_retry(&c, -EPROTO));
	assert_false(change_will_retry(&c, -ENOENT));
	c.attempts = 2;
	c.error = -EPROTO;
	assert_true(change_will_retry(&c, -EPROTO));
	c.attempts = 3;
	assert_false(change_will_retry(&c, -EPROTO));
	assert_true(change_will_retry(&c, -EIO));
	/* Late, and for the first time: it is an accident too. */
	c.attempts = 7;
	c.error = -EIO;
	assert_true(change_will_retry(&c, -EPROTO));
	c.attempts = 9;
	assert_false(change_will_retry(&c, -EIO));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_defaults_are_left_out),
	    cmocka_unit_test(test_long_version),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_segments),
	    cmocka_unit_test(test_segment_refusals),
	    cmocka_unit_test(test_by_key),
	    cmocka_unit_test(test_source),
	    cmocka_unit_test(test_live),
	    cmocka_unit_test(test_retries),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
