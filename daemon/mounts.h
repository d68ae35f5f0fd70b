/*
 * mounts: the leases of mounts.  A mount holds its lease by being connected to
 * /api/events?mount=ID. When it has been gone for mount.lease, its pending writes are queued (the
 * program that wrote them may never come back to close them) and the mount is no longer listed; it
 * may still come back.
 *
 * Leases are in memory; which mounts there are is also kept in STATE/mounts.json, so that after a
 * restart a mount finds its id again.  That file is a convenience: what must not be lost is the
 * pending writes, and those name their mount in the store.
 */
#pragma once
#include "daemon/daemon.h"
#include <jansson.h>

struct mounts *mounts_new(struct daemon *);
void mounts_free(struct mounts *);

/* Writes the new mount's id; -EMFILE if there are too many. */
int
mounts_add(struct mounts *, char out[37], const char *user_id, const char *directory, struct err *);
/* Its pending writes are queued at once.  -ENOENT */
int mounts_remove(struct mounts *, const char *user_id, const char *id, struct err *);
/* -ENOENT unless it is a mount of this user; a lease that had ended begins anew. */
int mounts_touch(struct mounts *, const char *user_id, const char *id, struct err *);
/* A reader of events holds the lease / has gone. */
int mounts_connected(struct mounts *, const char *user_id, const char *id, struct err *);
void mounts_disconnected(struct mounts *, const char *id);
json_t *mounts_list(struct mounts *, const char *user_id); /* as GET /api/mounts says */
