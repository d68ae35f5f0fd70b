/* Lists of directories. */
#include "providers/gdrive_private.h"
#include "providers/listing.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

enum cloud_step
gdrive_put_list(struct cloud_op *op, struct http_request *req, struct err *err)
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

/* Twins are told apart when all are there: until then an entry's path has behind it when the file
   was made, and its id. */
#define LIST_MARK '\x01'

static void
list_take(struct cloud_op *op, const json_t *file, const struct gdrive_node *node)
{
	CLEANUP(cleanup_free) char *name = gdrive_name(file, node);
	CLEANUP(cleanup_free) char *path = name == NULL ? NULL : path_child(op->path, name);
	struct entry *entry;

	if (path == NULL || !path_is_canonical(path) || !gdrive_node_is_shown(node)) {
		op->list.hidden++;
		return;
	}
	gdrive_seen(op->account->data, node);
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
	size_t hidden = list->hidden;
	struct list_name *names;
	const char *first = NULL;
	char *path;

	/* What two pages tell is one file, and no twin of its own. */
	listing_finish(list);
	list->hidden = hidden;
	names = xcalloc(MAX(list->len, (size_t)1), sizeof *names);
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

enum cloud_step
gdrive_list_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;
	json_t *answer = gdrive_answer(op, res, err), *file;
	struct gdrive_node node;
	bool more = false;
	size_t i;
	int code = answer == NULL ? -EPROTO : 0;

	json_array_foreach (json_object_get(answer, "files"), i, file) {
		if (code == 0)
			code = gdrive_node_read(&node, file, drive->exports, err);
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

/* The page behind an empty one may have what it had not. */
enum cloud_step
gdrive_empty_response(struct cloud_op *op, const char *path, const struct http_response *res,
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
