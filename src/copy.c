#include "src/copy.h"
#include "src/await.h"
#include "src/log.h"
#include "src/route.h"
#include "src/source.h"
#include "src/upload.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A destination that a lost attempt wrote has our time; clouds that keep seconds only cut the rest
 * off. */
#define COPY_MTIME_SLACK_NS INT64_C(1000000000)
/* When the cloud cannot be reached, the sweep after a failure shall not wait for it as long again.
 */
#define COPY_SWEEP_ATTEMPTS 2
#define COPY_RELAY_TRIES    3 /* in one attempt; later ones are the queue's */

enum copy_state {
	COPY_START,
	COPY_STAT_SOURCE,
	COPY_STAT_TARGET,
	COPY_ROUTE,
	COPY_LINK, /* to the source, for the destination's cloud to read */
	COPY_BY_CLOUD, /* native or pulled: in one request */
	COPY_RELAY,
	COPY_WAIT, /* before the relay is tried again */
	COPY_UPLOAD,
	COPY_STAT_SOURCE_AGAIN, /* what was pulled may be of another version */
	COPY_STAT_RESULT,
	COPY_REMOVE_WRONG,
	COPY_SWEEP,
	COPY_DROP, /* the upload of the checkpoint is not wanted any more */
	COPY_END,
};

struct copy {
	struct cloud_runner *runner;
	struct event *wake;
	enum copy_state state;

	struct source source;
	struct account *to;
	char *path, *temp_id, *content_type;
	bool overwrite, preserve, repeated;
	int64_t mtime_ns;
	bool mtime_set;
	unsigned mode;
	size_t ring;

	bool asked; /* reading the source did not tell what it is */
	struct entry dest;
	bool dest_is_exact; /* dest came from the written file itself: nothing to ask again */
	struct digests computed;

	struct await await;
	struct relay *relay;
	bool relay_ended;
	int relay_code;
	struct err relay_err;
	struct cloud_tries tries; /* of the relay */
	struct event *timer;
	bool waited;

	struct checkpoint *checkpoint; /* while no upload has it */
	struct budget *memory;
	struct bucket *const *buckets;
	size_t buckets_len;
	const struct change *change;
	struct upload *upload;
	bool upload_ended;
	int upload_code;
	struct err upload_err;
	enum route route;
	char *link; /* PULL: secret; NULL: not asked for yet */
	bool link_is_pinned, link_has_etag;
	bool parts_are_loose; /* of the upload: some were pulled by a link that is not pinned */
	unsigned parts_compared; /* HASH_BIT()s: of every part of an upload */

	bool begun; /* something may be at the destination */
	bool aborted;
	struct copy_handler handler;
	void *arg;
	struct copy_result result;
};

void
copy_result_fini(struct copy_result *r)
{
	free(r->route);
	free(r->route_reason);
	free(r->verified);
	free(r->version);
	free(r->source_version);
	*r = (struct copy_result){};
}

static void
copy_wake(struct copy *c)
{
	event_active(c->wake, EV_TIMEOUT, 0);
}

/* It has failed and its temporary is swept: is an upload left to be aborted?  One whose parts were
   damaged on the way is of no use to anybody; one whose account has to be signed in again will be
   gone on with. */
static enum copy_state
copy_leave(const struct copy *c)
{
	int code = c->result.code;
	bool is_useful = code == -EKEYEXPIRED ||
	    (c->change != NULL && change_will_retry(c->change, code) && code != -EBADMSG);

	return c->checkpoint != NULL && !is_useful ? COPY_DROP : COPY_END;
}

/* The error is in result.err: where to go on from here. */
static enum copy_state
copy_fail(struct copy *c, int code)
{
	assert(code < 0);
	c->result.code = code;
	return c->begun ? COPY_SWEEP : copy_leave(c);
}

#define COPY_FAIL(c, code, ...) copy_fail(c, err_set(&(c)->result.err, code, __VA_ARGS__))

