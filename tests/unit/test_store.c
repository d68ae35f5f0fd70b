/*
 * The store's functions, each with what it promises and what it refuses; what they wrote is there
 * after reopening, and every test ends with the check that compares all indexes with the records.
 */
#include "src/paths.h"
#include "tests/unit/store_fixture.h"
#include <sys/stat.h>

#define MOUNT "11111111-2222-4333-8444-555555555555"

/* -- users and accounts */

static void
test_users(void **state)
{
	struct fixture *f = *state;
	struct user *user = NULL, **users = NULL;
	struct user add = {.name = (char *)"ann", .uid = -1, .weight = 1};
	struct reply *r;
	size_t len;

	fixture_id(add.id, 3);
	r = AWAIT(f, store_user_add(f->s, &add, TO(f)));
	assert_int_equal(r->code, -EEXIST);
	assert_non_null(strstr(r->err.msg, "'ann'"));
	add.name = (char *)"carl";
	add.uid = 1000;
	assert_int_equal(AWAIT(f, store_user_add(f->s, &add, TO(f)))->code, -EEXIST);
	add.uid = 0;
	add.admin = true;
	add.password = (char *)"$y$hash";
	add.weight = 7;
	assert_int_equal(AWAIT(f, store_user_add(f->s, &add, TO(f)))->code, 0);
	assert_int_equal(AWAIT(f, store_user_add(f->s, &add, TO(f)))->code, -EEXIST);

	fixture_check(f);
	assert_int_equal(store_user_by_uid(f->s, 0, &user, NULL), 0);
	assert_string_equal(user->name, "carl");
	assert_string_equal(user->password, "$y$hash");
	assert_string_equal(user->id, add.id);
	assert_true(user->admin);
	assert_int_equal(user->weight, 7);
	assert_int_equal(user->epoch, 0);
	assert_int_equal(user->created_ms, f->now);
	user_free(user);

	/* A new name and uid: the old ones are free. */
	add.name = (char *)"carla";
	add.uid = 2000;
	add.password = NULL;
	assert_int_equal(AWAIT(f, store_user_update(f->s, &add, TO(f)))->code, 0);
	assert_int_equal(store_user_by_name(f->s, "carl", &user, NULL), -ENOENT);
	assert_int_equal(store_user_by_uid(f->s, 0, &user, NULL), -ENOENT);
	assert_int_equal(store_user_by_uid(f->s, -1, &user, NULL), -ENOENT);
	assert_int_equal(store_user_by_name(f->s, "carla", &user, NULL), 0);
	assert_null(user->password);
	assert_int_equal(user->created_ms, f->now);
	user_free(user);
	add.name = (char *)"bob";
	assert_int_equal(AWAIT(f, store_user_update(f->s, &add, TO(f)))->code, -EEXIST);
	fixture_id(add.id, 99);
	add.name = (char *)"nobody";
	add.uid = -1;
	assert_int_equal(AWAIT(f, store_user_update(f->s, &add, TO(f)))->code, -ENOENT);
	memcpy(add.id, "zzz", 4);
	assert_int_equal(AWAIT(f, store_user_add(f->s, &add, TO(f)))->code, -EINVAL);

	assert_int_equal(store_users(f->s, &users, &len, NULL), 0);
	assert_int_equal(len, 3);
	while (len > 0)
		user_free(users[--len]);
	free(users);
	assert_int_equal(store_user_get(f->s, f->user, &user, NULL), 0);
	assert_string_equal(user->name, "ann");
	user_free(user);
	assert_int_equal(store_user_get(f->s, "x", &user, NULL), -ENOENT);
}

static void
test_accounts(void **state)
{
	struct fixture *f = *state;
	struct account_record *a = NULL, **list = NULL;
	struct change *c;
	struct reply *r;
	char id[37], note[8192];
	size_t len;

	memset(note, 'n', sizeof note - 1); /* a record that is not small */
	note[sizeof note - 1] = '\0';
	assert_int_equal(store_account_by_name(f->s, f->user, "a", &a, NULL), 0);
	assert_string_equal(a->id, f->a);
	assert_int_equal(a->revision, 1);
	buf_add(&a->sealed, "\0\1\2sealed", 9);
	a->settings = json_pack("{s:s,s:s}", "region", "eu", "note", note);
	a->bandwidth = 1000;
	xstrset(&a->name, "b");
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, -EEXIST);
	xstrset(&a->name, "photos");
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, 0);
	/* From what it was before: it would take back what has been changed since. */
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, -ESTALE);
	account_record_free(a);

	fixture_check(f);
	assert_int_equal(store_account_by_name(f->s, f->user, "a", &a, NULL), -ENOENT);
	assert_int_equal(store_account_resolve(f->s, f->user, "a", id, NULL), -ENOENT);
	assert_int_equal(store_account_resolve(f->s, f->user, "photos", id, NULL), 0);
	assert_string_equal(id, f->a);
	memset(id, 0, sizeof id);
	assert_int_equal(store_account_resolve(f->s, f->user, f->a, id, NULL), 0);
	assert_string_equal(id, f->a);
	assert_int_equal(store_account_resolve(f->s, f->other, f->a, id, NULL), -ENOENT);
	assert_int_equal(store_account_resolve(f->s, f->other, "photos", id, NULL), -ENOENT);
	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	assert_string_equal(a->name, "photos");
	assert_string_equal(a->driver, "memory");
	assert_string_equal(a->status, "ok");
	assert_int_equal(a->revision, 2);
	assert_int_equal(a->bandwidth, 1000);
	assert_int_equal(a->sealed.len, 9);
	assert_memory_equal(a->sealed.data, "\0\1\2sealed", 9);
	assert_string_equal(json_string_value(json_object_get(a->settings, "region")), "eu");
	assert_string_equal(json_string_value(json_object_get(a->settings, "note")), note);
	/* Another user's is not there. */
	memcpy(a->user_id, f->other, sizeof a->user_id);
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, -ENOENT);
	r = AWAIT(f, store_account_remove(f->s, f->other, f->a, TO(f)));
	assert_int_equal(r->code, -ENOENT);
	account_record_free(a);

	assert_int_equal(store_accounts(f->s, f->user, &list, &len, NULL), 0);
	assert_int_equal(len, 2);
	assert_string_equal(list[0]->name, "b");
	assert_string_equal(list[1]->name, "photos");
	while (len > 0)
		account_record_free(list[--len]);
	free(list);

	/* Not while something uses it, as source or destination. */
	c = fixture_change(f, CHANGE_TRANSFER, "to");
	xstrset(&c->account_id, f->b);
	change_add_segment(c, SEGMENT_ENTRY);
	c->segments[0].account_id = xstrdup(f->a);
	c->segments[0].path = xstrdup("from");
	c->segments[0].length = SEGMENT_TO_END;
	memcpy(id, c->id, sizeof id);
	fixture_add(f, c);
	r = AWAIT(f, store_account_remove(f->s, f->user, f->a, TO(f)));
	assert_int_equal(r->code, -EBUSY);
	assert_non_null(strstr(r->err.msg, "photos"));
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, f->b, TO(f)))->code, -EBUSY);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, 0);
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, f->a, TO(f)))->code, 0);
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, f->a, TO(f)))->code, -ENOENT);
	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), -ENOENT);
	/* What has ended does not hold an account, and cannot be retried without it. */
	r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, -ENOENT);
}

