/*
 * From paths to ids, component by component.
 *
 * Directories that were looked at a moment ago are believed, until one of us moves one; older ones
 * are asked for (5 units of quota, where a list costs 100): the answer must have that name, that
 * parent, and not be in the trash, else the name is looked for anew.  What an op is going to change
 * is always looked for by its name, so that of twins it is the right one, and then asked for
 * itself, since lists may be behind.
 */
#include "providers/gdrive_private.h"
#include "providers/object.h"
#include "providers/providers.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

#define FRESH_MS        30000 /* a directory is believed for so long */
#define FRESH_CHANGE_MS 3000 /* where something is changed in it */
#define BEHIND_MAX      3
#define IDS_REFUSED_MAX 3

const char *
gdrive_walk_path(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	return walk == gdrive_walk(op) ? op->path : op->path2;
}

/* The place of whose paths: the request itself is always made with op->account's token. */
static struct gdrive_account *
walk_account(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	return walk != gdrive_walk(op) && op->from != NULL ? op->from->data : op->account->data;
}

const char *
gdrive_walk_name(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	return path_name(gdrive_walk_path(op, walk));
}

void
gdrive_walk_again(struct gdrive_walk *walk)
{
	unsigned behind = walk->behind;
	bool changes = walk->changes, makes = walk->makes;

	*walk = (struct gdrive_walk){.changes = changes, .makes = makes, .behind = behind};
}

bool
gdrive_look_again(struct cloud_op *op)
{
	struct gdrive_op *gdrive = op->data;
	const char *paths[] = {op->path, op->path2};

	if (gdrive->looked_again)
		return false;
	gdrive->looked_again = true;
	gdrive->step = 0;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (paths[i] != NULL)
			gdrive_place_drop(op->account->data, paths[i], strcspn(paths[i], "/"));
		gdrive_walk_again(&gdrive->walks[i]);
	}
	return true;
}

void
gdrive_was_made(struct cloud_op *op, const struct gdrive_walk *walk, const struct gdrive_node *node)
{
	const char *path = gdrive_walk_path(op, walk);

	gdrive_place_put(
	    op->account->data, path, strlen(path), node->id, node->is_directory, op->now_ms);
}

void
gdrive_was_removed(struct cloud_op *op, const struct gdrive_walk *walk)
{
	const char *path = gdrive_walk_path(op, walk);

	if (walk->has && walk->node.is_directory)
		gdrive_places_change();
	gdrive_place_drop(op->account->data, path, strlen(path));
	gdrive_new_drop(walk->dir, gdrive_walk_name(op, walk));
}

enum cloud_step
gdrive_refuse_version(const struct cloud_op *op, const char *path, struct err *err)
{
	return object_refuse(err, -ESTALE, path, "has changed: it is not that version any more");
}

enum cloud_step
gdrive_refuse_document(const char *path, struct err *err)
{
	return object_refuse(err, -EACCES, path,
	    "is a document, which only Google's editors write: remove it first, or take another name");
}

bool
gdrive_is_version(const struct cloud_op *op, const struct gdrive_node *node)
{
	return op->version == NULL || strcmp(op->version, node->version) == 0;
}

static size_t
walk_end(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	return walk->at + strcspn(gdrive_walk_path(op, walk) + walk->at, "/");
}

static bool
walk_is_leaf(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	return gdrive_walk_path(op, walk)[walk_end(op, walk)] == '\0';
}

static char *
walk_component(const struct cloud_op *op, const struct gdrive_walk *walk)
{
	const char *path = gdrive_walk_path(op, walk);

	return xstrndup(path + walk->at, walk_end(op, walk) - walk->at);
}

/* The component is this: on to the next one. */
static void
walk_step_into(struct cloud_op *op, struct gdrive_walk *walk, const char *id)
{
	struct gdrive_op *gdrive = op->data;

	gdrive->ids_refused = 0; /* of each name */
	snprintf(walk->dir, sizeof walk->dir, "%s", id);
	walk->at = walk_end(op, walk) + 1;
	walk->listed = walk->asked_new = walk->found_listed = false;
	walk->next[0] = '\0';
}

