#include "src/walk.h"
#include "src/await.h"
#include "src/log.h"
#include "src/path.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum walk_state {
	WALK_IDLE, /* until walk_next() */
	WALK_LIST, /* a page of the directory on top */
	WALK_TAKE, /* what is in it */
	WALK_LEAVE, /* there is nothing more in it */
	WALK_REMOVE,
	WALK_DELIVER,
	WALK_END,
};

struct walk_dir {
	char *path; /* from the root; "" is the root */
	struct entry_list page;
	size_t next; /* in page */
	bool listed; /* the page is there */
	bool more; /* behind the page */
	char *after; /* the page begins behind it, as walk_key(); NULL: at the start */
	bool found; /* there is something in it */
	bool kept; /* prune: it cannot be removed */
	SLIST_ENTRY(walk_dir) above;
};

struct walk {
	struct cloud_runner *runner;
	struct event *wake;
	enum walk_state state;
	struct account *account;
	char *root, *position;
	const struct change *change;
	bool prune, began;
	bool no_follow; /* what is to go is what lies in the tree itself */
	SLIST_HEAD(, walk_dir) stack;
	struct await await;
	struct walk_batch *batch;
	size_t max;
	int code;
	struct err err;
	struct walk_handler handler;
	void *arg;
};

struct walk_batch *
walk_batch_new(void)
{
	return xcalloc(1, sizeof(struct walk_batch));
}

void
walk_batch_add(struct walk_batch *b, const struct walk_entry *e)
{
	struct walk_entry *to;

	if ((b->len & (b->len - 1)) == 0)
		b->items = xrealloc(b->items, MAX(b->len * 2, (size_t)1), sizeof *b->items);
	to = &b->items[b->len++];
	*to = *e;
	to->path = xstrdup(e->path);
	to->error = xstrdup_null(e->error);
}

void
walk_batch_free(struct walk_batch *b)
{
	size_t i;

	if (b == NULL)
		return;
	for (i = 0; i < b->len; i++) {
		free(b->items[i].path);
		free(b->items[i].error);
	}
	free(b->items);
	free(b->position);
	free(b);
}

/* -- names in order */

static int
entry_compare(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	return entry_name_compare(path_name(a->path), a->kind == ENTRY_DIRECTORY,
	    path_name(b->path), b->kind == ENTRY_DIRECTORY);
}

static char *
walk_key(const struct entry *e)
{
	return xasprintf("%s%s", path_name(e->path), e->kind == ENTRY_DIRECTORY ? "/" : "");
}

/* -- directories on the way down */

static void
dir_drop_page(struct walk_dir *d)
{
	if (d->next > 0) {
		free(d->after);
		d->after = walk_key(&d->page.items[d->next - 1]);
	}
	entry_list_fini(&d->page);
	d->page = (struct entry_list){};
	d->next = 0;
	d->listed = false;
}

static void
walk_push(struct walk *w, char *path)
{
	struct walk_dir *d = xcalloc(1, sizeof *d);
	unsigned n = 0;

	d->path = path;
	SLIST_INSERT_HEAD(&w->stack, d, above);
	SLIST_FOREACH (d, &w->stack, above) {
		if (++n > WALK_DIRS && d->listed) {
			dir_drop_page(d);
			break;
		}
	}
}

static void
walk_pop(struct walk *w)
{
	struct walk_dir *d = SLIST_FIRST(&w->stack);

	SLIST_REMOVE_HEAD(&w->stack, above);
	entry_list_fini(&d->page);
	free(d->after);
	free(d->path);
	free(d);
}

/* The directories down to where an earlier walk ended. */
static void
walk_resume(struct walk *w)
{
	const char *name = w->position;
	struct walk_dir *d;
	size_t len;

	walk_push(w, xstrdup(""));
	while (name != NULL && *name != '\0') {
		d = SLIST_FIRST(&w->stack);
		len = strcspn(name, "/");
		d->found = true;
		d->after = xstrndup(name, len + (name[len] == '/'));
		if (name[len] != '/' || name[len + 1] == '\0')
			return;
		walk_push(w,
		    *d->path == '\0' ? xstrndup(name, len)
				     : xasprintf("%s/%.*s", d->path, (int)len, name));
		name += len + 1;
	}
}

static char *
dir_full_path(const struct walk *w, const struct walk_dir *d)
{
	return *d->path == '\0' ? xstrdup(w->root) : path_child(w->root, d->path);
}

/* -- steps */

static enum walk_state
walk_fail(struct walk *w, int code, const struct err *err)
{
	w->code = code;
	w->err = *err;
	return WALK_END;
}