/* Sealed anew: only what was read, and only that. */
static void
test_account_reseal(void **state)
{
	struct fixture *f = *state;
	CLEANUP(buf_free) struct buf was = BUF_INIT(100);
	struct account_record *a = NULL, *b = NULL;

	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	buf_puts(&a->sealed, "first");
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, 0);
	buf_puts(&was, "other");
	xstrset(&a->name, "not this");
	buf_reset(&a->sealed);
	buf_puts(&a->sealed, "second");
	assert_int_equal(AWAIT(f, store_account_reseal(f->s, a, &was, TO(f)))->code, -ESTALE);
	buf_reset(&was);
	buf_puts(&was, "first");
	assert_int_equal(AWAIT(f, store_account_reseal(f->s, a, &was, TO(f)))->code, 0);
	assert_int_equal(store_account_get(f->s, f->a, &b, NULL), 0);
	assert_string_equal(buf_str(&b->sealed), "second");
	assert_string_equal(b->name, "a");
	assert_int_equal(b->revision, a->revision + 1); /* of the update */
	account_record_free(a);
	/* An update with nothing sealed leaves it. */
	buf_reset(&b->sealed);
	assert_int_equal(AWAIT(f, store_account_update(f->s, b, TO(f)))->code, 0);
	account_record_free(b);
	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	assert_string_equal(buf_str(&a->sealed), "second");
	memcpy(a->user_id, f->other, sizeof a->user_id);
	assert_int_equal(AWAIT(f, store_account_reseal(f->s, a, &a->sealed, TO(f)))->code, -ENOENT);
	account_record_free(a);
}

/* What bounds an account is kept, also where the scheduler has it: across a new start too. */
static void
test_account_limits(void **state)
{
	struct fixture *f = *state;
	struct account_record *a = NULL;
	struct change *c;
	char one[37], two[37];

	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	a->bandwidth = 1000;
	a->request_rate = 50;
	a->concurrency = 1;
	assert_int_equal(AWAIT(f, store_account_update(f->s, a, TO(f)))->code, 0);
	account_record_free(a);
	fixture_check(f);
	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	assert_int_equal(a->bandwidth, 1000);
	assert_int_equal(a->request_rate, 50);
	assert_int_equal(a->concurrency, 1);
	assert_false(a->held);

	c = fixture_transfer(f, "from", "one");
	memcpy(one, c->id, sizeof one);
	fixture_add(f, c);
	c = fixture_transfer(f, "from", "two");
	memcpy(two, c->id, sizeof two);
	fixture_add(f, c);
	fixture_claim(f, one);
	fixture_claim_none(f);
	assert_int_equal(fixture_finish(f, one, CHANGE_COMPLETED)->code, 0);

	/* Of another revision: nothing happens. */
	assert_int_equal(
	    AWAIT(f, store_account_status(f->s, f->user, f->a, a->revision + 1, "no", true, TO(f)))
		->code,
	    -ESTALE);
	assert_int_equal(
	    AWAIT(f, store_account_status(f->s, f->user, f->a, a->revision, "refused", true, TO(f)))
		->code,
	    0);
	fixture_claim_none(f);
	fixture_check(f);
	fixture_claim_none(f);
	account_record_free(a);
	assert_int_equal(store_account_get(f->s, f->a, &a, NULL), 0);
	assert_true(a->held);
	assert_string_equal(a->status, "error");
	assert_string_equal(a->status_text, "refused");
	account_record_free(a);
	assert_int_equal(
	    AWAIT(f, store_account_status(f->s, f->user, f->a, 0, NULL, false, TO(f)))->code, 0);
	fixture_claim(f, two);
	/* Refused on its way it is queued again, and held; cancelled, it comes to clean up. */
	assert_int_equal(
	    AWAIT(f, store_account_status(f->s, f->user, f->a, 0, "no", true, TO(f)))->code, 0);
	assert_int_equal(store_change_get(f->s, two, &c, NULL), 0);
	c->state = CHANGE_QUEUED;
	c->error = -EKEYEXPIRED;
	assert_int_equal(AWAIT(f, store_change_finish(f->s, c, TO(f)))->code, 0);
	change_free(c);
	fixture_claim_none(f);
	fixture_check(f);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, two, TO(f)))->code, 0);
	fixture_check(f);
	fixture_claim(f, two);
	assert_true(f->reply.changes[0]->cancel);
	assert_int_equal(fixture_finish(f, two, CHANGE_CANCELLED)->code, 0);
	fixture_check(f);
}

