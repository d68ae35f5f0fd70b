/* The parts in flight of an upload: each is sent, checked, counted, and sent again if it failed. */
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/upload_private.h"
#include <stdlib.h>
#include <string.h>

/* A round that is faster by so much was worth the part that was added. */
#define UPLOAD_GAIN_PERCENT 10
#define UPLOAD_ROUND_MS     200 /* shorter ones say nothing */
#define UPLOAD_PART_TRIES                                                                          \
	6 /* in a row, of one part: then the attempt ends, and is repeated later */

void
upload_job_free(struct upload_job *j)
{
	struct upload *u = j->upload;

	TAILQ_REMOVE(&u->jobs, j, next);
	u->jobs_len--;
	if (j->memory > 0)
		budget_give(u->spec.memory, j->memory);
	await_fini(&j->copy);
	relay_free(j->relay);
	hash_free(j->whole);
	if (j->timer != NULL)
		event_free(j->timer);
	free(j->segments);
	free(j->ranges);
	free(j);
}

/* The ranges of the source that make up [offset, offset + length). */
static void
job_slice(struct upload_job *j)
{
	const struct upload_spec *spec = &j->upload->spec;
	uint64_t at = 0, end = j->offset + j->length, from, to;
	size_t i, n = 0;

	j->segments = xcalloc(spec->ranges_len, sizeof *j->segments);
	j->ranges = xcalloc(spec->ranges_len, sizeof *j->ranges);
	for (i = 0; i < spec->ranges_len && at < end; i++) {
		const struct segment *s = spec->ranges[i].segment;

		from = MAX(at, j->offset);
		to = MIN(at + s->length, end);
		if (from < to) {
			j->segments[n] = *s;
			j->segments[n].offset += from - at;
			j->segments[n].length = to - from;
			j->ranges[n].segment = &j->segments[n];
			j->ranges[n].account = spec->ranges[i].account;
			n++;
		}
		at += s->length;
	}
	j->ranges_len = n;
}

void
upload_report(struct upload *u)
{
	struct upload_progress p = {
	    .bytes = u->bytes_done,
	    .parts_done = (unsigned)u->checkpoint->parts.len,
	    .parts = u->parts,
	    .at_once = u->at_once,
	    .why = u->why,
	};
	const struct upload_job *j;

	TAILQ_FOREACH (j, &u->jobs, next)
		p.bytes += j->bytes;
	u->handler.progress(u->arg, &p);
}

static void
job_on_progress(void *arg, uint64_t bytes)
{
	struct upload_job *j = arg;

	j->bytes = bytes;
	upload_report(j->upload);
}

static void
job_on_done(void *arg, int code, const struct err *err)
{
	struct upload_job *j = arg;

	j->ended = true;
	j->code = code;
	j->err = *err;
	upload_wake(j->upload);
}

/* Does the cloud itself read the source? */
static bool
upload_copies(const struct upload *u)
{
	return u->spec.from != NULL || u->spec.link != NULL;
}

static void
job_copy(struct upload_job *j, struct cloud_op *op)
{
	const struct segment *s = &j->segments[0];

	op->from = j->upload->spec.from;
	op->link = xstrdup_null(j->upload->spec.link);
	op->path2 = xstrdup(s->path);
	if (op->link == NULL || j->upload->spec.link_has_etag)
		op->version = xstrdup_null(s->version);
	op->offset = s->offset;
	await_start(&j->copy, j->upload->runner, op);
}

/* Of a part that nobody tells of, ours is the only one. */
static unsigned
upload_part_hashes(const struct upload *u)
{
	return upload_is_untold(u) && u->to->hashes != 0
	    ? (u->spec.hashes & HASH_BIT(HASH_CRC32C)) | HASH_BIT(HASH_SHA256)
	    : u->spec.hashes;
}

static void
job_relay(struct upload_job *j, struct cloud_op *op)
{
	struct relay_spec spec = {
	    .parts = j->ranges,
	    .parts_len = j->ranges_len,
	    .spool = j->upload->spec.spool,
	    .ring = j->upload->spec.ring,
	    .hashes = upload_part_hashes(j->upload),
	    .buckets = j->upload->spec.buckets,
	    .buckets_len = j->upload->spec.buckets_len,
	};

	hash_free(TAKE(j->whole));
	if (j->upload->whole != NULL)
		spec.also = j->whole = hash_copy(j->upload->whole);

	j->relay = relay_start(j->upload->runner, &spec, op, job_on_progress, job_on_done, j);
}

static void
job_send(struct upload_job *j)
{
	struct upload *u = j->upload;
	bool copies = upload_copies(u);
	struct cloud_op *op =
	    upload_op(u, copies ? CLOUD_COPY_PART : CLOUD_UPLOAD_PART, u->checkpoint->upload);

	op->offset = j->offset;
	op->length = j->length;
	op->part.number = j->number;
	op->put.digests.have = 0; /* those are of the whole */
	j->bytes = 0;
	j->ended = false;
	if (copies)
		job_copy(j, op);
	else
		job_relay(j, op);
}

static void
job_on_timer(evutil_socket_t fd, short what, void *arg)
{
	job_send(arg);
}

static void
job_start(struct upload *u, unsigned number, size_t memory)
{
	struct upload_job *j = xcalloc(1, sizeof *j);

	j->upload = u;
	j->number = number;
	j->offset = (number - 1) * u->part_size;
	j->length = MIN(u->part_size, u->spec.size - j->offset);
	j->memory = memory;
	await_init(&j->copy, u->wake);
	job_slice(j);
	TAILQ_INSERT_TAIL(&u->jobs, j, next);
	u->jobs_len++;
	job_send(j);
}

