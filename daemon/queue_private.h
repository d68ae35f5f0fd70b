/*
 * What the parts of the queue share: queue.c claims and begins, and is what is called from outside;
 * queue_worker.c takes what the transfer loops say; queue_end.c settles how a change, or an
 * attempt, ended.  All of it runs on the control loop.
 */
#pragma once
#include "daemon/idmap.h"
#include "daemon/queue.h"
#include <sys/queue.h>

#define QUEUE_STORE_RETRY_MS 2000 /* after the store refused (a full disk): try again */
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

/* -- queue.c */
void queue_timer(struct event *, uint64_t ms);
void queue_begin(struct queue *, struct change *); /* one that was claimed; takes it */

/* -- queue_worker.c */
extern const struct worker_handler queue_worker_handler;
struct queue_progress running_progress(const struct running *);
uint64_t running_rate(const struct running *); /* bytes/s; 0: not known yet */
/* What is known of its upload; NULL: nothing, or it cannot be read.  Caller frees. */
struct checkpoint *queue_load_checkpoint(const struct queue *, const struct change *);
void queue_on_note(void *queue, void *running, enum checkpoint_note_kind, const struct checkpoint *,
    const struct upload_part *);
/* It was stopped, or only swept: it goes when the store has answered all that it was told. */
void queue_remove_stopped(struct running *);

/* -- queue_end.c */
/* What an attempt's result makes of the change. */
void queue_decide(struct queue *, struct change *, int code, const struct err *);
void queue_settle(struct running *); /* writes its new state to the store */
void queue_fail(struct running *, int code, const struct err *); /* both */
void queue_forget(struct running *); /* frees it */
/* A tree shows what its children do, a few times a second; id: "" is none. */
void queue_tell_tree(struct queue *, const char *id);
void queue_check_drained(struct queue *); /* ends the drain if nothing is left */
void queue_on_store_timer(evutil_socket_t, short, void *queue); /* what the store refused */
