#include "fs/outcome.h"
#include "fs/api_change.h"
#include "fs/daemon.h"
#include "fs/files.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "src/clock.h"
#include <stdlib.h>

#define OUTCOME_TICK_MS 1000
#define OUTCOME_POLL_MS 30000 /* an event that is waited for may have been missed: ask */

static int
change_ask(struct task *task, const char *id, json_t **out, struct err *err)
{
	CLEANUP(cleanup_free) char *path = xasprintf("/api/transfers/%s", id);

	return task_call(task, out, "GET", path, NULL, err);
}

/* What an export will be, nobody knows before it has come: then look again. */
static int
outcome_wait_document(struct task *task, const struct change *change, struct err *err)
{
	int code = outcome_wait(task, change->id, NULL, err);

	return code == 0 ? -EALREADY : code;
}

/* Adds what a segment of the change brings. */
static int
outcome_add_segment(struct task *task, const struct change *change, const struct segment *segment,
    struct extents *out, int64_t *mtime_ns, struct err *err)
{
	uint64_t length = segment->length, at = extents_size(out);
	bool whole = length == SEGMENT_TO_END;
	struct source *source = NULL;
	struct remote *remote;
	struct spool *spool;
	struct entry entry;
	bool unsized;
	int code = 0;

	switch (segment->kind) {
	case SEGMENT_ZERO: break;
	case SEGMENT_SPOOL:
		code = spool_open(task, &spool, segment->path);
		if (code != 0)
			return err_sys(err, code, "the spool file %s", segment->path);
		source = source_spool(spool);
		break;
	case SEGMENT_ENTRY:
		if (whole && change->kind == CHANGE_TRANSFER)
			length = change->bytes_total; /* of one source, so it is its size */
		if (length == UINT64_MAX || *mtime_ns == ENTRY_NO_TIME) {
			remote = remote_by_id(task->fs->remotes, segment->account_id);
			entry_init(&entry);
			code = remote == NULL
			    ? -ENOENT
			    : remote_stat(task, remote, segment->path, &entry, err);
			if (code == 0 && length == UINT64_MAX)
				length = entry.size;
			if (code == 0 && *mtime_ns == ENTRY_NO_TIME)
				*mtime_ns = entry.mtime_ns;
			unsized = code == 0 && entry.unsized;
			entry_fini(&entry);
			if (code != 0 && code != -ENOENT)
				return code;
			if (unsized)
				return outcome_wait_document(task, change, err);
			if (length == UINT64_MAX)
				length = 0; /* not there yet: an earlier change makes it */
		}
		source = source_entry(segment->account_id, segment->path, segment->version,
		    whole ? length : UINT64_MAX);
		break;
	}
	extents_put(out, at, length, source, segment->offset);
	source_unref(source);
	return 0;
}

int
outcome_content(
    struct task *task, struct view *view, struct extents *out, int64_t *mtime_ns, struct err *err)
{
	struct change *change;
	char id[sizeof(view->change->id)];
	json_t *body = NULL;
	size_t i;
	int code = 0;

	snprintf(id, sizeof(id), "%s", view->change->id);
	if (!view->complete) {
		code = change_ask(task, id, &body, err);
		if (code != 0)
			return code;
		view = overlay_submitted(task->fs->overlay, body);
		json_decref(body);
		if (view == NULL)
			return -EALREADY; /* it has ended: look again */
	}
	change = change_copy(view->change); /* it may be told anew while we wait */
	extents_fini(out);
	*mtime_ns = change->mtime_ns;
	for (i = 0; i < change->segments_len && code == 0; i++)
		code = outcome_add_segment(task, change, &change->segments[i], out, mtime_ns, err);
	change_free(change);
	if (code == 0 && overlay_view(task->fs->overlay, id) == NULL)
		code = -EALREADY;
	return code;
}

static int
outcome_result(const struct change *change, struct change **out, struct err *err)
{
	if (out != NULL)
		*out = change_copy(change);
	if (change->state == CHANGE_COMPLETED)
		return 0;
	if (change->state == CHANGE_CANCELLED)
		return err_set(err, -ECANCELED, "it was cancelled");
	return err_set(err, change->error != 0 ? change->error : -EIO, "%s",
	    change->error_text != NULL ? change->error_text : "it failed");
}

/* Asks for it: 1 if it is still live (and then there is a view), 0 or an error if it has ended. */
static int
outcome_ask(struct task *task, const char *id, struct change **out, struct err *err)
{
	struct change *change;
	json_t *body = NULL;
	bool complete;
	int code;

	code = change_ask(task, id, &body, err);
	if (code != 0)
		return code;
	code = change_from_api(&change, body, &complete, err);
	if (code == 0) {
		overlay_submitted(task->fs->overlay, body);
		code = change_is_live(change) ? 1 : outcome_result(change, out, err);
		change_free(change);
	}
	json_decref(body);
	return code;
}

/* An event, or a moment, has come.  Who ends the mount does not wait for clouds, nor behind those
   who do. */
static int
outcome_tick(struct task *task)
{
	int code = task->fs->stopping ? -ESHUTDOWN
				      : daemon_wait_event(task, task_deadline(OUTCOME_TICK_MS));

	return code == -ETIMEDOUT ? 0 : code;
}

/* 0: it has ended, or an event came; 1: ask the daemon; or an error. */
static int
outcome_wait_view(struct task *task, const struct view *view, uint64_t poll)
{
	struct fs *fs = task->fs;
	uint64_t tick;
	int code;

	while (!view->ended && change_is_live(view->change)) {
		if (fs->stopping)
			return -ESHUTDOWN;
		tick = task_deadline(OUTCOME_TICK_MS);
		code = daemon_wait_event(task, MIN(tick, poll));
		if (code == -ETIMEDOUT && view->change->state == CHANGE_QUEUED)
			/* It may be queued behind what we hold. */
			files_commit_held(task);
		if (code != 0 && code != -ETIMEDOUT)
			return code;
		if (daemon_away_ms(fs->daemon) > fs->daemon_timeout_ms)
			return -ETIMEDOUT;
		if (clock_mono_ms() >= poll)
			return 1;
	}
	return change_is_live(view->change); /* dropped without a word: ask */
}

int
outcome_wait(struct task *task, const char *id, struct change **out, struct err *err)
{
	struct fs *fs = task->fs;
	struct view *view = overlay_view(fs->overlay, id);
	int code;

	for (;;) {
		if (view == NULL) {
			code = outcome_ask(task, id, out, err);
			if (code != 1)
				return code;
			view = overlay_view(fs->overlay, id);
			if (view == NULL) { /* it lives again, and its event has yet to say so */
				code = outcome_tick(task);
				if (code != 0)
					return code;
				continue;
			}
		}
		view_ref(view);
		code = outcome_wait_view(task, view, task_deadline(OUTCOME_POLL_MS));
		if (code == 0)
			code = outcome_result(view->change, out, err);
		else if (code == -ETIMEDOUT)
			err_set(err, code, "the daemon is away");
		view_unref(view);
		if (code != 1)
			return code;
		view = NULL;
	}
}
