#include "daemon/events.h"
#include "daemon/pairs.h"
#include "daemon/queue_private.h"
#include "daemon/refusal.h"
#include "daemon/tokens.h"
#include "daemon/upload_seal.h"
#include "src/clock.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>

static void
queue_take_result(struct change *c, const struct attempt_result *res)
{
	c->bytes_done = res->bytes_done;
	c->bytes_total = res->bytes_total;
	if (res->route != NULL || res->route_reason != NULL) {
		xstrset(&c->route, res->route);
		xstrset(&c->route_reason, res->route_reason);
	}
	if (res->verified != NULL)
		xstrset(&c->verified, res->verified);
	if (res->version != NULL)
		xstrset(&c->result_version, res->version);
	if (!c->mtime_set && res->mtime_ns != ENTRY_NO_TIME)
		c->mtime_ns = res->mtime_ns;
	if (res->source_version != NULL && c->segments_len == 1 && c->kind == CHANGE_TRANSFER) {
		xstrset(&c->segments[0].version, res->source_version);
		c->segments[0].written_ns = res->source_written_ns;
	}
}

/* It was stopped, or only swept: it goes when the store has answered all that it was told. */
void
queue_remove_stopped(struct running *r)
{
	if (!r->verifying && r->notes == 0)
		queue_forget(r);
}

static void
queue_on_note_stored(void *arg, struct store_result *res)
{
	struct running *r = arg;

	r->notes--;
	if (res->code != 0 && !r->stopped)
		log_warning(
		    "%s: cannot record how far it came: %s", r->change->id, err_text(&res->err));
	if (r->stopped)
		queue_remove_stopped(r);
}

/* What is not on disk must not begin. */
static void
queue_on_head_stored(void *arg, struct store_result *res)
{
	struct running *r = arg;

	if (r->job != NULL && !r->stopped && res->code == 0)
		worker_noted(r->job);
	else if (r->job != NULL && !r->stopped)
		worker_cancel(r->job, -EIO);
	queue_on_note_stored(r, res);
}

/* What cannot be sealed is stored as an intent: the upload is begun again then.  So is a copy, of
   which nothing is stored. */
static void
queue_store_head(struct running *r, const struct checkpoint *checkpoint)
{
	const struct daemon *daemon = r->queue->daemon;
	struct checkpoint *sealed = checkpoint_copy(checkpoint);
	struct err err = ERR_INIT;

	if (upload_seal(sealed, daemon->key, r->change->id, &err) != 0) {
		log_warning("%s: %s", r->change->id, err_text(&err));
		mem_wipe_free(TAKE(sealed->upload));
	}
	if (err.code != 0 && sealed->resume != NULL)
		store_checkpoint_drop(daemon->store, r->change->id, queue_on_note_stored, r);
	else
		store_checkpoint_head(
		    daemon->store, r->change->id, sealed, queue_on_head_stored, r);
	checkpoint_free(sealed);
}

/* NULL: there is none that can be read. */
struct checkpoint *
queue_load_checkpoint(const struct queue *q, const struct change *c)
{
	struct checkpoint *checkpoint = NULL;
	struct err err = ERR_INIT;

	if (store_checkpoint_get(q->daemon->store, c->id, &checkpoint, NULL) != 0)
		return NULL;
	if (upload_unseal(checkpoint, q->daemon->key, c->id, &err) != 0) {
		log_warning("%s: the upload it had begun cannot be gone on with: %s", c->id,
		    err_text(&err));
		checkpoint_free(TAKE(checkpoint));
	}
	return checkpoint;
}

void
queue_on_note(void *arg, void *owner, enum checkpoint_note_kind kind,
    const struct checkpoint *checkpoint, const struct upload_part *part)
{
	struct running *r = owner;
	struct store *store = r->queue->daemon->store;

	r->notes++;
	switch (kind) {
	case CHECKPOINT_HEAD: queue_store_head(r, checkpoint); break;
	case CHECKPOINT_PART:
		store_checkpoint_part(store, r->change->id, part, queue_on_note_stored, r);
		break;
	case CHECKPOINT_GONE:
		store_checkpoint_drop(store, r->change->id, queue_on_note_stored, r);
		break;
	}
}

static void
queue_on_grown(void *arg, struct store_result *res)
{
	struct attempt_growth growth;
	struct running *r = arg;
	struct queue *q = r->queue;

	r->notes--;
	if (r->stopped) {
		queue_remove_stopped(r);
		return;
	}
	if (res->code == 0) {
		r->change->attempts = res->change->attempts;
		r->change->totals = res->change->totals;
		queue_tell_tree(q, r->change->id);
		if (res->ready)
			queue_kick(q);
	}
	if (r->job == NULL)
		return;
	if (res->code == 0) {
		growth.room = store_tree_room(res->change);
		growth.live = res->change->totals.live;
		growth.failed = res->change->totals.failed;
		growth.attempts = res->change->attempts;
		worker_grown(r->job, &growth);
		return;
	}
	log_error("%s: cannot record what is to be copied: %s", r->change->id, err_text(&res->err));
	worker_cancel(r->job, -EIO);
}

