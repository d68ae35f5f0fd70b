#include "src/bucket.h"
#include "src/mem.h"
#include <stdatomic.h>
#include <stdlib.h>

#define NSEC UINT64_C(1000000000)
/* So much may pass ahead of its time: a wake-up is worth something. */
#define BUCKET_BURST_NS (NSEC / 20)

struct bucket {
	atomic_uint refs;
	_Atomic uint64_t rate, paid_ns;
};

struct bucket *
bucket_new(uint64_t rate)
{
	struct bucket *b = xcalloc(1, sizeof *b);

	atomic_init(&b->refs, 1);
	atomic_init(&b->rate, rate);
	return b;
}

struct bucket *
bucket_ref(struct bucket *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void
bucket_unref(struct bucket *b)
{
	if (b != NULL && atomic_fetch_sub(&b->refs, 1) == 1)
		free(b);
}

void
bucket_set_rate(struct bucket *b, uint64_t rate)
{
	atomic_store(&b->rate, rate);
	atomic_store(&b->paid_ns, 0);
}

uint64_t
bucket_rate(const struct bucket *b)
{
	return atomic_load(&b->rate);
}

void
bucket_take(struct bucket *b, uint64_t bytes, uint64_t now_ns)
{
	uint64_t rate = atomic_load(&b->rate), paid = atomic_load(&b->paid_ns), next;

	if (rate == 0)
		return;
	do {
		next = MAX(paid, now_ns) + bytes / rate * NSEC + bytes % rate * NSEC / rate;
	} while (!atomic_compare_exchange_weak(&b->paid_ns, &paid, next));
}

uint64_t
bucket_wait(const struct bucket *b, uint64_t now_ns)
{
	uint64_t paid = atomic_load(&b->paid_ns);

	if (atomic_load(&b->rate) == 0 || paid <= now_ns + BUCKET_BURST_NS)
		return 0;
	return (paid - now_ns - BUCKET_BURST_NS) / (NSEC / 1000) + 1;
}
