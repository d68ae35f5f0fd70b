/*
 * Writing: resumable sessions ("Upload file data"), of PUT with all of the content at once, of
 * uploads part by part.
 *
 * How sessions speak, resumable.h tells.  One makes the file, or gives an existing one new content.
 *
 * What a session has written has the name of the upload among the file's appProperties: so a COMMIT
 * whose answer was lost is found to have happened.  All writes replace or remove it.
 */
#include "providers/content_type.h"
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PUT_BEGIN, PUT_SEND };
enum { COMMIT_LOOK, COMMIT_SEND, COMMIT_RESTORE };

#define IDS_REFUSED_MAX 3

/* An upload's id: "1 SIZE PART TOKEN FILE MODE URL". */
struct upload {
	struct resumable session;
	char file[GDRIVE_ID_MAX];
	bool is_new; /* it makes the file, which was not there when it was begun */
};

static bool
upload_parse(struct upload *out, const struct cloud_op *op)
{
	const struct gdrive_account *drive = op->account->data;
	struct resumable *session = &out->session;
	CLEANUP(cleanup_free)
	char *base = xasprintf("%s%s/", drive->endpoint.scheme, drive->endpoint.host);
	const char *at = op->upload;
	char mode[4];

	if (at == NULL || strncmp(at, "1 ", 2) != 0)
		return false;
	at += 2;
	if (!resumable_number(&session->size, &at) || !resumable_number(&session->part, &at) ||
	    !resumable_word(session->token, sizeof session->token, &at) ||
	    !resumable_word(out->file, sizeof out->file, &at) ||
	    !resumable_word(mode, sizeof mode, &at) ||
	    !resumable_word(session->url, sizeof session->url, &at))
		return false;
	session->ca = drive->oauth.ca;
	out->is_new = strcmp(mode, "new") == 0;
	return *at == '\0' && gdrive_is_id(out->file) &&
	    strncmp(session->url, base, strlen(base)) == 0;
}

/* Sessions: requests */

static const char *
content_type(const struct cloud_op *op)
{
	const char *given = op->put.content_type;

	/* Of its own types Google Drive would make documents. */
	if (given != NULL && object_is_header_value(given) &&
	    strncmp(given, GDRIVE_APPS, strlen(GDRIVE_APPS)) != 0)
		return given;
	return content_type_guess(op->path);
}

static void
ask_begin(struct cloud_op *op, struct http_request *req)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	struct gdrive_op *gdrive = op->data;
	json_t *file;

	resumable_name(gdrive->token, op);
	file = json_pack("{s:s, s:{s:s}}", "mimeType", content_type(op), "appProperties",
	    GDRIVE_UPLOAD, gdrive->token);
	if (op->put.mtime_ns != ENTRY_NO_TIME)
		json_object_set_new(file, "modifiedTime", gdrive_time(op->put.mtime_ns));
	if (walk->has) {
		snprintf(gdrive->id, sizeof gdrive->id, "%s", walk->node.id);
		gdrive_ask(
		    req, op->account->data, "PATCH", "/upload/drive/v3/files/%s", gdrive->id);
	} else {
		json_object_set_new(file, "id", json_string(gdrive->id));
		json_object_set_new(file, "name", json_string(gdrive_walk_name(op, walk)));
		json_object_set_new(file, "parents", json_pack("[s]", walk->dir));
		gdrive_ask(req, op->account->data, "POST", "/upload/drive/v3/files");
	}
	gdrive_param_file(req);
	gdrive_param(req, "uploadType", "resumable");
	gdrive_body(req, file);
	http_request_header(req, "X-Upload-Content-Length", "%" PRIu64, op->length);
	http_request_header(req, "X-Upload-Content-Type", "%s", content_type(op));
}

/* PUT, BEGIN: what will be written, and where. */
static enum cloud_step
put_begin(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);

	if (op->length > GDRIVE_FILE_MAX)
		return object_refuse(err, -EFBIG, op->path, "is larger than the 5 TiB of one file");
	if (walk->has && walk->node.is_directory)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (walk->has && op->put.no_replace)
		return object_refuse(err, -EEXIST, op->path, "exists already");
	if (walk->has && walk->node.export != NULL)
		return gdrive_refuse_document(op->path, err);
	if (walk->has || gdrive_has_id(op, walk, req))
		ask_begin(op, req);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_put(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_account *drive = op->account->data;
	const struct gdrive_op *gdrive = op->data;

	if (gdrive->step == PUT_BEGIN)
		return put_begin(op, req, err);
	resumable_ask(req, gdrive->url, drive->oauth.ca, 0, op->length, op->length);
	if (op->length == 0) { /* a range of nothing cannot be written down */
		http_headers_free(&req->headers);
		return CLOUD_STEP_SEND;
	}
	req->body = HTTP_BODY_STREAM;
	req->length = op->length;
	return CLOUD_STEP_SEND;
}

/* COMMIT */

