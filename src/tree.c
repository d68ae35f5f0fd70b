#include "src/tree.h"
#include "src/await.h"
#include "src/copy.h"
#include "src/path.h"
#include "src/upload.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum tree_state {
	TREE_MKDIR,
	TREE_LIST,
	TREE_FILES,
	TREE_ENTER, /* the next subdirectory, or out of this one */
	TREE_RMDIR,
	TREE_STOP, /* a failure: wait for what is under way */
	TREE_END,
};

/* One file on its way: copied, then removed. */
struct tree_item {
	struct tree *tree;
	char *path; /* source; NULL: the slot is free */
	struct copy *copy;
	bool copied;
	struct copy_result result;
	struct await remove;
};

struct tree_dir {
	char *from, *to;
	char **dirs; /* names of subdirectories still to be done */
	size_t dirs_len;
	SLIST_ENTRY(tree_dir) above;
};

struct tree {
	struct cloud_runner *runner;
	struct event *wake;
	enum tree_state state;
	struct account *account;
	char *id;
	bool repeated, aborted;
	const struct change *change;
	size_t ring;
	struct budget *memory;
	struct bucket *const *buckets;
	size_t buckets_len;
	struct checkpoint *checkpoint; /* until the first upload takes it */
	struct tree_item *uploading; /* whose file may be an upload */
	SLIST_HEAD(, tree_dir) stack;
	struct entry_list list; /* of the directory on top */
	size_t next; /* in list */
	struct tree_item items[TREE_PARALLEL];
	struct await await;
	uint64_t bytes_done;
	int code;
	struct err err;
	struct tree_handler handler;
	void *arg;
};

static void
tree_push(struct tree *t, char *from, char *to)
{
	struct tree_dir *d = xcalloc(1, sizeof *d);

	d->from = from;
	d->to = to;
	SLIST_INSERT_HEAD(&t->stack, d, above);
}

static void
tree_pop(struct tree *t)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);

	SLIST_REMOVE_HEAD(&t->stack, above);
	while (d->dirs_len > 0)
		free(d->dirs[--d->dirs_len]);
	free(d->dirs);
	free(d->from);
	free(d->to);
	free(d);
}

static enum tree_state
tree_fail(struct tree *t, int code, const struct err *err)
{
	if (t->code == 0) {
		t->code = code;
		t->err = *err;
	}
	return TREE_STOP;
}

#define TREE_FAIL(t, code, ...)                                                                    \
	({                                                                                         \
		struct err err_ = ERR_INIT;                                                        \
		tree_fail(t, err_set(&err_, code, __VA_ARGS__), &err_);                            \
	})

static enum tree_state
tree_mkdir_run(struct tree *t)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);
	int code;

	if (t->await.op == NULL)
		await_start(&t->await, t->runner, cloud_op_new(t->account, CLOUD_MKDIR, d->to));
	if (!t->await.ended)
		return TREE_MKDIR;
	code = t->await.code;
	await_drop(&t->await);
	if (code != 0 && code != -EEXIST)
		return tree_fail(t, code, t->await.err);
	return TREE_LIST;
}

static enum tree_state
tree_list_run(struct tree *t)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);
	size_t i, files = 0;
	int code;

	if (t->await.op == NULL)
		await_start(&t->await, t->runner, cloud_op_new(t->account, CLOUD_LIST, d->from));
	if (!t->await.ended)
		return TREE_LIST;
	code = t->await.code;
	if (code == 0) {
		t->list = t->await.op->list;
		t->await.op->list = (struct entry_list){};
	}
	await_drop(&t->await);
	if (code != 0)
		return tree_fail(t, code, t->await.err);
	if (t->list.hidden > 0)
		return TREE_FAIL(t, -EILSEQ,
		    "'%s' has %zu names that no path can express, and that would be left behind",
		    d->from, t->list.hidden);

	d->dirs = xcalloc(t->list.len + 1, sizeof *d->dirs);
	for (i = 0; i < t->list.len; i++) {
		if (t->list.items[i].kind == ENTRY_DIRECTORY)
			d->dirs[d->dirs_len++] = xstrdup(path_name(t->list.items[i].path));
		else
			files++;
	}
	d->dirs = xrealloc(d->dirs, d->dirs_len + 1, sizeof *d->dirs);
	t->next = 0;
	return files > 0 ? TREE_FILES : TREE_ENTER;
}

