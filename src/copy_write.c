/* How the destination is written: by its cloud, through us in one piece, or as an upload. */
#include "src/copy_private.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>

#define COPY_RELAY_TRIES 3 /* in one attempt; later ones are the queue's */

static bool
copy_is_loose(const struct copy *c)
{
	return c->route == ROUTE_PULL && !c->link_is_pinned;
}

/* An upload that was gone on with by another route has the parts that were pulled all the same. */
static enum copy_state
copy_after_write(const struct copy *c)
{
	return copy_is_loose(c) || c->parts_are_loose ? COPY_STAT_SOURCE_AGAIN : COPY_STAT_RESULT;
}

/* The destination is written: what its cloud said of it. */
static enum copy_state
copy_written(struct copy *c, const struct entry *e)
{
	entry_copy(&c->dest, e);
	c->dest_is_exact = c->to->driver->transport == CLOUD_DISK;
	return copy_after_write(c);
}

/* The cloud does not do it by itself: because of the two accounts, or only this time. */
static void
copy_relay_instead(struct copy *c, const struct err *why)
{
	free(c->result.route_reason);
	c->result.route_reason =
	    xasprintf(c->route == ROUTE_PULL ? "the destination could not pull: %s"
					     : "a native copy was refused: %s",
		err_text(why));
	copy_set_route(c, ROUTE_RELAY);
}

/* The source is there, since we have seen it: an account that may not see it is told that it is
 * not.
 */
static bool
copy_is_refused(const struct copy *c, int code)
{
	bool one = c->source.parts[0].account == c->to;

	return code == -EOPNOTSUPP || code == -EXDEV || code == -EACCES ||
	    (code == -ENOENT && !one) || (code == -EINVAL && c->route == ROUTE_PULL);
}

static void
copy_refused(struct copy *c, const struct err *err, bool only_this)
{
	if (c->source.parts[0].account != c->to && !only_this)
		cloud_refuse_copies(c->to, c->source.parts[0].account);
	copy_relay_instead(c, err);
}

enum copy_state
copy_link_run(struct copy *c)
{
	const struct segment *source = &c->source.segments[0];
	struct err err = ERR_INIT;
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		if (route_check_pull(c->runner, c->to, NULL, c->source.total, &err) != 0) {
			copy_relay_instead(c, &err);
			return COPY_ROUTE;
		}
		op = cloud_op_new(c->source.parts[0].account, CLOUD_LINK, source->path);
		op->version = xstrdup_null(source->version);
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_LINK;
	code = c->await.code;
	if (code != 0) {
		err = *c->await.err;
	} else {
		c->link = TAKE(c->await.op->link);
		c->link_is_pinned = c->await.op->is_pinned;
		c->link_has_etag = c->await.op->is_etag;
		code = route_check_pull(c->runner, c->to, c->link, c->source.total, &err);
	}
	await_drop(&c->await);
	if (code != 0)
		copy_relay_instead(c, &err);
	return COPY_ROUTE;
}

/* What the cloud goes on with, should this end here. */
static void
copy_keep(struct copy *c, const char *resume)
{
	const char *version = c->source.segments[0].version;

	if (resume == NULL || version == NULL)
		return;
	if (c->checkpoint == NULL) {
		c->checkpoint = checkpoint_new();
		c->checkpoint->path = xstrdup(c->path);
		c->checkpoint->place = cloud_where(c->to, c->path);
		c->checkpoint->source = xstrdup(version);
		c->checkpoint->size = c->checkpoint->part_size = c->source.total;
	} else if (strcmp(c->checkpoint->resume, resume) == 0) {
		return;
	}
	xstrset(&c->checkpoint->resume, resume);
	c->handler.note(c->arg, CHECKPOINT_HEAD, c->checkpoint, NULL);
}

static void
copy_on_native_progress(void *arg, struct cloud_op *op, uint64_t bytes)
{
	copy_keep(arg, op->resume);
	copy_report(arg, bytes);
}

