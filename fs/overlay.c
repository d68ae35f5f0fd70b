#include "fs/overlay.h"
#include "fs/api_change.h"
#include "fs/daemon.h"
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/notify.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "fs/task.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OVERLAY_LOAD_MS  2000 /* a look at a directory waits this long for its pending changes */
#define OVERLAY_RETRY_MS 5000 /* and does without them for this long, if they did not come */
#define OVERLAY_ENDED    8192 /* ids of ended changes that are remembered */
#define OVERLAY_DIRS     4096 /* that are remembered without a pending change in them */

enum effect_role { EFFECT_FILE, EFFECT_DIRECTORY, EFFECT_GONE, EFFECT_ATTRIBUTES };

struct effect {
	struct view *view;
	enum effect_role role;
	struct overlay_dir *dir;
	struct spot *spot;
	TAILQ_ENTRY(effect) next; /* in spot->effects, in the order of acceptance */
};
TAILQ_HEAD(effects, effect);

struct spot { /* a name that pending changes touch */
	char *name;
	struct effects effects;
};

struct overlay_dir {
	char *key;
	bool known, loading;
	bool used; /* since the last time that idle ones were dropped */
	uint64_t retry_at; /* clock_mono_ms() */
	struct table spots;
	struct waitq waiting;
};

struct overlay_view { /* a view and where it is entered */
	struct view view;
	struct effect effects[2];
	unsigned effects_len;
};

struct overlay {
	struct fs *fs;
	struct table dirs; /* by account id and path */
	size_t dirs_max; /* with more, idle ones are dropped */
	struct table views; /* by id */
	struct table ended; /* by id: when (as `touched`) */
	struct table held; /* by id: struct held_event */
	uint64_t clock; /* counts what was heard */
};

struct held_event {
	struct overlay *overlay;
	char id[37];
	json_t *json; /* NULL: none came */
};

static void
held_event_free(void *arg)
{
	struct held_event *held = arg;

	if (held != NULL)
		json_decref(held->json);
	free(held);
}

struct overlay *
overlay_new(struct fs *fs)
{
	struct overlay *overlay = xcalloc(1, sizeof(*overlay));

	overlay->fs = fs;
	table_init(&overlay->dirs);
	overlay->dirs_max = OVERLAY_DIRS;
	table_init(&overlay->views);
	table_init(&overlay->ended);
	table_init(&overlay->held);
	return overlay;
}

/* -- views and where they are entered */

static void
overlay_dir_free(struct overlay_dir *dir)
{
	table_fini(&dir->spots, NULL);
	free(dir->key);
	free(dir);
}

/* A directory that nothing pending touches, and that was not looked at for long, is asked for again
   when it is.  One that somebody waits for stays. */
static void
overlay_dirs_drop(struct overlay *overlay)
{
	struct table_walk walk = {0};
	struct overlay_dir *dir;
	const char *key;
	void *value;

	while (table_next(&overlay->dirs, &walk, &key, &value)) {
		dir = value;
		if (!dir->used && !dir->loading && dir->spots.len == 0 &&
		    TAILQ_EMPTY(&dir->waiting)) {
			table_remove(&overlay->dirs, key);
			overlay_dir_free(dir);
		} else {
			dir->used = false;
		}
	}
	overlay->dirs_max = MAX(OVERLAY_DIRS, overlay->dirs.len * 2);
}

static char *
overlay_dir_key(const char *account_id, const char *path, size_t len)
{
	return xasprintf("%s:%.*s", account_id, (int)len, path);
}

/* Good until the caller waits, or another is made. */
static struct overlay_dir *
overlay_dir(struct overlay *overlay, const char *account_id, const char *path, size_t len)
{
	char *key = overlay_dir_key(account_id, path, len);
	struct overlay_dir *dir = table_get(&overlay->dirs, key);

	if (dir != NULL) {
		free(key);
		dir->used = true;
		return dir;
	}
	if (overlay->dirs.len >= overlay->dirs_max)
		overlay_dirs_drop(overlay);
	dir = xcalloc(1, sizeof(*dir));
	dir->key = key;
	dir->used = true;
	table_init(&dir->spots);
	TAILQ_INIT(&dir->waiting);
	table_put(&overlay->dirs, key, dir);
	return dir;
}