static enum copy_state
copy_start_run(struct copy *c)
{
	const struct relay_part *first = &c->source.parts[0];
	int code = source_check(&c->source, &c->result.err);

	if (code != 0)
		return copy_fail(c, code);
	/* Only a whole file may be written over itself by ranges of it: that is the mount's
	 * business. */
	if (c->source.whole && cloud_is_same(first->account, first->segment->path, c->to, c->path))
		return COPY_FAIL(c, -EINVAL,
		    "the source '%s' of the account '%s' and the destination '%s' of '%s' are "
		    "the same object; nothing was done",
		    first->segment->path, first->account->name, c->path, c->to->name);
	if (c->checkpoint != NULL && strcmp(c->checkpoint->path, c->path) != 0)
		return COPY_DROP;
	return c->repeated ? COPY_SWEEP : COPY_STAT_SOURCE;
}

static uint64_t
copy_size_max(const struct cloud_limits *l)
{
	uint64_t upload = 0;

	if (__builtin_mul_overflow(l->part_max, (uint64_t)l->parts_max, &upload))
		upload = UINT64_MAX;
	return MAX(l->put_max > 0 ? l->put_max : UINT64_MAX, upload);
}

static void
copy_set_route(struct copy *c, enum route route)
{
	c->route = route;
	xstrset(&c->result.route, route_name(route));
}

static void
copy_choose_route(struct copy *c)
{
	copy_set_route(c,
	    route_choose(&c->result.route_reason, c->to,
		c->source.whole ? c->source.parts[0].account : NULL));
}

/* What the source is has become known. */
static int
copy_check_source(struct copy *c)
{
	uint64_t most = copy_size_max(&c->to->limits);

	if (c->source.total > most)
		return err_set(&c->result.err, -EFBIG,
		    "'%s' has %" PRIu64 " bytes; %s takes at most %" PRIu64, c->path,
		    c->source.total, c->to->driver->title, most);
	c->result.size = c->source.total;
	if (c->source.whole)
		xstrset(&c->result.source_version, c->source.segments[0].version);
	return 0;
}

/*
 * A GET tells all that a HEAD would: a file that is relayed in one piece, as most are, costs no
 * question.  Not where the destination must be looked at first: meanwhile the answer would wait.
 */
static bool
copy_reads_at_once(const struct copy *c)
{
	return c->source.whole && !c->asked && c->route == ROUTE_RELAY && c->overwrite &&
	    c->checkpoint == NULL && c->source.parts[0].account->driver->transport != CLOUD_DISK;
}

static enum copy_state
copy_stat_source_run(struct copy *c)
{
	int code;

	if (c->result.route == NULL)
		copy_choose_route(c);
	if (copy_reads_at_once(c))
		return COPY_RELAY;
	code = source_ask(&c->source, &c->result.err);
	if (code == 0)
		return COPY_STAT_SOURCE;
	if (code > 0)
		code = copy_check_source(c);
	if (code != 0)
		return copy_fail(c, code);
	return c->overwrite ? COPY_ROUTE : COPY_STAT_TARGET;
}

static int64_t
copy_mtime(const struct copy *c)
{
	if (c->mtime_ns != ENTRY_NO_TIME)
		return c->mtime_ns;
	return c->preserve && c->source.whole ? c->source.entry.mtime_ns : ENTRY_NO_TIME;
}

/* May a copy by the cloud have the source's time instead? */
static bool
copy_mtime_is_optional(const struct copy *c)
{
	return c->mtime_ns != ENTRY_NO_TIME && !c->mtime_set;
}

/* The same, for clouds that keep seconds? */
static bool
copy_is_time(int64_t a, int64_t b)
{
	return a != ENTRY_NO_TIME && b != ENTRY_NO_TIME &&
	    (a > b ? a - b : b - a) < COPY_MTIME_SLACK_NS;
}

