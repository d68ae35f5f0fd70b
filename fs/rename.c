/*
 * Renaming.  A file whose pending write can still be edited gets its new path there; any other file
 * is moved by a change (a rename within the account, a moving transfer between accounts) and shown
 * at its new place at once.  A document is renamed within its account, and waited for, and not
 * moved to another.  A directory is renamed within its account, and waited for; between accounts
 * the kernel is told EXDEV, so that mv moves what is in it, file by file.
 */
#include "fs/daemon.h"
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/ops.h"
#include "fs/outcome.h"
#include "fs/overlay.h"
#include "fs/pending.h"
#include "fs/remote.h"
#include "src/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct renaming {
	struct node *from_dir, *to_dir, *node, *target; /* target: what is replaced, or NULL */
	const char *to_name;
	char *from, *to; /* paths */
};

/* -- files */

/* By a change of its own, after whatever is under way. */
static int
rename_submit(struct task *task, struct renaming *r, struct file *file, struct err *err)
{
	struct remote *from = r->node->remote, *to = r->to_dir->remote;
	const char *url;
	json_t *body;
	char id[37];
	int code;

	if (from == to) {
		body = change_body("rename", from, r->from);
		json_object_set_new(body, "newPath", json_string(r->to));
		url = "/api/changes";
	} else {
		body = json_pack("{s:s, s:s, s:s, s:s, s:b}", "sourceAccountId", from->id,
		    "sourcePath", r->from, "destinationAccountId", to->id, "destinationPath", r->to,
		    "move", 1);
		url = "/api/transfers";
	}
	code = change_submit(task, url, body, id, err);
	if (code == 0)
		file_set_moving(file, id);
	return code;
}

/* An accepted change reads or writes the new path: ours must come after it, and an edited one keeps
 * its place. */
static bool
rename_needs_place(struct fs *fs, const struct renaming *r)
{
	const char *account_id = r->to_dir->remote->id;
	const struct file *file;

	if (overlay_writer(fs->overlay, account_id, r->to) != NULL)
		return true;
	TAILQ_FOREACH (file, &fs->files, next) {
		if (file != r->node->file && file->id[0] != '\0' &&
		    extents_read(&file->extents, account_id, r->to))
			return true;
	}
	return false;
}

/* It needs another place in the order, but it has ranges of entries, which changes that were
   accepted since may replace or remove as soon as its own place is given up. */
static bool
rename_is_bound(const struct file *file, const struct renaming *r)
{
	return file->state == FILE_HELD && extents_have_entry(&file->extents) &&
	    rename_needs_place(file->fs, r);
}

/* The pending write could not be made durable with the new path: all is as it was, also where the
   daemon has it, but was not heard. */
static void
rename_undo(struct task *task, struct renaming *r, struct file *file, const char *old_id)
{
	CLEANUP(cleanup_free) char *id = xstrdup(file->id);
	struct err err = ERR_INIT;

	if (!node_is_detached(r->from_dir) && node_child(r->from_dir, path_name(r->from)) == NULL)
		node_move(r->node, r->from_dir, path_name(r->from));
	if (old_id == NULL)
		return; /* it is dirty: the next flush puts it where it was */
	file_set_change(file, old_id, FILE_HELD);
	if (id[0] != '\0')
		file_cancel_change(task, file->fs, id, &err);
}

/* The pending write is made durable with the new path, or all is as it was. */
static int
rename_put(
    struct task *task, struct renaming *r, struct file *file, bool new_place, struct err *err)
{
	char old[sizeof(file->id)];
	int code;

	snprintf(old, sizeof(old), "%s", file->id);
	if (new_place)
		file_set_change(file, "", FILE_NEW);
	node_move(r->node, r->to_dir, r->to_name);
	file->changes++;
	code = file_flush(task, file, err);
	if (code != 0)
		rename_undo(task, r, file, new_place ? old : NULL);
	else if (new_place)
		code = file_cancel_change(task, file->fs, old, err);
	return code;
}

