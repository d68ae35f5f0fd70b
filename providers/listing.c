#include "providers/listing.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

/* False: no path can express it. */
static bool
listing_place(struct entry *entry, bool *marker, const char *dir, const char *prefix)
{
	size_t prefix_len = strlen(prefix), len;
	char *name = entry->path;
	char *path;

	if (strncmp(name, prefix, prefix_len) != 0)
		return false;
	name += prefix_len;
	len = strlen(name);
	if (len == 0) { /* with content it is more than a marker, and no path can have its name */
		*marker = entry->size == 0;
		return false;
	}
	if (entry->kind == ENTRY_DIRECTORY && name[len - 1] == '/')
		name[--len] = '\0';
	if (len == 0 || strchr(name, '/') != NULL || !path_is_canonical(name))
		return false;
	path = path_child(dir, name);
	free(entry->path);
	entry->path = path;
	return path_is_canonical(path); /* it may have become too long */
}

void
listing_take(struct entry_list *into, struct entry *entry, bool *marker, const char *dir,
    const char *prefix, bool (*is_name)(const char *path))
{
	bool marked = false, shown = listing_place(entry, &marked, dir, prefix);

	*marker = *marker || marked;
	if (into == NULL || marked)
		return;
	if (!shown || (is_name != NULL && !is_name(entry->path))) {
		into->hidden++;
		return;
	}
	*entry_list_add(into) = *entry;
	entry_init(entry);
}

static int
entry_compare(const void *a, const void *b)
{
	const struct entry *first = a, *second = b;
	int order = strcmp(first->path, second->path);

	return order != 0 ? order
			  : (second->kind == ENTRY_DIRECTORY) - (first->kind == ENTRY_DIRECTORY);
}

void
listing_finish(struct entry_list *list)
{
	size_t kept = 0;

	if (list->len == 0)
		return;
	qsort(list->items, list->len, sizeof *list->items, entry_compare);
	for (size_t i = 0; i < list->len; i++) {
		if (kept > 0 && strcmp(list->items[kept - 1].path, list->items[i].path) == 0) {
			list->hidden += list->items[i].kind == ENTRY_FILE;
			entry_fini(&list->items[i]);
		} else {
			list->items[kept++] = list->items[i];
		}
	}
	list->len = kept;
}

void
listing_drop(struct entry_list *list, const char *after)
{
	size_t i, kept = 0;

	for (i = 0; i < list->len && after != NULL; i++) {
		if (entry_is_behind(&list->items[i], after))
			list->items[kept++] = list->items[i];
		else
			entry_fini(&list->items[i]);
	}
	list->len = after != NULL ? kept : list->len;
}
