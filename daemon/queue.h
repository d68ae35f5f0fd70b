/*
 * queue: the control loop's side of running changes.  It claims from the store when there is room,
 * hands claims to the transfer loops (worker.c), collects progress, and settles results: finished,
 * to be retried with backoff, verified.  It is the only caller of the store's claim and finish.
 */
#pragma once
#include "daemon/worker.h"

struct queue *queue_new(struct daemon *, struct err *); /* starts the transfer loops */
void queue_free(struct queue *);
/* Something may be claimable: claims soon. Called after every store callback with result->ready. */
void queue_kick(struct queue *);
/* Stops claiming; running attempts get `drain_ms` to end, then are stopped (they go on after
   restart); done(arg) runs when none is left. */
void queue_drain(struct queue *, uint64_t drain_ms, loop_fn done, void *arg);
/* An account is new in some way: what runs, and what waits, goes on with it as it is now. */
void queue_account_changed(struct queue *, struct account_snapshot *); /* takes a reference */
void queue_account_gone(struct queue *, const char *account_id);
/* A running change may pass so many bytes a second from now on. */
void queue_limit(struct queue *, const struct change *);
void queue_reconfigure(struct queue *); /* daemon->settings is new */

struct queue_progress {
	uint64_t bytes_done, bytes_total;
	uint64_t rate; /* bytes/s over the last 5 s */
	const char *route; /* static; NULL: not chosen yet */
	struct worker_parts parts;
};
/* Live progress of a running change; false if it is not running here. */
bool queue_progress(struct queue *, const char *change_id, struct queue_progress *out);
/* What a tree that has not ended has done, with what its children are about to. */
void queue_tree_progress(struct queue *, const struct change *tree, struct queue_progress *out);
unsigned queue_running(const struct queue *);
/* A change is new or was altered outside the queue, and this is how it is now.  One that is to wait
   is claimed when its time comes; a running one that is to be cancelled is; one that has ended
   gives back its spool files. */
void queue_changed(struct queue *, const struct change *);
/* Logs how a change, or an attempt, has ended. */
void queue_log_end(const struct change *);
/* A mount is gone and its pending writes are queued: what else it left in the spool goes. */
void queue_mount_ended(struct queue *);