static void
tree_item_clear(struct tree_item *item)
{
	copy_free(TAKE(item->copy));
	await_drop(&item->remove);
	copy_result_fini(&item->result);
	free(TAKE(item->path));
	item->copied = false;
	if (item->tree->uploading == item)
		item->tree->uploading = NULL;
}

static void
tree_item_on_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	struct tree *t = ((struct tree_item *)arg)->tree;

	t->handler.note(t->arg, kind, checkpoint, part);
}

static void
tree_item_on_copied(void *arg, struct copy_result *result)
{
	struct tree_item *item = arg;

	item->copy = NULL;
	item->copied = true;
	item->result = *result;
	*result = (struct copy_result){};
	event_active(item->tree->wake, EV_TIMEOUT, 0);
}

static bool
tree_is_upload(const struct tree *t, const struct entry *e)
{
	return upload_is_for(t->account, e->size);
}

static void
tree_item_start(struct tree *t, struct tree_item *item, const struct entry *e)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);
	CLEANUP(cleanup_free) char *to = path_child(d->to, path_name(e->path));
	CLEANUP(cleanup_free)
	char *temp_id = xasprintf("%s-%08x", t->id, crc32c(0, to, strlen(to)));
	struct segment segment = {
	    .kind = SEGMENT_ENTRY,
	    .account_id = t->account->id,
	    .path = e->path,
	    .version = e->version,
	    .length = SEGMENT_TO_END,
	};
	struct copy_spec spec = {
	    .segments = &segment,
	    .segments_len = 1,
	    .accounts = &t->account,
	    .accounts_len = 1,
	    .to = t->account,
	    .path = to,
	    .temp_id = temp_id,
	    .overwrite = true,
	    .preserve = true,
	    .move = true,
	    .repeated = t->repeated,
	    .mtime_ns = ENTRY_NO_TIME,
	    .ring = t->ring,
	    .memory = t->memory,
	    .buckets = t->buckets,
	    .buckets_len = t->buckets_len,
	    .change = t->change,
	};
	static const struct copy_handler handler = {
	    .note = tree_item_on_note, .done = tree_item_on_copied};

	if (tree_is_upload(t, e)) {
		t->uploading = item;
		spec.checkpoint = TAKE(t->checkpoint);
	}
	item->path = xstrdup(e->path);
	item->copy = copy_start(t->runner, &spec, &handler, item);
}

/* The copy is there: remove the source if it is still what was copied. */
static int
tree_item_remove(struct tree *t, struct tree_item *item)
{
	struct cloud_op *op;

	if (item->result.code != 0) {
		tree_fail(t, item->result.code, &item->result.err);
		return item->result.code;
	}
	if (item->remove.op == NULL) {
		op = cloud_op_new(t->account, CLOUD_REMOVE, item->path);
		op->version = xstrdup_null(item->result.source_version);
		op->written_ns = item->result.source_written_ns;
		await_start(&item->remove, t->runner, op);
	}
	if (!item->remove.ended)
		return 0;
	if (item->remove.code != 0 && item->remove.code != -ENOENT) {
		tree_fail(t, item->remove.code, item->remove.err);
		return item->remove.code;
	}
	t->bytes_done += item->result.size;
	t->handler.progress(t->arg, t->bytes_done);
	return 1;
}

/* Files under way go on; returns how many are. */
static unsigned
tree_items_run(struct tree *t)
{
	unsigned busy = 0;
	size_t i;

	for (i = 0; i < TREE_PARALLEL; i++) {
		struct tree_item *item = &t->items[i];

		if (item->path != NULL && item->copied && tree_item_remove(t, item) != 0)
			tree_item_clear(item);
		busy += item->path != NULL;
	}
	return busy;
}

static enum tree_state
tree_files_run(struct tree *t)
{
	unsigned busy = tree_items_run(t);
	size_t i;

	for (i = 0; i < TREE_PARALLEL && t->code == 0; i++) {
		if (t->items[i].path != NULL)
			continue;
		while (t->next < t->list.len && t->list.items[t->next].kind == ENTRY_DIRECTORY)
			t->next++;
		if (t->next == t->list.len ||
		    (t->uploading != NULL && tree_is_upload(t, &t->list.items[t->next])))
			break;
		tree_item_start(t, &t->items[i], &t->list.items[t->next++]);
		busy++;
	}
	if (t->code != 0)
		return TREE_STOP;
	return busy > 0 ? TREE_FILES : TREE_ENTER;
}