static void
walk_is_root(struct gdrive_walk *walk, const char *id)
{
	walk->node = (struct gdrive_node){.is_directory = true, .mtime_ns = ENTRY_NO_TIME};
	snprintf(walk->node.id, sizeof walk->node.id, "%s", id);
	walk->ended = walk->has = true;
}

/* Is what lies at the component so well known that nobody need be asked? */
static bool
walk_believes(
    const struct cloud_op *op, const struct gdrive_walk *walk, const struct gdrive_place *p)
{
	uint64_t fresh = walk->changes ? FRESH_CHANGE_MS : FRESH_MS;

	if (!p->is_directory || op->now_ms - p->checked_ms > fresh || !gdrive_place_is_current(p))
		return false;
	return !walk_is_leaf(op, walk) || op->kind == CLOUD_LIST;
}

static enum gdrive_ask
walk_plan_missing(struct cloud_op *op, struct gdrive_walk *walk)
{
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	char id[GDRIVE_ID_MAX];

	if (!walk->asked_new && gdrive_new_get(id, walk->dir, name, op->now_ms))
		return ASK_NEW;
	if (!walk_is_leaf(op, walk) && walk->makes)
		return gdrive_take_id(op, walk->dir, name) ? ASK_MAKE : ASK_IDS;
	walk->ended = true;
	return ASK_NOTHING;
}

static enum gdrive_ask
walk_plan(struct cloud_op *op, struct gdrive_walk *walk)
{
	struct gdrive_account *drive = walk_account(op, walk);
	const char *path = gdrive_walk_path(op, walk);
	struct gdrive_place *place;

	if (drive->root[0] == '\0' || (*path == '\0' && op->kind == CLOUD_STAT && !walk->has))
		return ASK_ROOT;
	if (walk->dir[0] == '\0')
		snprintf(walk->dir, sizeof walk->dir, "%s", drive->root);
	if (*path == '\0')
		walk_is_root(walk, drive->root);
	while (!walk->ended) {
		place = walk->listed ? NULL : gdrive_place_get(drive, path, walk_end(op, walk));
		if (place != NULL && walk_believes(op, walk, place)) {
			if (walk_is_leaf(op, walk))
				walk_is_root(walk, place->id);
			else
				walk_step_into(op, walk, place->id);
			continue;
		}
		if (place != NULL && !(walk_is_leaf(op, walk) && walk->changes))
			return ASK_PLACE;
		if (walk->found_listed)
			return ASK_CHECK;
		return walk->listed ? walk_plan_missing(op, walk) : ASK_NAME;
	}
	return ASK_NOTHING;
}

enum gdrive_ask
gdrive_walk_plan(struct cloud_op *op, struct gdrive_walk **out)
{
	struct gdrive_op *gdrive = op->data;

	gdrive->walks[0].ask = gdrive->walks[1].ask = ASK_NOTHING;
	for (size_t i = 0; i < ARRAY_LEN(gdrive->walks); i++) {
		struct gdrive_walk *walk = &gdrive->walks[i];

		if (walk->ended || (i == 1 && op->path2 == NULL))
			continue;
		*out = walk;
		walk->ask = walk_plan(op, walk);
		if (walk->ask != ASK_NOTHING)
			return walk->ask;
	}
	return ASK_NOTHING;
}

/* Ids */

bool
gdrive_take_id(struct cloud_op *op, const char *dir, const char *name)
{
	struct gdrive_account *drive = op->account->data;
	struct gdrive_op *gdrive = op->data;

	if (gdrive_new_get(gdrive->id, dir, name, op->now_ms))
		return true;
	if (drive->ids_len == 0)
		return false;
	gdrive_new_put(dir, name, drive->ids[--drive->ids_len], op->now_ms);
	return gdrive_new_get(gdrive->id, dir, name, op->now_ms);
}

