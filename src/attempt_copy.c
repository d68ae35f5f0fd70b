/*
 * A file is copied (copy.h), and removed where it was if it is to be moved: transfers, and renames
 * that the cloud does not carry out itself.
 */
#include "src/attempt_private.h"
#include "src/crash.h"
#include <stdlib.h>
#include <string.h>

enum attempt_state
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

enum attempt_state
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

enum attempt_state
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
enum attempt_state
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
	return code == 0 ? ATTEMPT_COPY : attempt_fail(a, code, a->await.err);
}

void
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

enum attempt_state
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
	return code == 0 || code == -ENOENT ? ATTEMPT_END : attempt_fail(a, code, a->await.err);
}
