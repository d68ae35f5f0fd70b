#include "fs/extent.h"
#include "fs/spool.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_JSON_SIZE 96 /* of a segment without its names: braces, keys and two numbers */

struct source *
source_entry(const char *account_id, const char *path, const char *version, uint64_t size)
{
	struct source *source = xcalloc(1, sizeof(*source));

	source->refs = 1;
	source->account_id = xstrdup(account_id);
	source->path = xstrdup(path);
	source->version = xstrdup_null(version);
	source->size = size;
	return source;
}

struct source *
source_outcome(const char *account_id, const char *path, uint64_t size, const char *change,
    const struct extents *content)
{
	struct source *source = source_entry(account_id, path, NULL, size);

	snprintf(source->change, sizeof(source->change), "%s", change);
	source->outcome = xcalloc(1, sizeof(*source->outcome));
	extents_assign(source->outcome, content);
	return source;
}

struct source *
source_spool(struct spool *spool)
{
	struct source *source = xcalloc(1, sizeof(*source));

	source->refs = 1;
	source->spool = spool;
	source->size = UINT64_MAX;
	return source;
}

struct source *
source_ref(struct source *source)
{
	if (source != NULL)
		source->refs++;
	return source;
}

static void
source_drop_outcome(struct source *source)
{
	if (source->outcome != NULL)
		extents_fini(source->outcome);
	free(TAKE(source->outcome));
	source->change[0] = '\0';
}

void
source_unref(struct source *source)
{
	if (source == NULL || --source->refs > 0)
		return;
	spool_unref(source->spool);
	source_drop_outcome(source);
	free(source->account_id);
	free(source->path);
	free(source->version);
	free(source);
}

bool
source_is_at(const struct source *source, const char *account_id, const char *path)
{
	return source != NULL && source->spool == NULL && strcmp(source->path, path) == 0 &&
	    strcmp(source->account_id, account_id) == 0;
}

void
extents_init(struct extents *extents)
{
	*extents = (struct extents){0};
}

void
extents_fini(struct extents *extents)
{
	size_t i;

	for (i = 0; i < extents->len; i++)
		source_unref(extents->items[i].source);
	free(extents->items);
	extents_init(extents);
}

static uint64_t
extent_end(const struct extent *extent)
{
	return extent->offset + extent->length;
}

uint64_t
extents_size(const struct extents *extents)
{
	return extents->len == 0 ? 0 : extent_end(&extents->items[extents->len - 1]);
}

