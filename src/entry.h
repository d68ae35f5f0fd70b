/*
 * entry: what a cloud stores at a path.
 */
#pragma once
#include "src/err.h"
#include "src/hash.h"
#include <jansson.h>

enum entry_kind { ENTRY_FILE, ENTRY_DIRECTORY };

#define ENTRY_NO_TIME INT64_MIN

struct entry {
	char *path; /* canonical, from the account's root */
	enum entry_kind kind;
	uint64_t size; /* bytes; 0 for directories */
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

/* {"path","kind":"file|directory","size","mtimeNs","mode","version","contentType","hashes":{"md5":"hex"}}
 */
json_t *entry_to_json(const struct entry *);
int entry_from_json(struct entry *out, const json_t *, struct err *);
json_t *digests_to_json(const struct digests *);
void digests_from_json(struct digests *out, const json_t *); /* unknown names are skipped */
