/*
 * overlay: the pending changes of this user, by the names they touch: what the mount shows before
 * the clouds do.  A directory's are asked for when it is first looked at; events and our own
 * submissions keep them up to date.  A change that has ended is folded into the listing and
 * dropped.
 *
 * It knows paths, not nodes: for a name it says whether pending changes make it a file, a
 * directory, or gone, the last accepted one winning.
 */
#pragma once
#include "fs/extent.h"
#include "fs/node.h"

struct view { /* a change as the mount knows it */
	struct change *change;
	uint64_t order; /* of acceptance, as we saw it */
	uint64_t touched; /* when it was last heard of */
	bool complete; /* its segments are known */
	bool ended; /* and no longer in the overlay */
	bool awaited; /* a copy depends on what it makes */
	uint64_t rate;
	unsigned refs;
};

enum overlay_kind {
	OVERLAY_NONE, /* nothing pending: what the cloud has */
	OVERLAY_GONE,
	OVERLAY_FILE, /* view: what it will be */
	OVERLAY_DIRECTORY,
};
struct overlay_name {
	enum overlay_kind kind;
	struct view *view; /* borrowed; NULL for NONE */
	int64_t mtime_ns; /* a pending setattr; ENTRY_NO_TIME: none */
	unsigned mode; /* 0: none */
};

struct overlay *overlay_new(struct fs *);
void overlay_free(struct overlay *);
/* Makes sure that the directory's changes are known.  Never fails: while the daemon is away, what
   is known has to do. */
void overlay_load(struct task *, struct remote *, const char *dir);
void overlay_at(struct overlay *, struct remote *, const char *path, struct overlay_name *out);
/* Each name directly in dir that a pending change touches. */
typedef void (*overlay_fn)(void *arg, const char *name, const struct overlay_name *);
void overlay_each(struct overlay *, struct remote *, const char *dir, overlay_fn, void *arg);
/* Will a pending change (other than the one with the id `except`, which may be "") write the path?
 */
bool overlay_writes(struct overlay *, const char *account_id, const char *path, const char *except);
/* The last of them, or NULL. */
struct view *overlay_writer(struct overlay *, const char *account_id, const char *path);
/* The API's JSON of a change: an answer to our own submission.  Returns the view (borrowed) or
 * NULL. */
struct view *overlay_submitted(struct overlay *, const json_t *);
void overlay_event(struct overlay *, const json_t *);
/* Events of the change wait, since they may come before the answer to the request that makes or
 * ends it ... */
void overlay_hold(struct overlay *, const char *id);
/* ... until the loop turns next: what the caller notes without waiting is noted by then. */
void overlay_release(struct overlay *, const char *id);
void overlay_progress(struct overlay *, const json_t *);
void overlay_forget(struct overlay *); /* all must be asked for afresh */
struct view *overlay_view(struct overlay *, const char *id); /* NULL: unknown or ended */
struct view *view_ref(struct view *);
void view_unref(struct view *);
/* We have cancelled it ourselves. */
void overlay_drop(struct overlay *, const char *id);
