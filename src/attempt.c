#include "src/attempt.h"
#include "src/await.h"
#include "src/clock.h"
#include "src/copy.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/path.h"
#include "src/route.h"
#include "src/source.h"
#include "src/tree.h"
#include "src/upload.h"
#include "src/walk.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPT_BATCH 512 /* entries found at a time: keeps a store transaction short */

enum attempt_state {
	ATTEMPT_START,
	ATTEMPT_SINGLE, /* remove, rmdir, mkdir, setattr: one op */
	ATTEMPT_MKDIR_CHECK, /* something is there: a directory? */
	ATTEMPT_COPY,
	ATTEMPT_VERIFIED, /* until attempt_continue() */
	ATTEMPT_RESUME, /* verified before a restart, but which version is not known */
	ATTEMPT_REMOVE_SOURCE,
	ATTEMPT_RENAME_STAT,
	ATTEMPT_RENAME_TARGET,
	ATTEMPT_RENAME_MOVE,
	ATTEMPT_RENAME_CHECK, /* the source is gone: did we move it? */
	ATTEMPT_TREE,
	ATTEMPT_LIST_SOURCE, /* of a tree: is it a directory? */
	ATTEMPT_LIST_TARGET, /* and no file in its way? */
	ATTEMPT_LIST,
	ATTEMPT_PRUNE,
	ATTEMPT_SWEEP, /* a change that was cancelled while nobody carried it */
	ATTEMPT_SWEEP_UPLOAD,
	ATTEMPT_END,
};

struct attempt {
	struct cloud_runner *runner;
	struct event *wake;
	enum attempt_state state;
	struct change *change;
	struct account **accounts, *account;
	size_t accounts_len;
	struct disk_root *spool; /* NULL: none, or spool_error says why */
	int spool_error;
	size_t ring;
	struct budget *memory;
	struct bucket *const *buckets;
	size_t buckets_len;
	struct checkpoint *checkpoint; /* until the copy or the tree takes it */
	struct attempt_handler handler;
	void *arg;

	struct await await;
	struct copy *copy;
	bool copy_ended;
	struct copy_result copied;
	struct tree *tree;
	bool tree_ended;
	struct walk *walk;
	bool walk_ended;
	struct walk_batch *found; /* to be handed on */
	bool asked; /* the walk for more */
	bool found_all, growing, grown, pruning;
	struct attempt_growth growth;
	struct upload *sweep;
	bool sweep_ended;
	bool told, continued;
	bool is_directory; /* what is renamed */
	char *source_version; /* of what is renamed or was copied: only that is removed */
	char *from_where,
	    *to_where; /* of a transfer: where its objects really are; NULL: not known */
	int cancel;
	uint64_t progress_ms, progress_at_ms;
	struct attempt_result result;
};

static void
attempt_wake(struct attempt *a)
{
	event_active(a->wake, EV_TIMEOUT, 0);
}

static bool
attempt_is_repeated(const struct attempt *a)
{
	return a->change->repeated || a->change->attempts > 1;
}

static enum attempt_state
attempt_fail(struct attempt *a, int code, const struct err *err)
{
	assert(code < 0);
	a->result.code = code;
	if (err != &a->result.err)
		a->result.err = *err;
	return ATTEMPT_END;
}

#define ATTEMPT_FAIL(a, code, ...)                                                                 \
	attempt_fail(a, err_set(&(a)->result.err, code, __VA_ARGS__), &(a)->result.err)

/* The op's end is there: its code; the error is in await.err. */
static int
attempt_take(struct attempt *a)
{
	int code = a->await.code;

	await_drop(&a->await);
	return code;
}

