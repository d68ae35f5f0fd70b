/*
 * Uploads in one resumable session of the JSON API (resumable.h), where the service has no uploads
 * in parts, or its account says so.  A session knows its preconditions from the beginning, and says
 * what it has made, for as long as it is known: so a COMMIT whose answer was lost asks.
 *
 * An upload's id: "session SIZE PART TOKEN URL".
 */
#include "providers/gcs_answer.h"
#include "providers/gcs_private.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SESSION  "session "
#define ENDS_MAX 3 /* that one COMMIT sends, each of which did not get there */

bool
gcs_is_session(const struct cloud_op *op)
{
	if (op->kind == CLOUD_UPLOAD_BEGIN || op->kind == CLOUD_UPLOAD_FIND)
		return gcs_account(op)->uploads == GCS_UPLOADS_SESSIONS;
	return op->upload != NULL && strncmp(op->upload, SESSION, strlen(SESSION)) == 0;
}

void
gcs_take_sessions(struct account *account)
{
	struct gcs_account *gcs = account->data;

	if (gcs->uploads == GCS_UPLOADS_UNKNOWN)
		gcs->uploads = GCS_UPLOADS_SESSIONS;
	account->limits.in_order = true;
}

static bool
session_parse(struct resumable *out, const struct cloud_op *op)
{
	const struct gcs_account *gcs = gcs_account(op);
	CLEANUP(cleanup_free)
	char *base = xasprintf("%s%s/", gcs->endpoint.scheme, gcs->endpoint.host);
	const char *at = op->upload + strlen(SESSION);

	out->ca = gcs->ca;
	return resumable_number(&out->size, &at) && resumable_number(&out->part, &at) &&
	    resumable_word(out->token, sizeof out->token, &at) &&
	    resumable_word(out->url, sizeof out->url, &at) && *at == '\0' &&
	    strncmp(out->url, base, strlen(base)) == 0;
}

/* Requests */

static enum cloud_step
put_begin(struct cloud_op *op, struct gcs_ask *ask, struct err *err)
{
	struct gcs_op *gcs = op->data;
	json_t *object = gcs_json_attributes(op);

	if (op->part.length < op->length && op->part.length % RESUMABLE_CHUNK != 0) {
		json_decref(object);
		return object_refuse(
		    err, -EINVAL, op->path, "parts of a session are multiples of 256 KiB");
	}
	resumable_name(gcs->token, op);
	buf_puts(&ask->path, "/upload");
	gcs_ask_json(ask, "POST", GCS_ABOUT_OBJECTS, "");
	gcs_query_add(ask, "ifGenerationMatch", op->put.no_replace ? "0" : NULL);
	gcs_query_add(ask, "name", ask->place.key);
	gcs_query_add(ask, "uploadType", "resumable");
	http_request_header(ask->req, "X-Upload-Content-Length", "%" PRIu64, op->length);
	http_request_header(ask->req, "X-Upload-Content-Type", "%s",
	    json_string_value(json_object_get(object, "contentType")));
	gcs_put_json(ask->req, object);
	return CLOUD_STEP_SEND;
}

/* The session compares the whole with what is known of it, before it makes an object of it. */
static void
put_end(struct cloud_op *op, struct http_request *req, const struct resumable *up)
{
	struct gcs_account *account = op->account->data;

	resumable_put_end(req, up, &account->sessions);
	gcs_put_crc32c(req, &op->put.digests);
}

static enum cloud_step
put_commit(struct cloud_op *op, struct gcs_ask *ask, const struct resumable *up, struct err *err)
{
	struct gcs_account *account = op->account->data;
	struct gcs_op *gcs = op->data;

	if (!resumable_is_whole(op, up))
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	if (gcs_commit_step(op) != COMMIT_ACT) {
		gcs_ask_look(ask);
		return CLOUD_STEP_SEND;
	}
	gcs->ends = !gcs->asks && resumable_has_end(&account->sessions, up);
	if (!gcs->ends) {
		resumable_ask(ask->req, up->url, up->ca, 0, 0, up->size);
		return CLOUD_STEP_SEND;
	}
	if (++gcs->sent > ENDS_MAX)
		return object_refuse(
		    err, -EIO, op->path, "the end of the upload does not get there");
	put_end(op, ask->req, up);
	gcs->asks = true; /* should there be no answer */
	return CLOUD_STEP_SEND;
}

