/*
 * A directory whose files become changes of their own: its source is listed (walk.h), what is found
 * is handed on, and when all of that has ended a move removes the directories that are left.
 */
#include "src/attempt_private.h"

#define ATTEMPT_BATCH 512 /* entries found at a time: keeps a store transaction short */

enum attempt_state
attempt_start_tree(struct attempt *a)
{
	const struct change *c = a->change;
	const char *from = c->segments[0].path;
	struct account *source = attempt_source_account(a);

	if (source == NULL)
		return ATTEMPT_FAIL(
		    a, -ENOENT, "the account of the source '%s' is not there any more", from);
	if (c->position != NULL || c->listed)
		return ATTEMPT_LIST;
	if (cloud_is_inside(a->account, c->path, source, from))
		return ATTEMPT_FAIL(a, -EINVAL,
		    "'%s' of '%s' lies in the directory that is to be copied there, '%s' of '%s'",
		    c->path, a->account->name, from, source->name);
	if (cloud_is_inside(source, from, a->account, c->path))
		return ATTEMPT_FAIL(a, -EINVAL,
		    "'%s' of '%s' lies in the directory that it is to replace, '%s' of '%s'", from,
		    source->name, c->path, a->account->name);
	return ATTEMPT_LIST_SOURCE;
}

enum attempt_state
attempt_list_source_run(struct attempt *a)
{
	const char *path = a->change->segments[0].path;
	bool is_directory;
	int code;

	if (a->await.op == NULL)
		await_start(&a->await, a->runner,
		    cloud_op_new(attempt_source_account(a), CLOUD_STAT, path));
	if (!a->await.ended)
		return ATTEMPT_LIST_SOURCE;
	is_directory = a->await.op->entry.kind == ENTRY_DIRECTORY;
	code = attempt_take(a);
	if (code != 0)
		return attempt_fail(a, code, a->await.err);
	if (!is_directory)
		return ATTEMPT_FAIL(a, -ENOTDIR,
		    "the source '%s' is a file: it is copied without 'recursive'", path);
	return ATTEMPT_LIST_TARGET;
}

enum attempt_state
attempt_list_target_run(struct attempt *a)
{
	const char *path = a->change->path;
	bool is_directory;
	int code;

	if (a->await.op == NULL)
		await_start(&a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, path));
	if (!a->await.ended)
		return ATTEMPT_LIST_TARGET;
	is_directory = a->await.op->entry.kind == ENTRY_DIRECTORY;
	code = attempt_take(a);
	if (code == -ENOENT)
		return ATTEMPT_LIST;
	if (code != 0)
		return attempt_fail(a, code, a->await.err);
	if (!is_directory)
		return ATTEMPT_FAIL(
		    a, -ENOTDIR, "cannot replace the file '%s' with a directory", path);
	return ATTEMPT_LIST;
}

static void
attempt_on_batch(void *arg, struct walk_batch **batch)
{
	struct attempt *a = arg;

	a->found = TAKE(*batch);
	a->asked = false;
	attempt_wake(a);
}

static void
attempt_on_walk_done(void *arg, int code, const struct err *err)
{
	struct attempt *a = arg;

	a->walk = NULL;
	a->walk_ended = true;
	if (code != 0)
		attempt_fail(a, code, err);
	attempt_wake(a);
}

static const struct walk_handler walk_handler = {
    .batch = attempt_on_batch, .done = attempt_on_walk_done};

static void
attempt_walk_start(struct attempt *a, bool prune)
{
	struct walk_spec spec = {
	    .account = attempt_source_account(a),
	    .root = a->change->segments[0].path,
	    .position = prune ? NULL : a->change->position,
	    .prune = prune,
	    .change = a->change,
	};

	a->walk = walk_start(a->runner, &spec, &walk_handler, a);
}

static void
attempt_grow(struct attempt *a, struct walk_batch *found)
{
	a->growing = true;
	a->found_all = a->found_all || found->end;
	a->handler.grow(a->arg, found);
}

/* Its children are over: what is left is to remove where they were. */
static enum attempt_state
attempt_list_ended(struct attempt *a)
{
	const struct change *c = a->change;

	a->result.parked = a->growth.live > 0;
	return !a->result.parked && c->move && a->growth.failed == 0 && c->error == 0
	    ? ATTEMPT_PRUNE
	    : ATTEMPT_END;
}

enum attempt_state
attempt_list_run(struct attempt *a)
{
	if (!a->grown && !a->growing)
		attempt_grow(a, walk_batch_new()); /* how many may there be? */
	if (a->walk_ended)
		return ATTEMPT_END;
	if (a->growing)
		return ATTEMPT_LIST;
	if (a->found != NULL) {
		attempt_grow(a, TAKE(a->found));
		return ATTEMPT_LIST;
	}
	/* With an error it is over, too: that of a listing which could not go on. */
	if (a->found_all || a->change->listed || a->change->error != 0)
		return attempt_list_ended(a);
	if (a->growth.room == 0) {
		a->result.parked = true;
		return ATTEMPT_END;
	}
	if (a->walk == NULL)
		attempt_walk_start(a, false);
	if (!a->asked)
		walk_next(a->walk, (size_t)MIN(a->growth.room, (uint64_t)ATTEMPT_BATCH));
	a->asked = true;
	return ATTEMPT_LIST;
}

enum attempt_state
attempt_prune_run(struct attempt *a)
{
	if (!a->pruning) {
		walk_free(TAKE(a->walk));
		attempt_walk_start(a, true);
	}
	a->pruning = true;
	if (!a->walk_ended)
		return ATTEMPT_PRUNE;
	if (a->result.code == -ENOTEMPTY)
		return ATTEMPT_FAIL(a, -ENOTEMPTY,
		    "'%s' got new entries while it was moved; they are still there: repeat the "
		    "move",
		    a->change->segments[0].path);
	return ATTEMPT_END;
}
