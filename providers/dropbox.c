/*
 * The dropbox driver: Dropbox, by its API v2 ("HTTP documentation", and the specification from
 * which Dropbox makes its own SDKs).
 *
 * Names are kept as they were written, and found in any case: who reads "A" where there is an "a"
 * reads "a".  Nobody writes or removes "A" there: see dropbox_names.c.  Lists show the names as
 * they were written.
 *
 * The version of an entry is its revision, which no other file ever has.  A read names the path,
 * not the revision, though a revision could be read for weeks after it was replaced: whose source
 * has changed has to know.  The answer's head says which revision comes, before any content does.
 *
 * Folders are removed by the service with all that is in them, and it has no condition for that:
 * RMDIR looks first, and what somebody puts there between the look and the removal goes too (into
 * the trash, where everything removed stays for weeks).
 */
#include "providers/dropbox_private.h"
#include "providers/listing.h"
#include "providers/providers.h"
#include <stdlib.h>
#include <string.h>

#define DROPBOX_PAGE 2000 /* "ListFolderArg": the most */
#define DROPBOX_TIMES                                                                              \
	3 /* that an op begins anew because the folder or file has changed under it                \
	   */

/* Requests */

static void
ask_metadata(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;

	dropbox_rpc(req, dropbox, "files/get_metadata", dropbox_path_arg(dropbox, op->path));
}

static void
ask_list(struct http_request *req, const struct cloud_op *op, unsigned most)
{
	const struct dropbox_account *account = op->account->data;
	const struct dropbox_op *dropbox = op->data;
	json_t *arg;

	if (dropbox->cursor[0] != '\0') {
		arg = json_pack("{s:s}", "cursor", dropbox->cursor);
		dropbox_rpc(req, account, "files/list_folder/continue", arg);
		return;
	}
	arg = dropbox_path_arg(account, op->path);
	json_object_set_new(arg, "limit", json_integer(most));
	dropbox_rpc(req, account, "files/list_folder", arg);
}

/* The top has no metadata. */
static bool
is_top(const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;

	return *op->path == '\0' && *dropbox->root == '\0';
}

static void
put_stat(struct http_request *req, const struct cloud_op *op)
{
	if (is_top(op))
		ask_list(req, op, 1);
	else
		ask_metadata(req, op);
}

static void
put_read(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;

	if (op->length == 0) {
		ask_metadata(req, op);
		return;
	}
	dropbox_content(req, dropbox, "files/download", dropbox_path_arg(dropbox, op->path));
	object_put_range(req, op, "Range");
}

static void
ask_delete(struct http_request *req, const struct cloud_op *op, const char *rev)
{
	const struct dropbox_account *dropbox = op->account->data;
	json_t *arg = dropbox_path_arg(dropbox, op->path);

	if (rev != NULL)
		json_object_set_new(arg, "parent_rev", json_string(rev));
	dropbox_rpc(req, dropbox, "files/delete_v2", arg);
}

/* A folder is never removed by this: no request goes without a file's revision.  ASK: which file is
   it?  One of another name is another (dropbox_names.c).  ACT: it goes, if it is still that.  With
   a version it goes at once. */
static void
put_remove(struct http_request *req, struct cloud_op *op)
{
	struct dropbox_op *dropbox = op->data;

	if (dropbox->step == DROPBOX_ASK && op->version != NULL && dropbox_is_rev(op->version)) {
		dropbox->step = DROPBOX_ACT;
		snprintf(dropbox->source.rev, sizeof dropbox->source.rev, "%s", op->version);
	}
	if (dropbox->step == DROPBOX_ASK)
		ask_metadata(req, op);
	else if (dropbox->step == DROPBOX_ABOVE)
		dropbox_ask_above(op, req, op->path);
	else
		ask_delete(req, op, dropbox->source.rev);
}

/* ASK: which folder is it?  EMPTY: is it?  ACT: it goes.  What had to wait, or whose answer was
   lost, is looked at anew. */
static enum cloud_step
put_rmdir(struct http_request *req, struct cloud_op *op, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (dropbox->step == DROPBOX_ACT && dropbox->sent > 0) {
		if (++dropbox->times > DROPBOX_TIMES)
			return object_refuse(
			    err, -EAGAIN, op->path, "Dropbox has not removed it for long");
		dropbox->step = DROPBOX_EMPTY;
		dropbox->cursor[0] = '\0';
	}
	dropbox->sent++;
	switch (dropbox->step) {
	case DROPBOX_ASK: ask_metadata(req, op); break;
	case DROPBOX_ABOVE: dropbox_ask_above(op, req, op->path); break;
	case DROPBOX_EMPTY: ask_list(req, op, 1); break;
	default: ask_delete(req, op, NULL);
	}
	return CLOUD_STEP_SEND;
}

