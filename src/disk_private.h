/*
 * disk_private: what disk.c (a call, on its loop), disk_work.c, disk_names.c and
 * disk_copy.c, disk_upload.c (its jobs, on the pool) and disk_path.c (paths, errors) share.  Nobody
 * else includes it.
 *
 * A call has at most one job under way (busy).  While it has, everything from `res` downwards
 * belongs to the pool's thread, else to the loop.
 */
#pragma once
#include "src/disk.h"
#include <stdatomic.h>
#include <sys/stat.h>

struct disk_call {
	struct loop *loop;
	struct pool *pool;
	struct ring *ring;
	disk_done_fn done;
	disk_progress_fn progress;
	void *arg;
	bool busy;
	atomic_bool cancelled;
	uint64_t progress_ms; /* when it was last told */

	/* Its own copy, with its own references: a cancelled call outlives the caller's. */
	struct disk_request req;
	char *place; /* where its jobs work, for the pool */
	struct disk_response res;
	bool complete; /* nothing is left to do, nothing is open */
	bool give_up; /* set by the loop: the next job only cleans up */
	bool begun;
	int root, root2; /* the roots' descriptors, borrowed; -1: not open yet */
	int file; /* READ: the file; WRITE, COPY: the temp */
	int source; /* COPY */
	int dir; /* of the temp */
	char *temp; /* its name, while it exists */
	struct stat at_begin; /* READ, COPY: of the source */
	uint64_t position; /* READ, UPLOAD_PART: of the next byte; COPY: bytes copied */
	uint64_t left; /* READ, WRITE: bytes to come; UINT64_MAX: WRITE until the ring's end */
	bool last; /* WRITE: the job's bytes are the last */
	bool plain; /* COPY: copy_file_range() cannot do it */
	struct hash *hash; /* UPLOAD_COMMIT: of the temp, up to position */
	unsigned char *buf;
	size_t buf_len; /* WRITE: bytes in it; READ: how many may be read, then how many were */
};

unsigned disk_default_mode(void); /* of a new file whose mode nobody gave */

/* disk_work.c: all run on the pool */
void disk_work(struct disk_call *); /* one job of the call */
int disk_temp_open(struct disk_call *, int root, const char *path);
int disk_temp_commit(struct disk_call *, int root, const char *path);
bool disk_source_changed(int fd, const struct stat *before);

int disk_work_fail(struct disk_call *, int code, const char *doing); /* of req.path */
int disk_work_stale(struct disk_call *);
bool disk_stat_is_ours(const struct stat *); /* a file or a directory */
bool disk_stat_has_version(const struct stat *, const char *version); /* NULL: any */
int disk_stat_beneath(struct stat *out, int root, const char *path); /* symlinks followed */
/* Of a name in a directory, or (name NULL) of an open file. */
int disk_set_mtime(int dir, const char *name, int fd, int64_t mtime_ns);
int disk_rename_at(int from_dir, const char *from, int to_dir, const char *to, bool no_replace);

/* disk_names.c: each is a whole job */
int disk_work_list(struct disk_call *);
int disk_work_stat(struct disk_call *);
int disk_work_remove(struct disk_call *, int flags); /* of unlinkat() */
int disk_work_rename(struct disk_call *);
int disk_work_mkdir(struct disk_call *);
int disk_work_setattr(struct disk_call *);
int disk_work_statvfs(struct disk_call *);
int disk_work_sweep(struct disk_call *);

/* disk_upload.c: each is a whole job, but for PART and COMMIT */
int disk_upload_begin(struct disk_call *);
int disk_upload_part(struct disk_call *); /* 1: there is more to do */
int disk_upload_status(struct disk_call *);
int disk_upload_commit(struct disk_call *); /* the same */
int disk_upload_abort(struct disk_call *);

/* disk_copy.c */
int disk_copy_step(struct disk_call *); /* 1: there is more to do */

/* disk_path.c */
int disk_openat(int root, const char *path, int flags); /* beneath root; -errno */
/* The parent of path, opened; made if `make` (synced if `sync`). */
int disk_open_parent(int root, const char *path, bool make, bool sync);
int disk_make_directory(int root, const char *path, bool sync);
/* Does a component have the name of a temporary?  Then it does not exist for us. */
bool disk_is_reserved(const char *path);
void disk_entry_fill(struct entry *, const char *path, const struct stat *);
char *disk_version_of(const struct stat *);
/* -errno of a system call becomes ours, with a sentence.  Returns the code. */
int disk_fail(struct err *, int code, const char *doing, const char *path);
