#include "src/relay.h"
#include "src/await.h"
#include "src/clock.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define RELAY_ZEROS ((size_t)16 * 1024)
/* Limits change while somebody waits for them: so often he looks. */
#define RELAY_PAUSE_MAX_MS 250

struct relay {
	struct cloud_runner *runner;
	struct relay_spec spec;
	struct event *wake, *pause; /* pause: the timer of a ring that is shut */
	struct ring *ring;
	struct hash *hash;
	struct digests digests;
	size_t part; /* being read */
	uint64_t part_start; /* bytes_in when it began */
	uint64_t bytes_in, total;
	bool unsized; /* total is the most that it may be, until the end */
	bool pinned, overflowed, source_ended, put_started, finished;
	struct await read, put;
	struct cloud_op *put_op; /* until it is started */
	const struct account *put_account;
	struct disk_request spool_request;
	struct disk_call *spool_call;
	bool spool_busy, spool_ended;
	int spool_code;
	struct err *spool_err; /* owned; NULL unless the code says that it failed */
	relay_progress_fn progress;
	relay_done_fn done;
	void *arg;
};

/* Is there enough to begin the PUT with? */
static bool
relay_may_begin(const struct relay *r)
{
	return r->source_ended ||
	    (!r->unsized && (ring_held(r->ring) >= RELAY_BEGIN || !ring_wants_input(r->ring)));
}

static void
relay_wake(void *arg)
{
	struct relay *r = arg;

	event_active(r->wake, EV_TIMEOUT, 0);
}

/* -- bandwidth */

/* The i-th limit that holds for the bytes that pass now: the spec's, then the destination's
   account, then the source's; NULL: none. */
static struct bucket *
relay_limit(const struct relay *r, size_t i)
{
	const struct account *to = r->put_account;
	const struct account *from =
	    r->part < r->spec.parts_len ? r->spec.parts[r->part].account : NULL;

	if (i < r->spec.buckets_len)
		return r->spec.buckets[i];
	if (i == r->spec.buckets_len)
		return to->bandwidth;
	return from != NULL && from->bandwidth != to->bandwidth ? from->bandwidth : NULL;
}

/* len bytes have passed (0: only looks): how long until the next may, in ms. */
static uint64_t
relay_charge(struct relay *r, size_t len)
{
	uint64_t now = clock_mono_ns(), wait = 0;
	struct bucket *b;
	size_t i;

	for (i = 0; i < r->spec.buckets_len + 2; i++) {
		b = relay_limit(r, i);
		if (b == NULL)
			continue;
		if (len > 0)
			bucket_take(b, len, now);
		wait = MAX(wait, bucket_wait(b, now));
	}
	return wait;
}

static void
relay_pause(struct relay *r, uint64_t wait_ms)
{
	const struct timeval tv = {.tv_usec = (suseconds_t)MIN(wait_ms, RELAY_PAUSE_MAX_MS) * 1000};

	ring_shut(r->ring, true);
	event_add(r->pause, &tv);
}

static void
relay_on_pause(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	uint64_t wait = relay_charge(r, 0);

	if (wait > 0)
		relay_pause(r, wait);
	else
		ring_shut(r->ring, false);
}

/* More than there should be: the byte that is held back is not the last, so nothing may leave. */
static void
relay_overflow(struct relay *r)
{
	ring_reset(r->ring);
	ring_shut(r->ring, true);
	r->overflowed = true;
	relay_wake(r);
}

/* Runs inside ring_put(), before the other side sees them: every byte passes here once. */
static void
relay_on_bytes(void *arg, const void *buf, size_t len)
{
	struct relay *r = arg;
	uint64_t wait = relay_charge(r, len);

	r->bytes_in += len;
	if (r->bytes_in > r->total) {
		relay_overflow(r);
		return;
	}
	hash_update(r->hash, buf, len);
	if (r->spec.also != NULL)
		hash_update(r->spec.also, buf, len);
	if (wait > 0)
		relay_pause(r, wait);
	if (!r->put_started && relay_may_begin(r))
		relay_wake(r);
	if (r->progress != NULL)
		r->progress(r->arg, r->bytes_in - ring_held(r->ring));
}

static void
relay_on_spool(void *arg, struct disk_response *res)
{
	struct relay *r = arg;

	r->spool_call = NULL;
	r->spool_ended = true;
	r->spool_code = res->code;
	err_keep(&r->spool_err, res->code == 0 ? NULL : &res->err);
	relay_wake(r);
}

static const char *
relay_part_name(const struct relay_part *p)
{
	return p->segment->path != NULL ? p->segment->path : "zeros";
}