static size_t
path_dir_len(const char *path)
{
	const char *name = path_name(path);

	return name == path ? 0 : (size_t)(name - path) - 1;
}

static struct overlay_dir *
overlay_dir_of(struct overlay *overlay, const char *account_id, const char *path)
{
	return overlay_dir(overlay, account_id, path, path_dir_len(path));
}

/* What pending changes touch of the path, or NULL. */
static struct spot *
overlay_spot(const struct overlay *overlay, const char *account_id, const char *path)
{
	CLEANUP(cleanup_free) char *key = overlay_dir_key(account_id, path, path_dir_len(path));
	const struct overlay_dir *dir = table_get(&overlay->dirs, key);

	return dir == NULL ? NULL : table_get(&dir->spots, path_name(path));
}

static bool
view_is_before(const struct view *a, const struct view *b)
{
	if (a->change->created_ms != b->change->created_ms)
		return a->change->created_ms < b->change->created_ms;
	return a->order < b->order;
}

static void
view_enter(struct overlay *overlay, struct overlay_view *owner, const char *account_id,
    const char *path, enum effect_role role)
{
	struct effect *effect = &owner->effects[owner->effects_len], *at;
	const char *name = path_name(path);

	if (path[0] == '\0') /* an account's top has no name */
		return;
	if (!path_is_canonical(path)) /* nor has a key that no path can express */
		return;
	owner->effects_len++;
	effect->view = &owner->view;
	effect->role = role;
	effect->dir = overlay_dir_of(overlay, account_id, path);
	effect->spot = table_get(&effect->dir->spots, name);
	if (effect->spot == NULL) {
		effect->spot = xcalloc(1, sizeof(*effect->spot));
		effect->spot->name = xstrdup(name);
		TAILQ_INIT(&effect->spot->effects);
		table_put(&effect->dir->spots, name, effect->spot);
	}
	TAILQ_FOREACH_REVERSE(at, &effect->spot->effects, effects, next)
	{
		if (!view_is_before(&owner->view, at->view))
			break;
	}
	if (at != NULL)
		TAILQ_INSERT_AFTER(&effect->spot->effects, at, effect, next);
	else
		TAILQ_INSERT_HEAD(&effect->spot->effects, effect, next);
}

static void
view_leave(struct overlay_view *owner)
{
	struct effect *effect;

	while (owner->effects_len > 0) {
		effect = &owner->effects[--owner->effects_len];
		TAILQ_REMOVE(&effect->spot->effects, effect, next);
		if (!TAILQ_EMPTY(&effect->spot->effects))
			continue;
		table_remove(&effect->dir->spots, effect->spot->name);
		free(effect->spot->name);
		free(effect->spot);
	}
}

static void
view_enter_all(struct overlay *overlay, struct overlay_view *owner)
{
	const struct change *change = owner->view.change;
	const struct segment *source = change_source(change);

	switch (change->kind) {
	case CHANGE_TRANSFER:
		view_enter(overlay, owner, change->account_id, change->path, EFFECT_FILE);
		if (change->move && source != NULL && change_is_live(change))
			view_enter(overlay, owner, source->account_id, source->path, EFFECT_GONE);
		break;
	case CHANGE_REMOVE:
	case CHANGE_RMDIR:
		view_enter(overlay, owner, change->account_id, change->path, EFFECT_GONE);
		break;
	case CHANGE_MKDIR:
		view_enter(overlay, owner, change->account_id, change->path, EFFECT_DIRECTORY);
		break;
	case CHANGE_RENAME:
		view_enter(overlay, owner, change->account_id, change->path,
		    change->tree ? EFFECT_DIRECTORY : EFFECT_FILE);
		view_enter(overlay, owner, source->account_id, source->path, EFFECT_GONE);
		break;
	case CHANGE_SETATTR:
		view_enter(overlay, owner, change->account_id, change->path, EFFECT_ATTRIBUTES);
		break;
	case CHANGE_TREE: /* its children are shown */
	case CHANGE_KINDS: break;
	}
}

struct view *
view_ref(struct view *view)
{
	view->refs++;
	return view;
}

void
view_unref(struct view *view)
{
	if (--view->refs > 0)
		return;
	change_free(view->change);
	free(view);
}