/* Is what lies there what an attempt of ours wrote whose answer was lost? */
static bool
copy_is_ours(const struct copy *c, const struct entry *e)
{
	int64_t mtime = copy_mtime(c);
	bool same_time = false;
	int type = c->source.whole ? digests_common(&c->source.entry.digests, &e->digests) : -1;

	if (e->kind != ENTRY_FILE || e->size != c->source.total)
		return false;
	if (type >= 0 && !digests_equal(&c->source.entry.digests, &e->digests, type))
		return false;
	if (mtime != ENTRY_NO_TIME && e->mtime_ns != ENTRY_NO_TIME &&
	    (c->to->driver->features & CLOUD_KEEPS_MTIME)) {
		same_time = copy_is_time(mtime, e->mtime_ns) ||
		    (copy_mtime_is_optional(c) && c->source.whole &&
			copy_is_time(c->source.entry.mtime_ns, e->mtime_ns));
		if (!same_time)
			return false;
	}
	return same_time || type >= 0;
}

/* Is what is there, with this version, the source, by another way than cloud_is_same() knows?  Two
   accounts may be one person's.  A move would remove it. */
static bool
copy_is_source(const struct copy *c, const char *there)
{
	const char *version = c->source.whole ? c->source.segments[0].version : NULL;
	const struct cloud_driver *driver = c->to->driver;

	return version != NULL && there != NULL && c->source.parts[0].account->driver == driver &&
	    (driver->features & CLOUD_VERSIONS_UNIQUE) && strcmp(version, there) == 0;
}

static void
copy_add_verified(struct copy *c, const char *what)
{
	char *all;

	if (c->result.verified == NULL) {
		c->result.verified = xstrdup(what);
		return;
	}
	all = xasprintf("%s,%s", c->result.verified, what);
	free(c->result.verified);
	c->result.verified = all;
}

/* overwrite=false: the destination must not be there, unless a lost attempt of ours made it. */
static enum copy_state
copy_stat_target_run(struct copy *c)
{
	const struct entry *e;
	int code;

	if (c->await.op == NULL)
		await_start(&c->await, c->runner, cloud_op_new(c->to, CLOUD_STAT, c->path));
	if (!c->await.ended)
		return COPY_STAT_TARGET;
	code = c->await.code;
	e = &c->await.op->entry;
	if (code == 0 && c->repeated && !copy_is_source(c, e->version) && copy_is_ours(c, e)) {
		copy_add_verified(c, "size");
		if (c->source.whole && digests_common(&c->source.entry.digests, &e->digests) >= 0)
			copy_add_verified(
			    c, hash_name(digests_common(&c->source.entry.digests, &e->digests)));
		xstrset(&c->result.version, e->version);
		c->result.mtime_ns = e->mtime_ns;
		xstrset(&c->result.route_reason, "an earlier attempt had written it");
		await_drop(&c->await);
		return COPY_END;
	}
	c->result.err = c->await.err;
	await_drop(&c->await);
	if (code == 0)
		return COPY_FAIL(c, -EEXIST, "'%s' exists already", c->path);
	if (code != -ENOENT)
		return copy_fail(c, code);
	err_clear(&c->result.err);
	return COPY_ROUTE;
}

static void
copy_report(struct copy *c, uint64_t bytes)
{
	const struct copy_progress p = {
	    .done = MIN(bytes, c->source.total),
	    .total = c->source.total,
	    .route = c->result.route,
	    .route_reason = c->result.route_reason,
	};

	if (c->handler.progress != NULL)
		c->handler.progress(c->arg, &p);
}

static bool
copy_is_upload(const struct copy *c)
{
	uint64_t copy_max = c->to->limits.copy_max;

	if (c->route != ROUTE_RELAY)
		return copy_max > 0 && c->source.total > copy_max;
	return upload_is_for(c->to, c->source.total);
}