static enum attempt_state
attempt_start_transfer(struct attempt *a)
{
	const struct change *c = a->change;
	const struct segment *s = change_source(c);

	/* No descriptors left is no reason to give up what was written here. */
	if (a->spool_error != 0 && a->spool_error != -ENOENT)
		return attempt_fail(a,
		    err_sys(&a->result.err, a->spool_error,
			"cannot open the spool with the content of '%s'", c->path),
		    &a->result.err);
	if (c->segments_len == 0)
		return ATTEMPT_FAIL(a, -EINVAL, "the transfer to '%s' has no source", c->path);
	if (c->move &&
	    (s == NULL || s->kind != SEGMENT_ENTRY || s->offset != 0 ||
		s->length != SEGMENT_TO_END))
		return ATTEMPT_FAIL(
		    a, -EINVAL, "only one whole file can be moved to '%s'", c->path);
	if (c->phase != CHANGE_PHASE_VERIFIED)
		return ATTEMPT_COPY;

	a->result.route = xstrdup_null(c->route);
	a->result.route_reason = xstrdup_null(c->route_reason);
	a->result.verified = xstrdup_null(c->verified);
	a->result.version = xstrdup_null(c->result_version);
	a->result.bytes_done = c->bytes_done;
	a->result.bytes_total = c->bytes_total;
	if (!c->move)
		return ATTEMPT_END;
	a->source_version = xstrdup_null(s->version);
	a->result.source_written_ns = s->written_ns;
	return s->version != NULL ? ATTEMPT_REMOVE_SOURCE : ATTEMPT_RESUME;
}

static struct account *
attempt_source_account(const struct attempt *a)
{
	return accounts_by_id(a->accounts, a->accounts_len, a->change->segments[0].account_id);
}

static enum attempt_state
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

static void
attempt_note_places(struct attempt *a)
{
	const struct segment *s = &a->change->segments[0];

	if (a->change->segments_len == 0 || s->kind != SEGMENT_ENTRY)
		return;
	a->from_where = cloud_where(attempt_source_account(a), s->path);
	a->to_where = cloud_where(a->account, a->change->path);
}

static bool
text_is_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* An account may be renewed while its changes run.  If it means another place by now, what was
   written and what was looked at may be two objects, and source and destination may be one. */
static bool
attempt_is_misled(const struct attempt *a)
{
	const struct segment *s = &a->change->segments[0];
	CLEANUP(cleanup_free) char *from = NULL, *to = NULL;

	if (a->change->segments_len == 0 || s->kind != SEGMENT_ENTRY)
		return false;
	from = cloud_where(attempt_source_account(a), s->path);
	to = cloud_where(a->account, a->change->path);
	return !text_is_equal(from, a->from_where) || !text_is_equal(to, a->to_where) ||
	    (from != NULL && to != NULL && strcmp(from, to) == 0);
}

static enum attempt_state
attempt_start_run(struct attempt *a)
{
	const struct change *c = a->change;
	const struct segment *s;

	if (a->account == NULL)
		return ATTEMPT_FAIL(
		    a, -ENOENT, "the account of '%s' is not there any more", c->path);
	if (c->cancel && c->kind == CHANGE_TRANSFER)
		return ATTEMPT_SWEEP;
	if (c->cancel)
		return ATTEMPT_SWEEP_UPLOAD;
	attempt_note_places(a);
	if (c->kind == CHANGE_TRANSFER)
		return attempt_start_transfer(a);
	if (c->kind == CHANGE_TREE)
		return attempt_start_tree(a);
	if (c->kind != CHANGE_RENAME)
		return ATTEMPT_SINGLE;

	s = change_source(c);
	if (s == NULL || s->kind != SEGMENT_ENTRY || strcmp(s->account_id, c->account_id) != 0)
		return ATTEMPT_FAIL(
		    a, -EINVAL, "the rename to '%s' has no source in its account", c->path);
	if (strcmp(s->path, c->path) == 0)
		return ATTEMPT_END;
	if (path_is_inside(c->path, s->path))
		return ATTEMPT_FAIL(a, -EINVAL, "'%s' cannot be moved into itself", s->path);
	return ATTEMPT_RENAME_STAT;
}