void
gdrive_ask_ids(struct cloud_op *op, struct http_request *req)
{
	char count[16];

	gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/generateIds");
	snprintf(count, sizeof count, "%d", GDRIVE_IDS_MAX);
	gdrive_param(req, "count", count);
	gdrive_param(req, "fields", "ids");
}

enum cloud_step
gdrive_take_ids(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct gdrive_account *drive = op->account->data;
	json_t *answer, *id;
	size_t i;

	if (gdrive_check(op, res, err) != 0)
		return provider_failed(err);
	answer = gdrive_answer(op, res, err);
	drive->ids_len = 0;
	json_array_foreach (json_object_get(answer, "ids"), i, id) {
		if (drive->ids_len < GDRIVE_IDS_MAX && json_is_string(id) &&
		    gdrive_is_id(json_string_value(id)))
			snprintf(drive->ids[drive->ids_len++], GDRIVE_ID_MAX, "%s",
			    json_string_value(id));
	}
	json_decref(answer);
	if (drive->ids_len > 0)
		return CLOUD_STEP_NEXT;
	err_set(err, -EPROTO, "Google Drive generates no ids");
	return provider_failed(err);
}

/* Requests */

/* A string of a query: "Search for files and folders". */
static void
put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
	buf_putc(out, '\'');
}

/* A name that a file may have that is shown so, and the name of a document. */
static void
put_names(struct buf *out, enum gdrive_exports exports, const char *shown)
{
	CLEANUP(cleanup_free) char *document = gdrive_export_guess(exports, shown);

	buf_puts(out, out->len == 0 ? " and (name = " : " or name = ");
	put_quoted(out, shown);
	if (document != NULL) {
		buf_puts(out, " or name = ");
		put_quoted(out, document);
	}
}

/* All whose name may be shown so.  What a stand-in stands for cannot be asked for: then all. */
static void
ask_name(struct cloud_op *op, struct gdrive_walk *walk, struct http_request *req)
{
	CLEANUP(buf_free) struct buf terms = BUF_INIT(8192);
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	CLEANUP(cleanup_free) char *plain = gdrive_name_without_id(name);
	const struct gdrive_account *drive = walk_account(op, walk);

	if (!gdrive_name_has_stand_in(name)) {
		put_names(&terms, drive->exports, name);
		if (plain != NULL)
			put_names(&terms, drive->exports, plain);
		buf_putc(&terms, ')');
	}
	gdrive_ask_list(
	    req, op->account->data, walk->dir, buf_str(&terms), walk->next, GDRIVE_PAGE_MAX);
}

static void
ask_file(struct cloud_op *op, struct http_request *req, const char *id)
{
	gdrive_ask(req, op->account->data, "GET", "/drive/v3/files/%s", id);
	gdrive_param_file(req);
}

static void
ask_root(struct cloud_op *op, const struct gdrive_walk *walk, struct http_request *req)
{
	const struct gdrive_account *drive = walk_account(op, walk);

	ask_file(op, req,
	    drive->folder != NULL      ? drive->folder
		: drive->drive != NULL ? drive->drive
				       : "root");
}

static void
ask_make(struct cloud_op *op, const struct gdrive_walk *walk, struct http_request *req)
{
	const struct gdrive_op *gdrive = op->data;
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);

	gdrive_ask(req, op->account->data, "POST", "/drive/v3/files");
	gdrive_param_file(req);
	gdrive_body(req,
	    json_pack("{s:s, s:s, s:s, s:[s]}", "id", gdrive->id, "name", name, "mimeType",
		GDRIVE_FOLDER, "parents", walk->dir));
}

