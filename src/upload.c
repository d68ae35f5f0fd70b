#include "src/upload.h"
#include "src/await.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define UPLOAD_AT_ONCE_FIRST 2
#define UPLOAD_AT_ONCE_MAX   16
/* A round that is faster by so much was worth the part that was added. */
#define UPLOAD_GAIN_PERCENT 10
#define UPLOAD_ROUND_MS     200 /* shorter ones say nothing */
#define UPLOAD_PART_TRIES                                                                          \
	6 /* in a row, of one part: then the attempt ends, and is repeated later */
#define UPLOAD_BEGIN_TRIES 5 /* of them too */
/* Part sizes are multiples of this where they are larger: Dropbox's have to be. */
#define UPLOAD_ROUND ((uint64_t)4 << 20)
/* Dropbox's hash of a whole is made of those of its blocks ("Content hash"). */
#define UPLOAD_BLOCK ((uint64_t)4 << 20)

enum upload_state {
	UPLOAD_START,
	UPLOAD_STATUS, /* of the upload in the checkpoint: what is there? */
	UPLOAD_LOST, /* an intent: was an upload begun whose id is not known? */
	UPLOAD_LOST_CHECK, /* has it parts?  Then it is not ours */
	UPLOAD_LOST_ABORT,
	UPLOAD_ABORT, /* the one in the checkpoint is of no use */
	UPLOAD_FIND, /* whose uploads are there before ours? */
	UPLOAD_INTENT, /* until upload_noted() */
	UPLOAD_BEGIN,
	UPLOAD_RUN,
	UPLOAD_COMMIT,
	UPLOAD_END,
};

/* A part in flight. */
struct job {
	struct upload *upload;
	unsigned number;
	uint64_t offset, length;
	struct segment *segments; /* of its ranges; strings borrowed from the spec's */
	struct relay_part *ranges;
	size_t ranges_len;
	struct relay *relay;
	struct hash *whole; /* the upload's, and what of this part has come */
	struct await copy;
	bool ended;
	int code;
	struct err err;
	uint64_t bytes;
	struct cloud_tries tries;
	struct event *timer; /* waits before it is tried again */
	size_t memory; /* taken from the budget */
	TAILQ_ENTRY(job) next;
};

struct upload {
	struct cloud_runner *runner;
	struct event *wake;
	enum upload_state state;
	struct upload_spec spec;
	struct account *to;
	char *path;
	struct cloud_put put;
	char source[65];
	struct checkpoint *checkpoint;
	bool sweeping, noted;
	bool began_again; /* the cloud had lost the upload: once, not for ever */
	bool asked_again; /* and so for parts of it */
	unsigned begins; /* that failed */
	int suspect; /* why a part failed that may have failed because of that */
	struct err suspect_err;

	struct await await;
	char **lost; /* uploads that may be ours */
	size_t lost_len;

	unsigned parts; /* of the whole file */
	unsigned next; /* the next that is not in flight and not done */
	uint64_t part_size, bytes_done;
	TAILQ_HEAD(, job) jobs;
	unsigned jobs_len;
	unsigned at_once, at_once_max;
	const char *why;
	unsigned round_parts; /* done in this round */
	uint64_t round_ms, round_bytes, best_rate;

	unsigned compared; /* HASH_BIT()s that were compared of every part */
	bool compared_any;
	struct hash *whole; /* in_order: of all parts so far; NULL: some were sent before, or not
			       through us */
	struct digests digests;
	struct entry entry;
	struct upload_handler handler;
	void *arg;
	int code;
	struct err err;
};

static void
upload_wake(struct upload *u)
{
	event_active(u->wake, EV_TIMEOUT, 0);
}

/* The cloud says nothing of an upload's parts (CLOUD_UPLOADS_UNTOLD). */
static bool
upload_is_untold(const struct upload *u)
{
	return (u->to->driver->features & CLOUD_UPLOADS_UNTOLD) != 0;
}