static enum copy_state
copy_route_run(struct copy *c)
{
	if (c->route == ROUTE_PULL && c->link == NULL)
		return COPY_LINK;
	copy_report(c, 0);
	if (copy_is_upload(c))
		return COPY_UPLOAD;
	if (c->checkpoint != NULL)
		return COPY_DROP;
	return c->route == ROUTE_RELAY ? COPY_RELAY : COPY_BY_CLOUD;
}

static struct cloud_op *
copy_op_new(const struct copy *c, enum cloud_op_kind kind)
{
	struct cloud_op *op = cloud_op_new(c->to, kind, c->path);

	op->put.temp_id = xstrdup(c->temp_id);
	op->put.no_replace = !c->overwrite;
	op->put.mtime_ns = copy_mtime(c);
	op->put.mtime_optional = copy_mtime_is_optional(c);
	op->put.mode = c->mode != 0          ? c->mode
	    : c->preserve && c->source.whole ? c->source.entry.mode
					     : 0;
	if (c->source.whole)
		op->put.digests = c->source.entry.digests;
	if (c->preserve && c->source.whole)
		op->put.metadata = json_deep_copy(c->source.entry.metadata);
	if (c->content_type != NULL)
		op->put.content_type = xstrdup(c->content_type);
	else if (c->preserve && c->source.whole)
		op->put.content_type = xstrdup_null(c->source.entry.content_type);
	return op;
}

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

static enum copy_state
copy_link_run(struct copy *c)
{
	const struct segment *source = &c->source.segments[0];
	struct err err = ERR_INIT;
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		op = cloud_op_new(c->source.parts[0].account, CLOUD_LINK, source->path);
		op->version = xstrdup_null(source->version);
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_LINK;
	code = c->await.code;
	err = c->await.err;
	if (code == 0) {
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

static void
copy_on_native_progress(void *arg, struct cloud_op *op, uint64_t bytes)
{
	copy_report(arg, bytes);
}

static enum copy_state
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
		copy_refused(c, &c->await.err, c->await.op->only_this);
		next = copy_is_upload(c) ? COPY_UPLOAD : COPY_RELAY;
	} else if (code == -ESTALE) {
		next = COPY_FAIL(c, code, "the source '%s' changed while it was copied",
		    c->source.segments[0].path);
	} else {
		c->result.err = c->await.err;
		next = copy_fail(c, code);
	}
	await_drop(&c->await);
	return next;
}

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
	c->relay_err = *err;
	copy_wake(c);
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
	if (code != 0 || copy_is_upload(c)) {
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

	if (!relay_is_pinned(c->relay) && code == -ENOENT) {
		c->asked = true;
		return COPY_STAT_SOURCE;
	}
	if (code == -EAGAIN || code == -ECONNRESET)
		wait =
		    cloud_tries_next(&c->tries, c->runner, COPY_RELAY_TRIES, true, &c->relay_err);
	if (wait == CLOUD_ENOUGH) {
		c->result.err = c->relay_err;
		return copy_fail(c, code);
	}
	log_debug("'%s': failed, again in %llu ms: %s", c->path, (unsigned long long)wait,
	    err_text(&c->relay_err));
	if (c->timer == NULL)
		c->timer = evtimer_new(loop_base(cloud_runner_loop(c->runner)), copy_on_timer, c);
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

	event_add(c->timer, &tv);
	c->waited = false;
	return COPY_WAIT;
}

/* As a later attempt would: what the first try left is swept. */
static enum copy_state
copy_wait_run(struct copy *c)
{
	if (!c->waited)
		return COPY_WAIT;
	c->repeated = true;
	return COPY_SWEEP;
}