/* Once more, after a while, from the source's range. */
static void
job_again(struct upload_job *j, uint64_t wait)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};

	log_debug("'%s', part %u: failed, again in %llu ms: %s", j->upload->path, j->number,
	    (unsigned long long)wait, err_text(&j->err));
	await_drop(&j->copy);
	relay_free(TAKE(j->relay));
	j->ended = false;
	j->bytes = 0;
	if (j->timer == NULL)
		j->timer =
		    evtimer_new(loop_base(cloud_runner_loop(j->upload->runner)), job_on_timer, j);
	event_add(j->timer, &tv);
}

/* What was computed of the part's bytes against what the cloud says of them. */
static int
job_verify(unsigned *compared, struct upload_job *j, const struct digests *ours,
    const struct digests *theirs)
{
	enum hash_type type;

	*compared = 0;
	for (type = 0; type < HASH_TYPES; type++) {
		if (!(ours->have & theirs->have & HASH_BIT(type)))
			continue;
		if (!digests_equal(ours, theirs, type))
			return err_set(&j->err, -EBADMSG,
			    "the %s of part %u of '%s' is not that of the bytes that were sent",
			    hash_name(type), j->number, j->upload->path);
		*compared |= HASH_BIT(type);
	}
	return 0;
}

static void
upload_round(struct upload *u, const struct upload_job *j)
{
	uint64_t now = clock_mono_ms(), rate;

	u->round_parts++;
	u->round_bytes += j->length;
	if (u->round_parts < u->at_once || now - u->round_ms < UPLOAD_ROUND_MS)
		return;
	rate = u->round_bytes * 1000 / (now - u->round_ms);
	u->round_parts = 0;
	u->round_bytes = 0;
	u->round_ms = now;
	if (u->at_once == u->at_once_max) {
		u->why = u->to->limits.in_order ? "the cloud takes them in order"
						: "no more are allowed";
	} else if (rate > u->best_rate + u->best_rate * UPLOAD_GAIN_PERCENT / 100) {
		u->best_rate = rate;
		u->at_once++;
		u->why = "the last one that was added made it faster";
	} else {
		u->why = "the last one that was added made it no faster";
	}
}

/* Asked to slow down: half as many, and to be found out anew. */
static void
upload_slower(struct upload *u)
{
	u->at_once = MAX(u->at_once / 2, 1);
	u->best_rate = 0;
	u->round_parts = 0;
	u->round_bytes = 0;
	u->round_ms = clock_mono_ms();
	u->why = "the cloud asked to slow down";
}

static void
job_tag(struct upload_part *part, const struct digests *ours)
{
	CLEANUP(buf_free) struct buf hex = BUF_INIT(sizeof part->tag);

	if (!(ours->have & HASH_BIT(HASH_SHA256)))
		return;
	buf_put_hex(&hex, ours->sum[HASH_SHA256], hash_size(HASH_SHA256));
	snprintf(part->tag, sizeof part->tag, "%s", buf_str(&hex));
}

static int
job_finish(struct upload_job *j)
{
	struct upload *u = j->upload;
	const struct cloud_op *op = j->relay != NULL ? relay_op(j->relay) : j->copy.op;
	static const struct digests none = {.have = 0};
	const struct digests *ours = j->relay != NULL ? relay_digests(j->relay) : &none;
	struct upload_part part = op->part;
	int code = job_verify(&part.compared, j, ours, &op->entry.digests);

	if (code != 0)
		return code;
	part.number = j->number;
	part.length = j->length;
	if (upload_is_untold(u))
		job_tag(&part, ours);
	if (!part.has_crc32c && (ours->have & HASH_BIT(HASH_CRC32C))) {
		part.has_crc32c = true;
		part.crc32c = digests_crc32c(ours);
	}
	hash_free(u->whole);
	u->whole = TAKE(j->whole);
	crash_point("upload.after_part");
	upload_parts_put(&u->checkpoint->parts, &part);
	u->bytes_done += j->length;
	j->bytes = 0;
	upload_note(u, CHECKPOINT_PART, &part);
	upload_round(u, j);
	if (upload_copies(u)) /* nothing else tells of it */
		upload_report(u);
	return 0;
}

/* 0, or what ends the upload, with u->err set. */
int
upload_job_run(struct upload_job *j)
{
	struct upload *u = j->upload;
	int code = j->relay != NULL ? j->code : j->copy.code;
	uint64_t wait = CLOUD_ENOUGH;

	if (j->relay == NULL && code != 0)
		j->err = *j->copy.err;
	if (code == 0)
		code = job_finish(j);
	if (code == 0) {
		upload_job_free(j);
		return 0;
	}
	if (code == -EAGAIN)
		upload_slower(u);
	if (err_is_transient(code))
		wait = cloud_tries_next(&j->tries, u->runner, UPLOAD_PART_TRIES, true, &j->err);
	if (wait != CLOUD_ENOUGH) {
		job_again(j, wait);
		return 0;
	}
	u->err = j->err;
	return code;
}

/* The first has the attempt's own ring; the others only what is left of the memory. */
void
upload_fill(struct upload *u)
{
	size_t memory;

	while (u->jobs_len < u->at_once) {
		while (
		    u->next <= u->parts && upload_parts_get(&u->checkpoint->parts, u->next) != NULL)
			u->next++;
		if (u->next > u->parts)
			return;
		if (upload_is_untold(u) && u->next == u->parts && u->jobs_len > 0)
			return; /* it ends the upload */
		memory = u->jobs_len == 0 || upload_copies(u) ? 0 : u->spec.ring;
		if (memory > 0 && !budget_try(u->spec.memory, memory)) {
			u->at_once = MAX(u->jobs_len, 1);
			u->why = "the memory for more is used up";
			return;
		}
		job_start(u, u->next++, memory);
	}
}
