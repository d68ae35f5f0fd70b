/*
 * What others change: "changes" of the API.
 *
 * A change names a file and tells what it is now: where it is, not where it was, and of one that is
 * gone for good not even that.  So from the first time that changes are asked for, it is remembered
 * in which directory each file was shown; with the places (gdrive_account.h), which tell where that
 * directory is, a change leads to the lists that it makes wrong.  What leads nowhere was never
 * shown: a place that is dropped here is told as changed.
 *
 * What is to be told is kept in the account until it is: when an answer is lost, the same changes
 * come again, but where the files were before is not known any more.
 */
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

#define PARENTS_MIN 256
#define PARENTS_MAX 65536 /* slots; the largest table is 1 MiB */
#define PAGES_MAX   10 /* of 1,000 changes: who is so far behind begins anew */

enum { CHANGES_BEGIN, CHANGES_START, CHANGES_LIST };

/* Where files were shown: hashes of ids, the low bits of the file's say in which slot it is. */

static uint64_t
id_hash(const char *id)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	for (; *id != '\0'; id++)
		hash = (hash ^ (unsigned char)*id) * 0x100000001b3;
	return hash | 1; /* 0 is a free slot */
}

static struct gdrive_parent *
parent_slot(const struct gdrive_account *drive, uint64_t file)
{
	size_t at = (file >> 16) & (drive->parents_size - 1);

	while (drive->parents[at].file != 0 && drive->parents[at].file != file)
		at = (at + 1) & (drive->parents_size - 1);
	return &drive->parents[at];
}

static void
parents_grow(struct gdrive_account *drive)
{
	struct gdrive_parent *old = drive->parents;
	size_t size = drive->parents_size;

	if (size == PARENTS_MAX) {
		cloud_changed_all(&drive->untold);
		drive->parents_len = size = 0;
		free(TAKE(old));
	}
	drive->parents_size = size == 0 ? PARENTS_MIN : 2 * size;
	drive->parents = xcalloc(drive->parents_size, sizeof *drive->parents);
	for (size_t i = 0; old != NULL && i < size; i++) {
		if (old[i].file != 0)
			*parent_slot(drive, old[i].file) = old[i];
	}
	free(old);
}

void
gdrive_seen(struct gdrive_account *drive, const struct gdrive_node *node)
{
	struct gdrive_parent *slot;

	if (!drive->follows || node->parent[0] == '\0')
		return;
	if (drive->parents_len >= drive->parents_size / 4 * 3)
		parents_grow(drive);
	slot = parent_slot(drive, id_hash(node->id));
	drive->parents_len += slot->file == 0;
	*slot = (struct gdrive_parent){id_hash(node->id), id_hash(node->parent)};
}

/* Of the directory that it was shown in; 0: it was not. */
static uint64_t
seen_in(const struct gdrive_account *drive, const char *id)
{
	return drive->parents_size == 0 ? 0 : parent_slot(drive, id_hash(id))->parent;
}

/* Requests */

static void
forget_all(struct gdrive_account *drive)
{
	cloud_changed_all(&drive->untold);
	gdrive_place_drop(drive, "", 0);
	free(TAKE(drive->parents));
	drive->parents_len = drive->parents_size = 0;
}

static enum cloud_step
begin_anew(struct cloud_op *op)
{
	forget_all(op->account->data);
	return gdrive_next(op, CHANGES_START);
}

static void
changes_begin(struct cloud_op *op)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;

	gdrive->step = op->cursor == NULL ? CHANGES_START : CHANGES_LIST;
	if (op->cursor != NULL && (!drive->follows || strlen(op->cursor) >= GDRIVE_NEXT_MAX))
		begin_anew(op); /* another account has it, which knew what it had shown */
	else if (op->cursor != NULL)
		snprintf(gdrive->next, sizeof gdrive->next, "%s", op->cursor);
	drive->follows = true;
}

enum cloud_step
gdrive_put_changes(struct cloud_op *op, struct http_request *req)
{
	const struct gdrive_account *drive = op->account->data;
	const struct gdrive_op *gdrive = op->data;
	char size[16];

	if (gdrive->step == CHANGES_BEGIN)
		changes_begin(op);
	gdrive_ask(req, drive, "GET",
	    gdrive->step == CHANGES_START ? "/drive/v3/changes/startPageToken"
					  : "/drive/v3/changes");
	if (drive->drive != NULL)
		gdrive_param(req, "driveId", drive->drive);
	if (gdrive->step == CHANGES_START) {
		gdrive_param(req, "fields", "startPageToken");
	} else {
		gdrive_param(req, "fields",
		    "nextPageToken,newStartPageToken,changes(changeType,driveId,fileId,"
		    "file(id,name,mimeType,parents,trashed))");
		gdrive_param(req, "includeItemsFromAllDrives", "true");
		snprintf(size, sizeof size, "%d", GDRIVE_PAGE_MAX);
		gdrive_param(req, "pageSize", size);
		gdrive_param(req, "pageToken", gdrive->next);
	}
	gdrive_param(req, "supportsAllDrives", "true");
	return CLOUD_STEP_SEND;
}

