/*
 * worker: one transfer loop: a thread with its own cloud runner, its own opened accounts and the
 * attempts it carries.  The queue tells it what to do from the control loop; both directions are
 * messages that own what they carry, so nothing is locked.
 *
 * A job is the queue's handle for one attempt.  It lives on the worker; the queue may use it until
 * worker_release(), which it calls once, after the job's `done`.
 *
 * Accounts come as snapshots: immutable, counted across threads.  A worker opens an account when it
 * first needs it, and renews it in place when a snapshot has another revision: what runs goes on
 * with that.  When a cloud refuses the credentials, it asks for such a snapshot.
 */
#pragma once
#include "daemon/daemon.h"
#include "src/attempt.h"

struct worker;
struct worker_job;

struct account_snapshot {
	unsigned refs; /* atomic */
	char *id, *name;
	const struct cloud_driver *driver;
	uint64_t revision;
	struct bucket *bandwidth; /* a reference */
	struct throttle *throttle; /* a reference */
	struct buf credentials; /* JSON; secret */
};
struct account_snapshot *account_snapshot_ref(struct account_snapshot *); /* any thread */
void account_snapshot_unref(
    struct account_snapshot *); /* any thread; wiped with the last; NULL is a no-op */

struct worker_progress {
	void *owner;
	uint64_t bytes_done, bytes_total;
	const char *route; /* static; NULL: not chosen yet */
	struct worker_parts {
		unsigned done, total, at_once; /* total 0: not in parts */
		const char *why; /* of at_once; static */
	} parts;
};

/* All on the control loop. */
/* A cloud refuses an account's credentials of this revision. */
struct worker_refusal {
	struct worker *worker;
	char id[37]; /* the account's */
	uint64_t revision;
	bool is_signed_out; /* all of them, not only for one object */
	struct err err;
};

/* A transfer loop needs an account's token. */
struct worker_sign_in {
	struct worker *worker;
	char id[37]; /* the account's */
	unsigned ticket; /* as of struct cloud_runner_config */
	char *refused; /* secret, or NULL */
	/* the answer */
	int code;
	struct err err;
	char *token; /* secret */
	uint64_t good_until_ms;
};

struct worker_handler {
	void (*progress)(void *arg, const struct worker_progress *, size_t len);
	/* After a HEAD, worker_noted() is waited for. */
	void (*note)(void *arg, void *owner, enum checkpoint_note_kind, const struct checkpoint *,
	    const struct upload_part *);
	/* Answered by worker_grown(); the batch is taken. */
	void (*grow)(void *arg, void *owner, struct walk_batch *);
	void (*verified)(void *arg, void *owner, const struct attempt_result *);
	void (*done)(void *arg, void *owner, const struct attempt_result *);
	/* Answered by worker_renew(), or worker_refuse(). */
	void (*refused)(void *arg, const struct worker_refusal *);
	/* Answered by worker_signed_in(). */
	void (*sign_in)(void *arg, struct worker_sign_in *);
};

struct worker_config {
	unsigned index;
	struct loop *control;
	struct pool *pool;
	struct http_limits http; /* strings borrowed for the worker's life */
	bool pulls_private; /* as of struct cloud_runner_config */
	size_t ring;
	size_t memory; /* of all rings, bytes */
	struct bucket *bandwidth; /* of all transfers of all workers; borrowed */
	unsigned concurrency; /* ops at once on one account that does not say */
	uint64_t patience_ms; /* as in cloud.h */
};

struct worker *
worker_new(const struct worker_config *, const struct worker_handler *, void *arg, struct err *);
/* Every job is done and released: ends the thread.  The pool may still have a cancelled disk job of
   it, so worker_free() comes when the pool is gone. */
void worker_stop(struct worker *);
void worker_free(struct worker *); /* after worker_stop() */
/* Takes the change, the checkpoint (or NULL) and the references of the snapshots; spool_dir is
   copied. */
struct worker_job *worker_run(struct worker *, struct change *, struct checkpoint *,
    struct account_snapshot **, size_t len, const char *spool_dir, void *owner);
void worker_set_bandwidth(struct worker_job *, uint64_t rate); /* at once; 0: no limit */
void worker_noted(struct worker_job *); /* the checkpoint's head is on disk */
void worker_grown(struct worker_job *, const struct attempt_growth *); /* as attempt_grown() */
void worker_continue(struct worker_job *); /* what it verified is on disk */
void
worker_cancel(struct worker_job *, int code); /* as attempt_cancel(); also before it has begun */
void worker_release(struct worker_job *);
void worker_set_concurrency(struct worker *, unsigned); /* settings are new */
void worker_forget_account(struct worker *, const char *account_id);
/* As the account is now, if it is open there; what waited for it goes on. */
void worker_renew(struct worker *, struct account_snapshot *); /* takes a reference */
/* There are no other credentials: what waited for them fails so. */
void worker_refuse(struct worker *, const char *account_id, const struct err *);
void worker_signed_in(struct worker_sign_in *, int code, const char *token, uint64_t good_until_ms,
    const struct err *); /* takes it */