/* A part's reader has ended well: did it give what it should? */
static int
relay_part_ended(struct relay *r, const struct relay_part *p, struct err *err)
{
	uint64_t got = r->bytes_in - r->part_start;

	ring_on_output(r->ring, NULL, NULL);
	if (!r->pinned)
		return err_set(err, -EPROTO, "the source '%s' came without a word of its size",
		    relay_part_name(p));
	if (!r->unsized && got != p->segment->length)
		return err_set(err, -ESTALE,
		    "the source '%s' changed while it was copied: %llu bytes came instead of %llu",
		    relay_part_name(p), (unsigned long long)got,
		    (unsigned long long)p->segment->length);
	r->part++;
	r->part_start = r->bytes_in;
	return 0;
}

/* What is copied, and where to, begins to be known. */
static void
relay_take_put(struct relay *r, struct cloud_op *put, unsigned hashes)
{
	size_t i;

	assert(put->kind == CLOUD_PUT || put->kind == CLOUD_UPLOAD_PART);
	r->hash = hash_new(hashes);
	r->unsized = r->spec.parts[0].segment->length == SEGMENT_TO_END;
	if (r->unsized) {
		assert(r->spec.parts_len == 1);
		r->total = ENTRY_UNSIZED_MAX;
		ring_widen(r->ring, ENTRY_UNSIZED_MAX + r->spec.ring);
	}
	for (i = 0; i < r->spec.parts_len && !r->unsized; i++)
		r->total += r->spec.parts[i].segment->length;
	r->put_account = put->account;
	put->length = r->total;
	put->ring = r->ring;
	r->put_op = put;
}

static void
relay_on_head(void *arg, const struct cloud_op *op)
{
	struct relay *r = arg;
	unsigned hashes = 0;
	struct cloud_op *put = r->spec.pinned(r->arg, &op->entry, &hashes);

	r->pinned = true;
	if (put != NULL)
		relay_take_put(r, put, hashes);
	else
		ring_shut(r->ring, true);
}

/* Each reader: 1 when the part is done (on to the next), 0 to wait, or a negative errno. */
static int
relay_read_entry(struct relay *r, const struct relay_part *p, struct err *err)
{
	struct cloud_op *op;
	int code;

	if (r->read.op == NULL) {
		op = cloud_op_new(p->account, CLOUD_READ, p->segment->path);
		op->offset = p->segment->offset;
		op->length = p->segment->length;
		op->version = xstrdup_null(p->segment->version);
		op->ring = r->ring;
		op->keep_open = true;
		/* Waiting for a lane with a PUT in hand, for readers that wait for PUTs: for ever.
		 */
		op->goes_on = r->put_started;
		if (!r->pinned) {
			op->head = relay_on_head;
			op->head_arg = r;
		}
		await_start(&r->read, r->runner, op);
	}
	if (!r->read.ended)
		return 0;
	code = r->read.code;
	if (code == -ESTALE)
		err_set(err, code, "the source '%s' changed while it was copied", p->segment->path);
	else if (code != 0)
		*err = *r->read.err;
	await_drop(&r->read);
	if (code == 0)
		code = relay_part_ended(r, p, err);
	return code != 0 ? code : 1;
}

static int
relay_read_spool(struct relay *r, const struct relay_part *p, struct err *err)
{
	struct disk_request *req = &r->spool_request;
	int code;

	if (!r->spool_busy) {
		disk_request_init(req);
		req->verb = DISK_READ;
		req->root = r->spec.spool;
		req->path = xstrdup(p->segment->path);
		req->offset = p->segment->offset;
		req->length = p->segment->length;
		/* More is appended, and the file gets other names meanwhile. */
		req->is_sealed = true;
		r->spool_busy = true;
		r->spool_ended = false;
		r->spool_call = disk_start(cloud_runner_loop(r->runner),
		    cloud_runner_pool(r->runner), req, r->ring, relay_on_spool, NULL, r);
	}
	if (!r->spool_ended)
		return 0;
	disk_request_fini(req);
	r->spool_busy = false;
	code = r->spool_code;
	if (code != 0)
		*err = *r->spool_err;
	else
		code = relay_part_ended(r, p, err);
	return code != 0 ? code : 1;
}

static int
relay_read_zeros(struct relay *r, const struct relay_part *p, struct err *err)
{
	static const unsigned char zeros[RELAY_ZEROS];
	uint64_t left;
	size_t len;
	int code;

	while ((left = p->segment->length - (r->bytes_in - r->part_start)) > 0) {
		len = MIN(MIN(left, sizeof zeros), ring_room(r->ring));
		if (len == 0) {
			ring_on_output(r->ring, relay_wake, r);
			return 0;
		}
		if (!ring_put(r->ring, zeros, len))
			return err_set(err, -EIO, "the ring refused bytes it has room for");
	}
	code = relay_part_ended(r, p, err);
	return code != 0 ? code : 1;
}