enum cloud_step
gcs_put_session(
    struct cloud_op *op, struct cloud_request *request, struct gcs_ask *ask, struct err *err)
{
	struct gcs_account *account = op->account->data;
	struct gcs_op *gcs = op->data;
	struct resumable up;

	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return put_begin(op, ask, err);
	if (op->kind == CLOUD_UPLOAD_FIND)
		return CLOUD_STEP_DONE; /* nobody is told which there are: they vanish in a week */
	if (op->kind == CLOUD_COPY_PART)
		return object_refuse(err, -EOPNOTSUPP, op->path, "the service copies no parts");
	if (!session_parse(&up, op))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	gcs_take_sessions(op->account);
	switch (op->kind) {
	case CLOUD_UPLOAD_PART:
		return resumable_put_part(
		    op, request, &up, &account->sessions, &gcs->part_step, err);
	case CLOUD_UPLOAD_COMMIT: return put_commit(op, ask, &up, err);
	case CLOUD_UPLOAD_ABORT:
		resumable_session_drop(&account->sessions, up.token);
		resumable_ask_abort(ask->req, &up);
		return CLOUD_STEP_SEND;
	default: resumable_ask(ask->req, up.url, up.ca, 0, 0, up.size); return CLOUD_STEP_SEND;
	}
}

/* Answers */

static enum cloud_step
failed(const struct err *why, struct err *err)
{
	*err = *why;
	return provider_failed(why);
}

static enum cloud_step
begin_response(struct cloud_op *op, const struct http_response *res, struct err *err)
{
	const char *url = resumable_location(res);
	const struct gcs_op *gcs = op->data;
	struct resumable up;

	if (url == NULL)
		return object_refuse(err, -EPROTO, op->path,
		    "the upload was begun, but the service does not say where");
	free(op->upload);
	op->upload = xasprintf(SESSION "%" PRIu64 " %" PRIu64 " %s %s", op->length,
	    op->part.length > 0 ? op->part.length : op->length, gcs->token, url);
	if (session_parse(&up, op))
		return CLOUD_STEP_DONE;
	free(TAKE(op->upload));
	return object_refuse(err, -EPROTO, op->path,
	    "the upload's session is at another place than the account's endpoint");
}

/* Has it made the object?  An answer that does not describe it is another's. */
static int
session_finished(const struct cloud_op *op, const struct http_response *res, struct err *err)
{
	CLEANUP(entry_fini) struct entry entry;
	struct err why = ERR_INIT;

	entry_init(&entry);
	if (gcs_json_object(&entry, &res->body, &why) != 0)
		return err_set(err, -EPROTO,
		    "'%s': the session answered %d, and not with an object", op->path, res->status);
	return err_set(err, -ENOENT, "'%s': the upload is finished", op->path);
}

/* Of PART and STATUS: -ENOENT: the session is not known any more, or has made the object. */
static int
session_read(uint64_t *there, const struct cloud_op *op, const struct http_response *res,
    const struct err *why, struct err *err)
{
	bool made;
	int code = resumable_read(there, &made, op, res, err);

	if (code == 0 && made)
		return session_finished(op, res, err);
	if (code <= 0)
		return code;
	*err = *why;
	return why->code;
}

static enum cloud_step
part_response(struct cloud_op *op, const struct resumable *up, const struct http_response *res,
    const struct err *why, struct err *err)
{
	struct gcs_account *account = op->account->data;
	struct gcs_op *gcs = op->data;
	uint64_t there;

	if (session_read(&there, op, res, why, err) != 0)
		return provider_failed(err);
	return resumable_part_response(op, up, &account->sessions, &gcs->part_step, there, err);
}

static enum cloud_step
status_response(struct cloud_op *op, const struct resumable *up, const struct http_response *res,
    const struct err *why, struct err *err)
{
	struct gcs_account *account = op->account->data;
	uint64_t there;

	if (session_read(&there, op, res, why, err) != 0)
		return provider_failed(err);
	resumable_take_status(op, up, &account->sessions, there);
	return CLOUD_STEP_DONE;
}

