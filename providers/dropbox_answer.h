/*
 * dropbox_answer: what Dropbox's answers say: errors, which are tagged unions, and metadata.
 */
#pragma once
#include "src/cloud.h"

#define DROPBOX_TAGS_MAX 160 /* "path/conflict/file": what the unions of an error come to */
#define DROPBOX_ID_MAX   128 /* with its NUL: "id:a4ayc_80_OEAAAAAAAAAXw" */

struct dropbox_error {
	char tags[DROPBOX_TAGS_MAX]; /* "" if the answer has none */
};

/* 0, or a negative errno with the service's words in *err; *error: how it said so. */
int dropbox_check(
    struct cloud_op *, const struct http_response *, struct dropbox_error *error, struct err *);
/* Why a job of the service's failed, which its answer tells as a union: a negative errno, with
   words in *err.  What is not known to be anything else is -EOPNOTSUPP: it cannot be done this way.
 */
int dropbox_check_job(struct cloud_op *, const json_t *failed, struct err *);
/* Do the tags end so? "conflict/file" */
bool dropbox_error_is(const struct dropbox_error *, const char *tags);

/* The body as JSON; NULL with -EPROTO in *err.  Caller drops the reference. */
json_t *dropbox_parse(const struct cloud_op *, const struct http_response *, struct err *);
/* Metadata of a file or folder into *out, which is init'ed and gets `path`; -EPROTO, and of a
   deleted entry -ENOENT. */
int dropbox_entry(struct entry *out, const json_t *metadata, const char *path, struct err *);
/* The same into op->entry, by the op's path. */
int dropbox_take(struct cloud_op *, const json_t *metadata, struct err *);
/* Metadata's member, or "". */
const char *dropbox_text(const json_t *metadata, const char *name);
