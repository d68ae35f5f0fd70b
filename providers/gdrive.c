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
 * Documents of Google's editors have no bytes, and their exports no size that is known beforehand:
 * they are not shown, but counted as hidden, so that no copy can be taken for them.
 */
#include "providers/gdrive_private.h"
#include "providers/listing.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

enum { READ_MEDIA, READ_CHECK };
enum { COPY_COPY, COPY_CHECK, COPY_UNDO };
enum { MOVE_LIST, MOVE_MOVE, MOVE_TRASH };
enum { RMDIR_LIST, RMDIR_TRASH };

#define TWINS_MAX 3 /* times that a generated id was in use */

static struct gdrive_walk *
other_walk(const struct cloud_op *op)
{
	return &((struct gdrive_op *)op->data)->walks[1];
}

/* What is to be written lies there: to be asked for again. */
static void
gdrive_was_made(struct cloud_op *op, const struct gdrive_walk *walk, const struct gdrive_node *node)
{
	const char *path = gdrive_walk_path(op, walk);

	gdrive_place_put(
	    op->account->data, path, strlen(path), node->id, node->is_directory, op->now_ms);
}

static void
gdrive_was_removed(struct cloud_op *op, const struct gdrive_walk *walk)
{
	const char *path = gdrive_walk_path(op, walk);

	gdrive_place_drop(op->account->data, path, strlen(path));
	gdrive_new_drop(walk->dir, gdrive_walk_name(op, walk));
}

static enum cloud_step
refuse_version(const struct cloud_op *op, const char *path, struct err *err)
{
	return object_refuse(err, -ESTALE, path, "has changed: it is not that version any more");
}

static bool
is_version(const struct cloud_op *op, const struct gdrive_node *node)
{
	return op->version == NULL || strcmp(op->version, node->version) == 0;
}

/* Requests */

static void
ask_change(struct cloud_op *op, struct http_request *req, const char *id, json_t *change)
{
	gdrive_ask(req, op->account->data, "PATCH", "/drive/v3/files/%s", id);
	gdrive_param_file(req);
	gdrive_body(req, change);
}

/* A folder may have got something that nobody has looked at: it goes to the trash in any case. */
static void
ask_remove(struct cloud_op *op, struct http_request *req, const struct gdrive_node *node)
{
	const struct gdrive_account *drive = op->account->data;

	if (!drive->permanent || node->is_directory) {
		ask_change(op, req, node->id, json_pack("{s:b}", "trashed", 1));
		return;
	}
	gdrive_ask(req, drive, "DELETE", "/drive/v3/files/%s", node->id);
	gdrive_param(req, "supportsAllDrives", "true");
}

static enum cloud_step
put_list(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_op *gdrive = op->data;

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such directory");
	if (!walk->node.is_directory)
		return object_refuse(err, -ENOTDIR, op->path, "is not a directory");
	gdrive_ask_list(req, op->account->data, walk->node.id, "", gdrive->next, GDRIVE_PAGE_MAX);
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
	if (!is_version(op, node))
		return refuse_version(op, op->path, err);
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

static enum cloud_step
put_remove(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);

	if (!walk->has)
		return object_refuse(err, -ENOENT, op->path, "no such file");
	if (walk->node.is_directory)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (!is_version(op, &walk->node))
		return refuse_version(op, op->path, err);
	ask_remove(op, req, &walk->node);
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
		ask_remove(op, req, &walk->node);
	else
		gdrive_ask_list(req, op->account->data, walk->node.id, "", gdrive->next, 1);
	return CLOUD_STEP_SEND;
}

/* Its id, or a request for ids. */
static bool
has_id(struct cloud_op *op, const struct gdrive_walk *walk, struct http_request *req)
{
	struct gdrive_op *gdrive = op->data;

	gdrive->asks_ids = !gdrive_take_id(op, walk->dir, gdrive_walk_name(op, walk));
	if (gdrive->asks_ids)
		gdrive_ask_ids(op, req);
	return !gdrive->asks_ids;
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
	if (!has_id(op, walk, req))
		return CLOUD_STEP_SEND;
	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files");
	gdrive_param_file(req);
	gdrive_body(req,
	    json_pack("{s:s, s:s, s:s, s:[s]}", "id", gdrive->id, "name",
		gdrive_walk_name(op, walk), "mimeType", GDRIVE_FOLDER, "parents", walk->dir));
	return CLOUD_STEP_SEND;
}

