/*
 * fs: what the parts of the mount share.  All of it belongs to the one loop; the pool's threads,
 *the notifier and the watchdog see only what is handed to them.
 *
 * main.c makes it, mounts, runs the loop, and takes it down.
 *
 *	kernel -> session -> lookup dir read write change xattr	the operations, each a task (task.h)
 *	node						inodes: what the kernel knows
 *	listing overlay file				what a name is: the cloud, pending changes,
 *what is written here extent spool					what a file being written
 *consists of stream window					reading ahead
 *	remote feed					the accounts, opened for this loop, and what
 *others change in them
 *	daemon						the one door: calls and events
 *	notify watchdog kernel				the kernel's side doors
 */
#pragma once
#define FUSE_USE_VERSION 312
#include "fs/fiber.h"
#include "fs/spool.h"
#include "fs/table.h"
#include "src/cloud.h"
#include "src/settings.h"
#include <fuse3/fuse_lowlevel.h>
#include <sys/queue.h>

#define FS_COPY_MAX                                                                                \
	(1024ull * 1024 *                                                                          \
	    1024) /* of one copy_file_range: the reply is a signed 32-bit size on old kernels */
#define FS_CLOUD_MS                                                                                \
	(120 * 1000) /* longest wait for a cloud: longer than one stall and its retry              \
		      */
#define FS_KERNEL_MS 1000 /* how long the kernel may keep names and attributes */

struct node;
struct file;
struct task;
struct daemon_link;
struct overlay;
struct nodes;
struct notifier;
struct remotes;

TAILQ_HEAD(task_list, task);
TAILQ_HEAD(waitq, waitq_entry);
TAILQ_HEAD(file_list, file);

struct fs_options {
	char *directory; /* absolute */
	char *spec; /* what is shown as the source, or NULL */
	bool foreground, read_only, allow_other, sync, debug;
	bool fsync_cloud;
	long settle_ms; /* -1: as the daemon says */
	uid_t uid;
	gid_t gid;
	unsigned umask;
};

struct fs {
	struct fs_options options;
	const struct settings *settings;
	struct loop *loop;
	struct pool *pool;
	struct fibers *fibers;
	struct cloud_runner *runner;
	struct fuse_session *session;
	struct event *session_event;
	struct fuse_buf request; /* what is read from the kernel */
	struct daemon_link *daemon;
	struct remotes *remotes;
	struct nodes *nodes;
	struct overlay *overlay;
	struct notifier *notifier;
	struct task_list tasks;
	struct file_list files; /* being written, or pending */
	struct table files_by_id; /* by the id of their change */
	struct waitq renamed; /* a directory was, or was not */
	char *spool_dir;
	struct spool_quota spool_quota;
	uint64_t settle_ms;
	uint64_t daemon_timeout_ms, entry_timeout_ms, changes_ms;
	uint64_t read_ahead, memory, memory_used; /* bytes; memory: of all read-ahead buffers */
	uint64_t handles; /* open */
	int64_t start_ns;
	bool initialised; /* the kernel's INIT was answered */
	bool stopping; /* flush, then end */
	bool cancelling; /* every wait ends with -ESHUTDOWN */
	bool unmounted; /* by somebody else */
	void (*on_ready)(struct fs *);
};

/* What the kernel is told for one of our errnos: one it and programs understand, never ENOSYS. */
int fs_errno(int code);
