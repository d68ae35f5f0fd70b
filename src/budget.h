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
	unsigned large; /* who have a lot at once */
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

/* A lot at once, which the others may never leave: so one has it all the same. */
static inline bool
budget_try_large(struct budget *b, size_t bytes)
{
	if (!budget_try(b, bytes)) {
		if (b->large > 0)
			return false;
		budget_take(b, bytes);
	}
	b->large++;
	return true;
}

static inline void
budget_give_large(struct budget *b, size_t bytes)
{
	assert(b->large > 0);
	b->large--;
	budget_give(b, bytes);
}