/* What a copy or move must not do, before anything is asked. */
static enum cloud_step
check_pair(const struct cloud_op *op, const struct gdrive_walk *from, const char *from_path,
    const struct gdrive_walk *to, const char *to_path, struct err *err)
{
	if (!from->has)
		return object_refuse(err, -ENOENT, from_path, "no such file or directory");
	if (!is_version(op, &from->node))
		return refuse_version(op, from_path, err);
	if (to->has && op->put.no_replace && strcmp(to->node.id, from->node.id) != 0)
		return object_refuse(err, -EEXIST, to_path, "exists already");
	if (to->has && to->node.is_directory && !from->node.is_directory)
		return object_refuse(err, -EISDIR, to_path, "is a directory");
	if (to->has && !to->node.is_directory && from->node.is_directory)
		return object_refuse(err, -ENOTDIR, to_path, "is not a directory");
	return CLOUD_STEP_SEND;
}

static void
ask_copy(struct cloud_op *op, struct http_request *req)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	const struct gdrive_op *gdrive = op->data;
	int64_t mtime = op->put.mtime_ns != ENTRY_NO_TIME ? op->put.mtime_ns : from->node.mtime_ns;
	json_t *made = json_pack("{s:s, s:s, s:[s], s:{s:n}}", "id", gdrive->id, "name",
	    gdrive_walk_name(op, to), "parents", to->dir, "appProperties", GDRIVE_UPLOAD);

	if (mtime != ENTRY_NO_TIME)
		json_object_set_new(made, "modifiedTime", gdrive_time(mtime));
	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files/%s/copy", from->node.id);
	gdrive_param_file(req);
	gdrive_body(req, made);
}

