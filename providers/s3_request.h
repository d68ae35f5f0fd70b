/*
 * s3_request: requests to S3: the headers that several operations share, and the signature.
 */
#pragma once
#include "providers/s3_account.h"

/* Content type, modification time, mode: of PUT, COPY and an upload's beginning. */
void s3_put_attributes(struct http_request *, const struct cloud_op *);
/* The write is to replace nothing, where the service takes such a condition. */
void s3_put_unless_there(struct http_request *, const struct s3_account *);
/* The same, if put.no_replace says so. */
void s3_put_guard(struct http_request *, const struct cloud_op *);
/* What the account wants of every new object: storage class and encryption. */
void s3_put_new_object(struct http_request *, const struct s3_account *);
/* Encryption by the service's keys alone. */
void s3_put_encryption(struct http_request *, const struct s3_account *);
/* Of an object that is encrypted with the customer's key: nothing moves without it. */
void s3_put_customer_key(struct http_request *, const struct s3_account *);
/* Where a copy comes from, pinned.  False if that is nowhere, or too long. */
bool s3_put_source(struct http_request *, const struct cloud_op *);
/* The op's content as the body, and what it is checked with. */
void s3_put_body(struct http_request *, const struct cloud_op *);
/* Whoever asks so is told the checksum of the whole. */
void s3_put_checksum_mode(struct http_request *, const struct s3_account *);

/*
 * Finishes a request whose headers and body are filled in: URL, Host, time, payload hash and
 * signature. suffix is added to the key ("/" for a directory's marker); query as it is sent, "" for
 * none.
 */
int s3_finish(struct http_request *, const struct s3_account *, const struct s3_place *,
    const char *suffix, const char *query, uint64_t now_ms, struct err *);

#define S3_PRESIGN_MAX (7 * 24 * 3600) /* seconds; and no longer than a session token lives */
/* Appends a URL with which anybody can GET the file for so long. */
int s3_presign(struct buf *out, const struct account *, const char *path, uint64_t now_ms,
    unsigned expires_s, struct err *);
