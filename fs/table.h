/*
 * table: a hash table from strings to pointers.  Keys are copied; values belong to the caller.
 * It grows by doubling.  Not for several threads.
 */
#pragma once
#include "src/mem.h"
#include <stdbool.h>
#include <stdint.h>

struct table_slot;
struct table {
	struct table_slot **slots;
	size_t size, len; /* size: a power of two, or 0 before the first put */
};

void table_init(struct table *);
void table_fini(struct table *, void (*free_value)(void *)); /* free_value may be NULL */
void *table_get(const struct table *, const char *key); /* or NULL */
/* Replaces what was there, and returns that (or NULL). */
void *table_put(struct table *, const char *key, void *value);
void *table_remove(struct table *, const char *key); /* the value that was there, or NULL */
/* Walks in no order: *at starts as NULL; false ends it.  The current key may be removed while
   walking, others may not; nothing may be put. */
struct table_walk {
	size_t slot;
	struct table_slot *next;
	bool begun;
};
bool table_next(const struct table *, struct table_walk *, const char **key, void **value);
uint64_t table_hash(const char *key); /* FNV-1a with a final mix */
