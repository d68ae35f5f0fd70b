/*
 * gcs_private: what the files of the gcs driver share: gcs.c (paths and directories), gcs_copy.c
 * (copies by the service), gcs_upload.c (uploads in parts), gcs_session.c (those in one session).
 * Nobody else includes it.
 */
#pragma once
#include "providers/gcs_json.h"
#include "providers/gcs_request.h"
#include "providers/object.h"
#include "providers/s3_multipart.h"

#define GCS_METADATA_MAX 8000 /* "Object metadata": 8 KiB, with what we write */
#define GCS_PUT_MAX      ((uint64_t)5 << 30) /* 5 TiB are taken, but begin again when they fail */
#define GCS_PART_SIZE    ((uint64_t)16 << 20)

/* Which of the requests of an op is due: what each is, the kinds say. */
enum gcs_step { GCS_FIRST, GCS_SECOND, GCS_THIRD, GCS_FOURTH };

/* COMMIT: the requests that it takes. */
#define COMMIT_CHECK GCS_FIRST /* put.no_replace: is there something? */
#define COMMIT_ACT   GCS_SECOND
#define COMMIT_LOOK  GCS_THIRD /* what has it become?  Or: it failed; was it made before? */
#define COMMIT_ASK   GCS_FOURTH /* what is in the way is what it would make: is it made already? */

struct gcs_op {
	enum gcs_step step;
	bool found; /* LIST: there is something below the prefix */
	bool fresh; /* COPY: it has begun anew */
	int failed; /* COMMIT: so, unless the object is found to be what its parts make */
	/* of a session */
	unsigned part_step; /* UPLOAD_PART */
	bool asks, ends; /* COMMIT: it asks what is there; the request under way sends the end */
	unsigned sent; /* COMMIT: so often */
	char made[24]; /* COMMIT: the generation that it made; "": not known */
	char token[RESUMABLE_TOKEN_MAX]; /* UPLOAD_BEGIN */
	unsigned pages; /* UPLOAD_FIND */
};

static inline enum cloud_step
gcs_next(struct cloud_op *op, enum gcs_step step)
{
	struct gcs_op *gcs = op->data;

	gcs->step = step;
	return CLOUD_STEP_NEXT;
}

/* gcs.c: the object as the JSON API describes it, and that into op->entry. */
void gcs_ask_look(struct gcs_ask *);
int gcs_take_look(struct cloud_op *, const struct http_response *, struct err *);

/* gcs_copy.c */
enum cloud_step gcs_put_copy(struct cloud_op *, struct gcs_ask *, struct err *);
/* code: what gcs_check() said of the answer, with *why. */
enum cloud_step gcs_copy_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);

/* gcs_upload.c: the kinds from UPLOAD_BEGIN to UPLOAD_FIND.  No path in the ask: the request is
   one to a session. */
enum cloud_step
gcs_put_upload(struct cloud_op *, struct cloud_request *, struct gcs_ask *, struct err *);
enum cloud_step gcs_upload_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);
enum gcs_step gcs_commit_step(const struct cloud_op *);
/* Is what was looked at what the parts make? */
enum cloud_step gcs_commit_looked(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);

/* gcs_session.c: the same, of uploads in sessions */
bool gcs_is_session(const struct cloud_op *);
/* An upload is one: so are those to come, unless it is known that they need not be, and their parts
   come in order. */
void gcs_take_sessions(struct account *);
enum cloud_step
gcs_put_session(struct cloud_op *, struct cloud_request *, struct gcs_ask *, struct err *);
enum cloud_step gcs_session_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);