enum copy_state
copy_by_cloud_run(struct copy *c)
{
	enum copy_state next;
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		op = copy_op_new(c, CLOUD_COPY);
		if (c->route == ROUTE_NATIVE)
			op->from = c->source.parts[0].account;
		op->link = xstrdup_null(c->link);
		op->path2 = xstrdup(c->source.segments[0].path);
		if (c->route == ROUTE_NATIVE || c->link_has_etag)
			op->version = xstrdup_null(c->source.segments[0].version);
		op->length = c->source.total;
		op->resume = c->checkpoint == NULL ? NULL : xstrdup(c->checkpoint->resume);
		op->progress = copy_on_native_progress;
		op->progress_arg = c;
		c->begun = true;
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_BY_CLOUD;
	code = c->await.code;
	if (code == 0) {
		copy_report(c, c->source.total);
		next = copy_written(c, &c->await.op->entry);
	} else if (copy_is_refused(c, code)) {
		copy_refused(c, c->await.err, c->await.op->only_this);
		next = copy_is_upload(c) ? COPY_UPLOAD : COPY_RELAY;
	} else if (code == -ESTALE) {
		next = COPY_FAIL(c, code, "the source '%s' changed while it was copied",
		    c->source.segments[0].path);
	} else {
		c->result.err = *c->await.err;
		next = copy_fail(c, code);
	}
	await_drop(&c->await);
	return next;
}

/* -- through us */

/*
 * What to compute on the way.  One hash that both clouds know checks both legs; else the cheapest
 * each of them knows.  What nobody can compare is not computed.
 */
static unsigned
copy_hashes(const struct copy *c)
{
	struct digests source = {.have = c->source.whole ? c->source.entry.digests.have : 0};
	struct digests dest = {.have = c->to->hashes};
	int both = digests_common(&source, &dest);
	int of_source = digests_common(&source, &source), of_dest = digests_common(&dest, &dest);

	/* The destination's cloud compares what arrives with what the source's cloud says, and
	   shows nothing else: that covers both legs, and costs nothing here. */
	if (both >= 0 && (c->to->driver->features & CLOUD_CHECKS_PUT))
		return 0;
	if (both >= 0)
		return HASH_BIT(both);
	return (of_source >= 0 ? HASH_BIT(of_source) : 0) | (of_dest >= 0 ? HASH_BIT(of_dest) : 0);
}

static void
copy_on_relay_progress(void *arg, uint64_t bytes)
{
	copy_report(arg, bytes);
}

static void
copy_on_relay_done(void *arg, int code, const struct err *err)
{
	struct copy *c = arg;

	c->relay_ended = true;
	c->relay_code = code;
	err_keep(&c->relay_err, code == 0 ? NULL : err);
	copy_wake(c);
}

/* An unsized source is kept whole until its end.  False: there is no memory for it now, as if the
   relay had been refused. */
static bool
copy_reserve(struct copy *c)
{
	struct err err = ERR_INIT;

	if (!c->source.unsized || c->reserved > 0 || c->memory == NULL)
		return true;
	if (!budget_try_large(c->memory, ENTRY_UNSIZED_MAX)) {
		copy_on_relay_done(c,
		    err_set(&err, -EAGAIN, "'%s': waits for memory (transfer.memory)", c->path),
		    &err);
		return false;
	}
	c->reserved = ENTRY_UNSIZED_MAX;
	return true;
}

void
copy_relay_stop(struct copy *c)
{
	relay_free(TAKE(c->relay));
	if (c->reserved > 0)
		budget_give_large(c->memory, c->reserved);
	c->reserved = 0;
}

/* The source's answer has begun: what it is, and so what is to be written.  NULL if not by one PUT;
   the error, if it is one, is in result. */
static struct cloud_op *
copy_on_pinned(void *arg, const struct entry *entry, unsigned *hashes)
{
	struct copy *c = arg;
	int code = source_take(&c->source, entry, &c->result.err);

	if (code == 0)
		code = copy_check_source(c);
	c->result.code = code;
	if (code != 0 || copy_is_upload(c) || !copy_reserve(c)) {
		copy_wake(c);
		return NULL;
	}
	copy_report(c, 0);
	*hashes = copy_hashes(c);
	return copy_op_new(c, CLOUD_PUT);
}