/* The pending write gets the new path; a name that the cloud still has is removed after it. */
static int
rename_edit(struct task *task, struct renaming *r, struct file *file, struct err *err)
{
	bool was_held = file->state == FILE_HELD;
	int below, code = 0;

	below = lookup_beneath(task, r->from_dir, r->node->name, err);
	if (below != 0 && below != -ENOENT)
		return below;
	/* If the cloud has the old name, a crash must not leave it with the old content. */
	if (was_held || below == 0) {
		code = rename_put(task, r, file, was_held && rename_needs_place(file->fs, r), err);
	} else {
		node_move(r->node, r->to_dir, r->to_name);
		file->changes++;
	}
	if (code != 0 || below == -ENOENT)
		return code;
	code = change_submit(
	    task, "/api/changes", change_body("remove", r->from_dir->remote, r->from), NULL, err);
	return code;
}

static int
rename_locked(struct task *task, struct renaming *r, struct file *file, struct err *err)
{
	int code = 0;

	if (file->state == FILE_COMMITTED && !file->frozen)
		code = file_try_hold(task, file, err);
	if (code == 0 && file->state == FILE_FAILED)
		code = file_begin_change(task, file, err);
	if (code < 0)
		return code;
	if (code == 0 && (file->state == FILE_HELD || file_is_dirty(file))) {
		if (!rename_is_bound(file, r))
			return rename_edit(task, r, file, err);
		code = file_flush(task, file, err);
		if (code == 0)
			code = file_commit(task, file, 0, err);
		if (code != 0)
			return code;
	}
	code = rename_submit(task, r, file, err);
	if (code == 0)
		node_move(r->node, r->to_dir, r->to_name);
	return code;
}

/* What was pending for the file that is replaced is of no use any more. */
static void
rename_drop_target(struct task *task, struct node *target)
{
	struct file *file = target->file;
	struct err err = ERR_INIT;
	bool running;

	if (file == NULL)
		return;
	file_ref(file);
	if (lock_take(task, &file->lock) == 0) {
		file_discard(task, file, &running, &err); /* if it fails: it runs before ours */
		lock_drop(task, &file->lock);
	}
	file_unref(file);
}

static int
rename_file(struct task *task, struct renaming *r, struct err *err)
{
	/* Also one that nobody writes: who begins to meanwhile waits for its lock. */
	struct file *file =
	    file_ref(r->node->file != NULL ? r->node->file : file_new(r->node, false));
	int code;

	code = files_flush_readers(task, r->node->remote->id, r->from, file, err);
	if (code == 0)
		code = files_flush_readers(task, r->to_dir->remote->id, r->to, file, err);
	if (code == 0)
		code = lock_take(task, &file->lock);
	if (code == 0) {
		code = rename_locked(task, r, file, err);
		lock_drop(task, &file->lock);
		if (file->writers == 0)
			file_sweep(file);
	}
	if (code == 0 && r->target != NULL)
		rename_drop_target(task, r->target);
	file_unref(file);
	return code;
}

/* -- documents: what the file at the new name would be is not known: it is waited for */

static int
rename_document(struct task *task, struct renaming *r, struct err *err)
{
	json_t *body;
	char id[37];
	int code;

	code = files_flush_readers(task, r->to_dir->remote->id, r->to, NULL, err);
	if (code != 0)
		return code;
	body = change_body("rename", r->node->remote, r->from);
	json_object_set_new(body, "newPath", json_string(r->to));
	code = change_submit(task, "/api/changes", body, id, err);
	if (code == 0)
		code = outcome_wait(task, id, NULL, err);
	if (code != 0)
		return code;
	if (r->target != NULL)
		rename_drop_target(task, r->target);
	listing_fold(r->from_dir, path_name(r->from), NULL);
	listing_fold(r->to_dir, r->to_name, &r->node->entry);
	node_move(r->node, r->to_dir, r->to_name);
	return 0;
}

/* -- directories */

/* Its pending writes run before the rename; one that is still written would be waited for by it for
 * ever. */
