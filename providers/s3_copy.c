#include "providers/s3_answer.h"
#include "providers/s3_private.h"
#include <string.h>

bool
s3_put_copy(struct cloud_op *op, struct http_request *req)
{
	const struct s3_account *s3 = s3_account(op);

	req->method = "PUT";
	req->body = HTTP_BODY_BYTES;
	/* Without a word of ours the service keeps what the source says of itself. */
	if (object_has_attributes(&op->put)) {
		http_request_header(req, "x-amz-metadata-directive", "REPLACE");
		s3_put_attributes(req, op);
	}
	s3_put_guard(req, op);
	s3_put_new_object(req, s3);
	s3_put_customer_key(req, s3);
	return s3_put_source(req, op);
}

/* Etags are no hashes of the content where a key of somebody's is at work. */
static bool
s3_etags_are_hashes(const struct cloud_op *op)
{
	const struct s3_account *to = op->account->data, *from = op->from->data;

	return to->encryption < S3_ENCRYPT_KMS && from->encryption < S3_ENCRYPT_KMS;
}

int
s3_copy_compare(struct cloud_op *op, const char *etag, struct err *err)
{
	struct s3_op *s3 = op->data;

	if (op->version == NULL || (s3_account(op)->kind->has & S3_PINS_SOURCE))
		return 0;
	if (strcmp(etag, op->version) == 0)
		s3->proven = true;
	else if (s3_is_md5(etag) && s3_is_md5(op->version) && s3_etags_are_hashes(op))
		return err_set(err, -ESTALE,
		    "'%s' changed while it was copied: another version was copied", op->path2);
	return 0;
}

enum cloud_step
s3_copy_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct s3_op *s3 = op->data;
	struct err why = ERR_INIT;
	struct s3_result result;

	if (s3_xml_result(&result, "CopyObjectResult", res->body.data, res->body.len, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (s3_copy_compare(op, result.etag, err) != 0)
		return CLOUD_STEP_FAIL;
	s3_take_written(
	    op, res, result.etag, result.crc32c, op->length == UINT64_MAX ? 0 : op->length);
	s3->look =
	    result.etag[0] == '\0' || op->length == UINT64_MAX || !object_has_attributes(&op->put);
	return s3_stage_acted(op);
}
