#include "daemon/root_check.h"
#include "src/disk_root.h"
#include "src/path.h"
#include "src/pool.h"
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct root_check {
	LIST_ENTRY(root_check) next;
	struct root_checks *checks;
	char user_id[37];
	uint64_t timeout_ms;
	struct event *timer; /* the deadline, or a refusal */
	bool submitted; /* a job of the pool holds it */
	root_check_fn done; /* NULL: nobody waits any more */
	void *arg;
	atomic_bool dropped; /* the same, for the pool */

	/* The job's, from its submission to its end. */
	char *path;
	bool trusted;
	char **allowed; /* local.roots */
	size_t allowed_len;
	atomic_bool begun;
	int code;
	struct err err;
	char *real;
};

struct root_checks {
	struct daemon *daemon;
	LIST_HEAD(, root_check) all;
};

/* -- on the pool */

static bool
root_is_under(const char *real, const char *allowed)
{
	return strcmp(allowed, "/") == 0 || path_is_inside(real + 1, allowed + 1);
}

/* By component, after symlinks were followed: what counts is where they are.  By their names first:
   a real path that begins with an allowed one shows that this is real too, and another that hangs
   is not asked. */
static bool
root_is_allowed(const struct root_check *check)
{
	char allowed[PATH_MAX];
	size_t i;

	for (i = 0; i < check->allowed_len; i++) {
		if (check->allowed[i][0] == '/' && root_is_under(check->real, check->allowed[i]))
			return true;
	}
	for (i = 0; i < check->allowed_len; i++) {
		if (realpath(check->allowed[i], allowed) != NULL &&
		    root_is_under(check->real, allowed))
			return true;
	}
	return false;
}

static int
root_look(struct root_check *check)
{
	/* First: following a path into a mount of ours would wait for us. */
	CLEANUP(cleanup_close) int fd = disk_open_root(check->path, true, &check->err);

	if (fd < 0)
		return fd;
	check->real = disk_real_path(fd);
	if (check->real == NULL)
		return err_sys(&check->err, -errno, "root: '%s'", check->path);
	if (!check->trusted && !root_is_allowed(check))
		return err_set(&check->err, -EPERM,
		    "root: '%s' is not under a directory that accounts may use; the administrator allows "
		    "directories by the setting local.roots",
		    check->path);
	return 0;
}

static void
root_check_work(void *arg)
{
	struct root_check *check = arg;

	atomic_store(&check->begun, true);
	if (!atomic_load(&check->dropped))
		check->code = root_look(check);
}

/* -- on the loop */

static void
root_check_free(struct root_check *check)
{
	size_t i;

	LIST_REMOVE(check, next);
	event_free(check->timer);
	for (i = 0; i < check->allowed_len; i++)
		free(check->allowed[i]);
	free(check->allowed);
	free(check->path);
	free(check->real);
	free(check);
}

/* Once: who waits is told, or has been. */
static void
root_check_tell(struct root_check *check, int code, const char *real, const struct err *err)
{
	root_check_fn done = TAKE(check->done);

	atomic_store(&check->dropped, true);
	event_del(check->timer);
	if (done != NULL)
		done(check->arg, code, real, err);
}

static void
root_check_worked(void *arg)
{
	struct root_check *check = arg;

	root_check_tell(check, check->code, check->real, &check->err);
	root_check_free(check);
}

static void
root_check_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct root_check *check = arg;
	unsigned long long s = (check->timeout_ms + 999) / 1000;
	struct err err = ERR_INIT;

	if (!check->submitted) {
		err_set(&err, -EBUSY,
		    "root: '%s' is not looked at: %d directories that were named before have not answered yet",
		    check->path, ROOT_CHECKS_MAX);
		root_check_tell(check, err.code, NULL, &err);
		root_check_free(check);
		return;
	}
	if (atomic_load(&check->begun))
		err_set(&err, -ETIMEDOUT, "root: the directory '%s' did not answer within %llu s",
		    check->path, s);
	else
		err_set(&err, -ETIMEDOUT,
		    "root: the directory '%s' was not looked at within %llu s: who looked at it before "
		    "has no answer yet",
		    check->path, s);
	root_check_tell(check, err.code, NULL, &err);
}

static unsigned
root_checks_of(const struct root_checks *checks, const char *user_id)
{
	const struct root_check *check;
	unsigned n = 0;

	LIST_FOREACH (check, &checks->all, next)
		n += strcmp(check->user_id, user_id) == 0;
	return n;
}

static void
root_check_copy_allowed(struct root_check *check, const struct settings *s)
{
	const char *root;

	while ((root = settings_list(s, "local.roots", check->allowed_len)) != NULL) {
		check->allowed =
		    xrealloc(check->allowed, check->allowed_len + 1, sizeof *check->allowed);
		check->allowed[check->allowed_len++] = xstrdup(root);
	}
}

struct root_check *
root_check_start(struct root_checks *checks, const char *user_id, const char *path, bool trusted,
    root_check_fn done, void *arg)
{
	struct daemon *d = checks->daemon;
	struct root_check *check = xcalloc(1, sizeof *check);
	struct timeval tv;

	check->checks = checks;
	snprintf(check->user_id, sizeof check->user_id, "%s", user_id);
	check->path = xstrdup(path);
	check->trusted = trusted;
	check->done = done;
	check->arg = arg;
	check->timeout_ms = (uint64_t)settings_int(d->settings, "local.timeout");
	check->timer = evtimer_new(loop_base(d->loop), root_check_on_deadline, check);
	if (check->timer == NULL)
		abort();
	check->submitted = root_checks_of(checks, user_id) < ROOT_CHECKS_MAX;
	LIST_INSERT_HEAD(&checks->all, check, next);
	if (!check->submitted) {
		event_active(check->timer, EV_TIMEOUT, 0);
		return check;
	}
	tv = (struct timeval){.tv_sec = (time_t)(check->timeout_ms / 1000),
	    .tv_usec = (suseconds_t)(check->timeout_ms % 1000 * 1000)};
	event_add(check->timer, &tv);
	root_check_copy_allowed(check, d->settings);
	pool_submit(d->pool, path, d->loop, root_check_work, root_check_worked, check);
	return check;
}

void
root_check_cancel(struct root_check *check)
{
	check->done = NULL;
	root_check_tell(check, 0, NULL, NULL);
	if (!check->submitted)
		root_check_free(check);
}

struct root_checks *
root_checks_new(struct daemon *d)
{
	struct root_checks *checks = xcalloc(1, sizeof *checks);

	checks->daemon = d;
	LIST_INIT(&checks->all);
	return checks;
}

void
root_checks_free(struct root_checks *checks)
{
	free(checks);
}
