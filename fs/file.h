/*
 * file: a file that is being written or whose content is still on its way to the cloud: its
 *extents, and the pending write (or other change) that stands for it in the daemon.
 *
 *	NEW		known only here: since it was created or first changed, no FLUSH has come
 *	HELD		durable as a pending write of this mount; replaced at each FLUSH that finds
 *a change COMMITTED	queued or running; settles first, and may be held again until it is claimed
 *	MOVING		the content is where it was, and a durable change will bring it here
 *	FAILED		the change failed for good; what was written is still here
 *
 * All of these can be `dirty`: changed since what the daemon has.  All changing functions are
 *called with the file's lock held.
 *
 * Order.  The daemon runs changes of one path in the order in which it accepted them.  So what a
 *dirty file has copied from a path must be made durable before a change of that path is submitted
 * (files_flush_readers), and a copy may take a pinned range of a path only while no accepted change
 *will write that path.
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
	bool mtime_set; /* by utimens: later writes change it again */
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
bool file_is_dirty(const struct file *);
uint64_t file_size(const struct file *);

/* While a directory above the node is being renamed, no path means the node: waits for the end. */
int node_settled(struct task *, const struct node *);
/* Before a change of content or attributes: makes sure that it is ours to change (holds the pending
   write again, or waits for what runs). */
int file_begin_change(struct task *, struct file *, struct err *);
/* Makes a COMMITTED pending write editable again.  1: it cannot be, it runs or has run. */
int file_try_hold(struct task *, struct file *, struct err *err);
void file_changed(struct file *);
/* data is taken, to be freed */
int file_write(struct task *, struct file *, char *data, size_t, uint64_t offset, struct err *err);
int file_truncate(struct task *, struct file *, uint64_t size, struct err *);
/* dst gets what src is at start, length bytes (inside it).  -EOPNOTSUPP: it cannot be said in
 * ranges. */
int file_copy(struct task *, struct file *dst, uint64_t offset, struct node *src, uint64_t start,
    uint64_t length, struct err *);
/* Makes its state durable in the daemon, as a pending write. */
int file_flush(struct task *, struct file *, struct err *);
/* After file_flush(): it may be claimed, after settle_ms. */
int file_commit(struct task *, struct file *, uint64_t settle_ms, struct err *);
/* Flushed, committed and in the cloud: 0, or why not. */
int file_wait_cloud(struct task *, struct file *, struct err *);
/* Nobody writes any more: flush and commit in the background, again and again until it is done. */
void file_sweep(struct file *);
/* The node was unlinked: takes back what the daemon has.  *submitted: a change is (or may be)
 * running that writes the path. */
int file_discard(struct task *, struct file *, bool *running, struct err *);
/* From now on this change stands for it ("": none yet). */
void file_set_change(struct file *, const char *id, enum file_state);
/* Takes back a pending write that no file stands for any more. */
int file_cancel_change(struct task *, struct fs *, const char *id, struct err *);
/* A change has brought (or will bring) it to where its node is now. */
void file_set_moving(struct file *, const char *id);
/* Its attributes in the cloud will change, and so its version: an unchanged file that is open for
   writing goes on from what comes of that. */
void file_unpin_base(struct file *);
/* An event of its change. */
void file_event(struct file *, const struct change *);

/* A change has ended well that copies depend on. */
void files_pin(struct fs *, const struct change *);
struct file *files_by_change(struct fs *, const char *id);
/* Dirty files that have copied from the path get their place before what comes next. */
int files_flush_readers(
    struct task *, const char *account_id, const char *path, struct file *except, struct err *);
void
file_check_now(struct task *, struct file *); /* asks the daemon what has become of its change */
/* Somebody waits for a change that may be queued behind a pending write of a file that is still
   open: those are queued as they are.  What is written to them later makes another one. */
void files_commit_held(struct task *);
/* What it is to be read from is not there any more: because the change that was to bring it has
   done so, or is about to say so. */
void file_wait_arrival(struct task *, struct file *);
/* Is anything in the directory on its way to the cloud? */
bool files_beneath(const struct node *dir);
void files_free(struct fs *); /* at the end of the program */
void files_check(struct fs *); /* events may have been missed: asks for each */
/* Everything is made durable and queued, for unmounting. */
int files_flush_all(struct task *, struct err *);
int file_read_content(
    struct task *, struct file *, void *out, size_t len, uint64_t offset, struct err *);
