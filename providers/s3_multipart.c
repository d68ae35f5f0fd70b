#include "providers/s3_multipart.h"
#include "providers/object.h"
#include <string.h>

#define S3_FIND_PAGES 20 /* of uploads with the same prefix */

/* Requests */

void
s3_put_upload_query(const struct cloud_op *op, struct buf *query)
{
	if (op->kind == CLOUD_UPLOAD_PART || op->kind == CLOUD_COPY_PART)
		buf_printf(query, "partNumber=%u&", op->part.number);
	if (op->kind == CLOUD_UPLOAD_STATUS && op->parts.len > 0)
		buf_printf(
		    query, "part-number-marker=%u&", op->parts.items[op->parts.len - 1].number);
	buf_puts(query, "uploadId=");
	buf_put_uri(query, op->upload, NULL);
}

void
s3_put_find_query(struct buf *query, const struct cloud_op *op, const char *key)
{
	buf_puts(query, "uploads&encoding-type=url&max-uploads=1000&prefix=");
	buf_put_uri(query, key, NULL);
	if (op->page != NULL)
		buf_puts(query, op->page);
}

/* Where the next page begins, as its query says it. */
static void
s3_put_markers(struct buf *out, const struct s3_uploads *page)
{
	if (page->key_marker[0] != '\0') {
		buf_puts(out, "&key-marker=");
		buf_put_uri(out, page->key_marker, NULL);
	}
	if (page->id_marker[0] != '\0') {
		buf_puts(out, "&upload-id-marker=");
		buf_put_uri(out, page->id_marker, NULL);
	}
}

uint64_t
s3_upload_size(const struct cloud_op *op)
{
	uint64_t size = 0;

	for (size_t i = 0; i < op->parts.len; i++)
		size += op->parts.items[i].length;
	return size;
}

static void
s3_put_crc32c_element(struct buf *out, uint32_t crc)
{
	const unsigned char sum[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16),
	    (unsigned char)(crc >> 8), (unsigned char)crc};

	buf_puts(out, "<ChecksumCRC32C>");
	buf_put_base64(out, sum, sizeof sum);
	buf_puts(out, "</ChecksumCRC32C>");
}

void
s3_put_parts(struct buf *out, const struct cloud_op *op, bool checked)
{
	buf_puts(
	    out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < op->parts.len; i++) {
		const struct upload_part *part = &op->parts.items[i];

		buf_printf(out, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag>",
		    part->number, part->tag);
		if (checked && part->has_crc32c)
			s3_put_crc32c_element(out, part->crc32c);
		buf_puts(out, "</Part>");
	}
	buf_puts(out, "</CompleteMultipartUpload>");
}

enum cloud_step
s3_check_part(const struct cloud_op *op, struct err *err)
{
	if (op->part.number == 0 || op->part.number > S3_PARTS_MAX)
		return object_refuse(err, -E2BIG, op->path, "an upload has at most 10,000 parts");
	if (op->length > S3_PART_MAX)
		return object_refuse(err, -EFBIG, op->path, "a part has at most 5 GiB");
	if (op->kind == CLOUD_COPY_PART && op->length == 0)
		return object_refuse(err, -EINVAL, op->path, "no part of nothing can be copied");
	return CLOUD_STEP_SEND;
}

/* Answers */

enum cloud_step
s3_begin_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	struct s3_result result;

	if (s3_xml_result(
		&result, "InitiateMultipartUploadResult", res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (result.upload[0] == '\0')
		return object_refuse(
		    err, -EPROTO, op->path, "the service does not name the upload");
	xstrset(&op->upload, result.upload);
	return CLOUD_STEP_DONE;
}

enum cloud_step
s3_status_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct err why = ERR_INIT;
	struct s3_page page;

	if (s3_xml_parts(&page, &op->parts, res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	return page.truncated ? CLOUD_STEP_NEXT : CLOUD_STEP_DONE;
}

enum cloud_step
s3_find_response(struct cloud_op *op, unsigned *pages, const char *key, bool encoded,
    const struct http_response *res, struct err *err)
{
	CLEANUP(buf_free) struct buf markers = BUF_INIT(3 * (S3_KEY_MAX + S3_UPLOAD_MAX) + 64);
	struct err why = ERR_INIT;
	struct s3_uploads page;
	size_t len;
	bool more;

	if (s3_xml_uploads(&page, key, encoded, res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	len = MIN(page.len, CLOUD_UPLOADS_MAX - op->uploads_len);
	op->uploads = xrealloc(op->uploads, MAX(op->uploads_len + len, 1), sizeof *op->uploads);
	for (size_t i = 0; i < len; i++)
		op->uploads[op->uploads_len++] = TAKE(page.ids[i]);
	s3_uploads_fini(&page);
	more = page.truncated && op->uploads_len < CLOUD_UPLOADS_MAX;
	s3_put_markers(&markers, &page);
	if (more && strcmp(buf_str(&markers), op->page != NULL ? op->page : "") == 0) {
		err_set(&why, -EPROTO, "the list goes round in circles");
		return object_bad_answer(op, &why, err);
	}
	xstrset(&op->page, buf_str(&markers));
	/* A prefix that many uploads share: what is beyond is left to the bucket's own rules. */
	return more && ++*pages < S3_FIND_PAGES ? CLOUD_STEP_NEXT : CLOUD_STEP_DONE;
}
