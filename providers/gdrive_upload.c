/*
 * Writing: resumable sessions ("Upload file data"), of PUT with all of the content at once, of
 * uploads part by part.
 *
 * A session makes the file, or gives an existing one new content, when its last byte has come, and
 * not before.  It takes its bytes in order; what it has is not replaced; whole 256 KiB of what was
 * sent count.  Whether bytes that it has may be sent again is not documented: they are not; the
 * ring's are dropped.
 *
 * COMMIT must be what makes the file.  So the end of the last part, at most 256 KiB, stays in
 * memory until then.  If that is lost COMMIT says that a part is missing, and the last part is sent
 * again, of which nothing but the end is.
 *
 * What a session has written has the name of the upload among the file's appProperties: so a COMMIT
 * whose answer was lost is found to have happened.  All writes replace or remove it.
 *
 * A session's URL is all that it takes to write to it: no token is sent along, and none expires in
 * the middle of it.  It is a part of the upload's id.
 */
#include "providers/content_type.h"
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PUT_BEGIN, PUT_SEND };
enum { PART_ASK, PART_SEND, PART_TAIL };
enum { COMMIT_LOOK, COMMIT_SEND, COMMIT_RESTORE };

#define IDS_REFUSED_MAX 3

/* An upload's id: "1 SIZE PART TOKEN FILE MODE URL". */
struct upload {
	uint64_t size, part; /* of the whole; of all parts but the last */
	char token[GDRIVE_TOKEN_MAX];
	char file[GDRIVE_ID_MAX];
	bool is_new; /* it makes the file, which was not there when it was begun */
	char url[GDRIVE_URL_MAX];
};

/* The next word of the id, and on to the one behind it. */
static bool
upload_word(char *out, size_t size, const char **at)
{
	size_t len = strcspn(*at, " ");

	if (len == 0 || len >= size)
		return false;
	memcpy(out, *at, len);
	out[len] = '\0';
	*at += len;
	*at += **at == ' ';
	return true;
}

static bool
upload_number(uint64_t *out, const char **at)
{
	char text[21];

	return upload_word(text, sizeof text, at) && (*out = object_size(text)) != UINT64_MAX &&
	    *out > 0;
}

static bool
upload_parse(struct upload *out, const struct cloud_op *op)
{
	const struct gdrive_account *drive = op->account->data;
	CLEANUP(cleanup_free)
	char *base = xasprintf("%s%s/", drive->endpoint.scheme, drive->endpoint.host);
	const char *at = op->upload;
	char mode[4];

	if (at == NULL || strncmp(at, "1 ", 2) != 0)
		return false;
	at += 2;
	if (!upload_number(&out->size, &at) || !upload_number(&out->part, &at) ||
	    !upload_word(out->token, sizeof out->token, &at) ||
	    !upload_word(out->file, sizeof out->file, &at) ||
	    !upload_word(mode, sizeof mode, &at) || !upload_word(out->url, sizeof out->url, &at))
		return false;
	out->is_new = strcmp(mode, "new") == 0;
	return *at == '\0' && gdrive_is_id(out->file) && strncmp(out->url, base, strlen(base)) == 0;
}

/* Of the last part: so many bytes that what is before them is whole chunks, and at least one. */
static uint64_t
upload_tail(const struct upload *up)
{
	return (up->size - 1) % GDRIVE_CHUNK + 1;
}

static uint64_t
upload_parts(const struct upload *up)
{
	return (up->size - 1) / up->part + 1;
}

static uint64_t
part_end(const struct upload *up, uint64_t number)
{
	return MIN(number * up->part, up->size);
}