/* A lane has a bound of its own; others are not held up by it. */
static void
test_lane_limit(void **state)
{
	struct fixture *f = *state;
	struct change *c;
	char ids[3][37];

	for (int i = 0; i < 3; i++) {
		c = fixture_transfer(f, "from", i == 0 ? "x" : i == 1 ? "y" : "z");
		memcpy(ids[i], c->id, sizeof ids[i]);
		if (i == 2)
			xstrset(&c->account_id, f->b);
		fixture_add(f, c);
	}
	store_lane_limit(f->s, f->user, NULL, f->a, 1);
	fixture_claim(f, ids[0]);
	fixture_claim(f, ids[2]);
	fixture_claim_none(f);
	store_lane_limit(f->s, f->user, NULL, f->a, 2);
	fixture_claim(f, ids[1]);
}

/* -- accepting, running, ending */

static void
test_life(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_transfer(f, "from", "dir/to"), *got = NULL;
	struct store_stats stats;
	struct reply *r;
	char id[37];

	c->priority = 8;
	c->retries_max = 5;
	xstrset(&c->content_type, "text/plain");
	memcpy(id, c->id, sizeof id);
	c = fixture_add(f, c);
	assert_int_equal(c->state, CHANGE_QUEUED);
	assert_int_equal(c->created_ms, f->now);
	assert_int_equal(c->blockers, 0);
	assert_true(c->seq > 0);
	assert_true(f->reply.ready);

	fixture_check(f);
	assert_int_equal(store_change_get(f->s, id, &got, NULL), 0);
	assert_string_equal(got->content_type, "text/plain");
	assert_int_equal(got->retries_max, 5);
	change_free(got);

	f->now += 1000;
	fixture_claim(f, id);
	assert_int_equal(f->reply.changes[0]->attempts, 1);
	assert_int_equal(f->reply.changes[0]->started_ms, f->now);
	assert_string_equal(f->reply.changes[0]->owner, "test");
	assert_false(f->reply.ready);
	fixture_claim_none(f);

	assert_int_equal(store_change_get(f->s, id, &got, NULL), 0);
	xstrset(&got->route, "native");
	xstrset(&got->verified, "size");
	xstrset(&got->result_version, "v1");
	got->bytes_done = 17;
	r = AWAIT(f, store_change_verified(f->s, got, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->phase, CHANGE_PHASE_VERIFIED);
	fixture_check(f);

	/* Backoff: not before its time, and then as it was left. */
	got->state = CHANGE_QUEUED;
	got->not_before_ms = f->now + 5000;
	got->error = -ETIMEDOUT;
	xstrset(&got->error_text, "slow");
	r = AWAIT(f, store_change_finish(f->s, got, TO(f)));
	assert_int_equal(r->code, 0);
	assert_false(r->ready);
	r = AWAIT(f, store_claim(f->s, 10, TO(f)));
	assert_int_equal(r->len, 0);
	assert_int_equal(r->next_ms, f->now + 5000);
	fixture_check(f);
	f->now += 5000;
	fixture_claim(f, id);
	assert_int_equal(f->reply.changes[0]->attempts, 2);
	assert_int_equal(f->reply.changes[0]->phase, CHANGE_PHASE_VERIFIED);
	assert_string_equal(f->reply.changes[0]->error_text, "slow");
	assert_int_equal(f->reply.next_ms, UINT64_MAX);

	/* A new daemon is not the owner. */
	fixture_close(f);
	f->config.owner = "somebody else";
	assert_int_equal(fixture_open(f, NULL), 0);
	assert_int_equal(AWAIT(f, store_change_finish(f->s, got, TO(f)))->code, -ESTALE);
	fixture_close(f);
	f->config.owner = "test";
	assert_int_equal(fixture_open(f, NULL), 0);
	got->state = CHANGE_RUNNING;
	assert_int_equal(AWAIT(f, store_change_finish(f->s, got, TO(f)))->code, -EINVAL);
	change_free(got);

	r = fixture_finish(f, id, CHANGE_COMPLETED);
	assert_int_equal(r->change->state, CHANGE_COMPLETED);
	assert_int_equal(r->change->finished_ms, f->now);
	assert_string_equal(r->change->route, "native");
	assert_null(r->change->owner);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, -EALREADY);
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)))->code, -EALREADY);
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_COMPLETED], 1);
	assert_int_equal(stats.by_state[CHANGE_RUNNING], 0);
	assert_true(stats.map_used > 0 && stats.map_used <= stats.map_size);
}