static void
queue_on_grow(void *arg, void *owner, struct walk_batch *batch)
{
	struct running *r = owner;

	r->notes++;
	store_tree_grow(r->queue->daemon->store, r->change->id, batch, queue_on_grown, r);
}

static void
queue_on_verified_stored(void *arg, struct store_result *res)
{
	struct running *r = arg;

	r->verifying = false;
	if (r->stopped) {
		queue_remove_stopped(r);
		return;
	}
	if (r->ended) {
		queue_settle(r); /* cancelled meanwhile */
		return;
	}
	if (res->code == 0) {
		r->change->phase = CHANGE_PHASE_VERIFIED;
		worker_continue(r->job);
		return;
	}
	log_error("%s: cannot record that the destination is verified: %s", r->change->id,
	    err_text(&res->err));
	worker_cancel(r->job, -EIO);
}

static void
queue_on_verified(void *arg, void *owner, const struct attempt_result *res)
{
	struct running *r = owner;

	queue_take_result(r->change, res);
	if (!r->change->move) {
		worker_continue(r->job); /* nothing is left that must not be done twice */
		return;
	}
	r->verifying = true;
	store_change_verified(r->queue->daemon->store, r->change, queue_on_verified_stored, r);
}

static void
queue_on_done(void *arg, void *owner, const struct attempt_result *res)
{
	struct running *r = owner;
	struct queue *q = r->queue;

	q->workers[r->worker].load--;
	worker_release(TAKE(r->job));
	if (res->code == -ESHUTDOWN || r->sweeping) {
		r->stopped = true;
		queue_remove_stopped(r);
		return;
	}
	pairs_ended(r->pair, res->code);
	queue_take_result(r->change, res);
	r->parked = res->parked && res->code == 0;
	if (!r->parked)
		queue_decide(q, r->change, res->code, &res->err);
	r->ended = true;
	if (!r->verifying)
		queue_settle(r);
}

uint64_t
running_rate(const struct running *r)
{
	const struct sample *first = &r->samples[0], *last;

	if (r->samples_len < 2)
		return 0;
	last = &r->samples[r->samples_len - 1];
	if (last->ms <= first->ms || last->bytes <= first->bytes)
		return 0;
	return (last->bytes - first->bytes) * 1000 / (last->ms - first->ms);
}

/* The last sample follows the present; every second it becomes history. */
static void
running_sample(struct running *r, uint64_t now_ms, uint64_t bytes)
{
	if (r->samples_len < 2 || now_ms - r->samples[r->samples_len - 2].ms >= 1000) {
		if (r->samples_len == QUEUE_RATE_SAMPLES) {
			memmove(
			    r->samples, r->samples + 1, sizeof r->samples - sizeof r->samples[0]);
			r->samples_len--;
		}
		r->samples_len++;
	}
	r->samples[r->samples_len - 1] = (struct sample){now_ms, bytes};
}

struct queue_progress
running_progress(const struct running *r)
{
	const struct worker_progress *p = &r->progress;

	return (struct queue_progress){
	    p->bytes_done, p->bytes_total, running_rate(r), p->route, p->parts};
}

static void
queue_on_progress(void *arg, const struct worker_progress *progress, size_t len)
{
	struct queue *q = arg;
	uint64_t now = clock_mono_ms();
	size_t i;

	for (i = 0; i < len; i++) {
		const struct worker_progress *p = &progress[i];
		struct running *r = p->owner;

		if (r->pair != NULL && p->bytes_done > r->progress.bytes_done)
			pairs_moved(r->pair, p->bytes_done - r->progress.bytes_done);
		r->progress = *p;
		running_sample(r, now, p->bytes_done);
		const struct queue_progress live = running_progress(r);

		if (r->change->parent[0] != '\0')
			queue_tell_tree(q, r->change->parent);
		else
			events_progress(q->daemon->events, r->change, &live);
	}
}

static void
queue_on_refused(void *arg, const struct worker_refusal *refusal)
{
	struct queue *q = arg;

	refusals_add(q->daemon->refusals, refusal);
}

static void
queue_on_token(
    void *arg, int code, const char *token, uint64_t good_until_ms, const struct err *err)
{
	worker_signed_in(arg, code, token, good_until_ms, err);
}

static void
queue_on_sign_in(void *arg, struct worker_sign_in *sign_in)
{
	struct queue *q = arg;

	tokens_get(q->daemon->tokens, sign_in->id, sign_in->refused, queue_on_token, sign_in);
}

const struct worker_handler queue_worker_handler = {
    .progress = queue_on_progress,
    .note = queue_on_note,
    .grow = queue_on_grow,
    .verified = queue_on_verified,
    .done = queue_on_done,
    .refused = queue_on_refused,
    .sign_in = queue_on_sign_in,
};
