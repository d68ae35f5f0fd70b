/*
 * The gdrive driver: Google Drive, API v3.
 *
 * Drive knows ids, not paths: gdrive_walk.c finds them, gdrive_file.h says what names become.  What
 * exists keeps its id: a file is overwritten by new content of the same file, of which Drive keeps
 * the old revisions.  What is made has an id that was generated before, so that a request whose
 * answer was lost can be repeated and makes no twin.
 *
 * The version of an entry is its head revision: it changes with the content and with nothing else,
 * and reading it by its id reads just that content.
 *
 * Documents of Google's editors have no bytes: they are shown as what they are exported as
 * (gdrive_export.h), of a size that is not known.  A copy or a move within Drive is one of the
 * document; nothing but Google's editors writes one.  What is not exported is counted as hidden.
 */
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

enum { READ_MEDIA, READ_CHECK };
enum { RMDIR_LIST, RMDIR_TRASH };
enum { REMOVE_ACT, REMOVE_LOOK };

#define TWINS_MAX 3 /* times that a generated id was in use */
#define LOOKED_MS 10000 /* for so long a file is what it was when it was looked at */
#define LOOKS_MAX 8

/* Requests */

/* What is exported is at least as new as the version: the document may be edited meanwhile, at any
   time, and that is no reason to have nothing of it. */