static void
test_accept_refusals(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_transfer(f, "from", "to"), *got = NULL;
	char id[37];

	/* Idempotent for its user, taken for others. */
	memcpy(id, c->id, sizeof id);
	fixture_add(f, change_copy(c));
	f->now += 1000;
	xstrset(&c->path, "elsewhere");
	assert_string_equal(fixture_add(f, change_copy(c))->path, "to");
	memcpy(c->user_id, f->other, sizeof c->user_id);
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EEXIST);
	/* Upper case is the same id. */
	memcpy(c->user_id, f->user, sizeof c->user_id);
	fixture_id(c->id, 0xabcdef);
	fixture_add(f, change_copy(c));
	for (char *p = c->id; *p != '\0'; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, 0);
	fixture_id(id, 0xabcdef);
	assert_string_equal(f->reply.change->id, id);
	change_free(c);

	/* Another user's account, in each role. */
	c = fixture_transfer(f, "from", "to");
	xstrset(&c->account_id, f->others);
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -ENOENT);
	xstrset(&c->account_id, f->a);
	xstrset(&c->segments[0].account_id, f->others);
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -ENOENT);
	xstrset(&c->segments[0].account_id, f->a);
	xstrset(&c->path, "a//b");
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EINVAL);
	xstrset(&c->path, "caf\xe9");
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EILSEQ);
	xstrset(&c->path, "to");
	c->state = CHANGE_PENDING;
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EINVAL);
	c->state = CHANGE_QUEUED;
	c->priority = 11;
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EINVAL);
	assert_int_equal(store_change_get(f->s, c->id, &got, NULL), -ENOENT);
	change_free(c);
	/* A directory cannot go into itself. */
	c = fixture_transfer(f, "d", "d/e");
	c->kind = CHANGE_RENAME;
	c->tree = true;
	assert_int_equal(AWAIT(f, store_change_add(f->s, c, TO(f)))->code, -EINVAL);
	change_free(c);
}

static void
test_not_before_and_priority(void **state)
{
	struct fixture *f = *state;
	struct change *late = fixture_change(f, CHANGE_MKDIR, "late");
	struct change *low = fixture_change(f, CHANGE_MKDIR, "low");
	struct change *high = fixture_change(f, CHANGE_MKDIR, "high");
	char late_id[37], low_id[37], high_id[37];

	memcpy(late_id, late->id, sizeof late_id);
	memcpy(low_id, low->id, sizeof low_id);
	memcpy(high_id, high->id, sizeof high_id);
	late->not_before_ms = f->now + 10;
	late->priority = 10;
	low->priority = 2;
	high->priority = 9;
	fixture_add(f, late);
	assert_false(f->reply.ready);
	fixture_add(f, low);
	fixture_add(f, high);
	fixture_check(f);
	fixture_claim(f, high_id);
	assert_int_equal(f->reply.next_ms, f->now + 10);
	f->now += 10;
	fixture_claim(f, late_id);
	fixture_claim(f, low_id);
	fixture_claim_none(f);
}

static void
test_cancel_and_retry(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_transfer(f, "from", "to");
	struct reply *r;
	uint64_t seq;
	char id[37];

	memcpy(id, c->id, sizeof id);
	seq = fixture_add(f, c)->seq;
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->other, id, TO(f)))->code, -ENOENT);
	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_CANCELLED);
	fixture_claim_none(f);
	fixture_check(f);
	assert_int_equal(AWAIT(f, store_change_retry(f->s, f->other, id, TO(f)))->code, -ENOENT);
	r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_QUEUED);
	assert_true(r->change->seq > seq);
	assert_int_equal(r->change->finished_ms, 0);
	fixture_claim(f, id);
	/* A running one is told; it may end as it likes. */
	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_RUNNING);
	assert_true(r->change->cancel);
	/* Sent back to the queue it comes again at once, to clean up. */
	f->now += 1;
	fixture_finish(f, id, CHANGE_QUEUED);
	fixture_claim(f, id);
	assert_true(f->reply.changes[0]->cancel);
	fixture_finish(f, id, CHANGE_CANCELLED);
	r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	assert_false(r->change->cancel);
	assert_int_equal(r->change->attempts, 0);
}

/* A move whose source changed after it was copied: the retry moves what is there now. */
static void
test_retry_drops_our_pin(void **state)
{
	static const char *const given[] = {NULL, "v1"};
	struct fixture *f = *state;
	struct change *c;
	struct reply *r;
	char id[37];
	size_t i;

	for (i = 0; i < ARRAY_LEN(given); i++) {
		c = fixture_transfer(f, "from", "to");
		c->move = true;
		xstrset(&c->segments[0].version, given[i]);
		memcpy(id, c->id, sizeof id);
		fixture_add(f, c);
		fixture_claim(f, id);
		c = change_copy(f->reply.changes[0]);
		xstrset(&c->segments[0].version, "v1");
		r = AWAIT(f, store_change_verified(f->s, c, TO(f)));
		assert_int_equal(r->code, 0);
		assert_string_equal(r->change->segments[0].version, "v1");
		change_free(c);
		fixture_finish(f, id, CHANGE_FAILED);
		r = AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
		assert_int_equal(r->code, 0);
		assert_int_equal(r->change->segments[0].version != NULL, given[i] != NULL);
		fixture_claim(f, id);
		fixture_finish(f, id, CHANGE_COMPLETED);
	}
}

/* A failed upload keeps what was written until it is dismissed. */
static void
test_dismiss(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_pending(f, "mount", "upload", "file");
	struct reply *r;
	bool used;
	char id[37];

	memcpy(id, c->id, sizeof id);
	c->state = CHANGE_QUEUED;
	fixture_add(f, c);
	fixture_claim(f, id);
	fixture_finish(f, id, CHANGE_FAILED);
	assert_int_equal(store_spool_used(f->s, f->user, "file", &used, NULL), 0);
	assert_true(used);
	assert_int_equal(AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)))->code, -EALREADY);
	assert_int_equal(AWAIT(f, store_change_dismiss(f->s, f->other, id, TO(f)))->code, -ENOENT);
	r = AWAIT(f, store_change_dismiss(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_CANCELLED);
	assert_int_equal(store_spool_used(f->s, f->user, "file", &used, NULL), 0);
	assert_false(used);
	fixture_check(f);
	assert_int_equal(AWAIT(f, store_change_dismiss(f->s, f->user, id, TO(f)))->code, -EALREADY);
}

