/*
 * listing: what the cloud has in a directory, as we last saw it.  One list request serves everybody
 * who asks while it is under way, and for mount.entry_timeout after.  A few single look-ups in a
 * directory that is not listed are single requests, then it is listed: a directory of a million is
 * not listed for one name. Names that are not there are remembered too.
 *
 * What others change is dropped as soon as the cloud tells of it (feed.h).  What it tells of a
 * directory in which we have just changed something ourselves is most probably that, which is known
 * here, while the cloud's list may be behind: there it is dropped when we have been quiet for
 * mount.changes.
 *
 * Changes that end are folded in, so that a directory is not listed again for what we know; those
 * that end while a list request is under way are folded in once more when it has come, because it
 * may be older.
 */
#pragma once
#include "fs/node.h"

/* What the cloud has under a name.  0, -ENOENT, or why it cannot be said.  *out: init'ed. */
int
listing_lookup(struct task *, struct node *dir, const char *name, struct entry *out, struct err *);
/* Makes sure that the directory is listed. */
int listing_load(struct task *, struct node *dir, struct err *);
/* After listing_load(), without waiting in between: each entry that is there. */
typedef void (*listing_fn)(void *arg, const char *name, const struct entry *);
void listing_each(struct node *dir, listing_fn, void *arg);
/* The cloud has this now (NULL: nothing). */
void listing_fold(struct node *dir, const char *name, const struct entry *);
void listing_expire_name(struct node *dir, const char *name); /* ask again */
void listing_set_empty(struct node *dir); /* we have just made it */
void listing_expire(struct node *dir);
void listings_expire(struct fs *);
void listing_changed(struct node *dir); /* somebody has changed something in it */
void listing_free(struct listing *);
