#include "fs/notify.h"
#include "src/log.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define NOTIFY_MAX  1024
#define NOTIFY_ATTR (-1) /* as the offset: attributes only, no pages */

struct notifier {
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	uint64_t queue[NOTIFY_MAX]; /* inodes */
	size_t first, len;
	bool ending;
};

static void *
notifier_run(void *arg)
{
	struct notifier *n = arg;
	uint64_t ino;

	pthread_mutex_lock(&n->lock);
	for (;;) {
		while (n->len == 0 && !n->ending)
			pthread_cond_wait(&n->wake, &n->lock);
		if (n->ending)
			break;
		ino = n->queue[n->first];
		n->first = (n->first + 1) % NOTIFY_MAX;
		n->len--;
		pthread_mutex_unlock(&n->lock);
		/* An error says that the kernel does not have it: then there is nothing to say. */
		fuse_lowlevel_notify_inval_inode(n->session, ino, NOTIFY_ATTR, 0);
		pthread_mutex_lock(&n->lock);
	}
	pthread_mutex_unlock(&n->lock);
	return NULL;
}

struct notifier *
notifier_new(struct fuse_session *session)
{
	struct notifier *n = xcalloc(1, sizeof(*n));
	sigset_t all, old;

	n->session = session;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->wake, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&n->thread, NULL, notifier_run, n) != 0)
		log_fatal("no thread for notifications");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return n;
}

void
notifier_free(struct notifier *n)
{
	if (n == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	n->ending = true;
	pthread_cond_signal(&n->wake);
	pthread_mutex_unlock(&n->lock);
	pthread_join(n->thread, NULL);
	pthread_cond_destroy(&n->wake);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

void
notify_inode(struct notifier *n, uint64_t ino)
{
	if (n == NULL)
		return;
	pthread_mutex_lock(&n->lock);
	if (n->len < NOTIFY_MAX) {
		n->queue[(n->first + n->len++) % NOTIFY_MAX] = ino;
		pthread_cond_signal(&n->wake);
	}
	pthread_mutex_unlock(&n->lock);
}