/* Index of the first extent that ends after `offset`; len if there is none. */
static size_t
extents_search(const struct extents *extents, uint64_t offset)
{
	size_t low = 0, high = extents->len, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (extent_end(&extents->items[mid]) > offset)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

const struct extent *
extents_at(const struct extents *extents, uint64_t offset)
{
	size_t i = extents_search(extents, offset);

	return i == extents->len ? NULL : &extents->items[i];
}

static void
extents_insert(struct extents *extents, size_t at, const struct extent *extent)
{
	if (extents->len == extents->cap) {
		extents->cap = MAX(extents->cap * 2, 8);
		extents->items = xrealloc(extents->items, extents->cap, sizeof(*extents->items));
	}
	memmove(&extents->items[at + 1], &extents->items[at],
	    (extents->len - at) * sizeof(*extents->items));
	extents->items[at] = *extent;
	extents->len++;
}

static void
extents_delete(struct extents *extents, size_t at, size_t count)
{
	size_t i;

	if (count == 0)
		return; /* there may be no items at all yet */
	for (i = at; i < at + count; i++)
		source_unref(extents->items[i].source);
	memmove(&extents->items[at], &extents->items[at + count],
	    (extents->len - at - count) * sizeof(*extents->items));
	extents->len -= count;
}

/* Makes `offset` a boundary between two extents (or an end), and returns the index of the second.
 */
static size_t
extents_split(struct extents *extents, uint64_t offset)
{
	size_t at = extents_search(extents, offset);
	struct extent second;
	uint64_t first;

	if (at == extents->len || extents->items[at].offset >= offset)
		return at;
	second = extents->items[at];
	first = offset - second.offset;
	second.offset = offset;
	second.length -= first;
	second.from += first;
	source_ref(second.source);
	extents->items[at].length = first;
	extents_insert(extents, at + 1, &second);
	return at + 1;
}

/* Joins the extent at `at` with the one before it, if they continue each other. */
static void
extents_join(struct extents *extents, size_t at)
{
	struct extent *first, *second;

	if (at == 0 || at >= extents->len)
		return;
	first = &extents->items[at - 1];
	second = &extents->items[at];
	if (first->source != second->source ||
	    (first->source != NULL && first->from + first->length != second->from))
		return;
	first->length += second->length;
	extents_delete(extents, at, 1);
}

void
extents_put(
    struct extents *extents, uint64_t offset, uint64_t length, struct source *source, uint64_t from)
{
	struct extent extent = {.offset = offset, .length = length, .source = source, .from = from};
	size_t first, last;

	if (length == 0)
		return;
	assert(offset + length > offset);
	if (offset > extents_size(extents))
		extents_truncate(extents, offset);
	if (source == NULL)
		extent.from = 0;
	source_ref(source); /* before what it replaces is dropped: that may be the same source */
	first = extents_split(extents, offset);
	last = extents_split(extents, offset + length);
	extents_delete(extents, first, last - first);
	extents_insert(extents, first, &extent);
	extents_join(extents, first + 1);
	extents_join(extents, first);
}

void
extents_truncate(struct extents *extents, uint64_t size)
{
	uint64_t old = extents_size(extents);
	size_t at;

	if (size > old) {
		extents_put(extents, old, size - old, NULL, 0);
	} else if (size < old) {
		at = extents_split(extents, size);
		extents_delete(extents, at, extents->len - at);
	}
}

void
extents_assign(struct extents *to, const struct extents *from)
{
	struct extents copy = {0};
	size_t i;

	if (to == from)
		return;
	for (i = 0; i < from->len; i++) {
		source_ref(from->items[i].source);
		extents_insert(&copy, i, &from->items[i]);
	}
	extents_fini(to);
	*to = copy;
}

void
extents_copy(struct extents *to, uint64_t offset, const struct extents *from, uint64_t start,
    uint64_t length)
{
	CLEANUP(extents_fini) struct extents copy = {0}; /* `to` may be `from` */
	size_t i = extents_search(from, start);
	struct extent piece;
	uint64_t skip;

	assert(start + length <= extents_size(from));
	for (; length > 0; i++) {
		piece = from->items[i];
		skip = start - piece.offset;
		piece.offset = start;
		piece.length = MIN(length, piece.length - skip);
		piece.from += piece.source != NULL ? skip : 0;
		source_ref(piece.source);
		extents_insert(&copy, copy.len, &piece);
		start += piece.length;
		length -= piece.length;
	}
	for (i = 0; i < copy.len; i++) {
		extents_put(
		    to, offset, copy.items[i].length, copy.items[i].source, copy.items[i].from);
		offset += copy.items[i].length;
	}
}

bool
extents_have_spool(const struct extents *extents)
{
	size_t i;

	for (i = 0; i < extents->len; i++) {
		if (extents->items[i].source != NULL && extents->items[i].source->spool != NULL)
			return true;
	}
	return false;
}

bool
extents_have_entry(const struct extents *extents)
{
	size_t i;

	for (i = 0; i < extents->len; i++) {
		if (extents->items[i].source != NULL && extents->items[i].source->spool == NULL)
			return true;
	}
	return false;
}

bool
extents_read(const struct extents *extents, const char *account_id, const char *path)
{
	size_t i;

	for (i = 0; i < extents->len; i++) {
		if (source_is_at(extents->items[i].source, account_id, path))
			return true;
	}
	return false;
}

void
extents_pin(struct extents *extents, const char *change, const char *version, uint64_t size)
{
	struct source *source;
	size_t i;

	for (i = 0; i < extents->len; i++) {
		source = extents->items[i].source;
		if (source == NULL || source->change[0] == '\0' ||
		    strcmp(source->change, change) != 0)
			continue;
		xstrset(&source->version, version);
		source->size = size;
		source_drop_outcome(source);
	}
}

struct source *
extents_find(const struct extents *extents, const char *account_id, const char *path,
    const char *version, const char *change)
{
	struct source *source;
	size_t i;

	for (i = 0; i < extents->len; i++) {
		source = extents->items[i].source;
		if (source_is_at(source, account_id, path) && strcmp(source->change, change) == 0 &&
		    (source->version == NULL) == (version == NULL) &&
		    (version == NULL || strcmp(source->version, version) == 0))
			return source_ref(source);
	}
	return NULL;
}

json_t *
extents_to_json(const struct extents *extents)
{
	struct segment *segments = xcalloc(MAX(extents->len, 1), sizeof(*segments));
	const struct extent *extent;
	struct segment *segment;
	json_t *json;
	size_t i;

	for (i = 0; i < extents->len; i++) {
		extent = &extents->items[i];
		segment = &segments[i];
		segment->offset = extent->from;
		segment->length = extent->length;
		if (extent->source == NULL) {
			segment->kind = SEGMENT_ZERO;
			segment->offset = 0;
		} else if (extent->source->spool != NULL) {
			segment->kind = SEGMENT_SPOOL;
			segment->path = (char *)spool_name(extent->source->spool);
		} else {
			segment->kind = SEGMENT_ENTRY;
			segment->account_id = extent->source->account_id;
			segment->path = extent->source->path;
			segment->version = extent->source->version;
			if (extents->len == 1 && extent->from == 0 &&
			    extent->length == extent->source->size)
				segment->length = SEGMENT_TO_END;
		}
	}
	if (extents->len == 0) /* nothing, but on purpose */
		segments[0].kind = SEGMENT_ZERO;
	json = segments_to_json(segments, MAX(extents->len, 1));
	free(segments); /* the strings are the sources' */
	return json;
}

/* Of the string in JSON: control characters take six bytes there. */
static size_t
json_size(const char *s)
{
	size_t size = 0;

	for (; s != NULL && *s != '\0'; s++)
		size += (unsigned char)*s < 0x20 ? 6 : *s == '"' || *s == '\\' ? 2 : 1;
	return size;
}

size_t
extents_json_size(const struct extents *extents)
{
	const struct source *source;
	size_t i, size = 0;

	for (i = 0; i < extents->len; i++) {
		source = extents->items[i].source;
		size += SEGMENT_JSON_SIZE;
		if (source == NULL)
			continue;
		if (source->spool != NULL)
			size += strlen(spool_name(source->spool));
		else
			size += json_size(source->account_id) + json_size(source->path) +
			    json_size(source->version);
	}
	return size;
}
