/*
 * Copies and moves ("copy_v2", "move_v2", "copy_reference"), and what was pulled (dropbox_pull.c)
 * on its way to its place.
 *
 * The service does neither onto something that is there.  So what is in the way is looked at, and
 * removed (a file by its revision, a folder if it is empty) before the same is asked again; if that
 * is then refused, the file that was removed is restored.  The source is never touched before.  An
 * object that is in its own way is one whose name changes case only: it moves aside and then there.
 *
 * The service copies what is there, of whatever revision.  The copy's content hash says whether it
 * was the right one; a wrong copy is removed again.
 */
#include "providers/dropbox_private.h"
#include "providers/providers.h"
#include <stdlib.h>
#include <string.h>

#define DROPBOX_TIMES 3 /* that what is in the way may change while it is looked at */

static bool
is_pulled(const struct cloud_op *op)
{
	return op->kind == CLOUD_UPLOAD_COMMIT;
}

static const char *
source_path(const struct cloud_op *op)
{
	return op->kind == CLOUD_COPY ? op->path2 : op->path;
}

static const char *
target_path(const struct cloud_op *op)
{
	return op->kind == CLOUD_MOVE ? op->path2 : op->path;
}

static bool
is_foreign(const struct cloud_op *op)
{
	return op->kind == CLOUD_COPY && op->from != op->account;
}

/* Beside the source. */
static char *
aside_path(const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;
	CLEANUP(cleanup_free) char *dir = path_parent(op->path);
	CLEANUP(cleanup_free) char *name = xasprintf(".skyferry-rename-%s", dropbox->aside);

	return path_child(dir, name);
}

/* Requests */

static void
ask_metadata(struct http_request *req, const struct dropbox_account *dropbox, const char *path)
{
	dropbox_rpc(req, dropbox, "files/get_metadata", dropbox_path_arg(dropbox, path));
}

/* The token is the source account's: nobody refreshes it for this op, but whoever has just looked
   at the source has left a good one. */
static enum cloud_step
ask_reference(struct http_request *req, struct cloud_op *op, struct err *err)
{
	const struct dropbox_account *from = op->from->data;

	op->only_this = oauth_sign_in.is_needed(op->from, op->now_ms);
	if (op->only_this)
		return object_refuse(err, -EOPNOTSUPP, op->path2,
		    "the source account is not signed in at the moment");
	dropbox_rpc(req, from, "files/copy_reference/get", dropbox_path_arg(from, op->path2));
	return CLOUD_STEP_SEND;
}

static void
ask_move(struct http_request *req, const struct cloud_op *op, const char *from, const char *to)
{
	const struct dropbox_account *dropbox = op->account->data;

	dropbox_rpc(req, dropbox, op->kind == CLOUD_MOVE ? "files/move_v2" : "files/copy_v2",
	    dropbox_paths_arg(dropbox, from, to));
}

static void
ask_act(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_account *account = op->account->data;
	const struct dropbox_op *dropbox = op->data;
	CLEANUP(cleanup_free) char *aside = dropbox->aside[0] == '\0' ? NULL : aside_path(op);
	json_t *arg;

	if (is_pulled(op)) { /* by its id, which goes with it */
		arg = dropbox_paths_arg(account, "", op->path);
		json_object_set_new(arg, "from_path", json_string(dropbox->source.id));
		dropbox_rpc(req, account, "files/move_v2", arg);
		return;
	}
	if (!is_foreign(op)) {
		ask_move(req, op, aside == NULL ? source_path(op) : aside, target_path(op));
		return;
	}
	arg = dropbox_path_arg(account, op->path);
	json_object_set_new(arg, "copy_reference", json_string(dropbox->reference));
	dropbox_rpc(req, account, "files/copy_reference/save", arg);
}

/* route: "files/delete_v2", with the revision as parent_rev, or "files/restore". */
static void
ask_of_target(struct http_request *req, const struct cloud_op *op, const char *route,
    const char *name, const char *rev)
{
	const struct dropbox_account *dropbox = op->account->data;
	json_t *arg = dropbox_path_arg(dropbox, target_path(op));

	if (*rev != '\0')
		json_object_set_new(arg, name, json_string(rev));
	dropbox_rpc(req, dropbox, route, arg);
}

static void
ask_empty(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;
	json_t *arg = dropbox_path_arg(dropbox, op->path2);

	json_object_set_new(arg, "limit", json_integer(1));
	dropbox_rpc(req, dropbox, "files/list_folder", arg);
}

static void
ask_aside(struct http_request *req, const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;
	CLEANUP(cleanup_free) char *aside = aside_path(op);

	if (dropbox->step == DROPBOX_ASIDE)
		ask_move(req, op, op->path, aside);
	else
		ask_move(req, op, aside, op->path);
}