/* It must not be replaced: unless it is what the session has made, before an answer was lost. */
static enum cloud_step
commit_checked(struct cloud_op *op, int code, const struct err *why, struct err *err)
{
	struct gcs_op *gcs = op->data;

	if (code != 0 && code != -ENOENT)
		return failed(why, err);
	if (code == 0) {
		gcs->failed = -EEXIST;
		gcs->asks = true;
	}
	return gcs_next(op, COMMIT_ACT);
}

/* The object that the session has made.  Asked for later, it may be another by now. */
static enum cloud_step
commit_made(struct cloud_op *op, const struct resumable *up, const struct http_response *res,
    struct err *err)
{
	struct gcs_account *account = op->account->data;
	struct gcs_op *gcs = op->data;

	if (gcs_take_look(op, res, err) != 0)
		return provider_failed(err); /* it is asked what it has made */
	resumable_session_drop(&account->sessions, up->token);
	if (gcs->ends)
		return CLOUD_STEP_DONE;
	snprintf(gcs->made, sizeof gcs->made, "%s", op->entry.version);
	return gcs_next(op, COMMIT_LOOK);
}

/* The session waits for more. */
static enum cloud_step
commit_waits(struct cloud_op *op, const struct resumable *up, uint64_t there, struct err *err)
{
	struct gcs_account *account = op->account->data;
	struct gcs_op *gcs = op->data;

	if (gcs->ends) { /* it has less than it had */
		resumable_session_drop(&account->sessions, up->token);
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	}
	if (gcs->failed != 0)
		return object_refuse(err, gcs->failed, op->path, "exists already");
	if (!resumable_has_end(&account->sessions, up))
		return object_refuse(
		    err, -EINVAL, op->path, "the end of the last part is not here any more");
	if (there + (up->size - 1) % RESUMABLE_CHUNK + 1 < up->size)
		return object_refuse(err, -EINVAL, op->path, "a part of the upload is not there");
	gcs->asks = false;
	return CLOUD_STEP_NEXT;
}

static enum cloud_step
commit_acted(struct cloud_op *op, const struct resumable *up, const struct http_response *res,
    const struct err *why, struct err *err)
{
	struct gcs_op *gcs = op->data;
	uint64_t there;
	bool made;
	int code = resumable_read(&there, &made, op, res, err);

	if (code < 0)
		return provider_failed(err);
	if (code == 0)
		return made ? commit_made(op, up, res, err) : commit_waits(op, up, there, err);
	if (why->code == -ENOENT) {
		if (gcs->failed == 0)
			gcs->failed = -ENOENT;
		return gcs_next(op, COMMIT_LOOK);
	}
	/* What has come is not what the sum says. */
	if (why->code == -EINVAL && gcs->ends)
		return object_refuse(err, -EBADMSG, op->path, why->msg);
	return failed(why, err);
}

static enum cloud_step
commit_looked(struct cloud_op *op, const struct http_response *res, int code, const struct err *why,
    struct err *err)
{
	const struct gcs_op *gcs = op->data;

	if (gcs->made[0] == '\0')
		return gcs_commit_looked(op, res, code, why, err);
	if (code != 0 && code != -ENOENT)
		return failed(why, err);
	if (code == 0 && gcs_take_look(op, res, err) != 0)
		return CLOUD_STEP_FAIL;
	if (code == 0 && strcmp(op->entry.version, gcs->made) == 0)
		return CLOUD_STEP_DONE;
	return object_refuse(err, gcs->failed != 0 ? gcs->failed : -ENOENT, op->path,
	    "was written, and is another one by now");
}

enum cloud_step
gcs_session_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	struct resumable up;

	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return code != 0 ? failed(why, err) : begin_response(op, res, err);
	if (!session_parse(&up, op))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_PART: return part_response(op, &up, res, why, err);
	case CLOUD_UPLOAD_STATUS: return status_response(op, &up, res, why, err);
	case CLOUD_UPLOAD_COMMIT: break;
	default: /* 499 is how a session is cancelled */
		return res->status == 499 || code == 0 || code == -ENOENT ? CLOUD_STEP_DONE
									  : failed(why, err);
	}
	switch (gcs_commit_step(op)) {
	case COMMIT_CHECK: return commit_checked(op, code, why, err);
	case COMMIT_ACT: return commit_acted(op, &up, res, why, err);
	default: return commit_looked(op, res, code, why, err);
	}
}
