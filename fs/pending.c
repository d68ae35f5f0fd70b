#include "fs/pending.h"
#include "fs/daemon.h"
#include "fs/file_copy.h"
#include "fs/files.h"
#include "fs/outcome.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FILE_JOIN         (1024 * 1024) /* pieces of a file that has too many are joined to this size, */
#define FILE_JOIN_MAX     (64 * 1024 * 1024) /* or to more, while they are still too many */
#define FILE_EXTENTS      2000 /* pieces that one pending write names, at most */
#define FILE_JSON         (700 * 1024) /* bytes of its request, which may have 1 MiB */
#define FILE_SWEEP_MIN_MS 500
#define FILE_SWEEP_MAX_MS 30000

/* -- ours to change */

/* The daemon's change stays as it is; from now on this is another one, of the same bytes. */
static int
file_renew(struct task *task, struct file *file, struct err *err)
{
	int code = extents_clone_spools(task, &file->extents, NULL);

	if (code != 0)
		return err_sys(err, code, "the spool directory %s", file->fs->spool_dir);
	source_unref(TAKE(file->writing));
	file_set_change(file, "", FILE_NEW);
	file->frozen = false;
	/* Not clean: there is no entry that has this content. */
	file->changes++;
	return 0;
}

static int
file_hold(struct task *task, struct file *file, struct err *err)
{
	CLEANUP(cleanup_free) char *path = xasprintf("/api/pending/%s/hold", file->id);
	json_t *body = json_pack("{s:s}", "mountId", daemon_mount_id(file->fs->daemon));

	return task_call(task, NULL, "POST", path, body, err);
}

/* It could not be held.  What it was made from may be gone when it has ended, so that a new pending
   write cannot name it: then what it has made is what we go on from. */
static int
file_outlive(struct task *task, struct file *file, struct err *err)
{
	char id[sizeof(file->id)];
	int code;

	if (file->state != FILE_MOVING && !file->frozen && !extents_have_entry(&file->extents))
		return file_renew(task, file, err);
	snprintf(id, sizeof(id), "%s", file->id);
	code = outcome_wait(task, id, NULL, err);
	if (code == -EINTR || code == -ETIMEDOUT || code == -ESHUTDOWN)
		return code;
	if (strcmp(file->id, id) == 0 && file->state != FILE_FAILED) {
		/* The event was missed. */
		file_check_now(task, file);
		if (strcmp(file->id, id) == 0 && file->state != FILE_FAILED)
			return code != 0 ? code
					 : err_set(err, -EIO, "the state of %s is unclear", id);
	}
	return 0;
}

int
file_try_hold(struct task *task, struct file *file, struct err *err)
{
	struct err refused = ERR_INIT;
	int code = file_hold(task, file, &refused);

	if (code == 0) {
		file->state = FILE_HELD;
		return 0;
	}
	if (code == -EINTR || daemon_is_away(code)) {
		/* It may have been held all the same: then somebody must commit it again. */
		if (file->state == FILE_COMMITTED)
			file->state = FILE_HELD;
		if (file->writers == 0)
			file_sweep(file);
		return err_set(err, code, "%s", refused.msg);
	}
	return 1;
}

int
file_begin_change(struct task *task, struct file *file, struct err *err)
{
	int code = node_settled(task, file->node);

	assert(file->lock.owner == task);
	while (code == 0) {
		switch (file->state) {
		case FILE_NEW:
		case FILE_HELD: return 0;
		case FILE_FAILED: return file_renew(task, file, err);
		case FILE_COMMITTED:
			if (file->frozen)
				break;
			code = file_try_hold(task, file, err);
			if (code <= 0)
				return code;
			code = 0;
			if (file->state != FILE_COMMITTED)
				continue; /* it ended while we asked */
			break;
		case FILE_MOVING: break;
		}
		code = file_outlive(task, file, err);
	}
	return code;
}

/* -- making it durable */

static bool
file_is_too_long(const struct file *file)
{
	return file->extents.len > FILE_EXTENTS || extents_json_size(&file->extents) > FILE_JSON;
}

