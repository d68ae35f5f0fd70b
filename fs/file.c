#include "fs/file.h"
#include "fs/daemon.h"
#include "fs/notify.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "fs/stream.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FILE_JOIN           (1024 * 1024) /* pieces of a file that has too many are joined to this size, */
#define FILE_JOIN_MAX       (64 * 1024 * 1024) /* or to more, while they are still too many */
#define FILE_EXTENTS        2000 /* pieces that one pending write names, at most */
#define FILE_JSON           (700 * 1024) /* bytes of its request, which may have 1 MiB */
#define FILE_CHAIN          4 /* files that hold ranges of each other in a row, at most */
#define FILE_SETTLE_LONG_MS 5000 /* worth a call for each file when the mount ends */
#define FILE_SWEEP_MIN_MS   500
#define FILE_SWEEP_MAX_MS   30000

static struct file *
file_alloc(struct node *node)
{
	struct file *file = xcalloc(1, sizeof(*file));

	assert(node->file == NULL && node->kind == NODE_FILE);
	file->fs = node->fs;
	file->node = node_ref(node);
	file->refs = 1;
	file->mtime_ns = ENTRY_NO_TIME;
	lock_init(&file->lock);
	extents_init(&file->extents);
	TAILQ_INSERT_TAIL(&node->fs->files, file, next);
	return file;
}

static void
file_set_id(struct file *file, const char *id)
{
	if (file->id[0] != '\0')
		table_remove(&file->fs->files_by_id, file->id);
	snprintf(file->id, sizeof(file->id), "%s", id);
	if (id[0] != '\0')
		table_put(&file->fs->files_by_id, id, file);
}

/* The content is that of the cloud's entry where the node is; with changes of it still to come (its
   time, say), what those will make of it. */
static void
file_set_base(struct file *file)
{
	const struct entry *entry = &file->node->entry;
	CLEANUP(cleanup_free) char *path = node_path(file->node);
	const char *account_id = file->node->remote->id;
	struct source *source;
	struct view *writer;

	extents_fini(&file->extents);
	if (entry->size == 0)
		return;
	source = source_entry(account_id, path, entry->version, entry->size);
	extents_put(&file->extents, 0, entry->size, source, 0);
	source_unref(source);
	writer = overlay_writer(file->fs->overlay, account_id, path);
	if (writer == NULL)
		return;
	writer->awaited = true;
	source = source_outcome(account_id, path, entry->size, writer->change->id, &file->extents);
	extents_put(&file->extents, 0, entry->size, source, 0);
	source_unref(source);
}

struct file *
file_new(struct node *node, bool empty)
{
	struct file *file = file_alloc(node);

	file->mode = node->entry.mode;
	if (empty) {
		file_changed(file);
	} else {
		file_set_base(file);
		file->mtime_ns = node->entry.mtime_ns;
	}
	node_set_file(node, file);
	return file;
}

struct file *
file_adopt(
    struct node *node, const char *id, struct extents *extents, int64_t mtime_ns, bool moving)
{
	struct file *file = file_alloc(node);

	file_set_id(file, id);
	file->state = moving ? FILE_MOVING : FILE_COMMITTED;
	file->extents = *extents;
	extents_init(extents);
	file->mtime_ns = mtime_ns;
	node_set_file(node, file);
	return file;
}

struct file *
file_ref(struct file *file)
{
	file->refs++;
	return file;
}

static void
file_free(struct file *file)
{
	struct node *node = file->node;

	file_set_id(file, "");
	if (node->file == file)
		node_set_file(node, NULL);
	TAILQ_REMOVE(&file->fs->files, file, next);
	extents_fini(&file->extents);
	source_unref(file->writing);
	free(file);
	node_unref(node);
}

/* Is there anything that the node's entry does not say? */
static bool
file_is_needed(const struct file *file)
{
	if (file->refs > 1 || file->writers > 0)
		return true;
	if (node_is_detached(file->node)) /* the kernel may read it as long as it has it open */
		return file->node->lookups > 0;
	return file->state != FILE_NEW || file_is_dirty(file);
}

