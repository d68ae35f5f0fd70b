/*
 * idmap: objects by id (a UUID, or any string that the object keeps).  The map owns nothing; it
 * grows with what it holds.
 */
#pragma once
#include <stddef.h>

struct idmap_slot {
	const char *id; /* the object's own string; NULL: empty */
	void *object;
};

struct idmap {
	struct idmap_slot *slots; /* linear probing; size is 0 or a power of two */
	size_t size, len;
};

void *idmap_get(const struct idmap *, const char *id); /* NULL if it is not there */
void idmap_put(struct idmap *, const char *id, void *object); /* asserted to be new */
void idmap_remove(struct idmap *, const char *id); /* asserted to be there */
/* Any object of the map, NULL when it is empty: to take all out. */
void *idmap_any(const struct idmap *);
void idmap_fini(struct idmap *);
