/*
 * Uploads in parts: "XML API multipart uploads".  Servers with another address than Google's may
 * not have them: that is found out by the first upload of an account, whose uploads are sessions
 * then (gcs_session.c).
 *
 * They speak as S3's do (s3_multipart.h), with
 * three differences.  Their end cannot be told not to replace anything ("Preconditions are not
 * supported"): it is looked first.  Its answer does not say what was made: it is looked after.  And
 * each part is answered with its CRC32C, from which follows that of the whole: by that an object is
 * known to be the one that the parts make, also when the answer that said so was lost.
 */
#include "providers/gcs_answer.h"
#include "providers/gcs_private.h"
#include "providers/providers.h"
#include <string.h>

/* Requests */

enum gcs_step
gcs_commit_step(const struct cloud_op *op)
{
	const struct gcs_op *gcs = op->data;

	return gcs->step == COMMIT_CHECK && !op->put.no_replace ? COMMIT_ACT : gcs->step;
}

static void
put_commit(const struct cloud_op *op, struct gcs_ask *ask)
{
	switch (gcs_commit_step(op)) {
	case COMMIT_CHECK:
	case COMMIT_LOOK: gcs_ask_look(ask); return;
	case COMMIT_ASK:
		gcs_ask_xml(ask, "GET", ask->place.key, "");
		gcs_query_add(ask, "max-parts", "1");
		gcs_query_add(ask, "uploadId", op->upload);
		return;
	case COMMIT_ACT: break;
	}
	gcs_ask_xml(ask, "POST", ask->place.key, "");
	s3_put_upload_query(op, &ask->query);
	ask->req->body = HTTP_BODY_BYTES;
	http_request_header(ask->req, "Content-Type", "application/xml");
	s3_put_parts(&ask->req->bytes, op, false);
}

static enum cloud_step
put_part(const struct cloud_op *op, struct gcs_ask *ask, struct err *err)
{
	enum cloud_step step = s3_check_part(op, err);

	if (step != CLOUD_STEP_SEND)
		return step;
	gcs_ask_xml(ask, "PUT", ask->place.key, "");
	s3_put_upload_query(op, &ask->query);
	gcs_put_body(ask->req, op);
	return CLOUD_STEP_SEND;
}

enum cloud_step
gcs_put_upload(
    struct cloud_op *op, struct cloud_request *request, struct gcs_ask *ask, struct err *err)
{
	const char *key = ask->place.key;

	if (gcs_is_session(op))
		return gcs_put_session(op, request, ask, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN:
		gcs_ask_xml(ask, "POST", key, "");
		buf_puts(&ask->query, "uploads");
		ask->req->body = HTTP_BODY_BYTES;
		gcs_put_attributes(ask->req, op);
		break;
	case CLOUD_UPLOAD_PART: return put_part(op, ask, err);
	case CLOUD_UPLOAD_COMMIT: put_commit(op, ask); break;
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_ABORT:
		gcs_ask_xml(ask, op->kind == CLOUD_UPLOAD_STATUS ? "GET" : "DELETE", key, "");
		s3_put_upload_query(op, &ask->query);
		break;
	case CLOUD_UPLOAD_FIND:
		gcs_ask_xml(ask, "GET", "", "");
		s3_put_find_query(&ask->query, op, key);
		break;
	default: /* COPY takes any size */
		return object_refuse(err, -EOPNOTSUPP, op->path, "the service copies no parts");
	}
	return CLOUD_STEP_SEND;
}

/* Answers */

static enum cloud_step
failed(const struct err *why, struct err *err)
{
	*err = *why;
	return provider_failed(why);
}

static enum cloud_step
part_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *etag = http_header_get(&res->headers, "ETag");
	struct digests *digests = &op->entry.digests;
	struct upload_part *part = &op->part;
	struct err why = ERR_INIT;

	if (s3_take_tag(part->tag, etag == NULL ? "" : etag, &why) != 0)
		return object_bad_answer(op, &why, err);
	if (part->tag[0] == '\0')
		return object_refuse(
		    err, -EPROTO, op->path, "a part was written, but the service gives it no etag");
	*digests = (struct digests){.have = 0};
	gcs_take_hashes(digests, res);
	part->length = op->length;
	part->has_crc32c = digests->have & HASH_BIT(HASH_CRC32C);
	part->crc32c = part->has_crc32c ? digests_crc32c(digests) : 0;
	return CLOUD_STEP_DONE;
}

/* Is what was looked at what the parts make?  Of parts whose sums are not known only the size can
   tell: `unless_known` then. */
static bool
is_made_of_parts(const struct cloud_op *op, bool unless_known)
{
	const struct entry *entry = &op->entry;
	uint32_t crc = 0;

	if (entry->size != s3_upload_size(op))
		return false;
	for (size_t i = 0; i < op->parts.len; i++) {
		if (!op->parts.items[i].has_crc32c)
			return unless_known;
		crc = crc32c_combine(crc, op->parts.items[i].crc32c, op->parts.items[i].length);
	}
	if (!(entry->digests.have & HASH_BIT(HASH_CRC32C)))
		return unless_known;
	return digests_crc32c(&entry->digests) == crc;
}

