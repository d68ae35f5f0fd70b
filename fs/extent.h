/*
 * extent: what a file being written consists of: an ordered, gapless list of ranges, each taken
 * from a source (an entry of a cloud, pinned to its version, or a spool file) or all zero. Writing,
 * copying and truncating change the list; nothing is read or moved.  This is a pure data structure.
 *
 * A source is counted: several files may hold ranges of the same.
 */
#pragma once
#include "src/change.h"

struct spool;

struct extents;
struct source {
	unsigned refs;
	struct spool *spool; /* a spool file, or NULL: an entry */
	char *account_id;
	char *path;
	char *version; /* NULL: whatever is there; and if there is a change: what that will put
			  there */
	uint64_t size; /* of the whole entry; UINT64_MAX: unknown */
	char change[37]; /* id, or "" */
	struct extents *
	    outcome; /* until that change has ended: what it will put there, for reading; or NULL */
};
/* What the change will have put at the path. */
struct source *source_outcome(const char *account_id, const char *path, uint64_t size,
    const char *change, const struct extents *content);
struct source *
source_entry(const char *account_id, const char *path, const char *version, uint64_t size);
struct source *source_spool(struct spool *); /* takes over one reference of the spool file */
struct source *source_ref(struct source *);
void source_unref(struct source *); /* NULL is a no-op */
bool source_is_at(const struct source *, const char *account_id, const char *path);

struct extent {
	uint64_t offset, length; /* in the file */
	struct source *source; /* NULL: zeros */
	uint64_t from; /* offset in the source */
};

struct extents {
	struct extent *items;
	size_t len, cap;
};

void extents_init(struct extents *);
void extents_fini(struct extents *); /* usable with CLEANUP */
uint64_t extents_size(const struct extents *);
/* The range becomes that of the source (NULL: zeros); a hole before it is filled with zeros. */
void
extents_put(struct extents *, uint64_t offset, uint64_t length, struct source *, uint64_t from);
void extents_truncate(struct extents *, uint64_t size); /* shorter, or longer by zeros */
/* The extent that holds `offset`, or NULL at and beyond the end. */
const struct extent *extents_at(const struct extents *, uint64_t offset);
/* What `from` has in the range (which must lie inside) replaces the same length at `offset` of
 * `to`. */
void extents_copy(struct extents *to, uint64_t offset, const struct extents *from, uint64_t start,
    uint64_t length);
void extents_assign(struct extents *to, const struct extents *from);
bool extents_have_spool(const struct extents *);
bool extents_have_entry(const struct extents *);
/* Is there a range of an entry at this path? */
bool extents_read(const struct extents *, const char *account_id, const char *path);
/* The change has ended well: ranges of its outcome get the version (NULL: it is not known). */
void extents_pin(struct extents *, const char *change, const char *version, uint64_t size);
/* A source of these ranges that is the same entry, so that neighbouring ranges can be joined;
 * referenced, or NULL. */
struct source *extents_find(const struct extents *, const char *account_id, const char *path,
    const char *version, const char *change);
/* As the API takes it; a single whole entry is given without a length, so that it can be copied
 * natively. */
json_t *extents_to_json(const struct extents *);
/* About how many bytes that is. */
size_t extents_json_size(const struct extents *);
