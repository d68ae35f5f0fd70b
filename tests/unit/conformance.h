/*
 * conformance: what the cases and the drivers' set-up share (test_conformance.c): running one op to
 * its end on the test's loop, with the other end of its ring.
 */
#pragma once
#include "src/cloud.h"
#include "src/path.h"
#include "tests/unit/check.h"

struct subject;

struct conformance_case {
	const char *name;
	void (*run)(struct subject *);
};

struct subject {
	const char *name;
	struct conformance_case extra; /* of this one alone */
	const struct conformance_case *extras; /* more of them, ended by a NULL; or NULL */
	int (*open)(struct subject *); /* sets account; 1: not configured, skip */
	int (*open_other)(struct subject *); /* s3: an account of all buckets; caller unrefs it */
	void (*close)(struct subject *);
	size_t many; /* entries of one directory: more than two pages */
	size_t many_parts; /* of one upload: more than a page */
	bool keeps_type, has_usage;
	bool copies_whole; /* COPY takes any size: there is no COPY_PART */
	bool unlisted; /* nobody can tell which uploads are under way */
	bool copies_anew; /* a native copy makes a new file only: -EOPNOTSUPP */
	bool lapses; /* an upload is nothing but its parts, which vanish by themselves */
	const char *const
	    *no_names; /* -EILSEQ, though paths can have them; ended by a NULL; or NULL
			*/
	int64_t
	    mtime_unit; /* ns: times are kept in multiples of it, from 1970 on; 0: all of a time */
	unsigned put_hashes_untold; /* HASH_BIT()s that only the tests' server does not tell */
	/* set by open */
	struct account *account;
	char *scratch; /* local: its root; s3: its bucket */
	/* of the last op */
	struct err err;
	int code;
	bool done;
};

extern const struct conformance_case conformance_cases[];
size_t conformance_cases_len(void);
/* Each ended by a NULL. */
extern const struct conformance_case conformance_azure_cases[];
extern const struct conformance_case conformance_gcs_cases[];
extern const struct conformance_case conformance_dropbox_cases[];
extern const struct conformance_case conformance_s3_cases[];
extern const struct conformance_case conformance_upload_cases[]; /* of drivers that have uploads */
size_t conformance_upload_cases_len(void);

/* Made and freed by test_conformance.c. */
extern struct loop *loop;
extern struct cloud_runner *runner;

struct flow { /* the other end of an op's ring */
	struct ring *ring;
	struct event *wake;
	const unsigned char *data; /* NULL: a pattern */
	uint64_t at, len;
	struct hash *hash;
	struct buf *into; /* NULL: only hashed */
};

void flow_init(struct flow *, struct cloud_op *); /* makes op->ring */
/* Takes what is left; *out (may be NULL): hashes of all that went through. */
void flow_fini(struct flow *, struct digests *out);

struct content {
	const char *text; /* NULL: a pattern of len bytes */
	uint64_t len;
	struct cloud_put put;
};

/* Each runs one op: 0, or the negative errno that s->err explains. */
int run(struct subject *, struct cloud_op *); /* the op stays the caller's */
int simple(struct subject *, enum cloud_op_kind, const char *path, const char *version);
int stat_entry(struct subject *, const char *path, struct entry *out);
int put_content(struct subject *, const char *path, const struct content *, struct entry *out,
    struct digests *digests);
int get_range(struct subject *, struct buf *into, const char *path, const char *version,
    uint64_t offset, uint64_t length);
int list(struct subject *, const char *path, struct entry_list *out); /* sorted; caller finis */
/* Are these, sorted, the keys that begin with prefix and that no path can express?  A NULL ends
   them. */
void expect_hidden(struct subject *, const char *prefix, const char *const *keys);
/* These fail the test. */
char *
put_text(struct subject *, const char *path, const char *text); /* the version; caller frees */
void expect_text(struct subject *, const char *path, const char *text);
void make_directory(struct subject *, const char *path);

bool can(const struct subject *, enum cloud_feature);
int64_t kept_mtime(const struct subject *, int64_t mtime_ns); /* what becomes of a time */
struct entry entry_none(void); /* an initialiser */
