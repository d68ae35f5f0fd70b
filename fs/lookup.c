/* Names and attributes: what a name is, from our own files, pending changes, and the cloud, in this
 * order. */
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/outcome.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/path.h"
#include <string.h>

#define LOOKUP_TRIES 3 /* a change that ends while it is looked at: look again */
#define STATFS_MS    60000 /* how long a cloud's usage is good */
#define STATFS_BLOCK 4096
#define STATFS_UNKNOWN                                                                             \
	(1ull << 50) /* bytes shown where the cloud does not say: file managers refuse to copy to  \
			0 */

struct node *
task_node(struct task *task, uint64_t ino)
{
	struct node *node = node_by_ino(task->fs, ino);

	if (node == NULL)
		task_reply(task, -ESTALE);
	return node;
}

void
task_fail(struct task *task, const char *what, int code, const struct err *err)
{
	if (code != -EINTR && code != -ENOENT && code != -EEXIST && code != -ENOTEMPTY &&
	    code != -EOPNOTSUPP && code != -EXDEV && err != NULL && err->msg[0] != '\0')
		log_warning("%s: %s", what, err->msg);
	task_reply(task, code);
}

int
lookup_check_name(const struct node *dir, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *path = node_path(dir);
	json_t *json;

	if (!node_is_writable_directory(dir))
		return err_set(err, -EPERM, "the top of the mount has only accounts");
	if (node_is_detached(dir))
		return err_set(err, -ENOENT, "the directory was removed");
	if (strlen(name) > PATH_COMPONENT_MAX || strlen(path) + 1 + strlen(name) > PATH_BYTES_MAX)
		return err_set(err, -ENAMETOOLONG, "the name is too long");
	json = json_string(name);
	json_decref(json);
	if (json == NULL)
		return err_set(err, -EILSEQ, "a name must be UTF-8");
	if (dir->remote->driver != NULL && dir->remote->driver->transport == CLOUD_DISK &&
	    strncmp(name, DISK_TEMP_PREFIX, strlen(DISK_TEMP_PREFIX)) == 0)
		return err_set(err, -EPERM,
		    "names that begin with " DISK_TEMP_PREFIX " are kept for unfinished copies");
	return 0;
}

struct node *
lookup_known(struct node *dir, const char *name, enum node_kind kind, const struct entry *entry)
{
	struct node *node = node_child(dir, name);

	if (node != NULL && node->kind != kind) {
		node_detach(node);
		node = NULL;
	}
	if (node != NULL)
		node_ref(node);
	else
		node = node_new(dir, name, kind, dir->remote);
	if (entry != NULL && node->file == NULL)
		node_set_entry(node, entry);
	return node;
}

static int
lookup_account(struct node *root, const char *name, struct node **out)
{
	struct remote *remote = remote_by_name(root->fs->remotes, name);
	struct node *node;

	if (remote == NULL)
		return -ENOENT;
	node = node_child(root, name);
	if (node != NULL && node->remote != remote) {
		node_detach(node);
		node = NULL;
	}
	*out = node != NULL ? node_ref(node) : node_new(root, name, NODE_DIRECTORY, remote);
	return 0;
}

/* A file that a pending change will make. */
static int
lookup_pending(struct task *task, struct node *dir, const char *name, struct view *view,
    struct node **out, struct err *err)
{
	CLEANUP(extents_fini) struct extents extents = {0};
	struct change *change = change_copy(view->change);
	int64_t mtime_ns = ENTRY_NO_TIME;
	struct file *file;
	int code;

	code = outcome_content(task, view, &extents, &mtime_ns, err);
	if (code == 0 && node_is_detached(dir))
		code = -ENOENT;
	/* Another lookup has taken it up, and it may have been renamed since. */
	file = files_by_change(task->fs, change->id);
	if (code == 0 && file != NULL && file->node != node_child(dir, name))
		code = -EALREADY;
	if (code == 0) {
		*out = lookup_known(dir, name, NODE_FILE, NULL);
		if ((*out)->file == NULL && file == NULL) {
			file = file_adopt(*out, change->id, &extents, mtime_ns, true);
			file->mtime_set = change->mtime_set;
			if (change->mode != 0)
				file->mode = change->mode;
			if (change->state == CHANGE_FAILED)
				file->state = FILE_FAILED;
		}
	}
	change_free(change);
	return code;
}

