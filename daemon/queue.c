#include "daemon/queue.h"
#include "daemon/accounts.h"
#include "daemon/events.h"
#include "daemon/idmap.h"
#include "daemon/pairs.h"
#include "daemon/refusal.h"
#include "daemon/retry.h"
#include "daemon/spool.h"
#include "daemon/upload_seal.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define QUEUE_CLAIM_MAX      256 /* changes of one claim: keeps a store transaction short */
#define QUEUE_STORE_RETRY_MS 2000 /* after the store refused (a full disk): try again */
#define QUEUE_EXPIRE_MS      (3600 * 1000)
#define QUEUE_MEMORY_MAX     ((uint64_t)256 << 20) /* more rings bring nothing, unless asked for */
#define QUEUE_HELD_MS        2000
#define QUEUE_SWEEP_MAX      64 /* uploads of ended changes that are aborted at a time */
#define QUEUE_RATE_SAMPLES   6 /* one a second: the rate is over the last five */

struct sample {
	uint64_t ms, bytes;
};

/* A change that is carried here, until the store has its end. */
struct running {
	struct queue *queue;
	struct change *change;
	struct worker_job *job; /* NULL: no attempt (any more) */
	struct pairs_entry *pair; /* NULL: it only sweeps */
	size_t worker;
	bool verifying; /* the store is writing that it is verified */
	unsigned notes; /* of the checkpoint, that the store is writing */
	bool sweeping; /* it has ended; what it left at the cloud is being removed */
	struct change *again; /* it is tried again, and begins when that is over; or NULL */
	bool ended; /* the attempt is over: the change has its new state */
	bool parked; /* a tree whose children go on */
	bool stopped; /* for a drain: it stays claimed, and the next daemon takes it back */
	struct sample samples[QUEUE_RATE_SAMPLES];
	size_t samples_len;
	struct worker_progress progress; /* the last that was told */
	TAILQ_ENTRY(running) next;
};

struct queue_worker {
	struct worker *worker;
	unsigned load;
};

struct queue {
	struct daemon *daemon;
	struct spool *spool;
	struct pool *pool; /* of the transfers: a long copy does not keep the API from its disks */
	struct queue_worker *workers;
	size_t workers_len;
	unsigned max;
	struct bucket *bandwidth;
	TAILQ_HEAD(, running) running;
	unsigned running_len;
	struct idmap by_id;
	bool claiming, kicked;
	unsigned store_calls; /* under way, besides those of running changes */
	struct event *claim_event; /* also a timer: the next not-before */
	uint64_t alarm_ms; /* when that goes off; 0: it is not set */
	struct event *renew_timer, *drain_timer, *expire_timer, *store_timer;
	loop_fn drained;
	void *drained_arg;
};

static void
queue_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(timer, &tv);
}

/* -- the end of a change */

static void
running_free(struct running *r)
{
	change_free(r->change);
	free(r);
}

/* Nothing runs, and no answer of the store is due. */
static void
queue_check_drained(struct queue *q)
{
	if (q->drained == NULL || q->running_len > 0 || q->store_calls > 0)
		return;
	loop_post(q->daemon->loop, TAKE(q->drained), q->drained_arg);
}

static void queue_begin(struct queue *, struct change *);

static void
queue_remove(struct running *r)
{
	struct queue *q = r->queue;
	struct change *again = TAKE(r->again);

	if (r->pair != NULL)
		pairs_leave(r->pair);
	TAILQ_REMOVE(&q->running, r, next);
	idmap_remove(&q->by_id, r->change->id);
	q->running_len--;
	if (q->running_len == 0)
		evtimer_del(q->renew_timer);
	running_free(r);
	if (again != NULL && q->drained == NULL)
		queue_begin(q, again);
	else
		change_free(again); /* it stays claimed, and the next daemon takes it back */
	queue_check_drained(q);
}