static int
rename_settle(struct task *task, const struct node *dir, struct err *err)
{
	struct file *file;
	int code;

again:
	TAILQ_FOREACH (file, &task->fs->files, next) {
		if (!node_is_beneath(file->node, dir))
			continue;
		if (file->writers > 0 && (file->state == FILE_HELD || file_is_dirty(file)))
			return err_set(err, -EBUSY, "'%s' is being written", file->node->name);
		if (file->state != FILE_HELD && !file_is_dirty(file))
			continue;
		code = file_queue(task, file, err);
		if (code != 0)
			return code;
		goto again;
	}
	return 0;
}

static int
rename_tree(struct task *task, struct renaming *r, struct err *err)
{
	struct entry entry;
	struct file *file;
	json_t *body;
	char id[37];
	int code;

	code = files_flush_readers(task, r->node->remote->id, r->from, NULL, err);
	if (code == 0)
		code = rename_settle(task, r->node, err);
	if (code != 0)
		return code;
	r->node->renaming = task; /* from here on nothing in it is begun */
	if (r->target != NULL)
		code = change_submit(task, "/api/changes",
		    change_body("rmdir", r->to_dir->remote, r->to), NULL, err);
	if (code != 0)
		return code;
	body = change_body("rename", r->node->remote, r->from);
	json_object_set_new(body, "newPath", json_string(r->to));
	json_object_set_new(body, "tree", json_true());
	code = change_submit(task, "/api/changes", body, id, err);
	if (code == 0)
		code = outcome_wait(task, id, NULL, err);
	if (code != 0)
		return code;
	entry_init(&entry);
	entry_copy(&entry, &r->node->entry);
	entry.kind = ENTRY_DIRECTORY;
	listing_fold(r->from_dir, path_name(r->from), NULL);
	listing_fold(r->to_dir, r->to_name, &entry);
	entry_fini(&entry);
	node_move(r->node, r->to_dir, r->to_name);
	listing_expire(r->node);
	TAILQ_FOREACH (file, &task->fs->files, next) {
		if (node_is_beneath(file->node, r->node))
			file_unpin_base(file);
	}
	return 0;
}

/* What is to be looked through, and what was found. */
struct finding {
	struct node *dir; /* that is looked through */
	struct node **dirs; /* that will be; referenced */
	size_t len, cap;
	char *document; /* a path, or NULL */
};

static void
rename_on_listed(void *arg, const char *name, const struct entry *entry)
{
	struct finding *f = arg;
	CLEANUP(cleanup_free) char *path = NULL;

	if (entry->kind == ENTRY_DIRECTORY) {
		if (f->len == f->cap) {
			f->cap = MAX(2 * f->cap, (size_t)16);
			f->dirs = xrealloc(f->dirs, f->cap, sizeof *f->dirs);
		}
		f->dirs[f->len++] = lookup_known(f->dir, name, NODE_DIRECTORY, NULL);
	} else if (entry->unsized && f->document == NULL) {
		path = node_path(f->dir);
		f->document = path_child(path, name);
	}
}

/* Told EXDEV, mv would copy what is in it, exports too, and then remove it, documents too.  It
   lists all of it as well, right behind this: that costs it nothing then. */
static int
rename_find_document(struct task *task, struct node *dir, struct err *err)
{
	struct finding f = {0};
	int code = 0;

	f.dir = node_ref(dir);
	while (f.dir != NULL && code == 0 && f.document == NULL) {
		code = listing_load(task, f.dir, err);
		if (code == 0)
			listing_each(f.dir, rename_on_listed, &f);
		node_unref(f.dir);
		f.dir = f.len > 0 ? f.dirs[--f.len] : NULL;
	}
	node_unref(f.dir);
	while (f.len > 0)
		node_unref(f.dirs[--f.len]);
	free(f.dirs);
	if (code == 0 && f.document != NULL)
		code = err_set(err, -EPERM,
		    "in it is the document '%s', of which another place can only have an export: "
		    "copy it, or move what else is in it",
		    f.document);
	free(f.document);
	return code;
}

static int
rename_directory(struct task *task, struct renaming *r, struct err *err)
{
	int code = 0;

	if (r->node->remote != r->to_dir->remote) {
		if (remote_has(r->node->remote, CLOUD_HAS_UNSIZED))
			code = rename_find_document(task, r->node, err);
		return code != 0
		    ? code
		    : err_set(err, -EXDEV, "a directory goes between accounts file by file");
	}
	code = rename_tree(task, r, err);
	r->node->renaming = NULL;
	waitq_wake(&task->fs->renamed);
	return code;
}