static void
test_leases(void **state)
{
	struct fixture *f = *state;
	struct change *one = fixture_change(f, CHANGE_MKDIR, "one");
	struct change *two = fixture_change(f, CHANGE_MKDIR, "two");
	struct reply *r;
	char id[37];

	memcpy(id, one->id, sizeof id);
	fixture_add(f, one);
	fixture_claim(f, id);
	f->now += f->config.lease_ms / 2;
	assert_int_equal(AWAIT(f, store_renew(f->s, TO(f)))->code, 0);
	f->now += f->config.lease_ms - 1;
	r = AWAIT(f, store_reclaim(f->s, false, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 0);
	f->now += 1;
	r = AWAIT(f, store_reclaim(f->s, false, TO(f)));
	assert_int_equal(r->len, 1);
	assert_string_equal(r->changes[0]->id, id);
	assert_int_equal(r->changes[0]->state, CHANGE_QUEUED);
	assert_int_equal(r->changes[0]->attempts, 0);
	assert_true(r->ready);
	fixture_claim(f, id);
	/* After a crash: the running count is that of the store, then all come back. */
	f->config.sched.total_max = 1;
	fixture_check(f);
	fixture_add(f, two);
	fixture_claim_none(f);
	r = AWAIT(f, store_reclaim(f->s, true, TO(f)));
	assert_int_equal(r->len, 1);
	/* Its attempt was cut off: a cancel leaves the sweeping to one more. */
	r = AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_QUEUED);
	assert_true(r->change->cancel);
	fixture_claim(f, id);
	r = fixture_finish(f, id, CHANGE_CANCELLED);
	assert_true(r->ready);
}

static void
test_configure(void **state)
{
	struct fixture *f = *state;
	struct sched_config config = f->config.sched;
	unsigned i;

	for (i = 0; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof path, "p%u", i);
		fixture_add(f, fixture_change(f, CHANGE_MKDIR, path));
	}
	config.total_max = 3;
	store_configure(f->s, &config);
	assert_int_equal(AWAIT(f, store_claim(f->s, 100, TO(f)))->len, 3);
	config.total_max = 4;
	store_configure(f->s, &config);
	assert_int_equal(AWAIT(f, store_claim(f->s, 100, TO(f)))->len, 1);
}

/* -- pending writes */

static void
test_pending(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_pending(f, MOUNT, "dir/file", "spool-1"), *again;
	struct change **list = NULL;
	char **mounts = NULL, id[37];
	struct reply *r;
	size_t len;
	bool used;

	memcpy(id, c->id, sizeof id);
	again = change_copy(c);
	assert_int_equal(fixture_add(f, c)->state, CHANGE_PENDING);
	fixture_claim_none(f);
	fixture_check(f);
	assert_int_equal(store_pending_mounts(f->s, &mounts, &len, NULL), 0);
	assert_int_equal(len, 1);
	assert_string_equal(mounts[0], MOUNT);
	free(mounts[0]);
	free(mounts);

	/* Replaced: another spool file, another path, the same id. */
	xstrset(&again->segments[0].path, "spool-2");
	again->segments[0].length = 20;
	xstrset(&again->path, "other/name");
	again->mtime_ns = 5;
	r = AWAIT(f, store_pending_put(f->s, again, TO(f)));
	assert_int_equal(r->code, 0);
	assert_string_equal(r->change->path, "other/name");
	assert_int_equal(r->change->mtime_ns, 5);
	assert_int_equal(store_spool_used(f->s, f->user, "spool-1", &used, NULL), 0);
	assert_false(used);
	assert_int_equal(store_spool_used(f->s, f->user, "spool-2", &used, NULL), 0);
	assert_true(used);
	assert_int_equal(store_spool_used(f->s, f->other, "spool-2", &used, NULL), 0);
	assert_false(used);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "dir", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 0);
	free(list);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "other", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 1);
	changes_free(list, len);
	memcpy(again->user_id, f->other, sizeof again->user_id);
	assert_int_equal(AWAIT(f, store_pending_put(f->s, again, TO(f)))->code, -ENOENT);
	memcpy(again->user_id, f->user, sizeof again->user_id);

	/* Committed, not before it has settled; twice is no harm. */
	assert_int_equal(
	    AWAIT(f, store_pending_commit(f->s, f->other, id, 0, TO(f)))->code, -ENOENT);
	r = AWAIT(f, store_pending_commit(f->s, f->user, id, f->now + 1000, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_QUEUED);
	r = AWAIT(f, store_pending_commit(f->s, f->user, id, f->now + 2000, TO(f)));
	assert_int_equal(r->code, 0);
	r = AWAIT(f, store_claim(f->s, 1, TO(f)));
	assert_int_equal(r->len, 0);
	assert_int_equal(r->next_ms, f->now + 2000);
	assert_int_equal(AWAIT(f, store_pending_put(f->s, again, TO(f)))->code, -EBUSY);
	fixture_check(f);

	/* Taken back, by another mount; the end of that one's lease queues it. */
	r = AWAIT(f, store_pending_hold(f->s, f->user, id, "mount-2", TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->change->state, CHANGE_PENDING);
	f->now += 5000;
	fixture_claim_none(f);
	r = AWAIT(f, store_pending_release(f->s, MOUNT, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 0);
	r = AWAIT(f, store_pending_release(f->s, "mount-2", TO(f)));
	assert_int_equal(r->len, 1);
	assert_int_equal(r->changes[0]->state, CHANGE_QUEUED);
	assert_true(r->ready);
	assert_int_equal(store_pending_mounts(f->s, &mounts, &len, NULL), 0);
	assert_int_equal(len, 0);
	free(mounts);
	fixture_claim(f, id);
	assert_int_equal(
	    AWAIT(f, store_pending_hold(f->s, f->user, id, MOUNT, TO(f)))->code, -EBUSY);
	assert_int_equal(AWAIT(f, store_pending_commit(f->s, f->user, id, 0, TO(f)))->code, -EBUSY);
	/* Begun once, it cannot be taken back even when it is queued again. */
	fixture_finish(f, id, CHANGE_QUEUED);
	assert_int_equal(
	    AWAIT(f, store_pending_hold(f->s, f->user, id, MOUNT, TO(f)))->code, -EBUSY);
	change_free(again);
}

/* The second put does not wait for the first one's answer: its content is what counts. */
static void
test_pending_put_twice(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_pending(f, MOUNT, "file", "spool-1");
	struct reply *r;
	bool used;

	fixture_begin(f);
	store_pending_put(f->s, c, TO(f));
	xstrset(&c->segments[0].path, "spool-2");
	r = AWAIT(f, store_pending_put(f->s, c, TO(f)));
	change_free(c);
	assert_int_equal(r->code, 0);
	assert_string_equal(r->change->segments[0].path, "spool-2");
	assert_int_equal(store_spool_used(f->s, f->user, "spool-1", &used, NULL), 0);
	assert_false(used);
	fixture_check(f);
}

/* What is only in the spool stays visible, and its file kept, when it has failed. */
static void
test_spool_and_overlay(void **state)
{
	struct fixture *f = *state;
	struct change *p = fixture_pending(f, MOUNT, "d/spooled", "file");
	struct change *m = fixture_transfer(f, "d/from", "e/to");
	struct change *t = fixture_transfer(f, "d/copied", "e/copy"), **list = NULL;
	char p_id[37], m_id[37], t_id[37];
	struct err err = ERR_INIT;
	size_t len;
	bool used;

	memcpy(p_id, p->id, sizeof p_id);
	memcpy(m_id, m->id, sizeof m_id);
	memcpy(t_id, t->id, sizeof t_id);
	m->move = true;
	p->state = CHANGE_QUEUED;
	fixture_add(f, p);
	fixture_add(f, m);
	fixture_add(f, t);
	/* d: what is written and what leaves, in order; a copy leaves nothing. */
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "d", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 2);
	assert_string_equal(list[0]->id, p_id);
	assert_string_equal(list[1]->id, m_id);
	changes_free(list, len);
	assert_int_equal(store_changes_in(f->s, f->other, f->a, "d", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 0);
	free(list);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "e", 1, &list, &len, &err), -E2BIG);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 0);
	free(list);
	AWAIT(f, store_claim(f->s, 3, TO(f)));
	fixture_finish(f, p_id, CHANGE_FAILED);
	fixture_finish(f, m_id, CHANGE_FAILED);
	fixture_finish(f, t_id, CHANGE_COMPLETED);
	fixture_check(f);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "d", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 1);
	assert_string_equal(list[0]->id, p_id);
	changes_free(list, len);
	assert_int_equal(store_spool_used(f->s, f->user, "file", &used, NULL), 0);
	assert_true(used);
	AWAIT(f, store_change_retry(f->s, f->user, p_id, TO(f)));
	fixture_claim(f, p_id);
	fixture_finish(f, p_id, CHANGE_COMPLETED);
	assert_int_equal(store_spool_used(f->s, f->user, "file", &used, NULL), 0);
	assert_false(used);
	assert_int_equal(store_changes_in(f->s, f->user, f->a, "d", 10, &list, &len, NULL), 0);
	assert_int_equal(len, 0);
	free(list);
}