void
queue_log_end(const struct change *c)
{
	/* The tree tells how many there were. */
	if (c->parent[0] != '\0' && c->error == 0)
		return;
	switch (c->state) {
	case CHANGE_COMPLETED:
		log_info("%s: %s of '%s' completed%s%s%s%s", c->id, change_kind_name(c->kind),
		    c->path, c->route != NULL ? ", route " : "", c->route != NULL ? c->route : "",
		    c->verified != NULL ? ", verified by " : "",
		    c->verified != NULL ? c->verified : "");
		break;
	case CHANGE_FAILED:
		log_error("%s: %s of '%s' failed: %s", c->id, change_kind_name(c->kind), c->path,
		    c->error_text != NULL ? c->error_text : err_info(c->error)->text);
		break;
	case CHANGE_QUEUED:
		log_warning("%s: attempt %u to %s '%s' ended: %s", c->id, c->attempts,
		    change_kind_name(c->kind), c->path,
		    c->error_text != NULL ? c->error_text : "stopped");
		break;
	default:
		log_info("%s: %s of '%s' %s", c->id, change_kind_name(c->kind), c->path,
		    change_state_name(c->state));
		break;
	}
}

/* The change as the store has it now, and those that its end took along. */
static void
queue_tell(struct queue *q, struct store_result *res)
{
	size_t i;

	if (res->change != NULL)
		events_change(q->daemon->events, res->change);
	for (i = 0; i < res->changes_len; i++) {
		if (res->changes[i] == NULL)
			continue;
		queue_log_end(res->changes[i]);
		events_change(q->daemon->events, res->changes[i]);
	}
}

/* A tree shows what its children do, a few times a second. */
static void
queue_tell_tree(struct queue *q, const char *id)
{
	struct queue_progress live;
	struct change *tree;

	if (id[0] == '\0' || !events_progress_is_due(q->daemon->events, id) ||
	    store_change_get(q->daemon->store, id, &tree, NULL) != 0)
		return;
	if (change_is_live(tree)) {
		queue_tree_progress(q, tree, &live);
		events_progress(q->daemon->events, tree, &live);
	}
	change_free(tree);
}

static void
queue_on_finished(void *arg, struct store_result *res)
{
	struct running *r = arg;
	struct queue *q = r->queue;
	struct change *c = r->change;

	if (res->code != 0) {
		log_error("%s: cannot record its end: %s", c->id, err_text(&res->err));
		/* It stays ours, with its result, until the store takes it; or the next daemon
		 * repeats it. */
		if (res->code == -ENOENT || res->code == -ESTALE || q->daemon->draining) {
			queue_remove(r);
			return;
		}
		r->ended = true;
		queue_timer(q->store_timer, QUEUE_STORE_RETRY_MS);
		return;
	}
	crash_point("queue.after_finish");
	/* A tree that has ended may not have: its children go on, or have not done well. */
	if (res->change->state != CHANGE_RUNNING)
		queue_log_end(res->change);
	queue_tell(q, res);
	queue_tell_tree(q, c->parent);
	if (c->state == CHANGE_COMPLETED || c->state == CHANGE_CANCELLED)
		spool_ended(q->spool, c);
	queue_remove(r);
	queue_kick(q);
}

static void
queue_settle(struct running *r)
{
	r->ended = false; /* the store has it; true again if it refuses */
	crash_point("queue.before_finish");
	if (r->parked)
		store_tree_park(r->queue->daemon->store, r->change->id, queue_on_finished, r);
	else
		store_change_finish(r->queue->daemon->store, r->change, queue_on_finished, r);
}

static void
queue_on_store_timer(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct running *r;

	TAILQ_FOREACH (r, &q->running, next) {
		if (r->ended && !r->verifying && r->job == NULL)
			queue_settle(r);
	}
	queue_kick(q);
}

/* What an attempt's result makes of the change. */
static void
queue_decide(struct queue *q, struct change *c, int code, const struct err *err)
{
	const struct settings *s = q->daemon->settings;
	struct retry_policy policy = {
	    .backoff_ms = settings_int(s, "transfer.backoff"),
	    .backoff_max_ms = settings_int(s, "transfer.backoff_max"),
	};
	bool will_retry = change_will_retry(c, code);
	uint64_t random;

	c->error = code;
	xstrset(&c->error_text, code == 0 ? NULL : err_text(err));
	if (code == 0) {
		c->state = CHANGE_COMPLETED;
	} else if (code == -ECANCELED) {
		c->state = CHANGE_CANCELLED;
	} else if (code == -EKEYEXPIRED) {
		/* Its account is held: it waits there, and nothing of it was tried. */
		c->state = CHANGE_QUEUED;
		c->attempts -= c->attempts > 0;
		c->not_before_ms = clock_ms() + QUEUE_HELD_MS; /* if nothing holds it there */
	} else if (will_retry) {
		random_bytes(&random, sizeof random);
		c->state = CHANGE_QUEUED;
		c->not_before_ms =
		    clock_ms() + retry_wait(&policy, c->attempts, err->wait_ms, random);
	} else {
		c->state = CHANGE_FAILED;
	}
}

