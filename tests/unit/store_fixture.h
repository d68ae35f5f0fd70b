/*
 * store_fixture: a store in a directory of its own, with a loop in the test's thread and a clock
 * that stands still.  AWAIT() makes a write and runs the loop until its answer is there.
 */
#pragma once
#include "daemon/store.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

/* A copy of a store_result, owned by the fixture until the next AWAIT(). */
struct reply {
	int code;
	struct err err;
	struct change *change;
	struct change **changes;
	size_t len;
	uint64_t next_ms;
	bool ready;
};

struct fixture {
	char *scratch, *dir;
	struct loop *loop;
	struct store *s;
	struct store_config config;
	uint64_t now; /* read by the store's thread while it works for AWAIT() */
	unsigned awaited;
	struct reply reply;
	char user[37], other[37];
	char a[37], b[37], others[37]; /* accounts; the last of `other` */
};

/* Made and opened, with two users and their accounts. */
struct fixture *fixture_new(void);
void fixture_free(struct fixture *);
int fixture_setup(void **state); /* of each test: a new one is its state */
int fixture_teardown(void **state);
int fixture_teardown_checked(void **state); /* after fixture_check() */
int fixture_open(struct fixture *, struct err *);
void fixture_close(struct fixture *);
void fixture_check(struct fixture *); /* closes, walks everything, opens again */

void fixture_begin(struct fixture *);
void fixture_done(void *arg, struct store_result *); /* a store_done_fn; arg: the fixture */
struct reply *fixture_wait(struct fixture *);
#define AWAIT(f, call) (fixture_begin(f), (call), fixture_wait(f))
/* For (store, ..., done, arg) at the end of a call's arguments. */
#define TO(f) fixture_done, (f)

void fixture_id(char out[37], unsigned n); /* the n-th of the ids a test makes */
/* New changes; caller frees. */
struct change *fixture_change(struct fixture *, enum change_kind, const char *path);
struct change *fixture_transfer(struct fixture *, const char *from, const char *to);
struct change *
fixture_pending(struct fixture *, const char *mount, const char *path, const char *spool);
/* Adds it (0 expected) and frees it; the accepted one, the fixture's until the next AWAIT(). */
struct change *fixture_add(struct fixture *, struct change *);
/* Claims one (there must be one) and checks that it is this. */
void fixture_claim(struct fixture *, const char *id);
void fixture_claim_none(struct fixture *);
/* Ends the running one. */
struct reply *fixture_finish(struct fixture *, const char *id, enum change_state);
enum change_state fixture_state(struct fixture *, const char *id);
