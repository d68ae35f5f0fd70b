/*
 * relay: the route through us.  Ranges of entries, spool files and zeros are read one after the
 * other into one bounded ring, from which one PUT writes them.  Hashes are computed as the bytes
 * pass.
 *
 * The ring keeps its last byte back until everything was read, counted and compared with what the
 * source's cloud says of the content.  So a source that changes, breaks off or arrives damaged can
 * never complete a PUT: nothing wrong becomes visible.
 * The PUT begins when RELAY_BEGIN bytes or all are there: a source that cannot be read costs the
 * destination nothing, and a slow one is not waited for.
 *
 * A source that is one whole entry need not be known beforehand: its GET tells what it is
 * (`pinned`), and saves the question.
 *
 * How long an unsized entry is (entry.h) its end tells: all of it is kept in the ring, and the PUT
 * begins then.
 *
 * Bandwidth limits hold the reader back: the ring is shut until what has passed is paid for.
 *
 * Belongs to the loop of its runner.
 */
#pragma once
#include "src/change.h"
#include "src/cloud.h"

#define RELAY_BEGIN ((size_t)16 * 1024)

struct relay;

struct relay_part {
	const struct segment
	    *segment; /* borrowed; with version and length filled in; SEGMENT_TO_END: an unsized
			 entry, which is the only part */
	struct account *account; /* ENTRY; borrowed */
};

struct relay_spec {
	const struct relay_part *parts; /* borrowed until the end */
	size_t parts_len;
	struct disk_root *spool; /* for SEGMENT_SPOOL; borrowed */
	size_t ring; /* bytes */
	unsigned hashes; /* HASH_BIT()s to compute */
	struct hash *also; /* takes the bytes too; borrowed until the end; NULL: none */
	const struct digests *expected; /* what the source's cloud says; borrowed; NULL: nothing */
	/* The only part is a whole entry of which nothing is known: now `entry` tells.  Fills in
	   the part's segment, and returns the PUT as relay_start() takes it, with the hashes to
	   compute; or NULL: it is to be written otherwise, and relay_free() comes.  Not from
	   here.  NULL: everything is known, and relay_start() takes the PUT. */
	struct cloud_op *(*pinned)(void *arg, const struct entry *entry, unsigned *hashes);
	struct bucket *const
	    *buckets; /* of bandwidth, besides the accounts'; borrowed until the end */
	size_t buckets_len;
};

/* Bytes that have left the ring; called whenever some came in. */
typedef void (*relay_progress_fn)(void *arg, uint64_t bytes);
/* The end.  code 0: `put` has the result, `digests` what was computed.  The relay is still there.
 */
typedef void (*relay_done_fn)(void *arg, int code, const struct err *err);

/* Takes `put`: a PUT or UPLOAD_PART op, whole but for its ring and length; with `pinned`, NULL.
   Never calls back before it returns. */
struct relay *relay_start(struct cloud_runner *, const struct relay_spec *, struct cloud_op *put,
    relay_progress_fn, relay_done_fn, void *arg);
const struct cloud_op *relay_op(const struct relay *); /* after done(0): `put`, with its results */
const struct digests *relay_digests(const struct relay *);
uint64_t relay_bytes(const struct relay *); /* read so far; after done(0): all of the source's */
bool relay_is_pinned(const struct relay *); /* is it known what the source is? */
bool relay_has_begun(const struct relay *); /* was anything sent to the destination? */
void relay_free(struct relay *); /* stops it if it runs, without a callback; NULL is a no-op */