static int
lookup_cloud(struct task *task, struct node *dir, const char *name,
    const struct overlay_name *above, struct node **out, struct err *err)
{
	int64_t mtime_ns = above->mtime_ns;
	unsigned mode = above->mode;
	struct entry entry;
	int code;

	entry_init(&entry);
	code = listing_lookup(task, dir, name, &entry, err);
	if (code == 0 && node_is_detached(dir))
		code = -ENOENT;
	if (code == 0) {
		if (mtime_ns != ENTRY_NO_TIME)
			entry.mtime_ns = mtime_ns;
		if (mode != 0)
			entry.mode = mode;
		*out = lookup_known(
		    dir, name, entry.kind == ENTRY_FILE ? NODE_FILE : NODE_DIRECTORY, &entry);
	}
	entry_fini(&entry);
	return code;
}

static int
lookup_try(
    struct task *task, struct node *dir, const char *name, struct node **out, struct err *err)
{
	CLEANUP(cleanup_free) char *parent = node_path(dir), *path = path_child(parent, name);
	struct overlay_name above;
	struct node *node;
	int code;

	overlay_load(task, dir->remote, parent);
	node = node_child(dir, name);
	if (node != NULL && node->file != NULL) {
		*out = node_ref(node);
		return 0;
	}
	overlay_at(task->fs->overlay, dir->remote, path, &above);
	switch (above.kind) {
	case OVERLAY_GONE: code = -ENOENT; break;
	case OVERLAY_DIRECTORY: *out = lookup_known(dir, name, NODE_DIRECTORY, NULL); return 0;
	case OVERLAY_FILE: code = lookup_pending(task, dir, name, above.view, out, err); break;
	default: code = lookup_cloud(task, dir, name, &above, out, err); break;
	}
	node = node_child(dir, name);
	if (code != -ENOENT || node == NULL || node->file != NULL)
		return code;
	if (node->kind == NODE_DIRECTORY && files_beneath(node)) { /* they bring it back */
		*out = node_ref(node);
		return 0;
	}
	node_detach(node);
	return code;
}

int
lookup_node(
    struct task *task, struct node *dir, const char *name, struct node **out, struct err *err)
{
	CLEANUP(cleanup_free)
	char *copy = xstrdup(name); /* a node's own changes when it is renamed */
	int code = -EALREADY, tries;

	if (dir->kind == NODE_ROOT)
		return lookup_account(dir, name, out);
	if (dir->kind != NODE_DIRECTORY)
		return -ENOTDIR;
	if (strlen(name) > PATH_COMPONENT_MAX)
		return -ENAMETOOLONG;
	node_ref(dir);
	for (tries = 0; code == -EALREADY && tries < LOOKUP_TRIES; tries++)
		code = node_is_detached(dir) || dir->remote->removed
		    ? -ENOENT
		    : lookup_try(task, dir, copy, out, err);
	node_unref(dir);
	return code;
}

void
lookup_refresh(struct task *task, struct node *node)
{
	struct err err = ERR_INIT;
	struct node *found = NULL;

	if (node->file == NULL && node->parent != NULL)
		lookup_node(task, node->parent, node->name, &found, &err);
	node_unref(found);
}

int
lookup_beneath(struct task *task, struct node *dir, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *parent = node_path(dir), *path = path_child(parent, name);
	struct overlay_name above;
	struct entry entry;
	int code;

	overlay_load(task, dir->remote, parent);
	overlay_at(task->fs->overlay, dir->remote, path, &above);
	if (above.kind == OVERLAY_GONE)
		return -ENOENT;
	if (above.kind != OVERLAY_NONE)
		return 0;
	entry_init(&entry);
	code = listing_lookup(task, dir, path_name(path), &entry, err);
	entry_fini(&entry);
	return code;
}

static void
lookup_run(struct task *task)
{
	struct node *dir = task_node(task, task->ino), *node;
	struct fuse_entry_param entry = {.entry_timeout = FS_KERNEL_MS / 1000.0};
	struct err err = ERR_INIT;
	int code;

	if (dir == NULL)
		return;
	code = lookup_node(task, dir, task->name, &node, &err);
	if (code == -ENOENT) {
		task_reply_entry(task, &entry); /* remembered by the kernel, too */
		return;
	}
	if (code != 0) {
		task_fail(task, task->name, code, &err);
		return;
	}
	node_entry_param(node, &entry);
	task_reply_entry(task, &entry);
	node_unref(node);
}