/* -- one op */

static struct cloud_op *
attempt_single_op(const struct attempt *a)
{
	static const enum cloud_op_kind kinds[CHANGE_KINDS] = {
	    [CHANGE_REMOVE] = CLOUD_REMOVE,
	    [CHANGE_RMDIR] = CLOUD_RMDIR,
	    [CHANGE_MKDIR] = CLOUD_MKDIR,
	    [CHANGE_SETATTR] = CLOUD_SETATTR,
	};
	const struct change *c = a->change;
	struct cloud_op *op = cloud_op_new(a->account, kinds[c->kind], c->path);

	if (c->kind == CHANGE_REMOVE) {
		op->version = xstrdup_null(c->version);
		op->gone_is_fine = true; /* a repetition after a crash cannot tell either */
	}
	if (c->kind == CHANGE_SETATTR) {
		op->put.mtime_ns = c->mtime_ns;
		op->put.mode = c->mode;
	}
	return op;
}

static enum attempt_state
attempt_single_run(struct attempt *a)
{
	const struct change *c = a->change;
	int code;

	if (a->await.op == NULL) {
		if (c->kind == CHANGE_SETATTR &&
		    !(a->account->driver->features & CLOUD_CAN_SETATTR)) {
			a->result.route_reason =
			    xasprintf("%s keeps no attributes apart from the content",
				a->account->driver->name);
			return ATTEMPT_END;
		}
		await_start(&a->await, a->runner, attempt_single_op(a));
	}
	if (!a->await.ended)
		return ATTEMPT_SINGLE;
	code = attempt_take(a);
	if (code == -ENOENT && (c->kind == CHANGE_REMOVE || c->kind == CHANGE_RMDIR))
		return ATTEMPT_END;
	if ((code == -EEXIST || code == -ENOTDIR) && c->kind == CHANGE_MKDIR)
		return ATTEMPT_MKDIR_CHECK;
	return code == 0 ? ATTEMPT_END : attempt_fail(a, code, &a->await.err);
}

static enum attempt_state
attempt_mkdir_check_run(struct attempt *a)
{
	bool is_directory;
	int code;

	if (a->await.op == NULL)
		await_start(
		    &a->await, a->runner, cloud_op_new(a->account, CLOUD_STAT, a->change->path));
	if (!a->await.ended)
		return ATTEMPT_MKDIR_CHECK;
	is_directory = a->await.op->entry.kind == ENTRY_DIRECTORY;
	code = attempt_take(a);
	if (code != 0)
		return attempt_fail(a, code, &a->await.err);
	if (!is_directory)
		return ATTEMPT_FAIL(
		    a, -EEXIST, "'%s' exists already and is a file", a->change->path);
	return ATTEMPT_END;
}

/* -- transfer */

static void
attempt_on_progress(void *arg, const struct copy_progress *p)
{
	struct attempt *a = arg;
	uint64_t now = clock_mono_ms();

	a->result.bytes_done = p->done;
	a->result.bytes_total = p->total;
	if (a->progress_at_ms != 0 && now - a->progress_at_ms < a->progress_ms)
		return;
	a->progress_at_ms = now;
	a->handler.progress(a->arg, p);
}

static void
attempt_on_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	struct attempt *a = arg;

	a->handler.note(a->arg, kind, checkpoint, part);
}

/* After a transient failure the queue will have it tried again. */
static void
attempt_on_copied(void *arg, struct copy_result *result)
{
	struct attempt *a = arg;

	a->copy = NULL;
	a->copy_ended = true;
	a->copied = *result;
	*result = (struct copy_result){};
	attempt_wake(a);
}

