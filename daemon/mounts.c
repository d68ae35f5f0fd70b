#include "daemon/mounts.h"
#include "daemon/check.h"
#include "daemon/queue.h"
#include "daemon/submit.h"
#include "src/field.h"
#include "src/log.h"
#include "src/path.h"
#include "src/paths.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define MOUNTS_MAX      256
#define GRACE_START_MS  30000 /* at least, after the daemon's start: mounts retry with backoff */
#define RELEASE_RETRY_S 2
#define PAGE            1000 /* of pending changes, when they are counted */

struct mount {
	struct mounts *mounts;
	char id[37];
	char user_id[37]; /* "": known from the store only, until its user comes back */
	char *directory;
	unsigned connections;
	bool ended; /* the lease ran out: not listed, may come back */
	struct event *deadline;
	TAILQ_ENTRY(mount) next;
};

struct mounts {
	struct daemon *daemon;
	char *file;
	unsigned len;
	TAILQ_HEAD(mount_list, mount) list; /* oldest first */
};

static struct mount *
mount_find(struct mounts *m, const char *id)
{
	struct mount *mount;

	TAILQ_FOREACH (mount, &m->list, next) {
		if (strcmp(mount->id, id) == 0)
			return mount;
	}
	return NULL;
}

/* -- the file */

static void
mounts_save(struct mounts *m)
{
	CLEANUP(cleanup_free) char *temp = xasprintf("%s.new", m->file);
	json_t *list = json_array(), *item;
	struct mount *mount;

	TAILQ_FOREACH (mount, &m->list, next) {
		if (mount->ended || mount->user_id[0] == '\0')
			continue;
		item = json_object();
		field_set_str(item, "id", mount->id);
		field_set_str(item, "user", mount->user_id);
		field_set_str(item, "directory", mount->directory);
		json_array_append_new(list, item);
	}
	if (json_dump_file(list, temp, JSON_INDENT(1)) != 0 || rename(temp, m->file) != 0)
		log_warning("mounts: cannot write %s: %s", m->file, strerror(errno));
	json_decref(list);
}

/* -- leases */

/* What is to be done when the store has answered; the mount itself may be gone by then. */
struct release {
	struct daemon *daemon;
	char id[37], user_id[37];
};

static void mount_release_again(struct mounts *, const struct release *);

static void
mount_on_released(void *arg, struct store_result *res)
{
	struct release *r = arg;

	if (res->code != 0)
		log_error("%s: pending writes of the mount are not queued yet: %s", r->id,
		    err_text(&res->err));
	if (r->daemon->server != NULL && res->code != 0)
		mount_release_again(r->daemon->mounts, r);
	else if (r->daemon->server != NULL)
		queue_mount_ended(r->daemon->queue);
	submit_tell(r->daemon, res);
	free(r);
}

static void
mount_release(struct mount *mount)
{
	struct release *r = xcalloc(1, sizeof *r);

	r->daemon = mount->mounts->daemon;
	memcpy(r->id, mount->id, sizeof r->id);
	memcpy(r->user_id, mount->user_id, sizeof r->user_id);
	store_pending_release(r->daemon->store, r->id, mount_on_released, r);
}

static void
mount_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct mount *mount = arg;

	if (!mount->ended)
		log_info("%s: the mount on '%s' is gone; its pending writes are queued", mount->id,
		    mount->directory);
	mount->ended = true;
	mount_release(mount);
	mounts_save(mount->mounts);
}

static void
mount_lease(struct mount *mount, uint64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000) * 1000};

	mount->ended = false;
	event_add(mount->deadline, &tv);
}

static uint64_t
mounts_lease_ms(const struct mounts *m)
{
	return (uint64_t)settings_int(m->daemon->settings, "mount.lease");
}

static void
mount_free(struct mount *mount)
{
	struct mounts *m = mount->mounts;

	TAILQ_REMOVE(&m->list, mount, next);
	m->len--;
	event_free(mount->deadline);
	free(mount->directory);
	free(mount);
}

/* One that has ended makes room for a new one. */
static bool
mounts_make_room(struct mounts *m)
{
	struct mount *mount;

	if (m->len < MOUNTS_MAX)
		return true;
	TAILQ_FOREACH (mount, &m->list, next) {
		if (mount->ended && !evtimer_pending(mount->deadline, NULL)) {
			mount_free(mount);
			return true;
		}
	}
	return false;
}

static struct mount *
mount_new(struct mounts *m, const char *id, const char *user_id, const char *directory)
{
	struct mount *mount = xcalloc(1, sizeof *mount);

	mount->mounts = m;
	snprintf(mount->id, sizeof mount->id, "%s", id);
	snprintf(mount->user_id, sizeof mount->user_id, "%s", user_id);
	mount->directory = xstrdup(directory);
	mount->deadline = evtimer_new(loop_base(m->daemon->loop), mount_on_deadline, mount);
	if (mount->deadline == NULL)
		abort();
	TAILQ_INSERT_TAIL(&m->list, mount, next);
	m->len++;
	return mount;
}

/* The store refused (a full disk): until it does not, or the mount is back. */
static void
mount_release_again(struct mounts *m, const struct release *r)
{
	static const struct timeval soon = {.tv_sec = RELEASE_RETRY_S};
	struct mount *mount = mount_find(m, r->id);

	if (mount == NULL) {
		mount = mount_new(m, r->id, r->user_id, "");
		mount->ended = true;
	}
	if (mount->ended)
		event_add(mount->deadline, &soon);
}

/* -- at start: mounts that were there get time to come back */

