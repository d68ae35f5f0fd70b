#include "fs/files.h"
#include "fs/daemon.h"
#include "fs/pending.h"
#include <stdlib.h>

#define FILE_SETTLE_LONG_MS 5000 /* worth a call for each file when the mount ends */

struct file *
files_by_change(struct fs *fs, const char *id)
{
	return table_get(&fs->files_by_id, id);
}

void
files_pin(struct fs *fs, const struct change *change)
{
	const char *version = change->kind == CHANGE_TRANSFER ? change->result_version : NULL;
	struct file *file;

	TAILQ_FOREACH (file, &fs->files, next)
		extents_pin(&file->extents, change->id, version, change->bytes_total);
}

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
		code = file_queue(task, file, err);
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
		code = file_queue(task, file, &err);
		if (code != 0)
			return;
		goto again;
	}
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
