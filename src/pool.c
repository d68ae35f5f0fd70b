#include "src/pool.h"
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct job {
	STAILQ_ENTRY(job) next;
	struct loop *loop;
	loop_fn work, done;
	void *arg;
};

/* Where jobs wait or run; gone when none does. */
struct place {
	LIST_ENTRY(place) next;
	TAILQ_ENTRY(place) next_ready;
	char *name;
	STAILQ_HEAD(, job) jobs; /* that wait */
	unsigned waiting, running; /* how many */
	unsigned runnable; /* of those that wait; then it is on pool->ready */
};

struct pool {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	LIST_HEAD(, place) places;
	TAILQ_HEAD(, place) ready;
	unsigned each; /* jobs of one place at once */
	unsigned jobs; /* that wait or run */
	unsigned runnable; /* of all places */
	unsigned idle; /* threads that wait for `wake`, or have just been started */
	bool ending;
	pthread_t threads[POOL_THREADS_MAX];
	unsigned threads_len;
};

static struct place *
pool_place(struct pool *pool, const char *name)
{
	struct place *place;

	LIST_FOREACH (place, &pool->places, next) {
		if (strcmp(place->name, name) == 0)
			return place;
	}
	place = xcalloc(1, sizeof(*place));
	place->name = xstrdup(name);
	STAILQ_INIT(&place->jobs);
	LIST_INSERT_HEAD(&pool->places, place, next);
	return place;
}

/* A job came, began or ended: how many may begin now?  Frees the place when there is none left. */
static void
place_update(struct pool *pool, struct place *place)
{
	unsigned before = place->runnable;

	place->runnable = MIN(place->waiting, pool->each - place->running);
	pool->runnable += place->runnable - before;
	if (before == 0 && place->runnable > 0)
		TAILQ_INSERT_TAIL(&pool->ready, place, next_ready);
	else if (before > 0 && place->runnable == 0)
		TAILQ_REMOVE(&pool->ready, place, next_ready);
	if (place->running > 0 || place->waiting > 0)
		return;
	LIST_REMOVE(place, next);
	free(place->name);
	free(place);
}

/* The next job of the place whose turn it is, which goes to the end of the line. */
static struct job *
pool_take(struct pool *pool, struct place **out)
{
	struct place *place = TAILQ_FIRST(&pool->ready);
	struct job *job = STAILQ_FIRST(&place->jobs);

	STAILQ_REMOVE_HEAD(&place->jobs, next);
	place->waiting--;
	place->running++;
	TAILQ_REMOVE(&pool->ready, place, next_ready);
	TAILQ_INSERT_TAIL(&pool->ready, place, next_ready);
	place_update(pool, place);
	*out = place;
	return job;
}

/* False: the pool ends, and nothing is left that this thread could do. */
static bool
pool_wait(struct pool *pool)
{
	while (pool->runnable == 0 && !(pool->ending && pool->jobs == 0)) {
		pool->idle++;
		pthread_cond_wait(&pool->wake, &pool->lock);
		pool->idle--;
	}
	return pool->runnable > 0;
}

static void *
pool_main(void *arg)
{
	struct pool *pool = arg;
	struct place *place;
	struct job *job;

	pthread_setname_np(pthread_self(), "pool");
	pthread_mutex_lock(&pool->lock);
	pool->idle--;
	while (pool_wait(pool)) {
		job = pool_take(pool, &place);
		pthread_mutex_unlock(&pool->lock);
		job->work(job->arg);
		pthread_mutex_lock(&pool->lock);
		place->running--;
		pool->jobs--;
		place_update(pool, place);
		/* Locked: whoever is told that it is done must not find it among pool_jobs. */
		loop_post(job->loop, job->done, job->arg);
		free(job);
		if (pool->ending && pool->jobs == 0)
			pthread_cond_broadcast(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Locked. */
static int
pool_start_thread(struct pool *pool)
{
	sigset_t all, before;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&pool->threads[pool->threads_len], NULL, pool_main, pool);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code == 0) {
		pool->threads_len++;
		pool->idle++;
	}
	return -code;
}

struct pool *
pool_new(unsigned threads, struct err *err)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));
	int code;

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	LIST_INIT(&pool->places);
	TAILQ_INIT(&pool->ready);
	pool->each = MAX(threads, 1);
	/* One, so that there is always somebody who comes to what waits. */
	pthread_mutex_lock(&pool->lock);
	code = pool_start_thread(pool);
	pthread_mutex_unlock(&pool->lock);
	if (code != 0) {
		err_sys(err, code, "cannot start a thread for slow calls");
		pool_free(pool);
		return NULL;
	}
	return pool;
}

void
pool_free(struct pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->threads_len; i++)
		pthread_join(pool->threads[i], NULL);
	assert(LIST_EMPTY(&pool->places));
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void
pool_submit(struct pool *pool, const char *place_name, struct loop *loop, loop_fn work,
    loop_fn done, void *arg)
{
	struct job *job = xcalloc(1, sizeof(*job));
	struct place *place;

	job->loop = loop;
	job->work = work;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&pool->lock);
	place = pool_place(pool, place_name != NULL ? place_name : "");
	STAILQ_INSERT_TAIL(&place->jobs, job, next);
	place->waiting++;
	pool->jobs++;
	place_update(pool, place);
	/* Should no thread be had, one that there is comes to it. */
	if (pool->runnable > pool->idle && pool->threads_len < POOL_THREADS_MAX)
		pool_start_thread(pool);
	pthread_cond_signal(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}

unsigned
pool_jobs(struct pool *pool)
{
	unsigned jobs;

	pthread_mutex_lock(&pool->lock);
	jobs = pool->jobs;
	pthread_mutex_unlock(&pool->lock);
	return jobs;
}
