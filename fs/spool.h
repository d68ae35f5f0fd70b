/*
 * spool: the local files that hold what programs write, in the directory that the daemon gave for
 * this mount's user, named UUID.data.
 *
 * A spool file grows at its end; the extents of a file say which of its bytes are where.  Bytes
 * before `sealed` never change any more: they may be named by a pending write or shared with a
 * copy.  Bytes after it may be overwritten in place, so that writing the same place again and again
 * does not fill the disk.
 *
 * The daemon removes a spool file when the last change that names it has ended, and those
 * that no change names, unless they are open here (flock).  So a file that takes over ranges of
 * another's spool gets its own name for it (a hard link; if the name is already gone, a copy from
 * the descriptor, which still has the bytes).
 *
 * What is written counts against the user's quota (spool.quota), together with all that lies in the
 * directory, whoever of the user's mounts put it there.  The directory is summed up again when what
 * was found free is used up, and otherwise about once a second: several mounts of one user can
 * exceed the quota by what they write within that second, one mount never does.
 *
 * All reading, writing and syncing is done on the pool; a spool is freed on the loop only.
 */
#pragma once
#include "src/err.h"
#include <pthread.h>
#include <sys/types.h>

struct fs;
struct task;
struct spool;

/* Shared by the pool's threads; a part of struct fs, zeroed: no limit. */
struct spool_quota {
	pthread_mutex_t lock;
	uint64_t bytes; /* 0: no limit */
	uint64_t under_way; /* taken, but perhaps not yet in the files */
	uint64_t room; /* of it, when last summed up, less what was written since */
	uint64_t until_ms; /* monotonic: summed up again then */
};
void spool_quota_init(struct spool_quota *);
void spool_quota_set(struct spool_quota *, uint64_t bytes);

/* Creates one; on failure the error says what to do (ENOSPC, read-only, ...). */
int spool_new(struct task *, struct spool **out);
/* One that exists, named by a change of this user. */
int spool_open(struct task *, struct spool **out, const char *name);
/* The same bytes under a name of its own. */
int spool_clone(struct task *, struct spool **out, struct spool *);
struct spool *spool_ref(struct spool *);
void spool_unref(struct spool
	*); /* NULL is a no-op.  The last one closes, and removes the file if it was never named */
const char *spool_name(const struct spool *);
/* A change is about to name it: from now on the daemon removes it, not we ... */
void spool_named(struct spool *);
void spool_taken(struct spool *); /* ... since it has that change, or may have it; */
void spool_refused(struct spool *); /* or after all not, if nothing it has or may have names it. */
uint64_t spool_end(const struct spool *);
uint64_t spool_sealed(const struct spool *);
void spool_seal(struct spool *);
/* Writes at `offset` (at most spool_end(), not before spool_sealed()).  data is taken, to be freed.
   -EDQUOT: the user's quota is used up, and nothing has changed. */
int spool_write(struct task *, struct spool *, char *data, size_t len, uint64_t offset);
/* Reads exactly len bytes. */
int spool_read(struct task *, struct spool *, void *out, size_t len, uint64_t offset);
int spool_sync(struct task *, struct spool *); /* content and name are on disk */
/* Is it a clone of `from` that has at least its first `upto` bytes? */
bool spool_is_clone(const struct spool *, const struct spool *from, uint64_t upto);
