/*
 * file: a file that is being written or whose content is still on its way to the cloud: its
 * extents, and the pending write (or other change) that stands for it in the daemon.
 *
 *   NEW        known only here: since it was created or first changed, no FLUSH has come
 *   HELD       durable as a pending write of this mount; replaced at each FLUSH that finds a change
 *   COMMITTED  queued or running; settles first, and may be held again until it is claimed
 *   MOVING     the content is where it was, and a durable change will bring it here
 *   FAILED     the change failed for good; what was written is still here
 *
 * All of these can be `dirty`: changed since what the daemon has.  All changing functions are
 * called with the file's lock held.
 *
 * Here are its life, its content, and what becomes of it when its change ends.  pending.h talks to
 * the daemon about it, file_copy.h gives it ranges of other files, files.h is about all of them.
 */
#pragma once
#include "fs/extent.h"
#include "fs/node.h"
#include "fs/task.h"

enum file_state { FILE_NEW, FILE_HELD, FILE_COMMITTED, FILE_MOVING, FILE_FAILED };

struct file {
	struct fs *fs;
	struct node *node; /* held */
	TAILQ_ENTRY(file) next;
	unsigned refs; /* handles, tasks; the node's counts as one */
	struct lock lock;
	enum file_state state;
	char id[37]; /* of the change; "" while NEW */
	struct extents extents;
	struct source *writing; /* the spool file that is written now, or NULL */
	int64_t mtime_ns;
	bool mtime_set; /* by utimens, until something is written: else it is when that was */
	unsigned mode; /* 0: none given */
	uint64_t changes; /* counts every change */
	uint64_t durable; /* `changes` as the daemon has it */
	unsigned writers; /* open handles that may write */
	bool frozen; /* a copy depends on what the change makes of it: not to be held again */
	bool unnamed; /* the daemon may have removed the names of its spool files */
	bool sweeping; /* a task of ours is making it durable */
	int error; /* FAILED: why */
};

/* A file of its own for the node, from what it is now; `empty`: of no content.  Referenced once. */
struct file *file_new(struct node *, bool empty);
/* One that stands for a change somebody else made. */
struct file *
file_adopt(struct node *, const char *id, struct extents *, int64_t mtime_ns, bool moving);
struct file *file_ref(struct file *);
void file_unref(struct file *); /* NULL is a no-op */
void file_settle(struct file *); /* frees it if nothing needs it any more */
void file_free(struct file *); /* whoever needs it: for the end of the program */
bool file_is_dirty(const struct file *);
uint64_t file_size(const struct file *);

/* While a directory above the node is being renamed, no path means the node: waits for the end. */
int node_settled(struct task *, const struct node *);

/* The content; after file_begin_change(). */
void file_changed(struct file *);
/* data is taken, to be freed */
int file_write(struct task *, struct file *, char *data, size_t, uint64_t offset, struct err *err);
int file_truncate(struct task *, struct file *, uint64_t size, struct err *);
int file_read_content(
    struct task *, struct file *, void *out, size_t len, uint64_t offset, struct err *);

/* From now on this change stands for it ("": none yet). */
void file_set_change(struct file *, const char *id, enum file_state);
/* A change has brought (or will bring) it to where its node is now. */
void file_set_moving(struct file *, const char *id);
/* Its attributes in the cloud will change, and so its version: an unchanged file that is open for
   writing goes on from what comes of that. */
void file_unpin_base(struct file *);
/* The time it has when its change has ended well: what the cloud made of it, unless somebody has
   set or changed it since. */
int64_t file_arrived_mtime(const struct file *, const struct change *);
/* An event of its change. */
void file_event(struct file *, const struct change *);
/* Its change is no more, and nobody here has taken it back. */
void file_cancelled(struct file *);
