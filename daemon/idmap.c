#include "daemon/idmap.h"
#include "src/hash.h"
#include "src/mem.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define IDMAP_SIZE_MIN 16

/* Where it is, or the empty slot where it would be. */
static size_t
idmap_slot(const struct idmap *m, const char *id)
{
	size_t at = crc32c(0, id, strlen(id)) & (m->size - 1);

	while (m->slots[at].id != NULL && strcmp(m->slots[at].id, id) != 0)
		at = (at + 1) & (m->size - 1);
	return at;
}

void *
idmap_get(const struct idmap *m, const char *id)
{
	return m->size > 0 ? m->slots[idmap_slot(m, id)].object : NULL;
}

static void
idmap_grow(struct idmap *m)
{
	struct idmap old = *m;
	size_t i;

	m->size = MAX(old.size * 2, IDMAP_SIZE_MIN);
	m->slots = xcalloc(m->size, sizeof *m->slots);
	for (i = 0; i < old.size; i++) {
		if (old.slots[i].id != NULL)
			m->slots[idmap_slot(m, old.slots[i].id)] = old.slots[i];
	}
	free(old.slots);
}

void
idmap_put(struct idmap *m, const char *id, void *object)
{
	size_t at;

	if ((m->len + 1) * 2 > m->size)
		idmap_grow(m);
	at = idmap_slot(m, id);
	assert(m->slots[at].id == NULL && object != NULL);
	m->slots[at] = (struct idmap_slot){.id = id, .object = object};
	m->len++;
}

void
idmap_remove(struct idmap *m, const char *id)
{
	struct idmap_slot moved;
	size_t at;

	assert(m->size > 0);
	at = idmap_slot(m, id);
	assert(m->slots[at].id != NULL);
	m->slots[at] = (struct idmap_slot){};
	m->len--;
	/* Those behind may have been pushed there by what is gone: put each where it belongs now.
	 */
	for (at = (at + 1) & (m->size - 1); m->slots[at].id != NULL;
	     at = (at + 1) & (m->size - 1)) {
		moved = m->slots[at];
		m->slots[at] = (struct idmap_slot){};
		m->slots[idmap_slot(m, moved.id)] = moved;
	}
}

void *
idmap_any(const struct idmap *m)
{
	size_t i;

	for (i = 0; i < m->size; i++) {
		if (m->slots[i].id != NULL)
			return m->slots[i].object;
	}
	return NULL;
}

void
idmap_fini(struct idmap *m)
{
	free(m->slots);
	*m = (struct idmap){};
}