/* The error is in u->err. */
static enum upload_state
upload_fail(struct upload *u, int code)
{
	assert(code < 0);
	u->code = code;
	return UPLOAD_END;
}

static enum upload_state
upload_await_failed(struct upload *u)
{
	u->err = u->await.err;
	return upload_fail(u, u->await.code);
}

static struct cloud_op *
upload_op(const struct upload *u, enum cloud_op_kind kind, const char *id)
{
	struct cloud_op *op = cloud_op_new(u->to, kind, u->path);

	op->upload = xstrdup_null(id);
	op->length = u->spec.size;
	op->put = u->put;
	op->put.content_type = xstrdup_null(u->put.content_type);
	op->put.metadata = json_incref(u->put.metadata);
	op->put.temp_id = xstrdup_null(u->put.temp_id);
	return op;
}

static void
upload_note(struct upload *u, enum checkpoint_note_kind kind, const struct upload_part *part)
{
	u->handler.note(u->arg, kind, u->checkpoint, part);
}

/* -- before it runs */

bool
upload_is_for(const struct account *to, uint64_t size)
{
	const struct cloud_limits *l = &to->limits;

	return l->part_max > 0 && size > 0 && (size > l->put_max || size >= l->upload_from);
}

/* Large enough that the parts are not too many. */
static uint64_t
upload_part_size(const struct cloud_limits *l, uint64_t size)
{
	uint64_t least = size / l->parts_max + (size % l->parts_max != 0);
	uint64_t part = MAX(l->part_size, l->part_min);

	if (least > part)
		part = (least + UPLOAD_ROUND - 1) / UPLOAD_ROUND * UPLOAD_ROUND;
	return MIN(part, l->part_max);
}

/* What the parts are parts of: other content, or other attributes, is another upload. */
static void
upload_fingerprint(struct upload *u)
{
	CLEANUP(buf_free) struct buf hex = BUF_INIT(64);
	struct hash *hash = hash_new(HASH_BIT(HASH_SHA256));
	struct digests sum;
	char *metadata;
	size_t i;

	for (i = 0; i < u->spec.ranges_len; i++) {
		const struct segment *s = u->spec.ranges[i].segment;
		const uint64_t numbers[] = {s->kind, s->offset, s->length};
		const char *const texts[] = {s->account_id, s->path, s->version};

		hash_update(hash, numbers, sizeof numbers);
		for (size_t k = 0; k < ARRAY_LEN(texts); k++)
			hash_update(hash, texts[k] != NULL ? texts[k] : "",
			    texts[k] != NULL ? strlen(texts[k]) + 1 : 1);
	}
	hash_update(hash, &u->put.mtime_ns, sizeof u->put.mtime_ns);
	hash_update(hash, &u->put.mode, sizeof u->put.mode);
	if (u->put.content_type != NULL)
		hash_update(hash, u->put.content_type, strlen(u->put.content_type));
	if (u->put.metadata != NULL) {
		metadata = json_dumps(u->put.metadata, JSON_COMPACT | JSON_SORT_KEYS);
		hash_update(hash, metadata, strlen(metadata));
		free(metadata);
	}
	hash_final(hash, &sum);
	hash_free(hash);
	buf_put_hex(&hex, sum.sum[HASH_SHA256], hash_size(HASH_SHA256));
	snprintf(u->source, sizeof u->source, "%s", buf_str(&hex));
}

/* Nothing of an earlier attempt is left. */
static enum upload_state
upload_forget(struct upload *u)
{
	checkpoint_free(TAKE(u->checkpoint));
	upload_note(u, CHECKPOINT_GONE, NULL);
	return u->sweeping ? UPLOAD_END : UPLOAD_FIND;
}

/* Does the account mean another place than when the upload was begun?  One whose driver cannot tell
   does not, nor does a checkpoint from before places were noted. */