/* Where the file would be now: is it still that which was to be written? */
static enum cloud_step
commit_check_place(struct cloud_op *op, const struct upload *up, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	bool ours = walk->has && strcmp(walk->node.id, up->file) == 0;

	if (ours && strcmp(walk->node.upload, up->session.token) == 0)
		return CLOUD_STEP_DONE; /* it has happened before */
	if (walk->has && walk->node.is_directory)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (walk->has && op->put.no_replace)
		return object_refuse(err, -EEXIST, op->path, "exists already");
	if (walk->has && !ours)
		return object_refuse(err, -ENOENT, op->path,
		    "another file has come there since the upload was begun");
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_commit(struct cloud_op *op, struct http_request *req, const struct upload *up, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	const struct resumable *session = &up->session;
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step = commit_check_place(op, up, err);

	if (gdrive->step == COMMIT_RESTORE) {
		gdrive_ask(req, drive, "PATCH", "/drive/v3/files/%s", up->file);
		gdrive_param_file(req);
		if (gdrive->strayed[0] != '\0') {
			gdrive_param(req, "addParents", gdrive_walk(op)->dir);
			gdrive_param(req, "removeParents", gdrive->strayed);
		}
		gdrive_body(req, json_pack("{s:b}", "trashed", 0));
		return CLOUD_STEP_SEND;
	}
	if (step != CLOUD_STEP_SEND)
		return step;
	if (!resumable_is_whole(op, session))
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	/* The file that was to be overwritten is not there any more: where is it? */
	if (gdrive->step == COMMIT_LOOK && !up->is_new && !gdrive_walk(op)->has) {
		gdrive_ask(req, drive, "GET", "/drive/v3/files/%s", up->file);
		gdrive_param_file(req);
		return CLOUD_STEP_SEND;
	}
	gdrive->step = COMMIT_SEND;
	gdrive->queries = !resumable_has_end(&drive->sessions, session);
	if (gdrive->queries)
		resumable_ask(req, session->url, session->ca, 0, 0, session->size);
	else
		resumable_put_end(req, session, &drive->sessions);
	return CLOUD_STEP_SEND;
}

enum cloud_step
gdrive_upload_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	struct http_request *req = &request->http;
	struct gdrive_op *gdrive = op->data;
	struct upload up;

	if (op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_BEGIN)
		return put_put(op, req, err);
	if (!upload_parse(&up, op))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_PART:
		return resumable_put_part(
		    op, request, &up.session, &drive->sessions, &gdrive->step, err);
	case CLOUD_UPLOAD_COMMIT: return put_commit(op, req, &up, err);
	case CLOUD_UPLOAD_ABORT:
		resumable_session_drop(&drive->sessions, up.session.token);
		resumable_ask_abort(req, &up.session);
		return CLOUD_STEP_SEND;
	default:
		resumable_ask(req, up.session.url, up.session.ca, 0, 0, up.session.size);
		return CLOUD_STEP_SEND;
	}
}

/* Answers */

/* What a session says; -ENOENT: it is not known any more. */
static int
session_read(uint64_t *there, bool *made, const struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	int code = resumable_read(there, made, op, res, err);

	return code > 0 ? gdrive_check(op, res, err) : code;
}

/* The id is in use: it was made, and the answer lost; or it is somewhere else by now. */
static enum cloud_step
begin_again(struct cloud_op *op, struct err *err)
{
	struct gdrive_walk *walk = gdrive_walk(op);
	struct gdrive_op *gdrive = op->data;

	if (++gdrive->ids_refused > 1)
		gdrive_new_drop(walk->dir, gdrive_walk_name(op, walk));
	if (gdrive->ids_refused >= IDS_REFUSED_MAX)
		return provider_failed(err);
	gdrive_walk_again(walk);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
begin_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *url = resumable_location(res);
	struct gdrive_op *gdrive = op->data;
	struct upload up;
	int code = gdrive_check(op, res, err);

	if (code == -EEXIST)
		return begin_again(op, err);
	if (code == -ENOENT && gdrive_look_again(op))
		return CLOUD_STEP_NEXT;
	if (code != 0)
		return provider_failed(err);
	if (url == NULL) {
		err_set(err, -EPROTO, "'%s': the upload was begun, but not where", op->path);
		return provider_failed(err);
	}
	snprintf(gdrive->url, sizeof gdrive->url, "%s", url);
	if (op->kind == CLOUD_PUT)
		return gdrive_next(op, PUT_SEND);
	free(op->upload);
	op->upload = xasprintf("1 %" PRIu64 " %" PRIu64 " %s %s %s %s", op->length,
	    op->part.length > 0 ? op->part.length : op->length, gdrive->token, gdrive->id,
	    gdrive_walk(op)->has ? "old" : "new", url);
	if (upload_parse(&up, op))
		return CLOUD_STEP_DONE;
	free(TAKE(op->upload));
	err_set(err, -EPROTO, "'%s': the upload's session is at another place than the account",
	    op->path);
	return CLOUD_STEP_FAIL;
}

