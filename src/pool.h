/*
 * pool: threads for slow calls (disks, password hashing).  work(arg) runs on one of them, then
 * done(arg) on the loop that submitted.
 *
 * A job may say at which place it works: a directory that can hang for hours, such as one of an NFS
 * server that is away.  Jobs of one place run on so many threads at once and not more; the others
 * of that place wait, and those of other places do not.  A thread is started when a job may run and
 * none is idle, up to POOL_THREADS_MAX, and stays.  So a place that hangs holds its own threads and
 * stops nobody, until POOL_THREADS_MAX / threads of them hang.
 *
 * The queue's length is bounded by the objects that submit: each has at most one job under way.
 * Places take turns; jobs of one place begin in the order they came.
 */
#pragma once
#include "src/loop.h"

#define POOL_THREADS_MAX 256 /* idle ones cost some pages of stack each */

struct pool;
struct pool *pool_new(unsigned threads, struct err *); /* threads: for each place, at least 1 */
void pool_free(struct pool *); /* finishes what is queued, then joins */
/* place: copied; NULL: work that has none, which is a place of its own. */
void
pool_submit(struct pool *, const char *place, struct loop *, loop_fn work, loop_fn done, void *arg);
/* Jobs whose work has not ended; any thread. */
unsigned pool_jobs(struct pool *);
