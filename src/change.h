/*
 * change: a durable job that alters a cloud.  This is its value: plain data, no behaviour beyond
 * copying and the JSON codec (which is the store's record, and the form in which the mount hands
 * sources over).
 */
#pragma once
#include "src/entry.h"

enum change_kind {
	CHANGE_TRANSFER, /* make DEST equal SOURCE; move: then remove SOURCE */
	CHANGE_REMOVE, /* a file */
	CHANGE_RMDIR, /* an empty directory */
	CHANGE_MKDIR,
	CHANGE_RENAME, /* within an account: source path -> path; file or directory (`tree`) */
	CHANGE_SETATTR,
	CHANGE_TREE, /* a directory's files, each a transfer of its own: its children */
	CHANGE_KINDS
};

enum change_state {
	CHANGE_PENDING, /* a pending write: not yet to be claimed; belongs to a mount's lease */
	CHANGE_QUEUED,
	CHANGE_RUNNING,
	CHANGE_COMPLETED,
	CHANGE_FAILED,
	CHANGE_CANCELLED,
	CHANGE_STATES
};
/* live: PENDING, QUEUED, RUNNING */

enum change_phase { /* of a transfer */
	CHANGE_PHASE_COPY,
	CHANGE_PHASE_VERIFIED, /* the destination is right and that is on disk: only the source's
				  removal is left */
};

enum segment_kind { SEGMENT_ENTRY, SEGMENT_SPOOL, SEGMENT_ZERO };

/* A range of a source.  A transfer's source is a list of them, in order. */
struct segment {
	enum segment_kind kind;
	char *account_id; /* ENTRY */
	char *path; /* ENTRY: canonical path; SPOOL: file name in the user's spool directory */
	char *version; /* ENTRY: pinned; NULL: whatever is there when the transfer starts (then
			  pinned) */
	int64_t written_ns; /* ENTRY: of that version, as in struct entry */
	uint64_t offset;
	uint64_t length; /* SEGMENT_TO_END with offset 0: the whole entry */
};
#define SEGMENT_TO_END UINT64_MAX

/* What has become of a tree's children.  They are no part of the change: the store counts them. */
struct tree_totals {
	uint64_t entries; /* listed so far: files, empty directories, directories that failed */
	uint64_t done, failed, live;
	uint64_t bytes_total, bytes_done; /* of what was listed, of what is done */
	bool stale; /* children of before it began anew are still to be forgotten */
};

struct change {
	char id[37]; /* uuid */
	char user_id[37];
	enum change_kind kind;
	enum change_state state;
	enum change_phase phase;

	char *account_id; /* of the destination / the thing that is changed */
	char *path; /* canonical */
	struct segment *segments; /* TRANSFER: source.  RENAME, TREE: one ENTRY, the directory */
	size_t segments_len;
	bool pinned; /* the version of the one source is what was there when the transfer began:
			nobody asked for it, and a retry takes what is there then */
	bool move; /* TRANSFER with one whole ENTRY, TREE */
	bool tree; /* RENAME of a directory */
	bool by_key; /* REMOVE: the path, TRANSFER: the source's, is a key as the cloud has it
			(CLOUD_HAS_KEYS), which no path need express */
	bool overwrite; /* false: fail if the destination exists */
	bool preserve; /* times and types are kept */
	char *version; /* REMOVE, RENAME, SETATTR: only if it is still that; NULL: any */
	int64_t mtime_ns; /* of the destination; ENTRY_NO_TIME: the source's if preserve */
	bool mtime_set; /* false: nobody asked for mtime_ns, it is when it was written.  A cloud
			   whose copies can have no time but their source's may leave it at that;
			   when the change is completed, mtime_ns is what the cloud has */
	unsigned mode; /* 0: the source's if preserve */
	char *content_type; /* NULL: the source's */

	char parent[37]; /* the TREE whose child it is, else "" */
	char *position; /* TREE: how far it is listed, as walk.h has it; NULL: not begun */
	bool listed; /* TREE: the listing is over; with `error`: because it failed */
	struct tree_totals totals; /* TREE */

	uint64_t bandwidth; /* bytes a second at most; 0: no limit of its own */
	unsigned priority; /* 0..10, 10 first; default 5 */
	unsigned attempts, retries_max;
	uint64_t created_ms, not_before_ms, started_ms, finished_ms;
	char *mount_id; /* PENDING: whose lease */
	bool cancel; /* asked for while running: durable, carried out by the attempt */

	uint64_t bytes_total, bytes_done; /* total: UINT64_MAX while unknown */
	char *route, *route_reason; /* "native" "pull" "relay"; why the cheaper ones were not */
	char *verified; /* "crc32c" "md5" "size" ..., comma-separated: what was compared */
	char *result_version; /* the destination's version after success */
	int error; /* negative errno of the last failure */
	char *error_text;

	/* the store's */
	uint64_t seq; /* place in the order of acceptance */
	uint32_t blockers; /* changes that must end first */
	bool repeated; /* claimed: an earlier attempt was cut off and may have left something */
	char *owner; /* who claimed it */
	uint64_t lease_ms; /* until when */
};

#define CHANGE_PRIORITY_MAX     10
#define CHANGE_PRIORITY_DEFAULT 5

struct change *change_new(void); /* priority 5, overwrite, preserve and mtime_set, no times */
void change_free(struct change *);
struct change *change_copy(const struct change *);
struct segment *
change_add_segment(struct change *, enum segment_kind); /* zeroed; valid until the next add */
void change_clear_segments(struct change *);
bool change_is_live(const struct change *);
/* An attempt has ended with code, and `error` is still that of the one before: will there be
 * another? */
bool change_will_retry(const struct change *, int code);
/* A tree that runs, but only by its children: nobody carries it. */
bool change_is_parked(const struct change *);
/* The one source entry of a transfer, rename or tree, or NULL (spool, several segments). */
const struct segment *change_source(const struct change *);
/* The first account that it reads from, besides the one it alters; NULL: there is none. */
const char *change_reads_from(const struct change *);

/* What a change of its kind may have as its path, and as that of a source. */
bool change_path_is_valid(const struct change *, const char *path);
bool change_source_is_valid(const struct change *, const char *path);

const char *change_kind_name(
    enum change_kind); /* "transfer" "remove" "rmdir" "mkdir" "rename" "setattr" "tree" */
const char *change_state_name(enum change_state); /* "pending" "queued" ... */
int change_kind_parse(const char *); /* -EINVAL */
int change_state_parse(const char *);

json_t *change_to_json(const struct change *); /* everything but `id`-derived keys; times in ms */
int change_from_json(struct change **out, const json_t *, struct err *);
/* [{"account","path","version","offset","length"} | {"spool","offset","length"} |
   {"zero":true,"length"}]; length absent: to the end.  Bounds are checked; at most SEGMENTS_MAX. */
json_t *segments_to_json(const struct segment *, size_t len);
int segments_from_json(struct change *into, const json_t *, struct err *);
#define SEGMENTS_MAX 10000
