#include "src/copy_private.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

void
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
enum copy_state
copy_fail(struct copy *c, int code)
{
	assert(code < 0);
	c->result.code = code;
	return c->begun ? COPY_SWEEP : copy_leave(c);
}

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

void
copy_set_route(struct copy *c, enum route route)
{
	c->route = route;
	xstrset(&c->result.route, route_name(route));
}

static void
copy_choose_route(struct copy *c)
{
	bool has_time = (c->mtime_ns != ENTRY_NO_TIME || c->preserve) && !copy_mtime_is_optional(c);

	copy_set_route(c,
	    route_choose(&c->result.route_reason, c->to,
		c->source.whole ? c->source.parts[0].account : NULL, has_time));
}

/* What the source is has become known. */
int
copy_check_source(struct copy *c)
{
	uint64_t most = copy_size_max(&c->to->limits);

	c->result.unsized = c->source.unsized;
	if (c->source.unsized && c->move)
		return err_set(&c->result.err, -EPERM,
		    "'%s' is a document, of which another place can only have an export: it is not "
		    "moved there; copy it, or move it within its account",
		    c->source.segments[0].path);
	if (c->source.total > most)
		return err_set(&c->result.err, -EFBIG,
		    "'%s' has %" PRIu64 " bytes; %s takes at most %" PRIu64, c->path,
		    c->source.total, c->to->driver->title, most);
	c->result.size = c->source.total;
	if (c->source.whole && !c->source.unsized) {
		xstrset(&c->result.source_version, c->source.segments[0].version);
		c->result.source_written_ns = c->source.segments[0].written_ns;
	}
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

int64_t
copy_mtime(const struct copy *c)
{
	if (c->mtime_ns != ENTRY_NO_TIME)
		return c->mtime_ns;
	return c->preserve && c->source.whole ? c->source.entry.mtime_ns : ENTRY_NO_TIME;
}

/* May a copy by the cloud have the source's time instead? */
bool
copy_mtime_is_optional(const struct copy *c)
{
	return c->mtime_ns != ENTRY_NO_TIME && !c->mtime_set;
}

void
copy_report(struct copy *c, uint64_t bytes)
{
	bool is_open = c->source.unsized && c->source.total == 0;
	const struct copy_progress p = {
	    .done = is_open ? bytes : MIN(bytes, c->source.total),
	    .total = is_open ? UINT64_MAX : c->source.total,
	    .route = c->result.route,
	    .route_reason = c->result.route_reason,
	};

	if (c->handler.progress != NULL)
		c->handler.progress(c->arg, &p);
}

bool
copy_is_upload(const struct copy *c)
{
	uint64_t copy_max = c->to->limits.copy_max;

	if (c->source.unsized)
		return false;
	if (c->route == ROUTE_PULL && (c->to->driver->features & CLOUD_PULLS_WHOLE))
		return true;
	if (c->route != ROUTE_RELAY)
		return copy_max > 0 && c->source.total > copy_max;
	return upload_is_for(c->to, c->source.total);
}

/* Is the checkpoint that of this very copy by the cloud? */
static bool
copy_goes_on(const struct copy *c)
{
	CLEANUP(cleanup_free) char *place = cloud_where(c->to, c->path);
	const struct checkpoint *had = c->checkpoint;

	return c->route == ROUTE_NATIVE && had->resume != NULL && had->size == c->source.total &&
	    c->source.segments[0].version != NULL &&
	    strcmp(had->source, c->source.segments[0].version) == 0 && place != NULL &&
	    had->place != NULL && strcmp(had->place, place) == 0;
}

static enum copy_state
copy_route_run(struct copy *c)
{
	if (c->route == ROUTE_PULL && c->link == NULL)
		return COPY_LINK;
	copy_report(c, 0);
	if (copy_is_upload(c))
		return COPY_UPLOAD;
	if (c->checkpoint != NULL && !copy_goes_on(c))
		return COPY_DROP;
	return c->route == ROUTE_RELAY ? COPY_RELAY : COPY_BY_CLOUD;
}

struct cloud_op *
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
		c->result.err = *c->await.err;
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
	copy_relay_stop(c);
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
	c->move = spec->move;
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
	await_fini(&c->await);
	free(c->relay_err);
	free(c->upload_err);
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