void
gdrive_walk_request(struct cloud_op *op, struct gdrive_walk *walk, struct http_request *req)
{
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	const struct gdrive_place *place;
	char id[GDRIVE_ID_MAX] = "";

	switch (walk->ask) {
	case ASK_ROOT: ask_root(op, walk, req); break;
	case ASK_PLACE:
		place = gdrive_place_get(
		    walk_account(op, walk), gdrive_walk_path(op, walk), walk_end(op, walk));
		ask_file(op, req, place->id);
		break;
	case ASK_NAME: ask_name(op, walk, req); break;
	case ASK_NEW:
		gdrive_new_get(id, walk->dir, name, op->now_ms);
		ask_file(op, req, id);
		break;
	case ASK_CHECK: ask_file(op, req, walk->node.id); break;
	case ASK_IDS: gdrive_ask_ids(op, req); break;
	case ASK_MAKE: ask_make(op, walk, req); break;
	case ASK_NOTHING: break;
	}
}

/* Answers */

/* What an op of one path tells of it. */
static void
walk_take_entry(struct cloud_op *op, const struct gdrive_walk *walk, const json_t *file,
    const struct gdrive_node *node)
{
	if (walk == gdrive_walk(op) && walk_is_leaf(op, walk))
		gdrive_entry_read(&op->entry, op->path, file, node);
}

static enum cloud_step
walk_found(
    struct cloud_op *op, struct gdrive_walk *walk, const struct gdrive_node *node, struct err *err)
{
	size_t end = walk_end(op, walk);

	((struct gdrive_op *)op->data)->looked_ms = op->now_ms;
	gdrive_place_put(walk_account(op, walk), gdrive_walk_path(op, walk), end, node->id,
	    node->is_directory, op->now_ms);
	gdrive_seen(walk_account(op, walk), node);
	if (walk_is_leaf(op, walk)) {
		walk->node = *node;
		walk->ended = walk->has = true;
		return CLOUD_STEP_NEXT;
	}
	if (!node->is_directory)
		return object_refuse(err, -ENOTDIR, gdrive_walk_path(op, walk),
		    "what lies above it is no directory");
	walk_step_into(op, walk, node->id);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
root_response(
    struct cloud_op *op, struct gdrive_walk *walk, const struct gdrive_node *node, struct err *err)
{
	struct gdrive_account *drive = walk_account(op, walk);

	if (!node->is_directory || node->trashed)
		return object_refuse(
		    err, -ENOENT, op->path, "the account's top is no folder, or in the trash");
	snprintf(drive->root, sizeof drive->root, "%s", node->id);
	if (*gdrive_walk_path(op, walk) == '\0') {
		walk_is_root(walk, node->id);
		object_take_directory(op);
	}
	return CLOUD_STEP_NEXT;
}

bool
gdrive_walk_fits(struct cloud_op *op, const struct gdrive_walk *walk, const json_t *file,
    const struct gdrive_node *node)
{
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	CLEANUP(cleanup_free) char *shown = gdrive_name(file, node);

	return shown != NULL && !node->trashed && strcmp(node->parent, walk->dir) == 0 &&
	    gdrive_node_is_shown(node) && gdrive_name_is(shown, node->id, name) != 0;
}

/* It is not what it was, or not there. */
static enum cloud_step
walk_misses(struct cloud_op *op, struct gdrive_walk *walk, struct err *err)
{
	gdrive_place_drop(walk_account(op, walk), gdrive_walk_path(op, walk), walk_end(op, walk));
	if (walk->ask == ASK_NEW) {
		walk->asked_new = true;
		return CLOUD_STEP_NEXT;
	}
	if (walk->ask == ASK_PLACE)
		return CLOUD_STEP_NEXT;
	walk->found_listed = walk->listed = false;
	if (++walk->behind < BEHIND_MAX)
		return CLOUD_STEP_NEXT;
	walk->behind = 0;
	err_set(err, -EAGAIN, "'%s': Google Drive's list shows what is not there any more",
	    gdrive_walk_path(op, walk));
	return provider_failed(err);
}

static bool
names_better(const struct gdrive_node *a, int a_how, const struct gdrive_node *b, int b_how)
{
	if (a_how != b_how)
		return a_how < b_how;
	return gdrive_node_compare(a->created, a->id, b->created, b->id) < 0;
}

/* The best of a page against the best so far. */
static int
name_page(struct cloud_op *op, struct gdrive_walk *walk, const json_t *answer, struct err *err)
{
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	const struct gdrive_account *drive = walk_account(op, walk);
	const json_t *file;
	struct gdrive_node node;
	size_t i;

	json_array_foreach (json_object_get(answer, "files"), i, file) {
		CLEANUP(cleanup_free) char *shown = NULL;
		int how;

		if (gdrive_node_read(&node, file, drive->exports, err) != 0)
			return -EPROTO;
		shown = gdrive_name(file, &node);
		if (shown == NULL || !gdrive_walk_fits(op, walk, file, &node))
			continue;
		how = gdrive_name_is(shown, node.id, name);
		if (walk->found_listed && !names_better(&node, how, &walk->node, walk->how))
			continue;
		walk->node = node;
		walk->how = how;
		walk->found_listed = true;
		walk_take_entry(op, walk, file, &node);
	}
	return 0;
}

static enum cloud_step
name_response(
    struct cloud_op *op, struct gdrive_walk *walk, const struct http_response *res, struct err *err)
{
	json_t *answer = gdrive_answer(op, res, err);
	struct gdrive_node node;
	bool more = false;
	int code = answer == NULL ? -EPROTO : name_page(op, walk, answer, err);