static void
walk_emit(
    struct walk *w, const struct walk_dir *d, const char *name, const struct entry *file, int code)
{
	CLEANUP(cleanup_free)
	char *path =
	    xasprintf("%s%s%s", d->path, *d->path != '\0' && *name != '/' ? "/" : "", name);
	struct walk_entry e = {.path = path, .code = code};

	if (file != NULL) {
		e.size = file->size;
		e.unsized = file->unsized;
	}
	if (code != 0)
		e.error = (char *)err_text(w->await.err);
	walk_batch_add(w->batch, &e);
}

/* Moving its last file away removes a root that is but a prefix.  Any other that was there and is
   not any more was taken away with what had not been listed. */
static bool
walk_may_vanish(const struct walk *w)
{
	return w->prune ||
	    (w->position != NULL && w->change != NULL && w->change->move &&
		!(w->account->driver->features & CLOUD_HAS_DIRECTORIES));
}

/* It cannot be listed: nothing is lost but itself, unless it is the first, or may be found well
   later. */
static enum walk_state
walk_list_failed(struct walk *w, struct walk_dir *d, int code)
{
	bool is_root = *d->path == '\0';

	if (code == -ENOENT && (!is_root || walk_may_vanish(w))) {
		d->found = true; /* gone since: with its last file, maybe */
		d->kept = false;
		d->listed = true;
		return WALK_TAKE;
	}
	if (is_root || (w->change != NULL && change_will_retry(w->change, code)))
		return walk_fail(w, code, w->await.err);
	d->found = d->kept = d->listed = true;
	if (!w->prune)
		walk_emit(w, d, "/", NULL, code);
	return WALK_TAKE;
}

static void
walk_take_page(struct walk_dir *d, struct cloud_op *op)
{
	d->page = op->list;
	op->list = (struct entry_list){};
	d->more = op->more;
	d->listed = true;
	d->next = 0;
	d->found = d->found || d->page.len > 0;
	if (d->page.len > 1)
		qsort(d->page.items, d->page.len, sizeof *d->page.items, entry_compare);
	while (d->after != NULL && d->next < d->page.len &&
	    !entry_is_behind(&d->page.items[d->next], d->after))
		d->next++;
}

/* They are not taken, and their directory cannot be removed. */
static void
walk_count_hidden(struct walk *w, struct walk_dir *d, uint64_t hidden)
{
	if (hidden == 0)
		return;
	d->found = d->kept = true;
	if (w->batch == NULL)
		return;
	w->batch->hidden += hidden;
	log_warning("'%s%s%s': names left out, because no path can express them: %" PRIu64, w->root,
	    *d->path != '\0' ? "/" : "", d->path, hidden);
}

static enum walk_state
walk_list_run(struct walk *w)
{
	struct walk_dir *d = SLIST_FIRST(&w->stack);
	CLEANUP(cleanup_free) char *path = dir_full_path(w, d);
	struct cloud_op *op;
	int code;

	if (w->await.op == NULL) {
		op = cloud_op_new(w->account, CLOUD_LIST, path);
		op->after = xstrdup_null(d->after);
		op->max = WALK_PAGE;
		op->no_follow = w->no_follow;
		await_start(&w->await, w->runner, op);
	}
	if (!w->await.ended)
		return WALK_LIST;
	code = w->await.code;
	if (code == 0) {
		walk_count_hidden(w, d, w->await.op->list.hidden);
		walk_take_page(d, w->await.op);
	}
	await_drop(&w->await);
	return code == 0 ? WALK_TAKE : walk_list_failed(w, d, code);
}

/* Into the next directory, or out of this one. */
static enum walk_state
walk_take_run(struct walk *w)
{
	struct walk_dir *d = SLIST_FIRST(&w->stack);
	const struct entry *e;

	if (!d->listed)
		return WALK_LIST;
	while (d->next < d->page.len) {
		if (w->batch != NULL && w->batch->len >= w->max)
			return WALK_DELIVER;
		e = &d->page.items[d->next++];
		if (e->kind == ENTRY_DIRECTORY) {
			walk_push(w,
			    *d->path == '\0' ? xstrdup(path_name(e->path))
					     : path_child(d->path, path_name(e->path)));
			return WALK_LIST;
		}
		if (w->prune)
			d->kept = true;
		else
			walk_emit(w, d, path_name(e->path), e, 0);
	}
	if (!d->more)
		return WALK_LEAVE;
	if (d->next == 0) {
		w->code = err_set(
		    &w->err, -EPROTO, "'%s': the list has more, and does not go on", w->root);
		return WALK_END;
	}
	dir_drop_page(d);
	return WALK_LIST;
}