enum cloud_step
dropbox_move_request(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct dropbox_account *account = op->account->data;
	struct dropbox_op *dropbox = op->data;

	if (op->kind == CLOUD_COPY && op->from == NULL)
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "Dropbox reads links as uploads only");
	if (dropbox->step == DROPBOX_ASK && is_foreign(op))
		dropbox->step = DROPBOX_SOURCE;
	/* A folder's removal that had to wait, or whose answer was lost: is it still empty? */
	if (dropbox->step == DROPBOX_CLEAR && dropbox->target.is_folder && dropbox->sent > 0) {
		if (++dropbox->times > DROPBOX_TIMES)
			return object_refuse(
			    err, -EAGAIN, op->path2, "Dropbox has not removed it for long");
		dropbox_next(op, DROPBOX_EMPTY);
	}
	dropbox->sent++;
	switch (dropbox->step) {
	case DROPBOX_SOURCE: return ask_reference(req, op, err);
	case DROPBOX_ASK: ask_metadata(req, account, source_path(op)); break;
	case DROPBOX_TARGET: ask_metadata(req, account, target_path(op)); break;
	case DROPBOX_ABOVE: dropbox_ask_above(op, req, target_path(op)); break;
	case DROPBOX_EMPTY: ask_empty(req, op); break;
	case DROPBOX_CLEAR:
		ask_of_target(req, op, "files/delete_v2", "parent_rev", dropbox->target.rev);
		break;
	case DROPBOX_RESTORE:
		ask_of_target(req, op, "files/restore", "rev", dropbox->target.rev);
		break;
	case DROPBOX_UNDO:
		ask_of_target(req, op, "files/delete_v2", "parent_rev", op->entry.version);
		break;
	case DROPBOX_ASIDE:
	case DROPBOX_BACK: ask_aside(req, op); break;
	default: ask_act(req, op); break;
	}
	return CLOUD_STEP_SEND;
}

/* Answers */

/* It is made good first; then the op fails with this. */
static enum cloud_step
fail_after(struct cloud_op *op, enum dropbox_step step, const struct err *why)
{
	struct dropbox_op *dropbox = op->data;

	dropbox->err = *why;
	return dropbox_next(op, step);
}

/* A copy has the source's time: there is no other to be given, should one be wanted. */
static enum cloud_step
check_source(struct cloud_op *op, const struct entry *entry, struct err *err)
{
	int64_t wanted = dropbox_seconds(op->put.mtime_ns);

	if (op->version != NULL &&
	    (entry->version == NULL || strcmp(op->version, entry->version) != 0))
		return object_refuse(err, -ESTALE, source_path(op),
		    "has changed: it is not the version any more that was asked for");
	if (op->kind == CLOUD_MOVE)
		return CLOUD_STEP_DONE;
	if (entry->kind == ENTRY_DIRECTORY)
		return object_refuse(err, -EISDIR, op->path2, "is a directory");
	op->only_this =
	    wanted >= 0 && !op->put.mtime_optional && wanted != dropbox_seconds(entry->mtime_ns);
	if (op->only_this)
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "a copy can have no other time than its source");
	return CLOUD_STEP_DONE;
}

static enum cloud_step
take_source(struct cloud_op *op, const json_t *metadata, struct err *err)
{
	CLEANUP(entry_fini) struct entry entry;
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step;

	entry_init(&entry);
	if (dropbox_object(&dropbox->source, metadata, err) != 0 ||
	    dropbox_entry(&entry, metadata, source_path(op), err) != 0)
		return CLOUD_STEP_FAIL;
	step = check_source(op, &entry, err);
	return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_ACT) : step;
}

static enum cloud_step
source_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step;
	json_t *answer, *metadata;
	const char *reference;

	if (result->code == -EKEYEXPIRED && is_foreign(op))
		return object_refuse(
		    err, -EOPNOTSUPP, op->path2, "the source account has to be signed in again");
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	metadata = is_foreign(op) ? json_object_get(answer, "metadata") : answer;
	reference = dropbox_text(answer, "copy_reference");
	if (strlen(reference) >= sizeof dropbox->reference ||
	    (is_foreign(op) && *reference == '\0'))
		step = object_refuse(
		    err, -EOPNOTSUPP, op->path2, "the service gives no reference to it");
	else
		step = take_source(op, metadata, err);
	snprintf(dropbox->reference, sizeof dropbox->reference, "%s", reference);
	json_decref(answer);
	return step;
}

static void
aside_begin(struct cloud_op *op)
{
	struct dropbox_op *dropbox = op->data;
	struct buf hex = BUF_INIT(sizeof dropbox->aside - 1);

	buf_put_hex(&hex, op->random, 4);
	snprintf(dropbox->aside, sizeof dropbox->aside, "%s", buf_str(&hex));
	buf_free(&hex);
}