static enum cloud_step
put_export(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_node *node = &gdrive_walk(op)->node;

	if (op->length == 0)
		return CLOUD_STEP_DONE;
	if (op->offset > 0 || op->length != UINT64_MAX || op->streamed > 0)
		return object_refuse(err, -EOPNOTSUPP, op->path,
		    "a Google document is exported as a whole: it has no ranges");
	gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/%s/export", node->id);
	gdrive_param(req, "mimeType", node->export->type);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_read(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_node *node = &walk->node;
	const struct gdrive_op *gdrive = op->data;
	const struct gdrive_account *drive = op->account->data;

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such file");
	if (node->is_directory)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (!gdrive_is_version(op, node))
		return gdrive_refuse_version(op, op->path, err);
	if (node->export != NULL)
		return put_export(op, req, err);
	if (gdrive->step == READ_CHECK) {
		gdrive_ask(req, drive, "GET", "/drive/v3/files/%s", node->id);
		gdrive_param_file(req);
		return CLOUD_STEP_SEND;
	}
	/* Of an empty file all is asked for, so that its head is told. */
	if (op->length == 0 || (op->offset + op->streamed >= node->size && node->size > 0) ||
	    (node->size == 0 && op->offset > 0))
		return CLOUD_STEP_DONE;
	if (node->is_pinned && !gdrive->unpinned)
		gdrive_ask(
		    req, drive, "GET", "/drive/v3/files/%s/revisions/%s", node->id, node->version);
	else
		gdrive_ask(req, drive, "GET", "/drive/v3/files/%s", node->id);
	gdrive_param(req, "alt", "media");
	if (!node->is_pinned || gdrive->unpinned)
		gdrive_param(req, "supportsAllDrives", "true");
	if (node->size > 0)
		object_put_range(req, op, "Range");
	return CLOUD_STEP_SEND;
}

/* A removal has no condition, and may have to wait for minutes until Drive takes it: then the file
   is looked at once more. */
static enum cloud_step
put_remove(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	struct gdrive_op *gdrive = op->data;

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such file");
	if (walk->node.is_directory)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (!gdrive_is_version(op, &walk->node))
		return gdrive_refuse_version(op, op->path, err);
	gdrive->step = op->now_ms - gdrive->looked_ms > LOOKED_MS ? REMOVE_LOOK : REMOVE_ACT;
	if (gdrive->step == REMOVE_ACT) {
		gdrive_ask_remove(op, req, &walk->node);
		return CLOUD_STEP_SEND;
	}
	if (++gdrive->looks > LOOKS_MAX)
		return object_refuse(
		    err, -EAGAIN, op->path, "Google Drive has not removed it for a long time");
	gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/%s", walk->node.id);
	gdrive_param_file(req);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_rmdir(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_op *gdrive = op->data;

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such directory");
	if (!walk->node.is_directory)
		return object_refuse(err, -ENOTDIR, op->path, "is not a directory");
	if (gdrive->step == RMDIR_TRASH)
		gdrive_ask_remove(op, req, &walk->node);
	else
		gdrive_ask_list(req, op->account->data, walk->node.id, "", gdrive->next, 1);
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_mkdir(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_op *gdrive = op->data;

	if (walk->has && walk->node.is_directory)
		return CLOUD_STEP_DONE;
	if (walk->has)
		return object_refuse(err, -EEXIST, op->path, "is a file");
	if (!gdrive_has_id(op, walk, req))
		return CLOUD_STEP_SEND;
	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files");
	gdrive_param_file(req);
	gdrive_body(req,
	    json_pack("{s:s, s:s, s:s, s:[s]}", "id", gdrive->id, "name",
		gdrive_walk_name(op, walk), "mimeType", GDRIVE_FOLDER, "parents", walk->dir));
	return CLOUD_STEP_SEND;
}

static enum cloud_step
put_setattr(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such file or directory");
	if (op->put.mtime_ns == ENTRY_NO_TIME)
		return CLOUD_STEP_DONE;
	gdrive_ask_change(op, req, walk->node.id,
	    json_pack("{s:o}", "modifiedTime", gdrive_time(op->put.mtime_ns)));
	return CLOUD_STEP_SEND;
}

/* What cannot be, before anything is asked; and how the paths are walked. */
static enum cloud_step
gdrive_begin(struct cloud_op *op, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	struct gdrive_walk *walk = &gdrive->walks[0], *other = &gdrive->walks[1];
	bool top = *op->path == '\0';

	gdrive->begun = true;
	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_STAT:
	case CLOUD_READ: return CLOUD_STEP_SEND;
	case CLOUD_COPY_PART:
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "Google Drive copies whole files only");
	case CLOUD_MKDIR:
		if (top)
			return CLOUD_STEP_DONE;
		break;
	case CLOUD_REMOVE:
	case CLOUD_PUT:
	case CLOUD_UPLOAD_BEGIN:
		if (top)
			return object_refuse(err, -EISDIR, op->path, "is a directory");
		break;
	default:
		if (top || (op->path2 != NULL && *op->path2 == '\0'))
			return object_refuse(err, -EBUSY, op->path, "the account's top stays");
		break;
	}
	if (op->kind == CLOUD_MOVE && path_is_inside(op->path2, op->path) &&
	    strcmp(op->path, op->path2) != 0)
		return object_refuse(
		    err, -EINVAL, op->path, "a directory cannot be moved into itself");
	walk->changes = true;
	walk->makes = op->kind == CLOUD_PUT || op->kind == CLOUD_COPY || op->kind == CLOUD_MKDIR ||
	    op->kind == CLOUD_UPLOAD_BEGIN;
	other->changes = other->makes = op->kind == CLOUD_MOVE;
	return CLOUD_STEP_SEND;
}

static enum cloud_step gdrive_request(struct cloud_op *, struct cloud_request *, struct err *);

/* Another version: is it that of a directory that has been renamed, and is believed? */
static enum cloud_step
put_read_or_look(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	enum cloud_step step = put_read(op, &request->http, err);

	if (step != CLOUD_STEP_FAIL || err->code != -ESTALE || !gdrive_look_again(op))
		return step;
	err_clear(err);
	return gdrive_request(op, request, err);
}

static enum cloud_step
gdrive_put_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;

	switch (op->kind) {
	case CLOUD_LIST: return gdrive_put_list(op, req, err);
	case CLOUD_STAT:
		return gdrive_walk(op)->has
		    ? CLOUD_STEP_DONE
		    : object_refuse(err, -ENOENT, op->path, "no such file or directory");
	case CLOUD_READ: return put_read_or_look(op, request, err);
	case CLOUD_COPY:
		return gdrive_copy_may_be_there(op) ? gdrive_request(op, request, err)
						    : gdrive_put_copy(op, req, err);
	case CLOUD_MOVE: return gdrive_put_move(op, req, err);
	case CLOUD_REMOVE: return put_remove(op, req, err);
	case CLOUD_RMDIR: return put_rmdir(op, req, err);
	case CLOUD_MKDIR: return put_mkdir(op, req, err);
	case CLOUD_SETATTR: return put_setattr(op, req, err);
	default: return gdrive_upload_request(op, request, err);
	}
}

