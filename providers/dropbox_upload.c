/*
 * Uploads in parts: upload sessions, of the concurrent kind ("upload_session/start").
 *
 * A session takes its parts in any order, by their offset; all are whole blocks of 4 MiB but the
 * last, which closes the session and so is sent last.  Nobody can ask it what it has: the parts
 * that were answered for, which the caller notes, are what there is (CLOUD_UPLOADS_UNTOLD).  Nor
 * does it say a hash of them; of the file that COMMIT makes it says the hash, which is made of the
 * hashes of its blocks: so parts are blocks, and their SHA-256 is their tag, as long as they are
 * not too many.
 *
 * A session is not to be found nor aborted, and gone after 7 days: -ENOENT.  Whether a COMMIT (see
 * dropbox_write.c) whose answer was lost has happened, the file says.
 *
 * The upload's id is the size of the whole, which a part must know, and the session's id.
 */
#include "providers/dropbox_private.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_MAX                                                                                \
	1024 /* of a session's id: none is known to be longer than some hundred bytes              \
	      */

const char *
dropbox_session(const char *upload, uint64_t *size)
{
	const char *at = upload;

	return at != NULL && object_number(size, &at) && *at == ' ' && at[1] != '\0' ? at + 1
										     : NULL;
}

json_t *
dropbox_cursor_arg(const char *session, uint64_t offset)
{
	return json_pack(
	    "{s:{s:s, s:I}}", "cursor", "session_id", session, "offset", (json_int_t)offset);
}

/* COMMIT would find a name of another case when all has been sent.  One look more, or two at a new
   file, is little beside that. */
static enum cloud_step
put_begin(const struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	if (op->length > DROPBOX_FILE_MAX)
		return object_refuse(
		    err, -EFBIG, op->path, "is larger than Dropbox's files can be");
	if (dropbox->step == DROPBOX_ASK) {
		dropbox_ask_place(op, req);
		return CLOUD_STEP_SEND;
	}
	dropbox_content(req, op->account->data, "files/upload_session/start",
	    json_pack("{s:s}", "session_type", "concurrent"));
	return CLOUD_STEP_SEND;
}

static bool
is_last(const struct cloud_op *op, uint64_t size)
{
	return op->offset + op->length == size;
}

static enum cloud_step
put_part(const struct cloud_op *op, struct http_request *req, const char *session, uint64_t size,
    struct err *err)
{
	json_t *arg;

	if (op->length == 0 || op->length > DROPBOX_PUT_MAX || op->offset + op->length > size ||
	    op->offset % DROPBOX_BLOCK != 0 ||
	    (!is_last(op, size) && op->length % DROPBOX_BLOCK != 0))
		return object_refuse(err, -EINVAL, op->path,
		    "a part consists of whole blocks of 4 MiB, at most 148 MiB");
	arg = dropbox_cursor_arg(session, op->offset);
	json_object_set_new(arg, "close", json_boolean(is_last(op, size)));
	dropbox_content(req, op->account->data, "files/upload_session/append_v2", arg);
	req->body = HTTP_BODY_STREAM;
	req->length = op->length;
	return CLOUD_STEP_SEND;
}

enum cloud_step
dropbox_upload_request(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const char *session;
	uint64_t size = 0;

	if (dropbox_is_pull(op))
		return dropbox_pull_request(op, req, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_BEGIN: return put_begin(op, req, err);
	case CLOUD_UPLOAD_ABORT: /* neither is there, nor is needed */
	case CLOUD_UPLOAD_FIND: return CLOUD_STEP_DONE;
	default: break;
	}
	session = dropbox_session(op->upload, &size);
	if (session == NULL)
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	if (op->kind == CLOUD_UPLOAD_COMMIT)
		return dropbox_write_request(op, req, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_STATUS: /* nothing, at the beginning: alters nothing, and tells whether it
				     is there */
		dropbox_content(req, op->account->data, "files/upload_session/append_v2",
		    dropbox_cursor_arg(session, 0));
		return CLOUD_STEP_SEND;
	default: return put_part(op, req, session, size, err);
	}
}

static enum cloud_step
begin_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	const char *session;
	json_t *answer;

	if (dropbox->step == DROPBOX_ASK)
		return dropbox_place_response(op, result, err);
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	session = dropbox_text(answer, "session_id");
	free(op->upload);
	op->upload = *session == '\0' || strlen(session) > SESSION_MAX
	    ? NULL
	    : xasprintf("%" PRIu64 " %s", op->length, session);
	json_decref(answer);
	return op->upload != NULL
	    ? CLOUD_STEP_DONE
	    : object_refuse(err, -EPROTO, op->path, "the service does not name its session");
}

/* In a part's answer: where the session goes on; UINT64_MAX: that is not what it says. */
static uint64_t
correct_offset(const struct dropbox_result *result)
{
	json_t *answer = json_loadb(buf_str(&result->res->body), result->res->body.len, 0, NULL);
	const json_t *error = json_object_get(answer, "error");
	const json_t *offset = json_object_get(error, "correct_offset");
	uint64_t at = UINT64_MAX;

	if (dropbox_error_is(&result->error, "incorrect_offset") &&
	    json_integer_value(offset) >= 0 && json_is_integer(offset))
		at = (uint64_t)json_integer_value(offset);
	json_decref(answer);
	return at;
}

/* What was sent before, and whose answer or note was lost, is there: the session is further than
   this part, or closed by the last one, which is sent when all others are there.  Should that be
   wrong, the whole's hash tells. */
static bool
part_is_there(const struct cloud_op *op, const struct dropbox_result *result)
{
	uint64_t at = correct_offset(result);

	if (dropbox_error_is(&result->error, "closed"))
		return true;
	return at != UINT64_MAX && at >= op->offset + op->length;
}

static enum cloud_step
part_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	if (result->code != 0 && !part_is_there(op, result))
		return dropbox_failed(result, err);
	op->part.length = op->length;
	op->part.has_crc32c = false;
	op->part.tag[0] = '\0'; /* the caller knows what it sent */
	op->entry.digests.have = 0;
	return CLOUD_STEP_DONE;
}

/* Any other refusal comes from a session that is there. */
static enum cloud_step
status_response(const struct dropbox_result *result, struct err *err)
{
	bool told = result->code == 0 ||
	    (result->res->status == 409 && result->code != -ENOENT && result->code != -EAGAIN);

	return told ? CLOUD_STEP_DONE : dropbox_failed(result, err);
}

enum cloud_step
dropbox_upload_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	if (dropbox_is_pull(op))
		return dropbox_pull_response(op, result, err);
	switch (op->kind) {
	case CLOUD_UPLOAD_COMMIT: return dropbox_write_response(op, result, err);
	case CLOUD_UPLOAD_BEGIN: return begin_response(op, result, err);
	case CLOUD_UPLOAD_STATUS: return status_response(result, err);
	default: return part_response(op, result, err);
	}
}
