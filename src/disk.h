/*
 * disk: the second transport.  A driver whose account is a directory asks for disk operations
 * instead of HTTP requests; they are carried out on the pool and never block a loop.  A directory
 * that hangs (disk_root.h) holds the pool's threads of its own place, no others'.
 *
 * Every path is resolved beneath an open root directory with openat2(RESOLVE_BENEATH |
 * RESOLVE_NO_MAGICLINKS): no symlink and no ".." leads out.  A symlink that leads out, and anything
 * that is neither file nor directory, does not exist for us.  Names that begin with
 * DISK_TEMP_PREFIX are ours and are never listed.
 */
#pragma once
#include "src/disk_root.h"
#include "src/entry.h"
#include "src/pool.h"
#include "src/ring.h"
#include <sys/types.h>

#define DISK_TEMP_PREFIX ".skyferry-"
#define DISK_CHUNK                                                                                 \
	(256 * 1024) /* bytes moved by one pool job; a compromise of wake-ups and memory */

enum disk_verb {
	DISK_LIST, /* path -> entries; with max: the first of them behind `after`, and `more` */
	DISK_STAT, /* path -> entry */
	DISK_READ, /* path, offset, length, version -> sink */
	DISK_WRITE, /* source, length -> temp beside path, attributes, fsync, rename to path ->
		       entry */
	DISK_COPY, /* path on root -> path2 on root2, as DISK_WRITE does; reflink, else
		      copy_file_range by holes */
	DISK_RENAME, /* path -> path2 */
	DISK_UNLINK, /* path; with version: only if it is still that */
	DISK_RMDIR,
	DISK_MKDIR, /* with parents; an existing directory is fine */
	DISK_SETATTR, /* mtime_ns, mode */
	DISK_STATVFS, /* -> usage */
	DISK_SWEEP, /* removes the temp of `temp_id` beside path, if there is one and it is not that
		       of `inode` */
	/* A temp that outlives its calls; -ENOENT if the one of that `inode` is not there. */
	DISK_UPLOAD_BEGIN, /* path -> temp beside it, `inode` */
	DISK_UPLOAD_PART, /* source, length -> into the temp at offset, on disk */
	DISK_UPLOAD_STATUS, /* is it there? */
	DISK_UPLOAD_COMMIT, /* the temp -> path, as WRITE ends -> entry; length: of the whole, else
			       -EINVAL; the temp stays if it fails */
	DISK_UPLOAD_ABORT,
};

struct disk_request {
	enum disk_verb verb;
	struct disk_root *root, *root2; /* root2: COPY, RENAME; NULL: root; borrowed */
	char *path, *path2; /* canonical; owned */
	char *temp_id; /* WRITE, COPY, SWEEP, UPLOAD_*: the temp's name is DISK_TEMP_PREFIX temp_id;
			  owned */
	char *
	    version; /* READ, COPY (source), UNLINK, RENAME: -ESTALE unless it is this; NULL: any */
	uint64_t
	    inode; /* UPLOAD_PART, STATUS, COMMIT, ABORT, SWEEP: of the temp, as BEGIN told it */
	uint64_t offset, length; /* READ, WRITE, UPLOAD_PART; UINT64_MAX length: to the end */
	bool is_sealed; /* READ: the range never changes, whatever becomes of the file around it */
	int64_t mtime_ns; /* ENTRY_NO_TIME: as it comes */
	unsigned mode; /* 0: 0666 & ~umask */
	struct digests digests; /* UPLOAD_COMMIT: the temp is read, and is -EBADMSG unless its
				   cheapest is this; none: it is not read */
	bool no_replace; /* WRITE, COPY, RENAME: -EEXIST if path (path2) is there (renameat2
			    NOREPLACE) */
	size_t max; /* LIST: at most so many; 0: all */
	char *after; /* LIST with max: as struct cloud_op's; owned */
	bool no_follow; /* LIST: -ENOTDIR if path is a symlink */
	bool fsync; /* what was changed is on disk before success: file, attributes, directory */
};

struct disk_usage {
	uint64_t total, used, available;
}; /* bytes */

struct disk_response {
	int code; /* 0 or a negative errno */
	struct err err;
	struct entry entry; /* STAT, WRITE, COPY, RENAME, UPLOAD_COMMIT */
	uint64_t inode; /* UPLOAD_BEGIN */
	struct entry_list entries; /* LIST */
	bool more; /* LIST with max */
	struct disk_usage usage;
	uint64_t streamed; /* READ: bytes that went into the sink */
};

void disk_request_init(struct disk_request *);
void disk_request_fini(struct disk_request *);
void disk_response_init(struct disk_response *);
void disk_response_fini(struct disk_response *);

struct disk_call;
typedef void (*disk_done_fn)(
    void *arg, struct disk_response *res); /* the call is gone when it returns */
typedef void (*disk_progress_fn)(
    void *arg, uint64_t bytes); /* COPY, on the loop, a few times a second */
/* `ring` is the sink of READ or the source of WRITE and UPLOAD_PART, else NULL.  Request borrowed
 * until done. */
struct disk_call *disk_start(struct loop *, struct pool *, struct disk_request *, struct ring *,
    disk_done_fn, disk_progress_fn, void *arg);
/* No callback comes any more; a job under way ends by itself and its temp is removed. */
void disk_cancel(struct disk_call *);
/* Calls that have not ended, cancelled ones too, of all loops: loops and pool stay until it is 0.
 */
unsigned disk_calls(void);
/* The version string of an open file: "size-mtime_ns-ctime_ns-ino" in hex. */
char *disk_version(int fd);
/* The umask for what is made in accounts' directories; the process's own may be stricter.  Before
 * there are threads; 022 unless it is called. */
void disk_set_umask(mode_t mask);
