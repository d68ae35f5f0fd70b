/*
 * s3_xml: S3's answers in XML (ListObjectsV2, ListBuckets, Error) made into entries and words.
 */
#pragma once
#include "providers/listing.h"
#include "providers/xml.h"
#include "src/cloud.h"

#define S3_TOKEN_MAX  2048 /* a continuation token: a key (1,024 bytes) in base64, and to spare */

#define S3_UPLOAD_MAX 1024 /* an upload's id, with its NUL; of today's services at most 300 */
#define S3_KEY_MAX    1024
#define S3_PARTS_MAX  10000 /* of one upload */

struct s3_page {
	size_t found; /* keys and prefixes of this page, shown or not */
	bool marker; /* the directory's own marker is among them */
	bool truncated; /* there is another page */
	char token[S3_TOKEN_MAX]; /* of it */
};

/*
 * A page of ListObjectsV2 with delimiter '/': appends what lies in `dir`.  Keys that no path can
 * express (an empty component, "." and "..", over 255 bytes, a NUL, not UTF-8) are left out without
 * hiding the others, or are what is wanted (dir->hidden).  `into` may be NULL: only counted.
 */
int s3_xml_list(struct s3_page *out, struct entry_list *into, const struct listing_dir *dir,
    const void *data, size_t len, struct err *);
int s3_xml_buckets(struct entry_list *into, const void *data, size_t len, struct err *);

struct s3_error {
	char code[64];
	char message[256];
	char region[64]; /* the bucket's, where that is what is wrong */
	char condition[64]; /* the header that was not met */
};
/* Never fails: both are "" when the body is no error document. */
void s3_xml_error(struct s3_error *out, const void *data, size_t len);

/* An etag as the tag of a part; -EPROTO if it is none. */
int s3_take_tag(char out[CLOUD_TAG_MAX], const char *etag, struct err *);

/* What the answers about copies and uploads have in common; "" is what an answer does not say. */
struct s3_result {
	char name[64]; /* of the document */
	char etag[CLOUD_TAG_MAX]; /* without quotes */
	char crc32c[16]; /* base64 */
	char upload[S3_UPLOAD_MAX];
};
/* name: of the document that it must be. */
int
s3_xml_result(struct s3_result *out, const char *name, const void *data, size_t len, struct err *);

/* A page of ListParts, appended; truncated: the next one begins after the last part. */
int s3_xml_parts(
    struct s3_page *out, struct upload_parts *into, const void *data, size_t len, struct err *);

/* A page of ListMultipartUploads: the uploads of one key. */
struct s3_uploads {
	char *ids[CLOUD_UPLOADS_MAX], *keys[CLOUD_UPLOADS_MAX]; /* keys: only while it is read */
	size_t len;
	bool truncated;
	char key_marker[S3_KEY_MAX + 1], id_marker[S3_UPLOAD_MAX]; /* of the next page */
};
/* encoded: keys are, whether the answer says so or not.  On failure nothing is left in it. */
int s3_xml_uploads(struct s3_uploads *out, const char *key, bool encoded, const void *data,
    size_t len, struct err *);
void s3_uploads_fini(struct s3_uploads *);

/* What the parsers share: xml_walk(), but for the white space in front by which an answer that took
   long kept its connection alive; a key as it comes with encoding-type=url, in place, false if a
   NUL was hidden in it. */
int s3_xml_walk(const void *data, size_t len, xml_fn, void *arg, struct err *);
bool s3_xml_key(char *key);
