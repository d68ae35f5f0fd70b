#include "daemon/spool.h"
#include "src/log.h"
#include "src/path.h"
#include "src/paths.h"
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_BATCH                                                                                \
	512 /* files looked at in one step: the store is asked about each on the control loop */

struct spool_file {
	char *user_id, *name;
	bool swept; /* only if no mount holds it */
	STAILQ_ENTRY(spool_file) next;
};
STAILQ_HEAD(spool_files, spool_file);

/* One job of the pool: unlink these, or look for old ones. */
struct spool_job {
	struct spool *spool;
	struct spool_files files;
	size_t len;
	char *resume_user, *resume_name; /* the walk goes on behind these */
	bool complete;
};

struct spool {
	struct daemon *daemon;
	char *dir;
	struct event *timer;
	struct spool_files waiting; /* to be unlinked when the job under way is done */
	bool unlinking, walking;
	bool again; /* a sweep was asked for while one was under way */
	bool dead; /* freed by the owner: the last job of the pool takes it along */
	char *resume_user, *resume_name;
};

static void
spool_file_add(struct spool_files *files, const char *user_id, const char *name, bool swept)
{
	struct spool_file *f = xcalloc(1, sizeof *f);

	f->user_id = xstrdup(user_id);
	f->name = xstrdup(name);
	f->swept = swept;
	STAILQ_INSERT_TAIL(files, f, next);
}

static void
spool_files_free(struct spool_files *files)
{
	struct spool_file *f;

	while ((f = STAILQ_FIRST(files)) != NULL) {
		STAILQ_REMOVE_HEAD(files, next);
		free(f->user_id);
		free(f->name);
		free(f);
	}
}

/* The file, locked; -1: it is gone, or a mount has it open and may still make a change of it. */
static int
spool_lock(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		cleanup_close(&fd);
	return fd;
}

/* -- unlinking */

static void
spool_unlink_work(void *arg)
{
	struct spool_job *job = arg;
	struct spool_file *f;

	STAILQ_FOREACH (f, &job->files, next) {
		CLEANUP(cleanup_free)
		char *path = xasprintf("%s/%s/%s", job->spool->dir, f->user_id, f->name);
		CLEANUP(cleanup_close) int fd = f->swept ? spool_lock(AT_FDCWD, path) : -1;

		if (f->swept && fd < 0)
			continue;
		if (unlink(path) != 0 && errno != ENOENT)
			log_warning(
			    "cannot remove the spool file %s: %s", path, strerrordesc_np(errno));
	}
}

static void spool_unlink_next(struct spool *);

static void
spool_unlink_done(void *arg)
{
	struct spool_job *job = arg;
	struct spool *s = job->spool;

	spool_files_free(&job->files);
	free(job);
	s->unlinking = false;
	if (s->dead)
		spool_free(s);
	else
		spool_unlink_next(s);
}

static void
spool_unlink_next(struct spool *s)
{
	struct spool_job *job;

	if (s->unlinking || STAILQ_EMPTY(&s->waiting))
		return;
	job = xcalloc(1, sizeof *job);
	job->spool = s;
	STAILQ_INIT(&job->files);
	STAILQ_CONCAT(&job->files, &s->waiting);
	s->unlinking = true;
	pool_submit(
	    s->daemon->pool, NULL, s->daemon->loop, spool_unlink_work, spool_unlink_done, job);
}

static bool
spool_is_needed(struct spool *s, const char *user_id, const char *name)
{
	struct err err = ERR_INIT;
	bool used = true;

	if (store_spool_used(s->daemon->store, user_id, name, &used, &err) == 0)
		return used;
	log_warning("cannot tell whether the spool file %s is needed; it is kept: %s", name,
	    err_text(&err));
	return true;
}

void
spool_ended(struct spool *s, const struct change *c)
{
	size_t i;

	for (i = 0; i < c->segments_len; i++) {
		const struct segment *g = &c->segments[i];

		if (g->kind != SEGMENT_SPOOL || strchr(g->path, '/') != NULL)
			continue;
		/* Many ranges of one file come in a row. */
		if (i > 0 && g[-1].kind == SEGMENT_SPOOL && strcmp(g->path, g[-1].path) == 0)
			continue;
		if (!spool_is_needed(s, c->user_id, g->path))
			spool_file_add(&s->waiting, c->user_id, g->path, false);
	}
	spool_unlink_next(s);
}

/* -- looking for what was left */

