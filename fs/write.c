/* Creating, writing, copying ranges, and what makes that durable. */
#include "fs/file_copy.h"
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/overlay.h"
#include "fs/pending.h"
#include "fs/remote.h"
#include "src/clock.h"
#include "src/log.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* -- create */

static int
create_node(struct task *task, struct node *dir, struct node **out, bool *existed, struct err *err)
{
	int code = lookup_check_name(dir, task->name, err);

	if (code != 0)
		return code;
	code = lookup_node(task, dir, task->name, out, err);
	*existed = code == 0;
	if (code == 0 &&
	    ((task->fi.flags & O_EXCL) != 0 || (*out)->kind != NODE_FILE ||
		node_is_document(*out))) {
		code = (*out)->kind != NODE_FILE     ? -EISDIR
		    : (task->fi.flags & O_EXCL) != 0 ? -EEXIST
						     : open_check_document(*out, err);
		node_unref(TAKE(*out));
		return code;
	}
	if (code != -ENOENT)
		return code;
	if (node_is_detached(dir))
		return err_set(err, -ENOENT, "the directory was removed");
	*out = node_new(dir, task->name, NODE_FILE, dir->remote);
	(*out)->entry.mode = task->mode & 0777;
	return 0;
}

static int
file_truncate_locked(struct task *task, struct file *file, struct err *err)
{
	int code = lock_take(task, &file->lock);

	if (code != 0)
		return code;
	code = file_begin_change(task, file, err);
	if (code == 0)
		code = file_truncate(task, file, 0, err);
	lock_drop(task, &file->lock);
	return code;
}

static void
create_run(struct task *task)
{
	struct node *dir = task_node(task, task->ino), *node = NULL;
	struct fuse_entry_param entry;
	struct err err = ERR_INIT;
	struct handle *handle;
	bool existed = false, had_file;
	int code;

	if (dir == NULL)
		return;
	node_ref(dir);
	code = task->fs->options.read_only ? -EROFS : create_node(task, dir, &node, &existed, &err);
	if (code == 0) {
		had_file = node->file != NULL;
		handle = handle_new(node, true, !existed || (task->fi.flags & O_TRUNC) != 0);
		if (had_file && (task->fi.flags & O_TRUNC) != 0)
			code = file_truncate_locked(task, handle->file, &err);
		if (code != 0)
			handle_free(handle);
	}
	if (code == 0) {
		task->fi.fh = (uint64_t)(uintptr_t)handle;
		node->was_opened = true;
		node->opened = node->content;
		node_entry_param(node, &entry);
		task_reply_create(task, &entry, &task->fi);
	} else {
		task_fail(task, task->name, code, &err);
	}
	node_unref(node);
	node_unref(dir);
}

void
op_create(
    fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, create_run);

	task->ino = parent;
	task->name = xstrdup(name);
	task->mode = mode;
	task->fi = *fi;
	task_start(task);
}

/* -- write */

/* Takes the lock of a file and makes it ours to change; on failure the lock is not held. */
static int
file_begin(struct task *task, struct file *file, struct err *err)
{
	int code = lock_take(task, &file->lock);

	if (code != 0)
		return code;
	code = file_begin_change(task, file, err);
	if (code != 0)
		lock_drop(task, &file->lock);
	return code;
}

static void
write_run(struct task *task)
{
	struct handle *handle = handle_of(&task->fi);
	struct file *file = handle->file;
	struct err err = ERR_INIT;
	size_t size = task->size;
	int code;

	if (file == NULL) {
		task_reply(task, -EBADF);
		return;
	}
	file_ref(file);
	code = file_begin(task, file, &err);
	if (code == 0) {
		code = file_write(task, file, TAKE(task->data), size, (uint64_t)task->offset, &err);
		lock_drop(task, &file->lock);
	}
	if (code == 0)
		task_reply_count(task, size);
	else
		task_fail(task, "write", code, &err);
	file_unref(file);
}

void
op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
    struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, write_run);

	task->ino = ino;
	task->data = xmemdup(buf, size);
	task->size = size;
	task->offset = offset;
	task->fi = *fi;
	task_start(task);
}

/* -- copy_file_range */

/* Said before anything is accepted: a copy that fails an hour later for want of room helps nobody.
   A directory's disk is left out: sparse files need less than their size. */
static bool
copy_is_over_quota(const struct remote *remote, uint64_t size)
{
	return remote->usage_known && remote->usage.total != 0 && remote->driver != NULL &&
	    remote->driver->transport != CLOUD_DISK && clock_mono_ms() - remote->usage_at < 60000 &&
	    size > remote->usage.available;
}