/* All bytes are in: only if they are what the source's cloud says may the last of them go. */
static int
relay_end_source(struct relay *r, struct err *err)
{
	enum hash_type type;

	hash_final(r->hash, &r->digests);
	for (type = 0; type < HASH_TYPES && r->spec.expected != NULL; type++) {
		if ((r->digests.have & r->spec.expected->have & HASH_BIT(type)) &&
		    !digests_equal(&r->digests, r->spec.expected, type))
			return err_set(err, -EBADMSG,
			    "the %s of the bytes read from '%s' is not what its cloud says it is",
			    hash_name(type), relay_part_name(&r->spec.parts[0]));
	}
	r->source_ended = true;
	if (r->unsized)
		r->put_op->length = r->total = r->bytes_in;
	ring_end(r->ring);
	return 0;
}

static int
relay_feed(struct relay *r, struct err *err)
{
	const struct relay_part *p;
	int code = 1;

	while (!r->source_ended) {
		if (r->part == r->spec.parts_len)
			return relay_end_source(r, err);
		p = &r->spec.parts[r->part];
		if (p->segment->length == 0 && r->read.op == NULL)
			code = relay_part_ended(r, p, err) == 0 ? 1 : err->code;
		else if (p->segment->kind == SEGMENT_ENTRY)
			code = relay_read_entry(r, p, err);
		else if (p->segment->kind == SEGMENT_SPOOL)
			code = relay_read_spool(r, p, err);
		else
			code = relay_read_zeros(r, p, err);
		if (code <= 0)
			return code;
	}
	return 0;
}

/* 1 when the destination has all, 0 to wait, or a negative errno. */
static int
relay_drain(struct relay *r, struct err *err)
{
	if (!r->put_started) {
		if (r->put_op == NULL || !relay_may_begin(r))
			return 0;
		r->put_started = true;
		await_start(&r->put, r->runner, TAKE(r->put_op));
	}
	if (!r->put.ended)
		return 0;
	ring_on_input(r->ring, NULL, NULL);
	if (r->put.code != 0) {
		*err = *r->put.err;
		return r->put.code;
	}
	if (!r->source_ended)
		return err_set(err, -EPROTO,
		    "'%s' was answered as written before all of it was sent", r->put.op->path);
	return 1;
}

static void
relay_run(evutil_socket_t fd, short what, void *arg)
{
	struct relay *r = arg;
	struct err err = ERR_INIT;
	int code;

	if (r->finished)
		return;
	if (r->overflowed && r->unsized)
		code = err_set(&err, -EFBIG,
		    "the source '%s' is exported with more than %" PRIu64
		    " MiB: so much is not kept until its end",
		    relay_part_name(&r->spec.parts[0]), ENTRY_UNSIZED_MAX >> 20);
	else if (r->overflowed)
		code = err_set(&err, -ESTALE,
		    "the source changed while it was copied: more came than the %" PRIu64
		    " bytes it should have",
		    r->total);
	else
		code = relay_feed(r, &err);
	if (code == 0)
		code = relay_drain(r, &err);
	if (code == 0)
		return;
	r->finished = true;
	r->done(r->arg, MIN(code, 0), &err);
}

struct relay *
relay_start(struct cloud_runner *runner, const struct relay_spec *spec, struct cloud_op *put,
    relay_progress_fn progress, relay_done_fn done, void *arg)
{
	struct relay *r = xcalloc(1, sizeof *r);

	assert((put == NULL) == (spec->pinned != NULL));
	r->runner = runner;
	r->spec = *spec;
	r->progress = progress;
	r->done = done;
	r->arg = arg;
	r->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, relay_run, r);
	await_init(&r->read, r->wake);
	await_init(&r->put, r->wake);
	/* Half the ring is the hysteresis: the reader is woken for a worthwhile piece. */
	r->ring = ring_new(spec->ring, MAX(spec->ring / 2, 1));
	ring_hold_last(r->ring);
	ring_tap(r->ring, relay_on_bytes, r);
	r->pause = evtimer_new(loop_base(cloud_runner_loop(runner)), relay_on_pause, r);
	r->pinned = put != NULL;
	if (put != NULL)
		relay_take_put(r, put, spec->hashes);
	relay_wake(r);
	return r;
}

const struct cloud_op *
relay_op(const struct relay *r)
{
	assert(r->put.ended && r->put.code == 0);
	return r->put.op;
}

const struct digests *
relay_digests(const struct relay *r)
{
	return &r->digests;
}

uint64_t
relay_bytes(const struct relay *r)
{
	return r->bytes_in;
}

bool
relay_is_pinned(const struct relay *r)
{
	return r->pinned;
}

bool
relay_has_begun(const struct relay *r)
{
	return r->put_started;
}

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	await_fini(&r->read);
	await_fini(&r->put);
	cloud_op_free(r->put_op);
	if (r->spool_call != NULL)
		disk_cancel(r->spool_call);
	if (r->spool_busy)
		disk_request_fini(&r->spool_request);
	event_free(r->wake);
	event_free(r->pause);
	ring_free(r->ring);
	hash_free(r->hash);
	free(r->spool_err);
	free(r);
}