void
file_settle(struct file *file)
{
	if (!file_is_needed(file))
		file_free(file);
}

void
file_unref(struct file *file)
{
	if (file == NULL)
		return;
	assert(file->refs > 1);
	file->refs--;
	file_settle(file);
}

bool
file_is_dirty(const struct file *file)
{
	return file->changes != file->durable;
}

uint64_t
file_size(const struct file *file)
{
	return extents_size(&file->extents);
}

void
file_changed(struct file *file)
{
	file->changes++;
	file->mtime_ns = clock_ns();
}

struct file *
files_by_change(struct fs *fs, const char *id)
{
	return table_get(&fs->files_by_id, id);
}

/* -- what becomes of its change */

/* What was on its way is there. */
static void
file_arrived(struct file *file, const struct change *change)
{
	struct node *node = file->node;
	bool dirty = file_is_dirty(file);
	uint64_t content = node->content;
	struct entry entry;

	entry_init(&entry);
	entry.size = dirty ? change->bytes_total : file_size(file);
	entry.mtime_ns = file->mtime_ns;
	entry.mode = file->mode;
	entry.version =
	    xstrdup_null(change->kind == CHANGE_TRANSFER ? change->result_version : NULL);
	node_set_entry(node, &entry);
	node->content = content; /* the same bytes as before */
	file_set_id(file, "");
	file->state = FILE_NEW;
	file->frozen = false;
	entry_fini(&entry);
	if (dirty) {
		file->unnamed = true;
		return; /* what was written after it is still to come */
	}
	file->durable = file->changes;
	source_unref(TAKE(file->writing));
	if (!node_is_detached(node))
		file_set_base(file);
}

void
files_pin(struct fs *fs, const struct change *change)
{
	const char *version = change->kind == CHANGE_TRANSFER ? change->result_version : NULL;
	struct file *file;

	TAILQ_FOREACH (file, &fs->files, next)
		extents_pin(&file->extents, change->id, version, change->bytes_total);
}

/* Somebody else has cancelled it. */
static void
file_cancelled(struct file *file)
{
	struct node *node = file->node;

	file_set_id(file, "");
	file->state = FILE_NEW;
	file->frozen = false;
	file->unnamed = true;
	if (file_is_dirty(file) || node_is_detached(node))
		return;
	node->content++;
	notify_inode(file->fs->notifier, node->ino);
	if (node->entry.version != NULL) {
		file_set_base(file);
		file->mtime_ns = node->entry.mtime_ns;
		return;
	}
	notify_inode(file->fs->notifier, node->parent->ino);
	node_detach(node);
}

void
file_event(struct file *file, const struct change *change)
{
	switch (change->state) {
	case CHANGE_COMPLETED:
		if (file->state == FILE_HELD) /* held again in the meantime: not this time */
			return;
		file_arrived(file, change);
		break;
	case CHANGE_CANCELLED: file_cancelled(file); break;
	case CHANGE_FAILED:
		if (file->state == FILE_HELD)
			return;
		file->error = change->error != 0 ? change->error : -EIO;
		if (file->state == FILE_MOVING || !extents_have_spool(&file->extents)) {
			/* A copy or move that will not come: what it would have replaced is shown
			 * again. */
			log_warning("%s: %s", file->id,
			    change->error_text != NULL ? change->error_text : "failed");
			file_cancelled(file);
			break;
		}
		file->state = FILE_FAILED;
		return;
	case CHANGE_QUEUED:
	case CHANGE_RUNNING:
		if (file->state == FILE_FAILED) /* somebody tries again */
			file->state = FILE_COMMITTED;
		return;
	case CHANGE_PENDING:
	case CHANGE_STATES: return;
	}
	file_settle(file);
}

void
file_unpin_base(struct file *file)
{
	if (file->state == FILE_NEW && !file_is_dirty(file) && !node_is_detached(file->node))
		file_set_base(file);
}

void
file_set_moving(struct file *file, const char *id)
{
	file_set_id(file, id);
	file->state = FILE_MOVING;
	file->durable = file->changes;
	file->frozen = false;
}