static void
mounts_load_file(struct mounts *m, uint64_t grace_ms)
{
	json_t *list = json_load_file(m->file, 0, NULL), *item;
	char id[37], user_id[37];
	const char *directory;
	size_t i;

	json_array_foreach (list, i, item) {
		directory = get_str(item, "directory");
		if (directory == NULL || uuid_canonical(id, get_str(item, "id")) != 0 ||
		    uuid_canonical(user_id, get_str(item, "user")) != 0 ||
		    mount_find(m, id) != NULL || m->len >= MOUNTS_MAX)
			continue;
		mount_lease(mount_new(m, id, user_id, directory), grace_ms);
	}
	json_decref(list);
}

static void
mounts_load_store(struct mounts *m, uint64_t grace_ms)
{
	struct err err = ERR_INIT;
	char **ids = NULL;
	size_t i, len = 0;

	if (store_pending_mounts(m->daemon->store, &ids, &len, &err) != 0) {
		log_error("mounts: %s", err_text(&err));
		return;
	}
	for (i = 0; i < len; i++) {
		if (mount_find(m, ids[i]) == NULL)
			mount_lease(mount_new(m, ids[i], "", ""), grace_ms);
		free(ids[i]);
	}
	free(ids);
}

struct mounts *
mounts_new(struct daemon *daemon)
{
	struct mounts *m = xcalloc(1, sizeof *m);
	uint64_t grace_ms;

	m->daemon = daemon;
	m->file = paths_join(daemon->state_dir, "mounts.json");
	TAILQ_INIT(&m->list);
	grace_ms = MAX(mounts_lease_ms(m), (uint64_t)GRACE_START_MS);
	mounts_load_file(m, grace_ms);
	mounts_load_store(m, grace_ms);
	return m;
}

void
mounts_free(struct mounts *m)
{
	struct mount *mount;

	if (m == NULL)
		return;
	while ((mount = TAILQ_FIRST(&m->list)) != NULL)
		mount_free(mount);
	free(m->file);
	free(m);
}

/* -- what mounts ask for */

int
mounts_add(
    struct mounts *m, char out[37], const char *user_id, const char *directory, struct err *err)
{
	struct mount *mount;

	if (!mounts_make_room(m))
		return err_set(err, -EMFILE, "there are %d mounts already", MOUNTS_MAX);
	uuid_new(out);
	mount = mount_new(m, out, user_id, directory);
	mount_lease(mount, mounts_lease_ms(m));
	mounts_save(m);
	return 0;
}

/* The user's mount, or NULL with -ENOENT. */
static struct mount *
mounts_own(struct mounts *m, const char *user_id, const char *id, struct err *err)
{
	struct mount *mount = mount_find(m, id);

	if (mount != NULL && mount->user_id[0] == '\0')
		snprintf(mount->user_id, sizeof mount->user_id, "%s", user_id);
	if (mount != NULL && strcmp(mount->user_id, user_id) == 0)
		return mount;
	err_set(err, -ENOENT, "there is no mount '%s'", id);
	return NULL;
}

int
mounts_remove(struct mounts *m, const char *user_id, const char *id, struct err *err)
{
	struct mount *mount = mounts_own(m, user_id, id, err);

	if (mount == NULL)
		return -ENOENT;
	mount_release(mount);
	mount_free(mount);
	mounts_save(m);
	return 0;
}

int
mounts_touch(struct mounts *m, const char *user_id, const char *id, struct err *err)
{
	struct mount *mount = mounts_own(m, user_id, id, err);

	if (mount == NULL)
		return -ENOENT;
	if (mount->ended) {
		mount_lease(mount, mounts_lease_ms(m));
		mounts_save(m);
	}
	return 0;
}

int
mounts_connected(struct mounts *m, const char *user_id, const char *id, struct err *err)
{
	struct mount *mount = mounts_own(m, user_id, id, err);
	bool was_ended;

	if (mount == NULL)
		return -ENOENT;
	was_ended = mount->ended;
	mount->connections++;
	mount->ended = false;
	event_del(mount->deadline);
	if (was_ended)
		mounts_save(m);
	return 0;
}

void
mounts_disconnected(struct mounts *m, const char *id)
{
	struct mount *mount = mount_find(m, id);

	if (mount == NULL || mount->connections == 0 || --mount->connections > 0)
		return;
	mount_lease(mount, mounts_lease_ms(m));
}

/* How many of the user's changes are pending writes of the mount. */
static int64_t
mount_count_pending(const struct mount *mount)
{
	struct store_query query = {.user_id = mount->user_id,
	    .states = 1u << CHANGE_PENDING,
	    .sort = STORE_BY_CREATED,
	    .limit = PAGE};
	struct change **changes;
	struct err err = ERR_INIT;
	uint64_t total;
	int64_t count = 0;
	size_t i, len;

	do {
		if (store_changes(
			mount->mounts->daemon->store, &query, &changes, &len, &total, &err) != 0)
			break;
		for (i = 0; i < len; i++) {
			if (changes[i]->mount_id != NULL &&
			    strcmp(changes[i]->mount_id, mount->id) == 0)
				count++;
		}
		changes_free(changes, len);
		query.offset += len;
	} while (len == PAGE);
	return count;
}

json_t *
mounts_list(struct mounts *m, const char *user_id)
{
	json_t *list = json_array(), *item;
	struct mount *mount;

	TAILQ_FOREACH (mount, &m->list, next) {
		if (mount->ended || strcmp(mount->user_id, user_id) != 0)
			continue;
		item = json_object();
		field_set_str(item, "id", mount->id);
		field_set_str(item, "directory", mount->directory);
		field_set_bool(item, "connected", mount->connections > 0);
		field_set_int(item, "pending", mount_count_pending(mount));
		json_array_append_new(list, item);
	}
	return list;
}
