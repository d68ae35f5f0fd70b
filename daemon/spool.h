/*
 * spool: gives back the spool's space.  Files are STATE/spool/USER/FILE, written by mounts; changes
 * name them in their segments.  When a change has ended, those that no change needs any more are
 * unlinked. At start, when a mount has ended, and once a day, files that no change names and no
 * mount holds (flock) are too: what a mount left that died before it made a change. The store is
 * asked on the control loop; unlinking and walking happen on the pool.
 */
#pragma once
#include "daemon/daemon.h"

struct spool;
struct spool *spool_new(struct daemon *); /* begins a sweep */
void spool_free(struct spool *); /* a job under way on the pool ends by itself */
void spool_sweep(struct spool *); /* a mount has ended */
/* The change has completed or was cancelled. */
void spool_ended(struct spool *, const struct change *);
