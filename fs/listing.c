#include "fs/listing.h"
#include "fs/feed.h"
#include "fs/remote.h"
#include "fs/task.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

#define LISTING_TRIES   3 /* a name that changes while we ask */
#define LISTING_OURS_MS 30000 /* at most: a list is not behind for longer */
#define LISTING_SINGLE  3 /* names asked for one by one before the directory is listed */

struct listed {
	struct entry entry;
	bool present;
	uint64_t at; /* clock_mono_ms() of when it was so; 0: ask again */
	uint64_t told; /* the listing's `told` when it was folded in */
};

struct listing {
	struct table names;
	uint64_t complete_at; /* when all names were known; 0: they are not */
	bool fetching;
	int code; /* of the last fetch */
	struct err err;
	struct waitq waiting;
	struct table late; /* folded in, or expired, while fetching */
	uint64_t told; /* counts what was folded in or expired: an answer that was asked for before
			  may be older */
	uint64_t expired; /* `told` when all of it was */
	uint64_t folded_at; /* the last of our changes; 0: none */
	bool changed; /* it was told so since */
	unsigned singles;
	uint64_t singles_at;
};

static void
listed_free(void *arg)
{
	struct listed *listed = arg;

	if (listed == NULL)
		return;
	entry_fini(&listed->entry);
	free(listed);
}

static struct listed *
listed_new(const struct entry *entry)
{
	struct listed *listed = xcalloc(1, sizeof(*listed));

	entry_init(&listed->entry);
	if (entry != NULL) {
		entry_copy(&listed->entry, entry);
		free(TAKE(listed->entry.path));
	}
	listed->present = entry != NULL;
	listed->at = clock_mono_ms();
	return listed;
}

void
listing_free(struct listing *listing)
{
	if (listing == NULL)
		return;
	table_fini(&listing->names, listed_free);
	table_fini(&listing->late, listed_free);
	free(listing);
}

static struct listing *
listing_of(struct node *dir)
{
	if (dir->listing == NULL) {
		dir->listing = xcalloc(1, sizeof(*dir->listing));
		table_init(&dir->listing->names);
		table_init(&dir->listing->late);
		TAILQ_INIT(&dir->listing->waiting);
	}
	if (dir->listing->changed)
		listing_changed(dir);
	return dir->listing;
}

static bool
listing_is_fresh(const struct node *dir, uint64_t at)
{
	return at != 0 && clock_mono_ms() - at <= dir->fs->entry_timeout_ms;
}

static void
listing_set(struct listing *listing, const char *name, struct listed *listed)
{
	listed_free(table_put(&listing->names, name, listed));
}

/* It also outlives a list request that is under way. */
static void
listing_tell(struct listing *listing, const char *name, const struct entry *entry, bool expired)
{
	struct listed *listed = listed_new(entry), *late;

	listed->told = ++listing->told;
	if (expired)
		listed->at = 0;
	listing_set(listing, name, listed);
	if (!listing->fetching)
		return;
	late = listed_new(entry);
	late->told = listed->told;
	late->at = listed->at;
	listed_free(table_put(&listing->late, name, late));
}

void
listing_fold(struct node *dir, const char *name, const struct entry *entry)
{
	if (dir->listing == NULL)
		return;
	dir->listing->folded_at = clock_mono_ms();
	listing_tell(dir->listing, name, entry, false);
}

void
listing_set_empty(struct node *dir)
{
	listing_of(dir)->complete_at = clock_mono_ms();
}

void
listing_expire_name(struct node *dir, const char *name)
{
	struct listed *listed;

	if (dir->listing == NULL)
		return;
	listed = table_get(&dir->listing->names, name);
	listing_tell(
	    dir->listing, name, listed != NULL && listed->present ? &listed->entry : NULL, true);
	dir->listing->complete_at = 0; /* who lists it must see what became of it */
}

void
listing_expire(struct node *dir)
{
	struct table_walk walk = {0};
	void *value;

	if (dir->listing == NULL)
		return;
	dir->listing->complete_at = 0;
	dir->listing->expired = ++dir->listing->told;
	dir->listing->changed = false;
	while (table_next(&dir->listing->names, &walk, NULL, &value))
		((struct listed *)value)->at = 0;
}

void
listing_changed(struct node *dir)
{
	uint64_t quiet = MIN(dir->fs->changes_ms, (uint64_t)LISTING_OURS_MS);

	if (dir->listing == NULL)
		return;
	dir->listing->changed =
	    dir->listing->folded_at != 0 && clock_mono_ms() - dir->listing->folded_at < quiet;
	if (!dir->listing->changed)
		listing_expire(dir);
}

static void
listings_expire_in(struct node *node)
{
	if (node_is_directory(node))
		listing_expire(node);
}

void
listings_expire(struct fs *fs)
{
	nodes_each(fs, listings_expire_in);
}

/* What was told while it was asked for is newer than the list.  What expired meanwhile is as the
 * list has it, or not any longer. */
static void
listing_take_late(struct listing *listing, const char *name, struct listed *late)
{
	struct listed *listed = table_get(&listing->names, name);

	if (late->at == 0) {
		listing->complete_at = 0;
		if (listed != NULL) {
			listed->at = 0;
			listed->told = late->told;
			listed_free(late);
			return;
		}
		late->present = false;
	}
	listing_set(listing, name, late);
}