static bool
upload_is_elsewhere(const struct upload *u)
{
	CLEANUP(cleanup_free) char *place = cloud_where(u->to, u->checkpoint->path);

	return place != NULL && u->checkpoint->place != NULL &&
	    strcmp(place, u->checkpoint->place) != 0;
}

static enum upload_state
upload_start_run(struct upload *u)
{
	const struct checkpoint *c = u->checkpoint;

	if (c == NULL)
		return u->sweeping ? UPLOAD_END : UPLOAD_FIND;
	/* An id says itself whether it is known there, as it is where a server has moved.  Without
	   one nothing at the new place is ours, and at the old one nobody reaches it any more. */
	if (c->upload == NULL && upload_is_elsewhere(u)) {
		log_warning(
		    "'%s': the account means another place by now; an upload that was begun at %s "
		    "may be left there",
		    c->path, c->place);
		return upload_forget(u);
	}
	if (c->upload == NULL)
		return UPLOAD_LOST;
	if (u->sweeping || strcmp(c->source, u->source) != 0 || c->size != u->spec.size)
		return UPLOAD_ABORT;
	u->part_size = c->part_size;
	u->parts = (unsigned)((u->spec.size + u->part_size - 1) / u->part_size);
	/* All is there: it may be the commit whose answer was lost, and then there is no upload. */
	return c->parts.len == u->parts ? UPLOAD_RUN : UPLOAD_STATUS;
}

/* The cloud knows nothing of the upload any more. */
static enum upload_state
upload_begin_again(struct upload *u)
{
	upload_forget(u);
	u->next = 0;
	u->suspect = 0;
	if (u->began_again)
		return upload_fail(u,
		    err_set(&u->err, -EIO, "the cloud has lost the upload to '%s' twice", u->path));
	u->began_again = true;
	log_warning(
	    "'%s': the cloud knows nothing of the upload any more: it begins again", u->path);
	return UPLOAD_FIND;
}

/* It was not committed: a part is not there.  Which are? */
static enum upload_state
upload_ask_again(struct upload *u)
{
	u->asked_again = true;
	u->next = 0;
	log_warning("'%s': the cloud misses parts of the upload: they are looked for", u->path);
	return UPLOAD_STATUS;
}

/* Parts that were verified, and that the cloud still has as they were. */
static void
upload_keep_parts(struct upload *u, const struct upload_parts *there)
{
	struct upload_parts keep = {.items = NULL};
	size_t i;

	for (i = 0; i < u->checkpoint->parts.len; i++) {
		const struct upload_part *p = &u->checkpoint->parts.items[i];
		const struct upload_part *has = upload_parts_get(there, p->number);

		if (has != NULL && has->length == p->length && strcmp(has->tag, p->tag) == 0)
			*upload_parts_add(&keep) = *p;
	}
	upload_parts_fini(&u->checkpoint->parts);
	u->checkpoint->parts = keep;
}

static enum upload_state
upload_status_run(struct upload *u)
{
	size_t had = u->checkpoint->parts.len;
	int code;

	if (u->await.op == NULL)
		await_start(
		    &u->await, u->runner, upload_op(u, CLOUD_UPLOAD_STATUS, u->checkpoint->upload));
	if (!u->await.ended)
		return UPLOAD_STATUS;
	code = u->await.code;
	if (code == 0 && !upload_is_untold(u))
		upload_keep_parts(u, &u->await.op->parts);
	else if (code != 0 && code != -ENOENT)
		upload_await_failed(u);
	await_drop(&u->await);
	if (code == -ENOENT)
		return upload_begin_again(u);
	if (code == 0 && u->checkpoint->parts.len < had && !u->asked_again) {
		u->asked_again = true;
		u->suspect = 0; /* it missed what it had: the source may be there */
	}
	if (code == 0 && u->suspect != 0) { /* it is there: the source is not */
		u->err = u->suspect_err;
		return upload_fail(u, u->suspect);
	}
	return code == 0 ? UPLOAD_RUN : UPLOAD_END;
}

