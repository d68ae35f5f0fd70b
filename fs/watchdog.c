#include "fs/watchdog.h"
#include "fs/kernel.h"
#include "src/log.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define WATCHDOG_LOOK_S                                                                            \
	5 /* counted in looks, not by the clock: a stopped process must not be taken for a stuck   \
	     one */

struct watchdog {
	struct loop *loop;
	char *directory;
	unsigned minor;
	bool found;
	struct event *beat; /* so that an idle loop turns too */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ending;
};

static void
watchdog_beat(evutil_socket_t fd, short what, void *arg)
{
}

static void
watchdog_bite(struct watchdog *w)
{
	log_error("%s: the loop has not turned for %d s; ending the connection", w->directory,
	    WATCHDOG_S);
	if (w->found)
		kernel_abort(w->minor);
	/* Closing /dev/fuse ends the connection too, should /sys/fs/fuse/connections not be there.
	 */
	_exit(1);
}

static void *
watchdog_run(void *arg)
{
	struct watchdog *w = arg;
	uint64_t turns = loop_turns(w->loop), now;
	unsigned looks = 0;
	struct timespec until;

	pthread_mutex_lock(&w->lock);
	while (!w->ending) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += WATCHDOG_LOOK_S;
		if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
			continue;
		now = loop_turns(w->loop);
		looks = now == turns ? looks + 1 : 0;
		turns = now;
		if (looks * WATCHDOG_LOOK_S >= WATCHDOG_S)
			watchdog_bite(w);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

struct watchdog *
watchdog_new(struct loop *loop, const char *directory)
{
	struct watchdog *w = xcalloc(1, sizeof(*w));
	struct timeval beat = {.tv_sec = WATCHDOG_S / 4};
	pthread_condattr_t attr;
	sigset_t all, old;
	unsigned major;

	w->loop = loop;
	w->directory = xstrdup(directory);
	w->found = kernel_mount_device(directory, &major, &w->minor) == 0;
	w->beat = event_new(loop_base(loop), -1, EV_PERSIST, watchdog_beat, NULL);
	if (w->beat == NULL || event_add(w->beat, &beat) != 0)
		abort();
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&w->thread, NULL, watchdog_run, w) != 0)
		log_fatal("no thread for the watchdog");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return w;
}

void
watchdog_free(struct watchdog *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	event_free(w->beat);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->directory);
	free(w);
}
