/*
 * The sweep of the spool: what a change names, and what a mount holds, stays.
 */
#include "daemon/daemon.h"
#include "daemon/spool.h"
#include "src/paths.h"
#include "src/pool.h"
#include "tests/unit/store_fixture.h"
#include <fcntl.h>
#include <sys/file.h>

static void
work_none(void *arg)
{
}

static void
work_done(void *arg)
{
	loop_stop(arg);
}

/* The pool has one thread: its jobs are done in order. */
static void
sweep(struct daemon *d)
{
	struct spool *spool = spool_new(d);
	unsigned i;

	for (i = 0; i < 2; i++) { /* behind the walk, and then behind the unlinking */
		pool_submit(d->pool, NULL, d->loop, work_none, work_done, d->loop);
		loop_run(d->loop);
	}
	spool_free(spool);
	loop_stop(d->loop);
	loop_run(d->loop);
}

static bool
is_there(const char *dir, const char *name)
{
	CLEANUP(cleanup_free) char *path = paths_join(dir, name);

	return access(path, F_OK) == 0;
}

static void
test_sweep(void **state)
{
	struct fixture *f = *state;
	CLEANUP(cleanup_free) char *top = paths_join(f->scratch, "spool");
	CLEANUP(cleanup_free) char *dir = paths_join(top, f->user);
	CLEANUP(cleanup_free) char *held = paths_join(dir, "held");
	CLEANUP(cleanup_free) char *left = paths_join(dir, "left");
	CLEANUP(cleanup_free) char *named = paths_join(dir, "named");
	struct daemon d = {.state_dir = f->scratch, .loop = f->loop, .store = f->s};
	int fd;

	d.pool = pool_new(1, NULL);
	assert_int_equal(paths_make_private(dir, NULL), 0);
	scratch_write(held, "x");
	scratch_write(left, "x");
	scratch_write(named, "x");
	fixture_add(f, fixture_pending(f, "mount", "file", "named"));
	fd = open(held, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	sweep(&d);
	assert_false(is_there(dir, "left"));
	assert_true(is_there(dir, "held"));
	assert_true(is_there(dir, "named"));
	close(fd); /* the mount has died */
	sweep(&d);
	assert_false(is_there(dir, "held"));
	assert_true(is_there(dir, "named"));
	pool_free(d.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_sweep, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