static enum upload_state
upload_abort_run(struct upload *u)
{
	int code;

	if (u->await.op == NULL)
		await_start(
		    &u->await, u->runner, upload_op(u, CLOUD_UPLOAD_ABORT, u->checkpoint->upload));
	if (!u->await.ended)
		return UPLOAD_ABORT;
	code = u->await.code;
	if (code != 0)
		upload_await_failed(u);
	await_drop(&u->await);
	return code == 0 ? upload_forget(u) : UPLOAD_END;
}

/* -- an upload that may have been begun */

static enum upload_state
upload_lost_run(struct upload *u)
{
	struct cloud_op *op;
	size_t i;
	int code;

	if (u->await.op == NULL)
		await_start(&u->await, u->runner, upload_op(u, CLOUD_UPLOAD_FIND, NULL));
	if (!u->await.ended)
		return UPLOAD_LOST;
	code = u->await.code;
	op = u->await.op;
	if (code != 0)
		upload_await_failed(u);
	free(u->lost); /* of an earlier look: all its ids are gone */
	u->lost = xcalloc(MAX(op->uploads_len, (size_t)1), sizeof *u->lost);
	for (i = 0; code == 0 && i < op->uploads_len; i++) {
		if (!checkpoint_is_before(u->checkpoint, op->uploads[i]))
			u->lost[u->lost_len++] = TAKE(op->uploads[i]);
		else
			free(TAKE(op->uploads[i]));
	}
	await_drop(&u->await);
	return code == 0 ? UPLOAD_LOST_CHECK : UPLOAD_END;
}

static char *
upload_lost_last(const struct upload *u)
{
	return u->lost[u->lost_len - 1];
}

/* Has the last of them parts?  1: it has, or is gone; 0: it is empty; or a negative errno. */
static int
upload_lost_has_parts(struct upload *u)
{
	int code = u->await.code;
	bool empty = u->await.op->parts.len == 0;

	if (code != 0 && code != -ENOENT)
		upload_await_failed(u);
	await_drop(&u->await);
	if (code == -ENOENT)
		return 1;
	return code != 0 ? code : !empty;
}

/* We never wrote a part to an upload whose id we did not keep. */
static enum upload_state
upload_lost_check_run(struct upload *u)
{
	int code;

	while (u->lost_len > 0) {
		if (u->await.op == NULL)
			await_start(&u->await, u->runner,
			    upload_op(u, CLOUD_UPLOAD_STATUS, upload_lost_last(u)));
		if (!u->await.ended)
			return UPLOAD_LOST_CHECK;
		code = upload_lost_has_parts(u);
		if (code < 0)
			return UPLOAD_END;
		if (code == 0)
			return UPLOAD_LOST_ABORT;
		free(u->lost[--u->lost_len]);
	}
	return upload_forget(u);
}

static enum upload_state
upload_lost_abort_run(struct upload *u)
{
	int code;

	if (u->await.op == NULL)
		await_start(
		    &u->await, u->runner, upload_op(u, CLOUD_UPLOAD_ABORT, upload_lost_last(u)));
	if (!u->await.ended)
		return UPLOAD_LOST_ABORT;
	code = u->await.code;
	if (code != 0)
		upload_await_failed(u);
	await_drop(&u->await);
	if (code != 0)
		return UPLOAD_END;
	free(u->lost[--u->lost_len]);
	return UPLOAD_LOST_CHECK;
}

/* -- a new one */

