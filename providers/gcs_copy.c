/*
 * Copies by the service: "Objects: rewrite".  It copies as long as it likes and answers how far it
 * came, and what to go on with: until it is done.  That is good for a week, whoever asks.
 */
#include "providers/gcs_private.h"
#include "providers/providers.h"
#include <string.h>

/* FIRST: the copy.  SECOND: its conditions were not met: is it that something is in the way? */
enum cloud_step
gcs_put_copy(struct cloud_op *op, struct gcs_ask *ask, struct err *err)
{
	const struct gcs_op *gcs = op->data;
	struct gcs_place to = ask->place;

	if (gcs->step == GCS_SECOND) {
		gcs_ask_look(ask);
		return CLOUD_STEP_SEND;
	}
	if (!gcs_locate(&ask->place, op->from->data, op->path2) || *ask->place.key == '\0')
		return object_refuse(err, -ENOENT, op->path2, "no such file");
	gcs_ask_json(ask, "POST", GCS_ABOUT_OBJECT, "");
	buf_puts(&ask->path, "/rewriteTo/b/");
	buf_put_uri(&ask->path, to.bucket, NULL);
	buf_puts(&ask->path, "/o/");
	buf_put_uri(&ask->path, to.key, NULL);
	gcs_query_add(ask, "fields", GCS_REWRITE_FIELDS);
	gcs_query_add(ask, "ifGenerationMatch", op->put.no_replace ? "0" : NULL);
	gcs_query_add(ask, "ifSourceGenerationMatch", op->version);
	gcs_query_add(ask, "rewriteToken", op->resume);
	/* Without a word of ours the service keeps what the source says of itself. */
	ask->req->body = HTTP_BODY_BYTES;
	if (object_has_attributes(&op->put))
		gcs_put_json(ask->req, gcs_json_attributes(op));
	return CLOUD_STEP_SEND;
}

/* The condition of the source and that of the destination have one answer between them. */
static enum cloud_step
copy_looked(struct cloud_op *op, int code, const struct err *why, struct err *err)
{
	if (code == 0)
		return object_refuse(err, -EEXIST, op->path, "exists already");
	if (code == -ENOENT)
		return object_refuse(err, -ESTALE, op->path2,
		    "has changed: it is not the version any more that was asked for");
	*err = *why;
	return provider_failed(why);
}

enum cloud_step
gcs_copy_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	struct gcs_op *gcs = op->data;
	struct err bad = ERR_INIT;
	struct gcs_rewrite rewrite;

	if (gcs->step == GCS_SECOND)
		return copy_looked(op, code, why, err);
	if (code == -ESTALE && op->put.no_replace && op->version != NULL)
		return gcs_next(op, GCS_SECOND);
	/* 410: it is older than a week; 400: it is of something else. */
	if ((res->status == 410 || res->status == 400) && op->resume != NULL && !gcs->fresh) {
		gcs->fresh = true;
		xstrset(&op->resume, NULL);
		return gcs_next(op, GCS_FIRST);
	}
	if (code != 0) {
		*err = *why;
		return provider_failed(why);
	}
	object_take_file(op, 0);
	if (gcs_json_rewrite(&rewrite, &op->entry, &res->body, &bad) != 0)
		return object_bad_answer(op, &bad, err);
	op->copied = rewrite.bytes;
	if (rewrite.done)
		return CLOUD_STEP_DONE;
	xstrset(&op->resume, rewrite.token);
	return CLOUD_STEP_NEXT;
}
