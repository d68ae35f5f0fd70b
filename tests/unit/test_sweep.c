/*
 * What a change that has ended left at its cloud: it is removed by the queue, unless the account is
 * gone; and it is remembered as long as the account's credentials cannot be read.
 */
#include "daemon/accounts.h"
#include "daemon/daemon.h"
#include "daemon/queue.h"
#include "src/checkpoint.h"
#include "src/log.h"
#include "src/paths.h"
#include "src/pool.h"
#include "tests/unit/store_fixture.h"
#include <fcntl.h>
#include <string.h>

/* A failed transfer with an upload that nobody has aborted. */
static void
leave_upload(struct fixture *f)
{
	struct change *c = fixture_add(f, fixture_transfer(f, "from", "to"));
	struct checkpoint *left = checkpoint_new();
	char id[37];

	snprintf(id, sizeof id, "%s", c->id);
	fixture_claim(f, id);
	left->path = xstrdup("to");
	left->source = xstrdup("00");
	left->size = 1000;
	left->part_size = 100;
	left->upload = xstrdup("upload");
	assert_int_equal(AWAIT(f, store_checkpoint_head(f->s, id, left, TO(f)))->code, 0);
	fixture_finish(f, id, CHANGE_FAILED);
	checkpoint_free(left);
}

static size_t
uploads_left(struct fixture *f)
{
	struct err err = ERR_INIT;
	struct change **left;
	size_t i, len = 0;

	assert_int_equal(store_checkpoints_left(f->s, NULL, 10, &left, &len, &err), 0);
	for (i = 0; i < len; i++)
		change_free(left[i]);
	free(left);
	return len;
}

/* What the log says, which is the only thing that is seen of a sweep that cannot begin. */
struct watch {
	struct loop *loop;
	const char *words;
	char text[4096];
	size_t len;
};

static void
watch_on_log(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	ssize_t n = read(fd, w->text + w->len, sizeof w->text - 1 - w->len);

	assert_true(n > 0);
	w->len += (size_t)n;
	if (strstr(w->text, w->words) != NULL)
		loop_stop(w->loop);
}

/* Runs the loop until the log has the words. */
static void
watch_run(struct watch *w, int fd)
{
	struct event *event =
	    event_new(loop_base(w->loop), fd, EV_READ | EV_PERSIST, watch_on_log, w);

	event_add(event, NULL);
	alarm(60);
	loop_run(w->loop);
	alarm(0);
	event_free(event);
}

static void
on_drained(void *arg)
{
	loop_stop(arg);
}

/* A daemon's queue from its start to its end, between which it tries to sweep: that fails for a
   reason with these words. */
static void
sweep(struct fixture *f, const struct settings *settings, const char *words)
{
	CLEANUP(cleanup_free) char *key = paths_join(f->scratch, "master.key");
	struct daemon d = {
	    .settings = settings, .state_dir = f->scratch, .loop = f->loop, .store = f->s};
	struct watch watch = {.loop = f->loop, .words = words};
	struct err err = ERR_INIT;
	int log[2], before = dup(STDERR_FILENO);

	assert_int_equal(seal_key_load(&d.key, key, true, &err), 0);
	d.pool = pool_new(1, &err);
	d.accounts = accounts_new(&d);
	d.queue = queue_new(&d, &err);
	assert_non_null(d.queue);
	log_set_level(LOG_LEVEL_WARNING);
	assert_int_equal(pipe2(log, O_CLOEXEC), 0);
	dup2(log[1], STDERR_FILENO);
	watch_run(&watch, log[0]);
	dup2(before, STDERR_FILENO);
	log_set_level(LOG_LEVEL_ERROR);
	close(before);
	close(log[0]);
	close(log[1]);
	queue_drain(d.queue, 0, on_drained, f->loop);
	loop_run(f->loop);
	queue_free(d.queue);
	accounts_free(d.accounts);
	pool_free(d.pool);
	loop_stop(f->loop); /* what was posted to it */
	loop_run(f->loop);
	seal_key_free(d.key);
}

static void
a_sweep_waits_for_credentials_and_not_for_accounts(void **state)
{
	struct fixture *f = *state;
	struct settings *settings = settings_new();
	struct err err = ERR_INIT;

	assert_int_equal(settings_set(settings, "drivers.test", "yes", &err), 0);
	assert_int_equal(settings_set(settings, "transfer.loops", "1", &err), 0);
	leave_upload(f);
	assert_int_equal(uploads_left(f), 1);
	/* The fixture's accounts were never sealed: as if the key were another. */
	sweep(f, settings, "cannot be unsealed");
	assert_int_equal(uploads_left(f), 1);
	sweep(f, settings, "cannot be unsealed");
	assert_int_equal(uploads_left(f), 1);
	assert_int_equal(AWAIT(f, store_account_remove(f->s, f->user, f->a, TO(f)))->code, 0);
	sweep(f, settings, "is not there any more");
	assert_int_equal(uploads_left(f), 0);
	settings_free(settings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_sweep_waits_for_credentials_and_not_for_accounts,
		fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