	if (code == 0)
		code = gdrive_answer_next(walk->next, &more, answer, err);
	json_decref(answer);
	if (code != 0)
		return provider_failed(err);
	if (more)
		return CLOUD_STEP_NEXT;
	walk->next[0] = '\0';
	walk->listed = true;
	if (!walk->found_listed || (walk->changes && walk_is_leaf(op, walk)))
		return CLOUD_STEP_NEXT;
	node = walk->node;
	return walk_found(op, walk, &node, err);
}

/* A directory was made, or is there already. */
static enum cloud_step
make_response(struct cloud_op *op, struct gdrive_walk *walk, int code, struct err *err)
{
	CLEANUP(cleanup_free) char *name = walk_component(op, walk);
	struct gdrive_op *gdrive = op->data;

	if (code == 0 || code == -EEXIST) {
		walk->asked_new = false; /* what is it? */
		if (code == -EEXIST && ++gdrive->ids_refused > 1)
			gdrive_new_drop(walk->dir, name);
	}
	if (code != 0 && (code != -EEXIST || gdrive->ids_refused > IDS_REFUSED_MAX))
		return provider_failed(err);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
file_response(
    struct cloud_op *op, struct gdrive_walk *walk, const struct http_response *res, struct err *err)
{
	const struct gdrive_account *drive = walk_account(op, walk);
	json_t *file = gdrive_answer(op, res, err);
	struct gdrive_node node;
	enum cloud_step step;

	if (file == NULL || gdrive_node_read(&node, file, drive->exports, err) != 0) {
		json_decref(file);
		return provider_failed(err);
	}
	if (walk->ask == ASK_ROOT) {
		step = root_response(op, walk, &node, err);
	} else if (gdrive_walk_fits(op, walk, file, &node)) {
		walk_take_entry(op, walk, file, &node);
		step = walk_found(op, walk, &node, err);
	} else {
		step = walk_misses(op, walk, err);
	}
	json_decref(file);
	return step;
}

enum cloud_step
gdrive_walk_response(
    struct cloud_op *op, struct gdrive_walk *walk, const struct http_response *res, struct err *err)
{
	int code;

	if (walk->ask == ASK_IDS)
		return gdrive_take_ids(op, res, err);
	code = gdrive_check(op, res, err);
	if (walk->ask == ASK_MAKE)
		return make_response(op, walk, code, err);
	if (code == -ENOENT &&
	    (walk->ask == ASK_PLACE || walk->ask == ASK_NEW || walk->ask == ASK_CHECK)) {
		err_clear(err);
		return walk_misses(op, walk, err);
	}
	if (code != 0)
		return provider_failed(err);
	return walk->ask == ASK_NAME ? name_response(op, walk, res, err)
				     : file_response(op, walk, res, err);
}