static int
copy_locked(struct task *task, struct file *to, struct node *from, size_t *len, struct err *err)
{
	const struct export *export = handle_of(&task->fi)->export;
	uint64_t size, start = (uint64_t)task->offset;

	int code = node_settled(task, from);

	if (code != 0)
		return code;
	lookup_refresh(
	    task, from); /* only now: it may have changed while we waited for the destination */
	if (export == NULL && node_is_document(from))
		return err_set(err, -ESTALE, "the source was a file when it was opened");
	size = export != NULL    ? export->size
	    : from->file != NULL ? file_size(from->file)
				 : from->entry.size;
	*len =
	    start >= size ? 0 : (size_t)MIN(MIN(size - start, (uint64_t)task->size), FS_COPY_MAX);
	if (*len == 0)
		return 0;
	if (copy_is_over_quota(to->node->remote, (uint64_t)task->offset2 + *len))
		return err_set(
		    err, -EDQUOT, "the account '%s' has no room for it", to->node->remote->name);
	if (export != NULL)
		return file_copy_source(
		    task, to, (uint64_t)task->offset2, export->source, start, *len, err);
	return file_copy(task, to, (uint64_t)task->offset2, from, start, *len, err);
}

static int
copy_ranges(struct task *task, struct file *to, struct node *from, size_t *len, struct err *err)
{
	int code = file_begin(task, to, err);

	if (code != 0)
		return code;
	code = copy_locked(task, to, from, len, err);
	lock_drop(task, &to->lock);
	return code;
}

static void
copy_run(struct task *task)
{
	struct handle *in = handle_of(&task->fi), *out = handle_of(&task->fi2);
	struct file *to = out->file;
	struct err err = ERR_INIT;
	size_t len = 0;
	int code;

	if (to == NULL) {
		task_reply(task, -EBADF);
		return;
	}
	if (task->flags != 0) {
		task_reply(task, -EINVAL);
		return;
	}
	file_ref(to);
	node_ref(in->node);
	code = copy_ranges(task, to, in->node, &len, &err);
	if (code == 0)
		task_reply_count(task, len);
	else
		task_fail(task, "copy", code, &err);
	node_unref(in->node);
	file_unref(to);
}

void
op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
    fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct task *task = task_new(fuse_req_userdata(req), req, copy_run);

	task->ino = in;
	task->offset = off_in;
	task->fi = *fi_in;
	task->ino2 = out;
	task->offset2 = off_out;
	task->fi2 = *fi_out;
	task->size = len;
	task->flags = (unsigned)flags;
	task_start(task);
}

/* -- durable */

static int
flush_file(struct task *task, struct file *file, bool cloud, struct err *err)
{
	int code = lock_take(task, &file->lock);

	if (code != 0)
		return code;
	code = file_flush(task, file, err);
	lock_drop(task, &file->lock);
	if (code == 0 && cloud)
		code = file_wait_cloud(task, file, err);
	return code;
}

static void
flush_run(struct task *task)
{
	struct handle *handle = handle_of(&task->fi);
	struct err err = ERR_INIT;
	struct file *file;
	int code;

	if (handle->file == NULL) {
		task_reply(task, 0);
		return;
	}
	file = file_ref(handle->file);
	code = flush_file(task, file, task->fs->options.sync, &err);
	task_fail(task, "close", code, &err);
	file_unref(file);
}

void
op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, flush_run);

	task->ino = ino;
	task->fi = *fi;
	task_start(task);
}

static void
fsync_run(struct task *task)
{
	struct node *node = task_node(task, task->ino);
	struct err err = ERR_INIT;
	struct file *file;
	int code;

	if (node == NULL)
		return;
	if (node->file == NULL) {
		task_reply(task, 0);
		return;
	}
	file = file_ref(node->file);
	code = flush_file(task, file, task->fs->options.fsync_cloud, &err);
	task_fail(task, "fsync", code, &err);
	file_unref(file);
}

void
op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, fsync_run);

	task->ino = ino;
	task_start(task);
}

void
op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_free(handle_of(fi));
	fuse_reply_err(req, 0);
}

/* -- attributes */

static int64_t
attr_mtime(const struct task *task)
{
	if ((task->flags & FUSE_SET_ATTR_MTIME_NOW) != 0)
		return clock_ns();
	return (int64_t)task->attr.st_mtim.tv_sec * 1000000000 + task->attr.st_mtim.tv_nsec;
}

/* Only what a cloud can keep of it; false: nothing, but programs must not fail for that. */
static bool
attr_is_kept(const struct task *task, const struct remote *remote)
{
	if (!remote_has(remote, CLOUD_CAN_SETATTR))
		return false;
	return ((task->flags & FUSE_SET_ATTR_MTIME) != 0 &&
		   remote_has(remote, CLOUD_KEEPS_MTIME)) ||
	    ((task->flags & FUSE_SET_ATTR_MODE) != 0 && remote_has(remote, CLOUD_KEEPS_MODE));
}