static enum copy_state
copy_relay_run(struct copy *c)
{
	enum copy_state next;

	if (c->relay == NULL)
		copy_relay_start(c);
	c->begun |= relay_has_begun(c->relay);
	if (c->result.code != 0) {
		next = copy_fail(c, c->result.code); /* what came was not what is to be copied */
	} else if (c->source.known && copy_is_upload(c)) {
		next = COPY_ROUTE;
	} else if (!c->relay_ended) {
		return COPY_RELAY;
	} else if (c->relay_code == 0) {
		c->computed = *relay_digests(c->relay);
		next = copy_written(c, &relay_op(c->relay)->entry);
	} else {
		next = copy_relay_failed(c);
	}
	relay_free(TAKE(c->relay));
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
	c->upload_err = *err;
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

static enum copy_state
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
		copy_refused(c, &c->upload_err, false);
		next = COPY_ROUTE;
	} else {
		c->result.err = c->upload_err;
		next = copy_fail(c, code);
	}
	return next;
}

static enum copy_state
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
			    c->path, err_text(&c->upload_err));
		return COPY_END;
	}
	if (code != 0) {
		c->result.err = c->upload_err;
		c->result.code = code;
		return COPY_END;
	}
	c->parts_are_loose = false;
	return c->source.known ? COPY_ROUTE : COPY_START;
}

/* -- what was written */

/* 1: something was compared, 0: nothing could be, -EBADMSG. */
static int
copy_compare(struct copy *c, const struct digests *ours, unsigned *compared)
{
	enum hash_type type;

	for (type = 0; type < HASH_TYPES; type++) {
		if (!(ours->have & c->dest.digests.have & HASH_BIT(type)))
			continue;
		if (!digests_equal(ours, &c->dest.digests, type))
			return err_set(&c->result.err, -EBADMSG,
			    "the %s of '%s' is not that of the bytes that were sent there",
			    hash_name(type), c->path);
		*compared |= HASH_BIT(type);
	}
	return 0;
}

static bool
copy_has_common_hash(const struct copy *c)
{
	return digests_common(&c->computed, &c->dest.digests) >= 0 ||
	    (c->source.whole && digests_common(&c->source.entry.digests, &c->dest.digests) >= 0);
}

/* What is there is not what was sent: nobody may take it for that, nor may the next attempt take
   the upload that made it for its own, all of which is there.  The error is in result.err. */
static enum copy_state
copy_wrong(struct copy *c, int code)
{
	if (copy_is_upload(c))
		c->handler.note(c->arg, CHECKPOINT_GONE, NULL, NULL);
	c->result.code = code;
	return c->dest.version != NULL ? COPY_REMOVE_WRONG : copy_fail(c, code);
}

/* Two looks that show the same version, one before the destination's cloud began to read and one
   after it ended: what it read was that. */
static enum copy_state
copy_stat_source_again_run(struct copy *c)
{
	const struct segment *source = &c->source.segments[0];
	bool is_same;
	int code;

	if (c->await.op == NULL)
		await_start(&c->await, c->runner,
		    cloud_op_new(c->source.parts[0].account, CLOUD_STAT, source->path));
	if (!c->await.ended)
		return COPY_STAT_SOURCE_AGAIN;
	code = c->await.code;
	is_same = code == 0 && source->version != NULL && c->await.op->entry.version != NULL &&
	    strcmp(c->await.op->entry.version, source->version) == 0;
	if (code != 0)
		c->result.err = c->await.err;
	await_drop(&c->await);
	if (code != 0 && code != -ENOENT)
		return copy_fail(c, code);
	if (is_same)
		return COPY_STAT_RESULT;
	return copy_wrong(c,
	    err_set(&c->result.err, -ESTALE, "the source '%s' changed while it was copied",
		source->path));
}

/* Only the version that was written: somebody else may have written a right one since. */
static enum copy_state
copy_remove_wrong_run(struct copy *c)
{
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		op = cloud_op_new(c->to, CLOUD_REMOVE, c->path);
		op->version = xstrdup(c->dest.version);
		op->attempts_max = COPY_SWEEP_ATTEMPTS;
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_REMOVE_WRONG;
	code = c->await.code;
	if (code != 0 && code != -ENOENT && code != -ESTALE)
		log_warning("'%s' was written wrong, and may still be there: %s", c->path,
		    err_text(&c->await.err));
	await_drop(&c->await);
	return copy_fail(c, c->result.code);
}

