/*
 * listing: a store of keys shown as directories: what a page of its list, asked for with the
 * delimiter '/', makes of a directory.
 */
#pragma once
#include "src/entry.h"

/*
 * Makes the key in entry->path a path of the account: of what lies in `dir`, whose keys begin with
 * `prefix`.  False: no path can express it (an empty component, "." and "..", over 255 bytes, not
 * UTF-8), or it is elsewhere; it is left out without hiding the others.  *marker is set if the key
 * is the prefix itself: the directory's own marker.
 */
bool listing_place(struct entry *, bool *marker, const char *dir, const char *prefix);
/*
 * To be called once after the last page: sorts by path, and resolves what is both a file ("a") and
 * a directory ("a/b"): the directory is shown and the file is hidden, since otherwise a whole tree
 * would be.
 */
void listing_finish(struct entry_list *);