/* It is there.  Is it what was asked for, by content (a copy) or name (a move)? */
static enum cloud_step
acted(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	json_t *metadata = dropbox_metadata(op, result->res, err);
	struct dropbox_object made = {.id = ""};
	struct err why = ERR_INIT;
	int code = metadata == NULL ? -EPROTO : dropbox_object(&made, metadata, err);
	bool elsewhere;

	entry_fini(&op->entry);
	entry_init(&op->entry);
	if (code == 0)
		code = dropbox_entry(&op->entry, metadata, target_path(op), err);
	dropbox->made = code == 0;
	elsewhere =
	    code == 0 && op->kind != CLOUD_MOVE && dropbox_is_elsewhere(op, op->path, metadata);
	json_decref(metadata);
	if (code != 0)
		return CLOUD_STEP_FAIL;
	if (made.is_folder != dropbox->source.is_folder) /* none of ours to be undone */
		return object_refuse(
		    err, -EPROTO, target_path(op), "the service has made something else of it");
	if (op->kind != CLOUD_MOVE && strcmp(made.hash, dropbox->source.hash) != 0) {
		err_set(&why, -ESTALE, "'%s' changed while it was copied", source_path(op));
		return fail_after(op, DROPBOX_UNDO, &why);
	}
	if (elsewhere)
		return dropbox_next(op, DROPBOX_ABOVE);
	if (op->kind == CLOUD_MOVE && dropbox->aside[0] == '\0' &&
	    dropbox_is_same_name(op->path, op->path2) &&
	    strcmp(made.name, path_name(op->path2)) != 0) {
		aside_begin(op);
		return dropbox_next(op, DROPBOX_ASIDE);
	}
	return CLOUD_STEP_DONE;
}

static bool
is_in_the_way(const struct dropbox_result *result)
{
	return dropbox_error_is(&result->error, "conflict/file") ||
	    dropbox_error_is(&result->error, "conflict/folder");
}

/* After something was cleared away: is it to be put back?  Not if there is something by now: that
   of somebody else, or ours, after an answer that was lost. */
static enum cloud_step
again_failed(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step = dropbox_failed(result, err);

	if (step != CLOUD_STEP_FAIL || (result->code == -ENOENT && dropbox->sent > 1))
		return step;
	if (dropbox->aside[0] != '\0')
		return fail_after(op, DROPBOX_BACK, &result->why);
	if (dropbox->target.rev[0] == '\0' || strstr(result->error.tags, "conflict") != NULL)
		return step;
	return fail_after(op, DROPBOX_RESTORE, &result->why);
}

static enum cloud_step
act_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (result->code == 0)
		return acted(op, result, err);
	if (is_pulled(op) && dropbox->sent > 1 && is_in_the_way(result) &&
	    ++dropbox->times <= DROPBOX_TIMES) /* it may be itself, after an answer that was lost */
		return dropbox_next(op, DROPBOX_TARGET);
	if (dropbox->step == DROPBOX_AGAIN)
		return again_failed(op, result, err);
	if (!is_in_the_way(result))
		return dropbox_failed(result, err);
	dropbox->times = dropbox->sent; /* looked at when it is known what is there */
	return dropbox_next(op, DROPBOX_TARGET);
}

/* What is in the way is the object itself. */
static enum cloud_step
meet_itself(struct cloud_op *op, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (is_pulled(op)) { /* it is there, as an earlier request has made it */
		dropbox->made = true;
		return dropbox->odd != 0 ? dropbox_next(op, DROPBOX_ABOVE) : CLOUD_STEP_DONE;
	}
	if (op->kind == CLOUD_COPY)
		return object_refuse(err, -EINVAL, op->path, "is the source itself");
	if (strcmp(dropbox->target.name, path_name(op->path2)) == 0)
		return CLOUD_STEP_DONE;
	aside_begin(op);
	return dropbox_next(op, DROPBOX_ASIDE);
}

/* A copy that was asked for twice, and has the source's content: the first answer was lost. */
static bool
is_our_copy(const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;

	return op->kind == CLOUD_COPY && dropbox->times > 1 && !dropbox->target.is_folder &&
	    dropbox->target.hash[0] != '\0' &&
	    strcmp(dropbox->target.hash, dropbox->source.hash) == 0;
}

static enum cloud_step
replace_target(struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;

	return dropbox_next(op, dropbox->target.is_folder ? DROPBOX_EMPTY : DROPBOX_CLEAR);
}