/* Joins neighbours that are smaller by writing what they hold to the spool. */
static int
file_join(struct task *task, struct file *file, uint64_t join, struct err *err)
{
	uint64_t size = file_size(file), at, len;
	const struct extent *extent;
	char *data;
	int code;

	/* All of it is written anew, at the end: where it would overwrite what is there, the pieces
	 * would stay as scattered in the spool as they are. */
	if (file->writing != NULL)
		spool_seal(file->writing->spool);
	for (at = 0; at < size; at += len) {
		extent = extents_at(&file->extents, at);
		len = extent->offset + extent->length - at;
		if (len >= join)
			continue;
		len = MIN(size - at, join);
		data = xmalloc(len);
		code = file_read_content(task, file, data, len, at, err);
		if (code == 0)
			code = file_write(task, file, TAKE(data), len, at, err);
		free(data);
		if (code != 0)
			return code;
	}
	return 0;
}

/* So many pieces that a pending write could not name them: they are joined until it can. */
static int
file_compact(struct task *task, struct file *file, struct err *err)
{
	int64_t mtime_ns = file->mtime_ns;
	bool mtime_set = file->mtime_set;
	uint64_t join = FILE_JOIN;
	int code = 0;

	while (code == 0 && file_is_too_long(file)) {
		if (join > FILE_JOIN_MAX)
			return err_set(
			    err, -EFBIG, "'%s' consists of too many pieces", file->node->name);
		code = file_join(task, file, join, err);
		join *= 2;
	}
	file->mtime_ns = mtime_ns; /* nothing of it has changed */
	file->mtime_set = mtime_set;
	return code;
}

static int
file_sync_spools(struct task *task, struct file *file, struct err *err)
{
	struct source *source;
	size_t i;
	int code;

	for (i = 0; i < file->extents.len; i++) {
		source = file->extents.items[i].source;
		if (source == NULL || source->spool == NULL)
			continue;
		source_ref(source);
		code = spool_sync(task, source->spool);
		if (code != 0)
			err_sys(err, code, "the spool file %s", spool_name(source->spool));
		source_unref(source);
		if (code != 0)
			return code;
	}
	return 0;
}

static void
file_tell_spools(struct file *file, void (*tell)(struct spool *))
{
	struct source *source;
	size_t i;

	for (i = 0; i < file->extents.len; i++) {
		source = file->extents.items[i].source;
		if (source != NULL && source->spool != NULL)
			tell(source->spool);
	}
}

static int
file_put_once(struct task *task, struct file *file, const char *path, struct err *err)
{
	json_t *body, *answer = NULL;
	char *url;
	int code;

	body = json_pack("{s:s, s:s, s:s, s:o, s:b}", "mountId", daemon_mount_id(file->fs->daemon),
	    "accountId", file->node->remote->id, "path", path, "segments",
	    extents_to_json(&file->extents), "overwrite", 1);
	if (body == NULL)
		return err_set(err, -EILSEQ, "a name that is not UTF-8 cannot be stored");
	if (file->mtime_ns != ENTRY_NO_TIME)
		json_object_set_new(body, "mtimeNs", json_integer(file->mtime_ns));
	if (file->mtime_ns != ENTRY_NO_TIME && !file->mtime_set)
		json_object_set_new(body, "mtimeSet", json_false());
	if (file->mode != 0)
		json_object_set_new(body, "mode", json_integer(file->mode));
	url = xasprintf("/api/pending/%s", file->id);
	file_tell_spools(file, spool_named);
	crash_point("mount.before_pending");
	code = task_call(task, &answer, "PUT", url, body, err);
	crash_point("mount.after_pending");
	free(url);
	/* Without room in the store nothing of it was kept; after any other failure the daemon may
	   have it. */
	file_tell_spools(file, code == -ENOSPC || code == -EDQUOT ? spool_refused : spool_taken);
	if (code == 0 && json_object_get(answer, "kind") != NULL)
		overlay_submitted(file->fs->overlay, answer);
	json_decref(answer);
	return code;
}