static void
attempt_copy_start(struct attempt *a)
{
	const struct change *c = a->change;
	bool is_transfer = c->kind == CHANGE_TRANSFER;
	struct copy_spec spec = {
	    .segments = c->segments,
	    .segments_len = c->segments_len,
	    .accounts = a->accounts,
	    .accounts_len = a->accounts_len,
	    .spool = a->spool,
	    .to = a->account,
	    .path = c->path,
	    .temp_id = c->id,
	    .overwrite = c->overwrite,
	    .preserve = c->preserve || !is_transfer,
	    .move = c->move || !is_transfer,
	    .repeated = attempt_is_repeated(a),
	    .mtime_ns = is_transfer ? c->mtime_ns : ENTRY_NO_TIME,
	    .mtime_set = c->mtime_set,
	    .mode = is_transfer ? c->mode : 0,
	    .content_type = is_transfer ? c->content_type : NULL,
	    .ring = a->ring,
	    .memory = a->memory,
	    .buckets = a->buckets,
	    .buckets_len = a->buckets_len,
	    .change = a->change,
	};
	static const struct copy_handler handler = {
	    .progress = attempt_on_progress, .note = attempt_on_note, .done = attempt_on_copied};

	spec.checkpoint = TAKE(a->checkpoint);
	a->copy_ended = false;
	a->copy = copy_start(a->runner, &spec, &handler, a);
}

/* The copy's findings become the attempt's. */
static void
attempt_take_copied(struct attempt *a)
{
	struct copy_result *r = &a->copied;

	free(a->result.route);
	free(a->result.route_reason);
	free(a->result.verified);
	free(a->result.version);
	free(a->result.source_version);
	free(a->source_version);
	a->result.route = TAKE(r->route);
	a->result.route_reason = TAKE(r->route_reason);
	a->result.verified = TAKE(r->verified);
	a->result.version = TAKE(r->version);
	a->result.mtime_ns = r->mtime_ns;
	a->result.source_version = TAKE(r->source_version);
	a->source_version = xstrdup_null(a->result.source_version);
	a->result.source_written_ns = r->source_written_ns;
	if (r->code == 0)
		a->result.bytes_done = a->result.bytes_total = r->size;
}

/* It may be no copy of a document that stays when the document is removed, but within its account
   it can be moved itself. */
static bool
attempt_moves_document(const struct attempt *a)
{
	return a->copied.code == -EPERM && a->copied.unsized &&
	    a->change->kind == CHANGE_TRANSFER && attempt_source_account(a) == a->account &&
	    (a->account->driver->features & CLOUD_CAN_MOVE);
}

static enum attempt_state
attempt_copy_run(struct attempt *a)
{
	if (a->copy == NULL && !a->copy_ended)
		attempt_copy_start(a);
	if (!a->copy_ended)
		return ATTEMPT_COPY;
	attempt_take_copied(a);
	if (attempt_moves_document(a)) {
		xstrset(&a->result.route_reason, NULL);
		return ATTEMPT_RENAME_STAT;
	}
	if (a->copied.code != 0)
		return attempt_fail(a, a->copied.code, &a->copied.err);
	return a->change->kind == CHANGE_TRANSFER ? ATTEMPT_VERIFIED : ATTEMPT_REMOVE_SOURCE;
}

static enum attempt_state
attempt_verified_run(struct attempt *a)
{
	if (!a->told) {
		a->told = true;
		crash_point("attempt.before_verified");
		a->handler.verified(a->arg, &a->result);
	}
	if (!a->continued)
		return ATTEMPT_VERIFIED;
	crash_point("attempt.after_verified");
	return a->change->move ? ATTEMPT_REMOVE_SOURCE : ATTEMPT_END;
}

/*
 * Verified before a restart, but the record does not say which version was copied (a cloud without
 * versions, for instance).  A source that is gone was removed by us; one that is there is copied
 * again.
 */