static enum cloud_step
put_usage(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_account *drive = op->account->data;

	if (drive->drive != NULL)
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "a shared drive has no quota of its own");
	gdrive_ask(req, drive, "GET", "/drive/v3/about");
	gdrive_param(req, "fields", "storageQuota");
	return CLOUD_STEP_SEND;
}

static enum cloud_step
gdrive_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	struct gdrive_walk *walk;
	enum cloud_step step = CLOUD_STEP_SEND;

	switch (op->kind) {
	case CLOUD_SWEEP:
	case CLOUD_UPLOAD_FIND: return CLOUD_STEP_DONE; /* sessions cannot be listed */
	case CLOUD_USAGE: return put_usage(op, &request->http, err);
	case CLOUD_CHANGES: return gdrive_put_changes(op, &request->http);
	case CLOUD_UPLOAD_PART:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_ABORT: return gdrive_upload_request(op, request, err);
	default: break;
	}
	if (!gdrive->begun)
		step = gdrive_begin(op, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	if (gdrive_walk_plan(op, &walk) == ASK_NOTHING)
		return gdrive_put_request(op, request, err);
	gdrive_walk_request(op, walk, &request->http);
	return CLOUD_STEP_SEND;
}

/* Answers */

/* Does the answer belong to a walk? */
static struct gdrive_walk *
walk_under_way(const struct cloud_op *op)
{
	struct gdrive_op *gdrive = op->data;

	for (size_t i = 0; i < ARRAY_LEN(gdrive->walks); i++) {
		if (gdrive->walks[i].ask != ASK_NOTHING)
			return &gdrive->walks[i];
	}
	return NULL;
}

/* The revision is not sent as it should be: then the file itself, which is looked at afterwards. */
static bool
read_file_instead(const struct cloud_op *op)
{
	struct gdrive_op *gdrive = op->data;

	if (gdrive->unpinned || !gdrive_walk(op)->node.is_pinned)
		return false;
	gdrive->unpinned = true;
	return true;
}

/* Its end must be told apart from a connection that broke: by a length, or by chunks. */
static enum cloud_step
export_head(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *coding = http_header_get(&res->headers, "Transfer-Encoding");
	uint64_t length;

	if (res->status != 200)
		return object_refuse(err, -EPROTO, op->path, "a part of an export was sent");
	if (coding != NULL ? strcasecmp(coding, "chunked") != 0
			   : object_length(&length, op, res, NULL) != 0)
		return object_refuse(err, -EPROTO, op->path,
		    "the export does not say where it ends: it may not be all of it");
	return CLOUD_STEP_STREAM;
}

static enum cloud_step
gdrive_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_op *gdrive = op->data;
	struct err why = ERR_INIT;
	uint64_t size = 0;

	if (op->kind != CLOUD_READ || walk_under_way(op) != NULL || gdrive->step != READ_MEDIA ||
	    (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	if (gdrive_walk(op)->node.export != NULL)
		return export_head(op, res, err);
	if (object_check_range(op, res, &size, &why) != 0) {
		if (read_file_instead(op))
			return CLOUD_STEP_NEXT;
		*err = why;
		return CLOUD_STEP_FAIL;
	}
	if (size != op->entry.size) {
		gdrive_refuse_version(op, op->path, err);
		return CLOUD_STEP_FAIL;
	}
	return CLOUD_STEP_STREAM;
}

static enum cloud_step
read_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;

	if (walk->node.export != NULL)
		return CLOUD_STEP_DONE;
	if (gdrive->step == READ_MEDIA)
		return walk->node.is_pinned && !gdrive->unpinned ? CLOUD_STEP_DONE
								 : gdrive_next(op, READ_CHECK);
	if (gdrive_answer_file(&node, NULL, op, res, err) != 0)
		return provider_failed(err);
	return strcmp(node.version, walk->node.version) == 0
	    ? CLOUD_STEP_DONE
	    : gdrive_refuse_version(op, op->path, err);
}