/* -- listings */

#define LISTED 60

static void
listed_ids(struct fixture *f, struct store_query query, unsigned *out, size_t *len, uint64_t *total)
{
	struct change **list = NULL;
	size_t i;

	query.user_id = f->user;
	assert_int_equal(store_changes(f->s, &query, &list, len, total, NULL), 0);
	for (i = 0; i < *len; i++)
		sscanf(list[i]->path, "p%u", &out[i]);
	changes_free(list, *len);
}

static void
test_listing(void **state)
{
	struct fixture *f = *state;
	struct change *c;
	unsigned got[1000], i, page;
	char id[LISTED][37], path[16];
	uint64_t total;
	size_t len;

	for (i = 0; i < LISTED; i++) {
		snprintf(path, sizeof path, "p%u", i);
		c = fixture_change(f, i % 2 ? CHANGE_MKDIR : CHANGE_REMOVE, path);
		c->priority = i % 5;
		memcpy(id[i], c->id, sizeof id[i]);
		fixture_add(f, c);
	}
	/* Another user's is not listed (nor claimed here). */
	c = fixture_change(f, CHANGE_MKDIR, "p1000");
	c->not_before_ms = UINT32_MAX * 1000ull;
	memcpy(c->user_id, f->other, sizeof c->user_id);
	xstrset(&c->account_id, f->others);
	fixture_add(f, c);
	for (i = 0; i < 20; i++)
		AWAIT(f, store_change_cancel(f->s, f->user, id[i * 3], TO(f)));

	/* In order of acceptance, either way, page by page. */
	for (page = 0; page < LISTED / 7 + 1; page++) {
		listed_ids(
		    f, (struct store_query){.offset = page * 7, .limit = 7}, got, &len, &total);
		assert_int_equal(total, LISTED);
		assert_int_equal(len, MIN(7u, LISTED - page * 7));
		for (i = 0; i < len; i++)
			assert_int_equal(got[i], page * 7 + i);
	}
	listed_ids(f, (struct store_query){.limit = 1000, .descending = true}, got, &len, &total);
	assert_int_equal(len, LISTED);
	for (i = 0; i < len; i++)
		assert_int_equal(got[i], LISTED - 1 - i);
	listed_ids(f, (struct store_query){.offset = LISTED, .limit = 10}, got, &len, &total);
	assert_int_equal(len, 0);
	assert_int_equal(total, LISTED);
	listed_ids(f, (struct store_query){.limit = 0}, got, &len, &total);
	assert_int_equal(len, 0);

	/* By state and kind, with exact totals. */
	listed_ids(f, (struct store_query){.limit = 1000, .states = 1u << CHANGE_CANCELLED}, got,
	    &len, &total);
	assert_int_equal(len, 20);
	assert_int_equal(total, 20);
	for (i = 0; i < len; i++)
		assert_int_equal(got[i], i * 3);
	listed_ids(f,
	    (struct store_query){.limit = 5,
		.offset = 3,
		.kinds = 1u << CHANGE_MKDIR,
		.states = 1u << CHANGE_QUEUED | 1u << CHANGE_RUNNING},
	    got, &len, &total);
	assert_int_equal(total, 20);
	assert_int_equal(len, 5);
	for (i = 0; i < len; i++)
		assert_true(got[i] % 2 == 1 && got[i] % 3 != 0);
	assert_int_equal(got[0], 11);

	/* By priority, then acceptance. */
	listed_ids(f,
	    (struct store_query){.limit = 1000, .sort = STORE_BY_PRIORITY, .descending = true}, got,
	    &len, &total);
	assert_int_equal(len, LISTED);
	for (i = 1; i < len; i++)
		assert_true(got[i - 1] % 5 > got[i] % 5 ||
		    (got[i - 1] % 5 == got[i] % 5 && got[i - 1] > got[i]));

	/* By state: queued before cancelled. */
	for (page = 0; page < LISTED; page++) {
		listed_ids(f,
		    (struct store_query){.limit = 1, .offset = page, .sort = STORE_BY_STATE}, got,
		    &len, &total);
		assert_int_equal(len, 1);
		assert_int_equal(got[0] % 3 == 0, page >= 40);
	}
	assert_int_equal(got[0], 57);

	/* By end: those that have not ended come last. */
	for (i = 0; i < 10; i++) {
		f->now += 10;
		AWAIT(f, store_claim(f->s, 1, TO(f)));
		memcpy(path, f->reply.changes[0]->path, strlen(f->reply.changes[0]->path) + 1);
		fixture_finish(f, f->reply.changes[0]->id, CHANGE_COMPLETED);
	}
	listed_ids(f,
	    (struct store_query){.limit = 1000, .sort = STORE_BY_FINISHED, .descending = true}, got,
	    &len, &total);
	assert_int_equal(len, LISTED);
	assert_int_equal(got[0], (unsigned)strtoul(path + 1, NULL, 10));
	for (i = 10; i < 30; i++)
		assert_int_equal(got[i] % 3, 0);
	assert_true(got[30] > got[59]);
	listed_ids(f,
	    (struct store_query){.limit = 1000,
		.sort = STORE_BY_FINISHED,
		.states = 1u << CHANGE_COMPLETED | 1u << CHANGE_QUEUED},
	    got, &len, &total);
	assert_int_equal(len, 40);
	assert_int_equal(got[39], (unsigned)strtoul(path + 1, NULL, 10));

	{
		struct store_query query = {.user_id = f->user, .limit = 1001};
		struct change **list;

		assert_int_equal(store_changes(f->s, &query, &list, &len, &total, NULL), -EINVAL);
	}
}