/* Is something there that must not be replaced?  Or is it what was made by a request whose answer
   was lost? */
static enum cloud_step
commit_checked(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	if (code == -ENOENT)
		return gcs_next(op, COMMIT_ACT);
	if (code != 0)
		return failed(why, err);
	if (gcs_take_look(op, res, err) != 0)
		return CLOUD_STEP_FAIL;
	if (is_made_of_parts(op, false))
		return gcs_next(op, COMMIT_ASK);
	return object_refuse(err, -EEXIST, op->path, "exists already");
}

static enum cloud_step
commit_asked(struct cloud_op *op, int code, const struct err *why, struct err *err)
{
	if (code == -ENOENT)
		return CLOUD_STEP_DONE; /* the upload has become it */
	if (code != 0)
		return failed(why, err);
	return object_refuse(err, -EEXIST, op->path, "exists already");
}

enum cloud_step
gcs_commit_looked(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	struct gcs_op *gcs = op->data;

	if (code != 0 && code != -ENOENT) {
		if (gcs->failed == 0 || err_is_transient(code))
			return failed(why, err);
		return object_refuse(err, -EIO, op->path,
		    "whether it was written could not be found out: its upload is gone");
	}
	if (code == 0 && gcs_take_look(op, res, err) != 0)
		return CLOUD_STEP_FAIL;
	if (code == 0 && is_made_of_parts(op, gcs->failed == 0))
		return CLOUD_STEP_DONE;
	if (gcs->failed != 0)
		return object_refuse(err, gcs->failed, op->path,
		    gcs->failed == -EEXIST ? "exists already" : "the service knows no such upload");
	return object_refuse(err, -ESTALE, op->path, "was written, and is another one by now");
}

static enum cloud_step
commit_acted(struct cloud_op *op, const struct http_response *res, int code, const struct err *why,
    struct err *err)
{
	struct gcs_op *gcs = op->data;
	struct err bad = ERR_INIT;
	struct s3_result result;

	if (code == -ENOENT) {
		gcs->failed = code;
		return gcs_next(op, COMMIT_LOOK);
	}
	if (code != 0)
		return failed(why, err);
	if (s3_xml_result(
		&result, "CompleteMultipartUploadResult", res->body.data, res->body.len, &bad) != 0)
		return object_bad_answer(op, &bad, err);
	return gcs_next(op, COMMIT_LOOK);
}

static enum cloud_step
commit_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	switch (gcs_commit_step(op)) {
	case COMMIT_CHECK: return commit_checked(op, res, code, why, err);
	case COMMIT_ACT: return commit_acted(op, res, code, why, err);
	case COMMIT_LOOK: return gcs_commit_looked(op, res, code, why, err);
	case COMMIT_ASK: break;
	}
	return commit_asked(op, code, why, err);
}

static enum cloud_step
find_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gcs_op *gcs = op->data;
	struct gcs_place place;

	gcs_locate(&place, op->account->data, op->path);
	return s3_find_response(op, &gcs->pages, place.key, false, res, err);
}

/* Does a server that knows nothing of uploads in parts answer so? */
static bool
is_unknown(const struct http_response *res)
{
	struct gcs_error error;

	gcs_read_error(&error, &res->body);
	switch (res->status) {
	case 400:
	case 404:
	case 405:
	case 501: return strcmp(error.reason, "NoSuchBucket") != 0;
	default: return false;
	}
}

/* The first answer tells whether the service has uploads in parts: what is none, but of some other
   request, is that of one that has not.  So it stays for this account. */
static enum cloud_step
first_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	struct gcs_account *gcs = op->account->data;
	bool finds = op->kind == CLOUD_UPLOAD_FIND, unknown = is_unknown(res);
	enum cloud_step step;

	if (code != 0 && !unknown)
		return failed(why, err);
	step = unknown ? CLOUD_STEP_FAIL
	    : finds    ? find_response(op, res, err)
		       : s3_begin_response(op, res, err);
	if (step != CLOUD_STEP_FAIL) {
		gcs->uploads = GCS_UPLOADS_PARTS;
		return step;
	}
	gcs_take_sessions(op->account);
	err_clear(err);
	return finds ? CLOUD_STEP_DONE : CLOUD_STEP_NEXT;
}

enum cloud_step
gcs_upload_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	if (gcs_is_session(op))
		return gcs_session_response(op, res, code, why, err);
	if (op->kind == CLOUD_UPLOAD_COMMIT)
		return commit_response(op, res, code, why, err);
	if (gcs_account(op)->uploads == GCS_UPLOADS_UNKNOWN &&
	    (op->kind == CLOUD_UPLOAD_BEGIN || op->kind == CLOUD_UPLOAD_FIND))
		return first_response(op, res, code, why, err);
	if (code != 0)
		return failed(why, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN: return s3_begin_response(op, res, err);
	case CLOUD_UPLOAD_PART: return part_response(op, res, err);
	case CLOUD_UPLOAD_STATUS: return s3_status_response(op, res, err);
	case CLOUD_UPLOAD_FIND: return find_response(op, res, err);
	default: return CLOUD_STEP_DONE;
	}
}
