/* The engine and what is unsized (entry.h): it is kept whole until its end, and what breaks off is
 * read anew.  Each export of the memory driver's has its number in its first and last byte: so a
 * mixture of two would be seen. */
#include "tests/unit/attempt_fixture.h"

static struct change *
transfer(const char *to, const char *path)
{
	struct change *c = fixture_change(CHANGE_TRANSFER, to, path);

	fixture_source(c, MEMORY_A, "doc");
	return c;
}

static void
make_document(uint64_t size)
{
	fixture_put(MEMORY_A, "doc", 1, size);
	memory_unsize("memory-a", "doc");
}

/* The copy is this export, whole. */
static void
expect_export(const char *account, const char *path, unsigned char number, uint64_t size)
{
	uint64_t got_size;
	CLEANUP(cleanup_free) unsigned char *got = fixture_slurp(account, path, &got_size);
	CLEANUP(cleanup_free) unsigned char *want = xmalloc(size);

	assert_int_equal(got_size, size);
	fixture_fill(want, 1, 0, size);
	want[0] = want[size - 1] = number;
	assert_memory_equal(got, want, size);
}

/* Nothing leaves the ring while its source is read, since nobody knows how much it will be (the
   byte that is held back counts as gone); and all of it is within the memory of all rings. */
static void
on_progress(struct fixture *f)
{
	assert_true(f->progress <= 1);
	assert_true(f->memory.used == 0 || f->memory.used == ENTRY_UNSIZED_MAX);
	f->verified += f->memory.used > 0;
}

static void
it_is_copied_and_verified(void **state)
{
	static const uint64_t sizes[] = {1, 2, 100, 3 * MIB + 7, 9 * MIB, ENTRY_UNSIZED_MAX};
	static const struct {
		const char *account, *verified;
		bool overwrite; /* else it is asked what it is before it is read */
	} to[] = {
	    {MEMORY_B, "size,crc32c", true},
	    {LOCAL_A, "size", false},
	    {MEMORY_A, "size,crc32c", true},
	};
	struct change *c;

	fx.ring = 64 * 1024; /* most are larger */
	fx.memory.max = 64 * MIB;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_document(sizes[i]);
		for (size_t j = 0; j < ARRAY_LEN(to); j++) {
			c = transfer(to[j].account, "copy");
			c->overwrite = to[j].overwrite;
			fx.on_progress = on_progress;
			assert_int_equal(fixture_run_free(c), 0);
			fx.on_progress = NULL;
			assert_true(fx.verified > 1); /* also by the hook */
			assert_string_equal(fx.result.route, "relay");
			assert_string_equal(fx.result.verified, to[j].verified);
			assert_int_equal(fx.result.bytes_done, sizes[i]);
			assert_int_equal(fx.result.bytes_total, sizes[i]);
			assert_null(fx.result.source_version); /* it pins nothing */
			expect_export(to[j].account, "copy", (unsigned char)(j + 1), sizes[i]);
		}
		assert_int_equal(fixture_simple(CLOUD_REMOVE, LOCAL_A, "copy"), 0);
	}
	assert_int_equal(fixture_temps(0), 0);
}

static void
what_breaks_off_is_read_anew(void **state)
{
	make_document(MIB);
	memory_fault("memory-a", "GET", 1, 0, 300000, 0);
	memory_fault("memory-a", "GET", 1, 0, MIB - 1, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, "copy")), 0);
	expect_export(MEMORY_B, "copy", 3, MIB);
	/* Not for ever; and what is there stays. */
	memory_fault("memory-a", "GET", 3, 0, 300000, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, "copy")), -ECONNRESET);
	expect_export(MEMORY_B, "copy", 3, MIB);
	/* The other side breaks off: the next export is what is written. */
	memory_fault("memory-b", "PUT", 1, 0, 100000, 0);
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, "copy")), 0);
	expect_export(MEMORY_B, "copy", 8, MIB);
}