/* A retried change keeps its place in listings. */
static void
test_listing_after_retry(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_change(f, CHANGE_MKDIR, "p0");
	unsigned got[4];
	uint64_t total;
	size_t len;
	char id[37];

	memcpy(id, c->id, sizeof id);
	fixture_add(f, c);
	fixture_add(f, fixture_change(f, CHANGE_MKDIR, "p1"));
	AWAIT(f, store_change_cancel(f->s, f->user, id, TO(f)));
	AWAIT(f, store_change_retry(f->s, f->user, id, TO(f)));
	listed_ids(f, (struct store_query){.limit = 4}, got, &len, &total);
	assert_int_equal(len, 2);
	assert_int_equal(got[0], 0);
	assert_int_equal(got[1], 1);
}

/* -- history */

static void
test_expire(void **state)
{
	struct fixture *f = *state;
	struct store_stats stats;
	struct change *c;
	struct reply *r;
	char path[16];
	unsigned i;

	for (i = 0; i < 130; i++) {
		snprintf(path, sizeof path, "p%u", i);
		c = fixture_change(f, CHANGE_MKDIR, path);
		fixture_add(f, c);
		f->now += 1000;
		AWAIT(f, store_claim(f->s, 1, TO(f)));
		fixture_finish(
		    f, f->reply.changes[0]->id, i % 2 ? CHANGE_COMPLETED : CHANGE_FAILED);
	}
	fixture_add(f, fixture_change(f, CHANGE_MKDIR, "live"));
	r = AWAIT(f, store_expire(f->s, TO(f)));
	assert_int_equal(r->code, 0);
	assert_int_equal(r->next_ms, UINT64_MAX);
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_COMPLETED], 50);
	assert_int_equal(stats.by_state[CHANGE_FAILED], 50);
	/* All but the last ten are older than history_days. */
	f->now += 30ull * 24 * 3600 * 1000 - 9 * 1000;
	AWAIT(f, store_expire(f->s, TO(f)));
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_COMPLETED] + stats.by_state[CHANGE_FAILED], 10);
	assert_int_equal(stats.by_state[CHANGE_QUEUED], 1);
	fixture_check(f);
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_COMPLETED] + stats.by_state[CHANGE_FAILED], 10);
}

/* A failed upload is all there is of what was written: however many end after it, it stays its
 * days. */