/* -- both */

/* Two things look alike and are not: a document, and a file in its place that was exported from it.
 */
static int
rename_check_documents(const struct task *task, const struct renaming *r, struct err *err)
{
	bool replaces = (task->flags & RENAME_NOREPLACE) == 0;

	if (replaces && r->target != NULL && r->target != r->node && node_is_document(r->target))
		return err_set(err, -EACCES,
		    "'%s' is a document: a file takes its place only when it was removed",
		    r->to_name);
	if (node_is_document(r->node) && r->node->remote != r->to_dir->remote)
		return err_set(err, -EPERM,
		    "'%s' is a document, of which another place can only have an export: copy it, "
		    "and remove it yourself if you do not need it any more",
		    r->node->name);
	return 0;
}

static int
rename_check(struct task *task, struct renaming *r, struct err *err)
{
	bool directory = node_is_directory(r->node);
	int code = rename_check_documents(task, r, err);

	if (code != 0)
		return code;
	if (directory && node_is_beneath(r->to_dir, r->node))
		return -EINVAL;
	if (r->target == NULL || r->target == r->node)
		return 0;
	if ((task->flags & RENAME_NOREPLACE) != 0)
		return -EEXIST;
	if (node_is_directory(r->target) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (!directory)
		return 0;
	code = dir_has_names(task, r->target, err);
	return code <= 0 ? code : -ENOTEMPTY;
}

static int
rename_nodes(struct task *task, struct renaming *r, struct err *err)
{
	char *to_parent;
	int code;

	if ((task->flags & ~(unsigned)RENAME_NOREPLACE) != 0)
		return -EINVAL;
	if (!node_is_writable_directory(r->from_dir))
		return -EPERM; /* an account is renamed with `skyferry account` */
	code = lookup_check_name(r->to_dir, r->to_name, err);
	if (code == 0)
		code = lookup_node(task, r->from_dir, task->name, &r->node, err);
	if (code != 0)
		return code;
	code = lookup_node(task, r->to_dir, r->to_name, &r->target, err);
	if (code != 0 && code != -ENOENT)
		return code;
	code = rename_check(task, r, err);
	if (code != 0 || r->target == r->node)
		return code;
	code = node_settled(task, r->node);
	if (code == 0)
		code = node_settled(task, r->to_dir);
	if (code != 0)
		return code;
	if (node_is_detached(r->node) || node_is_detached(r->to_dir))
		return -ENOENT;
	r->from = node_path(r->node);
	to_parent = node_path(r->to_dir);
	r->to = path_child(to_parent, r->to_name);
	free(to_parent);
	if (node_is_directory(r->node))
		return rename_directory(task, r, err);
	return node_is_document(r->node) ? rename_document(task, r, err)
					 : rename_file(task, r, err);
}

static void
rename_run(struct task *task)
{
	struct renaming r = {.to_name = task->name2};
	struct err err = ERR_INIT;
	int code;

	r.from_dir = node_by_ino(task->fs, task->ino);
	r.to_dir = node_by_ino(task->fs, task->ino2);
	if (r.from_dir == NULL || r.to_dir == NULL) {
		task_reply(task, -ESTALE);
		return;
	}
	node_ref(r.from_dir);
	node_ref(r.to_dir);
	code = task->fs->options.read_only ? -EROFS : rename_nodes(task, &r, &err);
	task_fail(task, task->name, code, &err);
	node_unref(r.node);
	node_unref(r.target);
	node_unref(r.from_dir);
	node_unref(r.to_dir);
	free(r.from);
	free(r.to);
}

void
op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
    const char *newname, unsigned flags)
{
	struct task *task = task_new(fuse_req_userdata(req), req, rename_run);

	task->ino = parent;
	task->name = xstrdup(name);
	task->ino2 = newparent;
	task->name2 = xstrdup(newname);
	task->flags = flags;
	task_start(task);
}