static int
file_put(struct task *task, struct file *file, const char *path, struct err *err)
{
	char *id;
	int code, tries;

	for (tries = 0;; tries++) {
		if (file->id[0] == '\0') {
			id = daemon_uuid();
			file_set_change(file, id, file->state);
			free(id);
		}
		code = file_put_once(task, file, path, err);
		if (code == 0 || tries >= 3)
			return code;
		if (code == -ENOENT && !daemon_is_connected(file->fs->daemon)) {
			/* Our lease has ended; the link is about to get another. */
			code = daemon_wait_event(task, task_deadline(file->fs->daemon_timeout_ms));
		} else if (code == -EBUSY || code == -EALREADY) {
			code = file_hold(task, file, err);
			if (code == 0 || code == -EINTR || daemon_is_away(code))
				continue;
			code = file_renew(task, file, err);
			if (code == 0)
				code = file_sync_spools(task, file, err);
		}
		if (code != 0)
			return code;
	}
}

int
file_flush(struct task *task, struct file *file, struct err *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	uint64_t changes;
	int code = 0;

	assert(file->lock.owner == task);
	if (file->node->detached || !file_is_dirty(file))
		return 0;
	if (node_is_detached(file->node))
		return err_set(err, -ESTALE, "the directory of '%s' was removed", file->node->name);
	code = node_settled(task, file->node);
	if (code != 0)
		return code;
	code = file_compact(task, file, err);
	if (code == 0 && file->unnamed) {
		code = extents_clone_spools(task, &file->extents, NULL);
		source_unref(TAKE(file->writing));
		file->unnamed = code != 0;
	}
	if (code == 0)
		code = file_sync_spools(task, file, err);
	path = node_path(file->node);
	if (code == 0)
		code = files_flush_readers(task, file->node->remote->id, path, file, err);
	changes = file->changes;
	if (code == 0)
		code = file_put(task, file, path, err);
	if (code != 0)
		return code;
	file->state = FILE_HELD;
	file->durable = changes;
	/* What is not named any more is removed. */
	if (file->writing != NULL && !extents_hold(&file->extents, file->writing))
		source_unref(TAKE(file->writing));
	return 0;
}

int
file_commit(struct task *task, struct file *file, uint64_t settle_ms, struct err *err)
{
	CLEANUP(cleanup_free) char *path = xasprintf("/api/pending/%s/commit", file->id);
	json_t *answer = NULL;
	int code;

	assert(file->lock.owner == task);
	if (node_is_detached(file->node) || file->state != FILE_HELD)
		return 0;
	crash_point("mount.before_commit");
	/* Before it is sent: the event may come before the answer. */
	file->state = FILE_COMMITTED;
	code = task_call(
	    task, &answer, "POST", path, json_pack("{s:I}", "settle", (json_int_t)settle_ms), err);
	crash_point("mount.after_commit");
	if (code == 0 && json_object_get(answer, "kind") != NULL)
		overlay_submitted(file->fs->overlay, answer);
	else if (code == -EBUSY || code == -EALREADY) {
		/* Its lease had ended, or a commit whose answer was given up had come: it is
		   queued, or has ended while we took it for held. */
		file_check_now(task, file);
		code = 0;
	} else if (code != 0 && file->state == FILE_COMMITTED)
		file->state = FILE_HELD;
	json_decref(answer);
	return code;
}

int
file_queue(struct task *task, struct file *file, struct err *err)
{
	int code;

	file_ref(file);
	code = lock_take(task, &file->lock);
	if (code == 0) {
		code = file_flush(task, file, err);
		if (code == 0)
			code = file_commit(task, file, 0, err);
		lock_drop(task, &file->lock);
	}
	file_unref(file);
	return code;
}

int
file_wait_cloud(struct task *task, struct file *file, struct err *err)
{
	char id[sizeof(file->id)];
	int code;

	code = lock_take(task, &file->lock);
	if (code != 0)
		return code;
	code = file_flush(task, file, err);
	if (code == 0)
		code = file_commit(task, file, 0, err);
	snprintf(id, sizeof(id), "%s", file->id);
	lock_drop(task, &file->lock);
	if (code != 0 || id[0] == '\0')
		return code;
	return outcome_wait(task, id, NULL, err);
}

