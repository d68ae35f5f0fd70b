/* Uploads in parts: "Uploading and copying objects using multipart upload", S3 User Guide. */
#include "providers/s3_answer.h"
#include "providers/s3_multipart.h"
#include "providers/s3_private.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Requests */

static void
s3_put_begin(struct cloud_op *op, struct http_request *req, struct buf *query)
{
	const struct s3_account *s3 = s3_account(op);

	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	buf_puts(query, "uploads");
	s3_put_attributes(req, op);
	s3_put_new_object(req, s3);
	s3_put_customer_key(req, s3);
	if (s3->checksum == S3_CHECKSUM_CRC32C) {
		http_request_header(req, "x-amz-checksum-algorithm", "CRC32C");
		http_request_header(req, "x-amz-checksum-type", "FULL_OBJECT");
	}
}

static void
s3_put_part(const struct cloud_op *op, struct http_request *req)
{
	req->method = "PUT";
	s3_put_body(req, op);
	s3_put_customer_key(req, s3_account(op));
}

static bool
s3_put_part_copy(const struct cloud_op *op, struct http_request *req)
{
	req->method = "PUT";
	req->body = HTTP_BODY_BYTES;
	http_request_header(req, "x-amz-copy-source-range", "bytes=%" PRIu64 "-%" PRIu64,
	    op->offset, op->offset + op->length - 1);
	s3_put_customer_key(req, s3_account(op));
	return s3_put_source(req, op);
}

static void
s3_put_commit(const struct cloud_op *op, struct http_request *req)
{
	const struct s3_account *s3 = s3_account(op);
	bool checked = s3->checksum == S3_CHECKSUM_CRC32C;

	req->method = "POST";
	req->body = HTTP_BODY_BYTES;
	http_request_header(req, "Content-Type", "application/xml");
	s3_put_guard(req, op);
	if (checked) {
		http_request_header(req, "x-amz-mp-object-size", "%" PRIu64, s3_upload_size(op));
		http_request_header(req, "x-amz-checksum-type", "FULL_OBJECT");
		s3_put_customer_key(req, s3);
	}
	if (checked && (op->put.digests.have & HASH_BIT(HASH_CRC32C)))
		object_put_digest(req, "x-amz-checksum-crc32c", op->put.digests.sum[HASH_CRC32C],
		    hash_size(HASH_CRC32C));
	s3_put_parts(&req->bytes, op, checked);
}

enum cloud_step
s3_put_upload(struct cloud_op *op, struct http_request *req, const struct s3_place *place,
    struct buf *query, struct err *err)
{
	enum cloud_step step = CLOUD_STEP_SEND;

	if (op->kind != CLOUD_UPLOAD_BEGIN && op->kind != CLOUD_UPLOAD_FIND)
		s3_put_upload_query(op, query);
	if (op->kind == CLOUD_UPLOAD_PART || op->kind == CLOUD_COPY_PART)
		step = s3_check_part(op, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN: s3_put_begin(op, req, query); break;
	case CLOUD_UPLOAD_PART: s3_put_part(op, req); break;
	case CLOUD_COPY_PART:
		if (step == CLOUD_STEP_SEND && !s3_put_part_copy(op, req))
			return object_refuse(err, -ENOENT, op->path2, "no bucket has such a name");
		break;
	case CLOUD_UPLOAD_STATUS: req->method = "GET"; break;
	case CLOUD_UPLOAD_COMMIT: s3_put_commit(op, req); break;
	case CLOUD_UPLOAD_ABORT: req->method = "DELETE"; break;
	default: s3_put_find_query(query, op, place->key); break;
	}
	return step;
}

/* Answers */

/* crc32c: base64, or NULL. */
static enum cloud_step
s3_take_part(struct cloud_op *op, const struct http_response *res, const char *etag,
    const char *crc32c, struct err *err)
{
	struct digests *digests = &op->entry.digests;
	struct upload_part *part = &op->part;
	struct err why = ERR_INIT;

	*digests = (struct digests){.have = 0};
	if (s3_take_tag(part->tag, etag, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (part->tag[0] == '\0')
		return object_refuse(
		    err, -EPROTO, op->path, "a part was written, but the service gives it no etag");
	part->length = op->length;
	s3_take_md5(digests, op, part->tag, &res->headers);
	part->has_crc32c = s3_take_crc32c(digests, crc32c);
	part->crc32c = 0;
	for (size_t i = 0; part->has_crc32c && i < hash_size(HASH_CRC32C); i++)
		part->crc32c = part->crc32c << 8 | digests->sum[HASH_CRC32C][i];
	return CLOUD_STEP_DONE;
}

static enum cloud_step
s3_part_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *etag = http_header_get(&res->headers, "ETag");

	return s3_take_part(op, res, etag == NULL ? "" : etag,
	    http_header_get(&res->headers, "x-amz-checksum-crc32c"), err);
}

static enum cloud_step
s3_part_copy_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	struct s3_result result;

	if (s3_xml_result(&result, "CopyPartResult", res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (s3_take_part(op, res, result.etag, result.crc32c, err) != CLOUD_STEP_DONE)
		return CLOUD_STEP_FAIL;
	return s3_stage_acted(op);
}

static enum cloud_step
s3_commit_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	struct s3_result result;

	if (s3_xml_result(
		&result, "CompleteMultipartUploadResult", res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	s3_take_written(op, res, result.etag, result.crc32c, s3_upload_size(op));
	/* Attributes went with the beginning; they are known here only if they are given again. */
	s3->look = result.etag[0] == '\0';
	return s3_stage_acted(op);
}

/* The etag of an upload is the MD5 of its parts' etags, and their number: so at Amazon, and at all
   that the tests know. */
bool
s3_is_made_of_parts(const struct cloud_op *op, const char *etag)
{
	CLEANUP(cleanup_free) char *all = NULL;
	CLEANUP(buf_free) struct buf md5 = BUF_INIT(64);
	struct hash *hash = hash_new(HASH_BIT(HASH_MD5));
	struct digests sum;
	unsigned char tag[16];
	bool known = true;

	for (size_t i = 0; i < op->parts.len && known; i++) {
		known = hex_decode(tag, sizeof tag, op->parts.items[i].tag) == (int)sizeof tag;
		hash_update(hash, tag, sizeof tag);
	}
	hash_final(hash, &sum);
	hash_free(hash);
	buf_put_hex(&md5, sum.sum[HASH_MD5], hash_size(HASH_MD5));
	all = xasprintf("%s-%zu", buf_str(&md5), op->parts.len);
	return known && strcmp(all, etag) == 0;
}

enum cloud_step
s3_upload_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct s3_place place;

	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN: return s3_begin_response(op, res, err);
	case CLOUD_UPLOAD_PART: return s3_part_response(op, res, err);
	case CLOUD_COPY_PART: return s3_part_copy_response(op, res, err);
	case CLOUD_UPLOAD_STATUS: return s3_status_response(op, res, err);
	case CLOUD_UPLOAD_COMMIT: return s3_commit_response(op, res, err);
	case CLOUD_UPLOAD_FIND:
		s3_locate(&place, op->account->data, op->path);
		return s3_find_response(op, &s3->pages, place.key,
		    s3_account(op)->kind->has & S3_ENCODES_SILENTLY, res, err);
	default: return CLOUD_STEP_DONE;
	}
}