static void
overlay_remove(struct overlay *overlay, struct view *view)
{
	view_leave((struct overlay_view *)view);
	table_remove(&overlay->views, view->change->id);
	view->ended = true;
	view_unref(view);
}

void
overlay_free(struct overlay *overlay)
{
	struct table_walk walk = {0};
	void *value;

	if (overlay == NULL)
		return;
	while (table_next(&overlay->views, &walk, NULL, &value))
		overlay_remove(overlay, value);
	walk = (struct table_walk){0};
	while (table_next(&overlay->dirs, &walk, NULL, &value))
		overlay_dir_free(value);
	table_fini(&overlay->dirs, NULL);
	table_fini(&overlay->views, NULL);
	table_fini(&overlay->ended, NULL);
	table_fini(&overlay->held, held_event_free);
	free(overlay);
}

/* What was written stays visible, though it could not be brought to the cloud. */
static bool
view_keeps_spool(const struct view *view)
{
	size_t i;

	if (view->change->state != CHANGE_FAILED || view->change->kind != CHANGE_TRANSFER)
		return false;
	for (i = 0; i < view->change->segments_len; i++) {
		if (view->change->segments[i].kind == SEGMENT_SPOOL)
			return true;
	}
	return false;
}

struct view *
overlay_view(struct overlay *overlay, const char *id)
{
	return table_get(&overlay->views, id);
}

/* -- the end of a change */

static void
fold_at(
    struct fs *fs, const char *account_id, const char *path, const struct entry *entry, bool known)
{
	struct remote *remote = remote_by_id(fs->remotes, account_id);
	struct node *dir = remote == NULL ? NULL : node_at_parent(fs, remote, path);

	if (dir == NULL || path[0] == '\0')
		return;
	if (known)
		listing_fold(dir, path_name(path), entry);
	else
		listing_expire_name(dir, path_name(path));
}

static void
fold_transfer(struct fs *fs, const struct change *change)
{
	const struct segment *source = change_source(change);
	struct file *file = files_by_change(fs, change->id);
	struct entry entry;

	entry_init(&entry);
	entry.version = xstrdup_null(change->result_version);
	entry.size = change->bytes_total;
	entry.mtime_ns = file != NULL ? file_arrived_mtime(file, change) : change->mtime_ns;
	entry.mode = file != NULL ? file->mode : change->mode;
	fold_at(fs, change->account_id, change->path, &entry,
	    entry.version != NULL && entry.size != UINT64_MAX && entry.mtime_ns != ENTRY_NO_TIME);
	entry_fini(&entry);
	if (change->move && source != NULL)
		fold_at(fs, source->account_id, source->path, NULL, true);
}

static void
overlay_fold(struct fs *fs, const struct change *change)
{
	const struct segment *source = change_source(change);
	struct entry entry;

	switch (change->kind) {
	case CHANGE_TRANSFER: fold_transfer(fs, change); break;
	case CHANGE_REMOVE:
	case CHANGE_RMDIR: fold_at(fs, change->account_id, change->path, NULL, true); break;
	case CHANGE_MKDIR:
		entry_init(&entry);
		entry.kind = ENTRY_DIRECTORY;
		entry.mtime_ns = ENTRY_NO_TIME;
		fold_at(fs, change->account_id, change->path, &entry, true);
		entry_fini(&entry);
		break;
	case CHANGE_RENAME:
		fold_at(fs, source->account_id, source->path, NULL, true);
		fold_at(fs, change->account_id, change->path, NULL, false);
		break;
	case CHANGE_TREE:
		fold_at(fs, change->account_id, change->path, NULL, false);
		if (change->move && source != NULL)
			fold_at(fs, source->account_id, source->path, NULL, false);
		break;
	case CHANGE_SETATTR: fold_at(fs, change->account_id, change->path, NULL, false); break;
	case CHANGE_KINDS: break;
	}
}

static void
overlay_notify(struct fs *fs, const char *account_id, const char *path)
{
	struct remote *remote = remote_by_id(fs->remotes, account_id);
	struct node *dir = remote == NULL ? NULL : node_at_parent(fs, remote, path), *node;

	if (dir == NULL || path[0] == '\0')
		return;
	node = node_child(dir, path_name(path));
	if (node != NULL && node->file == NULL)
		notify_inode(fs->notifier, node->ino);
	notify_inode(fs->notifier, dir->ino);
}

