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

/* When an amount that passes now will be paid for. */
static uint64_t
bucket_next(uint64_t rate, uint64_t paid, uint64_t amount, uint64_t now_ns)
{
	return MAX(paid, now_ns) + amount / rate * NSEC + amount % rate * NSEC / rate;
}

static uint64_t
bucket_due(uint64_t paid, uint64_t now_ns)
{
	if (paid <= now_ns + BUCKET_BURST_NS)
		return 0;
	return (paid - now_ns - BUCKET_BURST_NS) / (NSEC / 1000) + 1;
}

void
bucket_take(struct bucket *b, uint64_t bytes, uint64_t now_ns)
{
	uint64_t rate = atomic_load(&b->rate), paid = atomic_load(&b->paid_ns), next;

	if (rate == 0)
		return;
	do {
		next = bucket_next(rate, paid, bytes, now_ns);
	} while (!atomic_compare_exchange_weak(&b->paid_ns, &paid, next));
}

uint64_t
bucket_try(struct bucket *b, uint64_t amount, uint64_t now_ns)
{
	uint64_t rate = atomic_load(&b->rate), paid = atomic_load(&b->paid_ns), next, wait;

	if (rate == 0)
		return 0;
	do {
		wait = bucket_due(paid, now_ns);
		if (wait > 0)
			return wait;
		next = bucket_next(rate, paid, amount, now_ns);
	} while (!atomic_compare_exchange_weak(&b->paid_ns, &paid, next));
	return 0;
}

uint64_t
bucket_wait(const struct bucket *b, uint64_t now_ns)
{
	return atomic_load(&b->rate) == 0 ? 0 : bucket_due(atomic_load(&b->paid_ns), now_ns);
}