static enum upload_state
upload_find_run(struct upload *u)
{
	struct checkpoint *c;
	struct cloud_op *op;
	size_t i;

	if (u->await.op == NULL)
		await_start(&u->await, u->runner, upload_op(u, CLOUD_UPLOAD_FIND, NULL));
	if (!u->await.ended)
		return UPLOAD_FIND;
	if (u->await.code != 0) {
		upload_await_failed(u);
		await_drop(&u->await);
		return UPLOAD_END;
	}
	op = u->await.op;
	c = u->checkpoint = checkpoint_new();
	c->path = xstrdup(u->path);
	c->place = cloud_where(u->to, u->path);
	c->source = xstrdup(u->source);
	c->size = u->spec.size;
	c->part_size = u->part_size = upload_part_size(&u->to->limits, c->size);
	u->parts = (unsigned)((c->size + c->part_size - 1) / c->part_size);
	c->before = xcalloc(MAX(op->uploads_len, (size_t)1), sizeof *c->before);
	for (i = 0; i < op->uploads_len; i++)
		c->before[c->before_len++] = TAKE(op->uploads[i]);
	await_drop(&u->await);
	u->noted = false;
	upload_note(u, CHECKPOINT_HEAD, NULL);
	return UPLOAD_INTENT;
}

static enum upload_state
upload_intent_run(struct upload *u)
{
	return u->noted ? UPLOAD_BEGIN : UPLOAD_INTENT;
}

/* The answer may be lost to what was done: before it is tried again, that is looked for.  An op
   that repeats itself would leave an upload behind that nobody knows. */
static enum upload_state
upload_begin_failed(struct upload *u, int code)
{
	if (!err_may_repeat(code, ++u->begins) || u->begins >= UPLOAD_BEGIN_TRIES)
		return UPLOAD_END;
	log_debug("'%s': the upload could not be begun, again: %s", u->path, err_text(&u->err));
	u->code = 0;
	err_clear(&u->err);
	return UPLOAD_LOST;
}

static enum upload_state
upload_begin_run(struct upload *u)
{
	struct cloud_op *op;
	int code;

	if (u->await.op == NULL) {
		crash_point("upload.before_begin");
		op = upload_op(u, CLOUD_UPLOAD_BEGIN, NULL);
		op->part.length = u->part_size;
		op->attempts_max = 1;
		await_start(&u->await, u->runner, op);
	}
	if (!u->await.ended)
		return UPLOAD_BEGIN;
	crash_point("upload.after_begin");
	code = u->await.code;
	if (code != 0)
		upload_await_failed(u);
	else
		u->checkpoint->upload = TAKE(u->await.op->upload);
	await_drop(&u->await);
	if (code != 0)
		return upload_begin_failed(u, code);
	upload_note(u, CHECKPOINT_HEAD, NULL);
	return UPLOAD_RUN;
}

/* -- parts */

