/*
 * Many small files: finished with one request.
 *
 * Each write to a namespace takes its lock, and what waits for that too long is refused
 * ("too_many_write_operations").  To put content into an upload session takes none.  So while many
 * files are written at once, a small one goes into a session of its own, which is closed with its
 * content ("upload_session/start"), and what is there by then becomes files with one request
 * ("upload_session/finish_batch_v2"), which takes the lock once.  One such request at a time: the
 * documentation wants it, and what comes meanwhile goes together in the next.
 *
 * What a request says of a file is what "finish" would have answered for it alone, and is taken for
 * that: dropbox_write.c knows of no batches.
 */
#include "providers/dropbox_private.h"
#include <stdlib.h>

#define DROPBOX_FINISH_MAX 1000 /* "We allow up to 1000 entries in a single request." */
/* For one file each, the answer may take so much longer.  Alone they take some 100 ms. */
#define DROPBOX_FINISH_MS 100
/*
 * So many writes at once, on all loops, are no crowd: a small file alone, or in little company,
 * goes in one request ("upload"), since a session would cost it a second one.  Dropbox does not say
 * how many it lets wait for the lock.  It is half of the lanes that an account has unless somebody
 * says otherwise: so those who fill them never go by "upload".
 */
#define DROPBOX_FEW 4
/* Who was refused for the lock does not try it that way again for so long: somebody else may be
   writing there. */
#define DROPBOX_LOCKED_MS 60000

void
dropbox_note_lock(struct cloud_op *op, const struct dropbox_error *error)
{
	struct dropbox_account *dropbox = op->account->data;

	if (dropbox_error_is(error, "too_many_write_operations"))
		dropbox->locked_ms = op->now_ms;
}

bool
dropbox_is_crowded(const struct cloud_op *op)
{
	const struct dropbox_account *dropbox = op->account->data;
	const struct throttle *throttle = op->account->throttle;

	/* Whoever finishes has the lock, or waits for it. */
	return throttle_inside(throttle, THROTTLE_PUT) > DROPBOX_FEW ||
	    throttle_inside(throttle, THROTTLE_BATCH) > 0 ||
	    (dropbox->locked_ms != 0 && op->now_ms - dropbox->locked_ms < DROPBOX_LOCKED_MS);
}

/* A session that is to be finished so must be closed, and the service has closed none that it made
   of what "upload" was refused. */
static bool
finishes_takes(const struct cloud_op *op)
{
	const struct dropbox_op *dropbox = op->data;
	uint64_t size;

	if (dropbox->alone || *op->path == '\0' || !dropbox_is_name(op->path))
		return false;
	if (op->kind == CLOUD_PUT)
		return dropbox->closed &&
		    (dropbox->step == DROPBOX_ACT || dropbox->step == DROPBOX_AGAIN);
	return op->kind == CLOUD_UPLOAD_COMMIT && !dropbox_is_pull(op) &&
	    (dropbox->step == DROPBOX_ASK || dropbox->step == DROPBOX_AGAIN) &&
	    dropbox_session(op->upload, &size) != NULL;
}

static enum cloud_step
finishes_request(
    struct cloud_op *const *items, size_t len, struct cloud_request *request, struct err *err)
{
	struct http_request *req = &request->http;
	json_t *entries = json_array();

	for (size_t i = 0; i < len; i++)
		json_array_append_new(entries, dropbox_finish_arg(items[i]));
	dropbox_rpc(req, items[0]->account->data, "files/upload_session/finish_batch_v2",
	    json_pack("{s:o}", "entries", entries));
	req->patience_ms = len * DROPBOX_FINISH_MS;
	return CLOUD_STEP_SEND;
}

/* {".tag":"success",...metadata}, {".tag":"failure","failure":{...}}; what is neither is taken for
   metadata, and says nothing. */
static void
finish_alone(struct http_response *out, const json_t *entry)
{
	const json_t *failure = json_object_get(entry, "failure");
	json_t *body =
	    failure == NULL ? json_deep_copy(entry) : json_pack("{s:O}", "error", failure);
	char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);

	out->status = failure == NULL ? 200 : 409;
	out->body = (struct buf)BUF_INIT(CLOUD_COLLECT_MAX);
	if (text != NULL)
		buf_puts(&out->body, text);
	free(text);
	json_decref(body);
}

static int
finishes_response(struct cloud_op *const *items, size_t len, const struct http_response *res,
    struct http_response *parts, struct err *err)
{
	json_t *answer = json_loadb(buf_str(&res->body), res->body.len, 0, NULL), *entry;
	const json_t *entries = json_object_get(answer, "entries");
	int code = 0;
	size_t i;

	if (json_array_size(entries) == len)
		json_array_foreach (entries, i, entry)
			finish_alone(&parts[i], entry);
	else
		code = err_set(err, -EPROTO,
		    "of %zu files that were to be finished the service tells something else", len);
	json_decref(answer);
	return code;
}

const struct cloud_batch dropbox_finishes = {
    .items = DROPBOX_FINISH_MAX,
    .at_once = 1,
    .takes = finishes_takes,
    .request = finishes_request,
    .response = finishes_response,
};