static void
queue_fail(struct running *r, int code, const struct err *err)
{
	queue_decide(r->queue, r->change, code, err);
	queue_settle(r);
}

/* -- what the workers say */

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
	if (res->source_version != NULL && c->segments_len == 1 && c->kind == CHANGE_TRANSFER)
		xstrset(&c->segments[0].version, res->source_version);
}

/* It was stopped, or only swept: it goes when the store has answered all that it was told. */
static void
queue_remove_stopped(struct running *r)
{
	if (!r->verifying && r->notes == 0)
		queue_remove(r);
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

/* What cannot be sealed is stored as an intent: the upload is begun again then. */
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
	store_checkpoint_head(daemon->store, r->change->id, sealed, queue_on_head_stored, r);
	checkpoint_free(sealed);
}

/* NULL: there is none that can be read. */
static struct checkpoint *
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

static void
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

static uint64_t
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

static struct queue_progress
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

static const struct worker_handler worker_handler = {
    .progress = queue_on_progress,
    .note = queue_on_note,
    .grow = queue_on_grow,
    .verified = queue_on_verified,
    .done = queue_on_done,
    .refused = queue_on_refused,
};

/* -- claiming and beginning */

/* Snapshots of the accounts of a change, each once.  *out: caller unrefs each, or hands them on. */
static int
queue_snapshots(struct queue *q, const struct change *c, struct account_snapshot ***out,
    size_t *len, struct err *err)
{
	struct account_snapshot **all = xcalloc(c->segments_len + 1, sizeof *all);
	size_t i, j, n = 0;
	int code = 0;

	for (i = 0; i <= c->segments_len && code == 0; i++) {
		const char *id = i == 0 ? c->account_id : c->segments[i - 1].account_id;

		if (id == NULL || (i > 0 && c->segments[i - 1].kind != SEGMENT_ENTRY))
			continue;
		for (j = 0; j < n && strcmp(all[j]->id, id) != 0; j++)
			;
		if (j < n)
			continue;
		code = accounts_snapshot(q->daemon->accounts, c->user_id, id, &all[n], err);
		n += code == 0;
	}
	if (code != 0) {
		while (n > 0)
			account_snapshot_unref(all[--n]);
		free(all);
		return code;
	}
	*out = all;
	*len = n;
	return 0;
}

static size_t
queue_least_loaded(const struct queue *q)
{
	size_t i, best = 0;

	for (i = 1; i < q->workers_len; i++) {
		if (q->workers[i].load < q->workers[best].load)
			best = i;
	}
	return best;
}

static struct running *
running_new(struct queue *q, struct change *c)
{
	struct running *r = xcalloc(1, sizeof *r);

	r->queue = q;
	r->change = c;
	r->progress.bytes_done = c->bytes_done;
	r->progress.bytes_total = c->bytes_total;
	if (q->running_len == 0)
		queue_timer(q->renew_timer, settings_int(q->daemon->settings, "claim.lease") / 3);
	TAILQ_INSERT_TAIL(&q->running, r, next);
	idmap_put(&q->by_id, c->id, r);
	q->running_len++;
	return r;
}

/* To the least loaded of the transfer loops. */
static int
queue_hand_over(struct running *r, struct err *err)
{
	struct queue *q = r->queue;
	const struct change *c = r->change;
	struct account_snapshot **snapshots;
	struct checkpoint *checkpoint = NULL;
	CLEANUP(cleanup_free) char *spool_dir = daemon_spool_dir(q->daemon, c->user_id);
	size_t len;
	int code;

	code = queue_snapshots(q, c, &snapshots, &len, err);
	if (code != 0)
		return code;
	/* The first attempt of most has none. */
	if (c->repeated || c->attempts > 1 || c->cancel)
		checkpoint = queue_load_checkpoint(q, c);
	r->worker = queue_least_loaded(q);
	q->workers[r->worker].load++;
	r->job = worker_run(
	    q->workers[r->worker].worker, change_copy(c), checkpoint, snapshots, len, spool_dir, r);
	free(snapshots);
	return 0;
}

