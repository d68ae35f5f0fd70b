/*
 * gcs_json: what the JSON API of Google Cloud Storage answers ("Cloud Storage JSON API", v1:
 * objects, buckets, rewrites, errors), made into entries and words.
 */
#pragma once
#include "providers/listing.h"
#include "src/cloud.h"

#define GCS_TOKEN_MAX 4096 /* with its NUL: of a page, or of a rewrite that goes on */

/* The fields that an entry is made of, as a request asks for them. */
#define GCS_OBJECT_FIELDS  "name,size,generation,timeCreated,contentType,md5Hash,crc32c,metadata"
#define GCS_LIST_FIELDS    "nextPageToken,prefixes,items(" GCS_OBJECT_FIELDS ")"
#define GCS_BUCKETS_FIELDS "nextPageToken,items(name,timeCreated)"
#define GCS_REWRITE_FIELDS                                                                         \
	"done,rewriteToken,totalBytesRewritten,objectSize,resource(" GCS_OBJECT_FIELDS ")"

/* Does it come otherwise than it is stored, unless that is asked for? */
int gcs_json_is_compressed(bool *out, const struct buf *body, struct err *);

struct gcs_page {
	size_t found; /* objects and prefixes of this page, shown or not */
	bool marker; /* the directory's own marker is among them */
	char next[GCS_TOKEN_MAX]; /* of the next page; "": this is the last */
};
/* A page of a list of what lies in `dir`: appended; into may be NULL: only counted.  Nothing is
 * appended on failure (-EPROTO). */
int gcs_json_list(struct gcs_page *out, struct entry_list *into, const struct listing_dir *dir,
    const struct buf *body, struct err *);
int gcs_json_buckets(
    struct gcs_page *out, struct entry_list *into, const struct buf *body, struct err *);
/* An object; entry: initialised, its path stays. */
int gcs_json_object(struct entry *, const struct buf *body, struct err *);

struct gcs_rewrite {
	uint64_t bytes; /* so far */
	bool done;
	char token[GCS_TOKEN_MAX]; /* unless done: to go on with */
};
/* entry: of what was made, if it is done. */
int gcs_json_rewrite(struct gcs_rewrite *out, struct entry *, const struct buf *body, struct err *);

/* Attributes as rclone writes them: "contentType", "metadata" and the account's "storageClass" of
   an object, or, of a change, the metadata only. */
json_t *gcs_json_attributes(const struct cloud_op *);

struct gcs_error {
	char reason[64]; /* "notFound"; of the XML API: "NoSuchKey" */
	char message[256];
};
/* Of either API; never fails: both are "" when the body is no error. */
void gcs_read_error(struct gcs_error *out, const struct buf *body);

/* Metadata -> time and permissions; NULL is none.  False: there is no such time. */
bool gcs_take_mtime(struct entry *, const char *mtime, const char *reserved);
