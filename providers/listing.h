/*
 * listing: a store of keys shown as directories: what a page of its list, asked for with the
 * delimiter '/', makes of a directory.
 */
#pragma once
#include "src/cloud.h"

/* What a list is about. */
struct listing_dir {
	const char *path; /* the directory, as the account has it; hidden: what its keys begin with
			     there */
	const char *prefix; /* what its keys begin with in the store */
	bool hidden; /* as cloud_op.hidden */
};
/* What the keys of a directory that has this key begin with; caller frees. */
char *listing_prefix(const struct cloud_op *, const char *key);

/*
 * Takes the entry over (unless into is NULL) with the key in its path made a path of the account.
 * If no path can express it (an empty component, "." and "..", over 255 bytes, not UTF-8; or
 * is_name, unless NULL, says that the cloud would not find it) it is counted as hidden, without
 * hiding the others.  *marker is set if the key is the prefix itself: the directory's own marker.
 * dir->hidden: only such that are hidden are taken, with their keys; counted are those that are no
 * text.
 */
void listing_take(struct entry_list *into, struct entry *, bool *marker,
    const struct listing_dir *dir, bool (*is_name)(const char *path));
/*
 * To be called once after the last page: sorts by path, and resolves what is both a file ("a") and
 * a directory ("a/b"): the directory is shown and the file is hidden, since otherwise a whole tree
 * would be.
 */
void listing_finish(struct entry_list *);
/* Drops what is not behind `after` (a name as LIST's; NULL: nothing): some services begin with the
   very prefix that a list is to begin behind, since its keys are. */
void listing_drop(struct entry_list *, const char *after);
