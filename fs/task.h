/*
 * task: one request of the kernel (or one piece of the mount's own work), carried out by a fiber.
 *
 * Every wait in the mount is one of the functions below.  Those for the daemon and the clouds are
 * bounded by a deadline; a lock is held as long as its holder waits.  Each ends with -EINTR
 * TASK_DEFER_MS after the kernel says that the process that asked was sent a signal: so a process
 * that waits in the mount can always be killed.  What was started stays valid: a job on the pool
 * goes on alone and frees what it was given; a call of the daemon that was given up may have been
 * carried out.
 *
 * A task that has a request replies exactly once, through the functions at the end.
 */
#pragma once
#include "fs/fs.h"

typedef void (*task_fn)(struct task *);

struct task {
	struct fs *fs;
	struct fiber *fiber;
	fuse_req_t req; /* NULL: none, or replied to */
	bool asked; /* it had one */
	bool interrupted;
	uint64_t ends_ms; /* once it is interrupted: then its waits end */
	bool hooked;
	struct event *timer;
	task_fn run;
	TAILQ_ENTRY(task) next;
	/* the request's arguments, as far as it has them */
	uint64_t ino, ino2;
	char *name, *name2;
	char *data;
	size_t size;
	off_t offset, offset2;
	unsigned flags;
	mode_t mode;
	struct stat attr;
	struct fuse_file_info fi, fi2;
	void *arg; /* of the mount's own work */
};

struct task *task_new(struct fs *, fuse_req_t, task_fn); /* req may be NULL */
void task_start(struct task *); /* runs it until it first waits; frees it at its end */
/* Work of the mount's own: run(task) with task->arg = arg. */
void task_spawn(struct fs *, task_fn run, void *arg);
void tasks_cancel(struct fs *); /* every wait of every task ends with -ESHUTDOWN, also later ones */

/* Until task_wake(), which need not mean anything: look, and wait again.  deadline:
   clock_mono_ms(), 0: none. 0, -EINTR, -ETIMEDOUT or -ESHUTDOWN. */
int task_wait(struct task *, uint64_t deadline);
void task_wake(struct task *);
/* Not at once: the signal may be one that is not meant to end anything, like that of a child's end,
   and no program expects EINTR of a file; and what was begun could be neither left halfway nor
   denied.  In this time whoever answers at all has answered; whoever waits for one that does not
   can be killed. */
#define TASK_DEFER_MS 2000

/* Calls the daemon, again and again while it is away, for at most mount.daemon_timeout.  body is
 *stolen. out (may be NULL): caller decrefs.  So a repetition must do no harm: give changes an id.
 */
int task_call(
    struct task *, json_t **out, const char *method, const char *path, json_t *body, struct err *);
/* Runs the op to its end, for at most FS_CLOUD_MS; it stays the caller's. */
int task_op(struct task *, struct cloud_op *, struct err *);
int task_op_within(struct task *, struct cloud_op *, uint64_t ms, struct err *);
/* work(arg) on the pool.  0: done, arg is the caller's; else arg is freed by release(arg) when work
 * has ended. */
int task_work(struct task *, loop_fn work, loop_fn release, void *arg);

/* First come, first served. */
struct lock_wait;
struct lock {
	struct task *owner;
	TAILQ_HEAD(lock_waits, lock_wait) waits;
};
void lock_init(struct lock *);
int lock_take(struct task *, struct lock *);
void lock_drop(struct task *, struct lock *);

/* Tasks that wait for something to change. */
int waitq_wait(struct task *, struct waitq *, uint64_t deadline);
void waitq_wake(struct waitq *);

uint64_t task_deadline(uint64_t ms); /* so long from now */

void task_reply(struct task *, int code); /* 0 or a negative errno of ours */
void task_reply_entry(struct task *, const struct fuse_entry_param *);
void task_reply_attr(struct task *, const struct stat *, double timeout); /* in seconds */
void task_reply_open(struct task *, const struct fuse_file_info *);
void
task_reply_create(struct task *, const struct fuse_entry_param *, const struct fuse_file_info *);
void task_reply_buf(struct task *, const void *, size_t);
void task_reply_iov(struct task *, const struct iovec *, int);
void task_reply_count(struct task *, size_t);
