/*
 * notify: tells the kernel that what it knows of an inode's attributes is out of date, so that it
 * asks again, and drops the pages of a file that has become another.
 *
 * Only attributes: to drop a name, or pages, the kernel waits for the lock of the directory, or of
 * the page, which somebody may hold who waits for our reply; and if we die then, the thread that
 * told it cannot, the connection is never closed, and everybody hangs.  Names live FS_KERNEL_MS in
 * the kernel, which is soon enough.
 *
 * One thread does nothing else; its queue is bounded, and what does not fit is left out: the kernel
 * asks again by itself after FS_KERNEL_MS.
 */
#pragma once
#include "fs/fs.h"

struct notifier *notifier_new(struct fuse_session *);
void notifier_free(struct notifier *); /* NULL is a no-op; before the session is freed */
void notify_inode(struct notifier *, uint64_t ino); /* NULL is a no-op */