static enum cloud_step
put_copy(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *to = gdrive_walk(op), *from = other_walk(op);
	const struct gdrive_op *gdrive = op->data;
	enum cloud_step step = check_pair(op, from, op->path2, to, op->path, err);

	if (step != CLOUD_STEP_SEND)
		return step;
	if (from->node.is_directory)
		return object_refuse(err, -EISDIR, op->path2, "is a directory");
	if (to->has)
		return object_refuse(err, -EOPNOTSUPP, op->path,
		    "Google Drive copies into new files only, not onto one that is there");
	switch (gdrive->step) {
	case COPY_COPY:
		if (has_id(op, to, req))
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
	json_t *change = json_pack("{s:s}", "name", gdrive_walk_name(op, to));

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

/* What is there already goes when the other has its name: nothing can be lost in between. */
static enum cloud_step
put_move(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct gdrive_walk *from = gdrive_walk(op), *to = other_walk(op);
	struct gdrive_op *gdrive = op->data;
	enum cloud_step step = check_pair(op, from, op->path, to, op->path2, err);

	if (step != CLOUD_STEP_SEND)
		return step;
	if (to->has && strcmp(to->node.id, from->node.id) == 0)
		return CLOUD_STEP_DONE;
	if (gdrive->step == MOVE_LIST && !(to->has && to->node.is_directory))
		gdrive->step = MOVE_MOVE;
	switch (gdrive->step) {
	case MOVE_LIST:
		gdrive_ask_list(req, op->account->data, to->node.id, "", gdrive->next, 1);
		break;
	case MOVE_MOVE: ask_move(op, req); break;
	default: ask_remove(op, req, &to->node); break;
	}
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
	ask_change(op, req, walk->node.id,
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

static enum cloud_step
gdrive_put_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;

	switch (op->kind) {
	case CLOUD_LIST: return put_list(op, req, err);
	case CLOUD_STAT:
		return gdrive_walk(op)->has
		    ? CLOUD_STEP_DONE
		    : object_refuse(err, -ENOENT, op->path, "no such file or directory");
	case CLOUD_READ: return put_read(op, req, err);
	case CLOUD_COPY: return put_copy(op, req, err);
	case CLOUD_MOVE: return put_move(op, req, err);
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

static enum cloud_step
gdrive_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_op *gdrive = op->data;
	uint64_t size = 0;

	if (op->kind != CLOUD_READ || walk_under_way(op) != NULL || gdrive->step != READ_MEDIA ||
	    (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	if (object_check_range(op, res, &size, err) != 0)
		return CLOUD_STEP_FAIL;
	if (size != op->entry.size) {
		refuse_version(op, op->path, err);
		return CLOUD_STEP_FAIL;
	}
	return CLOUD_STEP_STREAM;
}

/* Twins are told apart when all are there: until then an entry's path has behind it when the file
   was made, and its id. */
#define LIST_MARK '\x01'

static void
list_take(struct cloud_op *op, const json_t *file, const struct gdrive_node *node)
{
	CLEANUP(cleanup_free) char *name = gdrive_name(file);
	CLEANUP(cleanup_free) char *path = name == NULL ? NULL : path_child(op->path, name);
	struct entry *entry;

	if (path == NULL || !path_is_canonical(path) || (!node->is_directory && !node->has_bytes)) {
		op->list.hidden++;
		return;
	}
	entry = entry_list_add(&op->list);
	gdrive_entry_read(entry, path, file, node);
	free(entry->path);
	entry->path = xasprintf("%s%c%s%c%s", path, LIST_MARK, node->created, LIST_MARK, node->id);
}

/* Cuts the two off; they stay valid as long as the entry's path. */
static void
list_split(char *path, const char **created, const char **id)
{
	char *at = strrchr(path, LIST_MARK);

	*id = at + 1;
	*at = '\0';
	at = strrchr(path, LIST_MARK);
	*created = at + 1;
	*at = '\0';
}

struct list_name {
	struct entry *entry;
	const char *created, *id;
};

static int
list_compare(const void *a, const void *b)
{
	const struct list_name *one = a, *two = b;
	int order = strcmp(one->entry->path, two->entry->path);

	return order != 0 ? order
			  : gdrive_node_compare(one->created, one->id, two->created, two->id);
}

/* The oldest keeps the name. */
static void
list_finish(struct cloud_op *op)
{
	struct entry_list *list = &op->list;
	struct list_name *names = xcalloc(MAX(list->len, (size_t)1), sizeof *names);
	const char *first = NULL;
	char *path;

	for (size_t i = 0; i < list->len; i++) {
		names[i].entry = &list->items[i];
		list_split(list->items[i].path, &names[i].created, &names[i].id);
	}
	qsort(names, list->len, sizeof *names, list_compare);
	for (size_t i = 0; i < list->len; i++) {
		path = names[i].entry->path;
		if (first != NULL && strcmp(first, path) == 0) {
			CLEANUP(cleanup_free)
			char *twin = gdrive_name_of_twin(path_name(path), names[i].id);

			names[i].entry->path = path_child(op->path, twin);
			free(path);
		} else {
			first = path;
		}
	}
	free(names);
	listing_finish(list);
}

static enum cloud_step
list_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	json_t *answer = gdrive_answer(op, res, err), *file;
	struct gdrive_node node;
	bool more = false;
	size_t i;
	int code = answer == NULL ? -EPROTO : 0;

	json_array_foreach (json_object_get(answer, "files"), i, file) {
		if (code == 0)
			code = gdrive_node_read(&node, file, err);
		if (code == 0)
			list_take(op, file, &node);
	}
	if (code == 0)
		code = gdrive_answer_next(gdrive->next, &more, answer, err);
	json_decref(answer);
	if (code != 0)
		return CLOUD_STEP_FAIL; /* a part of it was taken */
	if (more)
		return CLOUD_STEP_NEXT;
	list_finish(op);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
read_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_walk *walk = gdrive_walk(op);
	const struct gdrive_op *gdrive = op->data;
	struct gdrive_node node;

	if (gdrive->step == READ_MEDIA)
		return walk->node.is_pinned && !gdrive->unpinned ? CLOUD_STEP_DONE
								 : gdrive_next(op, READ_CHECK);
	if (gdrive_answer_file(&node, NULL, op, res, err) != 0)
		return provider_failed(err);
	return strcmp(node.version, walk->node.version) == 0 ? CLOUD_STEP_DONE
							     : refuse_version(op, op->path, err);
}

/* The page behind an empty one may have what it had not. */
static enum cloud_step
empty_response(struct cloud_op *op, const char *path, const struct http_response *res,
    unsigned next, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	json_t *answer = gdrive_answer(op, res, err);
	size_t found = json_array_size(json_object_get(answer, "files"));
	bool more = false;
	int code = answer == NULL ? -EPROTO : gdrive_answer_next(gdrive->next, &more, answer, err);

	json_decref(answer);
	if (code != 0)
		return provider_failed(err);
	if (found > 0)
		return object_refuse(err, -ENOTEMPTY, path, "directory not empty");
	return more ? CLOUD_STEP_NEXT : gdrive_next(op, next);
}

static enum cloud_step
copy_response(struct cloud_op *op, const struct http_response *res, struct err *err)
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
	type = digests_common(&node.digests, &from->node.digests);
	if (node.trashed || strcmp(node.parent, to->dir) != 0)
		return object_refuse(err, -EEXIST, op->path, "the copy was moved meanwhile");
	if (node.size != from->node.size ||
	    (type >= 0 && !digests_equal(&node.digests, &from->node.digests, type)))
		return gdrive_next(op, COPY_UNDO);
	gdrive_was_made(op, to, &node);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
move_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_walk *from = gdrive_walk(op), *to = other_walk(op);
	const struct gdrive_op *gdrive = op->data;

	if (gdrive->step == MOVE_LIST)
		return empty_response(op, op->path2, res, MOVE_MOVE, err);
	if (gdrive->step == MOVE_MOVE) {
		gdrive_was_removed(op, from);
		gdrive_was_removed(op, to);
		if (to->has)
			return gdrive_next(op, MOVE_TRASH);
	}
	gdrive_was_made(op, to, &from->node);
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
	struct gdrive_op *gdrive = op->data;

	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_SETATTR:
		return code == -ENOENT && op->list.len == 0 && gdrive_look_again(op)
		    ? CLOUD_STEP_NEXT
		    : CLOUD_STEP_FAIL;
	case CLOUD_READ: /* who may read the file need not be allowed to read its revisions */
		if ((code != -EACCES && code != -ENOENT) || gdrive->unpinned ||
		    !gdrive_walk(op)->node.is_pinned)
			return CLOUD_STEP_FAIL;
		gdrive->unpinned = true;
		return CLOUD_STEP_NEXT;
	case CLOUD_MKDIR:
		if (code == -ENOENT && gdrive_look_again(op))
			return CLOUD_STEP_NEXT;
		return code == -EEXIST ? mkdir_again(op, why, err) : CLOUD_STEP_FAIL;
	case CLOUD_COPY:
		if (gdrive->step == COPY_COPY && code == -ENOENT && gdrive_look_again(op))
			return CLOUD_STEP_NEXT;
		if (gdrive->step == COPY_COPY && code == -EEXIST)
			return gdrive_next(op, COPY_CHECK);
		return CLOUD_STEP_FAIL;
	case CLOUD_REMOVE: /* it was there a moment ago: the answer to this one was lost */
	case CLOUD_RMDIR:
		if (code != -ENOENT)
			return CLOUD_STEP_FAIL;
		gdrive_was_removed(op, gdrive_walk(op));
		return CLOUD_STEP_DONE;
	case CLOUD_MOVE:
		if (gdrive->step == MOVE_MOVE && code == -ENOENT && gdrive_look_again(op))
			return CLOUD_STEP_NEXT;
		return gdrive->step == MOVE_TRASH && code == -ENOENT ? CLOUD_STEP_DONE
								     : CLOUD_STEP_FAIL;
	default: return CLOUD_STEP_FAIL;
	}
}

static enum cloud_step
gdrive_take_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_op *gdrive = op->data;

	switch (op->kind) {
	case CLOUD_LIST: return list_response(op, res, err);
	case CLOUD_READ: return read_response(op, res, err);
	case CLOUD_COPY: return copy_response(op, res, err);
	case CLOUD_MOVE: return move_response(op, res, err);
	case CLOUD_MKDIR: return mkdir_response(op, res, err);
	case CLOUD_USAGE: return usage_response(op, res, err);
	case CLOUD_RMDIR:
		if (gdrive->step == RMDIR_LIST)
			return empty_response(op, op->path, res, RMDIR_TRASH, err);
		gdrive_was_removed(op, gdrive_walk(op));
		return CLOUD_STEP_DONE;
	case CLOUD_REMOVE: gdrive_was_removed(op, gdrive_walk(op)); return CLOUD_STEP_DONE;
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
	CLOUD_KEEPS_MTIME | CLOUD_CAN_SETATTR,
    .limits = {.put_max = GDRIVE_FILE_MAX,
	.part_min = GDRIVE_CHUNK,
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
