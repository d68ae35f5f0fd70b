#include "src/loop.h"
#include <assert.h>
#include <event2/thread.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

/* After so many callbacks libevent looks at the descriptors again, so that two calls that keep
   waking each other cannot starve the rest.  Not fewer than it takes from one epoll_wait()
   (MAX_NEVENT): it would be told of those that are left over again each time, at a cost that is
   quadratic in those that are ready. */
#define LOOP_CALLBACKS_MAX 4096

struct message {
	STAILQ_ENTRY(message) next;
	loop_fn fn; /* NULL: stop */
	void *arg;
};
STAILQ_HEAD(messages, message);

struct loop {
	char name[16]; /* what the kernel takes for a thread's name */
	struct event_base *base;
	struct event *wake;
	int wake_fd;
	pthread_mutex_t lock; /* guards `messages` */
	struct messages messages;
	bool stop; /* the loop's own */
	bool threaded;
	pthread_t thread;
	atomic_bool running;
	atomic_uint_fast64_t turns;
};

static _Thread_local struct loop *loop_current;

static void
loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* It fails only when the counter is full: then a wake-up is under way. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Takes what has been posted so far. */
static struct messages
loop_take(struct loop *loop)
{
	struct messages taken = STAILQ_HEAD_INITIALIZER(taken);

	pthread_mutex_lock(&loop->lock);
	STAILQ_CONCAT(&taken, &loop->messages);
	pthread_mutex_unlock(&loop->lock);
	return taken;
}

/* Those after a stop stay for the next run, in front of what was posted meanwhile. */
static void
loop_put_back(struct loop *loop, struct messages *rest)
{
	if (STAILQ_EMPTY(rest))
		return;
	pthread_mutex_lock(&loop->lock);
	STAILQ_CONCAT(rest, &loop->messages);
	STAILQ_CONCAT(&loop->messages, rest);
	pthread_mutex_unlock(&loop->lock);
	loop_wake(loop);
}

static void
loop_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct loop *loop = arg;
	struct messages taken;
	struct message *message;
	uint64_t count;

	while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	atomic_fetch_add(&loop->turns, 1);
	taken = loop_take(loop);
	while (!loop->stop && (message = STAILQ_FIRST(&taken)) != NULL) {
		STAILQ_REMOVE_HEAD(&taken, next);
		if (message->fn != NULL)
			message->fn(message->arg);
		else
			loop->stop = true;
		free(message);
	}
	loop_put_back(loop, &taken);
	if (loop->stop)
		event_base_loopbreak(loop->base);
}

static void
loop_use_threads(void)
{
	evthread_use_pthreads();
}

static struct event_base *
loop_new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	if (config == NULL)
		return NULL;
	event_config_set_max_dispatch_interval(config, NULL, LOOP_CALLBACKS_MAX, 0);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *
loop_new(const char *name, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct loop *loop = xcalloc(1, sizeof(*loop));

	pthread_once(&once, loop_use_threads);
	snprintf(loop->name, sizeof(loop->name), "%s", name);
	STAILQ_INIT(&loop->messages);
	pthread_mutex_init(&loop->lock, NULL);
	loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake_fd < 0) {
		err_sys(err, -errno, "cannot make an eventfd for loop '%s'", name);
		loop_free(loop);
		return NULL;
	}
	loop->base = loop_new_base();
	if (loop->base != NULL)
		loop->wake =
		    event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, loop_on_wake, loop);
	if (loop->wake == NULL || event_add(loop->wake, NULL) < 0) {
		err_set(err, -EMFILE,
		    "cannot make the event base of loop '%s'; is the limit of open files reached?",
		    name);
		loop_free(loop);
		return NULL;
	}
	return loop;
}

static void
loop_run_rest(struct loop *loop)
{
	struct message *message;
	struct messages taken;

	/* A message may post others: until none is left. */
	for (taken = loop_take(loop); !STAILQ_EMPTY(&taken); taken = loop_take(loop)) {
		while ((message = STAILQ_FIRST(&taken)) != NULL) {
			STAILQ_REMOVE_HEAD(&taken, next);
			if (message->fn != NULL)
				message->fn(message->arg);
			free(message);
		}
	}
}

void
loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	assert(!atomic_load(&loop->running));
	loop_run_rest(loop);
	if (loop->wake != NULL)
		event_free(loop->wake);
	if (loop->base != NULL)
		event_base_free(loop->base);
	cleanup_close(&loop->wake_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

void
loop_run(struct loop *loop)
{
	struct loop *outer = loop_current;

	assert(!atomic_load(&loop->running));
	atomic_store(&loop->running, true);
	loop_current = loop;
	while (!loop->stop) {
		if (event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0)
			abort(); /* epoll itself failed: nothing would ever happen again */
		atomic_fetch_add(&loop->turns, 1);
	}
	loop->stop = false; /* for another run */
	loop_current = outer;
	atomic_store(&loop->running, false);
}

static void *
loop_main(void *arg)
{
	struct loop *loop = arg;

	pthread_setname_np(pthread_self(), loop->name);
	loop_run(loop);
	return NULL;
}

int
loop_start(struct loop *loop, struct err *err)
{
	sigset_t all, before;
	int code;

	/* The thread inherits the mask: signals are the main thread's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	code = pthread_create(&loop->thread, NULL, loop_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code != 0)
		return err_sys(err, -code, "cannot start the thread of loop '%s'", loop->name);
	loop->threaded = true;
	return 0;
}

static void
loop_push(struct loop *loop, loop_fn fn, void *arg)
{
	struct message *message = xcalloc(1, sizeof(*message));
	bool first;

	message->fn = fn;
	message->arg = arg;
	pthread_mutex_lock(&loop->lock);
	first = STAILQ_EMPTY(&loop->messages);
	STAILQ_INSERT_TAIL(&loop->messages, message, next);
	/* Inside the lock: once it is released the loop may run the message, stop and be freed. */
	if (first)
		loop_wake(loop);
	pthread_mutex_unlock(&loop->lock);
}

void
loop_stop(struct loop *loop)
{
	loop_push(loop, NULL, NULL);
}

void
loop_join(struct loop *loop)
{
	if (!loop->threaded)
		return;
	pthread_join(loop->thread, NULL);
	loop->threaded = false;
}

struct event_base *
loop_base(struct loop *loop)
{
	return loop->base;
}

void
loop_post(struct loop *loop, loop_fn fn, void *arg)
{
	assert(fn != NULL);
	loop_push(loop, fn, arg);
}

bool
loop_is_current(const struct loop *loop)
{
	/* Before it runs and after it has stopped, it belongs to the thread that sets it up. */
	return loop_current == loop || !atomic_load(&loop->running);
}

uint64_t
loop_turns(const struct loop *loop)
{
	return atomic_load(&loop->turns);
}