void
op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct task *task = task_new(fuse_req_userdata(req), req, lookup_run);

	task->ino = parent;
	task->name = xstrdup(name);
	task_start(task);
}

static void
forget_one(struct fs *fs, uint64_t ino, uint64_t lookups)
{
	struct node *node = node_by_ino(fs, ino);

	if (node == NULL)
		return;
	node_ref(node);
	node_forget(node, lookups);
	if (node->file != NULL)
		file_settle(node->file);
	node_unref(node);
}

void
op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	forget_one(fuse_req_userdata(req), ino, lookups);
	fuse_reply_none(req);
}

void
op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	size_t i;

	for (i = 0; i < count; i++)
		forget_one(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void
getattr_run(struct task *task)
{
	struct node *node = task_node(task, task->ino), *found = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	int code = 0;

	if (node == NULL)
		return;
	node_ref(node);
	if (node->kind != NODE_ROOT && node->parent != NULL && node->parent->kind != NODE_ROOT &&
	    node->file == NULL)
		code = lookup_node(task, node->parent, node->name, &found, &err);
	if (code == 0 && found != NULL && found != node && !node_is_detached(node))
		code = -ESTALE;
	if (code == -ENOENT && node_is_detached(node))
		code = 0; /* open, and its name is gone */
	if (code == 0) {
		node_stat(node, &st);
		task_reply_attr(task, &st, node_attr_timeout(node));
	} else {
		task_fail(task, node->name, code, &err);
	}
	node_unref(found);
	node_unref(node);
}

void
op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task *task = task_new(fuse_req_userdata(req), req, getattr_run);

	task->ino = ino;
	task_start(task);
}

static void
usage_ask(struct task *task)
{
	struct remote *remote = task->arg;
	struct err err = ERR_INIT;
	struct cloud_op *op;

	if (remote_op(task, remote, CLOUD_USAGE, "", &op, &err) == 0) {
		remote->usage = op->usage;
		remote->usage_known = true;
		cloud_op_free(op);
	}
	remote->usage_at = clock_mono_ms();
	remote->usage_asking = false;
	waitq_wake(remote->opening);
}

/* The first answer is waited for; a later one is fetched while the old one is given. */
static int
usage_load(struct task *task, struct remote *remote)
{
	int code = 0;

	if (remote->usage_at != 0 && clock_mono_ms() - remote->usage_at < STATFS_MS)
		return 0;
	if (!remote->usage_asking) {
		remote->usage_asking = true;
		task_spawn(task->fs, usage_ask, remote);
	}
	while (remote->usage_asking && remote->usage_at == 0 && code == 0)
		code = waitq_wait(task, remote->opening, task_deadline(FS_CLOUD_MS));
	return code;
}

static void
statfs_run(struct task *task)
{
	struct node *node = task_node(task, task->ino);
	struct disk_usage usage = {STATFS_UNKNOWN, 0, STATFS_UNKNOWN};
	struct statvfs st = {.f_bsize = STATFS_BLOCK, .f_frsize = STATFS_BLOCK};
	int code = 0;

	if (node == NULL)
		return;
	if (node->remote != NULL) {
		code = usage_load(task, node->remote);
		if (node->remote->usage_known && node->remote->usage.total != 0)
			usage = node->remote->usage;
	}
	if (code != 0) {
		task_reply(task, code);
		return;
	}
	st.f_blocks = usage.total / STATFS_BLOCK;
	st.f_bfree = (usage.total - MIN(usage.used, usage.total)) / STATFS_BLOCK;
	st.f_bavail = usage.available / STATFS_BLOCK;
	st.f_files = st.f_ffree = st.f_favail = 1u << 30; /* no cloud counts them */
	st.f_namemax = PATH_COMPONENT_MAX;
	fuse_reply_statfs(TAKE(task->req), &st);
}

void
op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct task *task = task_new(fuse_req_userdata(req), req, statfs_run);

	task->ino = ino;
	task_start(task);
}
