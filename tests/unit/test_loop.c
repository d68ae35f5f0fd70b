#include "tests/unit/check.h"

#include "src/loop.h"
#include "src/pool.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static struct loop *
loop_make(const char *name)
{
	struct err err = ERR_INIT;
	struct loop *loop = loop_new(name, &err);

	assert_non_null(loop);
	return loop;
}

struct trace {
	struct loop *loop;
	char text[64];
	size_t len;
};

static void
trace_a(void *arg)
{
	struct trace *t = arg;

	t->text[t->len++] = 'a';
}

static void
trace_b(void *arg)
{
	struct trace *t = arg;

	t->text[t->len++] = 'b';
	loop_post(t->loop, trace_a, t);
	t->text[t->len++] = '.'; /* posting runs nothing */
}

static void
messages_run_in_order(void **state)
{
	struct trace t = {.loop = loop_make("order")};

	loop_post(t.loop, trace_b, &t);
	loop_post(t.loop, trace_a, &t);
	loop_stop(t.loop);
	assert_string_equal(t.text, "");
	loop_run(t.loop);
	/* What was posted before the stop has run, what was posted after it has not. */
	assert_string_equal(t.text, "b.a");
	loop_post(t.loop, trace_b, &t);
	loop_stop(t.loop);
	loop_run(t.loop);
	assert_string_equal(t.text, "b.aab.");
	loop_free(t.loop);
	/* The rest runs before it is freed. */
	assert_string_equal(t.text, "b.aab.a");
}

struct counter {
	struct loop *loop;
	atomic_uint seen;
	unsigned wanted;
	bool wrong_thread, signals;
};

static void
counter_add(void *arg)
{
	struct counter *c = arg;

	c->wrong_thread |= !loop_is_current(c->loop);
	if (atomic_fetch_add(&c->seen, 1) + 1 == c->wanted)
		loop_stop(c->loop);
}

static void *
poster(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 10000; i++)
		loop_post(c->loop, counter_add, c);
	return NULL;
}

static void
any_thread_may_post(void **state)
{
	struct counter c = {.loop = loop_make("post"), .wanted = 40000};
	struct err err = ERR_INIT;
	pthread_t threads[4];

	assert_int_equal(loop_start(c.loop, &err), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, poster, &c), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	loop_join(c.loop);
	assert_int_equal(c.seen, c.wanted);
	assert_false(c.wrong_thread);
	assert_true(loop_turns(c.loop) > 0);
	loop_free(c.loop);
}

static void
look_at_thread(void *arg)
{
	struct counter *c = arg;
	char name[16];
	sigset_t set;

	pthread_sigmask(SIG_BLOCK, NULL, &set);
	c->signals = !sigismember(&set, SIGTERM) || !sigismember(&set, SIGCHLD);
	pthread_getname_np(pthread_self(), name, sizeof name);
	c->wrong_thread = strcmp(name, "a loop with a l") != 0;
}

static void
threads_have_names_and_no_signals(void **state)
{
	struct counter c = {.loop = loop_make("a loop with a long name")};
	struct err err = ERR_INIT;

	assert_int_equal(loop_start(c.loop, &err), 0);
	loop_post(c.loop, look_at_thread, &c);
	loop_stop(c.loop);
	loop_join(c.loop);
	assert_false(c.signals);
	assert_false(c.wrong_thread);
	loop_free(c.loop);
}

/* Two events that wake each other for ever: a timer must come through all the same. */
struct pingpong {
	struct event *a, *b;
	struct loop *loop;
	bool stopped;
};

static void
on_a(evutil_socket_t fd, short what, void *arg)
{
	struct pingpong *p = arg;

	if (!p->stopped)
		event_active(p->b, EV_TIMEOUT, 0);
}

static void
on_b(evutil_socket_t fd, short what, void *arg)
{
	struct pingpong *p = arg;

	if (!p->stopped)
		event_active(p->a, EV_TIMEOUT, 0);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct pingpong *p = arg;

	p->stopped = true;
	loop_stop(p->loop);
}

