/*
 * tree: moves a directory within an account whose cloud cannot rename directories: file by file,
 * each copied, verified and only then removed; directories are made before what is in them and
 * removed after.
 *
 * Depth first, one directory's listing at a time (of the directories above it only the names of
 * subdirectories still to be done are kept), with TREE_PARALLEL files under way.  There is no
 * record of how far it came: what was moved is gone from the source, so a repetition goes on by
 * itself.  Readers see the tree move piece by piece; that is what such a cloud can do.
 * Of files that are written as uploads one is under way at a time: there is one checkpoint.
 */
#pragma once
#include "src/budget.h"
#include "src/checkpoint.h"

#define TREE_PARALLEL 8 /* hides latency; the account's own limits hold besides */

struct tree;

struct tree_spec {
	struct account *account;
	const char *from, *to; /* copied, like id */
	const char *id; /* of the change: names temporaries */
	bool repeated;
	const struct change *change; /* as in copy.h */
	size_t ring;
	struct budget *memory; /* borrowed */
	struct checkpoint *checkpoint; /* of an earlier try; taken; or NULL */
	struct bucket *const *buckets; /* as in relay.h; borrowed until the end */
	size_t buckets_len;
};

struct tree_handler {
	void (*progress)(void *arg, uint64_t bytes_done); /* of files that have arrived */
	void (*note)(void *arg, enum checkpoint_note_kind, const struct checkpoint *,
	    const struct upload_part *); /* as in copy.h */
	/* The end; the tree is gone when it returns. */
	void (*done)(void *arg, int code, const struct err *err);
};

struct tree *
tree_start(struct cloud_runner *, const struct tree_spec *, const struct tree_handler *, void *arg);
void tree_noted(struct tree *);
void tree_abort(struct tree *); /* sweeps what is half-written, then ends with -ECANCELED */
void tree_free(struct tree *); /* stops at once, without a callback; NULL is a no-op */
