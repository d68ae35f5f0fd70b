/* Checkpoints in the store: how far a transfer came, and what is left when it has ended. */
#include "tests/unit/store_fixture.h"

static void
put_head(struct fixture *f, const char *id, const char *upload, int code)
{
	struct checkpoint *c = checkpoint_new();

	c->path = xstrdup("to");
	c->source = xstrdup("fingerprint");
	c->size = 1000000;
	c->part_size = 1000;
	c->upload = xstrdup_null(upload);
	assert_int_equal(AWAIT(f, store_checkpoint_head(f->s, id, c, TO(f)))->code, code);
	checkpoint_free(c);
}

static void
put_part(struct fixture *f, const char *id, unsigned number, int code)
{
	struct upload_part part = {.number = number, .length = 1000, .tag = "tag"};

	assert_int_equal(AWAIT(f, store_checkpoint_part(f->s, id, &part, TO(f)))->code, code);
}

/* How many parts it has; -1: there is no checkpoint. */
static int
parts(struct fixture *f, const char *id)
{
	struct checkpoint *c;
	int n;

	if (store_checkpoint_get(f->s, id, &c, NULL) != 0)
		return -1;
	n = (int)c->parts.len;
	checkpoint_free(c);
	return n;
}

static size_t
left(struct fixture *f)
{
	struct change **list;
	struct err err = ERR_INIT;
	size_t len;

	assert_int_equal(store_checkpoints_left(f->s, NULL, 100, &list, &len, &err), 0);
	changes_free(list, len);
	return len;
}

/* A transfer that runs, of which 300 parts are there. */
static void
begin(struct fixture *f, char id[37])
{
	unsigned i;

	memcpy(id, fixture_add(f, fixture_transfer(f, "from", "to"))->id, 37);
	put_head(f, id, NULL, -ESTALE); /* it does not run yet */
	fixture_claim(f, id);
	put_head(f, id, NULL, 0);
	assert_int_equal(parts(f, id), 0);
	put_head(f, id, "upload", 0);
	for (i = 300; i > 0; i--)
		put_part(f, id, i, 0);
	assert_int_equal(parts(f, id), 300);
}

static void
kept_over_a_restart(void **state)
{
	struct fixture *f = *state;
	struct checkpoint *c;
	struct err err = ERR_INIT;
	char id[37];

	begin(f, id);
	fixture_close(f);
	assert_int_equal(fixture_open(f, &err), 0);
	assert_int_equal(store_checkpoint_get(f->s, id, &c, &err), 0);
	assert_string_equal(c->path, "to");
	assert_string_equal(c->upload, "upload");
	assert_int_equal(c->parts.len, 300);
	assert_int_equal(c->parts.items[299].number, 300);
	checkpoint_free(c);
	/* A new head begins anew. */
	put_head(f, id, "another", 0);
	assert_int_equal(parts(f, id), 0);
	assert_int_equal(left(f), 0);
}

static void
gone_with_success(void **state)
{
	struct fixture *f = *state;
	char id[37];

	begin(f, id);
	fixture_finish(f, id, CHANGE_COMPLETED);
	assert_int_equal(parts(f, id), -1);
	put_part(f, id, 7, -ESTALE);
	assert_int_equal(left(f), 0);
}

static void
kept_with_a_failure_until_it_is_dropped(void **state)
{
	struct fixture *f = *state;
	char id[37];

	begin(f, id);
	fixture_finish(f, id, CHANGE_FAILED);
	assert_int_equal(parts(f, id), 300);
	assert_int_equal(left(f), 1);
	assert_int_equal(AWAIT(f, store_checkpoint_drop(f->s, id, TO(f)))->code, 0);
	assert_int_equal(parts(f, id), -1);
	assert_int_equal(left(f), 0);
	assert_int_equal(AWAIT(f, store_checkpoint_drop(f->s, id, TO(f)))->code, 0);
	assert_int_equal(AWAIT(f, store_checkpoint_drop(f->s, "no id", TO(f)))->code, -ENOENT);
}

/* Whoever carries it next is told that something is there. */
static void
known_to_the_next_attempt(void **state)
{
	struct fixture *f = *state;
	char id[37];

	begin(f, id);
	fixture_finish(f, id, CHANGE_QUEUED);
	fixture_claim(f, id);
	assert_true(f->reply.changes[0]->repeated);
	fixture_finish(f, id, CHANGE_FAILED);
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, 0);
	fixture_claim(f, id);
	assert_true(f->reply.changes[0]->repeated);
	fixture_finish(f, id, CHANGE_COMPLETED);
}

/* Cancelled between two attempts: somebody must go and clean up. */
static void
a_cancel_between_attempts(void **state)
{
	struct fixture *f = *state;
	struct reply *r;
	char id[37];

	begin(f, id);
	fixture_finish(f, id, CHANGE_QUEUED);
	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_QUEUED);
	assert_true(r->change->cancel);
	fixture_claim(f, id);
	assert_int_equal(AWAIT(f, store_checkpoint_drop(f->s, id, TO(f)))->code, 0);
	fixture_finish(f, id, CHANGE_CANCELLED);
	assert_int_equal(left(f), 0);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown_checked)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(kept_over_a_restart),
	    test(gone_with_success),
	    test(kept_with_a_failure_until_it_is_dropped),
	    test(known_to_the_next_attempt),
	    test(a_cancel_between_attempts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
