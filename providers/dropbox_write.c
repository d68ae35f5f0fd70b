/*
 * What is made anew: files, when their content is there as a whole (PUT: "upload"; COMMIT:
 * "upload_session/finish"), and folders (MKDIR: "create_folder_v2").
 *
 * Nothing takes the place of what is there before that is known by its name (dropbox_names.c).  A
 * file is added; only if there is one already it is looked at, and then its revision is updated.
 * So a new file, as most are, costs one request, and another that is replaced costs three.  The
 * content is not sent again for that: what was refused is in a session, says the refusal
 * ("UploadWriteFailed"), and that is finished.  While many are written, the content goes into a
 * session to begin with (dropbox_batch.c).
 *
 * A file that came to lie in a folder of another name than was asked for is removed again, by its
 * revision.  A folder could not be: its removal would take along what somebody has put there since.
 * So the folder above it is looked at before; what is renamed in between leaves it there, empty.
 */
#include "providers/dropbox_private.h"
#include "providers/providers.h"
#include <stdlib.h>
#include <string.h>

#define DROPBOX_TIMES 3 /* that what is there may change while it is looked at */

/* The session that has the content, and how much that is. */
static const char *
session_of(const struct cloud_op *op, uint64_t *size)
{
	const struct dropbox_op *dropbox = op->data;

	*size = op->length;
	return op->kind == CLOUD_PUT ? dropbox->cursor : dropbox_session(op->upload, size);
}

/* Requests */

static void
ask_metadata(const struct cloud_op *op, struct http_request *req)
{
	const struct dropbox_account *dropbox = op->account->data;

	dropbox_rpc(req, dropbox, "files/get_metadata", dropbox_path_arg(dropbox, op->path));
}

/* The file, or its content only. */
static enum cloud_step
ask_content(struct cloud_op *op, struct http_request *req, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	json_t *arg;

	if (op->length > DROPBOX_PUT_MAX)
		return object_refuse(
		    err, -EFBIG, op->path, "is larger than the 150 MiB of one upload");
	dropbox->step = dropbox_is_crowded(op) ? DROPBOX_SESSION : DROPBOX_ASK;
	arg = dropbox->step == DROPBOX_SESSION ? json_pack("{s:b}", "close", true)
					       : dropbox_commit_arg(op, NULL);
	dropbox_add_hash(arg, &op->put.digests);
	dropbox_content(req, op->account->data,
	    dropbox->step == DROPBOX_SESSION ? "files/upload_session/start" : "files/upload", arg);
	req->body = op->length == 0 ? HTTP_BODY_BYTES : HTTP_BODY_STREAM;
	req->length = op->length;
	return CLOUD_STEP_SEND;
}

json_t *
dropbox_finish_arg(const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;
	const char *session;
	uint64_t size;
	json_t *arg;

	session = session_of(op, &size);
	arg = dropbox_cursor_arg(session, size);
	json_object_set_new(arg, "commit", dropbox_commit_arg(op, dropbox->target.rev));
	return arg;
}

static void
ask_finish(const struct cloud_op *op, struct http_request *req)
{
	dropbox_content(
	    req, op->account->data, "files/upload_session/finish", dropbox_finish_arg(op));
}

static void
ask_folder(const struct cloud_op *op, struct http_request *req)
{
	const struct dropbox_account *dropbox = op->account->data;
	json_t *arg = dropbox_path_arg(dropbox, op->path);

	json_object_set_new(arg, "autorename", json_false());
	dropbox_rpc(req, dropbox, "files/create_folder_v2", arg);
}

static void
ask_undo(const struct cloud_op *op, struct http_request *req)
{
	const struct dropbox_account *dropbox = op->account->data;
	json_t *arg = dropbox_path_arg(dropbox, op->path);

	json_object_set_new(arg, "parent_rev", json_string(op->entry.version));
	dropbox_rpc(req, dropbox, "files/delete_v2", arg);
}

