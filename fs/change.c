/* Making and removing names: each a durable change, visible at once. */
#include "fs/daemon.h"
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/overlay.h"
#include "fs/pending.h"
#include "fs/remote.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int
change_submit(struct task *task, const char *url, json_t *body, char id_out[37], struct err *err)
{
	CLEANUP(cleanup_free) char *id = daemon_uuid();
	json_t *answer = NULL;
	int code;

	json_object_set_new(body, "id", json_string(id)); /* a repetition does no harm */
	if (id_out != NULL)
		snprintf(id_out, 37, "%s", id);
	overlay_hold(task->fs->overlay, id);
	code = task_call(task, &answer, "POST", url, body, err);
	if (code == 0)
		overlay_submitted(task->fs->overlay, answer);
	overlay_release(task->fs->overlay, id);
	json_decref(answer);
	return code;
}

json_t *
change_body(const char *kind, const struct remote *remote, const char *path)
{
	return json_pack("{s:s, s:s, s:s}", "kind", kind, "accountId", remote->id, "path", path);
}

static int
change_submit_path(
    struct task *task, const char *kind, struct node *dir, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *parent = NULL, *path = NULL;
	int code = node_settled(task, dir);

	if (code != 0)
		return code;
	parent = node_path(dir);
	path = path_child(parent, name);
	return change_submit(task, "/api/changes", change_body(kind, dir->remote, path), NULL, err);
}

/* -- mkdir */

static int
mkdir_make(struct task *task, struct node *dir, struct node **out, struct err *err)
{
	struct node *node;
	int code = lookup_check_name(dir, task->name, err);

	if (code != 0)
		return code;
	code = lookup_node(task, dir, task->name, &node, err);
	if (code == 0) {
		node_unref(node);
		return -EEXIST;
	}
	if (code != -ENOENT)
		return code;
	code = change_submit_path(task, "mkdir", dir, task->name, err);
	if (code != 0)
		return code;
	*out = lookup_known(dir, task->name, NODE_DIRECTORY, NULL);
	listing_set_empty(*out);
	return 0;
}

static void
mkdir_run(struct task *task)
{
	struct node *dir = task_node(task, task->ino), *node = NULL;
	struct fuse_entry_param entry;
	struct err err = ERR_INIT;
	int code;

	if (dir == NULL)
		return;
	node_ref(dir);
	code = task->fs->options.read_only ? -EROFS : mkdir_make(task, dir, &node, &err);
	if (code == 0) {
		node_entry_param(node, &entry);
		task_reply_entry(task, &entry);
	} else {
		task_fail(task, task->name, code, &err);
	}
	node_unref(node);
	node_unref(dir);
}

void
op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct task *task = task_new(fuse_req_userdata(req), req, mkdir_run);

	task->ino = parent;
	task->name = xstrdup(name);
	task->mode = mode;
	task_start(task);
}

/* -- unlink, rmdir */

/* What is pending for the file is taken back; what the cloud has (or may get) is removed. */
static int
unlink_node(struct task *task, struct node *dir, struct node *node, struct err *err)
{
	CLEANUP(cleanup_free) char *path = NULL;
	struct file *file = node->file == NULL ? NULL : file_ref(node->file);
	bool running = file == NULL, locked = false;
	int code = node_settled(task, dir);

	path = node_path(node);
	/* What has copied from it must get its place before the removal. */
	if (code == 0)
		code = files_flush_readers(task, node->remote->id, path, file, err);
	/* Locked until the name is gone: a sweep behind the removal would bring it back. */
	if (code == 0 && file != NULL) {
		code = lock_take(task, &file->lock);
		locked = code == 0;
	}
	if (locked)
		code = file_discard(task, file, &running, err);
	if (code == 0 && !running) {
		code = lookup_beneath(task, dir, node->name, err);
		running = code == 0;
		if (code == -ENOENT)
			code = 0;
	}
	if (code == 0 && running)
		code = change_submit_path(task, "remove", dir, node->name, err);
	if (code == 0)
		node_detach(node);
	if (locked)
		lock_drop(task, &file->lock);
	file_unref(file);
	return code;
}

static int
rmdir_node(struct task *task, struct node *dir, struct node *node, struct err *err)
{
	int code = dir_has_names(task, node, err);

	if (code != 0)
		return code < 0 ? code : -ENOTEMPTY;
	code = change_submit_path(task, "rmdir", dir, node->name, err);
	if (code == 0)
		node_detach(node);
	return code;
}

static void
remove_run(struct task *task)
{
	struct node *dir = task_node(task, task->ino), *node = NULL;
	bool directory = task->flags != 0;
	struct err err = ERR_INIT;
	int code;

	if (dir == NULL)
		return;
	node_ref(dir);
	if (task->fs->options.read_only)
		code = -EROFS;
	else if (!node_is_writable_directory(dir))
		code = -EPERM; /* accounts are removed with `skyferry account remove` */
	else
		code = lookup_node(task, dir, task->name, &node, &err);
	if (code == 0 && directory != node_is_directory(node))
		code = directory ? -ENOTDIR : -EISDIR;
	if (code == 0)
		code = directory ? rmdir_node(task, dir, node, &err)
				 : unlink_node(task, dir, node, &err);
	task_fail(task, task->name, code, &err);
	node_unref(node);
	node_unref(dir);
}

static void
remove_start(fuse_req_t req, fuse_ino_t parent, const char *name, bool directory)
{
	struct task *task = task_new(fuse_req_userdata(req), req, remove_run);

	task->ino = parent;
	task->name = xstrdup(name);
	task->flags = directory;
	task_start(task);
}

void
op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_start(req, parent, name, false);
}

void
op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_start(req, parent, name, true);
}

/* -- what no cloud has */

void
op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	fuse_reply_err(req, S_ISREG(mode) ? EOPNOTSUPP : EPERM); /* files are made by CREATE */
}

void
op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

void
op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}