static enum tree_state
tree_enter_run(struct tree *t)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);
	char *name;

	entry_list_fini(&t->list);
	t->list = (struct entry_list){};
	if (d->dirs_len == 0)
		return TREE_RMDIR;
	name = d->dirs[--d->dirs_len];
	tree_push(t, path_child(d->from, name), path_child(d->to, name));
	free(name);
	return TREE_MKDIR;
}

static enum tree_state
tree_rmdir_run(struct tree *t)
{
	struct tree_dir *d = SLIST_FIRST(&t->stack);
	int code;

	if (t->await.op == NULL)
		await_start(&t->await, t->runner, cloud_op_new(t->account, CLOUD_RMDIR, d->from));
	if (!t->await.ended)
		return TREE_RMDIR;
	code = t->await.code;
	await_drop(&t->await);
	if (code == -ENOTEMPTY)
		return TREE_FAIL(t, code,
		    "'%s' got new entries while it was moved; they are still there: repeat the move",
		    d->from);
	if (code != 0 && code != -ENOENT) /* a prefix is gone with its last object */
		return tree_fail(t, code, t->await.err);
	tree_pop(t);
	return SLIST_EMPTY(&t->stack) ? TREE_END : TREE_ENTER;
}

static enum tree_state
tree_stop_run(struct tree *t)
{
	size_t i;

	for (i = 0; i < TREE_PARALLEL; i++) {
		if (t->items[i].copy != NULL)
			copy_abort(t->items[i].copy);
	}
	return tree_items_run(t) > 0 ? TREE_STOP : TREE_END;
}

static const struct {
	enum tree_state (*run)(struct tree *);
} steps[] = {
    [TREE_MKDIR] = {tree_mkdir_run},
    [TREE_LIST] = {tree_list_run},
    [TREE_FILES] = {tree_files_run},
    [TREE_ENTER] = {tree_enter_run},
    [TREE_RMDIR] = {tree_rmdir_run},
    [TREE_STOP] = {tree_stop_run},
    [TREE_END] = {NULL},
};

static void
tree_run(evutil_socket_t fd, short what, void *arg)
{
	struct tree *t = arg;
	enum tree_state next;

	if (t->aborted && t->code == 0 && t->state != TREE_END) {
		t->code = err_set(&t->err, -ECANCELED, "cancelled");
		await_drop(&t->await);
		t->state = TREE_STOP;
	}
	while (steps[t->state].run != NULL && (next = steps[t->state].run(t)) != t->state)
		t->state = next;
	if (t->state == TREE_END) {
		t->handler.done(t->arg, t->code, &t->err);
		tree_free(t);
	}
}

struct tree *
tree_start(struct cloud_runner *runner, const struct tree_spec *spec,
    const struct tree_handler *handler, void *arg)
{
	struct tree *t = xcalloc(1, sizeof *t);
	size_t i;

	t->runner = runner;
	t->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, tree_run, t);
	await_init(&t->await, t->wake);
	for (i = 0; i < TREE_PARALLEL; i++) {
		t->items[i].tree = t;
		await_init(&t->items[i].remove, t->wake);
	}
	t->account = cloud_account_ref(spec->account);
	t->id = xstrdup(spec->id);
	t->repeated = spec->repeated;
	t->ring = spec->ring;
	t->change = spec->change;
	t->memory = spec->memory;
	t->buckets = spec->buckets;
	t->buckets_len = spec->buckets_len;
	t->checkpoint = spec->checkpoint;
	SLIST_INIT(&t->stack);
	tree_push(t, xstrdup(spec->from), xstrdup(spec->to));
	t->handler = *handler;
	t->arg = arg;
	event_active(t->wake, EV_TIMEOUT, 0);
	return t;
}

void
tree_noted(struct tree *t)
{
	if (t->uploading != NULL && t->uploading->copy != NULL)
		copy_noted(t->uploading->copy);
}

void
tree_abort(struct tree *t)
{
	t->aborted = true;
	event_active(t->wake, EV_TIMEOUT, 0);
}

void
tree_free(struct tree *t)
{
	size_t i;

	if (t == NULL)
		return;
	for (i = 0; i < TREE_PARALLEL; i++) {
		tree_item_clear(&t->items[i]);
		await_fini(&t->items[i].remove);
	}
	await_fini(&t->await);
	while (!SLIST_EMPTY(&t->stack))
		tree_pop(t);
	entry_list_fini(&t->list);
	event_free(t->wake);
	checkpoint_free(t->checkpoint);
	cloud_account_unref(t->account);
	free(t->id);
	free(t);
}
