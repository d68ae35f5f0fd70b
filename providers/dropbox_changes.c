/*
 * What others change: "list_folder/get_latest_cursor" of all that is in the account, and
 * "list_folder/continue" from there on; in between "list_folder/longpoll", which answers as soon as
 * there is something, from another host and for whoever has the cursor.
 *
 * An entry is told by the path that Dropbox shows, of which only the last component is to be relied
 * on: where one above it is shown in another case than its list shows it, nothing is found by it.
 */
#include "providers/dropbox_private.h"
#include "providers/providers.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHANGES_PAGE  2000 /* "ListFolderArg": the most */
#define CHANGES_PAGES 10 /* who is so far behind begins anew */
/* "ListFolderLongpollArg": seconds that it waits, the least; and as many more at random. */
#define CHANGES_WAIT_S      30
#define CHANGES_JITTER_S    90
#define CHANGES_AGAIN_MS    1000 /* between two of them, where Dropbox asks for no more */
#define CHANGES_AGAIN_MAX_S 3600

static enum cloud_step
begin_anew(struct cloud_op *op)
{
	cloud_changed_all(&op->changed);
	return dropbox_next(op, DROPBOX_BEGIN);
}

static void
changes_begin(struct cloud_op *op)
{
	struct dropbox_op *dropbox = op->data;

	dropbox->step = op->cursor == NULL ? DROPBOX_BEGIN
	    : op->may_wait                 ? DROPBOX_WAIT
					   : DROPBOX_ACT;
	if (op->cursor != NULL && strlen(op->cursor) < sizeof dropbox->cursor)
		snprintf(dropbox->cursor, sizeof dropbox->cursor, "%s", op->cursor);
	else if (op->cursor != NULL)
		begin_anew(op);
}

enum cloud_step
dropbox_changes_request(struct cloud_op *op, struct http_request *req)
{
	const struct dropbox_account *account = op->account->data;
	struct dropbox_op *dropbox = op->data;
	json_t *arg;

	if (dropbox->step == DROPBOX_ASK)
		changes_begin(op);
	switch (dropbox->step) {
	case DROPBOX_BEGIN:
		arg = dropbox_path_arg(account, "");
		json_object_set_new(arg, "recursive", json_true());
		json_object_set_new(arg, "limit", json_integer(CHANGES_PAGE));
		dropbox_rpc(req, account, "files/list_folder/get_latest_cursor", arg);
		break;
	case DROPBOX_WAIT:
		arg = json_pack("{s:s, s:i}", "cursor", dropbox->cursor, "timeout", CHANGES_WAIT_S);
		dropbox_notify(req, account, "files/list_folder/longpoll", arg);
		req->patience_ms = (CHANGES_WAIT_S + CHANGES_JITTER_S) * 1000;
		break;
	default:
		arg = json_pack("{s:s}", "cursor", dropbox->cursor);
		dropbox_rpc(req, account, "files/list_folder/continue", arg);
	}
	return CLOUD_STEP_SEND;
}

/* Of a path in the namespace: in the account.  NULL: it is not below its top.  Borrowed. */
static const char *
path_in_account(const struct cloud_op *op, const char *shown)
{
	const struct dropbox_account *dropbox = op->account->data;
	size_t root = strlen(dropbox->root);

	if (root > 0 && (*shown != '/' || strncasecmp(shown + 1, dropbox->root, root) != 0))
		return NULL;
	shown += root > 0 ? root + 1 : 0;
	return *shown == '/' && shown[1] != '\0' ? shown + 1 : NULL;
}

static void
take_change(struct cloud_op *op, const json_t *entry)
{
	const char *path = path_in_account(op, dropbox_text(entry, "path_display"));
	CLEANUP(cleanup_free) char *dir = NULL;

	if (path == NULL) { /* the top itself */
		cloud_changed_all(&op->changed);
		return;
	}
	if (!path_is_canonical(path))
		return; /* it is never shown */
	dir = path_parent(path);
	cloud_changed_add(&op->changed, dir, false);
	if (strcmp(dropbox_text(entry, ".tag"), "file") != 0)
		cloud_changed_add(&op->changed, path, true);
}

static int
take_cursor(struct cloud_op *op, const json_t *answer, struct err *err)
{
	const char *cursor = dropbox_text(answer, "cursor");
	struct dropbox_op *dropbox = op->data;

	if (*cursor == '\0' || strlen(cursor) >= sizeof dropbox->cursor)
		return err_set(err, -EPROTO, "Dropbox does not say how its changes go on");
	snprintf(dropbox->cursor, sizeof dropbox->cursor, "%s", cursor);
	return 0;
}

/* "ListFolderLongpollResult" */
static enum cloud_step
waited(struct cloud_op *op, const json_t *answer, struct err *err)
{
	json_int_t backoff = json_integer_value(json_object_get(answer, "backoff"));

	backoff = MIN(MAX(backoff, 0), CHANGES_AGAIN_MAX_S);
	op->again_ms = MAX((uint64_t)backoff * 1000, (uint64_t)CHANGES_AGAIN_MS);
	if (!json_is_boolean(json_object_get(answer, "changes")))
		return object_refuse(
		    err, -EPROTO, op->path, "Dropbox does not say whether there are changes");
	return json_is_true(json_object_get(answer, "changes")) ? dropbox_next(op, DROPBOX_ACT)
								: CLOUD_STEP_DONE;
}

static enum cloud_step
listed(struct cloud_op *op, const json_t *answer, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	const json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(answer, "entries"), i, entry)
		take_change(op, entry);
	if (!json_is_array(json_object_get(answer, "entries")))
		return object_refuse(err, -EPROTO, op->path, "the answer tells no changes");
	if (take_cursor(op, answer, err) != 0)
		return CLOUD_STEP_FAIL;
	if (!json_is_true(json_object_get(answer, "has_more"))) {
		xstrset(&op->cursor, dropbox->cursor);
		return CLOUD_STEP_DONE;
	}
	return ++dropbox->times >= CHANGES_PAGES ? begin_anew(op) : CLOUD_STEP_NEXT;
}

enum cloud_step
dropbox_changes_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct dropbox_op *dropbox = op->data;
	enum cloud_step step = CLOUD_STEP_DONE;
	json_t *answer;

	if (dropbox->step != DROPBOX_BEGIN && dropbox_error_is(&result->error, "reset"))
		return begin_anew(op);
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	if (dropbox->step == DROPBOX_WAIT)
		step = waited(op, answer, err);
	else if (dropbox->step == DROPBOX_ACT)
		step = listed(op, answer, err);
	else if (take_cursor(op, answer, err) != 0)
		step = CLOUD_STEP_FAIL;
	else
		xstrset(&op->cursor, dropbox->cursor);
	json_decref(answer);
	/* A cursor to wait with. */
	if (step == CLOUD_STEP_DONE && op->may_wait && op->again_ms == 0)
		op->again_ms = CHANGES_AGAIN_MS;
	return step;
}