/* Answers */

/* The list of the directory has changed, wherever paths lead to it. */
static void
directory_changed(struct gdrive_account *drive, uint64_t id)
{
	if (drive->root[0] != '\0' && id_hash(drive->root) == id)
		cloud_changed_add(&drive->untold, "", false);
	for (size_t i = 0; i < GDRIVE_PLACES_MAX; i++) {
		const struct gdrive_place *p = &drive->places[i];

		if (p->path != NULL && p->is_directory && id_hash(p->id) == id)
			cloud_changed_add(&drive->untold, p->path, false);
	}
}

/* Paths that led to it lead elsewhere now, unless they are what it is still called. */
static void
leave_places(struct gdrive_account *drive, const char *id, const char *name)
{
	for (size_t i = 0; i < GDRIVE_PLACES_MAX; i++) {
		const struct gdrive_place *p = &drive->places[i];
		CLEANUP(cleanup_free) char *path = NULL;

		if (p->path == NULL || strcmp(p->id, id) != 0 ||
		    (name != NULL && gdrive_name_is(name, id, path_name(p->path)) != 0))
			continue;
		path = xstrdup(p->path);
		gdrive_place_drop(drive, path, strlen(path));
	}
}

static int
take_change(struct gdrive_account *drive, const json_t *change, struct err *err)
{
	const char *type = json_string_value(json_object_get(change, "changeType"));
	const char *id = json_string_value(json_object_get(change, "fileId"));
	const char *of = json_string_value(json_object_get(change, "driveId"));
	const json_t *file = json_object_get(change, "file");
	CLEANUP(cleanup_free) char *name = NULL;
	struct gdrive_node node = {.trashed = true};
	uint64_t was, is = 0;

	if (type != NULL && strcmp(type, "drive") == 0) {
		if (of != NULL && drive->drive != NULL && strcmp(of, drive->drive) == 0)
			forget_all(drive);
		return 0;
	}
	if (id == NULL || !gdrive_is_id(id))
		return err_set(err, -EPROTO, "the answer tells no changes");
	if (json_is_object(file) && gdrive_node_read(&node, file, drive->exports, err) != 0)
		return -EPROTO;
	if (node.parent[0] != '\0')
		is = id_hash(node.parent);
	was = seen_in(drive, id);
	if (!node.trashed && was == is)
		name = gdrive_name(file, &node);
	if (node.trashed && strcmp(id, drive->root) == 0)
		forget_all(drive);
	directory_changed(drive, was);
	directory_changed(drive, is);
	leave_places(drive, id, name);
	if (!node.trashed)
		gdrive_seen(drive, &node);
	return 0;
}

static int
take_token(char **out, const json_t *answer, const char *name, struct err *err)
{
	const char *token = json_string_value(json_object_get(answer, name));

	if (token == NULL || *token == '\0' || strlen(token) >= GDRIVE_NEXT_MAX)
		return err_set(err, -EPROTO, "Google Drive does not say how its changes go on");
	xstrset(out, token);
	return 0;
}

static int
take_page(struct cloud_op *op, const json_t *answer, bool *more, struct err *err)
{
	struct gdrive_op *gdrive = op->data;
	const json_t *change;
	size_t i;
	int code = 0;

	json_array_foreach (json_object_get(answer, "changes"), i, change) {
		if (code == 0)
			code = take_change(op->account->data, change, err);
	}
	if (code == 0)
		code = gdrive_answer_next(gdrive->next, more, answer, err);
	if (code == 0 && !*more)
		code = take_token(&op->cursor, answer, "newStartPageToken", err);
	return code;
}

enum cloud_step
gdrive_changes_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;
	bool begins = gdrive->step == CHANGES_START, more = false;
	json_t *answer;
	int code = gdrive_check(op, res, err);

	/* "If the token is rejected for any reason, it should be discarded." */
	if ((code == -EINVAL || code == -ENOENT) && !begins) {
		err_clear(err);
		return begin_anew(op);
	}
	if (code != 0)
		return provider_failed(err);
	answer = gdrive_answer(op, res, err);
	if (answer == NULL)
		code = -EPROTO;
	else if (begins)
		code = take_token(&op->cursor, answer, "startPageToken", err);
	else
		code = take_page(op, answer, &more, err);
	json_decref(answer);
	if (code != 0)
		return CLOUD_STEP_FAIL;
	if (more)
		return ++gdrive->looks < PAGES_MAX ? CLOUD_STEP_NEXT : begin_anew(op);
	SWAP(op->changed, drive->untold);
	return CLOUD_STEP_DONE;
}
