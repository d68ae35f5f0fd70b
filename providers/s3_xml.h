/*
 * s3_xml: S3's answers in XML (ListObjectsV2, ListBuckets, Error) made into entries and words.
 */
#pragma once
#include "src/entry.h"

#define S3_TOKEN_MAX 2048 /* a continuation token: a key (1,024 bytes) in base64, and to spare */

struct s3_page {
	size_t found; /* keys and prefixes of this page, shown or not */
	bool marker; /* the directory's own marker is among them */
	bool truncated; /* there is another page */
	char token[S3_TOKEN_MAX]; /* of it */
};

/*
 * A page of ListObjectsV2 with delimiter '/': appends what lies in `dir` (a path of the account),
 * whose keys begin with `prefix`.  Keys that no path can express (an empty component, "." and "..",
 * over 255 bytes, a NUL, not UTF-8) are left out without hiding the others.  `into` may be NULL:
 * only counted.
 */
int s3_xml_list(struct s3_page *out, struct entry_list *into, const char *dir, const char *prefix,
    const void *data, size_t len, struct err *);
/*
 * To be called once after the last page: sorts by path, and resolves what is both a file ("a") and
 * a directory ("a/b") in S3: the directory is shown and the file is hidden, since otherwise a whole
 * tree would be.
 */
void s3_list_finish(struct entry_list *);
int s3_xml_buckets(struct entry_list *into, const void *data, size_t len, struct err *);

struct s3_error {
	char code[64];
	char message[256];
};
/* Never fails: both are "" when the body is no error document. */
void s3_xml_error(struct s3_error *out, const void *data, size_t len);

/* An etag as a version: without its quotes.  Caller frees. */
char *s3_version(const char *etag);
