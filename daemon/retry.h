/*
 * retry: when a change is tried again after a transient failure.  Exponential backoff with jitter:
 * half of the wait is fixed, half random, so that what failed together does not come back together.
 */
#pragma once
#include <stdint.h>

struct retry_policy {
	uint64_t backoff_ms; /* after the first attempt; doubles with each */
	uint64_t backoff_max_ms;
};

/* Milliseconds to wait after attempt number `attempts` (from 1); at least what the cloud asked for.
 */
uint64_t
retry_wait(const struct retry_policy *, unsigned attempts, uint64_t asked_ms, uint64_t random);