static void
file_sweep_run(struct task *task)
{
	struct file *file = task->arg;
	uint64_t pause = FILE_SWEEP_MIN_MS, until;
	struct err err = ERR_INIT;
	int code;

	for (;;) {
		code = lock_take(task, &file->lock);
		if (code != 0)
			break;
		if (file->writers == 0) {
			code = file_flush(task, file, &err);
			if (code == 0)
				code = file_commit(task, file, file->fs->settle_ms, &err);
		}
		lock_drop(task, &file->lock);
		if (code == 0 || code == -ESHUTDOWN)
			break;
		log_warning(
		    "%s: not yet queued, trying again: %s", file->node->name, err_text(&err));
		until = task_deadline(pause);
		pause = MIN(pause * 2, FILE_SWEEP_MAX_MS);
		while ((code = task_wait(task, until)) == 0)
			;
		if (code == -ESHUTDOWN)
			break;
	}
	file->sweeping = false;
	file_unref(file);
}

void
file_sweep(struct file *file)
{
	if (file->sweeping || node_is_detached(file->node) ||
	    (file->state != FILE_HELD && !file_is_dirty(file)))
		return;
	file->sweeping = true;
	task_spawn(file->fs, file_sweep_run, file_ref(file));
}

int
file_cancel_change(struct task *task, struct fs *fs, const char *id, struct err *err)
{
	CLEANUP(cleanup_free) char *path = xasprintf("/api/pending/%s", id);
	int code;

	overlay_hold(fs->overlay, id);
	code = task_call(task, NULL, "DELETE", path, NULL, err);
	if (code == 0)
		overlay_drop(fs->overlay, id);
	overlay_release(fs->overlay, id);
	return code;
}

int
file_discard(struct task *task, struct file *file, bool *running, struct err *err)
{
	char id[sizeof(file->id)];
	int code = 0;

	assert(file->lock.owner == task);
	*running = file->frozen || file->state == FILE_MOVING;
	if (file->id[0] == '\0' || *running)
		return 0;
	snprintf(id, sizeof(id), "%s", file->id);
	code = file_cancel_change(task, file->fs, id, err);
	if (code != 0 && code != -EBUSY && code != -EALREADY && code != -ENOENT)
		return code;
	*running = code != 0; /* or it has ended: the cloud may have it */
	if (strcmp(file->id, id) == 0)
		file_set_change(file, "", FILE_NEW);
	return 0;
}

/* -- what has become of it */

/* What the daemon says of its change now. */
void
file_check_now(struct task *task, struct file *file)
{
	CLEANUP(cleanup_free) char *path = xasprintf("/api/transfers/%s", file->id);
	char id[sizeof(file->id)];
	struct err err = ERR_INIT;
	json_t *body = NULL;
	const char *status;
	int code;

	if (file->id[0] == '\0')
		return;
	snprintf(id, sizeof(id), "%s", file->id);
	code = task_call(task, &body, "GET", path, NULL, &err);
	if (strcmp(file->id, id) != 0) {
		json_decref(body);
		return;
	}
	if (code == 0) {
		status = json_string_value(json_object_get(body, "status"));
		if (file->state == FILE_HELD && status != NULL && strcmp(status, "pending") != 0)
			file->state = FILE_COMMITTED; /* the lease has ended: it was queued */
		overlay_submitted(file->fs->overlay, body);
	} else if (code == -ENOENT) {
		/* Forgotten: it ended long ago, or the store is another.  What is held here is put
		 * again. */
		overlay_drop(file->fs->overlay, id);
		if (file->state == FILE_MOVING) {
			file_cancelled(file);
		} else {
			file_set_change(file, "", FILE_NEW);
			file->unnamed = true;
			file->changes++;
		}
	}
	json_decref(body);
}

void
file_wait_arrival(struct task *task, struct file *file)
{
	struct err err = ERR_INIT;
	char id[sizeof(file->id)];

	snprintf(id, sizeof(id), "%s", file->id);
	file_check_now(task, file);
	if (id[0] != '\0' && strcmp(file->id, id) == 0 && file->state != FILE_HELD &&
	    file->state != FILE_FAILED)
		outcome_wait(task, id, NULL, &err);
}
