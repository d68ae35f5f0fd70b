#include "daemon/events.h"
#include "daemon/pairs.h"
#include "daemon/queue_private.h"
#include "daemon/retry.h"
#include "daemon/spool.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>

#define QUEUE_HELD_MS 2000

static void
running_free(struct running *r)
{
	change_free(r->change);
	free(r);
}

/* Nothing runs, and no answer of the store is due. */
void
queue_check_drained(struct queue *q)
{
	if (q->drained == NULL || q->running_len > 0 || q->store_calls > 0)
		return;
	loop_post(q->daemon->loop, TAKE(q->drained), q->drained_arg);
}

void
queue_forget(struct running *r)
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
void
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
			queue_forget(r);
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
	queue_forget(r);
	queue_kick(q);
}

void
queue_settle(struct running *r)
{
	r->ended = false; /* the store has it; true again if it refuses */
	crash_point("queue.before_finish");
	if (r->parked)
		store_tree_park(r->queue->daemon->store, r->change->id, queue_on_finished, r);
	else
		store_change_finish(r->queue->daemon->store, r->change, queue_on_finished, r);
}

void
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
void
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

void
queue_fail(struct running *r, int code, const struct err *err)
{
	queue_decide(r->queue, r->change, code, err);
	queue_settle(r);
}