/* Nothing says that it leads to the revision for ever: it is not pinned. */
static void
put_link(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;

	dropbox_rpc(req, dropbox, "files/get_temporary_link", dropbox_path_arg(dropbox, op->path));
}

static bool
op_makes(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_STAT:
	case CLOUD_READ:
	case CLOUD_LINK:
	case CLOUD_REMOVE:
	case CLOUD_RMDIR:
	case CLOUD_CHANGES:
	case CLOUD_MOVE: return false;
	default: return true;
	}
}

/* What cannot be, before anything is asked. */
static enum cloud_step
check_place(const struct cloud_op *op, struct err *err)
{
	const char *made = op->kind == CLOUD_MOVE ? op->path2 : op_makes(op) ? op->path : "";

	if (!dropbox_is_name(made))
		return object_refuse(err, -EILSEQ, made,
		    "Dropbox has no names with a backslash or DEL, or with a blank at the end");
	if (!dropbox_is_name(op->path))
		return object_refuse(err, -ENOENT, op->path, "nothing can have such a name");
	switch (op->kind) {
	case CLOUD_LIST:
	case CLOUD_STAT:
	case CLOUD_CHANGES:
	case CLOUD_USAGE: return CLOUD_STEP_SEND;
	case CLOUD_COPY_PART:
		if (dropbox_is_pull(op))
			return CLOUD_STEP_SEND;
	/* fallthrough */
	case CLOUD_SETATTR:
		return object_refuse(err, -EOPNOTSUPP, op->path, "Dropbox cannot do this");
	case CLOUD_MKDIR: return *op->path == '\0' ? CLOUD_STEP_DONE : CLOUD_STEP_SEND;
	case CLOUD_RMDIR:
	case CLOUD_MOVE:
		return *op->path == '\0'
		    ? object_refuse(err, -EBUSY, op->path, "the account's top stays")
		    : CLOUD_STEP_SEND;
	default:
		return *op->path == '\0' ? object_refuse(err, -EISDIR, op->path, "is a directory")
					 : CLOUD_STEP_SEND;
	}
}

static enum cloud_step
dropbox_request(struct cloud_op *op, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;
	enum cloud_step step;

	if (op->kind == CLOUD_SWEEP)
		return CLOUD_STEP_DONE; /* a PUT is atomic and leaves nothing, nor does a COPY */
	step = check_place(op, err);
	if (step != CLOUD_STEP_SEND)
		return step;
	switch (op->kind) {
	case CLOUD_LIST: ask_list(req, op, DROPBOX_PAGE); break;
	case CLOUD_STAT: put_stat(req, op); break;
	case CLOUD_READ: put_read(req, op); break;
	case CLOUD_PUT:
	case CLOUD_MKDIR: return dropbox_write_request(op, req, err);
	case CLOUD_LINK: put_link(req, op); break;
	case CLOUD_REMOVE: put_remove(req, op); break;
	case CLOUD_RMDIR: return put_rmdir(req, op, err);
	case CLOUD_USAGE:
		dropbox_rpc(req, op->account->data, "users/get_space_usage", json_null());
		break;
	case CLOUD_COPY:
	case CLOUD_MOVE: return dropbox_move_request(op, req, err);
	case CLOUD_CHANGES: return dropbox_changes_request(op, req);
	default: return dropbox_upload_request(op, req, err);
	}
	return CLOUD_STEP_SEND;
}

/* Answers */

enum cloud_step
dropbox_failed(const struct dropbox_result *result, struct err *err)
{
	if (err != NULL)
		*err = result->why;
	return provider_failed(&result->why);
}

int
dropbox_object(struct dropbox_object *out, const json_t *metadata, struct err *err)
{
	const char *id = dropbox_text(metadata, "id"), *rev = dropbox_text(metadata, "rev");
	const char *name = dropbox_text(metadata, "name");

	out->is_folder = strcmp(dropbox_text(metadata, ".tag"), "folder") == 0;
	if (*id == '\0' || strlen(id) >= sizeof out->id ||
	    (!out->is_folder && !dropbox_is_rev(rev)))
		return err_set(err, -EPROTO, "the service does not tell id and revision");
	snprintf(out->id, sizeof out->id, "%s", id);
	snprintf(out->rev, sizeof out->rev, "%s", rev);
	snprintf(out->name, sizeof out->name, "%s", name);
	snprintf(out->hash, sizeof out->hash, "%s", dropbox_text(metadata, "content_hash"));
	return 0;
}