static enum attempt_state
attempt_resume_run(struct attempt *a)
{
	struct account *from = attempt_source_account(a);
	int code;

	if (from == NULL)
		return ATTEMPT_FAIL(a, -ENOENT,
		    "the account of the source '%s' is not there any more",
		    a->change->segments[0].path);
	if (a->await.op == NULL)
		await_start(&a->await, a->runner,
		    cloud_op_new(from, CLOUD_STAT, a->change->segments[0].path));
	if (!a->await.ended)
		return ATTEMPT_RESUME;
	code = attempt_take(a);
	if (code == -ENOENT)
		return ATTEMPT_END;
	return code == 0 ? ATTEMPT_COPY : attempt_fail(a, code, &a->await.err);
}

static enum attempt_state
attempt_remove_source_run(struct attempt *a)
{
	const char *path = a->change->segments[0].path;
	struct account *from = attempt_source_account(a);
	struct cloud_op *op;
	int code;

	if (from == NULL)
		return ATTEMPT_FAIL(a, -ENOENT,
		    "the account of the source '%s' is not there any more; it was copied, not removed",
		    path);
	if (a->await.op == NULL) {
		if (attempt_is_misled(a))
			return ATTEMPT_FAIL(a, -ESTALE,
			    "an account was set to another place while '%s' was moved; the source "
			    "was not removed",
			    path);
		op = cloud_op_new(from, CLOUD_REMOVE, path);
		op->version = xstrdup_null(a->source_version);
		op->written_ns = a->result.source_written_ns;
		crash_point("attempt.before_remove_source");
		await_start(&a->await, a->runner, op);
	}
	if (!a->await.ended)
		return ATTEMPT_REMOVE_SOURCE;
	crash_point("attempt.after_remove_source");
	code = attempt_take(a);
	if (code == -ESTALE)
		return ATTEMPT_FAIL(a, code,
		    "the source '%s' changed after it was copied; it was not removed", path);
	return code == 0 || code == -ENOENT ? ATTEMPT_END : attempt_fail(a, code, &a->await.err);
}

/* -- rename */

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

static enum attempt_state
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
		return attempt_fail(a, code, &a->await.err);
	if (a->change->version != NULL && a->source_version != NULL &&
	    strcmp(a->change->version, a->source_version) != 0)
		return ATTEMPT_FAIL(
		    a, -ESTALE, "'%s' changed after the rename was asked for", from);
	return attempt_rename_route(a);
}

static enum attempt_state
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
	return code == -ENOENT ? ATTEMPT_TREE : attempt_fail(a, code, &a->await.err);
}

static enum attempt_state
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
	return attempt_fail(a, code, &a->await.err);
}

static enum attempt_state
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
	return code == 0 ? ATTEMPT_END : attempt_fail(a, code, &a->await.err);
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

static enum attempt_state
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

/* -- a tree */

static enum attempt_state
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
		return attempt_fail(a, code, &a->await.err);
	if (!is_directory)
		return ATTEMPT_FAIL(a, -ENOTDIR,
		    "the source '%s' is a file: it is copied without 'recursive'", path);
	return ATTEMPT_LIST_TARGET;
}

static enum attempt_state
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
		return attempt_fail(a, code, &a->await.err);
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

static enum attempt_state
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

static enum attempt_state
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

static enum attempt_state
attempt_sweep_run(struct attempt *a)
{
	struct cloud_op *op;
	int code;

	if (a->await.op == NULL) {
		op = cloud_op_new(a->account, CLOUD_SWEEP, a->change->path);
		op->put.temp_id = xstrdup(a->change->id);
		await_start(&a->await, a->runner, op);
	}
	if (!a->await.ended)
		return ATTEMPT_SWEEP;
	code = attempt_take(a);
	if (code != 0)
		log_warning("%s: what an earlier attempt left beside '%s' may still be there: %s",
		    a->change->id, a->change->path, err_text(&a->await.err));
	return ATTEMPT_SWEEP_UPLOAD;
}

