/*
 * attempt_fixture: accounts, contents and one attempt after the other, for the tests of the engine.
 * Contents are a function of seed and offset, so nothing has to be kept to compare them.
 */
#pragma once
#include "providers/providers.h"
#include "src/attempt.h"
#include "src/memory.h"
#include "tests/unit/check.h"
#include "tests/unit/scratch.h"

#define MEMORY_A  "00000000-0000-4000-8000-00000000000a"
#define MEMORY_B  "00000000-0000-4000-8000-00000000000b"
#define LOCAL_A   "00000000-0000-4000-8000-0000000000aa"
#define LOCAL_B   "00000000-0000-4000-8000-0000000000bb"
#define CHANGE_ID "00000000-0000-4000-8000-000000000001"
#define MTIME     INT64_C(1600000000123456789)
#define MIB       ((uint64_t)1 << 20)

struct fixture {
	struct loop *loop;
	struct pool *pool;
	struct cloud_runner *runner;
	struct account *accounts[4]; /* memory a, b; local a, b */
	char *roots[2], *spool;
	size_t ring;

	/* the attempt under way */
	struct attempt *attempt;
	struct attempt_result result; /* of the last one; its strings belong to the fixture */
	unsigned verified; /* calls */
	uint64_t progress; /* the last bytes_done that was told */
	struct checkpoint
	    *checkpoint; /* what the notes made, for the next attempt; NULL: nothing */
	struct walk_batch *found; /* all that a tree's attempt found */
	struct budget memory;
	struct bucket *limit; /* of bandwidth, or NULL */
	/* hooks of a test; NULL: nothing, and continue */
	void (*on_progress)(struct fixture *);
	void (*on_verified)(struct fixture *);
	void (*on_grow)(struct fixture *, struct attempt_growth *);
	void (*on_note)(
	    struct fixture *, enum checkpoint_note_kind); /* before the head is acknowledged */
};
extern struct fixture fx;

int fixture_setup(void **state); /* of each test */
int fixture_teardown(void **state);
/* Opens one more account in place of `index`, of another driver. */
void fixture_replace(int index, const struct cloud_driver *);
/* The same, with these credentials (stolen). */
void fixture_reopen(int index, const struct cloud_driver *, json_t *credentials);
struct account *fixture_account(const char *id);

struct change *fixture_change(enum change_kind, const char *account, const char *path);
struct segment *fixture_source(struct change *, const char *account, const char *path); /* whole */
int fixture_run(const struct change *); /* the result's code */
int fixture_run_free(struct change *);

/* One op to its end; *op stays for its results. */
int fixture_op(struct cloud_op *op);
int fixture_simple(enum cloud_op_kind, const char *account, const char *path);
void fixture_put(const char *account, const char *path, unsigned seed, uint64_t size);
void fixture_spool(const char *name, unsigned seed, uint64_t size);
bool fixture_exists(const char *account, const char *path);
struct entry fixture_stat(const char *account, const char *path); /* entry_fini() it */
void fixture_fill(unsigned char *out, unsigned seed, uint64_t offset, size_t len);
/* Asserts that it has exactly this content; *at goes on behind it. */
void fixture_expect(const char *account, const char *path, unsigned seed, uint64_t size);
/* The content of a small file; caller frees. */
unsigned char *fixture_slurp(const char *account, const char *path, uint64_t *size);
/* Names that begin like a temporary, in a local root. */
unsigned fixture_temps(int root);