static void
overlay_notify_change(struct fs *fs, const struct change *change)
{
	const struct segment *source = change_source(change);

	overlay_notify(fs, change->account_id, change->path);
	if (source != NULL && (change->move || change->kind == CHANGE_RENAME))
		overlay_notify(fs, source->account_id, source->path);
}

static void
overlay_end(struct overlay *overlay, struct view *view)
{
	struct file *file = files_by_change(overlay->fs, view->change->id);

	if (overlay->ended.len > OVERLAY_ENDED)
		table_fini(&overlay->ended, NULL);
	table_put(&overlay->ended, view->change->id, (void *)(uintptr_t)overlay->clock);
	if (view->change->state == CHANGE_COMPLETED)
		overlay_fold(overlay->fs, view->change);
	if (view->change->state == CHANGE_COMPLETED && view->awaited)
		files_pin(overlay->fs, view->change);
	view->refs++;
	overlay_remove(overlay, view);
	if (file != NULL)
		file_event(file, view->change);
	if (view->change->state != CHANGE_COMPLETED || file == NULL)
		overlay_notify_change(overlay->fs, view->change);
	view_unref(view);
}

/* -- what is heard */

static struct view *
overlay_hear(struct overlay *overlay, const json_t *json, bool is_event)
{
	struct overlay_view *owner;
	struct err err = ERR_INIT;
	struct change *change;
	struct view *view;
	struct file *file;
	bool complete;

	if (change_from_api(&change, json, &complete, &err) != 0) {
		log_warning("%s", err_text(&err));
		return NULL;
	}
	overlay->clock++;
	view = overlay_view(overlay, change->id);
	if (view == NULL) {
		/* An answer may come after the event that says how it ended; a change that has
		 * ended lives again only by an event (somebody has it tried again). */
		if (table_get(&overlay->ended, change->id) != NULL &&
		    is_event != change_is_live(change) &&
		    files_by_change(overlay->fs, change->id) == NULL) {
			change_free(change);
			return NULL;
		}
		owner = xcalloc(1, sizeof(*owner));
		view = &owner->view;
		view->refs = 1;
		view->order = overlay->clock;
		table_put(&overlay->views, change->id, view);
	} else {
		owner = (struct overlay_view *)view;
		view_leave(owner);
		if (!complete && view->complete && view->change->state != CHANGE_PENDING) {
			change->segments = TAKE(view->change->segments);
			change->segments_len = view->change->segments_len;
			view->change->segments_len = 0;
			complete = true;
		}
		change_free(view->change);
	}
	view->change = change;
	view->complete = complete;
	view->touched = overlay->clock;
	table_remove(&overlay->ended, change->id);
	if (!change_is_live(change) && !view_keeps_spool(view)) {
		overlay_end(overlay, view);
		return NULL;
	}
	view_enter_all(overlay, owner);
	file = files_by_change(overlay->fs, change->id);
	if (file != NULL)
		file_event(file, change);
	else if (is_event)
		overlay_notify_change(overlay->fs, change);
	return view;
}

struct view *
overlay_submitted(struct overlay *overlay, const json_t *json)
{
	return overlay_hear(overlay, json, false);
}

void
overlay_event(struct overlay *overlay, const json_t *json)
{
	const char *id = json_string_value(json_object_get(json, "id"));
	struct held_event *held = id == NULL ? NULL : table_get(&overlay->held, id);

	if (held == NULL) {
		overlay_hear(overlay, json, true);
		return;
	}
	json_decref(held->json);
	held->json = json_deep_copy(json); /* the last one says it all */
}

void
overlay_hold(struct overlay *overlay, const char *id)
{
	struct held_event *held = xcalloc(1, sizeof(*held));

	held->overlay = overlay;
	snprintf(held->id, sizeof(held->id), "%s", id);
	held_event_free(table_put(&overlay->held, id, held));
}

static void
overlay_release_now(void *arg)
{
	struct held_event *held = arg;

	if (held->json != NULL)
		overlay_hear(held->overlay, held->json, true);
	held_event_free(held);
}