static void
attempt_on_swept(void *arg, int code, const struct err *err)
{
	struct attempt *a = arg;

	a->sweep_ended = true;
	if (code != 0)
		log_warning("%s: the upload that was begun to '%s' may still be there: %s",
		    a->change->id, a->change->path, err_text(err));
	attempt_wake(a);
}

/* What it cannot abort now stays in the checkpoint, for a later sweep. */
static enum attempt_state
attempt_sweep_upload_run(struct attempt *a)
{
	static const struct upload_handler handler = {
	    .note = attempt_on_note, .done = attempt_on_swept};

	if (a->checkpoint != NULL)
		a->sweep = upload_sweep(a->runner, a->account, TAKE(a->checkpoint), &handler, a);
	if (a->sweep != NULL && !a->sweep_ended)
		return ATTEMPT_SWEEP_UPLOAD;
	return ATTEMPT_FAIL(a, -ECANCELED, "cancelled");
}

static const struct {
	const char *name;
	enum attempt_state (*run)(struct attempt *);
} steps[] = {
    [ATTEMPT_START] = {"start", attempt_start_run},
    [ATTEMPT_SINGLE] = {"single", attempt_single_run},
    [ATTEMPT_MKDIR_CHECK] = {"mkdir check", attempt_mkdir_check_run},
    [ATTEMPT_COPY] = {"copy", attempt_copy_run},
    [ATTEMPT_VERIFIED] = {"verified", attempt_verified_run},
    [ATTEMPT_RESUME] = {"resume", attempt_resume_run},
    [ATTEMPT_REMOVE_SOURCE] = {"remove source", attempt_remove_source_run},
    [ATTEMPT_RENAME_STAT] = {"rename stat", attempt_rename_stat_run},
    [ATTEMPT_RENAME_TARGET] = {"rename target", attempt_rename_target_run},
    [ATTEMPT_RENAME_MOVE] = {"rename move", attempt_rename_move_run},
    [ATTEMPT_RENAME_CHECK] = {"rename check", attempt_rename_check_run},
    [ATTEMPT_TREE] = {"tree", attempt_tree_run},
    [ATTEMPT_LIST_SOURCE] = {"list source", attempt_list_source_run},
    [ATTEMPT_LIST_TARGET] = {"list target", attempt_list_target_run},
    [ATTEMPT_LIST] = {"list", attempt_list_run},
    [ATTEMPT_PRUNE] = {"prune", attempt_prune_run},
    [ATTEMPT_SWEEP] = {"sweep", attempt_sweep_run},
    [ATTEMPT_SWEEP_UPLOAD] = {"sweep upload", attempt_sweep_upload_run},
    [ATTEMPT_END] = {"end", NULL},
};

static void
attempt_free(struct attempt *a)
{
	size_t i;

	copy_free(a->copy);
	tree_free(a->tree);
	walk_free(a->walk);
	walk_batch_free(a->found);
	checkpoint_free(upload_free(a->sweep));
	checkpoint_free(a->checkpoint);
	await_drop(&a->await);
	event_free(a->wake);
	copy_result_fini(&a->copied);
	disk_root_unref(a->spool);
	for (i = 0; i < a->accounts_len; i++)
		cloud_account_unref(a->accounts[i]);
	free(a->accounts);
	free(a->from_where);
	free(a->to_where);
	free(a->source_version);
	free(a->result.route);
	free(a->result.route_reason);
	free(a->result.verified);
	free(a->result.version);
	free(a->result.source_version);
	change_free(a->change);
	free(a);
}

/* It cleans up; or the destination is right and what is left is being sent: whether that was done
   could not be told any more.  These are single ops, whose retries are bounded. */
static bool
attempt_is_past_cancel(const struct attempt *a)
{
	return a->state == ATTEMPT_SWEEP || a->state == ATTEMPT_SWEEP_UPLOAD ||
	    a->state == ATTEMPT_REMOVE_SOURCE || a->state == ATTEMPT_RENAME_MOVE ||
	    a->state == ATTEMPT_RENAME_CHECK;
}

