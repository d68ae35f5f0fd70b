/* Lists of directories: what the cloud has, with pending changes and our own files on top. */
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "src/path.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct dir_name {
	char *name;
	enum node_kind kind;
	struct entry *entry; /* what the cloud has; NULL: only pending */
};

/* A list as it was when the reading began: it does not change while names are removed from the
 * directory. */
struct dir_list {
	struct dir_name *items;
	size_t len, cap;
	struct table by_name; /* -> index + 1 */
	bool loaded;
};

static void
dir_list_clear(struct dir_list *list)
{
	size_t i;

	for (i = 0; i < list->len; i++) {
		free(list->items[i].name);
		if (list->items[i].entry != NULL)
			entry_fini(list->items[i].entry);
		free(list->items[i].entry);
	}
	free(list->items);
	table_fini(&list->by_name, NULL);
	*list = (struct dir_list){0};
}

static void
dir_list_set(
    struct dir_list *list, const char *name, enum node_kind kind, const struct entry *entry)
{
	size_t at = (size_t)(uintptr_t)table_get(&list->by_name, name);
	struct dir_name *item;

	if (at == 0) {
		if (list->len == list->cap) {
			list->cap = MAX(list->cap * 2, 64);
			list->items = xrealloc(list->items, list->cap, sizeof(*list->items));
		}
		list->items[list->len++] = (struct dir_name){.name = xstrdup(name)};
		at = list->len;
		table_put(&list->by_name, name, (void *)(uintptr_t)at);
	}
	item = &list->items[at - 1];
	item->kind = kind;
	if (item->entry != NULL)
		entry_fini(item->entry);
	free(TAKE(item->entry));
	if (entry != NULL) {
		item->entry = xcalloc(1, sizeof(*item->entry));
		entry_init(item->entry);
		entry_copy(item->entry, entry);
	}
}

static void
dir_list_hide(struct dir_list *list, const char *name)
{
	size_t at = (size_t)(uintptr_t)table_remove(&list->by_name, name);

	if (at != 0)
		free(TAKE(list->items[at - 1].name)); /* skipped when it is read */
}

static void
dir_add_listed(void *arg, const char *name, const struct entry *entry)
{
	dir_list_set(arg, name, entry->kind == ENTRY_FILE ? NODE_FILE : NODE_DIRECTORY, entry);
}

static void
dir_add_overlay(void *arg, const char *name, const struct overlay_name *above)
{
	switch (above->kind) {
	case OVERLAY_NONE: break;
	case OVERLAY_GONE: dir_list_hide(arg, name); break;
	case OVERLAY_FILE: dir_list_set(arg, name, NODE_FILE, NULL); break;
	case OVERLAY_DIRECTORY: dir_list_set(arg, name, NODE_DIRECTORY, NULL); break;
	}
}

static void
dir_add_accounts(struct dir_list *list, struct fs *fs)
{
	struct remote *remote;
	size_t i;

	for (i = 0; (remote = remote_at(fs->remotes, i)) != NULL; i++) {
		if (!remote->removed)
			dir_list_set(list, remote->name, NODE_DIRECTORY, NULL);
	}
}

static int
dir_list_load(struct task *task, struct node *dir, struct dir_list *list, struct err *err)
{
	CLEANUP(cleanup_free) char *path = node_path(dir);
	struct node *node;
	int code;

	dir_list_clear(list);
	list->loaded = true;
	if (dir->kind == NODE_ROOT) {
		dir_add_accounts(list, task->fs);
		return 0;
	}
	if (node_is_detached(dir))
		return 0;
	overlay_load(task, dir->remote, path);
	code = listing_load(task, dir, err);
	if (code != 0) {
		list->loaded = false;
		return code;
	}
	listing_each(dir, dir_add_listed, list);
	overlay_each(task->fs->overlay, dir->remote, path, dir_add_overlay, list);
	LIST_FOREACH (node, &dir->written, written_next)
		dir_list_set(list, node->name, NODE_FILE, NULL);
	return 0;
}

int
dir_has_names(struct task *task, struct node *dir, struct err *err)
{
	struct dir_list list = {0};
	int code = dir_list_load(task, dir, &list, err);

	if (code == 0)
		code = list.by_name.len > 0;
	dir_list_clear(&list);
	return code;
}

static struct dir_list *
dir_list_of(const struct fuse_file_info *fi)
{
	return (struct dir_list *)(uintptr_t)fi->fh;
}

void
op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node *node = node_by_ino(fs, ino);

	if (node == NULL || !node_is_directory(node)) {
		fuse_reply_err(req, node == NULL ? ESTALE : ENOTDIR);
		return;
	}
	fi->fh = (uint64_t)(uintptr_t)xcalloc(1, sizeof(struct dir_list));
	fs->handles++;
	fuse_reply_open(req, fi);
}