static enum cloud_step
remove_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_walk *walk = gdrive_walk(op);
	struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;
	json_t *file = NULL;
	bool stays;

	if (gdrive->step == REMOVE_LOOK) {
		if (gdrive_answer_file(&node, &file, op, res, err) != 0)
			return provider_failed(err);
		stays = gdrive_walk_fits(op, walk, file, &node);
		json_decref(file);
		if (!stays && !node.trashed)
			return object_refuse(
			    err, -ESTALE, op->path, "is somewhere else by now, and is not removed");
		if (stays) {
			walk->node = node;
			gdrive->looked_ms = op->now_ms;
			return CLOUD_STEP_NEXT;
		}
	}
	gdrive_was_removed(op, walk);
	return CLOUD_STEP_DONE;
}

/* An id is in use: it was made, and the answer lost, or somebody of us makes it too.  What is it?
 */
static enum cloud_step
mkdir_again(struct cloud_op *op, const struct err *why, struct err *err)
{
	struct gdrive_walk *walk = gdrive_walk(op);
	struct gdrive_op *gdrive = op->data;

	if (++gdrive->ids_refused > 1)
		gdrive_new_drop(walk->dir, gdrive_walk_name(op, walk));
	gdrive_walk_again(walk);
	if (gdrive->ids_refused < TWINS_MAX)
		return CLOUD_STEP_NEXT;
	*err = *why;
	return provider_failed(err);
}

static enum cloud_step
mkdir_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_node node;

	if (gdrive_answer_file(&node, NULL, op, res, err) != 0)
		return provider_failed(err);
	gdrive_was_made(op, gdrive_walk(op), &node);
	return CLOUD_STEP_DONE;
}

static uint64_t
quota_number(const json_t *quota, const char *name)
{
	const char *text = json_string_value(json_object_get(quota, name));

	return text == NULL ? UINT64_MAX : object_size(text);
}

static enum cloud_step
usage_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	json_t *answer = gdrive_answer(op, res, err);
	const json_t *quota = json_object_get(answer, "storageQuota");
	uint64_t limit = quota_number(quota, "limit"), used = quota_number(quota, "usage");

	json_decref(answer);
	if (answer == NULL)
		return provider_failed(err);
	if (limit == UINT64_MAX || used == UINT64_MAX)
		return object_refuse(err, -EOPNOTSUPP, op->path, "the account has no limit");
	op->usage.total = limit;
	op->usage.used = MIN(used, limit);
	op->usage.available = limit - op->usage.used;
	return CLOUD_STEP_DONE;
}

/* Answers that are errors by their status, but not by what the op wants; else CLOUD_STEP_FAIL. */
static enum cloud_step
gdrive_forgive(struct cloud_op *op, int code, const struct err *why, struct err *err)
{
	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_SETATTR:
		return code == -ENOENT && op->list.len == 0 && gdrive_look_again(op)
		    ? CLOUD_STEP_NEXT
		    : CLOUD_STEP_FAIL;
	case CLOUD_READ: /* who may read the file need not be allowed to read its revisions */
		return (code == -EACCES || code == -ENOENT) && read_file_instead(op)
		    ? CLOUD_STEP_NEXT
		    : CLOUD_STEP_FAIL;
	case CLOUD_MKDIR:
		if (code == -ENOENT && gdrive_look_again(op))
			return CLOUD_STEP_NEXT;
		return code == -EEXIST ? mkdir_again(op, why, err) : CLOUD_STEP_FAIL;
	case CLOUD_REMOVE: /* it was there a moment ago: the answer to this one was lost */
	case CLOUD_RMDIR:
		if (code != -ENOENT)
			return CLOUD_STEP_FAIL;
		gdrive_was_removed(op, gdrive_walk(op));
		return CLOUD_STEP_DONE;
	case CLOUD_COPY:
	case CLOUD_MOVE: return gdrive_copy_forgive(op, code, why);
	default: return CLOUD_STEP_FAIL;
	}
}

