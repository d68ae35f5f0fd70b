/*
 * source: what a copy reads: one whole entry, or ranges of entries, spool files and zeros one after
 * the other.  What is not known of them (lengths, versions) is found out, and from then on they are
 * pinned: what is read later is that, or -ESTALE.
 *
 * A whole entry may be told by whoever reads it (source_take) instead of being asked for.
 *
 * Part of its copy, on whose event it is called again.
 */
#pragma once
#include "src/await.h"
#include "src/change.h"
#include "src/relay.h"

struct source {
	struct segment *segments; /* lengths and versions are filled in as they become known */
	struct relay_part *parts; /* the same, with their accounts (NULL: it is not there) */
	size_t len;
	struct disk_root *spool; /* of SEGMENT_SPOOL, borrowed; or NULL */
	bool whole; /* one whole entry: `entry` says what it is */
	bool known; /* all of it */
	bool unsized; /* a whole entry that is (entry.h): its segment stays without a length, and
			 without a version, which would pin nothing */
	struct entry entry;
	uint64_t total; /* bytes, when known; of an unsized entry when it was read, before that 0 */
	/* private */
	struct cloud_runner *runner;
	size_t part; /* being asked for */
	struct await await;
	struct disk_request spool_request;
	struct disk_call *spool_call;
	bool spool_busy, spool_ended;
	int spool_code;
	struct err *spool_err; /* owned; NULL unless the code says that it failed */
	uint64_t spool_size;
};

/* Copies the segments and takes references to their accounts. */
void source_init(struct source *, struct cloud_runner *, struct event *wake,
    const struct segment *segments, size_t len, struct account **accounts, size_t accounts_len,
    struct disk_root *spool);
/* Without asking anybody: -ENOENT if an account or the spool is not there any more, -EINVAL. */
int source_check(const struct source *, struct err *);
/* 1 when it is known; 0: again when the event comes; or a negative errno. */
int source_ask(struct source *, struct err *);
/* The whole entry is this, says the answer that brings it. */
int source_take(struct source *, const struct entry *, struct err *);
void source_stop(struct source *); /* leaves whatever was under way */
void source_fini(struct source *);

/* NULL if it is not among them. */
struct account *accounts_by_id(struct account **accounts, size_t len, const char *id);