json_t *
dropbox_metadata(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	json_t *answer = dropbox_parse(op, res, err);
	json_t *metadata = json_object_get(answer, "metadata");

	if (metadata == NULL)
		return answer;
	json_incref(metadata);
	json_decref(answer);
	return metadata;
}

enum cloud_step
dropbox_done(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	json_t *metadata = dropbox_metadata(op, result->res, err);
	int code = metadata == NULL ? -EPROTO : dropbox_take(op, metadata, err);

	json_decref(metadata);
	if (code == 0)
		return CLOUD_STEP_DONE;
	/* What alters nothing is asked again. */
	return op->kind == CLOUD_STAT || op->kind == CLOUD_READ ? provider_failed(err)
								: CLOUD_STEP_FAIL;
}

static void
take_entries(struct cloud_op *op, const json_t *answer)
{
	const json_t *entries = json_object_get(answer, "entries"), *one;
	struct listing_dir dir = {.path = op->path, .prefix = ""};
	bool marker = false;
	size_t i;

	json_array_foreach (entries, i, one) {
		CLEANUP(entry_fini) struct entry entry;

		entry_init(&entry);
		if (dropbox_entry(&entry, one, dropbox_text(one, "name"), NULL) == 0)
			listing_take(&op->list, &entry, &marker, &dir, dropbox_is_name);
	}
}

/* Is there another page?  NEXT, DONE, or the answer makes no sense. */
static enum cloud_step
take_cursor(struct cloud_op *op, const json_t *answer, struct err *err)
{
	const char *cursor = dropbox_text(answer, "cursor");
	struct dropbox_op *dropbox = op->data;

	if (!json_is_true(json_object_get(answer, "has_more")))
		return CLOUD_STEP_DONE;
	if (*cursor == '\0' || strlen(cursor) >= sizeof dropbox->cursor)
		return object_refuse(
		    err, -EPROTO, op->path, "the service says that its list goes on, and not how");
	snprintf(dropbox->cursor, sizeof dropbox->cursor, "%s", cursor);
	return CLOUD_STEP_NEXT;
}

/* A cursor that is not valid any more: from the beginning, but not for ever. */
static enum cloud_step
list_again(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (!dropbox_error_is(&result->error, "reset") || ++dropbox->times > DROPBOX_TIMES)
		return dropbox_failed(result, err);
	dropbox->cursor[0] = '\0';
	entry_list_fini(&op->list);
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
list_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct err why = ERR_INIT;
	enum cloud_step step;
	json_t *answer;

	if (result->code != 0)
		return list_again(op, result, err);
	answer = dropbox_parse(op, result->res, &why);
	if (answer == NULL)
		return object_garbled(op, &why, err);
	take_entries(op, answer);
	step = take_cursor(op, answer, err);
	json_decref(answer);
	if (step == CLOUD_STEP_DONE)
		listing_finish(&op->list);
	return step;
}

static enum cloud_step
stat_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	if (result->code != 0)
		return dropbox_failed(result, err);
	if (!is_top(op))
		return dropbox_done(op, result, err);
	object_take_directory(op);
	return CLOUD_STEP_DONE;
}

/* Is it the version that is wanted, or that the content began with? */
static enum cloud_step
check_pinned(struct cloud_op *op, const char *pinned, struct err *err)
{
	if (op->entry.kind == ENTRY_DIRECTORY)
		return object_refuse(err, -EISDIR, op->path, "is a directory");
	if (pinned != NULL && strcmp(pinned, op->entry.version) != 0)
		return object_refuse(err, -ESTALE, op->path,
		    "has changed: it is not the version any more that was asked for");
	return CLOUD_STEP_DONE;
}

/* The metadata come in a header, as JSON in ASCII. */
static enum cloud_step
dropbox_head(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	CLEANUP(cleanup_free) char *pinned = NULL;
	const char *text;
	enum cloud_step step;
	uint64_t size = 0;
	json_t *metadata;
	int code;

	if (op->kind != CLOUD_READ || op->length == 0 || (res->status != 200 && res->status != 206))
		return CLOUD_STEP_COLLECT;
	text = http_header_get(&res->headers, "Dropbox-API-Result");
	metadata = text == NULL ? NULL : json_loads(text, 0, NULL);
	pinned = xstrdup_null(object_pinned(op));
	code = metadata == NULL
	    ? err_set(err, -EPROTO, "'%s': the service does not tell what it sends", op->path)
	    : dropbox_take(op, metadata, err);
	json_decref(metadata);
	if (code != 0)
		return CLOUD_STEP_FAIL;
	step = check_pinned(op, pinned, err);
	if (step != CLOUD_STEP_DONE)
		return step;
	code = object_check_range(op, res, &size, err);
	if (code == 0 && size != op->entry.size)
		code = err_set(
		    err, -EPROTO, "'%s': the service tells two sizes of what it sends", op->path);
	return code == 0 ? CLOUD_STEP_STREAM : CLOUD_STEP_FAIL;
}