void
op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct dir_list *list = dir_list_of(fi);

	dir_list_clear(list);
	free(list);
	fs->handles--;
	fuse_reply_err(req, 0);
}

void
op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	/* Each change of a directory was durable when it was answered. */
	fuse_reply_err(req, 0);
}

static size_t
dir_emit_plus(struct task *task, struct node *dir, const struct dir_name *item, char *buf,
    size_t room, off_t next)
{
	struct fuse_entry_param entry = {0};
	struct node *node = node_child(dir, item->name);
	size_t need;

	if (node != NULL && (node->file != NULL || node->kind != item->kind))
		node_ref(node);
	else if (dir->kind == NODE_ROOT || (item->entry == NULL && item->kind == NODE_FILE) ||
	    node_is_detached(dir))
		node = NULL; /* the kernel will look it up, if it wants to know more */
	else
		node = lookup_known(dir, item->name, item->kind, item->entry);
	if (node != NULL) {
		node_stat(node, &entry.attr);
		entry.ino = node->ino;
		entry.entry_timeout = FS_KERNEL_MS / 1000.0;
		entry.attr_timeout = node_attr_timeout(node);
	} else {
		entry.attr.st_mode = item->kind == NODE_FILE ? S_IFREG : S_IFDIR;
		entry.attr.st_ino = node_guess_ino(dir, item->name);
	}
	need = fuse_add_direntry_plus(task->req, buf, room, item->name, &entry, next);
	if (node != NULL) {
		if (need <= room)
			node->lookups++;
		node_unref(node);
	}
	return need;
}

static size_t
dir_emit(struct task *task, struct node *dir, const struct dir_name *item, char *buf, size_t room,
    off_t next)
{
	struct node *node = node_child(dir, item->name);
	struct stat st = {0};

	st.st_mode = item->kind == NODE_FILE ? S_IFREG : S_IFDIR;
	st.st_ino = node != NULL ? node->ino : node_guess_ino(dir, item->name);
	return fuse_add_direntry(task->req, buf, room, item->name, &st, next);
}

/* "." and ".." are names without a look-up. */
static size_t
dir_emit_dot(struct task *task, struct node *dir, bool plus, const char *name, char *buf,
    size_t room, off_t next)
{
	const struct node *node = name[1] == '.' && dir->parent != NULL ? dir->parent : dir;
	struct fuse_entry_param entry = {0};

	entry.attr.st_mode = S_IFDIR;
	entry.attr.st_ino = node->ino;
	return plus ? fuse_add_direntry_plus(task->req, buf, room, name, &entry, next)
		    : fuse_add_direntry(task->req, buf, room, name, &entry.attr, next);
}

/* Positions: 0 is ".", 1 is "..", then the names. */
static size_t
dir_fill(struct task *task, struct node *dir, const struct dir_list *list, bool plus, char *buf)
{
	size_t used = 0, need;
	off_t at;

	for (at = task->offset; (uint64_t)at < list->len + 2; at++) {
		if (at < 2) {
			need = dir_emit_dot(task, dir, plus, at == 0 ? "." : "..", buf + used,
			    task->size - used, at + 1);
		} else if (list->items[at - 2].name == NULL) {
			continue;
		} else if (plus) {
			need = dir_emit_plus(
			    task, dir, &list->items[at - 2], buf + used, task->size - used, at + 1);
		} else {
			need = dir_emit(
			    task, dir, &list->items[at - 2], buf + used, task->size - used, at + 1);
		}
		if (need > task->size - used)
			break;
		used += need;
	}
	return used;
}

static void
readdir_run(struct task *task)
{
	struct dir_list *list = dir_list_of(&task->fi);
	struct node *dir = task_node(task, task->ino);
	struct err err = ERR_INIT;
	size_t used;
	char *buf;
	int code = 0;

	if (dir == NULL)
		return;
	node_ref(dir);
	if (task->offset == 0 || !list->loaded)
		code = dir_list_load(task, dir, list, &err);
	if (code != 0) {
		task_fail(task, dir->kind == NODE_ROOT ? "/" : dir->name, code, &err);
	} else {
		buf = xmalloc(task->size);
		used = dir_fill(task, dir, list, task->flags != 0, buf);
		task_reply_buf(task, buf, used);
		free(buf);
	}
	node_unref(dir);
}

static void
readdir_start(
    fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi, bool plus)
{
	struct task *task = task_new(fuse_req_userdata(req), req, readdir_run);

	task->ino = ino;
	task->size = size;
	task->offset = offset;
	task->fi = *fi;
	task->flags = plus;
	task_start(task);
}

void
op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	readdir_start(req, ino, size, offset, fi, false);
}

void
op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	readdir_start(req, ino, size, offset, fi, true);
}
