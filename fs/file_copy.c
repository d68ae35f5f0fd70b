#include "fs/file_copy.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/spool.h"

#define FILE_CHAIN 4 /* files that hold ranges of each other in a row, at most */

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

bool
extents_hold(const struct extents *extents, const struct source *source)
{
	size_t i;

	for (i = 0; extents != NULL && i < extents->len; i++) {
		if (extents->items[i].source == source)
			return true;
	}
	return false;
}

int
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

/* -- ranges */

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

int
file_copy_source(struct task *task, struct file *to, uint64_t offset, struct source *src,
    uint64_t start, uint64_t length, struct err *err)
{
	CLEANUP(extents_fini) struct extents ranges = {0};
	int code;

	extents_put(&ranges, 0, length, src, start);
	code = extents_clone_spools(task, &ranges, &to->extents);
	if (code != 0)
		return err_sys(err, code, "the spool directory %s", task->fs->spool_dir);
	extents_copy(&to->extents, offset, &ranges, 0, length);
	file_changed(to);
	return 0;
}
