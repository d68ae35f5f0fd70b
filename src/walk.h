/*
 * walk: what lies in a directory of an account, however deep, in batches: files, directories with
 * nothing in them, and directories that cannot be listed.  The order is that of the paths as bytes
 * with a '/' behind a directory's name, so one path says how far a walk has come: a later walk goes
 * on behind it.  What appears before that position is not seen.
 *
 * Depth first.  Of each directory on the way down WALK_PAGE names at a time are kept, and those of
 * the WALK_DIRS deepest only; the others are listed again, from where they were, on the way up.
 *
 * Links to directories (only disks have them) are followed, but not in a move or with `prune`: what
 * is there is not the tree's to take away.  Such a link is a directory that cannot be listed.
 *
 * With `prune` it brings nothing, but removes every directory that has nothing in it (any more),
 * from the bottom up, the one it began with last.
 */
#pragma once
#include "src/change.h"
#include "src/cloud.h"

#define WALK_PAGE 1000 /* names asked for at a time; of S3 that is a page */
#define WALK_DIRS 16 /* trees are seldom deeper; with WALK_PAGE it bounds a walk to some MiB */

struct walk_entry {
	char *path; /* from the walk's root, with a '/' behind a directory's */
	uint64_t size;
	bool unsized;
	int code; /* a directory that cannot be listed: why */
	char *error;
};

struct walk_batch {
	struct walk_entry *items;
	size_t len;
	uint64_t hidden; /* names found since the last batch that no path can express; such of a
			    directory that had to be listed again are counted again */
	char *position; /* behind the last one; NULL: nothing came yet */
	bool end; /* that is all */
};
struct walk_batch *walk_batch_new(void);
void walk_batch_add(struct walk_batch *, const struct walk_entry *); /* copied */
void walk_batch_free(struct walk_batch *); /* NULL is a no-op */

struct walk_spec {
	struct account *account;
	const char *root; /* copied, like position */
	const char *position; /* NULL: from the start */
	bool prune;
	const struct change *change; /* whose: what may pass is not passed by while it will be
					tried again; borrowed until the end; NULL: it will not */
};

struct walk_handler {
	/* One batch that walk_next() asked for; it may be taken (set to NULL). */
	void (*batch)(void *arg, struct walk_batch **);
	/* The end of a prune, or why a walk cannot go on.  The walk is gone when it returns.
	   Prune: -ENOTEMPTY if the root is still there. */
	void (*done)(void *arg, int code, const struct err *);
};

struct walk;
/* Never calls back before it returns.  A prune begins at once, a walk with walk_next(). */
struct walk *
walk_start(struct cloud_runner *, const struct walk_spec *, const struct walk_handler *, void *arg);
void walk_next(struct walk *, size_t max); /* no batch may be under way */
void walk_free(struct walk *); /* stops at once; NULL is a no-op */
