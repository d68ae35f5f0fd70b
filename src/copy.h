/*
 * copy: makes one destination file equal its source, verified: what a transfer does, and what a
 * rename does file by file where the cloud has no rename of its own.
 *
 * The source is stat'ed where its length or version is not known, and pinned.  Route `native` if it
 * is one whole entry and the destination's cloud can copy from there; else, or when that is
 * refused, `relay`.  Verified are: the number of bytes, the destination's size, and the hashes that
 * are there to compare: computed against the source cloud's (before the destination can complete)
 * and against the destination cloud's.  A mismatch is -EBADMSG.
 *
 * What is half-written is swept on failure, on copy_abort(), and at the start of a repetition.
 */
#pragma once
#include "src/change.h"
#include "src/cloud.h"

struct copy;

struct copy_spec {
	const struct segment *segments; /* copied */
	size_t segments_len;
	struct account *
	    *accounts; /* those of the segments are among them; borrowed during the call */
	size_t accounts_len;
	int spool; /* directory for SEGMENT_SPOOL, or -1; borrowed until the end */

	struct account *to;
	const char *path; /* copied, like the strings below */
	const char *temp_id;
	bool overwrite, preserve;
	bool repeated; /* an earlier try may have left a temporary, or the whole file */
	int64_t mtime_ns; /* as in struct change */
	unsigned mode;
	const char *content_type;
	size_t ring;
};

struct copy_result {
	int code;
	struct err err;
	uint64_t size;
	char *route, *route_reason, *verified;
	char *version; /* the destination's */
	char *source_version; /* of a source that is one whole entry */
};
void copy_result_fini(struct copy_result *);

/* total is UINT64_MAX until the source was stat'ed. */
typedef void (*copy_progress_fn)(
    void *arg, uint64_t done, uint64_t total, const char *route, const char *route_reason);
/* The end; members of the result may be taken (set to NULL).  The copy is gone when it returns. */
typedef void (*copy_done_fn)(void *arg, struct copy_result *);

/* Never calls back before it returns. */
struct copy *copy_start(
    struct cloud_runner *, const struct copy_spec *, copy_progress_fn, copy_done_fn, void *arg);
void copy_abort(
    struct copy *); /* sweeps, then ends with -ECANCELED; a copy that just succeeded may say 0 */
void copy_free(struct copy *); /* stops at once: no sweep, no callback; NULL is a no-op */

/* NULL if it is not among them. */
struct account *accounts_by_id(struct account **accounts, size_t len, const char *id);
