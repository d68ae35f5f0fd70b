/*
 * A move within an account, by its cloud where that can do it.  Where it cannot, a file is copied
 * (attempt_copy.c), and a directory moved file by file (tree.h).
 */
#include "src/attempt_private.h"
#include "src/path.h"
#include "src/route.h"
#include <string.h>

enum attempt_state
attempt_start_rename(struct attempt *a)
{
	const struct change *c = a->change;
	const struct segment *s = change_source(c);

	if (s == NULL || s->kind != SEGMENT_ENTRY || strcmp(s->account_id, c->account_id) != 0)
		return ATTEMPT_FAIL(
		    a, -EINVAL, "the rename to '%s' has no source in its account", c->path);
	if (strcmp(s->path, c->path) == 0)
		return ATTEMPT_END;
	if (path_is_inside(c->path, s->path))
		return ATTEMPT_FAIL(a, -EINVAL, "'%s' cannot be moved into itself", s->path);
	return ATTEMPT_RENAME_STAT;
}

static enum attempt_state
attempt_rename_route(struct attempt *a)
{
	unsigned features = a->account->driver->features;

	if (features & (a->is_directory ? CLOUD_CAN_MOVE_DIR : CLOUD_CAN_MOVE))
		return ATTEMPT_RENAME_MOVE;
	if (!a->is_directory)
		return ATTEMPT_COPY;
	/* A tree that moves piece by piece finds its own pieces there when it is repeated. */
	return a->change->overwrite || attempt_is_repeated(a) ? ATTEMPT_TREE
							      : ATTEMPT_RENAME_TARGET;
}

enum attempt_state
attempt_rename_stat_run(struct attempt *a)
{
	const char *from = a->change->segments[0].path;
	int code;

	if (a->await.op == NULL)
		await_start(&a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, from));
	if (!a->await.ended)
		return ATTEMPT_RENAME_STAT;
	a->is_directory = a->await.op->entry.kind == ENTRY_DIRECTORY;
	xstrset(&a->source_version, a->is_directory ? NULL : a->await.op->entry.version);
	code = attempt_take(a);
	if (code == -ENOENT && attempt_is_repeated(a))
		return ATTEMPT_RENAME_CHECK;
	if (code != 0)
		return attempt_fail(a, code, a->await.err);
	if (a->change->version != NULL && a->source_version != NULL &&
	    strcmp(a->change->version, a->source_version) != 0)
		return ATTEMPT_FAIL(
		    a, -ESTALE, "'%s' changed after the rename was asked for", from);
	return attempt_rename_route(a);
}

enum attempt_state
attempt_rename_target_run(struct attempt *a)
{
	int code;

	if (a->await.op == NULL)
		await_start(
		    &a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, a->change->path));
	if (!a->await.ended)
		return ATTEMPT_RENAME_TARGET;
	code = attempt_take(a);
	if (code == 0)
		return ATTEMPT_FAIL(a, -EEXIST, "'%s' exists already", a->change->path);
	return code == -ENOENT ? ATTEMPT_TREE : attempt_fail(a, code, a->await.err);
}

enum attempt_state
attempt_rename_move_run(struct attempt *a)
{
	struct cloud_op *op;
	int code;

	if (a->await.op == NULL) {
		op = cloud_op_new(a->account, CLOUD_MOVE, a->change->segments[0].path);
		op->path2 = xstrdup(a->change->path);
		op->version = xstrdup_null(a->source_version);
		op->put.no_replace = !a->change->overwrite;
		await_start(&a->await, a->runner, op);
	}
	if (!a->await.ended)
		return ATTEMPT_RENAME_MOVE;
	if (a->await.code == 0 && !a->is_directory)
		xstrset(&a->result.version, a->await.op->entry.version);
	code = attempt_take(a);
	if (code == 0) {
		xstrset(&a->result.route, route_name(ROUTE_NATIVE));
		return ATTEMPT_END;
	}
	if (code ==
	    -ENOENT) /* it was there a moment ago: the answer to a move of ours may be lost */
		return ATTEMPT_RENAME_CHECK;
	if ((code == -EOPNOTSUPP || code == -EXDEV) && !a->copied.unsized)
		return a->is_directory ? ATTEMPT_TREE : ATTEMPT_COPY;
	return attempt_fail(a, code, a->await.err);
}

enum attempt_state
attempt_rename_check_run(struct attempt *a)
{
	int code;

	if (a->await.op == NULL)
		await_start(
		    &a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, a->change->path));
	if (!a->await.ended)
		return ATTEMPT_RENAME_CHECK;
	code = attempt_take(a);
	if (code == -ENOENT)
		return ATTEMPT_FAIL(a, code, "'%s' is not there", a->change->segments[0].path);
	return code == 0 ? ATTEMPT_END : attempt_fail(a, code, a->await.err);
}

static void
attempt_on_tree_progress(void *arg, uint64_t bytes)
{
	const struct copy_progress p = {
	    .done = bytes, .total = UINT64_MAX, .route = route_name(ROUTE_RELAY)};

	attempt_on_progress(arg, &p);
}

static void
attempt_on_tree_done(void *arg, int code, const struct err *err)
{
	struct attempt *a = arg;

	a->tree = NULL;
	a->tree_ended = true;
	if (code != 0)
		attempt_fail(a, code, err);
	attempt_wake(a);
}

enum attempt_state
attempt_tree_run(struct attempt *a)
{
	static const struct tree_handler handler = {.progress = attempt_on_tree_progress,
	    .note = attempt_on_note,
	    .done = attempt_on_tree_done};
	const struct change *c = a->change;
	struct tree_spec spec;

	if (a->tree == NULL && !a->tree_ended) {
		spec = (struct tree_spec){
		    .account = a->account,
		    .from = c->segments[0].path,
		    .to = c->path,
		    .id = c->id,
		    .repeated = attempt_is_repeated(a),
		    .change = a->change,
		    .ring = a->ring,
		    .memory = a->memory,
		    .buckets = a->buckets,
		    .buckets_len = a->buckets_len,
		};
		spec.checkpoint = TAKE(a->checkpoint);
		a->tree = tree_start(a->runner, &spec, &handler, a);
	}
	return a->tree_ended ? ATTEMPT_END : ATTEMPT_TREE;
}
