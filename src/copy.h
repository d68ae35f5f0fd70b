/*
 * copy: makes one destination file equal its source, verified: what a transfer does, and what a
 * rename does file by file where the cloud has no rename of its own.
 *
 * The source is stat'ed where its length or version is not known, and pinned.  Route `native` if it
 * is one whole entry and the destination's cloud can copy from there; `pull` if it can read a link
 * to the entry; else, or when that is refused, `relay`.  Verified are: the number of bytes, the
 * destination's size, and the hashes that are there to compare: computed against the source cloud's
 * (before the destination can complete) and against the destination cloud's.  A mismatch is
 * -EBADMSG.
 *
 * A large file is written as an upload (upload.h), by either route.  It goes on from a checkpoint,
 * which copy.h passes through: notes out, noted in.
 *
 * What is half-written is swept on failure, on copy_abort(), and at the start of a repetition; but
 * an upload is kept for a repetition that will come.
 */
#pragma once
#include "src/budget.h"
#include "src/change.h"
#include "src/checkpoint.h"

struct copy;

struct copy_spec {
	const struct segment *segments; /* copied */
	size_t segments_len;
	struct account *
	    *accounts; /* those of the segments are among them; borrowed during the call */
	size_t accounts_len;
	struct disk_root *spool; /* for SEGMENT_SPOOL, or NULL; borrowed until the end */

	struct account *to;
	const char *path; /* copied, like the strings below */
	const char *temp_id;
	bool overwrite, preserve;
	bool move; /* the source will be removed: it may be none that is only exported */
	bool repeated; /* an earlier try may have left a temporary, or the whole file */
	int64_t mtime_ns; /* as in struct change, like mtime_set */
	bool mtime_set;
	unsigned mode;
	const char *content_type;
	size_t ring;
	struct budget *memory; /* for more rings than one, and for what is kept whole; borrowed
				  until the end */
	const struct change *change; /* says whether a failure will be followed by a repetition;
					borrowed until the end; NULL: never */
	struct checkpoint *checkpoint; /* of an earlier try; taken; or NULL */
	struct bucket *const *buckets; /* as in relay.h; borrowed until the end */
	size_t buckets_len;
};

struct copy_result {
	int code;
	struct err err;
	uint64_t size;
	bool unsized; /* the source is (entry.h) */
	char *route, *route_reason, *verified;
	char *version; /* the destination's */
	int64_t mtime_ns; /* the destination's, as its cloud tells it; ENTRY_NO_TIME: it does not */
	char *source_version; /* of a source that is one whole entry */
	int64_t source_written_ns; /* as in struct entry */
};
void copy_result_fini(struct copy_result *);

struct copy_progress {
	uint64_t done, total; /* total is UINT64_MAX until the source's size is known */
	const char *route, *route_reason; /* valid during the call */
	unsigned parts_done, parts, at_once; /* parts 0: not an upload */
	const char *why; /* of at_once; static */
};

struct copy_handler {
	void (*progress)(void *arg, const struct copy_progress *); /* NULL: nobody is interested */
	/* As in upload.h; after a HEAD, copy_noted() is waited for. */
	void (*note)(void *arg, enum checkpoint_note_kind, const struct checkpoint *,
	    const struct upload_part *);
	/* The end; members of the result may be taken (set to NULL).  The copy is gone when it
	 * returns. */
	void (*done)(void *arg, struct copy_result *);
};

/* Never calls back before it returns. */
struct copy *
copy_start(struct cloud_runner *, const struct copy_spec *, const struct copy_handler *, void *arg);
void copy_noted(struct copy *); /* the checkpoint's head is durable */
void copy_abort(
    struct copy *); /* sweeps, then ends with -ECANCELED; a copy that just succeeded may say 0 */
void copy_free(struct copy *); /* stops at once: no sweep, no callback; NULL is a no-op */