/* What was streamed has been looked at in dropbox_head(). */
static enum cloud_step
read_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	enum cloud_step step;

	if (result->res->status == 416) /* from the end on: nothing, and no error */
		return CLOUD_STEP_DONE;
	if (result->code != 0)
		return dropbox_failed(result, err);
	if (op->length != 0)
		return CLOUD_STEP_DONE;
	step = dropbox_done(op, result, err);
	return step == CLOUD_STEP_DONE ? check_pinned(op, op->version, err) : step;
}

static enum cloud_step
link_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	enum cloud_step step;
	const char *link;
	json_t *answer;

	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	link = dropbox_text(answer, "link");
	if (*link == '\0')
		step = object_refuse(err, -EPROTO, op->path, "the service gives no link to it");
	else if (dropbox_take(op, json_object_get(answer, "metadata"), err) != 0)
		step = CLOUD_STEP_FAIL;
	else
		step = check_pinned(op, op->version, err);
	if (step == CLOUD_STEP_DONE)
		op->link = xstrdup(link);
	json_decref(answer);
	return step;
}

static enum cloud_step
remove_asked(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	bool elsewhere = false;
	enum cloud_step step;
	json_t *metadata;

	if (result->code != 0)
		return dropbox_failed(result, err);
	metadata = dropbox_metadata(op, result->res, err);
	if (metadata == NULL || dropbox_take(op, metadata, err) != 0)
		step = CLOUD_STEP_FAIL;
	else
		step = check_pinned(op, op->version, err);
	if (step == CLOUD_STEP_DONE) {
		elsewhere = dropbox_is_elsewhere(op, op->path, metadata);
		if (dropbox_check_name(op, op->path, dropbox_text(metadata, "name"), err) != 0)
			step = CLOUD_STEP_FAIL;
	}
	json_decref(metadata);
	if (step != CLOUD_STEP_DONE)
		return step;
	snprintf(dropbox->source.rev, sizeof dropbox->source.rev, "%s", op->entry.version);
	return dropbox_next(op, elsewhere ? DROPBOX_ABOVE : DROPBOX_ACT);
}

static enum cloud_step
remove_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step;

	if (dropbox->step == DROPBOX_ASK)
		return remove_asked(op, result, err);
	if (dropbox->step == DROPBOX_ABOVE) {
		step = dropbox_above_response(op, op->path, result, err);
		return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_ACT) : step;
	}
	if (result->code == 0)
		return CLOUD_STEP_DONE;
	if (strstr(result->error.tags, "conflict") == NULL)
		return dropbox_failed(result, err);
	if (op->version != NULL)
		return object_refuse(err, -ESTALE, op->path, "has changed, and is not removed");
	if (++dropbox->times > DROPBOX_TIMES)
		return object_refuse(err, -EBUSY, op->path, "changes all the time");
	return dropbox_next(op, DROPBOX_ASK);
}

/* One of another name is another (dropbox_names.c). */
static enum cloud_step
rmdir_asked(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	bool elsewhere = false;
	json_t *metadata;
	int code;

	if (result->code != 0)
		return dropbox_failed(result, err);
	metadata = dropbox_metadata(op, result->res, err);
	code = metadata == NULL ? -EPROTO : dropbox_object(&dropbox->target, metadata, err);
	if (code == 0 && !dropbox->target.is_folder)
		code = err_set(err, -ENOTDIR, "'%s' is a file", op->path);
	if (code == 0)
		code = dropbox_check_name(op, op->path, dropbox->target.name, err);
	if (code == 0)
		elsewhere = dropbox_is_elsewhere(op, op->path, metadata);
	json_decref(metadata);
	return code != 0 ? CLOUD_STEP_FAIL
			 : dropbox_next(op, elsewhere ? DROPBOX_ABOVE : DROPBOX_EMPTY);
}