static void
copy_relay_start(struct copy *c)
{
	const struct relay_spec spec = {
	    .parts = c->source.parts,
	    .parts_len = c->source.len,
	    .spool = c->source.spool,
	    .ring = c->ring,
	    .hashes = c->source.known ? copy_hashes(c) : 0,
	    .expected = c->source.whole ? &c->source.entry.digests : NULL,
	    .pinned = c->source.known ? NULL : copy_on_pinned,
	    .buckets = c->buckets,
	    .buckets_len = c->buckets_len,
	};

	c->relay_ended = false;
	c->relay = relay_start(c->runner, &spec, c->source.known ? copy_op_new(c, CLOUD_PUT) : NULL,
	    copy_on_relay_progress, copy_on_relay_done, c);
}

static void
copy_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct copy *c = arg;

	c->waited = true;
	copy_wake(c);
}

/* What was refused or broke off at once is tried again here: that costs less than a way through the
   queue, and the cloud is asked no more by it than the account may be.  A read that found nothing
   tells less than a stat: a directory is none. */
static enum copy_state
copy_relay_failed(struct copy *c)
{
	int code = c->relay_code;
	uint64_t wait = CLOUD_ENOUGH;

	if (c->relay != NULL && !relay_is_pinned(c->relay) && code == -ENOENT) {
		c->asked = true;
		return COPY_STAT_SOURCE;
	}
	if (code == -EAGAIN || code == -ECONNRESET)
		wait = cloud_tries_next(&c->tries, c->runner, COPY_RELAY_TRIES, true, c->relay_err);
	if (wait == CLOUD_ENOUGH) {
		c->result.err = *c->relay_err;
		return copy_fail(c, code);
	}
	log_debug("'%s': failed, again in %llu ms: %s", c->path, (unsigned long long)wait,
	    err_text(c->relay_err));
	if (c->timer == NULL)
		c->timer = evtimer_new(loop_base(cloud_runner_loop(c->runner)), copy_on_timer, c);
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

	event_add(c->timer, &tv);
	c->waited = false;
	return COPY_WAIT;
}

/* As a later attempt would: what the first try left is swept. */
enum copy_state
copy_wait_run(struct copy *c)
{
	if (!c->waited)
		return COPY_WAIT;
	c->repeated = true;
	return COPY_SWEEP;
}

enum copy_state
copy_relay_run(struct copy *c)
{
	enum copy_state next;

	if (c->relay == NULL && (!c->source.known || copy_reserve(c)))
		copy_relay_start(c);
	c->begun |= c->relay != NULL && relay_has_begun(c->relay);
	if (c->result.code != 0) {
		next = copy_fail(c, c->result.code); /* what came was not what is to be copied */
	} else if (c->source.known && copy_is_upload(c)) {
		next = COPY_ROUTE;
	} else if (!c->relay_ended) {
		return COPY_RELAY;
	} else if (c->relay_code == 0) {
		c->computed = *relay_digests(c->relay);
		if (c->source.unsized)
			c->result.size = c->source.total = relay_bytes(c->relay);
		next = copy_written(c, &relay_op(c->relay)->entry);
	} else {
		next = copy_relay_failed(c);
	}
	copy_relay_stop(c);
	return next;
}

/* -- as an upload */

static void
copy_on_upload_progress(void *arg, const struct upload_progress *up)
{
	struct copy *c = arg;
	const struct copy_progress p = {
	    .done = up->bytes,
	    .total = c->source.total,
	    .route = c->result.route,
	    .route_reason = c->result.route_reason,
	    .parts_done = up->parts_done,
	    .parts = up->parts,
	    .at_once = up->at_once,
	    .why = up->why,
	};

	if (c->handler.progress != NULL)
		c->handler.progress(c->arg, &p);
}

