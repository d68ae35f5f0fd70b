/*
 * s3_multipart: uploads in parts, as S3 speaks of them, and Google's XML API after it ("Multipart
 * upload overview", S3 User Guide; "XML API multipart uploads", Cloud Storage): what the requests
 * say, but for each service's own headers, and what the answers mean.
 */
#pragma once
#include "providers/s3_xml.h"

#define S3_PART_MIN ((uint64_t)5 << 20) /* "Multipart upload limits"; Google's are the same */
#define S3_PART_MAX ((uint64_t)5 << 30)

/* Of the kinds that have an upload: its id, the part, where the next page of its parts begins. */
void s3_put_upload_query(const struct cloud_op *, struct buf *query);
void s3_put_find_query(struct buf *query, const struct cloud_op *, const char *key);
/* COMMIT's body: the op's parts; checked: with what is known of their CRC32C. */
void s3_put_parts(struct buf *out, const struct cloud_op *, bool checked);
/* CLOUD_STEP_SEND, unless no part can be like that. */
enum cloud_step s3_check_part(const struct cloud_op *, struct err *);
/* Bytes of the op's parts. */
uint64_t s3_upload_size(const struct cloud_op *);

/* What UPLOAD_BEGIN, STATUS and FIND were answered, into the op.  pages: so many FIND had, zeroed
   at first.  encoded: see s3_xml_uploads(). */
enum cloud_step s3_begin_response(struct cloud_op *, const struct http_response *, struct err *);
enum cloud_step s3_status_response(struct cloud_op *, const struct http_response *, struct err *);
enum cloud_step s3_find_response(struct cloud_op *, unsigned *pages, const char *key, bool encoded,
    const struct http_response *, struct err *);
