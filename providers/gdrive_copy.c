/* COPY and MOVE: what the service does by itself. */
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/hash.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

enum { COPY_COPY, COPY_CHECK, COPY_UNDO };
enum { MOVE_LIST, MOVE_TRASH, MOVE_MOVE, MOVE_RESTORE };

static struct gdrive_walk *
other_walk(const struct cloud_op *op)
{
	return &((struct gdrive_op *)op->data)->walks[1];
}

/* What a copy or move must not do, before anything is asked. */
static enum cloud_step
check_pair(const struct cloud_op *op, const struct gdrive_walk *from, const char *from_path,
    const struct gdrive_walk *to, const char *to_path, struct err *err)
{
	if (!from->has)
		return object_refuse(err, -ENOENT, from_path, "no such file or directory");
	if (!gdrive_is_version(op, &from->node))
		return gdrive_refuse_version(op, from_path, err);
	if (to->has && op->put.no_replace && strcmp(to->node.id, from->node.id) != 0)
		return object_refuse(err, -EEXIST, to_path, "exists already");
	if (to->has && to->node.is_directory && !from->node.is_directory)
		return object_refuse(err, -EISDIR, to_path, "is a directory");
	if (to->has && !to->node.is_directory && from->node.is_directory)
		return object_refuse(err, -ENOTDIR, to_path, "is not a directory");
	return CLOUD_STEP_SEND;
}

static void
put_copy_time(const struct cloud_op *op, json_t *made)
{
	int64_t mtime =
	    op->put.mtime_ns != ENTRY_NO_TIME ? op->put.mtime_ns : other_walk(op)->node.mtime_ns;

	if (mtime != ENTRY_NO_TIME)
		json_object_set_new(made, "modifiedTime", gdrive_time(mtime));
}

/* -- documents: what is copied and moved is the document, by its own name, without the suffix */

/* The name that makes it be shown as the path says; NULL: it cannot be shown so. */
static char *
document_name(const struct gdrive_walk *from, const char *to_path)
{
	return gdrive_export_name(from->node.export, path_name(to_path));
}

/* An id cannot be given to a document beforehand ("Generated ids"): it is known by a name of the
   change instead, whichever try made it. */
static void
document_token(char out[RESUMABLE_TOKEN_MAX], const struct cloud_op *op)
{
	struct buf hex = BUF_INIT(RESUMABLE_TOKEN_MAX);
	unsigned char sum[32];

	if (op->put.temp_id != NULL)
		sha256(sum, op->put.temp_id, strlen(op->put.temp_id));
	else
		memcpy(sum, op->random, sizeof op->random);
	buf_put_hex(&hex, sum, sizeof op->random);
	snprintf(out, RESUMABLE_TOKEN_MAX, "%s", buf_str(&hex));
	buf_free(&hex);
}

static bool
document_is_copied(const struct cloud_op *op)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	const struct gdrive_op *gdrive = op->data;

	return from->has && from->node.export != NULL && to->has &&
	    to->node.export == from->node.export && gdrive->token[0] != '\0' &&
	    strcmp(to->node.upload, gdrive->token) == 0;
}

bool
gdrive_copy_may_be_there(struct cloud_op *op)
{
	struct gdrive_op *gdrive = op->data;

	if (!gdrive->copies)
		return false;
	gdrive->copies = false;
	gdrive_walk_again(&gdrive->walks[0]);
	return true;
}

static void
ask_copy_document(struct cloud_op *op, struct http_request *req, const char *name)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	struct gdrive_op *gdrive = op->data;
	json_t *made = json_pack("{s:s, s:[s], s:{s:s}}", "name", name, "parents", to->dir,
	    "appProperties", GDRIVE_UPLOAD, gdrive->token);

	gdrive->copies = true;
	put_copy_time(op, made);
	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files/%s/copy", from->node.id);
	gdrive_param_file(req);
	gdrive_body(req, made);
}

static enum cloud_step
put_copy_document(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_account *drive = op->account->data;
	const struct gdrive_account *its = op->from != NULL ? op->from->data : drive;
	CLEANUP(cleanup_free)
	char *name =
	    its->exports == drive->exports ? document_name(other_walk(op), op->path) : NULL;

	op->only_this = name == NULL;
	if (name == NULL)
		return object_refuse(err, -EOPNOTSUPP, op->path,
		    "a copy of a Google document would have another name: it is exported instead");
	ask_copy_document(op, req, name);
	return CLOUD_STEP_SEND;
}