static enum cloud_step
rmdir_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	enum cloud_step step;
	json_t *answer;

	if (dropbox->step == DROPBOX_ASK)
		return rmdir_asked(op, result, err);
	if (dropbox->step == DROPBOX_ABOVE) {
		step = dropbox_above_response(op, op->path, result, err);
		return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_EMPTY) : step;
	}
	if (dropbox->step == DROPBOX_ACT)
		return result->code != 0 ? dropbox_failed(result, err) : CLOUD_STEP_DONE;
	if (result->code != 0)
		return list_again(op, result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	if (json_array_size(json_object_get(answer, "entries")) > 0)
		step = object_refuse(err, -ENOTEMPTY, op->path, "is not empty");
	else
		step = take_cursor(op, answer, err);
	json_decref(answer);
	return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_ACT) : step;
}

static uint64_t
member_u64(const json_t *object, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(object, name));

	return value < 0 ? 0 : (uint64_t)value;
}

/* "SpaceAllocation": one's own, or of a team, of which one may have a share. */
static enum cloud_step
usage_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	json_t *answer;
	const json_t *allocation;
	uint64_t share;

	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	allocation = json_object_get(answer, "allocation");
	op->usage.used = member_u64(answer, "used");
	op->usage.total = member_u64(allocation, "allocated");
	share = member_u64(allocation, "user_within_team_space_allocated");
	if (share > 0)
		op->usage.total = share;
	else if (strcmp(dropbox_text(allocation, ".tag"), "team") == 0)
		op->usage.used = member_u64(allocation, "used");
	op->usage.total = MAX(op->usage.total, op->usage.used);
	op->usage.available = op->usage.total - op->usage.used;
	json_decref(answer);
	return CLOUD_STEP_DONE;
}

static enum cloud_step
dropbox_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	struct dropbox_result result = {.res = res};

	result.code = dropbox_check(op, res, &result.error, &result.why);
	dropbox_note_lock(op, &result.error);
	switch (op->kind) {
	case CLOUD_LIST: return list_response(op, &result, err);
	case CLOUD_STAT: return stat_response(op, &result, err);
	case CLOUD_READ: return read_response(op, &result, err);
	case CLOUD_PUT:
	case CLOUD_MKDIR: return dropbox_write_response(op, &result, err);
	case CLOUD_LINK: return link_response(op, &result, err);
	case CLOUD_REMOVE: return remove_response(op, &result, err);
	case CLOUD_RMDIR: return rmdir_response(op, &result, err);
	case CLOUD_USAGE: return usage_response(op, &result, err);
	case CLOUD_COPY:
	case CLOUD_MOVE: return dropbox_move_response(op, &result, err);
	case CLOUD_CHANGES: return dropbox_changes_response(op, &result, err);
	default: return dropbox_upload_response(op, &result, err);
	}
}

/* By a reference that is made with the source account's token, and taken by this one: both must be
   accounts of one app ("copy_reference/save"). */
static bool
dropbox_copies_from(const struct account *to, const struct account *from)
{
	const struct dropbox_account *one = to->data, *two = from->data;

	return strcmp(one->service, two->service) == 0 &&
	    strcmp(one->oauth.client_id, two->oauth.client_id) == 0;
}

const struct cloud_driver dropbox_driver = {
    .name = "dropbox",
    .title = "Dropbox",
    .transport = CLOUD_HTTP,
    .features = CLOUD_CAN_COPY | CLOUD_CAN_LINK | CLOUD_CAN_MOVE | CLOUD_CAN_MOVE_DIR |
	CLOUD_CAN_PULL | CLOUD_HAS_DIRECTORIES | CLOUD_KEEPS_MTIME | CLOUD_CHECKS_PUT |
	CLOUD_UPLOADS_UNTOLD | CLOUD_VERSIONS_UNIQUE | CLOUD_PULLS_WHOLE | CLOUD_PULLS_TIMELESS |
	CLOUD_HAS_CHANGES,
    .limits = {.put_max = DROPBOX_PUT_MAX,
	.part_min = DROPBOX_BLOCK,
	.part_max = DROPBOX_PART_MAX,
	.part_size = DROPBOX_BLOCK,
	.upload_from = DROPBOX_UPLOAD,
	.parts_max = DROPBOX_PARTS_MAX,
	.pull_min = DROPBOX_UPLOAD,
	.pull_max = DROPBOX_PULL_MAX,
	.concurrency = 8},
    .fields = dropbox_fields,
    .hashes = HASH_BIT(HASH_DROPBOX),
    .account_size = sizeof(struct dropbox_account),
    .op_size = sizeof(struct dropbox_op),
    .open = dropbox_open,
    .close = dropbox_close,
    .request = dropbox_request,
    .head = dropbox_head,
    .response = dropbox_response,
    .batch = &dropbox_finishes,
    .sign_in = &oauth_sign_in,
    .oauth = &dropbox_oauth,
    .copies_from = dropbox_copies_from,
    .identity = dropbox_identity,
};
