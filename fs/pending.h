/*
 * pending: the pending write that stands for a file in the daemon: put there at each FLUSH, held
 * while somebody may still write, committed when nobody does, taken back when the file is removed.
 * The file's lock is held by whoever calls, but for file_queue(), file_wait_cloud() and
 * file_sweep(), which take it.
 *
 * Order.  The daemon runs changes of one path in the order in which it accepted them.  So what a
 * dirty file has copied from a path must be made durable before a change of that path is submitted
 * (files_flush_readers), and a copy may take a pinned range of a path only while no accepted change
 * will write that path.
 */
#pragma once
#include "fs/file.h"

/* Before a change of content or attributes: makes sure that it is ours to change (holds the pending
   write again, or waits for what runs). */
int file_begin_change(struct task *, struct file *, struct err *);
/* Makes a COMMITTED pending write editable again.  1: it cannot be, it runs or has run. */
int file_try_hold(struct task *, struct file *, struct err *err);
/* Makes its state durable in the daemon, as a pending write. */
int file_flush(struct task *, struct file *, struct err *);
/* After file_flush(): it may be claimed, after settle_ms. */
int file_commit(struct task *, struct file *, uint64_t settle_ms, struct err *);
/* Flushed and committed, without settling. */
int file_queue(struct task *, struct file *, struct err *);
/* Flushed, committed and in the cloud: 0, or why not. */
int file_wait_cloud(struct task *, struct file *, struct err *);
/* Nobody writes any more: flush and commit in the background, again and again until it is done. */
void file_sweep(struct file *);
/* The node was unlinked: takes back what the daemon has.  *running: a change is (or may be) running
 * that writes the path. */
int file_discard(struct task *, struct file *, bool *running, struct err *);
/* Takes back a pending write that no file stands for any more. */
int file_cancel_change(struct task *, struct fs *, const char *id, struct err *);
/* Asks the daemon what has become of its change. */
void file_check_now(struct task *, struct file *);
/* What it is to be read from is not there any more: because the change that was to bring it has
   done so, or is about to say so. */
void file_wait_arrival(struct task *, struct file *);