static int
spool_not_dot(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
spool_walk_user(struct spool_job *job, const char *user_id, const char *after)
{
	CLEANUP(cleanup_free) char *dir = paths_join(job->spool->dir, user_id);
	CLEANUP(cleanup_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **names = NULL;
	struct stat st;
	int i, n;

	n = fd < 0 ? -1 : scandirat(fd, ".", &names, spool_not_dot, alphasort);
	for (i = 0; i < n; i++) {
		const char *name = names[i]->d_name;

		CLEANUP(cleanup_close) int locked = -1;

		if (job->len < SPOOL_BATCH && (after == NULL || strcoll(name, after) > 0) &&
		    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
		    (locked = spool_lock(fd, name)) >= 0) {
			spool_file_add(&job->files, user_id, name, true);
			xstrset(&job->resume_user, user_id);
			xstrset(&job->resume_name, name);
			job->len++;
		}
		free(names[i]);
	}
	free(names);
}

/* Collects the next SPOOL_BATCH files that nobody holds, in order of user and name. */
static void
spool_walk_work(void *arg)
{
	struct spool_job *job = arg;
	struct dirent **users = NULL;
	CLEANUP(cleanup_free) char *from_user = xstrdup_null(job->resume_user);
	CLEANUP(cleanup_free) char *from_name = xstrdup_null(job->resume_name);
	int i, n, order;

	n = scandir(job->spool->dir, &users, spool_not_dot, alphasort);
	for (i = 0; i < n; i++) {
		order = from_user == NULL ? 1 : strcoll(users[i]->d_name, from_user);
		if (order >= 0 && job->len < SPOOL_BATCH)
			spool_walk_user(job, users[i]->d_name, order == 0 ? from_name : NULL);
		free(users[i]);
	}
	free(users);
	job->complete = job->len < SPOOL_BATCH;
}

static void spool_walk(struct spool *);

/* Those that no change names go; then on with the next batch, or again tomorrow. */
static void
spool_walk_take(struct spool *s, struct spool_job *job)
{
	static const struct timeval day = {24 * 3600, 0};
	struct spool_file *f;

	STAILQ_FOREACH (f, &job->files, next) {
		if (!spool_is_needed(s, f->user_id, f->name)) {
			log_info("removing the spool file %s of user %s: no change needs it",
			    f->name, f->user_id);
			spool_file_add(&s->waiting, f->user_id, f->name, true);
		}
	}
	spool_unlink_next(s);
	free(s->resume_user);
	free(s->resume_name);
	s->resume_user = job->complete ? NULL : TAKE(job->resume_user);
	s->resume_name = job->complete ? NULL : TAKE(job->resume_name);
	if (!job->complete || s->again) {
		s->again &= !job->complete;
		spool_walk(s);
	} else {
		evtimer_add(s->timer, &day);
	}
}

static void
spool_walk_done(void *arg)
{
	struct spool_job *job = arg;
	struct spool *s = job->spool;

	s->walking = false;
	if (s->dead)
		spool_free(s);
	else
		spool_walk_take(s, job);
	spool_files_free(&job->files);
	free(job->resume_user);
	free(job->resume_name);
	free(job);
}

static void
spool_walk(struct spool *s)
{
	struct spool_job *job = xcalloc(1, sizeof *job);

	assert(!s->walking);
	job->spool = s;
	STAILQ_INIT(&job->files);
	job->resume_user = xstrdup_null(s->resume_user);
	job->resume_name = xstrdup_null(s->resume_name);
	s->walking = true;
	pool_submit(s->daemon->pool, NULL, s->daemon->loop, spool_walk_work, spool_walk_done, job);
}

void
spool_sweep(struct spool *s)
{
	if (s->walking) {
		s->again = true;
		return;
	}
	evtimer_del(s->timer);
	spool_walk(s);
}

static void
spool_on_timer(evutil_socket_t fd, short what, void *arg)
{
	spool_walk(arg);
}

struct spool *
spool_new(struct daemon *d)
{
	struct spool *s = xcalloc(1, sizeof *s);

	s->daemon = d;
	s->dir = paths_join(d->state_dir, "spool");
	s->timer = evtimer_new(loop_base(d->loop), spool_on_timer, s);
	STAILQ_INIT(&s->waiting);
	spool_walk(s);
	return s;
}

void
spool_free(struct spool *s)
{
	if (s == NULL)
		return;
	if (s->timer != NULL)
		event_free(TAKE(s->timer));
	s->dead = true;
	if (s->unlinking || s->walking)
		return;
	spool_files_free(&s->waiting);
	free(s->resume_user);
	free(s->resume_name);
	free(s->dir);
	free(s);
}