static void
queue_begin(struct queue *q, struct change *c)
{
	struct running *r = idmap_get(&q->by_id, c->id);
	struct err err = ERR_INIT;
	int code;

	if (r != NULL) { /* the upload that it left is being removed */
		assert(r->sweeping && r->again == NULL);
		r->again = c;
		return;
	}
	r = running_new(q, c);
	r->pair = pairs_enter(q->daemon->pairs, c);
	events_change(q->daemon->events, c);
	code = queue_hand_over(r, &err);
	if (code != 0)
		queue_fail(r, code, &err);
}

/* -- what changes that have ended left at their clouds */

/* One whose account is gone took its uploads with it, or nobody can reach them any more. */
static void
queue_sweep(struct queue *q, struct change *c)
{
	struct err err = ERR_INIT;
	struct running *r;
	int code;

	if (idmap_get(&q->by_id, c->id) != NULL) {
		change_free(c);
		return;
	}
	c->cancel = true;
	r = running_new(q, c);
	r->sweeping = true;
	code = queue_hand_over(r, &err);
	if (code == 0)
		return;
	log_warning(
	    "%s: what it left at '%s' cannot be removed: %s", c->id, c->path, err_text(&err));
	r->stopped = true;
	/* Credentials that cannot be read now may be put right: then it is tried again. */
	if (code == -ENOENT)
		queue_on_note(q, r, CHECKPOINT_GONE, NULL, NULL);
	else
		queue_remove_stopped(r);
}

static void
queue_sweep_all(struct queue *q)
{
	struct err err = ERR_INIT;
	struct change **left;
	size_t i, len;

	if (store_checkpoints_left(q->daemon->store, NULL, QUEUE_SWEEP_MAX, &left, &len, &err) !=
	    0) {
		log_warning("cannot find out what is left to be removed: %s", err_text(&err));
		return;
	}
	for (i = 0; i < len; i++)
		queue_sweep(q, TAKE(left[i]));
	free(left);
}

static unsigned
queue_room(const struct queue *q)
{
	return q->running_len < q->max ? MIN(q->max - q->running_len, QUEUE_CLAIM_MAX) : 0;
}

/* A claim at the latest then. */
static void
queue_alarm(struct queue *q, uint64_t at_ms)
{
	uint64_t now = clock_ms();

	if (q->alarm_ms != 0 && q->alarm_ms <= at_ms)
		return;
	q->alarm_ms = at_ms;
	queue_timer(q->claim_event, at_ms > now ? MIN(at_ms - now, QUEUE_EXPIRE_MS) : 0);
}

static void
queue_on_claimed(void *arg, struct store_result *res)
{
	struct queue *q = arg;
	size_t i;

	q->claiming = false;
	q->store_calls--;
	if (res->code != 0) {
		log_error("cannot claim changes, will try again: %s", err_text(&res->err));
		queue_timer(q->store_timer, QUEUE_STORE_RETRY_MS);
		queue_check_drained(q);
		return;
	}
	crash_point("queue.after_claim");
	/* Claimed while the daemon is stopping: as after a crash, the next one takes them back. */
	for (i = 0; i < res->changes_len && !q->daemon->draining; i++)
		queue_begin(q, TAKE(res->changes[i]));
	queue_check_drained(q);
	/* Nothing came although something is ready: it waits for a limit, and the end that frees it
	 * kicks. */
	if (q->kicked || (res->ready && res->changes_len > 0)) {
		queue_kick(q);
		return;
	}
	if (res->next_ms != UINT64_MAX)
		queue_alarm(q, res->next_ms);
}

/* One claim at a time; kicks meanwhile are remembered. */
static void
queue_claim(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	q->alarm_ms = 0;
	if (q->claiming || q->daemon->draining || queue_room(q) == 0)
		return;
	q->kicked = false;
	q->claiming = true;
	q->store_calls++;
	store_claim(q->daemon->store, queue_room(q), queue_on_claimed, q);
}

void
queue_kick(struct queue *q)
{
	q->kicked = true;
	if (!q->claiming)
		event_active(q->claim_event, EV_TIMEOUT, 0);
}

/* -- timers */

