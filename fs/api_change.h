/* api_change: a change as the API describes it. */
#pragma once
#include "fs/extent.h"

/* *complete: what it consists of (its segments) is known.  -EPROTO: it is not understood. */
int change_from_api(struct change **out, const json_t *, bool *complete, struct err *);
uint64_t api_u64(const json_t *, const char *key, uint64_t missing);