enum cloud_step
dropbox_write_request(struct cloud_op *op, struct http_request *req, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (op->kind == CLOUD_MKDIR && dropbox->step == DROPBOX_ASK) {
		if (dropbox_ask_place(op, req))
			return CLOUD_STEP_SEND;
		dropbox->step = DROPBOX_ACT;
	}
	switch (dropbox->step) {
	case DROPBOX_TARGET:
	case DROPBOX_PROVE: ask_metadata(op, req); break;
	case DROPBOX_ABOVE: dropbox_ask_above(op, req, op->path); break;
	case DROPBOX_UNDO: ask_undo(op, req); break;
	default:
		if (op->kind == CLOUD_MKDIR)
			ask_folder(op, req);
		else if (op->kind == CLOUD_PUT &&
		    (dropbox->step == DROPBOX_ASK || dropbox->step == DROPBOX_SESSION))
			return ask_content(op, req, err);
		else
			ask_finish(op, req);
	}
	return CLOUD_STEP_SEND;
}

/* Answers */

/* It is made.  Where?  The folders above what was replaced have been looked at. */
static enum cloud_step
made(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	json_t *metadata = dropbox_metadata(op, result->res, err);
	bool elsewhere = false;
	int code = metadata == NULL ? -EPROTO : 0;

	if (code == 0 && op->kind != CLOUD_MKDIR)
		code = dropbox_take(op, metadata, err);
	if (code == 0 && dropbox->target.rev[0] == '\0')
		elsewhere = dropbox_is_elsewhere(op, op->path, metadata);
	json_decref(metadata);
	dropbox->made = true;
	if (code != 0)
		return CLOUD_STEP_FAIL;
	return elsewhere ? dropbox_next(op, DROPBOX_ABOVE) : CLOUD_STEP_DONE;
}

/* The session that has the content, by that name in the answer, or in its member `error`.  False:
   it names none. */
static bool
take_session(struct cloud_op *op, const struct http_response *res, const char *name)
{
	json_t *answer = json_loadb(buf_str(&res->body), res->body.len, 0, NULL);
	const json_t *error = json_object_get(answer, "error");
	const char *session = dropbox_text(error == NULL ? answer : error, name);
	struct dropbox_op *dropbox = op->data;

	if (strlen(session) < sizeof dropbox->cursor)
		snprintf(dropbox->cursor, sizeof dropbox->cursor, "%s", session);
	json_decref(answer);
	return dropbox->cursor[0] != '\0';
}

static enum cloud_step
session_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (result->code != 0)
		return dropbox_failed(result, err);
	if (!take_session(op, result->res, "session_id"))
		return object_refuse(
		    err, -EPROTO, op->path, "the service does not name its session");
	dropbox->closed = true;
	return dropbox_next(op, DROPBOX_ACT);
}

/* Something is there already: what? */
static enum cloud_step
conflict(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (op->kind == CLOUD_PUT && dropbox->step == DROPBOX_ASK &&
	    !take_session(op, result->res, "upload_session_id"))
		return object_refuse(err, -EPROTO, op->path,
		    "the service refuses to replace it, and does not say how to go on");
	if (++dropbox->times > DROPBOX_TIMES)
		return object_refuse(err, -EBUSY, op->path, "changes all the time");
	return dropbox_next(op, DROPBOX_TARGET);
}

static bool
is_session_gone(const struct dropbox_result *result)
{
	return dropbox_error_is(&result->error, "lookup_failed/not_found") ||
	    dropbox_error_is(&result->error, "lookup_failed/closed");
}

static enum cloud_step
act_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	bool is_folder = op->kind == CLOUD_MKDIR;

	if (result->code == 0)
		return made(op, result, err);
	if (!is_folder && is_session_gone(result))
		return dropbox_next(op, DROPBOX_PROVE);
	if (is_folder ? dropbox_error_is(&result->error, "conflict/folder")
		      : dropbox_error_is(&result->error, "conflict/file") && !op->put.no_replace)
		return conflict(op, result, err);
	/* Which folders are shared with whom nobody here knows. */
	if (dropbox_error_is(&result->error, "too_many_shared_folder_targets") && !dropbox->alone) {
		dropbox->alone = true;
		return dropbox_next(op, dropbox->step);
	}
	return dropbox_failed(result, err);
}