/* Size and hashes; a disagreement is an error, never a warning. */
static enum copy_state
copy_check(struct copy *c)
{
	unsigned compared = 0;
	enum hash_type type;
	int code;

	/* What a cloud makes by itself is another object: its driver knows. */
	if (c->route != ROUTE_NATIVE && copy_is_source(c, c->dest.version))
		return COPY_FAIL(c, -EINVAL,
		    "the source '%s' and the destination '%s' are the same object",
		    c->source.segments[0].path, c->path);
	if (c->dest.size != c->source.total)
		return copy_wrong(c,
		    err_set(&c->result.err, -EBADMSG,
			"'%s' has %" PRIu64 " bytes after %" PRIu64 " were written to it", c->path,
			c->dest.size, c->source.total));
	code = copy_compare(c, &c->computed, &compared);
	if (code == 0 && c->source.whole)
		code = copy_compare(c, &c->source.entry.digests, &compared);
	if (code != 0)
		return copy_wrong(c, code);
	if (c->source.whole) /* the relay has compared these before it let the last byte go */
		compared |= c->computed.have & c->source.entry.digests.have;
	copy_add_verified(c, "size");
	for (type = 0; type < HASH_TYPES; type++) {
		if (compared & HASH_BIT(type))
			copy_add_verified(c, hash_name(type));
	}
	for (type = 0; type < HASH_TYPES; type++) {
		if (c->parts_compared & HASH_BIT(type)) {
			CLEANUP(cleanup_free) char *name = xasprintf("%s-parts", hash_name(type));

			copy_add_verified(c, name);
		}
	}
	xstrset(&c->result.version, c->dest.version);
	c->result.mtime_ns = c->dest.mtime_ns;
	return COPY_END;
}

/* The answer to a write tells size or hash in most clouds; where it tells no hash, the cloud is
   asked what is there: an answer's size may be an echo. */
static enum copy_state
copy_stat_result_run(struct copy *c)
{
	int code;

	if (c->await.op == NULL) {
		if (c->dest_is_exact || copy_has_common_hash(c))
			return copy_check(c);
		await_start(&c->await, c->runner, cloud_op_new(c->to, CLOUD_STAT, c->path));
	}
	if (!c->await.ended)
		return COPY_STAT_RESULT;
	code = c->await.code;
	if (code == 0) {
		entry_fini(&c->dest);
		entry_init(&c->dest);
		entry_copy(&c->dest, &c->await.op->entry);
	} else {
		c->result.err = c->await.err;
	}
	await_drop(&c->await);
	if (code == -ENOENT)
		return COPY_FAIL(c, -EIO, "'%s' is not there after it was written", c->path);
	return code != 0 ? copy_fail(c, code) : copy_check(c);
}

/* Before a repetition, and after a failure (then result.code is set and its error stays). */
static enum copy_state
copy_sweep_run(struct copy *c)
{
	struct cloud_op *op;
	int code;

	if (c->await.op == NULL) {
		op = cloud_op_new(c->to, CLOUD_SWEEP, c->path);
		op->put.temp_id = xstrdup(c->temp_id);
		if (c->checkpoint != NULL)
			op->upload = xstrdup_null(c->checkpoint->upload);
		if (c->result.code != 0)
			op->attempts_max = COPY_SWEEP_ATTEMPTS;
		await_start(&c->await, c->runner, op);
	}
	if (!c->await.ended)
		return COPY_SWEEP;
	code = c->await.code;
	if (c->result.code == 0 && code != 0 && code != -ENOENT) {
		c->result.code = code;
		c->result.err = c->await.err;
	}
	await_drop(&c->await);
	return c->result.code != 0 ? copy_leave(c) : COPY_STAT_SOURCE;
}