/* -- spool files */

/* Ranges of `from` become ranges of `to`, which has the same bytes. */
static void
extents_swap(struct extents *extents, const struct source *from, struct source *to)
{
	size_t i;

	for (i = 0; i < extents->len; i++) {
		if (extents->items[i].source != from)
			continue;
		source_ref(to);
		source_unref(extents->items[i].source);
		extents->items[i].source = to;
	}
}

/* A clone of the spool file that `have` holds already, or NULL. */
static struct source *
extents_find_clone(const struct extents *have, const struct spool *from, uint64_t upto)
{
	struct source *source;
	size_t i;

	for (i = 0; have != NULL && i < have->len; i++) {
		source = have->items[i].source;
		if (source != NULL && source->spool != NULL &&
		    spool_is_clone(source->spool, from, upto))
			return source_ref(source);
	}
	return NULL;
}

static bool
extents_hold(const struct extents *extents, const struct source *source)
{
	size_t i;

	for (i = 0; extents != NULL && i < extents->len; i++) {
		if (extents->items[i].source == source)
			return true;
	}
	return false;
}

/* Gives the extents spool files of their own; clones that `have` holds already are used again. */
static int
extents_clone_spools(struct task *task, struct extents *extents, const struct extents *have)
{
	CLEANUP(extents_fini) struct extents done = {0};
	struct source *old, *new;
	struct spool *clone;
	size_t i;
	int code;

	for (i = 0; i < extents->len; i++) {
		old = extents->items[i].source;
		if (old == NULL || old->spool == NULL || extents_hold(&done, old))
			continue;
		if (extents_hold(have, old)) {
			spool_seal(old->spool); /* its bytes are in two places now */
			continue;
		}
		new = extents_find_clone(have, old->spool, spool_end(old->spool));
		if (new == NULL) {
			code = spool_clone(task, &clone, old->spool);
			if (code != 0)
				return code;
			new = source_spool(clone);
		}
		extents_put(&done, done.len, 1, new, done.len * 2); /* only to remember it */
		extents_swap(extents, old, new);
		source_unref(new);
	}
	return 0;
}

/* -- changing */

/* The daemon's change stays as it is; from now on this is another one, of the same bytes. */
static int
file_renew(struct task *task, struct file *file, struct err *err)
{
	int code = extents_clone_spools(task, &file->extents, NULL);

	if (code != 0)
		return err_sys(err, code, "the spool directory %s", file->fs->spool_dir);
	source_unref(TAKE(file->writing));
	file_set_id(file, "");
	file->state = FILE_NEW;
	file->frozen = false;
	/* Not clean: there is no entry that has this content. */
	file->changes++;
	return 0;
}

