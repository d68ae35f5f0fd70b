/*
 * pool: a few threads for slow calls (disks, password hashing).  work(arg) runs on one of them,
 * then done(arg) on the loop that submitted.  The queue's length is bounded by the objects that
 * submit: each has at most one job under way.  Jobs of different objects run in any order.
 */
#pragma once
#include "src/loop.h"

struct pool;
struct pool *pool_new(unsigned threads, struct err *);
void pool_free(struct pool *); /* finishes what is queued, then joins */
void pool_submit(struct pool *, struct loop *, loop_fn work, loop_fn done, void *arg);
