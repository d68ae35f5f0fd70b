#include "fs/table.h"
#include <stdlib.h>
#include <string.h>

struct table_slot {
	struct table_slot *next;
	uint64_t hash;
	void *value;
	char key[];
};

void
table_init(struct table *table)
{
	*table = (struct table){0};
}

void
table_fini(struct table *table, void (*free_value)(void *))
{
	struct table_slot *slot, *next;
	size_t i;

	for (i = 0; i < table->size; i++) {
		for (slot = table->slots[i]; slot != NULL; slot = next) {
			next = slot->next;
			if (free_value != NULL)
				free_value(slot->value);
			free(slot);
		}
	}
	free(table->slots);
	table_init(table);
}

uint64_t
table_hash(const char *key)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 0x100000001b3;
	hash ^= hash >> 32;
	hash *= 0x9fb21c651e98df25;
	return hash ^ (hash >> 28);
}

static struct table_slot **
table_find(const struct table *table, const char *key, uint64_t hash)
{
	struct table_slot **at = &table->slots[hash & (table->size - 1)];

	while (*at != NULL && ((*at)->hash != hash || strcmp((*at)->key, key) != 0))
		at = &(*at)->next;
	return at;
}

void *
table_get(const struct table *table, const char *key)
{
	struct table_slot **at;

	if (table->size == 0)
		return NULL;
	at = table_find(table, key, table_hash(key));
	return *at == NULL ? NULL : (*at)->value;
}

static void
table_grow(struct table *table)
{
	size_t size = table->size == 0 ? 16 : table->size * 2, i;
	struct table_slot **slots = xcalloc(size, sizeof(*slots)), *slot, *next;

	for (i = 0; i < table->size; i++) {
		for (slot = table->slots[i]; slot != NULL; slot = next) {
			next = slot->next;
			slot->next = slots[slot->hash & (size - 1)];
			slots[slot->hash & (size - 1)] = slot;
		}
	}
	free(table->slots);
	table->slots = slots;
	table->size = size;
}

void *
table_put(struct table *table, const char *key, void *value)
{
	uint64_t hash = table_hash(key);
	struct table_slot **at, *slot;
	size_t len;
	void *old;

	if (table->len >= table->size)
		table_grow(table);
	at = table_find(table, key, hash);
	if (*at != NULL) {
		old = (*at)->value;
		(*at)->value = value;
		return old;
	}
	len = strlen(key) + 1;
	slot = xmalloc(sizeof(*slot) + len);
	slot->next = NULL;
	slot->hash = hash;
	slot->value = value;
	memcpy(slot->key, key, len);
	*at = slot;
	table->len++;
	return NULL;
}

void *
table_remove(struct table *table, const char *key)
{
	struct table_slot **at, *slot;
	void *value;

	if (table->size == 0)
		return NULL;
	at = table_find(table, key, table_hash(key));
	if ((slot = *at) == NULL)
		return NULL;
	*at = slot->next;
	value = slot->value;
	free(slot);
	table->len--;
	return value;
}

bool
table_next(const struct table *table, struct table_walk *walk, const char **key, void **value)
{
	struct table_slot *slot;

	if (!walk->begun) {
		walk->begun = true;
		walk->next = table->size == 0 ? NULL : table->slots[0];
	}
	while (walk->next == NULL) {
		if (++walk->slot >= table->size)
			return false;
		walk->next = table->slots[walk->slot];
	}
	slot = walk->next;
	walk->next = slot->next;
	if (key != NULL)
		*key = slot->key;
	if (value != NULL)
		*value = slot->value;
	return true;
}
