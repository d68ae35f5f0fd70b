/*
 * bucket: a limit of a rate (of bytes, or of requests) that any number of streams share, in any
 * threads.  What has passed is paid for in time: one atomic number says when all of it will be (the
 * generic cell rate algorithm, ITU-T I.371 annex A).  Nobody refills it, nobody waits for a lock,
 * and what one stream does not use the others have at once.
 */
#pragma once
#include <stdint.h>

struct bucket;
struct bucket *bucket_new(uint64_t rate); /* a second; 0: no limit */
struct bucket *bucket_ref(struct bucket *);
void bucket_unref(struct bucket *); /* NULL is a no-op */
void bucket_set_rate(struct bucket *, uint64_t rate); /* what was owed is forgiven */
uint64_t bucket_rate(const struct bucket *);
/* These bytes have passed. now_ns: of a monotonic clock. */
void bucket_take(struct bucket *, uint64_t bytes, uint64_t now_ns);
/* They pass if it is time: 0.  Else none does: ms until it is. */
uint64_t bucket_try(struct bucket *, uint64_t amount, uint64_t now_ns);
/* How long until more may pass, in ms; 0: now. */
uint64_t bucket_wait(const struct bucket *, uint64_t now_ns);
