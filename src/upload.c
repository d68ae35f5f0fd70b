#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/upload_private.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define UPLOAD_AT_ONCE_FIRST 2
#define UPLOAD_AT_ONCE_MAX   16
#define UPLOAD_BEGIN_TRIES                                                                         \
	5 /* that fail in a row: then the attempt ends, and is repeated later                      \
	   */
/* Part sizes are multiples of this where they are larger: Dropbox's have to be. */
#define UPLOAD_ROUND ((uint64_t)4 << 20)

void
upload_wake(struct upload *u)
{
	event_active(u->wake, EV_TIMEOUT, 0);
}

/* The cloud says nothing of an upload's parts (CLOUD_UPLOADS_UNTOLD). */
bool
upload_is_untold(const struct upload *u)
{
	return (u->to->driver->features & CLOUD_UPLOADS_UNTOLD) != 0;
}

/* The cloud reads all of a link at once (CLOUD_PULLS_WHOLE). */
bool
upload_pulls_whole(const struct upload *u)
{
	return u->spec.link != NULL && (u->to->driver->features & CLOUD_PULLS_WHOLE);
}

/* The error is in u->err. */
enum upload_state
upload_fail(struct upload *u, int code)
{
	assert(code < 0);
	u->code = code;
	return UPLOAD_END;
}

enum upload_state
upload_await_failed(struct upload *u)
{
	u->err = *u->await.err;
	return upload_fail(u, u->await.code);
}

struct cloud_op *
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

void
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
uint64_t
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
	if (upload_pulls_whole(u)) /* by another route it is another upload */
		hash_update(hash, "pull", sizeof "pull");
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
enum upload_state
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
	if (c->resume != NULL) /* of a copy, which leaves nothing */
		return upload_forget(u);
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
enum upload_state
upload_begin_again(struct upload *u)
{
	upload_forget(u);
	u->next = 0;
	err_keep(&u->suspect, NULL);
	if (u->began_again)
		return upload_fail(u,
		    err_set(&u->err, -EIO, "the cloud has lost the upload to '%s' twice", u->path));
	u->began_again = true;
	log_warning(
	    "'%s': the cloud knows nothing of the upload any more: it begins again", u->path);
	return UPLOAD_FIND;
}

/* It was not committed: a part is not there.  Which are? */
enum upload_state
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
		err_keep(&u->suspect, NULL); /* it missed what it had: the source may be there */
	}
	if (code == 0 && u->suspect != NULL) { /* it is there: the source is not */
		u->err = *u->suspect;
		return upload_fail(u, u->err.code);
	}
	return code == 0 ? UPLOAD_RUN : UPLOAD_END;
}

static enum upload_state
upload_abort_run(struct upload *u)
{
	struct cloud_op *op;
	int code;

	if (u->await.op == NULL) {
		op = upload_op(u, CLOUD_UPLOAD_ABORT, u->checkpoint->upload);
		op->soon = u->sweeping; /* it can be swept later, and nobody needs its place */
		await_start(&u->await, u->runner, op);
	}
	if (!u->await.ended)
		return UPLOAD_ABORT;
	code = u->await.code;
	if (code != 0)
		upload_await_failed(u);
	await_drop(&u->await);
	return code == 0 ? upload_forget(u) : UPLOAD_END;
}

/* -- a new one */

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
		if (upload_pulls_whole(u))
			op->link = xstrdup(u->spec.link);
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

/* -- parts, as many at once as brought more */

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
upload_suspect(struct upload *u)
{
	struct upload_job *j;

	err_keep(&u->suspect, &u->err);
	err_clear(&u->err);
	while ((j = TAILQ_FIRST(&u->jobs)) != NULL)
		upload_job_free(j);
	u->next = 0;
	return UPLOAD_STATUS;
}

static enum upload_state
upload_run_run(struct upload *u)
{
	struct upload_job *j, *next;
	int code;

	if (u->next == 0)
		upload_run_begin(u);
	for (j = TAILQ_FIRST(&u->jobs); j != NULL; j = next) {
		next = TAILQ_NEXT(j, next);
		if (!j->ended && !j->copy.ended)
			continue;
		code = upload_job_run(j);
		if (code == -ENOENT)
			return upload_suspect(u);
		if (code != 0)
			return upload_fail(u, code);
	}
	upload_fill(u);
	if (u->jobs_len > 0)
		return UPLOAD_RUN;
	return UPLOAD_COMMIT;
}

/* -- the end */

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
	return u->compared;
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
	struct upload_job *j;

	if (u == NULL)
		return NULL;
	checkpoint = u->checkpoint;
	while ((j = TAILQ_FIRST(&u->jobs)) != NULL)
		upload_job_free(j);
	await_fini(&u->await);
	free(u->suspect);
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
