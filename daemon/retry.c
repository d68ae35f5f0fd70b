#include "daemon/retry.h"
#include "src/mem.h"

uint64_t
retry_wait(const struct retry_policy *p, unsigned attempts, uint64_t asked_ms, uint64_t random)
{
	uint64_t wait = MIN(p->backoff_ms, p->backoff_max_ms);
	unsigned i;

	for (i = 1; i < attempts && wait < p->backoff_max_ms; i++)
		wait = wait > p->backoff_max_ms / 2 ? p->backoff_max_ms : wait * 2;
	wait = wait - wait / 2 + random % (wait / 2 + 1);
	return MAX(wait, asked_ms);
}
