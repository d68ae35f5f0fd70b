#include "tests/unit/store_fixture.h"
#include "src/log.h"
#include "src/paths.h"

static uint64_t
fixture_now(void *arg)
{
	struct fixture *f = arg;

	return f->now;
}

void
fixture_id(char out[37], unsigned n)
{
	snprintf(out, 37, "00000000-0000-4000-8000-%012x", n);
}

static void
reply_clear(struct reply *r)
{
	change_free(r->change);
	changes_free(r->changes, r->len);
	memset(r, 0, sizeof *r);
}

void
fixture_begin(struct fixture *f)
{
	reply_clear(&f->reply);
	f->awaited++;
}

void
fixture_done(void *arg, struct store_result *res)
{
	struct fixture *f = arg;
	struct reply *r = &f->reply;

	r->code = res->code;
	r->err = res->err;
	r->next_ms = res->next_ms;
	r->ready = res->ready;
	change_free(r->change);
	changes_free(r->changes, r->len);
	r->change = TAKE(res->change);
	r->changes = TAKE(res->changes);
	r->len = res->changes_len;
	res->changes_len = 0;
	assert_true(f->awaited > 0);
	if (--f->awaited == 0)
		loop_stop(f->loop);
}

struct reply *
fixture_wait(struct fixture *f)
{
	loop_run(f->loop);
	return &f->reply;
}

int
fixture_open(struct fixture *f, struct err *err)
{
	return store_open(&f->s, f->loop, &f->config, err);
}

void
fixture_close(struct fixture *f)
{
	store_close(f->s);
	f->s = NULL;
}

void
fixture_check(struct fixture *f)
{
	struct err err = ERR_INIT;

	fixture_close(f);
	assert_int_equal(store_check(f->dir, &err), 0);
	assert_int_equal(fixture_open(f, &err), 0);
}

static void
user_add(struct fixture *f, char id[37], unsigned n, const char *name, int64_t uid)
{
	struct user user = {.name = (char *)name, .uid = uid, .weight = 1};

	fixture_id(id, n);
	memcpy(user.id, id, sizeof user.id);
	assert_int_equal(AWAIT(f, store_user_add(f->s, &user, TO(f)))->code, 0);
}

static void
account_add(struct fixture *f, char id[37], unsigned n, const char *user, const char *name)
{
	struct account_record *a = account_record_new();

	fixture_id(id, n);
	memcpy(a->id, id, sizeof a->id);
	memcpy(a->user_id, user, sizeof a->user_id);
	a->name = xstrdup(name);
	a->driver = xstrdup("memory");
	a->status = xstrdup("ok");
	assert_int_equal(AWAIT(f, store_account_add(f->s, a, TO(f)))->code, 0);
	account_record_free(a);
}

struct fixture *
fixture_new(void)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct err err = ERR_INIT;

	log_set_level(LOG_LEVEL_ERROR);
	f->scratch = scratch_make();
	f->dir = paths_join(f->scratch, "store");
	f->now = 1700000000000;
	f->loop = loop_new("test", &err);
	assert_non_null(f->loop);
	f->config = (struct store_config){
	    .dir = f->dir,
	    .map_size = 64 * 1024 * 1024,
	    .owner = "test",
	    .lease_ms = 60000,
	    .history_days = 30,
	    .history_max = 100,
	    .sched = {.total_max = 100, .account_max = 100, .age_step_ms = 60000},
	    .key_check = "0123456789abcde",
	    .now = fixture_now,
	    .now_arg = f,
	};
	assert_int_equal(fixture_open(f, &err), 0);
	user_add(f, f->user, 1, "ann", 1000);
	user_add(f, f->other, 2, "bob", -1);
	account_add(f, f->a, 11, f->user, "a");
	account_add(f, f->b, 12, f->user, "b");
	account_add(f, f->others, 21, f->other, "a");
	return f;
}

void
fixture_free(struct fixture *f)
{
	if (f->s != NULL)
		store_close(f->s);
	reply_clear(&f->reply);
	loop_free(f->loop);
	scratch_remove(f->scratch);
	free(f->dir);
	free(f);
}

int
fixture_setup(void **state)
{
	*state = fixture_new();
	return 0;
}

int
fixture_teardown(void **state)
{
	fixture_free(*state);
	return 0;
}

int
fixture_teardown_checked(void **state)
{
	fixture_check(*state);
	fixture_free(*state);
	return 0;
}

struct change *
fixture_change(struct fixture *f, enum change_kind kind, const char *path)
{
	static unsigned n = 0x1000;
	struct change *c = change_new();

	fixture_id(c->id, n++);
	memcpy(c->user_id, f->user, sizeof c->user_id);
	c->kind = kind;
	c->account_id = xstrdup(f->a);
	c->path = xstrdup(path);
	c->state = CHANGE_QUEUED;
	return c;
}

struct change *
fixture_transfer(struct fixture *f, const char *from, const char *to)
{
	struct change *c = fixture_change(f, CHANGE_TRANSFER, to);
	struct segment *s = change_add_segment(c, SEGMENT_ENTRY);

	s->account_id = xstrdup(f->a);
	s->path = xstrdup(from);
	s->length = SEGMENT_TO_END;
	return c;
}

struct change *
fixture_pending(struct fixture *f, const char *mount, const char *path, const char *spool)
{
	struct change *c = fixture_change(f, CHANGE_TRANSFER, path);
	struct segment *s = change_add_segment(c, SEGMENT_SPOOL);

	s->path = xstrdup(spool);
	s->length = 10;
	c->state = CHANGE_PENDING;
	c->mount_id = xstrdup(mount);
	return c;
}

struct change *
fixture_add(struct fixture *f, struct change *c)
{
	struct reply *r = AWAIT(f, store_change_add(f->s, c, TO(f)));

	if (r->code != 0)
		print_message("# %s\n", err_text(&r->err));
	assert_int_equal(r->code, 0);
	assert_non_null(r->change);
	assert_string_equal(r->change->id, c->id);
	change_free(c);
	return r->change;
}

void
fixture_claim(struct fixture *f, const char *id)
{
	struct reply *r = AWAIT(f, store_claim(f->s, 1, TO(f)));

	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 1);
	assert_string_equal(r->changes[0]->id, id);
	assert_int_equal(r->changes[0]->state, CHANGE_RUNNING);
}

void
fixture_claim_none(struct fixture *f)
{
	struct reply *r = AWAIT(f, store_claim(f->s, 10, TO(f)));

	assert_int_equal(r->code, 0);
	assert_int_equal(r->len, 0);
	assert_false(r->ready);
}

struct reply *
fixture_finish(struct fixture *f, const char *id, enum change_state state)
{
	struct change *c = NULL;
	struct reply *r;

	assert_int_equal(store_change_get(f->s, id, &c, NULL), 0);
	c->state = state;
	if (state == CHANGE_FAILED) {
		c->error = -EACCES;
		xstrset(&c->error_text, "no");
	}
	r = AWAIT(f, store_change_finish(f->s, c, TO(f)));
	change_free(c);
	assert_int_equal(r->code, 0);
	return r;
}

enum change_state
fixture_state(struct fixture *f, const char *id)
{
	enum change_state state;
	struct change *c = NULL;

	assert_int_equal(store_change_get(f->s, id, &c, NULL), 0);
	state = c->state;
	change_free(c);
	return state;
}
