#include "src/pool.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/queue.h>

struct job {
	STAILQ_ENTRY(job) next;
	struct loop *loop;
	loop_fn work, done;
	void *arg;
};

struct pool {
	pthread_mutex_t lock; /* guards `jobs` and `ending` */
	pthread_cond_t wake;
	STAILQ_HEAD(jobs, job) jobs;
	bool ending;
	pthread_t *threads;
	unsigned threads_len;
};

/* The next job, or NULL when the pool ends and nothing is queued. */
static struct job *
pool_take(struct pool *pool)
{
	struct job *job;

	pthread_mutex_lock(&pool->lock);
	while ((job = STAILQ_FIRST(&pool->jobs)) == NULL && !pool->ending)
		pthread_cond_wait(&pool->wake, &pool->lock);
	if (job != NULL)
		STAILQ_REMOVE_HEAD(&pool->jobs, next);
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *
pool_main(void *arg)
{
	struct pool *pool = arg;
	struct job *job;

	pthread_setname_np(pthread_self(), "pool");
	while ((job = pool_take(pool)) != NULL) {
		job->work(job->arg);
		loop_post(job->loop, job->done, job->arg);
		free(job);
	}
	return NULL;
}

struct pool *
pool_new(unsigned threads, struct err *err)
{
	struct pool *pool = xcalloc(1, sizeof(*pool));
	sigset_t all, before;
	int code = 0;

	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	STAILQ_INIT(&pool->jobs);
	pool->threads = xcalloc(MAX(threads, 1), sizeof(*pool->threads));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (pool->threads_len < MAX(threads, 1) && code == 0) {
		code = pthread_create(&pool->threads[pool->threads_len], NULL, pool_main, pool);
		if (code == 0)
			pool->threads_len++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0) {
		err_sys(err, -code, "cannot start %u threads for slow calls", threads);
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
	free(pool->threads);
	pthread_cond_destroy(&pool->wake);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void
pool_submit(struct pool *pool, struct loop *loop, loop_fn work, loop_fn done, void *arg)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->loop = loop;
	job->work = work;
	job->done = done;
	job->arg = arg;
	pthread_mutex_lock(&pool->lock);
	STAILQ_INSERT_TAIL(&pool->jobs, job, next);
	pthread_cond_signal(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
}