/* -- all of them: what is asked */

static void
ask_copy(struct cloud_op *op, struct http_request *req)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	const struct gdrive_op *gdrive = op->data;
	json_t *made = json_pack("{s:s, s:s, s:[s], s:{s:n}}", "id", gdrive->id, "name",
	    gdrive_walk_name(op, to), "parents", to->dir, "appProperties", GDRIVE_UPLOAD);

	put_copy_time(op, made);
	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files/%s/copy", from->node.id);
	gdrive_param_file(req);
	gdrive_body(req, made);
}

enum cloud_step
gdrive_put_copy(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step;

	if (gdrive->token[0] == '\0')
		document_token(gdrive->token, op);
	if (document_is_copied(op))
		return CLOUD_STEP_DONE;
	step = check_pair(op, from, op->path2, to, op->path, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	if (from->node.is_directory)
		return object_refuse(err, -EISDIR, op->path2, "is a directory");
	op->only_this = to->has;
	if (op->only_this)
		return object_refuse(err, -EOPNOTSUPP, op->path,
		    "Google Drive copies into new files only, not onto one that is there");
	if (from->node.export != NULL && gdrive->step == COPY_COPY)
		return put_copy_document(op, req, err);
	switch (gdrive->step) {
	case COPY_COPY:
		if (gdrive_has_id(op, to, req))
			ask_copy(op, req);
		break;
	case COPY_CHECK:
		gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/%s", gdrive->id);
		gdrive_param_file(req);
		break;
	default:
		gdrive_ask(req, op->account->data, "DELETE", "/drive/v3/files/%s", gdrive->id);
		gdrive_param(req, "supportsAllDrives", "true");
		break;
	}
	return CLOUD_STEP_SEND;
}

/* Its time stays what it is. */
static void
ask_move(struct cloud_op *op, struct http_request *req)
{
	const struct gdrive_walk *from = gdrive_walk(op), *to = other_walk(op);
	CLEANUP(cleanup_free)
	char *name = from->node.export != NULL ? document_name(from, op->path2)
					       : xstrdup(gdrive_walk_name(op, to));
	json_t *change = json_pack("{s:s}", "name", name);

	if (from->node.is_directory)
		gdrive_places_change(); /* should the answer be lost */
	if (!from->node.is_directory && from->node.mtime_ns != ENTRY_NO_TIME)
		json_object_set_new(change, "modifiedTime", gdrive_time(from->node.mtime_ns));
	gdrive_ask(req, op->account->data, "PATCH", "/drive/v3/files/%s", from->node.id);
	if (strcmp(from->dir, to->dir) != 0) {
		gdrive_param(req, "addParents", to->dir);
		gdrive_param(req, "removeParents", from->dir);
	}
	gdrive_param_file(req);
	gdrive_body(req, change);
}

static enum cloud_step
check_move_document(const struct cloud_op *op, const struct gdrive_walk *from,
    const struct gdrive_walk *to, struct err *err)
{
	CLEANUP(cleanup_free) char *name = NULL;

	if (to->has && to->node.export != NULL)
		return gdrive_refuse_document(op->path2, err);
	if (from->node.export == NULL)
		return CLOUD_STEP_SEND;
	name = document_name(from, op->path2);
	if (name != NULL)
		return CLOUD_STEP_SEND;
	err_set(err, -EINVAL,
	    "'%s' is a document: its name ends in '%s', and that of '%s' does not", op->path,
	    from->node.export->suffix, op->path2);
	return CLOUD_STEP_FAIL;
}

/* What is there already goes to the trash first, and comes back if the move fails: a move that was
   cut off can be repeated then.  Two files of one name could not be told apart. */
enum cloud_step
gdrive_put_move(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *from = gdrive_walk(op), *to = other_walk(op);
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step = check_pair(op, from, op->path, to, op->path2, err);

	if (step != CLOUD_STEP_SEND)
		return step;
	if (to->has && strcmp(to->node.id, from->node.id) == 0)
		return CLOUD_STEP_DONE;
	step = check_move_document(op, from, to, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	if (gdrive->step == MOVE_LIST && !(to->has && to->node.is_directory))
		gdrive->step = to->has ? MOVE_TRASH : MOVE_MOVE;
	switch (gdrive->step) {
	case MOVE_LIST:
		gdrive_ask_list(req, op->account->data, to->node.id, "", gdrive->next, 1);
		break;
	case MOVE_MOVE: ask_move(op, req); break;
	default:
		gdrive_ask_change(op, req, to->node.id,
		    json_pack("{s:b}", "trashed", (int)(gdrive->step == MOVE_TRASH)));
		break;
	}
	return CLOUD_STEP_SEND;
}

/* Known by its id from now on: lists may not show it yet. */
static enum cloud_step
document_copied(struct cloud_op *op, const struct gdrive_node *node, struct err *err)
{
	const struct gdrive_walk *to = gdrive_walk(op);

	if (node->export != other_walk(op)->node.export || strcmp(node->parent, to->dir) != 0)
		return object_refuse(err, -EPROTO, op->path, "Google Drive made another document");
	gdrive_new_put(to->dir, gdrive_walk_name(op, to), node->id, op->now_ms);
	gdrive_was_made(op, to, node);
	return CLOUD_STEP_DONE;
}

enum cloud_step
gdrive_copy_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;
	json_t *file = NULL;
	int type;

	if (gdrive->step == COPY_UNDO)
		return object_refuse(
		    err, -ESTALE, op->path2, "has changed while Google Drive copied it");
	if (gdrive_answer_file(&node, &file, op, res, err) != 0)
		return provider_failed(err);
	gdrive_entry_read(&op->entry, op->path, file, &node);
	json_decref(file);
	if (from->node.export != NULL)
		return document_copied(op, &node, err);
	type = digests_common(&node.digests, &from->node.digests);
	if (node.trashed || strcmp(node.parent, to->dir) != 0)
		return object_refuse(err, -EEXIST, op->path, "the copy was moved meanwhile");
	if (node.size != from->node.size ||
	    (type >= 0 && !digests_equal(&node.digests, &from->node.digests, type)))
		return gdrive->step == COPY_COPY
		    ? gdrive_next(op, COPY_UNDO)
		    : object_refuse(err, -EOPNOTSUPP, op->path,
			  "another file has come there while Google Drive was to copy");
	gdrive_was_made(op, to, &node);
	return CLOUD_STEP_DONE;
}

enum cloud_step
gdrive_move_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_walk *from = gdrive_walk(op), *to = other_walk(op);
	const struct gdrive_op *gdrive = op->data;

	switch (gdrive->step) {
	case MOVE_LIST: return gdrive_empty_response(op, op->path2, res, MOVE_TRASH, err);
	case MOVE_TRASH: gdrive_was_removed(op, to); return gdrive_next(op, MOVE_MOVE);
	case MOVE_RESTORE: *err = gdrive->why; return CLOUD_STEP_FAIL;
	default: break;
	}
	gdrive_was_removed(op, from);
	gdrive_was_removed(op, to);
	gdrive_was_made(op, to, &from->node);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
move_forgive(struct cloud_op *op, int code, const struct err *why)
{
	struct gdrive_op *gdrive = op->data;
	bool trashed = other_walk(op)->has;

	if (gdrive->step == MOVE_TRASH && code == -ENOENT)
		return gdrive_next(op, MOVE_MOVE);
	if (gdrive->step != MOVE_MOVE || err_is_transient(code) || code == -EKEYEXPIRED)
		return CLOUD_STEP_FAIL;
	if (!trashed)
		return code == -ENOENT && gdrive_look_again(op) ? CLOUD_STEP_NEXT : CLOUD_STEP_FAIL;
	gdrive->why = *why;
	return gdrive_next(op, MOVE_RESTORE);
}

enum cloud_step
gdrive_copy_forgive(struct cloud_op *op, int code, const struct err *why)
{
	const struct gdrive_op *gdrive = op->data;

	if (op->kind == CLOUD_MOVE)
		return move_forgive(op, code, why);
	if (gdrive->step != COPY_COPY)
		return CLOUD_STEP_FAIL;
	if (code == -ENOENT && gdrive_look_again(op))
		return CLOUD_STEP_NEXT;
	/* The id is in use: it was made, and the answer lost.  Or another op of ours has made it,
	   with the same id (gdrive_new_put()): what is not the copy is not to be undone. */
	return code == -EEXIST && other_walk(op)->node.export == NULL ? gdrive_next(op, COPY_CHECK)
								      : CLOUD_STEP_FAIL;
}
