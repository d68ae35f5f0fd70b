/*
 * upload: one large destination file written in parts, several at once (an upload of cloud.h).
 * Each part is relayed, or copied by the cloud itself, and checked against what the destination's
 * cloud says of it; a part that fails is read again from its range of the source.  Nothing is held
 * whole: a part in flight has a ring.
 *
 * It goes on from a checkpoint where it can: the upload is asked what it has, and only parts that
 * were verified and are still there count.  Every step is told as a note.  The first head is an
 * intent: the upload is begun when upload_noted() says that it is on disk.
 *
 * How many parts run at once: as many as brought more speed, within the memory that is left; one,
 * the first that is not there, where the cloud takes them in order.
 *
 * It never abandons an upload by itself: when it fails the checkpoint stays, for a later attempt,
 * or for upload_sweep(), which aborts what the checkpoint tells of, and nobody else's.
 *
 * Belongs to the loop of its runner.
 */
#pragma once
#include "src/budget.h"
#include "src/checkpoint.h"
#include "src/relay.h"

struct upload;

struct upload_spec {
	const struct relay_part *ranges; /* the content; borrowed until the end */
	size_t ranges_len;
	uint64_t size; /* of all of it; not 0 */
	struct disk_root *spool; /* for SEGMENT_SPOOL; borrowed */
	struct account *from; /* the parts are copied by the cloud from ranges[0]; or NULL */
	const char *link; /* the same, from a link to ranges[0]; borrowed; both NULL: relayed */
	bool link_has_etag; /* which is the version of ranges[0] */

	struct account *to;
	const char *path; /* copied */
	const struct cloud_put *put; /* the file's attributes; copied */
	size_t ring; /* bytes, of each part in flight */
	struct budget *memory; /* of the rings beyond the first; borrowed */
	unsigned hashes; /* HASH_BIT()s to compute of each part */
	const struct digests *expected; /* what the source's cloud says of the whole; borrowed */
	struct bucket *const *buckets; /* as in relay.h; borrowed until the end */
	size_t buckets_len;
};

struct upload_progress {
	uint64_t bytes; /* written so far */
	unsigned parts_done, parts, at_once;
	const char *why; /* of at_once: static */
};

struct upload_handler {
	void (*progress)(void *arg, const struct upload_progress *);
	/* checkpoint: as it is now; part: the one that is new. Both valid during the call. */
	void (*note)(void *arg, enum checkpoint_note_kind, const struct checkpoint *,
	    const struct upload_part *part);
	/* The end.  code 0: upload_entry() is the file; the upload is gone from the checkpoint. */
	void (*done)(void *arg, int code, const struct err *err);
};

/* Takes the checkpoint (NULL: there is none).  Never calls back before it returns. */
struct upload *upload_start(struct cloud_runner *, const struct upload_spec *, struct checkpoint *,
    const struct upload_handler *, void *arg);
/* Aborts what the checkpoint tells of at `to`. */
struct upload *upload_sweep(struct cloud_runner *, struct account *to, struct checkpoint *,
    const struct upload_handler *, void *arg);
void upload_noted(struct upload *); /* the head that was told is durable */
/* After done(0): as its cloud tells of it, and what was compared of every part (HASH_BIT()s): 0 if
   the cloud itself has copied one. */
const struct entry *upload_entry(const struct upload *);
unsigned upload_compared(const struct upload *);
/* Of the whole, as far as it follows from the parts: CRC32C. */
const struct digests *upload_digests(const struct upload *);
/* Stops it if it runs, without a callback.  Returns the checkpoint, or NULL; NULL is a no-op. */
struct checkpoint *upload_free(struct upload *);

/* Is such a file written as an upload there? */
bool upload_is_for(const struct account *to, uint64_t size);