static enum cloud_step
judge_target(struct cloud_op *op, const json_t *metadata, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (dropbox_object(&dropbox->target, metadata, err) != 0)
		return CLOUD_STEP_FAIL;
	if (dropbox->target.is_folder != (op->kind == CLOUD_MKDIR))
		return dropbox->target.is_folder
		    ? object_refuse(err, -EISDIR, op->path, "is a directory")
		    : object_refuse(err, -EEXIST, op->path, "is a file");
	if (dropbox_check_name(op, op->path, dropbox->target.name, err) != 0)
		return CLOUD_STEP_FAIL;
	if (dropbox_is_elsewhere(op, op->path, metadata))
		return dropbox_next(op, DROPBOX_ABOVE);
	return op->kind == CLOUD_MKDIR ? CLOUD_STEP_DONE : dropbox_next(op, DROPBOX_AGAIN);
}

static enum cloud_step
target_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step;
	json_t *metadata;

	dropbox->target.rev[0] = '\0';
	if (result->code == -ENOENT) /* it has gone meanwhile */
		return dropbox_next(op, DROPBOX_AGAIN);
	if (result->code != 0)
		return dropbox_failed(result, err);
	metadata = dropbox_metadata(op, result->res, err);
	step = metadata == NULL ? CLOUD_STEP_FAIL : judge_target(op, metadata, err);
	json_decref(metadata);
	return step;
}

static enum cloud_step
above_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	struct err why = ERR_INIT;
	enum cloud_step step = dropbox_above_response(op, op->path, result, &why);

	if (step == CLOUD_STEP_DONE)
		return dropbox->made || op->kind == CLOUD_MKDIR ? CLOUD_STEP_DONE
								: dropbox_next(op, DROPBOX_AGAIN);
	if (step == CLOUD_STEP_FAIL && dropbox->made && op->kind != CLOUD_MKDIR) {
		dropbox->err = why;
		return dropbox_next(op, DROPBOX_UNDO);
	}
	if (step != CLOUD_STEP_NEXT && err != NULL)
		*err = why;
	return step;
}

static enum cloud_step
undo_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	enum cloud_step step = result->code == 0 ? CLOUD_STEP_FAIL : dropbox_failed(result, err);

	if (step == CLOUD_STEP_FAIL && err != NULL)
		*err = dropbox->err;
	return step;
}

/* The session is gone.  Is it because the file is made?  Of equal content, or, where that is not
   known, of equal size and time. */
static enum cloud_step
prove_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct digests *known = &op->put.digests, *there = &op->entry.digests;
	int64_t wanted = dropbox_seconds(op->put.mtime_ns);
	enum cloud_step step;
	uint64_t size;
	bool same;

	if (result->code != 0 && result->code != -ENOENT)
		return dropbox_failed(result, err);
	step = result->code != 0 ? CLOUD_STEP_FAIL : dropbox_done(op, result, err);
	session_of(op, &size);
	if (known->have & there->have & HASH_BIT(HASH_DROPBOX))
		same = digests_equal(known, there, HASH_DROPBOX);
	else
		same = wanted >= 0 && wanted == dropbox_seconds(op->entry.mtime_ns);
	if (step == CLOUD_STEP_DONE && op->entry.kind == ENTRY_FILE && op->entry.size == size &&
	    same)
		return CLOUD_STEP_DONE;
	return op->kind == CLOUD_PUT
	    ? object_refuse(err, -ECONNRESET, op->path, "what was sent of it is not there any more")
	    : object_refuse(err, -ENOENT, op->path, "nothing of the upload is there any more");
}

enum cloud_step
dropbox_write_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	if (op->kind == CLOUD_MKDIR && dropbox->step == DROPBOX_ASK)
		return dropbox_place_response(op, result, err);
	switch (dropbox->step) {
	case DROPBOX_SESSION: return session_response(op, result, err);
	case DROPBOX_TARGET: return target_response(op, result, err);
	case DROPBOX_ABOVE: return above_response(op, result, err);
	case DROPBOX_UNDO: return undo_response(op, result, err);
	case DROPBOX_PROVE: return prove_response(op, result, err);
	default: return act_response(op, result, err);
	}
}
