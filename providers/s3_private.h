/*
 * s3_private: what the files of the s3 driver share: s3.c (paths and directories), s3_stage.c
 * (writes that are made safe by looking first), s3_copy.c, s3_remove.c, s3_upload.c.  Nobody else
 * includes it.
 */
#pragma once
#include "providers/object.h"
#include "providers/s3_multipart.h"
#include "providers/s3_request.h"
#include "providers/s3_xml.h"

#define S3_PUT_MAX      ((uint64_t)5 << 30) /* PutObject: "up to 5 GB" */
#define S3_METADATA_MAX 1900 /* "Working with object metadata": 2 KB, with what we write */
#define S3_COPY_MAX     ((uint64_t)5 << 30) /* CopyObject, UploadPartCopy: the same */
#define S3_PART_SIZE    ((uint64_t)16 << 20) /* "S3 performance guidelines": 8 to 16 MB */

enum s3_step {
	S3_FIRST,
	S3_SECOND, /* STAT: a directory, or why was it denied?  REMOVE, RMDIR: what was looked at is
		      deleted.  MKDIR: nothing is there */
};

/* A write: the requests that its service needs, in this order. */
enum s3_stage {
	S3_CHECK_PATH, /* not to replace anything, where the write cannot be told so */
	S3_CHECK_SOURCE, /* COPY: is it the version still, where the copy cannot be told so? */
	S3_CHECK_UPLOAD, /* COMMIT: is there such an upload, when an attempt failed strangely? */
	S3_ACT,
	S3_CHECK_AGAIN, /* was it the version? */
	S3_PROVE, /* COMMIT that failed: was an answer lost, and is the object what its parts make?
		   */
	S3_LOOK, /* what was made, where the answer does not say it */
	S3_STAGES
};

struct s3_op {
	enum s3_step step;
	enum s3_stage stage;
	bool denied; /* STAT: the answer to HEAD, which has no words */
	bool found; /* LIST: there is something below the prefix */
	bool proven; /* a copy is of the right version */
	bool look; /* the entry is not known yet */
	bool doubt; /* COMMIT: whether there is an upload */
	int failed; /* COMMIT: so, unless S3_PROVE finds better */
	bool redirected; /* it has followed its bucket to another region */
	unsigned regions; /* that the account had learned when it was asked */
	bool looked_again; /* REMOVE: its condition was not met */
	bool batched; /* REMOVE: the request was one of many */
	bool alone; /* REMOVE: it goes with others no more */
	bool unknown; /* REMOVE: that of many was refused as by who knows no such request */
	unsigned pages; /* UPLOAD_FIND */
};

static inline const struct s3_account *
s3_account(const struct cloud_op *op)
{
	return op->account->data;
}

/* s3_stage.c */
bool s3_is_staged(const struct cloud_op *);
enum s3_stage s3_stage(const struct cloud_op *); /* the one that is due */
/* A request that only looks; false: to nowhere. */
bool s3_put_look(struct cloud_op *, struct http_request *, struct s3_place *, struct buf *query);
/* Its answer. */
enum cloud_step s3_look_response(
    struct cloud_op *, const struct http_response *, int code, const struct err *why, struct err *);
/* The write itself has succeeded, or not. */
enum cloud_step s3_stage_acted(struct cloud_op *);
void s3_stage_failed(struct cloud_op *, int code);
/* Whatever it was that failed so: is there something to be proven first? */
bool s3_stage_doubts(struct cloud_op *, int code);

/* s3_copy.c */
bool s3_put_copy(struct cloud_op *, struct http_request *);
enum cloud_step s3_copy_response(struct cloud_op *, const struct http_response *, struct err *);
/* Was it the pinned version, by the etag of the copy?  0, or -ESTALE. */
int s3_copy_compare(struct cloud_op *, const char *etag, struct err *);

/* s3_remove.c */
void s3_put_remove(struct cloud_op *, struct http_request *); /* of one alone */
enum cloud_step s3_remove_response(struct cloud_op *, const struct http_response *, struct err *);
/* It failed so.  Is there something else to be asked before that is so: alone, what was asked in
   company; whether the object is there still? */
bool s3_remove_goes_on(struct cloud_op *, const struct http_response *, const struct err *);
extern const struct cloud_batch s3_removals;

/* s3_upload.c: the kinds from UPLOAD_BEGIN to UPLOAD_FIND; "place" is that of the path. */
enum cloud_step s3_put_upload(struct cloud_op *, struct http_request *, const struct s3_place *,
    struct buf *query, struct err *);
enum cloud_step s3_upload_response(struct cloud_op *, const struct http_response *, struct err *);
/* Is the object that was found the one that the parts of a COMMIT make, by its etag? */
bool s3_is_made_of_parts(const struct cloud_op *, const char *etag);