static enum walk_state
walk_leave_run(struct walk *w)
{
	struct walk_dir *d = SLIST_FIRST(&w->stack);

	if (w->prune)
		return WALK_REMOVE;
	if (!d->found && w->batch->len >= w->max)
		return WALK_DELIVER;
	if (!d->found)
		walk_emit(w, d, "/", NULL, 0);
	walk_pop(w);
	return SLIST_EMPTY(&w->stack) ? WALK_DELIVER : WALK_TAKE;
}

static enum walk_state
walk_remove_run(struct walk *w)
{
	struct walk_dir *d = SLIST_FIRST(&w->stack), *above = SLIST_NEXT(d, above);
	CLEANUP(cleanup_free) char *path = dir_full_path(w, d);
	int code = d->kept ? -ENOTEMPTY : 0;

	if (!d->kept) {
		if (w->await.op == NULL)
			await_start(
			    &w->await, w->runner, cloud_op_new(w->account, CLOUD_RMDIR, path));
		if (!w->await.ended)
			return WALK_REMOVE;
		code = w->await.code;
		await_drop(&w->await);
	}
	if (code != 0 && code != -ENOENT && code != -ENOTEMPTY) /* a prefix goes with its last */
		return walk_fail(w, code, w->await.err);
	walk_pop(w);
	if (above == NULL) {
		if (code == -ENOTEMPTY)
			w->code = err_set(&w->err, code, "'%s' is not empty", w->root);
		return WALK_END;
	}
	above->kept = above->kept || code == -ENOTEMPTY;
	return WALK_TAKE;
}

static enum walk_state
walk_idle_run(struct walk *w)
{
	if (!w->prune && w->batch == NULL)
		return WALK_IDLE;
	if (!w->began) {
		w->began = true;
		/* "/": the root was empty, and that was said. */
		if (w->position == NULL || strcmp(w->position, "/") != 0)
			walk_resume(w);
	}
	return SLIST_EMPTY(&w->stack) ? WALK_DELIVER : WALK_TAKE;
}

static enum walk_state
walk_deliver_run(struct walk *w)
{
	struct walk_batch *b = w->batch;

	if (b->len > 0)
		xstrset(&w->position, b->items[b->len - 1].path);
	b->position = xstrdup_null(w->position);
	b->end = SLIST_EMPTY(&w->stack);
	w->handler.batch(w->arg, &b);
	walk_batch_free(b);
	w->batch = NULL;
	return WALK_IDLE;
}

static const struct {
	enum walk_state (*run)(struct walk *);
} steps[] = {
    [WALK_IDLE] = {walk_idle_run},
    [WALK_LIST] = {walk_list_run},
    [WALK_TAKE] = {walk_take_run},
    [WALK_LEAVE] = {walk_leave_run},
    [WALK_REMOVE] = {walk_remove_run},
    [WALK_DELIVER] = {walk_deliver_run},
    [WALK_END] = {NULL},
};

static void
walk_run(evutil_socket_t fd, short what, void *arg)
{
	struct walk *w = arg;
	enum walk_state next;

	while (steps[w->state].run != NULL && (next = steps[w->state].run(w)) != w->state)
		w->state = next;
	if (w->state == WALK_END) {
		w->handler.done(w->arg, w->code, &w->err);
		walk_free(w);
	}
}

struct walk *
walk_start(struct cloud_runner *runner, const struct walk_spec *spec,
    const struct walk_handler *handler, void *arg)
{
	struct walk *w = xcalloc(1, sizeof *w);

	w->runner = runner;
	w->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, walk_run, w);
	await_init(&w->await, w->wake);
	w->account = cloud_account_ref(spec->account);
	w->root = xstrdup(spec->root);
	w->position = xstrdup_null(spec->position);
	w->prune = spec->prune;
	w->change = spec->change;
	w->no_follow = spec->prune || (spec->change != NULL && spec->change->move);
	SLIST_INIT(&w->stack);
	w->handler = *handler;
	w->arg = arg;
	if (w->prune)
		event_active(w->wake, EV_TIMEOUT, 0);
	return w;
}

void
walk_next(struct walk *w, size_t max)
{
	assert(!w->prune && w->batch == NULL && max > 0);
	w->batch = walk_batch_new();
	w->max = max;
	event_active(w->wake, EV_TIMEOUT, 0);
}

void
walk_free(struct walk *w)
{
	if (w == NULL)
		return;
	await_fini(&w->await);
	while (!SLIST_EMPTY(&w->stack))
		walk_pop(w);
	walk_batch_free(w->batch);
	event_free(w->wake);
	cloud_account_unref(w->account);
	free(w->root);
	free(w->position);
	free(w);
}
