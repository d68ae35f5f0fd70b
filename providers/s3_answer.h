/*
 * s3_answer: what S3's answers say: errors, and the entry that an object's headers describe.
 */
#pragma once
#include "src/cloud.h"

/* 0, or a negative errno with the service's words in *err. */
int s3_check(struct cloud_op *, const struct http_response *, struct err *);
/* Is the bucket in another region, and which? */
#define S3_REGION_MAX 64
bool s3_region_of(char out[S3_REGION_MAX], const struct http_response *);
/* Does it look like the MD5 of a content?  (It is not, if that is encrypted.) */
bool s3_is_md5(const char *etag);
/* Into the digests what the etag (without quotes) says. */
void s3_take_md5(
    struct digests *, const struct cloud_op *, const char *etag, const struct http_headers *);
bool s3_take_crc32c(struct digests *, const char *text);
/* What PUT, COPY and an upload's end made, into op->entry. */
void s3_take_written(struct cloud_op *, const struct http_response *, const char *etag,
    const char *crc32c, uint64_t size);
/* The headers of an object into op->entry; its size is the caller's to know. */
void s3_take_entry(struct cloud_op *, const struct http_response *, uint64_t size);
/* The same of an answer to HEAD, which says the size. */
int s3_take_head(struct cloud_op *, const struct http_response *, struct err *);