static void
busy_events_starve_nobody(void **state)
{
	struct pingpong p = {.loop = loop_make("busy")};
	const struct timeval tv = {.tv_usec = 1000};
	struct event *timer = evtimer_new(loop_base(p.loop), on_time, &p);

	p.a = event_new(loop_base(p.loop), -1, 0, on_a, &p);
	p.b = event_new(loop_base(p.loop), -1, 0, on_b, &p);
	event_add(timer, &tv);
	event_active(p.a, EV_TIMEOUT, 0);
	alarm(20); /* it would never end */
	loop_run(p.loop);
	alarm(0);
	assert_true(p.stopped);
	event_free(timer);
	event_free(p.a);
	event_free(p.b);
	loop_free(p.loop);
}

struct job {
	struct counter *c;
	pthread_t ran_on;
	bool worked;
};

static void
job_work(void *arg)
{
	struct job *job = arg;

	job->ran_on = pthread_self();
	job->worked = true;
}

static void
job_done(void *arg)
{
	struct job *job = arg;

	assert_true(job->worked);
	assert_false(pthread_equal(job->ran_on, pthread_self()));
	counter_add(job->c);
}

static void
pool_works_and_tells_the_loop(void **state)
{
	struct counter c = {.loop = loop_make("jobs"), .wanted = 500};
	struct err err = ERR_INIT;
	struct pool *pool = pool_new(3, &err);
	static struct job jobs[500];

	assert_non_null(pool);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){.c = &c};
		pool_submit(pool, NULL, c.loop, job_work, job_done, &jobs[i]);
	}
	loop_run(c.loop);
	assert_int_equal(c.seen, c.wanted);
	assert_false(c.wrong_thread);
	pool_free(pool);
	loop_free(c.loop);
}

static void
pool_finishes_before_it_ends(void **state)
{
	struct counter c = {.loop = loop_make("end"), .wanted = UINT32_MAX};
	struct err err = ERR_INIT;
	struct pool *pool = pool_new(1, &err);
	static struct job jobs[50];

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){.c = &c};
		pool_submit(pool, NULL, c.loop, job_work, job_done, &jobs[i]);
	}
	pool_free(pool);
	loop_free(c.loop);
	assert_int_equal(c.seen, ARRAY_LEN(jobs));
}

/* A place whose disk does not answer. */
struct hung {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	unsigned stuck;
	bool answers;
};

static void
hung_work(void *arg)
{
	struct hung *h = arg;

	pthread_mutex_lock(&h->lock);
	h->stuck++;
	pthread_cond_broadcast(&h->wake);
	while (!h->answers)
		pthread_cond_wait(&h->wake, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

static void
hung_done(void *arg)
{
}

/* Its jobs take their share of threads and no more, and jobs of other places go on. */
static void
pool_places_do_not_stop_each_other(void **state)
{
	struct hung h = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER};
	struct counter c = {.loop = loop_make("places"), .wanted = 120};
	struct err err = ERR_INIT;
	struct pool *pool = pool_new(2, &err);
	static struct job jobs[120];
	static const char *const places[] = {NULL, "/one", "/two"};

	for (size_t i = 0; i < 20; i++)
		pool_submit(pool, "/hung", c.loop, hung_work, hung_done, &h);
	pthread_mutex_lock(&h.lock);
	while (h.stuck < 2)
		pthread_cond_wait(&h.wake, &h.lock);
	pthread_mutex_unlock(&h.lock);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		jobs[i] = (struct job){.c = &c};
		pool_submit(
		    pool, places[i % ARRAY_LEN(places)], c.loop, job_work, job_done, &jobs[i]);
	}
	loop_run(c.loop); /* until all 120 are done */
	pthread_mutex_lock(&h.lock);
	assert_int_equal(h.stuck, 2);
	assert_int_equal(pool_jobs(pool), 20);
	h.answers = true;
	pthread_cond_broadcast(&h.wake);
	pthread_mutex_unlock(&h.lock);
	pool_free(pool);
	assert_int_equal(h.stuck, 20);
	loop_free(c.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages_run_in_order),
	    cmocka_unit_test(any_thread_may_post),
	    cmocka_unit_test(threads_have_names_and_no_signals),
	    cmocka_unit_test(busy_events_starve_nobody),
	    cmocka_unit_test(pool_works_and_tells_the_loop),
	    cmocka_unit_test(pool_finishes_before_it_ends),
	    cmocka_unit_test(pool_places_do_not_stop_each_other),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
