/* file_copy: ranges of one file become ranges of another, without their bytes passing through. */
#pragma once
#include "fs/file.h"

/* dst gets what src is at start, length bytes (inside it).  -EOPNOTSUPP: it cannot be said in
 * ranges.  dst's lock is held, after file_begin_change(). */
int file_copy(struct task *, struct file *dst, uint64_t offset, struct node *src, uint64_t start,
    uint64_t length, struct err *);
/* The same of a spool file that nobody writes. */
int file_copy_source(struct task *, struct file *dst, uint64_t offset, struct source *src,
    uint64_t start, uint64_t length, struct err *);
/* Gives the extents spool files of their own; clones that `have` (or NULL) holds already are used
 * again. */
int extents_clone_spools(struct task *, struct extents *, const struct extents *have);
bool extents_hold(const struct extents *, const struct source *); /* NULL: they do not */
