/* Opening and reading. */
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/pending.h"
#include "fs/remote.h"
#include "src/log.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define READ_PIECES 16 /* of one answer that comes straight from the stream's buffers */
#define READ_TRIES  8 /* what was read is replaced by what it became: look again */

struct handle *
handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

struct handle *
handle_new(struct node *node, bool writing, bool truncate)
{
	struct handle *handle = xcalloc(1, sizeof(*handle));

	handle->node = node_ref(node);
	node->fs->handles++;
	if (!writing)
		return handle;
	if (node->file != NULL)
		handle->file = file_ref(node->file);
	else
		handle->file = file_ref(file_new(node, truncate));
	handle->file->writers++;
	return handle;
}

void
handle_free(struct handle *handle)
{
	struct file *file = handle->file;

	if (file != NULL) {
		file->writers--;
		if (file->writers == 0)
			file_sweep(file);
		file_unref(file);
	}
	stream_unref(handle->stream);
	source_unref(handle->source);
	export_unref(handle->node, handle->export);
	handle->node->fs->handles--;
	if (handle->node->file != NULL)
		file_settle(handle->node->file);
	node_unref(handle->node);
	free(handle);
}

/* Are the kernel's pages of it still good? */
static bool
open_keeps_cache(struct node *node)
{
	bool keep = node->was_opened && node->opened == node->content;

	node->was_opened = true;
	node->opened = node->content;
	return keep;
}

static int
open_truncate(struct task *task, struct handle *handle, struct err *err)
{
	struct file *file = handle->file;
	int code = lock_take(task, &file->lock);

	if (code != 0)
		return code;
	code = file_begin_change(task, file, err);
	if (code == 0)
		code = file_truncate(task, file, 0, err);
	lock_drop(task, &file->lock);
	return code;
}

int
open_check_document(const struct node *node, struct err *err)
{
	if (!node_is_document(node))
		return 0;
	return err_set(err, -EACCES,
	    "'%s' is a document, which is read here as it is exported: it can be renamed and "
	    "removed, and written with its own editor only",
	    node->name == NULL ? "" : node->name);
}

/* No pages are kept of a document: the next export is other bytes. */
static int
open_export(struct task *task, struct handle *handle, struct err *err)
{
	task->fi.direct_io = 1;
	return export_open(task, handle->node, &handle->export, err);
}

static void
open_run(struct task *task)
{
	struct node *node = task_node(task, task->ino);
	bool writing, truncate, had_file;
	struct err err = ERR_INIT;
	struct handle *handle;
	int code = 0;

	if (node == NULL)
		return;
	if (node->kind != NODE_FILE) {
		task_reply(task, -EISDIR);
		return;
	}
	writing = (task->fi.flags & O_ACCMODE) != O_RDONLY;
	truncate = (task->fi.flags & O_TRUNC) != 0;
	if ((writing || truncate) && task->fs->options.read_only) {
		task_reply(task, -EROFS);
		return;
	}
	node_ref(node);
	lookup_refresh(task, node);
	had_file = node->file != NULL;
	if (writing || truncate)
		code = open_check_document(node, &err);
	if (code != 0) {
		task_fail(task, "open", code, &err);
		node_unref(node);
		return;
	}
	handle = handle_new(node, writing || truncate, truncate);
	if (truncate && had_file)
		code = open_truncate(task, handle, &err);
	else if (node_is_document(node))
		code = open_export(task, handle, &err);
	if (code != 0) {
		handle_free(handle);
		task_fail(task, "open", code, &err);
	} else {
		task->fi.fh = (uint64_t)(uintptr_t)handle;
		task->fi.keep_cache = open_keeps_cache(node);
		task_reply_open(task, &task->fi);
	}
	node_unref(node);
}

void
op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, open_run);

	task->ino = ino;
	task->fi = *fi;
	task_start(task);
}

/* The content of a node without a file, as a source; kept by the handle, because an unlinked node
 * has no path. */
static void
handle_look(struct handle *handle)
{
	const struct node *node = handle->node;
	CLEANUP(cleanup_free) char *path = NULL;
	const struct source *have = handle->source;

	if (node_is_detached(node) && have != NULL)
		return;
	path = node_path(node);
	if (have != NULL && handle->source_size == node->entry.size &&
	    source_is_at(have, node->remote->id, path) &&
	    ((have->version == NULL) == (node->entry.version == NULL)) &&
	    (have->version == NULL || strcmp(have->version, node->entry.version) == 0))
		return;
	source_unref(handle->source);
	handle->source_size = node->entry.size;
	handle->source =
	    source_entry(node->remote->id, path, node->entry.version, node->entry.size);
}

static struct stream *
handle_stream(struct handle *handle, struct source *source)
{
	uint64_t size = source->size;

	if (handle->stream != NULL && stream_is_of(handle->stream, source))
		return handle->stream;
	stream_unref(handle->stream);
	handle->stream = stream_new(handle->node->fs, source, size);
	return handle->stream;
}