int
node_settled(struct task *task, const struct node *node)
{
	const struct node *at = node;
	int code = 0;

	while (at != NULL && code == 0) {
		if (at->renaming != NULL && at->renaming != task) {
			code = waitq_wait(task, &task->fs->renamed, 0);
			at = node;
		} else {
			at = at->parent;
		}
	}
	return code;
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
	code = overlay_wait_end(task, id, NULL, err);
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

int
file_write(
    struct task *task, struct file *file, char *data, size_t len, uint64_t offset, struct err *err)
{
	const struct extent *extent;
	struct source *writing;
	struct spool *spool;
	uint64_t at;
	int code;

	if (file->writing == NULL) {
		code = spool_new(task, &spool);
		if (code != 0) {
			free(data);
			return err_sys(err, code, "the spool directory %s", file->fs->spool_dir);
		}
		file->writing = source_spool(spool);
	}
	writing = file->writing;
	spool = writing->spool;
	at = spool_end(spool);
	extent = extents_at(&file->extents, offset);
	if (extent != NULL && extent->source == writing &&
	    offset + len <= extent->offset + extent->length &&
	    extent->from + (offset - extent->offset) >= spool_sealed(spool))
		at = extent->from + (offset - extent->offset);
	source_ref(writing);
	code = spool_write(task, spool, data, len, at);
	if (code == 0) {
		extents_put(&file->extents, offset, len, writing, at);
		file_changed(file);
	} else if (code == -EDQUOT) {
		err_set(err, code,
		    "the spool holds as much as it may (spool.quota): wait until more is uploaded");
	} else {
		err_sys(err, code, "the spool directory %s", file->fs->spool_dir);
	}
	source_unref(writing);
	return code;
}

int
file_truncate(struct task *task, struct file *file, uint64_t size, struct err *err)
{
	if (size > INT64_MAX)
		return err_set(err, -EFBIG, "a file of %llu bytes", (unsigned long long)size);
	extents_truncate(&file->extents, size);
	file_changed(file);
	return 0;
}

/* -- copying ranges */

/* The file (other than a clean one) at a path of an account, if there is one. */
static struct file *
file_at(struct fs *fs, const char *account_id, const char *path)
{
	struct remote *remote = remote_by_id(fs->remotes, account_id);
	struct node *node = remote == NULL ? NULL : node_at(fs, remote, path);

	return node == NULL ? NULL : node->file;
}

/* Will an accepted change write there?  Then a version that is there now may be gone when it is
 * read. */
static bool
path_is_unsteady(struct fs *fs, const char *account_id, const char *path, const struct file *except)
{
	const struct file *file = file_at(fs, account_id, path);

	return (file != NULL && file != except && file->id[0] != '\0') ||
	    overlay_writes(fs->overlay, account_id, path, except->id);
}

/* Does it have ranges of the path, or of a file that has some, and so on?  Beyond `depth` files:
 * said to be so. */
static bool
file_reaches(const struct file *file, const char *account_id, const char *path, unsigned depth)
{
	const struct extents *extents = &file->extents;
	const struct source *source, *before = NULL;
	const struct file *next;
	size_t i;

	for (i = 0; i < extents->len; i++, before = source) {
		source = extents->items[i].source;
		if (source == NULL || source->spool != NULL || source == before)
			continue;
		if (source_is_at(source, account_id, path))
			return true;
		next = file_at(file->fs, source->account_id, source->path);
		if (next != NULL && next != file &&
		    (depth == 0 || file_reaches(next, account_id, path, depth - 1)))
			return true;
	}
	return false;
}

static bool
extents_are_steady(struct fs *fs, const struct extents *extents, struct file *to)
{
	CLEANUP(cleanup_free) char *to_path = node_path(to->node);
	const struct source *source;
	const struct file *at;
	size_t i;

	for (i = 0; i < extents->len; i++) {
		source = extents->items[i].source;
		if (source == NULL || source->spool != NULL)
			continue;
		if (source->version == NULL ||
		    path_is_unsteady(fs, source->account_id, source->path, to))
			return false;
		/* Each would have to be read before the other is written. */
		at = file_at(fs, source->account_id, source->path);
		if (at != NULL && at != to &&
		    file_reaches(at, to->node->remote->id, to_path, FILE_CHAIN))
			return false;
	}
	return true;
}

/* "What the change will have put at the path of `src`". */
static void
extents_set_outcome(struct extents *out, const struct extents *have, const struct node *src,
    const char *path, const char *change, const struct extents *content, uint64_t start,
    uint64_t length)
{
	struct view *view = overlay_view(src->fs->overlay, change);
	struct source *source = extents_find(have, src->remote->id, path, NULL, change);

	if (view != NULL)
		view->awaited = true;
	if (source == NULL)
		source =
		    source_outcome(src->remote->id, path, extents_size(content), change, content);
	extents_fini(out);
	extents_put(out, 0, length, source, start);
	source_unref(source);
}

/* From what the cloud has, or will have when the changes have ended that are accepted for it. */
static int
copy_entry(struct extents *out, struct file *to, struct node *src, uint64_t start, uint64_t length,
    struct err *err)
{
	CLEANUP(extents_fini) struct extents whole = {0};
	CLEANUP(cleanup_free) char *path = node_path(src);
	const struct entry *entry = &src->entry;
	const struct view *writer;
	struct source *source;

	if (node_is_detached(src))
		return err_set(err, -EOPNOTSUPP, "the source has no name any more");
	writer = overlay_writer(src->fs->overlay, src->remote->id, path);
	source = extents_find(&to->extents, src->remote->id, path, entry->version, "");
	if (source == NULL)
		source = source_entry(src->remote->id, path, entry->version, entry->size);
	if (writer == NULL && entry->version != NULL) {
		extents_put(out, 0, length, source, start);
		source_unref(source);
		return 0;
	}
	extents_put(&whole, 0, entry->size, source, 0);
	source_unref(source);
	if (to->id[0] != '\0')
		return err_set(err, -EOPNOTSUPP, "the source is changing");
	extents_set_outcome(out, &to->extents, src, path, writer == NULL ? "" : writer->change->id,
	    &whole, start, length);
	return 0;
}

static int
file_copy_ranges(struct task *task, struct extents *out, struct file *to, struct node *src,
    uint64_t start, uint64_t length, struct err *err)
{
	struct file *from = src->file;
	CLEANUP(cleanup_free) char *path = NULL;
	const struct view *writer;
	int code;

	if (from == NULL)
		return copy_entry(out, to, src, start, length, err);
	extents_copy(out, 0, &from->extents, start, length);
	if (from->state != FILE_MOVING && extents_are_steady(task->fs, out, to)) {
		code = extents_clone_spools(task, out, &to->extents);
		if (code != 0)
			return err_sys(err, code, "the spool directory %s", task->fs->spool_dir);
		return 0;
	}
	if (node_is_detached(src) || to->id[0] != '\0' || file_is_dirty(from) ||
	    from->id[0] == '\0' || from->state == FILE_HELD || from->state == FILE_FAILED)
		return err_set(err, -EOPNOTSUPP, "the source is changing");
	path = node_path(src);
	writer = overlay_writer(task->fs->overlay, src->remote->id, path);
	extents_set_outcome(out, &to->extents, src, path,
	    writer == NULL ? from->id : writer->change->id, &from->extents, start, length);
	from->frozen = true;
	return 0;
}

int
file_copy(struct task *task, struct file *to, uint64_t offset, struct node *src, uint64_t start,
    uint64_t length, struct err *err)
{
	CLEANUP(extents_fini) struct extents ranges = {0};
	int code = file_copy_ranges(task, &ranges, to, src, start, length, err);

	if (code != 0)
		return code;
	extents_copy(&to->extents, offset, &ranges, 0, length);
	file_changed(to);
	return 0;
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
		spool_named(source->spool);
		if (code != 0)
			err_sys(err, code, "the spool file %s", spool_name(source->spool));
		source_unref(source);
		if (code != 0)
			return code;
	}
	return 0;
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
	if (file->mode != 0)
		json_object_set_new(body, "mode", json_integer(file->mode));
	url = xasprintf("/api/pending/%s", file->id);
	crash_point("mount.before_pending");
	code = task_call(task, &answer, "PUT", url, body, err);
	crash_point("mount.after_pending");
	free(url);
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
			file_set_id(file, id);
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
	return overlay_wait_end(task, id, NULL, err);
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

void
file_set_change(struct file *file, const char *id, enum file_state state)
{
	file_set_id(file, id);
	file->state = state;
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

/* -- all of them */

int
files_flush_readers(struct task *task, const char *account_id, const char *path,
    struct file *except, struct err *err)
{
	struct file *file;
	int code;

again:
	TAILQ_FOREACH (file, &task->fs->files, next) {
		if (file == except || node_is_detached(file->node) || file->lock.owner == task ||
		    (!file_is_dirty(file) && file->state != FILE_HELD) ||
		    !extents_read(&file->extents, account_id, path))
			continue;
		file_ref(file);
		code = lock_take(task, &file->lock);
		if (code == 0) {
			code = file_flush(task, file, err);
			if (code == 0)
				code = file_commit(task, file, 0, err);
			lock_drop(task, &file->lock);
		}
		file_unref(file);
		if (code != 0)
			return code;
		goto again;
	}
	return 0;
}

bool
files_beneath(const struct node *dir)
{
	const struct file *file;

	TAILQ_FOREACH (file, &dir->fs->files, next) {
		if ((file->state != FILE_NEW || file_is_dirty(file)) &&
		    node_is_beneath(file->node, dir))
			return true;
	}
	return false;
}

void
files_commit_held(struct task *task)
{
	struct err err = ERR_INIT;
	struct file *file;
	int code = 0;

again:
	TAILQ_FOREACH (file, &task->fs->files, next) {
		if (file->state != FILE_HELD || node_is_detached(file->node) ||
		    file->lock.owner != NULL)
			continue;
		file_ref(file);
		code = lock_take(task, &file->lock);
		if (code == 0) {
			code = file_flush(task, file, &err);
			if (code == 0)
				code = file_commit(task, file, 0, &err);
			lock_drop(task, &file->lock);
		}
		file_unref(file);
		if (code != 0)
			return;
		goto again;
	}
}

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
			file_set_id(file, "");
			file->state = FILE_NEW;
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
		overlay_wait_end(task, id, NULL, &err);
}

/* Those that there are now, each referenced; the caller frees the list. */
static struct file **
files_list(struct fs *fs, size_t *len)
{
	struct file *file, **files;

	*len = 0;
	TAILQ_FOREACH (file, &fs->files, next)
		(*len)++;
	files = xcalloc(MAX(*len, 1), sizeof(struct file *));
	*len = 0;
	TAILQ_FOREACH (file, &fs->files, next)
		files[(*len)++] = file_ref(file);
	return files;
}

static void
files_check_run(struct task *task)
{
	struct file *file, **files;
	size_t len, i;

	files = files_list(task->fs, &len);
	for (i = 0; i < len; i++) {
		file = files[i];
		if (file->id[0] != '\0' && lock_take(task, &file->lock) == 0) {
			file_check_now(task, file);
			lock_drop(task, &file->lock);
			if (file->writers == 0)
				file_sweep(file);
		}
		file_unref(file);
	}
	free(files);
}

void
files_check(struct fs *fs)
{
	if (!TAILQ_EMPTY(&fs->files))
		task_spawn(fs, files_check_run, NULL);
}

/* Nobody edits it any more, so it need not settle.  After a short time it has anyway. */
static int
file_hasten(struct task *task, struct file *file, struct err *err)
{
	int code = 0;

	if (file->fs->settle_ms <= FILE_SETTLE_LONG_MS)
		return 0;
	if (file->state == FILE_COMMITTED && !file->frozen)
		code = file_try_hold(task, file, err);
	if (code == 0)
		code = file_commit(task, file, 0, err);
	return MIN(code, 0); /* 1: it runs */
}

int
files_flush_all(struct task *task, struct err *err)
{
	struct err why = ERR_INIT;
	struct file **files;
	size_t len, i;
	int code, first = 0;

	files = files_list(task->fs, &len);
	for (i = 0; i < len; i++) {
		code = lock_take(task, &files[i]->lock);
		if (code == 0) {
			code = file_flush(task, files[i], &why);
			if (code == 0 && !daemon_is_away(first))
				code = file_hasten(task, files[i], &why);
			lock_drop(task, &files[i]->lock);
		}
		file_unref(files[i]);
		if (code != 0 && first == 0) { /* one does not take the others along */
			first = code;
			*err = why;
		}
	}
	free(files);
	return first;
}

void
files_free(struct fs *fs)
{
	struct file *file;

	while ((file = TAILQ_FIRST(&fs->files)) != NULL)
		file_free(file);
}

/* -- reading */

int
file_read_content(
    struct task *task, struct file *file, void *out, size_t len, uint64_t offset, struct err *err)
{
	CLEANUP(extents_fini) struct extents now = {0};

	extents_assign(&now, &file->extents); /* it may change while we wait */
	return extents_read_content(task, &now, out, len, offset, err);
}