static void
listing_take(struct listing *listing, struct entry_list *list)
{
	struct table_walk walk = {0};
	const char *name;
	void *value;
	size_t i;

	table_fini(&listing->names, listed_free);
	for (i = 0; i < list->len; i++) {
		name = path_name(list->items[i].path);
		if (name[0] != '\0')
			listing_set(listing, name, listed_new(&list->items[i]));
	}
	listing->complete_at = clock_mono_ms();
	while (table_next(&listing->late, &walk, &name, &value))
		listing_take_late(listing, name, value);
	table_fini(&listing->late, NULL);
}

/* The list request: a task of its own, so that it does not end with the one who happened to ask
 * first. */
static void
listing_fetch(struct task *task)
{
	struct node *dir = task->arg;
	struct listing *listing = dir->listing;
	char *path = node_path(dir);
	struct cloud_op *op = NULL;
	uint64_t told = listing->told;

	feed_follow(dir->fs, dir->remote);
	err_clear(&listing->err);
	listing->code = remote_op(task, dir->remote, CLOUD_LIST, path, &op, &listing->err);
	if (listing->code == 0) {
		listing_take(listing, &op->list);
		if (op->list.hidden > 0)
			log_warning("'%s': names left out, because no path can express them: %zu",
			    path, op->list.hidden);
	} else if (listing->code == -ENOENT) {
		/* Removed behind our back, or not made yet: nothing is there. */
		listing_take(listing, &(struct entry_list){0});
		listing->code = 0;
	} else {
		table_fini(&listing->late, listed_free);
	}
	if (listing->expired > told)
		listing_expire(dir);
	listing->fetching = false;
	cloud_op_free(op);
	free(path);
	waitq_wake(&listing->waiting);
	node_unref(dir);
}

int
listing_load(struct task *task, struct node *dir, struct err *err)
{
	struct listing *listing = listing_of(dir);
	int code, tries;

	if (listing_is_fresh(dir, listing->complete_at))
		return 0;
	/* A name that expires meanwhile may have changed before it was asked for: once more. */
	for (tries = 0; tries == 0 || (listing->complete_at == 0 && tries < LISTING_TRIES);
	     tries++) {
		if (!listing->fetching) {
			listing->fetching = true;
			task_spawn(dir->fs, listing_fetch, node_ref(dir));
		}
		code = waitq_wait(task, &listing->waiting, task_deadline(FS_CLOUD_MS));
		if (code != 0)
			return err_set(err, code, "the list of a directory did not come in time");
		if (listing->code != 0) {
			if (err != NULL)
				*err = listing->err;
			return listing->code;
		}
	}
	return 0;
}

void
listing_each(struct node *dir, listing_fn fn, void *arg)
{
	struct table_walk walk = {0};
	struct listed *listed;
	const char *name;
	void *value;

	if (dir->listing == NULL)
		return;
	while (table_next(&dir->listing->names, &walk, &name, &value)) {
		listed = value;
		if (listed->present)
			fn(arg, name, &listed->entry);
	}
}

static int
listing_answer(const struct listed *listed, struct entry *out)
{
	if (listed == NULL || !listed->present)
		return -ENOENT;
	entry_fini(out);
	entry_init(out);
	entry_copy(out, &listed->entry);
	return 0;
}

/* Asks for one name.  What was told of it while we asked is newer than the answer. */
static int
listing_single(
    struct task *task, struct node *dir, const char *name, struct entry *out, struct err *err)
{
	struct listing *listing = listing_of(dir);
	char *parent = node_path(dir), *path = path_child(parent, name);
	struct listed *listed;
	uint64_t told;
	int code, tries;

	free(parent);
	node_ref(dir);
	feed_follow(dir->fs, dir->remote);
	for (tries = 0;; tries++) {
		told = listing->told;
		code = remote_stat(task, dir->remote, path, out, err);
		if (code != 0 && code != -ENOENT)
			break;
		listed = table_get(&listing->names, name);
		if (listed != NULL && listed->told > told) {
			if (listed->at == 0 && tries < LISTING_TRIES)
				continue;
			code = listing_answer(listed, out);
			break;
		}
		listed = listed_new(code == 0 ? out : NULL);
		if (listing->expired > told)
			listed->at = 0;
		listing_set(listing, name, listed);
		break;
	}
	node_unref(dir);
	free(path);
	return code;
}

int
listing_lookup(
    struct task *task, struct node *dir, const char *name, struct entry *out, struct err *err)
{
	struct listing *listing = listing_of(dir);
	struct listed *listed = table_get(&listing->names, name);
	uint64_t now = clock_mono_ms();
	int code;

	if (listed != NULL && listing_is_fresh(dir, listed->at))
		return listing_answer(listed, out);
	if (listed == NULL && listing_is_fresh(dir, listing->complete_at))
		return -ENOENT;
	if (now - listing->singles_at > dir->fs->entry_timeout_ms) {
		listing->singles_at = now;
		listing->singles = 0;
	}
	if (!listing->fetching &&
	    (listing->singles++ < LISTING_SINGLE || listing_is_fresh(dir, listing->complete_at)))
		return listing_single(task, dir, name, out, err);
	code = listing_load(task, dir, err);
	if (code != 0)
		return code;
	listed = table_get(&listing->names, name);
	if (listed != NULL && listed->at == 0)
		return listing_single(task, dir, name, out, err);
	return listing_answer(listed, out);
}
