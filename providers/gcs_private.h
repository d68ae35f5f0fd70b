/*
 * gcs_private: what the files of the gcs driver share: gcs.c (paths and directories), gcs_copy.c
 * (copies by the service), gcs_upload.c (uploads in parts).  Nobody else includes it.
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

struct gcs_op {
	enum gcs_step step;
	bool found; /* LIST: there is something below the prefix */
	int failed; /* COMMIT: so, unless the object is found to be what its parts make */
	union {
		char next[GCS_TOKEN_MAX]; /* lists: of the page to ask for; COPY: how it goes on */
		struct s3_find find; /* UPLOAD_FIND */
	};
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

/* gcs_upload.c: the kinds from UPLOAD_BEGIN to UPLOAD_FIND */
enum cloud_step gcs_put_upload(struct cloud_op *, struct gcs_ask *, struct err *);
enum cloud_step gcs_upload_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);
