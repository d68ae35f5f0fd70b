/*
 * gdrive_file: what Drive says of a file ("files" resource), and what it is called here.
 *
 * Drive's names are no names of a file system: several files of a directory may have the same one,
 * and it may contain '/'.  A '/' is shown as U+FF0F.  Of files with one name the oldest (by the
 * time they were made, then by id) has it; the others have the end of their id behind it: "name
 * (d3ZkLk1a).txt".  Such a name leads to that file for ever, whatever becomes of the others.  The
 * suffix of a document's export is a part of its name in all this.
 */
#pragma once
#include "providers/gdrive_account.h"
#include "src/entry.h"

#define GDRIVE_FIELDS                                                                              \
	"id,name,mimeType,parents,trashed,createdTime,modifiedTime,size,md5Checksum,"              \
	"sha1Checksum,sha256Checksum,headRevisionId,capabilities(canReadRevisions),appProperties"
#define GDRIVE_FOLDER      "application/vnd.google-apps.folder"
#define GDRIVE_APPS        "application/vnd.google-apps."
#define GDRIVE_UPLOAD      "skyferryUpload" /* appProperties: the upload that wrote it */
#define GDRIVE_VERSION_MAX 192

/* What an op has to know of a file; without memory of its own. */
struct gdrive_node {
	char id[GDRIVE_ID_MAX];
	char parent[GDRIVE_ID_MAX];
	char created[32];
	char version[GDRIVE_VERSION_MAX]; /* as entries have it; "" of a directory */
	char upload[RESUMABLE_TOKEN_MAX]; /* that wrote it, or "" */
	bool is_directory, trashed;
	bool has_bytes; /* else it is a directory, or a document of Google's editors */
	const struct gdrive_export *export; /* of a document that is shown; else NULL */
	bool is_pinned; /* its version is a revision that can be read */
	uint64_t size;
	int64_t mtime_ns;
	struct digests digests;
};

/* -EPROTO: it is not what a file is. */
int
gdrive_node_read(struct gdrive_node *out, const json_t *file, enum gdrive_exports, struct err *);
/* Has it a place among files?  Documents that are not exported, forms, shortcuts have none. */
bool gdrive_node_is_shown(const struct gdrive_node *);
/* The entry at a path. */
void gdrive_entry_read(
    struct entry *out, const char *path, const json_t *file, const struct gdrive_node *);
/* The name as it is shown; NULL: no path can express it.  Caller frees. */
char *gdrive_name(const json_t *file, const struct gdrive_node *);
/* Is a file of this name, with this id, shown as `shown`, alone (1) or with others (2)?  0: never.
 */
int gdrive_name_is(const char *name, const char *id, const char *shown);
/* The name of one that is not the oldest.  Caller frees. */
char *gdrive_name_of_twin(const char *name, const char *id);
/* If `shown` may be such a name: the one without the id's part, caller frees; else NULL. */
char *gdrive_name_without_id(const char *shown);
/* May `shown` stand for a name with '/' in it? */
bool gdrive_name_has_stand_in(const char *shown);
/* The order of files of one name: <0: a comes first. */
int gdrive_node_compare(
    const char *a_created, const char *a_id, const char *b_created, const char *b_id);

/* The only place where Drive's errors become ours: 0, or a negative errno. */
int gdrive_check(const struct cloud_op *, const struct http_response *, struct err *);
