/*
 * budget: memory that several objects of one loop share.  What is taken is given back; whether all
 * is used up is the only thing anybody learns.
 */
#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
	size_t max, used; /* bytes */
};

/* What must be had: it may go beyond the maximum. */
static inline void
budget_take(struct budget *b, size_t bytes)
{
	b->used += bytes;
}

static inline bool
budget_try(struct budget *b, size_t bytes)
{
	if (b->used > b->max || bytes > b->max - b->used)
		return false;
	b->used += bytes;
	return true;
}

static inline void
budget_give(struct budget *b, size_t bytes)
{
	assert(bytes <= b->used);
	b->used -= bytes;
}