static enum cloud_step
gdrive_take_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_op *gdrive = op->data;

	switch (op->kind) {
	case CLOUD_LIST: return gdrive_list_response(op, res, err);
	case CLOUD_READ: return read_response(op, res, err);
	case CLOUD_COPY: return gdrive_copy_response(op, res, err);
	case CLOUD_MOVE: return gdrive_move_response(op, res, err);
	case CLOUD_MKDIR: return mkdir_response(op, res, err);
	case CLOUD_USAGE: return usage_response(op, res, err);
	case CLOUD_RMDIR:
		if (gdrive->step == RMDIR_LIST)
			return gdrive_empty_response(op, op->path, res, RMDIR_TRASH, err);
		gdrive_was_removed(op, gdrive_walk(op));
		return CLOUD_STEP_DONE;
	case CLOUD_REMOVE: return remove_response(op, res, err);
	default: return CLOUD_STEP_DONE;
	}
}

static enum cloud_step
gdrive_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	struct gdrive_walk *walk = walk_under_way(op);
	struct err why = ERR_INIT;
	enum cloud_step step;
	int code;

	if (walk != NULL)
		return gdrive_walk_response(op, walk, res, err);
	if (gdrive->asks_ids) {
		gdrive->asks_ids = false;
		return gdrive_take_ids(op, res, err);
	}
	switch (op->kind) {
	case CLOUD_PUT:
	case CLOUD_UPLOAD_BEGIN:
	case CLOUD_UPLOAD_PART:
	case CLOUD_UPLOAD_STATUS:
	case CLOUD_UPLOAD_COMMIT:
	case CLOUD_UPLOAD_ABORT: return gdrive_upload_response(op, res, err);
	case CLOUD_CHANGES: return gdrive_changes_response(op, res, err);
	default: break;
	}
	code = gdrive_check(op, res, &why);
	if (code == 0)
		return gdrive_take_response(op, res, err);
	step = gdrive_forgive(op, code, &why, err);
	if (step != CLOUD_STEP_FAIL)
		return step;
	*err = why;
	return provider_failed(err);
}

/* What the one grant can see, it can copy. */
static bool
gdrive_copies_from(const struct account *to, const struct account *from)
{
	const struct gdrive_account *one = to->data, *two = from->data;

	return strcmp(one->grant, two->grant) == 0 &&
	    strcmp(one->endpoint.host, two->endpoint.host) == 0;
}

/* The user of a grant is not known without asking: two grants of one user are two places. */
static char *
gdrive_identity(const struct account *account, const char *path)
{
	const struct gdrive_account *drive = account->data;

	return xasprintf("gdrive://%s/%s/%s", drive->endpoint.host,
	    drive->folder != NULL      ? drive->folder
		: drive->drive != NULL ? drive->drive
				       : drive->grant,
	    path);
}

const struct cloud_driver gdrive_driver = {
    .name = "gdrive",
    .title = "Google Drive",
    .transport = CLOUD_HTTP,
    .features = CLOUD_CAN_COPY | CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR | CLOUD_HAS_DIRECTORIES |
	CLOUD_KEEPS_MTIME | CLOUD_CAN_SETATTR | CLOUD_VERSIONS_UNIQUE | CLOUD_HAS_CHANGES |
	CLOUD_HAS_UNSIZED,
    .limits = {.put_max = GDRIVE_FILE_MAX,
	.part_min = RESUMABLE_CHUNK,
	.part_max = GDRIVE_PART_MAX,
	.part_size = GDRIVE_PART,
	.upload_from = GDRIVE_PART + 1,
	.parts_max = GDRIVE_PARTS,
	.in_order = true,
	.concurrency = 8},
    .fields = gdrive_fields,
    .hashes = HASH_BIT(HASH_MD5),
    .account_size = sizeof(struct gdrive_account),
    .op_size = sizeof(struct gdrive_op),
    .open = gdrive_open,
    .close = gdrive_close,
    .request = gdrive_request,
    .head = gdrive_head,
    .response = gdrive_response,
    .sign_in = &oauth_sign_in,
    .oauth = &gdrive_oauth,
    .copies_from = gdrive_copies_from,
    .identity = gdrive_identity,
};