static enum cloud_step
judge_target(struct cloud_op *op, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	if (strcmp(dropbox->target.id, dropbox->source.id) == 0)
		return meet_itself(op, err);
	if (is_our_copy(op))
		return CLOUD_STEP_DONE;
	if (op->put.no_replace)
		return object_refuse(err, -EEXIST, target_path(op), "exists already");
	if (dropbox->target.is_folder != dropbox->source.is_folder)
		return dropbox->source.is_folder
		    ? object_refuse(err, -ENOTDIR, target_path(op), "is a file")
		    : object_refuse(err, -EISDIR, target_path(op), "is a directory");
	if (dropbox_check_name(op, target_path(op), dropbox->target.name, err) != 0)
		return CLOUD_STEP_FAIL;
	return dropbox->odd != 0 ? dropbox_next(op, DROPBOX_ABOVE) : replace_target(op);
}

/* The folders above are those that were meant: then it may stay, or what is in the way may go. */
static enum cloud_step
above_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	struct err why = ERR_INIT;
	enum cloud_step step = dropbox_above_response(op, target_path(op), result, &why);

	if (step == CLOUD_STEP_DONE)
		return dropbox->made ? CLOUD_STEP_DONE : replace_target(op);
	if (step == CLOUD_STEP_FAIL && dropbox->made)
		return fail_after(op, DROPBOX_UNDO, &why);
	if (step != CLOUD_STEP_NEXT && err != NULL)
		*err = why;
	return step;
}

static enum cloud_step
target_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	json_t *metadata;
	int code;

	if (result->code == -ENOENT) /* it has gone meanwhile */
		return dropbox_next(op, DROPBOX_AGAIN);
	if (result->code != 0)
		return dropbox_failed(result, err);
	metadata = dropbox_metadata(op, result->res, err);
	code = metadata == NULL ? -EPROTO : dropbox_object(&dropbox->target, metadata, err);
	entry_fini(&op->entry);
	entry_init(&op->entry);
	if (code == 0)
		code = dropbox_entry(&op->entry, metadata, target_path(op), err);
	if (code == 0)
		dropbox_is_elsewhere(op, target_path(op), metadata); /* notes it */
	json_decref(metadata);
	return code == 0 ? judge_target(op, err) : CLOUD_STEP_FAIL;
}

static enum cloud_step
empty_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	json_t *answer;
	bool empty;

	if (result->code == -ENOENT) /* it has gone meanwhile */
		return dropbox_next(op, DROPBOX_AGAIN);
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	empty = json_array_size(json_object_get(answer, "entries")) == 0 &&
	    json_is_false(json_object_get(answer, "has_more"));
	json_decref(answer);
	return empty ? dropbox_next(op, DROPBOX_CLEAR)
		     : object_refuse(err, -ENOTEMPTY, op->path2, "is not empty");
}

static enum cloud_step
clear_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (result->code == 0 || result->code == -ENOENT)
		return dropbox_next(op, DROPBOX_AGAIN);
	if (strstr(result->error.tags, "conflict") == NULL)
		return dropbox_failed(result, err);
	if (++dropbox->times > DROPBOX_TIMES)
		return object_refuse(err, -EBUSY, target_path(op), "changes all the time");
	return dropbox_next(op, DROPBOX_TARGET); /* it is another by now */
}

static enum cloud_step
aside_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	if (result->code == 0 || (result->code == -ENOENT && dropbox->sent > 1))
		return dropbox_next(op, DROPBOX_AGAIN);
	return dropbox_failed(result, err);
}

/* What was to be made good is, as far as it can be: what failed is what is told. */
static enum cloud_step
made_good(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	enum cloud_step step = result->code == 0 ? CLOUD_STEP_FAIL : dropbox_failed(result, err);

	if (step != CLOUD_STEP_FAIL)
		return step;
	if (err != NULL)
		*err = dropbox->err;
	return CLOUD_STEP_FAIL;
}

/* What a wrong copy had taken the place of comes back. */
static enum cloud_step
undo_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	return result->code == 0 && dropbox->target.rev[0] != '\0'
	    ? dropbox_next(op, DROPBOX_RESTORE)
	    : made_good(op, result, err);
}

enum cloud_step
dropbox_move_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;

	switch (dropbox->step) {
	case DROPBOX_ASK:
	case DROPBOX_SOURCE: return source_response(op, result, err);
	case DROPBOX_TARGET: return target_response(op, result, err);
	case DROPBOX_ABOVE: return above_response(op, result, err);
	case DROPBOX_EMPTY: return empty_response(op, result, err);
	case DROPBOX_CLEAR: return clear_response(op, result, err);
	case DROPBOX_ASIDE: return aside_response(op, result, err);
	case DROPBOX_RESTORE:
	case DROPBOX_BACK: return made_good(op, result, err);
	case DROPBOX_UNDO: return undo_response(op, result, err);
	default: return act_response(op, result, err);
	}
}