static void
what_is_too_large_is_refused(void **state)
{
	uint64_t puts = memory_requests("memory-b", "PUT");

	make_document(ENTRY_UNSIZED_MAX + 1);
	assert_int_equal(fixture_run_free(transfer(MEMORY_B, "copy")), -EFBIG);
	assert_non_null(strstr(fx.result.err.msg, "'doc' is exported with more than 12 MiB"));
	assert_int_equal(fixture_run_free(transfer(LOCAL_A, "copy")), -EFBIG);
	assert_false(fixture_exists(MEMORY_B, "copy") || fixture_exists(LOCAL_A, "copy"));
	assert_int_equal(memory_requests("memory-b", "PUT"), puts);
	assert_int_equal(fixture_temps(0), 0);
}

/* What would be removed is more than what was copied. */
static void
it_is_not_moved_away(void **state)
{
	static const bool overwrites[] = {true, false};
	struct change *c;

	make_document(1000);
	for (size_t i = 0; i < ARRAY_LEN(overwrites); i++) {
		c = transfer(MEMORY_B, "moved");
		c->move = true;
		c->overwrite = overwrites[i];
		assert_int_equal(fixture_run_free(c), -EPERM);
		assert_non_null(strstr(fx.result.err.msg, "'doc' is a document"));
		assert_false(fixture_exists(MEMORY_B, "moved"));
		assert_true(fixture_exists(MEMORY_A, "doc"));
	}
	/* Within its account it is itself what is moved. */
	c = transfer(MEMORY_A, "moved");
	c->move = true;
	assert_int_equal(fixture_run_free(c), 0);
	assert_string_equal(fx.result.route, "native");
	assert_false(fixture_exists(MEMORY_A, "doc"));
	struct entry e = fixture_stat(MEMORY_A, "moved");

	assert_true(e.unsized);
	entry_fini(&e);
}

static void
it_has_no_ranges(void **state)
{
	struct change *c = transfer(MEMORY_B, "copy");

	make_document(1000);
	c->segments[0].length = 10;
	assert_int_equal(fixture_run_free(c), -EOPNOTSUPP);
	c = transfer(MEMORY_B, "copy");
	change_add_segment(c, SEGMENT_ZERO)->length = 1;
	assert_int_equal(fixture_run_free(c), -EOPNOTSUPP);
	assert_false(fixture_exists(MEMORY_B, "copy"));
}

/* Many at once would need 12 MiB each, whatever they are. */
static void
it_waits_for_memory(void **state)
{
	static const bool overwrites[] = {true, false};

	make_document(1000);
	for (size_t i = 0; i < ARRAY_LEN(overwrites); i++) {
		struct change *c = transfer(MEMORY_B, i == 0 ? "one" : "two");

		c->overwrite = overwrites[i];
		fx.memory.max = ENTRY_UNSIZED_MAX;
		assert_true(budget_try_large(&fx.memory, 1)); /* another's */
		assert_int_equal(fixture_run(c), -EAGAIN);
		assert_non_null(strstr(fx.result.err.msg, "transfer.memory"));
		assert_false(fixture_exists(MEMORY_B, c->path));
		budget_give_large(&fx.memory, 1);
		assert_int_equal(fixture_run_free(c), 0);
		assert_int_equal(fx.memory.used, 0);
	}
}

/* Nobody can tell whether what is there is what an earlier attempt has exported. */
static void
a_repetition_takes_nothing_for_its_own(void **state)
{
	struct change *c = transfer(MEMORY_B, "copy");

	make_document(1000);
	c->overwrite = false;
	assert_int_equal(fixture_run(c), 0);
	c->attempts = 2;
	assert_int_equal(fixture_run(c), -EEXIST);
	fixture_put(
	    MEMORY_B, "copy", 1, 0); /* of the same time, and the size that it seems to have */
	assert_int_equal(fixture_run_free(c), -EEXIST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		it_is_copied_and_verified, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(
		what_breaks_off_is_read_anew, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(
		what_is_too_large_is_refused, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(it_is_not_moved_away, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(it_has_no_ranges, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(it_waits_for_memory, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(
		a_repetition_takes_nothing_for_its_own, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("unsized", tests, NULL, NULL);
}