static void
queue_on_renewed(void *arg, struct store_result *res)
{
	struct queue *q = arg;

	q->store_calls--;
	if (res->code != 0)
		log_warning("cannot renew the leases of running changes: %s", err_text(&res->err));
	queue_check_drained(q);
}

static void
queue_on_renew(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->running_len == 0)
		return;
	q->store_calls++;
	store_renew(q->daemon->store, queue_on_renewed, q);
	queue_timer(q->renew_timer, settings_int(q->daemon->settings, "claim.lease") / 3);
}

static void
queue_on_expired(void *arg, struct store_result *res)
{
	struct queue *q = arg;

	q->store_calls--;
	if (res->code != 0)
		log_warning("cannot drop old history: %s", err_text(&res->err));
	queue_timer(
	    q->expire_timer, res->code == 0 && res->next_ms != UINT64_MAX ? 1000 : QUEUE_EXPIRE_MS);
	queue_check_drained(q);
}

static void
queue_on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (q->daemon->draining)
		return;
	queue_sweep_all(q);
	q->store_calls++;
	store_expire(q->daemon->store, queue_on_expired, q);
}

static void
queue_on_reclaimed(void *arg, struct store_result *res)
{
	struct queue *q = arg;

	q->store_calls--;
	if (res->code != 0)
		log_error("cannot take over what was running: %s", err_text(&res->err));
	queue_check_drained(q);
	queue_kick(q);
}

/* -- from outside */

static void
queue_stop_all(struct queue *q)
{
	struct running *r;

	TAILQ_FOREACH (r, &q->running, next) {
		if (r->job != NULL)
			worker_cancel(r->job, -ESHUTDOWN);
	}
}

static void
queue_on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	event_free(TAKE(q->drain_timer));
	if (q->running_len > 0)
		log_info("stopping %u changes; they go on after the next start", q->running_len);
	queue_stop_all(q);
}

void
queue_drain(struct queue *q, uint64_t drain_ms, loop_fn done, void *arg)
{
	q->daemon->draining = true;
	q->drained = done;
	q->drained_arg = arg;
	queue_check_drained(q);
	if (q->drained == NULL)
		return;
	if (q->drain_timer == NULL)
		q->drain_timer = evtimer_new(loop_base(q->daemon->loop), queue_on_drain_timeout, q);
	queue_timer(q->drain_timer, drain_ms);
}

static void
queue_cancel(struct queue *q, const char *change_id)
{
	struct running *r = idmap_get(&q->by_id, change_id);

	if (r != NULL && r->again != NULL)
		r->again->cancel = true;
	if (r == NULL || r->sweeping)
		return;
	r->change->cancel = true;
	if (r->job != NULL)
		worker_cancel(r->job, -ECANCELED);
}

void
queue_limit(struct queue *q, const struct change *c)
{
	struct running *r = idmap_get(&q->by_id, c->id);

	if (r != NULL && r->again != NULL)
		r->again->bandwidth = c->bandwidth;
	if (r == NULL || r->sweeping)
		return;
	r->change->bandwidth = c->bandwidth;
	if (r->job != NULL)
		worker_set_bandwidth(r->job, c->bandwidth);
}

void
queue_changed(struct queue *q, const struct change *c)
{
	if (c->state == CHANGE_QUEUED && c->not_before_ms > clock_ms())
		queue_alarm(q, c->not_before_ms);
	if (c->state == CHANGE_RUNNING && c->cancel)
		queue_cancel(q, c->id);
	if (c->state == CHANGE_COMPLETED || c->state == CHANGE_CANCELLED)
		spool_ended(q->spool, c);
}

void
queue_mount_ended(struct queue *q)
{
	spool_sweep(q->spool);
}

void
queue_account_changed(struct queue *q, struct account_snapshot *snapshot)
{
	size_t i;

	for (i = 0; i < q->workers_len; i++)
		worker_renew(q->workers[i].worker, snapshot);
	queue_kick(q);
}

void
queue_account_gone(struct queue *q, const char *account_id)
{
	size_t i;

	for (i = 0; i < q->workers_len; i++)
		worker_forget_account(q->workers[i].worker, account_id);
}

