/*
 * disk_root: the directory beneath which all paths of an account (or of a spool) lie.
 *
 * It is made from a path without looking at the disk, which may hang for hours (an NFS server that
 * is away).  The first job on the pool that needs it opens it, and it stays open until the last
 * reference goes: a directory that is moved or replaced meanwhile is still the one that was opened.
 * That it could not be opened is not remembered: the next job tries again.
 *
 * A root is counted across threads, and any thread of the pool may be the one that opens it.
 */
#pragma once
#include "src/err.h"

struct disk_root;

/* path: absolute, and the real one: symlinks on the way are not followed when it is opened, since
   whoever may write above it could lead it elsewhere.  -EINVAL, -EPERM: it cannot be one. */
int disk_root_new(struct disk_root **out, const char *path, struct err *);
/* Of a directory that is open already (O_PATH is enough), which is the root's from now on. */
struct disk_root *disk_root_of(int fd);
struct disk_root *disk_root_ref(struct disk_root *); /* NULL is passed through */
void disk_root_unref(struct disk_root *); /* NULL is a no-op */
const char *disk_root_path(const struct disk_root *); /* ""; of disk_root_of() */
/* Its descriptor, borrowed; or a negative errno.  On the pool only: it may take for ever. */
int disk_root_fd(struct disk_root *, struct err *);

/* Opens a directory as an account's root, on the pool only: absolute, exists, is a directory, not
   inside a Skyferry mount (f_type FUSE with our subtype in mountinfo).  With `follow` symlinks may
   lead to it, else that is -EPERM.  Returns the descriptor or a negative errno. */
int disk_open_root(const char *path, bool follow, struct err *);
/* Where an open directory is, symlinks followed; NULL and errno.  Caller frees. */
char *disk_real_path(int fd);
