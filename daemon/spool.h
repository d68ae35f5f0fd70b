/*
 * spool: gives back the spool's space.  Files are STATE/spool/USER/FILE, written by mounts; changes
 * name them in their segments.  When a change has ended, those that no change needs any more are
 * unlinked. At start, and once a day, files that no change names and nobody has touched for
 * SPOOL_AGE and no mount holds (flock) are too: what a mount left that died before it made a
 * change. The store is asked on the control loop; unlinking and walking happen on the pool.
 */
#pragma once
#include "daemon/daemon.h"

#define SPOOL_AGE_S (24 * 3600)

struct spool;
struct spool *spool_new(struct daemon *); /* begins a sweep */
void spool_free(struct spool *); /* a job under way on the pool ends by itself */
/* The change has completed or was cancelled. */
void spool_ended(struct spool *, const struct change *);