static void
job_free(struct job *j)
{
	struct upload *u = j->upload;

	TAILQ_REMOVE(&u->jobs, j, next);
	u->jobs_len--;
	if (j->memory > 0)
		budget_give(u->spec.memory, j->memory);
	await_drop(&j->copy);
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
job_slice(struct job *j)
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

static void
upload_report(struct upload *u)
{
	struct upload_progress p = {
	    .bytes = u->bytes_done,
	    .parts_done = (unsigned)u->checkpoint->parts.len,
	    .parts = u->parts,
	    .at_once = u->at_once,
	    .why = u->why,
	};
	const struct job *j;

	TAILQ_FOREACH (j, &u->jobs, next)
		p.bytes += j->bytes;
	u->handler.progress(u->arg, &p);
}

static void
job_on_progress(void *arg, uint64_t bytes)
{
	struct job *j = arg;

	j->bytes = bytes;
	upload_report(j->upload);
}

static void
job_on_done(void *arg, int code, const struct err *err)
{
	struct job *j = arg;

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
job_copy(struct job *j, struct cloud_op *op)
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
job_relay(struct job *j, struct cloud_op *op)
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
job_send(struct job *j)
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
	struct job *j = xcalloc(1, sizeof *j);

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
job_again(struct job *j, uint64_t wait)
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
job_verify(struct job *j, const struct digests *ours, const struct digests *theirs)
{
	struct upload *u = j->upload;
	unsigned compared = 0;
	enum hash_type type;

	for (type = 0; type < HASH_TYPES; type++) {
		if (!(ours->have & theirs->have & HASH_BIT(type)))
			continue;
		if (!digests_equal(ours, theirs, type))
			return err_set(&j->err, -EBADMSG,
			    "the %s of part %u of '%s' is not that of the bytes that were sent",
			    hash_name(type), j->number, u->path);
		compared |= HASH_BIT(type);
	}
	u->compared = u->compared_any ? u->compared & compared : compared;
	u->compared_any = true;
	return 0;
}

static void
upload_round(struct upload *u, const struct job *j)
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
job_finish(struct job *j)
{
	struct upload *u = j->upload;
	const struct cloud_op *op = j->relay != NULL ? relay_op(j->relay) : j->copy.op;
	static const struct digests none = {.have = 0};
	const struct digests *ours = j->relay != NULL ? relay_digests(j->relay) : &none;
	struct upload_part part = op->part;
	int code = job_verify(j, ours, &op->entry.digests);

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
static int
job_run(struct job *j)
{
	struct upload *u = j->upload;
	int code = j->relay != NULL ? j->code : j->copy.code;
	uint64_t wait = CLOUD_ENOUGH;

	if (j->relay == NULL)
		j->err = j->copy.err;
	if (code == 0)
		code = job_finish(j);
	if (code == 0) {
		job_free(j);
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
static void
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

/* Of parts in order.  A destination that knows none is sent what the source's cloud says. */
static unsigned
upload_whole_hashes(const struct upload *u)
{
	int cheapest;

	if (u->to->hashes != 0 || u->spec.expected == NULL)
		return u->to->hashes;
	cheapest = digests_common(u->spec.expected, u->spec.expected);
	return cheapest < 0 ? 0 : HASH_BIT(cheapest);
}

static void
upload_run_begin(struct upload *u)
{
	size_t i;

	u->next = 1;
	u->bytes_done = 0;
	for (i = 0; i < u->checkpoint->parts.len; i++)
		u->bytes_done += u->checkpoint->parts.items[i].length;
	u->at_once_max = u->to->limits.in_order ? 1 : UPLOAD_AT_ONCE_MAX;
	u->at_once = MIN(UPLOAD_AT_ONCE_FIRST, u->at_once_max);
	u->why = u->to->limits.in_order ? "the cloud takes them in order" : "the first ones";
	u->round_ms = clock_mono_ms();
	hash_free(TAKE(u->whole));
	if (u->to->limits.in_order && u->bytes_done == 0)
		u->whole = hash_new(upload_whole_hashes(u));
	upload_report(u);
}

/* A part is -ENOENT: is it the source that is not there, or the upload? */
static enum upload_state
upload_suspect(struct upload *u, int code)
{
	struct job *j;

	u->suspect = code;
	u->suspect_err = u->err;
	err_clear(&u->err);
	while ((j = TAILQ_FIRST(&u->jobs)) != NULL)
		job_free(j);
	u->next = 0;
	return UPLOAD_STATUS;
}

static enum upload_state
upload_run_run(struct upload *u)
{
	struct job *j, *next;
	int code;

	if (u->next == 0)
		upload_run_begin(u);
	for (j = TAILQ_FIRST(&u->jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, next);
		if (!j->ended && !j->copy.ended)
			continue;
		code = job_run(j);
		if (code == -ENOENT)
			return upload_suspect(u, code);
		if (code != 0)
			return upload_fail(u, code);
	}
	upload_fill(u);
	if (u->jobs_len > 0)
		return UPLOAD_RUN;
	return UPLOAD_COMMIT;
}

/* -- the end */

/* Of parts that came one behind the other, one hash was computed over all. */
static void
upload_combine_order(struct upload *u)
{
	if (u->whole != NULL)
		hash_final(u->whole, &u->digests);
	hash_free(TAKE(u->whole));
}

/* So does Dropbox's hash, if the parts are its blocks, and their tags the SHA-256s. */
static void
upload_combine_blocks(struct upload *u)
{
	const struct upload_parts *parts = &u->checkpoint->parts;
	struct hash *hash = hash_new(HASH_BIT(HASH_SHA256));
	unsigned char block[HASH_MAX_SIZE];
	struct digests sum;
	bool all = u->part_size == UPLOAD_BLOCK;
	size_t i;

	for (i = 0; all && i < parts->len; i++) {
		all = hex_decode(block, sizeof block, parts->items[i].tag) ==
		    (int)hash_size(HASH_SHA256);
		hash_update(hash, block, all ? hash_size(HASH_SHA256) : 0);
	}
	hash_final(hash, &sum);
	hash_free(hash);
	if (all)
		digests_set(&u->digests, HASH_DROPBOX, sum.sum[HASH_SHA256]);
}

/* The CRC32C of the whole follows from those of the parts. */
static void
upload_combine_crc32c(struct upload *u)
{
	uint32_t crc = 0;
	size_t i;

	for (i = 0; i < u->checkpoint->parts.len; i++) {
		const struct upload_part *p = &u->checkpoint->parts.items[i];

		if (!p->has_crc32c)
			return;
		crc = crc32c_combine(crc, p->crc32c, p->length);
	}
	digests_set_crc32c(&u->digests, crc);
}

/* All parts are there: only if they are what the source's cloud says do they become a file. */
static int
upload_check_whole(struct upload *u)
{
	int type;

	upload_combine_order(u);
	upload_combine_crc32c(u);
	if (upload_is_untold(u))
		upload_combine_blocks(u);
	type = u->spec.expected == NULL ? -1 : digests_common(&u->digests, u->spec.expected);
	if (type < 0 || digests_equal(&u->digests, u->spec.expected, (enum hash_type)type))
		return 0;
	return err_set(&u->err, -EBADMSG,
	    "the %s of the bytes read for '%s' is not what the source's cloud says it is",
	    hash_name((enum hash_type)type), u->path);
}

/* What the destination may compare the whole with.  A disk is asked to read it again if nothing of
   it is known: that costs nobody's network. */
static struct digests
upload_commit_digests(const struct upload *u)
{
	static const struct digests none = {.have = 0};

	if (u->to->driver->transport != CLOUD_DISK)
		return u->digests;
	return u->spec.expected != NULL && digests_common(&u->digests, u->spec.expected) < 0
	    ? *u->spec.expected
	    : none;
}

static enum upload_state
upload_commit_run(struct upload *u)
{
	struct cloud_op *op;
	size_t i;
	bool misses;
	int code;

	if (u->await.op == NULL) {
		code = upload_check_whole(u);
		if (code != 0)
			return upload_fail(u, code);
		op = upload_op(u, CLOUD_UPLOAD_COMMIT, u->checkpoint->upload);
		op->put.digests = upload_commit_digests(u);
		for (i = 0; i < u->checkpoint->parts.len; i++)
			*upload_parts_add(&op->parts) = u->checkpoint->parts.items[i];
		crash_point("upload.before_commit");
		await_start(&u->await, u->runner, op);
	}
	if (!u->await.ended)
		return UPLOAD_COMMIT;
	crash_point("upload.after_commit");
	code = u->await.code;
	if (code == -EINVAL && upload_is_untold(u))
		code = -ENOENT; /* which part is not there, nobody says: all anew */
	misses = code == -EINVAL && !u->asked_again;
	if (code == 0 && u->to->driver->transport == CLOUD_DISK && u->digests.have == 0)
		u->digests = u->await.op->entry.digests;
	if (code == 0)
		entry_copy(&u->entry, &u->await.op->entry);
	else if (code != -ENOENT && !misses)
		upload_await_failed(u);
	await_drop(&u->await);
	if (misses)
		return upload_ask_again(u);
	if (code == -ENOENT)
		return upload_begin_again(u);
	if (code == 0)
		checkpoint_free(TAKE(u->checkpoint));
	return UPLOAD_END;
}

static const struct {
	enum upload_state (*run)(struct upload *);
} steps[] = {
    [UPLOAD_START] = {upload_start_run},
    [UPLOAD_STATUS] = {upload_status_run},
    [UPLOAD_LOST] = {upload_lost_run},
    [UPLOAD_LOST_CHECK] = {upload_lost_check_run},
    [UPLOAD_LOST_ABORT] = {upload_lost_abort_run},
    [UPLOAD_ABORT] = {upload_abort_run},
    [UPLOAD_FIND] = {upload_find_run},
    [UPLOAD_INTENT] = {upload_intent_run},
    [UPLOAD_BEGIN] = {upload_begin_run},
    [UPLOAD_RUN] = {upload_run_run},
    [UPLOAD_COMMIT] = {upload_commit_run},
    [UPLOAD_END] = {NULL},
};

static void
upload_run(evutil_socket_t fd, short what, void *arg)
{
	struct upload *u = arg;
	enum upload_state next;

	if (u->state == UPLOAD_END)
		return;
	while (steps[u->state].run != NULL && (next = steps[u->state].run(u)) != u->state)
		u->state = next;
	if (u->state == UPLOAD_END)
		u->handler.done(u->arg, u->code, &u->err);
}

static struct upload *
upload_new(struct cloud_runner *runner, struct account *to, const char *path,
    struct checkpoint *checkpoint, const struct upload_handler *handler, void *arg)
{
	struct upload *u = xcalloc(1, sizeof *u);

	u->runner = runner;
	u->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, upload_run, u);
	await_init(&u->await, u->wake);
	u->to = cloud_account_ref(to);
	u->path = xstrdup(path);
	u->put.mtime_ns = ENTRY_NO_TIME;
	u->checkpoint = checkpoint;
	TAILQ_INIT(&u->jobs);
	entry_init(&u->entry);
	u->handler = *handler;
	u->arg = arg;
	upload_wake(u);
	return u;
}

struct upload *
upload_start(struct cloud_runner *runner, const struct upload_spec *spec,
    struct checkpoint *checkpoint, const struct upload_handler *handler, void *arg)
{
	struct upload *u = upload_new(runner, spec->to, spec->path, checkpoint, handler, arg);

	assert(spec->size > 0);
	u->spec = *spec;
	u->put = *spec->put;
	u->put.content_type = xstrdup_null(spec->put->content_type);
	u->put.metadata = json_incref(spec->put->metadata);
	u->put.temp_id = xstrdup_null(spec->put->temp_id);
	upload_fingerprint(u);
	return u;
}

struct upload *
upload_sweep(struct cloud_runner *runner, struct account *to, struct checkpoint *checkpoint,
    const struct upload_handler *handler, void *arg)
{
	struct upload *u = upload_new(runner, to, checkpoint->path, checkpoint, handler, arg);

	u->sweeping = true;
	return u;
}

void
upload_noted(struct upload *u)
{
	u->noted = true;
	upload_wake(u);
}

const struct entry *
upload_entry(const struct upload *u)
{
	return &u->entry;
}

unsigned
upload_compared(const struct upload *u)
{
	return u->compared_any ? u->compared : 0;
}

const struct digests *
upload_digests(const struct upload *u)
{
	return &u->digests;
}

struct checkpoint *
upload_free(struct upload *u)
{
	struct checkpoint *checkpoint;
	struct job *j;

	if (u == NULL)
		return NULL;
	checkpoint = u->checkpoint;
	while ((j = TAILQ_FIRST(&u->jobs)) != NULL)
		job_free(j);
	await_drop(&u->await);
	hash_free(u->whole);
	event_free(u->wake);
	while (u->lost_len > 0)
		free(u->lost[--u->lost_len]);
	free(u->lost);
	cloud_account_unref(u->to);
	free(u->path);
	free(u->put.content_type);
	json_decref(u->put.metadata);
	free(u->put.temp_id);
	entry_fini(&u->entry);
	free(u);
	return checkpoint;
}