static void
part_name(struct upload_part *part, const struct upload *up, uint64_t number)
{
	part->number = (unsigned)number;
	part->length = part_end(up, number) - (number - 1) * up->part;
	snprintf(part->tag, sizeof part->tag, "%" PRIu64, part_end(up, number));
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
	struct buf token = BUF_INIT(GDRIVE_TOKEN_MAX);
	json_t *file;

	buf_put_hex(&token, op->random, sizeof op->random);
	snprintf(gdrive->token, sizeof gdrive->token, "%s", buf_str(&token));
	buf_free(&token);
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

/* [from, to) of the whole; from == to: what is there? */
static void
ask_session(const struct cloud_op *op, struct http_request *req, const char *url, uint64_t from,
    uint64_t to, uint64_t size)
{
	const struct gdrive_account *drive = op->account->data;

	req->method = "PUT";
	req->ca_file = drive->oauth.ca;
	req->url.secret = true;
	buf_puts(&req->url, url);
	req->body = HTTP_BODY_BYTES;
	if (from == to) {
		http_request_header(req, "Content-Range", "bytes */%" PRIu64, size);
		return;
	}
	http_request_header(
	    req, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, from, to - 1, size);
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
	if (walk->has || gdrive_has_id(op, walk, req))
		ask_begin(op, req);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_put(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_op *gdrive = op->data;

	if (gdrive->step == PUT_BEGIN)
		return put_begin(op, req, err);
	ask_session(op, req, gdrive->url, 0, op->length, op->length);
	if (op->length == 0) { /* a range of nothing cannot be written down */
		http_headers_free(&req->headers);
		return CLOUD_STEP_SEND;
	}
	req->body = HTTP_BODY_STREAM;
	req->length = op->length;
	return CLOUD_STEP_SEND;
}

/* Parts */

/* What of the part is for the session, and what is kept for COMMIT. */
static uint64_t
part_body_end(const struct upload *up, const struct cloud_op *op)
{
	return op->part.number == upload_parts(up) ? up->size - upload_tail(up)
						   : part_end(up, op->part.number);
}

static enum cloud_step
put_part_bytes(struct cloud_op *op, struct cloud_request *request, const struct upload *up,
    const struct gdrive_session *session, struct err *err)
{
	uint64_t end = part_body_end(up, op), from = MIN(session->there, end);
	struct gdrive_op *gdrive = op->data;

	if (from < op->offset) {
		err_set(err, -ENOENT, "'%s': the session has not what comes before part %u",
		    op->path, op->part.number);
		return CLOUD_STEP_FAIL;
	}
	if (end == op->offset) { /* all of it is kept */
		gdrive->step = PART_TAIL;
		return CLOUD_STEP_SEND;
	}
	request->take = from - op->offset;
	ask_session(op, &request->http, up->url, from, end, up->size);
	if (from < end) {
		request->http.body = HTTP_BODY_STREAM;
		request->http.length = end - from;
	}
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_part(
    struct cloud_op *op, struct cloud_request *request, const struct upload *up, struct err *err)
{
	struct gdrive_session *session = gdrive_session_get(op->account->data, up->token, false);
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step;

	if (op->part.number == 0 || op->part.number > upload_parts(up) ||
	    op->offset != (op->part.number - 1) * up->part ||
	    op->length != part_end(up, op->part.number) - op->offset)
		return object_refuse(err, -EINVAL, op->path, "the upload has no such part");
	if (gdrive->step == PART_ASK && session != NULL)
		gdrive->step = PART_SEND;
	if (gdrive->step == PART_ASK) {
		ask_session(op, &request->http, up->url, 0, 0, up->size);
		return CLOUD_STEP_SEND;
	}
	if (gdrive->step == PART_SEND) {
		if (session == NULL)
			session = gdrive_session_get(op->account->data, up->token, true);
		step = put_part_bytes(op, request, up, session, err);
		if (step != CLOUD_STEP_SEND || gdrive->step == PART_SEND)
			return step;
	}
	request->take = upload_tail(up);
	op->taken = (struct buf)BUF_INIT(GDRIVE_CHUNK);
	ask_session(op, &request->http, up->url, 0, 0, up->size);
	return CLOUD_STEP_SEND;
}

/* COMMIT */

/* All parts, each as it was called? */
static bool
commit_is_whole(const struct cloud_op *op, const struct upload *up)
{
	if (op->parts.len != upload_parts(up))
		return false;
	for (size_t i = 0; i < op->parts.len; i++) {
		const struct upload_part *have = &op->parts.items[i];
		struct upload_part want;

		part_name(&want, up, i + 1);
		if (have->number != want.number || have->length != want.length ||
		    strcmp(have->tag, want.tag) != 0)
			return false;
	}
	return true;
}

/* Where the file would be now: is it still that which was to be written? */
static enum cloud_step
commit_check_place(struct cloud_op *op, const struct upload *up, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	bool ours = walk->has && strcmp(walk->node.id, up->file) == 0;

	if (ours && strcmp(walk->node.upload, up->token) == 0)
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
	const struct gdrive_session *session =
	    gdrive_session_get(op->account->data, up->token, false);
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step = commit_check_place(op, up, err);
	uint64_t tail = upload_tail(up);

	if (gdrive->step == COMMIT_RESTORE) {
		gdrive_ask(req, op->account->data, "PATCH", "/drive/v3/files/%s", up->file);
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
	if (!commit_is_whole(op, up))
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	/* The file that was to be overwritten is not there any more: where is it? */
	if (gdrive->step == COMMIT_LOOK && !up->is_new && !gdrive_walk(op)->has) {
		gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/%s", up->file);
		gdrive_param_file(req);
		return CLOUD_STEP_SEND;
	}
	gdrive->step = COMMIT_SEND;
	gdrive->queries = session == NULL || session->tail.len != tail;
	if (gdrive->queries) {
		ask_session(op, req, up->url, 0, 0, up->size);
		return CLOUD_STEP_SEND;
	}
	ask_session(op, req, up->url, up->size - tail, up->size, up->size);
	buf_add(&req->bytes, session->tail.data, session->tail.len);
	return CLOUD_STEP_SEND;
}

enum cloud_step
gdrive_upload_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;
	struct upload up;

	if (op->kind == CLOUD_PUT || op->kind == CLOUD_UPLOAD_BEGIN)
		return put_put(op, req, err);
	if (!upload_parse(&up, op))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_PART: return put_part(op, request, &up, err);
	case CLOUD_UPLOAD_COMMIT: return put_commit(op, req, &up, err);
	case CLOUD_UPLOAD_ABORT:
		gdrive_session_drop(op->account->data, up.token);
		ask_session(op, req, up.url, 0, 0, up.size);
		http_headers_free(&req->headers);
		req->method = "DELETE";
		return CLOUD_STEP_SEND;
	default: ask_session(op, req, up.url, 0, 0, up.size); return CLOUD_STEP_SEND;
	}
}

/* Answers */

/* What a session says: 308 and what it has, or (`made`) the file that it has written; -ENOENT: it
   is not known any more. */
static int
session_read(uint64_t *there, bool *made, const struct cloud_op *op,
    const struct http_response *res, struct err *err)
{
	const char *range = http_header_get(&res->headers, "Range");
	uint64_t last;

	*there = 0;
	*made = res->status == 200 || res->status == 201;
	if (*made)
		return 0;
	if (res->status != 308)
		return gdrive_check(op, res, err);
	if (range == NULL)
		return 0;
	if (strncmp(range, "bytes=0-", 8) != 0 || (last = object_size(range + 8)) == UINT64_MAX)
		return err_set(
		    err, -EPROTO, "'%s': the session does not say what it has", op->path);
	*there = last + 1;
	return 0;
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
	const char *url = http_header_get(&res->headers, "Location");
	struct gdrive_op *gdrive = op->data;
	struct upload up;
	int code = gdrive_check(op, res, err);

	if (code == -EEXIST)
		return begin_again(op, err);
	if (code == -ENOENT && gdrive_look_again(op))
		return CLOUD_STEP_NEXT;
	if (code != 0)
		return provider_failed(err);
	if (url == NULL || strlen(url) >= sizeof gdrive->url || strpbrk(url, " \t") != NULL) {
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

static enum cloud_step
part_response(
    struct cloud_op *op, const struct upload *up, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;
	struct gdrive_session *session;
	uint64_t there;
	bool made;

	if (session_read(&there, &made, op, res, err) != 0) {
		gdrive_session_drop(drive, up->token); /* what is there must be asked */
		return provider_failed(err);
	}
	if (made)
		return object_refuse(err, -ENOENT, op->path, "the upload is finished");
	session = gdrive_session_get(drive, up->token, true);
	session->there = there;
	switch (gdrive->step) {
	case PART_ASK: return gdrive_next(op, PART_SEND);
	case PART_SEND:
		if (there < part_body_end(up, op)) {
			err_set(err, -EIO, "'%s': of part %u a piece did not arrive", op->path,
			    op->part.number);
			return CLOUD_STEP_RETRY;
		}
		if (op->part.number == upload_parts(up))
			return gdrive_next(op, PART_TAIL);
		break;
	default:
		buf_free(&session->tail);
		session->tail = op->taken;
		op->taken = (struct buf)BUF_INIT(0);
		break;
	}
	part_name(&op->part, up, op->part.number);
	op->part.has_crc32c = false;
	return CLOUD_STEP_DONE;
}

static enum cloud_step
status_response(
    struct cloud_op *op, const struct upload *up, const struct http_response *res, struct err *err)
{
	struct gdrive_session *session;
	uint64_t there, parts = upload_parts(up);
	bool made;

	if (session_read(&there, &made, op, res, err) != 0)
		return provider_failed(err);
	if (made)
		return object_refuse(err, -ENOENT, op->path, "the upload is finished");
	session = gdrive_session_get(op->account->data, up->token, true);
	session->there = there;
	for (uint64_t n = 1; n <= parts; n++) {
		bool last = n == parts;
		uint64_t end = last ? up->size - upload_tail(up) : part_end(up, n);

		if (there < end || (last && session->tail.len != upload_tail(up)))
			break;
		part_name(upload_parts_add(&op->parts), up, n);
	}
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
		gdrive_session_drop(drive, up->token);
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	}
	step = written_response(op, res, up->file, up->token, &node, err);
	if (step != CLOUD_STEP_DONE)
		return step;
	if (has_strayed(op, up, &node))
		snprintf(gdrive->strayed, sizeof gdrive->strayed, "%s", node.parent);
	if ((node.trashed || gdrive->strayed[0] != '\0') && gdrive->step == COMMIT_SEND)
		return gdrive_next(op, COMMIT_RESTORE);
	if (has_strayed(op, up, &node))
		return object_refuse(err, -EIO, op->path,
		    "was written, but not to the directory that is there by now");
	gdrive_session_drop(drive, up->token);
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
