#include "providers/listing.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

char *
listing_prefix(const struct cloud_op *op, const char *key)
{
	return xasprintf("%s%s", key, op->hidden || *key == '\0' ? "" : "/");
}

/* False: no path can express it. */
static bool
listing_place(struct entry *entry, bool *marker, const struct listing_dir *dir)
{
	size_t prefix_len = strlen(dir->prefix), len;
	char *name = entry->path;
	char *path;

	if (strncmp(name, dir->prefix, prefix_len) != 0)
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
	path = path_child(dir->path, name);
	free(entry->path);
	entry->path = path;
	return path_is_canonical(path); /* it may have become too long */
}

/* Is it what a path can express, or the marker of such a directory? */
static bool
listing_is_named(const struct entry *entry, bool (*is_name)(const char *path))
{
	size_t len = strlen(entry->path);
	bool directory = entry->kind == ENTRY_DIRECTORY || entry->size == 0;
	bool slash = directory && len > 1 && entry->path[len - 1] == '/';
	CLEANUP(cleanup_free) char *path = xstrndup(entry->path, len - slash);

	return path_is_canonical(path) && (is_name == NULL || is_name(path));
}

static void
listing_take_hidden(struct entry_list *into, struct entry *entry, const struct listing_dir *dir,
    bool (*is_name)(const char *path))
{
	size_t prefix_len = strlen(dir->prefix);
	char *key;

	if (strncmp(entry->path, dir->prefix, prefix_len) != 0)
		return;
	key = xasprintf("%s%s", dir->path, entry->path + prefix_len);
	free(entry->path);
	entry->path = key;
	if (listing_is_named(entry, is_name))
		return;
	if (!path_is_key(key)) {
		into->hidden++;
		return;
	}
	*entry_list_add(into) = *entry;
	entry_init(entry);
}

void
listing_take(struct entry_list *into, struct entry *entry, bool *marker,
    const struct listing_dir *dir, bool (*is_name)(const char *path))
{
	bool marked = false, shown;

	if (dir->hidden) {
		listing_take_hidden(into, entry, dir, is_name);
		return;
	}
	shown = listing_place(entry, &marked, dir);
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