static void
test_expire_spares_the_spool(void **state)
{
	struct fixture *f = *state;
	struct change *c = fixture_pending(f, MOUNT, "written", "spool-1");
	struct store_stats stats;
	char id[37], path[16];
	unsigned i;
	bool used;

	memcpy(id, c->id, sizeof id);
	c->state = CHANGE_QUEUED;
	fixture_add(f, c);
	fixture_claim(f, id);
	fixture_finish(f, id, CHANGE_FAILED);
	for (i = 0; i < 130; i++) {
		snprintf(path, sizeof path, "p%u", i);
		fixture_add(f, fixture_change(f, CHANGE_MKDIR, path));
		f->now += 1000;
		AWAIT(f, store_claim(f->s, 1, TO(f)));
		fixture_finish(f, f->reply.changes[0]->id, CHANGE_COMPLETED);
	}
	assert_int_equal(AWAIT(f, store_expire(f->s, TO(f)))->code, 0);
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_COMPLETED], 99);
	assert_int_equal(fixture_state(f, id), CHANGE_FAILED);
	assert_int_equal(store_spool_used(f->s, f->user, "spool-1", &used, NULL), 0);
	assert_true(used);
	fixture_check(f);
	f->now += 31ull * 24 * 3600 * 1000;
	AWAIT(f, store_expire(f->s, TO(f)));
	store_stats(f->s, &stats);
	assert_int_equal(stats.by_state[CHANGE_FAILED], 0);
	fixture_check(f);
}

/* -- commits */

static void
test_group_commit(void **state)
{
	struct fixture *f = *state;
	struct store_stats before, after;
	struct change *c[2000];
	char path[16];
	unsigned i;

	for (i = 0; i < ARRAY_LEN(c); i++) {
		snprintf(path, sizeof path, "p%u", i);
		c[i] = fixture_change(f, CHANGE_MKDIR, path);
	}
	store_stats(f->s, &before);
	for (i = 0; i < ARRAY_LEN(c); i++) {
		fixture_begin(f);
		store_change_add(f->s, c[i], TO(f));
	}
	fixture_wait(f);
	store_stats(f->s, &after);
	assert_int_equal(after.writes - before.writes, ARRAY_LEN(c));
	assert_true(after.commits > before.commits);
	assert_true(after.commits - before.commits < ARRAY_LEN(c) / 10);
	/* Closing commits what waits, and its callbacks run. */
	for (i = 0; i < 100; i++) {
		fixture_begin(f);
		store_change_cancel(f->s, f->user, c[i]->id, TO(f));
	}
	fixture_close(f);
	fixture_wait(f);
	assert_int_equal(f->reply.code, 0);
	assert_int_equal(fixture_open(f, NULL), 0);
	store_stats(f->s, &after);
	assert_int_equal(after.by_state[CHANGE_CANCELLED], 100);
	assert_int_equal(after.by_state[CHANGE_QUEUED], ARRAY_LEN(c) - 100);
	for (i = 0; i < ARRAY_LEN(c); i++)
		change_free(c[i]);
}

/* Callbacks come in the order of the calls. */
struct order {
	struct fixture *f;
	unsigned next, seen[50];
};

static void
order_done(void *arg, struct store_result *res)
{
	struct order *o = arg;

	sscanf(res->change->path, "p%u", &o->seen[o->next++]);
	if (o->next == ARRAY_LEN(o->seen))
		loop_stop(o->f->loop);
}

static void
test_callback_order(void **state)
{
	struct order o = {.f = *state};
	struct change *c;
	char path[16];
	unsigned i;

	for (i = 0; i < ARRAY_LEN(o.seen); i++) {
		snprintf(path, sizeof path, "p%u", i);
		c = fixture_change(o.f, CHANGE_MKDIR, path);
		store_change_add(o.f->s, c, order_done, &o);
		change_free(c);
	}
	loop_run(o.f->loop);
	for (i = 0; i < ARRAY_LEN(o.seen); i++)
		assert_int_equal(o.seen[i], i);
}

static void
test_backup(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *to = paths_join(f->scratch, "backup");
	struct err err = ERR_INIT;
	struct user *user = NULL;

	fixture_add(f, fixture_change(f, CHANGE_MKDIR, "kept"));
	/* While it is open. */
	assert_int_equal(store_backup(f->dir, to, &err), 0);
	assert_int_equal(store_backup(f->dir, to, &err), -EEXIST);
	assert_int_equal(store_check(to, &err), 0);
	fixture_close(f);
	f->config.dir = to;
	assert_int_equal(fixture_open(f, &err), 0);
	assert_int_equal(store_user_by_name(f->s, "ann", &user, NULL), 0);
	user_free(user);
	AWAIT(f, store_claim(f->s, 1, TO(f)));
	assert_int_equal(f->reply.len, 1);
	fixture_close(f);
	f->config.dir = f->dir;
	assert_int_equal(fixture_open(f, &err), 0);
	assert_int_equal(store_backup("/nonexistent", to, &err), -ENOENT);
}

#define test(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown_checked)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test(test_users),
	    test(test_accounts),
	    test(test_account_reseal),
	    test(test_account_limits),
	    test(test_lane_limit),
	    test(test_life),
	    test(test_accept_refusals),
	    test(test_not_before_and_priority),
	    test(test_cancel_and_retry),
	    test(test_retry_drops_our_pin),
	    test(test_dismiss),
	    test(test_leases),
	    test(test_configure),
	    test(test_pending),
	    test(test_pending_put_twice),
	    test(test_spool_and_overlay),
	    test(test_listing),
	    test(test_listing_after_retry),
	    test(test_expire),
	    test(test_expire_spares_the_spool),
	    test(test_group_commit),
	    test(test_callback_order),
	    test(test_backup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