void
overlay_release(struct overlay *overlay, const char *id)
{
	struct held_event *held = table_remove(&overlay->held, id);

	if (held != NULL)
		loop_post(overlay->fs->loop, overlay_release_now, held);
}

void
overlay_progress(struct overlay *overlay, const json_t *json)
{
	const char *id = json_string_value(json_object_get(json, "id"));
	struct view *view = id == NULL ? NULL : overlay_view(overlay, id);

	if (view == NULL)
		return;
	view->change->bytes_done = api_u64(json, "bytesDone", view->change->bytes_done);
	view->change->bytes_total = api_u64(json, "bytesTotal", view->change->bytes_total);
	view->rate = api_u64(json, "rate", 0);
}

void
overlay_drop(struct overlay *overlay, const char *id)
{
	struct view *view = overlay_view(overlay, id);

	if (view == NULL)
		return;
	table_put(&overlay->ended, id, (void *)(uintptr_t)++overlay->clock);
	overlay_remove(overlay, view);
}

void
overlay_forget(struct overlay *overlay)
{
	struct table_walk walk = {0};
	void *value;

	while (table_next(&overlay->dirs, &walk, NULL, &value))
		((struct overlay_dir *)value)->known = false;
}

/* -- a directory's */

/* Those that touch the directory, are not in the answer, and were last heard of before it was asked
   for, have ended without our hearing of it. */
static void
overlay_sweep_dir(struct overlay *overlay, struct overlay_dir *dir, const struct table *answered,
    uint64_t asked_at)
{
	struct table_walk walk = {0};
	struct effect *effect;
	struct spot *spot;
	struct view *gone[64];
	size_t len = 0, i;
	void *value;

	while (table_next(&dir->spots, &walk, NULL, &value)) {
		spot = value;
		TAILQ_FOREACH (effect, &spot->effects, next) {
			if (len < ARRAY_LEN(gone) && effect->view->touched <= asked_at &&
			    files_by_change(overlay->fs, effect->view->change->id) == NULL &&
			    table_get(answered, effect->view->change->id) == NULL)
				gone[len++] = effect->view;
		}
	}
	for (i = 0; i < len; i++) {
		if (overlay_view(overlay, gone[i]->change->id) == gone[i])
			overlay_remove(overlay, gone[i]);
	}
	if (len == ARRAY_LEN(gone))
		overlay_sweep_dir(overlay, dir, answered, asked_at);
}

static void
overlay_take(
    struct overlay *overlay, struct overlay_dir *dir, const json_t *body, uint64_t asked_at)
{
	const json_t *list = json_object_get(body, "changes"), *json;
	struct table answered;
	struct view *view;
	const char *id;
	size_t i;

	table_init(&answered);
	for (i = 0; i < json_array_size(list); i++) {
		json = json_array_get(list, i);
		id = json_string_value(json_object_get(json, "id"));
		if (id == NULL)
			continue;
		table_put(&answered, id, dir);
		view = overlay_view(overlay, id);
		if ((view != NULL && view->touched > asked_at && view->complete) ||
		    (uintptr_t)table_get(&overlay->ended, id) > asked_at)
			continue; /* we know better */
		overlay_hear(overlay, json, false);
	}
	overlay_sweep_dir(overlay, dir, &answered, asked_at);
	table_fini(&answered, NULL);
}

struct overlay_request {
	struct task *task;
	bool done;
	int code;
	json_t *body;
};

static void
overlay_answered(void *arg, int code, json_t *body, const struct err *err)
{
	struct overlay_request *request = arg;

	request->done = true;
	request->code = code;
	request->body = json_incref(body);
	task_wake(request->task);
}

/* A short wait, unlike task_call()'s: looking at a directory must go on without the daemon. */
static void
overlay_fetch(struct task *task, struct overlay_dir *dir, const char *account_id, const char *path)
{
	struct overlay *overlay = task->fs->overlay;
	struct overlay_request request = {.task = task};
	CLEANUP(buf_free) struct buf url = BUF_INIT(64 * 1024);
	uint64_t deadline = task_deadline(OVERLAY_LOAD_MS), asked_at = overlay->clock;
	struct client_call *call;
	int code = 0;

	buf_printf(&url, "/api/overlay?accountId=%s&dir=", account_id);
	buf_put_uri(&url, path, "/");
	call = client_start(daemon_client(task->fs->daemon), "GET", buf_str(&url), NULL,
	    overlay_answered, &request);
	while (!request.done && code == 0)
		code = task_wait(task, deadline);
	if (!request.done) {
		client_cancel(call);
		request.code = code;
	}
	if (request.code == 0) {
		overlay_take(overlay, dir, request.body, asked_at);
		dir->known = true;
	} else if (code != -EINTR) {
		dir->retry_at = task_deadline(OVERLAY_RETRY_MS);
	}
	json_decref(request.body);
}

