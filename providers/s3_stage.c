#include "providers/providers.h"
#include "providers/s3_answer.h"
#include "providers/s3_private.h"

bool
s3_is_staged(const struct cloud_op *op)
{
	return op->kind == CLOUD_PUT || op->kind == CLOUD_COPY || op->kind == CLOUD_COPY_PART ||
	    op->kind == CLOUD_UPLOAD_COMMIT;
}

/* Which quality of a service makes it unnecessary to look whether something is there? */
static unsigned
s3_guard(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_PUT: return S3_GUARDS_PUT;
	case CLOUD_COPY: return S3_GUARDS_COPY;
	default: return S3_GUARDS_COMMIT;
	}
}

static bool
s3_stage_is_due(const struct cloud_op *op, enum s3_stage stage)
{
	const struct s3_op *s3 = op->data;
	unsigned has = s3_account(op)->kind->has;
	bool copies = op->kind == CLOUD_COPY || op->kind == CLOUD_COPY_PART;
	bool unpinned = copies && op->version != NULL && !(has & S3_PINS_SOURCE);

	switch (stage) {
	case S3_CHECK_PATH:
		return op->put.no_replace && op->kind != CLOUD_COPY_PART && !(has & s3_guard(op));
	case S3_CHECK_SOURCE: return unpinned && op->kind == CLOUD_COPY;
	case S3_CHECK_UPLOAD: return s3->doubt;
	case S3_ACT: return true;
	case S3_CHECK_AGAIN: return unpinned && !s3->proven;
	case S3_PROVE: return s3->failed != 0;
	case S3_LOOK: return s3->look;
	case S3_STAGES: break;
	}
	return false;
}

static enum s3_stage
s3_stage_from(const struct cloud_op *op, enum s3_stage stage)
{
	while (stage < S3_STAGES && !s3_stage_is_due(op, stage))
		stage++;
	return stage;
}

enum s3_stage
s3_stage(const struct cloud_op *op)
{
	const struct s3_op *s3 = op->data;

	return s3_stage_from(op, s3->stage);
}

static enum cloud_step
s3_stage_next(struct cloud_op *op)
{
	struct s3_op *s3 = op->data;
	enum s3_stage next = s3_stage_from(op, s3_stage(op) + 1);

	if (next == S3_STAGES)
		return CLOUD_STEP_DONE;
	s3->stage = next;
	return CLOUD_STEP_NEXT;
}

enum cloud_step
s3_stage_acted(struct cloud_op *op)
{
	return s3_stage_next(op);
}

/* RADOS Gateway answers 500 to the end of an upload that was aborted ("already in progress"), as
   everybody does when something of theirs is broken: before the next try it is looked at. */
void
s3_stage_failed(struct cloud_op *op, int code)
{
	struct s3_op *s3 = op->data;

	/* Once: a look that succeeds would make each failure the first. */
	if (op->kind != CLOUD_UPLOAD_COMMIT || code != -EIO || s3->doubt)
		return;
	s3->doubt = true;
	s3->stage = S3_CHECK_PATH;
}

bool
s3_stage_doubts(struct cloud_op *op, int code)
{
	struct s3_op *s3 = op->data;

	if (op->kind != CLOUD_UPLOAD_COMMIT || s3->failed != 0 ||
	    (code != -ENOENT && code != -EEXIST))
		return false;
	s3->failed = code;
	s3->stage = S3_PROVE;
	return true;
}

/* The end of a COMMIT that was sent before. */
static enum cloud_step
s3_prove_response(struct cloud_op *op, const struct http_response *res, int code, struct err *err)
{
	struct s3_op *s3 = op->data;

	if (code == 0 && s3_take_head(op, res, err) == 0 && op->entry.version != NULL &&
	    s3_is_made_of_parts(op, op->entry.version))
		return CLOUD_STEP_DONE;
	if (code != 0 && code != -ENOENT)
		return object_refuse(err, -EIO, op->path,
		    "whether it was written could not be found out: its upload is gone");
	return object_refuse(err, s3->failed, op->path,
	    s3->failed == -EEXIST ? "exists already" : "the service knows no such upload");
}

bool
s3_put_look(
    struct cloud_op *op, struct http_request *req, struct s3_place *place, struct buf *query)
{
	enum s3_stage stage = s3_stage(op);

	if (stage == S3_CHECK_UPLOAD) {
		req->method = "GET";
		buf_puts(query, "max-parts=1&uploadId=");
		buf_put_uri(query, op->upload, NULL);
		return true;
	}
	req->method = "HEAD";
	if (stage == S3_CHECK_PATH || stage == S3_PROVE || stage == S3_LOOK) {
		s3_put_customer_key(req, s3_account(op));
		s3_put_checksum_mode(req, s3_account(op));
		return true; /* the place is the path's */
	}
	if (!s3_locate(place, op->from->data, op->path2))
		return false;
	http_request_header(req, "If-Match", "\"%s\"", op->version);
	s3_put_customer_key(req, op->from->data);
	return true;
}

enum cloud_step
s3_look_response(struct cloud_op *op, const struct http_response *res, int code,
    const struct err *why, struct err *err)
{
	enum s3_stage stage = s3_stage(op);
	uint64_t size = op->entry.size;

	if (stage == S3_PROVE)
		return s3_prove_response(op, res, code, err);
	if (stage == S3_CHECK_PATH && code == -ENOENT)
		return s3_stage_next(op);
	if (s3_stage_doubts(op, stage == S3_CHECK_PATH && code == 0 ? -EEXIST : code))
		return CLOUD_STEP_NEXT;
	if (code != 0) {
		if (err != NULL)
			*err = *why;
		return provider_failed(why);
	}
	if (stage == S3_CHECK_PATH)
		return object_refuse(err, -EEXIST, op->path, "exists already");
	if (stage == S3_LOOK) {
		if (s3_take_head(op, res, err) != 0)
			return CLOUD_STEP_FAIL;
		if (size != 0 && op->entry.size != size)
			return object_refuse(
			    err, -ESTALE, op->path, "was written, and is another one by now");
	}
	return s3_stage_next(op);
}