/* All from one object of a cloud: answered from the buffers it came into. */
static int
read_entry(struct task *task, struct handle *handle, struct source *source, uint64_t from,
    size_t len, struct err *err)
{
	struct stream *stream = stream_ref(handle_stream(handle, source));
	struct iovec iov[READ_PIECES];
	int count;
	ssize_t n;

	n = stream_read(task, stream, from, len, iov, &count, READ_PIECES, err);
	if (n == (ssize_t)len)
		task_reply_iov(task, iov, count);
	else if (n >= 0) /* short would mean the end of the file */
		n = err_set(err, -EIO, "a read of too many pieces");
	stream_unref(stream);
	return n < 0 ? (int)n : 0;
}

static bool
read_is_one_entry(const struct extent *extent, uint64_t offset, size_t len)
{
	return extent != NULL && extent->source != NULL && extent->source->spool == NULL &&
	    extent->source->version != NULL && extent->source->size != UINT64_MAX &&
	    offset + len <= extent->offset + extent->length;
}

static int
read_file(struct task *task, struct handle *handle, uint64_t offset, size_t len, struct err *err)
{
	struct file *file = file_ref(handle->node->file);
	const struct extent *extent = extents_at(&file->extents, offset);
	struct source *source;
	char *buf;
	int code;

	if (read_is_one_entry(extent, offset, len)) {
		source = source_ref(extent->source);
		code = read_entry(
		    task, handle, source, extent->from + (offset - extent->offset), len, err);
		source_unref(source);
	} else {
		buf = xmalloc(len);
		code = file_read_content(task, file, buf, len, offset, err);
		if (code == 0)
			task_reply_buf(task, buf, len);
		free(buf);
	}
	file_unref(file);
	return code;
}

/* What was to be read is not there (any more) as we knew it.  True: look again. */
static bool
read_is_outdated(struct task *task, struct node *node, int code)
{
	struct node *found = NULL;
	uint64_t content = node->content;
	struct err err = ERR_INIT;
	struct file *file;

	if (code != -ENOENT && code != -ESTALE)
		return false;
	if (node->file != NULL) {
		file = file_ref(node->file);
		file_wait_arrival(task, file);
		file_unref(file);
		return true;
	}
	if (node->parent == NULL)
		return false;
	listing_expire_name(node->parent, node->name);
	if (lookup_node(task, node->parent, node->name, &found, &err) != 0)
		return false;
	node_unref(found);
	/* Another content: who has it open must not get a mixture.  The same, under another
	 * version: on. */
	return found == node && (node->content != content || node->file != NULL);
}

static void
read_export(struct task *task, const struct export *export)
{
	struct source *source = source_ref(export->source);
	uint64_t offset = (uint64_t)task->offset;
	size_t len =
	    offset >= export->size ? 0 : (size_t)MIN(export->size - offset, (uint64_t)task->size);
	struct err err = ERR_INIT;
	char *buf = xmalloc(MAX(len, (size_t)1));
	int code = len > 0 ? source_read(task, source, buf, len, offset, &err) : 0;

	if (code == 0)
		task_reply_buf(task, buf, len);
	else
		task_fail(task, "read", code, &err);
	free(buf);
	source_unref(source);
}

static void
read_run(struct task *task)
{
	struct handle *handle = handle_of(&task->fi);
	struct node *node = node_ref(handle->node);
	struct source *source;
	struct err err = ERR_INIT;
	uint64_t size, offset = (uint64_t)task->offset;
	int64_t mtime_ns = node->entry.mtime_ns;
	size_t len;
	int code, tries;

	if (handle->export != NULL || node_is_document(node)) {
		if (handle->export != NULL)
			read_export(task, handle->export);
		else /* it was a file when it was opened */
			task_fail(task, "read", -ESTALE, NULL);
		node_unref(node);
		return;
	}
	for (tries = 0;; tries++) {
		handle_look(handle);
		size = node->file != NULL ? file_size(node->file) : handle->source_size;
		len = offset >= size ? 0 : (size_t)MIN(size - offset, (uint64_t)task->size);
		if (len == 0) {
			task_reply_buf(task, NULL, 0);
			break;
		}
		if (node->file != NULL) {
			code = read_file(task, handle, offset, len, &err);
		} else {
			source = source_ref(handle->source);
			code = read_entry(task, handle, source, offset, len, &err);
			source_unref(source);
		}
		if (code == 0)
			break;
		if (tries + 1 == READ_TRIES || !read_is_outdated(task, node, code) ||
		    (node->file == NULL &&
			(node->entry.size != size || node->entry.mtime_ns != mtime_ns))) {
			task_fail(task, node->name == NULL ? "read" : node->name,
			    code == -ENOENT ? -ESTALE : code, &err);
			break;
		}
	}
	node_unref(node);
}

void
op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, read_run);

	task->ino = ino;
	task->size = size;
	task->offset = offset;
	task->fi = *fi;
	task_start(task);
}
