#include "fs/file.h"
#include "fs/file_copy.h"
#include "fs/notify.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "fs/stream.h"
#include "src/clock.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>

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
	if (entry->size == 0 || entry->unsized)
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

void
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
	file->mtime_set = false;
}

/* -- what becomes of its change */

int64_t
file_arrived_mtime(const struct file *file, const struct change *change)
{
	return change->mtime_set || file->mtime_set || file_is_dirty(file) ? file->mtime_ns
									   : change->mtime_ns;
}

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
	entry.mtime_ns = file_arrived_mtime(file, change);
	if (entry.mtime_ns != file->mtime_ns)
		notify_inode(file->fs->notifier, node->ino);
	file->mtime_ns = entry.mtime_ns;
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

/* Somebody else has cancelled it. */
void
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

void
file_set_change(struct file *file, const char *id, enum file_state state)
{
	file_set_id(file, id);
	file->state = state;
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

/* -- changing */

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

/* -- reading */

int
file_read_content(
    struct task *task, struct file *file, void *out, size_t len, uint64_t offset, struct err *err)
{
	CLEANUP(extents_fini) struct extents now = {0}; /* it may change while we wait */
	uint64_t size = file_size(file);

	if (offset < size)
		extents_copy(&now, 0, &file->extents, offset, MIN(len, size - offset));
	return extents_read_content(task, &now, out, len, 0, err);
}
