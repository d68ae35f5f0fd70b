/*
 * attempt: the engine.  One attempt to carry out one change, on one transfer loop: a state machine
 * over cloud ops, with a ring between the reading and the writing one.  It knows nothing of queues,
 * stores or users.
 *
 * A transfer: stat the source (pinning its version), choose the route (native, pull, relay), copy
 * with hashes computed on the way, verify size and the cheapest shared hash, report `verified` and
 * wait for attempt_continue() (the fact is on disk), and for a move remove the source if it is
 * still the version that was copied.  It leaves nothing half-written: temporaries are named by the
 * change's id and swept on failure, on cancel and at the start of a later attempt.
 *
 * A repetition after a crash succeeds: what is to be removed and is gone counts as removed, a
 * directory to be made that is there as made, a source that is gone with its destination there as
 * renamed.  A file's rename without the cloud's help is copy, verify, remove; a directory's goes
 * file by file (tree.h) and is repeated by beginning again, since what was moved is gone from the
 * source.
 *
 * A tree's attempt moves nothing.  It lists its source (walk.h), as far as there is room for
 * children, and hands what it finds to whoever makes them; then it is `parked`, until most have
 * ended.  When they all have, a move's attempt removes the directories that are left.
 *
 * Parts: copy.h (one destination file, by route), source.h (what it reads), relay.h (the bytes
 * through us), tree.h, walk.h, await.h.
 */
#pragma once
#include "src/copy.h"
#include "src/walk.h"

struct attempt;

struct attempt_result {
	int code; /* 0, -ECANCELED, or why it failed */
	struct err err;
	uint64_t bytes_done, bytes_total;
	char *route, *route_reason, *verified,
	    *version; /* owned by the result, freed by the engine */
	int64_t mtime_ns; /* the destination's, as its cloud tells it; ENTRY_NO_TIME: it does not */
	bool parked; /* a tree, to be gone on with when its children have */
	char *source_version; /* what was copied, of a source that is one whole entry; or NULL */
	int64_t source_written_ns; /* as in struct entry */
};

struct attempt_handler {
	/* Bytes have moved; as often as progress_ms says. */
	void (*progress)(void *arg, const struct copy_progress *);
	/* The checkpoint has changed: make it durable, and after a HEAD attempt_noted(). */
	void (*note)(void *arg, enum checkpoint_note_kind, const struct checkpoint *,
	    const struct upload_part *);
	/* Of a tree: make children of these (none: only say how many there may be), durably, and
	   answer with attempt_grown().  Taken. */
	void (*grow)(void *arg, struct walk_batch *);
	/* The destination is verified; make it durable, then attempt_continue().  Called for every
	 * transfer. */
	void (*verified)(void *arg, const struct attempt_result *so_far);
	/* The end; the attempt is gone when this returns. */
	void (*done)(void *arg, const struct attempt_result *);
};

/* A tree when a batch was recorded. */
struct attempt_growth {
	uint64_t room; /* for so many children more */
	uint64_t live, failed; /* children */
	unsigned attempts; /* the tree's: those before what was found are made up for */
};

struct attempt_config {
	size_t ring; /* bytes between source and destination */
	uint64_t progress_ms; /* the least time between two reports; the first comes at once */
	const char *spool_dir; /* the user's spool directory, for SEGMENT_SPOOL; borrowed */
	struct budget *memory; /* for rings beyond that one; borrowed until the end */
	struct checkpoint *checkpoint; /* what earlier notes made; taken; NULL: none */
	struct bucket *const *buckets; /* as in relay.h; borrowed until the end */
	size_t buckets_len;
};

/* accounts: those of change->account_id and of every segment, in any order; referenced while it
   runs. The change is copied.  Never calls back before it returns.  A change with `cancel` set only
   cleans up. */
struct attempt *
attempt_start(struct cloud_runner *, const struct change *, struct account **accounts,
    size_t accounts_len, const struct attempt_config *, const struct attempt_handler *, void *arg);
void attempt_noted(struct attempt *); /* the head that was noted is durable */
void attempt_grown(struct attempt *, const struct attempt_growth *); /* answers `grow` */
void attempt_continue(struct attempt *); /* after `verified`; allowed inside it too */
/* Ends it with `done` and code (-ECANCELED: also sweeps; -ESHUTDOWN: stops at once, for a drain).
 */
void attempt_cancel(struct attempt *, int code);
