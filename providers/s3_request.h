/*
 * s3_request: an account of S3, where its objects are, and requests to them, signed.
 */
#pragma once
#include "src/cloud.h"

#define S3_BUCKET_MAX 255

struct s3_account {
	char *scheme; /* "https://" */
	char *host; /* and port, as in the Host header */
	char *base; /* path in front of everything, "" or "/x" */
	char *service; /* host and base, one for all the names the service is known to have */
	char *region;
	char *bucket; /* NULL: the first component of a path is the bucket */
	char *id, *secret; /* NULL: anonymous */
	char *token; /* or NULL */
	char *ca; /* or NULL */
	enum { S3_STYLE_AUTO, S3_STYLE_PATH, S3_STYLE_VIRTUAL } style;
};

extern const struct cloud_field s3_fields[];
int s3_open(struct account *, const json_t *credentials, struct err *);
void s3_close(struct account *);

/* Where a path is: bucket "" is the top of an account without a bucket setting, key "" is a bucket.
 */
struct s3_place {
	char bucket[S3_BUCKET_MAX + 1];
	const char *key; /* inside the path */
};
/* False if the first component cannot be a bucket's name. */
bool s3_locate(struct s3_place *out, const struct s3_account *, const char *path);

/*
 * Finishes a request whose headers and body are filled in: URL, Host, time, payload hash and
 * signature. suffix is added to the key ("/" for a directory's marker); query as it is sent, "" for
 * none.
 */
int s3_finish(struct http_request *, const struct s3_account *, const struct s3_place *,
    const char *suffix, const char *query, uint64_t now_ms, struct err *);
