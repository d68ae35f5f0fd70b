#include "daemon/accounts.h"
#include "daemon/events.h"
#include "daemon/pairs.h"
#include "daemon/queue_private.h"
#include "daemon/spool.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUEUE_CLAIM_MAX  256 /* changes of one claim: keeps a store transaction short */
#define QUEUE_EXPIRE_MS  (3600 * 1000)
#define QUEUE_MEMORY_MAX ((uint64_t)256 << 20) /* more rings bring nothing, unless asked for */
#define QUEUE_SWEEP_MAX  64 /* uploads of ended changes that are aborted at a time */

void
queue_timer(struct event *timer, uint64_t ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(timer, &tv);
}

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

void
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
		q->workers[config.index].worker =
		    worker_new(&config, &queue_worker_handler, q, err);
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