static const struct {
	enum copy_state (*run)(struct copy *);
} steps[] = {
    [COPY_START] = {copy_start_run},
    [COPY_STAT_SOURCE] = {copy_stat_source_run},
    [COPY_STAT_TARGET] = {copy_stat_target_run},
    [COPY_ROUTE] = {copy_route_run},
    [COPY_LINK] = {copy_link_run},
    [COPY_BY_CLOUD] = {copy_by_cloud_run},
    [COPY_RELAY] = {copy_relay_run},
    [COPY_WAIT] = {copy_wait_run},
    [COPY_UPLOAD] = {copy_upload_run},
    [COPY_STAT_SOURCE_AGAIN] = {copy_stat_source_again_run},
    [COPY_STAT_RESULT] = {copy_stat_result_run},
    [COPY_REMOVE_WRONG] = {copy_remove_wrong_run},
    [COPY_SWEEP] = {copy_sweep_run},
    [COPY_DROP] = {copy_drop_run},
    [COPY_END] = {NULL},
};

/* Leaves whatever was under way. */
static void
copy_stop(struct copy *c)
{
	await_drop(&c->await);
	source_stop(&c->source);
	if (c->relay != NULL)
		c->begun |= relay_has_begun(c->relay);
	relay_free(TAKE(c->relay));
	if (c->upload != NULL)
		c->checkpoint = upload_free(TAKE(c->upload));
}

static void
copy_run(evutil_socket_t fd, short what, void *arg)
{
	struct copy *c = arg;
	enum copy_state next;

	if (c->aborted && c->state != COPY_END && c->result.code == 0) {
		copy_stop(c);
		c->state = COPY_FAIL(c, -ECANCELED, "cancelled");
		if (c->repeated && !c->begun)
			c->state = COPY_SWEEP;
	}
	while (steps[c->state].run != NULL && (next = steps[c->state].run(c)) != c->state)
		c->state = next;
	if (c->state == COPY_END) {
		c->handler.done(c->arg, &c->result);
		copy_free(c);
	}
}

struct copy *
copy_start(struct cloud_runner *runner, const struct copy_spec *spec,
    const struct copy_handler *handler, void *arg)
{
	struct copy *c = xcalloc(1, sizeof *c);

	c->runner = runner;
	c->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, copy_run, c);
	await_init(&c->await, c->wake);
	source_init(&c->source, runner, c->wake, spec->segments, spec->segments_len, spec->accounts,
	    spec->accounts_len, spec->spool);
	c->to = cloud_account_ref(spec->to);
	c->path = xstrdup(spec->path);
	c->temp_id = xstrdup(spec->temp_id);
	c->content_type = xstrdup_null(spec->content_type);
	c->overwrite = spec->overwrite;
	c->preserve = spec->preserve;
	c->repeated = spec->repeated;
	c->mtime_ns = spec->mtime_ns;
	c->mtime_set = spec->mtime_set;
	c->result.mtime_ns = ENTRY_NO_TIME;
	c->mode = spec->mode;
	c->ring = spec->ring;
	entry_init(&c->dest);
	c->memory = spec->memory;
	c->buckets = spec->buckets;
	c->buckets_len = spec->buckets_len;
	c->change = spec->change;
	c->checkpoint = spec->checkpoint;
	c->handler = *handler;
	c->arg = arg;
	copy_wake(c);
	return c;
}

void
copy_noted(struct copy *c)
{
	if (c->upload != NULL)
		upload_noted(c->upload);
}

void
copy_abort(struct copy *c)
{
	c->aborted = true;
	copy_wake(c);
}

void
copy_free(struct copy *c)
{
	if (c == NULL)
		return;
	copy_stop(c);
	source_fini(&c->source);
	checkpoint_free(c->checkpoint);
	event_free(c->wake);
	if (c->timer != NULL)
		event_free(c->timer);
	cloud_account_unref(c->to);
	free(c->path);
	free(c->temp_id);
	free(c->content_type);
	mem_wipe_free(c->link);
	entry_fini(&c->dest);
	copy_result_fini(&c->result);
	free(c);
}