void
overlay_load(struct task *task, struct remote *remote, const char *path)
{
	struct overlay *overlay = task->fs->overlay;
	struct overlay_dir *dir = overlay_dir(overlay, remote->id, path, strlen(path));

	/* Without the stream of events it would be out of date at once. */
	while (!dir->known && daemon_is_connected(task->fs->daemon) &&
	    clock_mono_ms() >= dir->retry_at) {
		if (dir->loading) {
			if (waitq_wait(task, &dir->waiting, task_deadline(OVERLAY_LOAD_MS)) != 0)
				return;
			dir = overlay_dir(overlay, remote->id, path, strlen(path));
			continue;
		}
		dir->loading = true;
		overlay_fetch(task, dir, remote->id, path);
		dir->loading = false;
		waitq_wake(&dir->waiting);
		if (task->interrupted || task->fs->cancelling)
			return;
	}
}

static void
spot_state(const struct fs *fs, const struct spot *spot, struct overlay_name *out)
{
	const struct effect *effect;

	TAILQ_FOREACH (effect, &spot->effects, next) {
		/* One of ours: the node has it, wherever it was renamed to. */
		if (effect->role == EFFECT_FILE &&
		    table_get(&fs->files_by_id, effect->view->change->id) != NULL)
			continue;
		switch (effect->role) {
		case EFFECT_FILE:
		case EFFECT_DIRECTORY:
			out->kind = effect->role == EFFECT_FILE ? OVERLAY_FILE : OVERLAY_DIRECTORY;
			out->view = effect->view;
			out->mtime_ns = ENTRY_NO_TIME;
			out->mode = 0;
			break;
		case EFFECT_GONE:
			out->kind = OVERLAY_GONE;
			out->view = effect->view;
			break;
		case EFFECT_ATTRIBUTES:
			if (effect->view->change->mtime_ns != ENTRY_NO_TIME)
				out->mtime_ns = effect->view->change->mtime_ns;
			if (effect->view->change->mode != 0)
				out->mode = effect->view->change->mode;
			break;
		}
	}
}

void
overlay_at(
    struct overlay *overlay, struct remote *remote, const char *path, struct overlay_name *out)
{
	struct spot *spot = overlay_spot(overlay, remote->id, path);

	*out = (struct overlay_name){.kind = OVERLAY_NONE, .mtime_ns = ENTRY_NO_TIME};
	if (spot != NULL)
		spot_state(overlay->fs, spot, out);
}

void
overlay_each(
    struct overlay *overlay, struct remote *remote, const char *path, overlay_fn fn, void *arg)
{
	struct overlay_dir *dir = overlay_dir(overlay, remote->id, path, strlen(path));
	struct table_walk walk = {0};
	struct overlay_name name;
	struct spot *spot;
	void *value;

	while (table_next(&dir->spots, &walk, NULL, &value)) {
		spot = value;
		name = (struct overlay_name){.kind = OVERLAY_NONE, .mtime_ns = ENTRY_NO_TIME};
		spot_state(overlay->fs, spot, &name);
		fn(arg, spot->name, &name);
	}
}

bool
overlay_writes(
    struct overlay *overlay, const char *account_id, const char *path, const char *except)
{
	struct spot *spot = overlay_spot(overlay, account_id, path);
	const struct effect *effect;

	if (spot == NULL)
		return false;
	TAILQ_FOREACH (effect, &spot->effects, next) {
		if (strcmp(effect->view->change->id, except) != 0)
			return true;
	}
	return false;
}

struct view *
overlay_writer(struct overlay *overlay, const char *account_id, const char *path)
{
	struct spot *spot = overlay_spot(overlay, account_id, path);

	return spot == NULL ? NULL : TAILQ_LAST(&spot->effects, effects)->view;
}