static void
copy_on_upload_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	struct copy *c = arg;

	c->handler.note(c->arg, kind, checkpoint, part);
}

static void
copy_on_upload_done(void *arg, int code, const struct err *err)
{
	struct copy *c = arg;

	c->upload_ended = true;
	c->upload_code = code;
	err_keep(&c->upload_err, code == 0 ? NULL : err);
	copy_wake(c);
}

static const struct upload_handler upload_handler = {
    .progress = copy_on_upload_progress,
    .note = copy_on_upload_note,
    .done = copy_on_upload_done,
};

/* What the destination's cloud checks of each part; and what of the whole can be put together. */
static unsigned
copy_part_hashes(const struct copy *c)
{
	struct digests dest = {.have = c->to->hashes};
	int of_dest = digests_common(&dest, &dest);

	if (c->route != ROUTE_RELAY)
		return 0;
	return (of_dest >= 0 ? HASH_BIT(of_dest) : 0) |
	    (c->source.whole ? c->source.entry.digests.have & HASH_BIT(HASH_CRC32C) : 0);
}

static void
copy_upload_start(struct copy *c)
{
	struct cloud_op *like = copy_op_new(c, CLOUD_UPLOAD_BEGIN);
	struct upload_spec spec = {
	    .ranges = c->source.parts,
	    .ranges_len = c->source.len,
	    .size = c->source.total,
	    .spool = c->source.spool,
	    .from = c->route == ROUTE_NATIVE ? c->source.parts[0].account : NULL,
	    .link = c->route == ROUTE_PULL ? c->link : NULL,
	    .link_has_etag = c->link_has_etag,
	    .to = c->to,
	    .path = c->path,
	    .put = &like->put,
	    .ring = c->ring,
	    .memory = c->memory,
	    .hashes = copy_part_hashes(c),
	    .expected = c->source.whole ? &c->source.entry.digests : NULL,
	    .buckets = c->buckets,
	    .buckets_len = c->buckets_len,
	};

	c->upload_ended = false;
	c->parts_are_loose |= copy_is_loose(c);
	c->upload = upload_start(c->runner, &spec, TAKE(c->checkpoint), &upload_handler, c);
	cloud_op_free(like);
}

enum copy_state
copy_upload_run(struct copy *c)
{
	enum copy_state next;
	int code;

	if (c->upload == NULL)
		copy_upload_start(c);
	if (!c->upload_ended)
		return COPY_UPLOAD;
	code = c->upload_code;
	if (code == 0) {
		c->computed = *upload_digests(c->upload);
		c->parts_compared = upload_compared(c->upload);
		entry_copy(&c->dest, upload_entry(c->upload));
	}
	c->checkpoint = upload_free(TAKE(c->upload));
	if (code == 0) {
		next = copy_after_write(c);
	} else if (c->route != ROUTE_RELAY && copy_is_refused(c, code)) {
		copy_refused(c, c->upload_err, false);
		next = COPY_ROUTE;
	} else {
		c->result.err = *c->upload_err;
		next = copy_fail(c, code);
	}
	return next;
}

enum copy_state
copy_drop_run(struct copy *c)
{
	int code;

	if (c->upload == NULL) {
		c->upload_ended = false;
		c->upload = upload_sweep(c->runner, c->to, TAKE(c->checkpoint), &upload_handler, c);
	}
	if (!c->upload_ended)
		return COPY_DROP;
	code = c->upload_code;
	c->checkpoint = upload_free(TAKE(c->upload));
	if (c->result.code !=
	    0) { /* that is what is told; the checkpoint stays for a later sweep */
		if (code != 0)
			log_warning("'%s': the upload that was begun may still be there: %s",
			    c->path, err_text(c->upload_err));
		return COPY_END;
	}
	if (code != 0) {
		c->result.err = *c->upload_err;
		c->result.code = code;
		return COPY_END;
	}
	c->parts_are_loose = false;
	return c->source.known ? COPY_ROUTE : COPY_START;
}