/* What the cloud has (or what runs and cannot be edited) gets them by a change of its own. */
static int
setattr_submit(struct task *task, struct node *node, struct err *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	json_t *body;
	int code = node_settled(task, node);

	if (code != 0)
		return code;
	path = node_path(node);
	if (attr_is_kept(task, node->remote) && path[0] != '\0') {
		code = files_flush_readers(task, node->remote->id, path, NULL, err);
		if (code != 0)
			return code;
		body = change_body("setattr", node->remote, path);
		if ((task->flags & FUSE_SET_ATTR_MTIME) != 0)
			json_object_set_new(body, "mtimeNs", json_integer(attr_mtime(task)));
		if ((task->flags & FUSE_SET_ATTR_MODE) != 0)
			json_object_set_new(body, "mode", json_integer(task->attr.st_mode & 0777));
		code = change_submit(task, "/api/changes", body, NULL, err);
	}
	if (code != 0)
		return code;
	if ((task->flags & FUSE_SET_ATTR_MTIME) != 0)
		node->entry.mtime_ns = attr_mtime(task);
	if ((task->flags & FUSE_SET_ATTR_MODE) != 0)
		node->entry.mode = task->attr.st_mode & 0777;
	if (node->file != NULL && (task->flags & FUSE_SET_ATTR_MTIME) != 0) {
		node->file->mtime_ns = node->entry.mtime_ns;
		node->file->mtime_set = true;
	}
	if (node->file != NULL && (task->flags & FUSE_SET_ATTR_MODE) != 0)
		node->file->mode = node->entry.mode;
	if (node->file != NULL && attr_is_kept(task, node->remote))
		file_unpin_base(node->file);
	if (node->file == NULL && node->parent != NULL)
		listing_fold(node->parent, node->name, &node->entry);
	return 0;
}

/* In place, in the pending write.  1: it cannot be edited any more. */
static int
setattr_edit(struct task *task, struct file *file, struct err *err)
{
	bool size = (task->flags & FUSE_SET_ATTR_SIZE) != 0;
	int code;

	if (!size &&
	    (file->state == FILE_MOVING || (file->state == FILE_COMMITTED && file->frozen)))
		return 1;
	if (!size && file->state == FILE_NEW && !file_is_dirty(file))
		return 1;
	if (!size && file->state == FILE_COMMITTED) {
		code = file_try_hold(task, file, err);
		if (code != 0)
			return code;
	}
	code = file_begin_change(task, file, err);
	if (code == 0 && size)
		code = file_truncate(task, file, (uint64_t)task->attr.st_size, err);
	if (code != 0)
		return code;
	file->changes++; /* and not file_changed(): a mode is no reason for another time */
	if ((task->flags & FUSE_SET_ATTR_MTIME) != 0) {
		file->mtime_ns = attr_mtime(task);
		file->mtime_set = !size; /* truncate() tells the time as well */
	}
	if ((task->flags & FUSE_SET_ATTR_MODE) != 0)
		file->mode = task->attr.st_mode & 0777;
	/* Durable before it is answered, also while somebody writes.  Only a size waits for the
	 * FLUSH of who has it open, as what is written does. */
	if (file->writers == 0 || (task->flags & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MODE)) != 0)
		code = file_flush(task, file, err);
	return code;
}

static int
setattr_file(struct task *task, struct node *node, struct err *err)
{
	struct file *file;
	int code;

	if (node->file == NULL && (task->flags & FUSE_SET_ATTR_SIZE) == 0)
		return setattr_submit(task, node, err);
	code = open_check_document(node, err);
	if (code != 0)
		return code;
	file = file_ref(node->file != NULL ? node->file : file_new(node, false));
	code = lock_take(task, &file->lock);
	if (code == 0) {
		code = node_settled(task, node);
		if (code == 0)
			code = setattr_edit(task, file, err);
		lock_drop(task, &file->lock);
		if (code == 1)
			code = setattr_submit(task, node, err);
		else if (file->writers == 0)
			file_sweep(file);
	}
	file_unref(file);
	return code;
}

static void
setattr_run(struct task *task)
{
	struct node *node = task_node(task, task->ino);
	struct err err = ERR_INIT;
	struct stat st;
	int code = 0;

	if (node == NULL)
		return;
	node_ref(node);
	if (task->fs->options.read_only)
		code = -EROFS;
	else if (node->remote == NULL)
		code = -EPERM;
	else if ((task->flags & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MODE)) ==
	    0)
		code = 0; /* owners and access times are not kept */
	else if (node->kind == NODE_FILE)
		code = setattr_file(task, node, &err);
	else if (!node_is_detached(node))
		code = setattr_submit(task, node, &err);
	if (code == 0) {
		node_stat(node, &st);
		task_reply_attr(task, &st, node_attr_timeout(node));
	} else {
		task_fail(task, node->name == NULL ? "/" : node->name, code, &err);
	}
	node_unref(node);
}

void
op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, setattr_run);

	task->ino = ino;
	task->attr = *attr;
	task->flags = (unsigned)to_set;
	task_start(task);
}

void
op_fallocate(
    fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
	fuse_reply_err(req, EOPNOTSUPP);
}