/* A cancel sweeps, so a copy or a tree is asked to end; everything else just stops. */
static void
attempt_run_cancel(struct attempt *a)
{
	int code = a->cancel;

	if (code == -ECANCELED && a->copy != NULL) {
		copy_abort(a->copy);
		return;
	}
	if (code == -ECANCELED && a->tree != NULL) {
		tree_abort(a->tree);
		return;
	}
	if (code == -ECANCELED && attempt_is_past_cancel(a))
		return;
	copy_free(TAKE(a->copy));
	tree_free(TAKE(a->tree));
	walk_free(TAKE(a->walk));
	checkpoint_free(upload_free(TAKE(a->sweep)));
	await_drop(&a->await);
	a->state =
	    ATTEMPT_FAIL(a, code, "%s", code == -ECANCELED ? "cancelled" : err_info(code)->text);
}

static void
attempt_run(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	enum attempt_state next;

	if (a->cancel != 0 && a->state != ATTEMPT_END)
		attempt_run_cancel(a);
	while (steps[a->state].run != NULL && (next = steps[a->state].run(a)) != a->state) {
		log_debug("%s: %s -> %s", a->change->id, steps[a->state].name, steps[next].name);
		a->state = next;
	}
	if (a->state == ATTEMPT_END) {
		a->handler.done(a->arg, &a->result);
		attempt_free(a);
	}
}

static bool
attempt_needs_spool(const struct change *change)
{
	size_t i;

	for (i = 0; i < change->segments_len; i++) {
		if (change->segments[i].kind == SEGMENT_SPOOL)
			return true;
	}
	return false;
}

/* A directory of our own state, which the daemon could not run without. */
static void
attempt_open_spool(struct attempt *a, const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		a->spool_error = -errno;
	else
		a->spool = disk_root_of(fd);
}

struct attempt *
attempt_start(struct cloud_runner *runner, const struct change *change, struct account **accounts,
    size_t accounts_len, const struct attempt_config *config, const struct attempt_handler *handler,
    void *arg)
{
	struct attempt *a = xcalloc(1, sizeof *a);
	size_t i;

	a->runner = runner;
	a->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, attempt_run, a);
	await_init(&a->await, a->wake);
	a->change = change_copy(change);
	a->accounts = xcalloc(accounts_len + 1, sizeof *a->accounts);
	a->accounts_len = accounts_len;
	for (i = 0; i < accounts_len; i++)
		a->accounts[i] = cloud_account_ref(accounts[i]);
	a->account = accounts_by_id(a->accounts, accounts_len, change->account_id);
	a->ring = config->ring;
	a->progress_ms = config->progress_ms;
	a->memory = config->memory;
	a->buckets = config->buckets;
	a->buckets_len = config->buckets_len;
	a->checkpoint = config->checkpoint;
	a->handler = *handler;
	a->arg = arg;
	a->result.bytes_total = change->kind == CHANGE_TRANSFER ? UINT64_MAX : 0;
	a->result.mtime_ns = ENTRY_NO_TIME;
	if (config->spool_dir != NULL && attempt_needs_spool(change))
		attempt_open_spool(a, config->spool_dir);
	attempt_wake(a);
	return a;
}

void
attempt_noted(struct attempt *a)
{
	if (a->copy != NULL)
		copy_noted(a->copy);
	if (a->tree != NULL)
		tree_noted(a->tree);
}

void
attempt_grown(struct attempt *a, const struct attempt_growth *growth)
{
	a->growth = *growth;
	a->change->attempts = growth->attempts;
	a->growing = false;
	a->grown = true;
	attempt_wake(a);
}

void
attempt_continue(struct attempt *a)
{
	a->continued = true;
	attempt_wake(a);
}

void
attempt_cancel(struct attempt *a, int code)
{
	assert(code < 0);
	a->cancel = code;
	attempt_wake(a);
}