/* The file that was written.  A token of its own: it is what we wrote. */
static enum cloud_step
written_response(struct cloud_op *op, const struct http_response *res, const char *id,
    const char *token, struct gdrive_node *node, struct err *err)
{
	const struct gdrive_account *drive = op->account->data;
	json_t *file = NULL;

	if (gdrive_answer_file(node, &file, op, res, err) != 0)
		return provider_failed(err);
	gdrive_entry_read(&op->entry, op->path, file, node);
	json_decref(file);
	if (strcmp(node->id, id) != 0 || strcmp(node->upload, token) != 0)
		return object_refuse(err, -ENOENT, op->path,
		    "was written by somebody else since the upload was finished");
	gdrive_place_put((struct gdrive_account *)drive, op->path, strlen(op->path), node->id,
	    false, op->now_ms);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
put_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;
	uint64_t there;
	bool made;

	if (gdrive->step == PUT_BEGIN)
		return begin_response(op, res, err);
	if (session_read(&there, &made, op, res, err) != 0)
		return err->code == -ENOENT ? CLOUD_STEP_FAIL : provider_failed(err);
	if (made)
		return written_response(op, res, gdrive->id, gdrive->token, &node, err);
	err_set(err, -EIO, "'%s': Google Drive has only %" PRIu64 " of its bytes", op->path, there);
	return provider_failed(err);
}

/* Of PART and STATUS.  An answer that describes no file is another's. */
static enum cloud_step
finished_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_node node;

	if (gdrive_answer_file(&node, NULL, op, res, err) != 0)
		return provider_failed(err);
	return object_refuse(err, -ENOENT, op->path, "the upload is finished");
}

static enum cloud_step
part_response(
    struct cloud_op *op, const struct upload *up, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;
	uint64_t there;
	bool made;

	if (session_read(&there, &made, op, res, err) != 0)
		return provider_failed(err);
	if (made)
		return finished_response(op, res, err);
	return resumable_part_response(
	    op, &up->session, &drive->sessions, &gdrive->step, there, err);
}

static enum cloud_step
status_response(
    struct cloud_op *op, const struct upload *up, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	uint64_t there;
	bool made;

	if (session_read(&there, &made, op, res, err) != 0)
		return provider_failed(err);
	if (made)
		return finished_response(op, res, err);
	resumable_take_status(op, &up->session, &drive->sessions, there);
	return CLOUD_STEP_DONE;
}

/* In the trash it may get the new content; moved elsewhere it is another file by now. */
static enum cloud_step
look_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_node node;

	if (gdrive_check(op, res, err) != 0 || gdrive_answer_file(&node, NULL, op, res, err) != 0)
		return provider_failed(err);
	if (node.trashed && strcmp(node.parent, gdrive_walk(op)->dir) == 0)
		return gdrive_next(op, COMMIT_SEND);
	return object_refuse(err, -ENOENT, op->path,
	    "the file that was to be overwritten has been moved since the upload was begun");
}

/* The directory may have been renamed, and another taken its name, since the upload was begun. */
static bool
has_strayed(const struct cloud_op *op, const struct upload *up, const struct gdrive_node *node)
{
	return up->is_new && node->parent[0] != '\0' &&
	    strcmp(node->parent, gdrive_walk(op)->dir) != 0;
}

/* What was written lies in the trash if somebody has removed the file meanwhile: it comes out. */
static enum cloud_step
commit_response(
    struct cloud_op *op, const struct upload *up, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;
	enum cloud_step step;
	uint64_t there;
	bool made;
	int code;

	if (gdrive->step == COMMIT_LOOK)
		return look_response(op, res, err);
	code = session_read(&there, &made, op, res, err);
	/* Should the trash take no new content. */
	if (code == -EACCES && !up->is_new && !gdrive_walk(op)->has)
		return object_refuse(err, -ENOENT, op->path,
		    "the file that was to be overwritten has been removed since the upload was begun");
	if (code != 0)
		return provider_failed(err);
	if (!made && gdrive->queries)
		return object_refuse(
		    err, -EINVAL, op->path, "the end of the last part is not here any more");
	if (!made) { /* it has less than it had */
		resumable_session_drop(&drive->sessions, up->session.token);
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	}
	step = written_response(op, res, up->file, up->session.token, &node, err);
	if (step != CLOUD_STEP_DONE)
		return step;
	if (has_strayed(op, up, &node))
		snprintf(gdrive->strayed, sizeof gdrive->strayed, "%s", node.parent);
	if ((node.trashed || gdrive->strayed[0] != '\0') && gdrive->step == COMMIT_SEND)
		return gdrive_next(op, COMMIT_RESTORE);
	if (has_strayed(op, up, &node))
		return object_refuse(err, -EIO, op->path,
		    "was written, but not to the directory that is there by now");
	resumable_session_drop(&drive->sessions, up->session.token);
	return CLOUD_STEP_DONE;
}

enum cloud_step
gdrive_upload_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct upload up;

	if (op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_BEGIN)
		return put_response(op, res, err);
	if (!upload_parse(&up, op))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_PART: return part_response(op, &up, res, err);
	case CLOUD_UPLOAD_STATUS: return status_response(op, &up, res, err);
	case CLOUD_UPLOAD_COMMIT: return commit_response(op, &up, res, err);
	default: break;
	}
	/* 499 is how a session is cancelled. */
	if (res->status == 499 || gdrive_check(op, res, err) == 0)
		return CLOUD_STEP_DONE;
	return provider_failed(err);
}
