/* outcome: what a pending change will have made, and how it has ended. */
#pragma once
#include "fs/overlay.h"

/* What the destination of a transfer (or rename of a file) will consist of.  -EALREADY: it has
 * ended, look again. */
int
outcome_content(struct task *, struct view *, struct extents *out, int64_t *mtime_ns, struct err *);
/* Waits until the change has ended: 0 or why it failed; -ECANCELED.  *out (unless NULL): the change
 * as it ended, to be freed.  Not limited in time while the daemon is there. */
int outcome_wait(struct task *, const char *id, struct change **out, struct err *);