void
queue_reconfigure(struct queue *q)
{
	const struct settings *s = q->daemon->settings;
	size_t i;

	q->max = daemon_total_max(s);
	bucket_set_rate(q->bandwidth, settings_int(s, "transfer.bandwidth"));
	/* The scheduler bounds the changes of an account; a loop must not bound them lower. */
	for (i = 0; i < q->workers_len; i++)
		worker_set_concurrency(q->workers[i].worker, daemon_account_max(s));
	queue_kick(q);
}

bool
queue_progress(struct queue *q, const char *change_id, struct queue_progress *out)
{
	const struct running *r = idmap_get(&q->by_id, change_id);

	if (r == NULL)
		return false;
	*out = running_progress(r);
	return true;
}

void
queue_tree_progress(struct queue *q, const struct change *tree, struct queue_progress *out)
{
	const struct running *r;

	*out = (struct queue_progress){tree->bytes_done, tree->bytes_total};
	TAILQ_FOREACH (r, &q->running, next) {
		if (strcmp(r->change->parent, tree->id) != 0)
			continue;
		out->bytes_done += r->progress.bytes_done;
		out->rate += running_rate(r);
	}
}

unsigned
queue_running(const struct queue *q)
{
	return q->running_len;
}

/* Of all rings. */
static size_t
queue_memory(const struct settings *s)
{
	uint64_t set = settings_int(s, "transfer.memory");
	uint64_t quarter = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4;

	return set != 0 ? set : MIN(quarter, QUEUE_MEMORY_MAX);
}

static int
queue_start_workers(struct queue *q, struct err *err)
{
	const struct settings *s = q->daemon->settings;
	int64_t n = settings_int(s, "transfer.loops");
	struct worker_config config = {
	    .control = q->daemon->loop,
	    .pool = q->pool,
	    .http = daemon_http_limits(q->daemon),
	    .ring = settings_int(s, "transfer.ring"),
	    .memory = queue_memory(s),
	    .bandwidth = q->bandwidth,
	    .concurrency = daemon_account_max(s),
	    .patience_ms = settings_int(s, "transfer.patience"),
	    .pulls_private = settings_bool(s, "pull.private"),
	};

	if (n == 0)
		n = MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
	config.memory /= n;
	q->workers = xcalloc(n, sizeof *q->workers);
	for (; config.index < n; config.index++) {
		q->workers[config.index].worker = worker_new(&config, &worker_handler, q, err);
		if (q->workers[config.index].worker == NULL)
			return err->code;
		q->workers_len++;
	}
	return 0;
}

struct queue *
queue_new(struct daemon *d, struct err *err)
{
	struct queue *q = xcalloc(1, sizeof *q);
	struct event_base *base = loop_base(d->loop);

	q->daemon = d;
	TAILQ_INIT(&q->running);
	q->max = daemon_total_max(d->settings);
	q->bandwidth = bucket_new(settings_int(d->settings, "transfer.bandwidth"));
	q->claim_event = evtimer_new(base, queue_claim, q);
	q->renew_timer = evtimer_new(base, queue_on_renew, q);
	q->expire_timer = evtimer_new(base, queue_on_expire, q);
	q->store_timer = evtimer_new(base, queue_on_store_timer, q);
	q->pool = pool_new(settings_int(d->settings, "pool.threads"), err);
	if (q->pool == NULL || queue_start_workers(q, err) != 0) {
		queue_free(q);
		return NULL;
	}
	q->spool = spool_new(d);
	/* One daemon per state directory: whatever is marked as running, nobody runs it. */
	q->store_calls++;
	store_reclaim(d->store, true, queue_on_reclaimed, q);
	queue_timer(q->expire_timer, 1000);
	return q;
}

void
queue_free(struct queue *q)
{
	size_t i;

	if (q == NULL)
		return;
	assert(q->running_len == 0);
	for (i = 0; i < q->workers_len; i++)
		worker_stop(q->workers[i].worker);
	pool_free(q->pool);
	for (i = 0; i < q->workers_len; i++)
		worker_free(q->workers[i].worker);
	free(q->workers);
	bucket_unref(q->bandwidth);
	spool_free(q->spool);
	event_free(q->claim_event);
	event_free(q->renew_timer);
	event_free(q->expire_timer);
	event_free(q->store_timer);
	if (q->drain_timer != NULL)
		event_free(q->drain_timer);
	idmap_fini(&q->by_id);
	free(q);
}
