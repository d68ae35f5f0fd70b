/*
 * feed: what others change in a cloud, followed for each account whose driver can tell
 * (CLOUD_HAS_CHANGES), so that listings which are wrong are dropped before they are old.
 *
 * One task an account, which begins with the first request whose answer is kept, and ends when all
 * that is kept has aged: nobody is asked for an idle mount.  It asks every mount.changes; a driver
 * that waits for changes is asked again as soon as it likes.  Failures are quiet, and asked again
 * more and more seldom: meanwhile listings only age.  Nothing is missed by that, since the cursor
 * tells where to go on; a cursor that is lost makes everything be asked for anew.
 */
#pragma once
#include "fs/node.h"

/* Something of the account is asked for, and will be kept. */
void feed_follow(struct fs *, struct remote *);
/* These directories of the account have changed: their listings are dropped, and the kernel asks
   again. */
void feed_take(struct fs *, struct remote *, const struct cloud_changed_list *);
