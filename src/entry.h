/*
 * entry: what a cloud stores at a path.
 */
#pragma once
#include "src/err.h"
#include "src/hash.h"
#include <jansson.h>

enum entry_kind { ENTRY_FILE, ENTRY_DIRECTORY };

#define ENTRY_NO_TIME INT64_MIN

/*
 * An unsized file is made by its cloud when it is read: the export of a document.  Until it was
 * read to its end nobody knows how long it is, and each time it may be other bytes, also of one
 * version.  So for such a file:
 *  - size is 0 and means nothing; there are no digests;
 *  - it is read whole (no ranges), and when that breaks off, again from the start;
 *  - its version names the document, and is older than, or as old as, what is read: it pins no
 * bytes;
 *  - it is at most ENTRY_UNSIZED_MAX bytes: whoever must know the length beforehand keeps all of
 * it;
 *  - it is not what it was made from: it is neither written nor replaced, and no move to another
 *    place than its own account removes it.
 */
#define ENTRY_UNSIZED_MAX ((uint64_t)12 << 20) /* Google exports 10 MB, of whichever kind */

struct entry {
	char *path; /* canonical, from the account's root */
	enum entry_kind kind;
	uint64_t size; /* bytes; 0 for directories */
	bool unsized; /* a file whose size is not known: see above */
	int64_t mtime_ns; /* since 1970 UTC, or ENTRY_NO_TIME */
	unsigned mode; /* permission bits the cloud keeps; 0: none */
	char *version; /* pins the content (an etag, a generation); opaque; NULL if unknown */
	int64_t written_ns; /* when the cloud took it, where the same content written again has the
			       same version; 0: not told */
	char *content_type; /* or NULL */
	struct digests digests; /* what the cloud says of the content */
	json_t *metadata; /* what its user has written to it: {"name": "value"}, names in lower
			     case; NULL: nothing, or not told; owned */
};

void entry_init(struct entry *);
void entry_fini(struct entry *); /* usable with CLEANUP */
void entry_copy(struct entry *to, const struct entry *from); /* to must be init'ed */

/* The order of names within a directory, as bytes: a directory's counts as if it ended in '/'. */
int entry_name_compare(const char *a, bool a_is_dir, const char *b, bool b_is_dir);
/* Of a name as LIST's `after` has it: "name", or "name/" of a directory. */
bool entry_is_behind(const struct entry *, const char *after);

struct entry_list {
	struct entry *items;
	size_t len, cap;
	size_t hidden; /* of a directory: names left out, because no path can express them */
};
void entry_list_fini(struct entry_list *);
void entry_list_move(struct entry_list *into, struct entry_list *from); /* all; from is empty */
struct entry *entry_list_add(struct entry_list *); /* init'ed; valid until the next add */

/* {"path","kind":"file|directory","size"|"unsized","mtimeNs","mode","version","contentType","hashes":{"md5":"hex"}}
 */
json_t *entry_to_json(const struct entry *);
int entry_from_json(struct entry *out, const json_t *, struct err *);
json_t *digests_to_json(const struct digests *);
void digests_from_json(struct digests *out, const json_t *); /* unknown names are skipped */
