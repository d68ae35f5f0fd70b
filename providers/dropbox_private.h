/*
 * dropbox_private: what the files of the dropbox driver share: dropbox.c (paths and directories),
 * dropbox_write.c (what is made anew), dropbox_batch.c (many at once), dropbox_names.c (under which
 * name), dropbox_move.c (copies and moves), dropbox_upload.c (uploads in parts), dropbox_pull.c
 * (what Dropbox reads from a link), dropbox_changes.c.  Nobody else includes it.
 */
#pragma once
#include "providers/dropbox_answer.h"
#include "providers/dropbox_request.h"
#include "providers/object.h"
#include "src/path.h"

#define MIB ((uint64_t)1 << 20)

/* "upload": "Do not use this to upload a file larger than 150 MiB"; the same for a request to a
   session, whose pieces are whole blocks of 4 MiB. */
#define DROPBOX_PUT_MAX   (150 * MIB)
#define DROPBOX_BLOCK     (4 * MIB)
#define DROPBOX_PART_MAX  (148 * MIB)
#define DROPBOX_PARTS_MAX 50000 /* there is no limit: the checkpoint should not have more */
#define DROPBOX_FILE_MAX  (((uint64_t)1 << 41) - ((uint64_t)1 << 22))
#define DROPBOX_UPLOAD                                                                             \
	(16 * MIB) /* from here on in parts: less is not worth three requests more                 \
		    */
/*
 * "save_url": "the transfer from the URL must complete within 15 minutes".  A file is given to it
 * if that should take half as long, at the speed of those before it.  Before the first one, a
 * server is taken to give 1 MiB a second, which is a guess of ours: it leads to 450 MiB.
 */
#define DROPBOX_PULL_S           900
#define DROPBOX_PULL_FITS(speed) ((speed)*DROPBOX_PULL_S / 2)
#define DROPBOX_PULL_MAX         DROPBOX_PULL_FITS(MIB)

#define DROPBOX_CURSOR_MAX       4096 /* none is known to be longer than some hundred bytes */

/* Which request of an op is due. */
enum dropbox_step {
	DROPBOX_ASK, /* what the op is, or what it has to know first */
	DROPBOX_SOURCE, /* COPY from another account: a reference to it */
	DROPBOX_SESSION, /* PUT: the content, into a session that is finished by ACT */
	DROPBOX_ACT, /* the op itself, after something was asked */
	DROPBOX_TARGET, /* what is in the way? */
	DROPBOX_ABOVE, /* of what name is the folder above it? */
	DROPBOX_EMPTY, /* MOVE: is the folder in the way empty?  RMDIR: is it? */
	DROPBOX_CLEAR, /* COPY, MOVE: what is in the way goes */
	DROPBOX_AGAIN, /* now nothing is in the way, or what may be */
	DROPBOX_RESTORE, /* COPY, MOVE: it failed: what was in the way comes back */
	DROPBOX_ASIDE, /* MOVE: to another name, of a rename to another case */
	DROPBOX_BACK, /* MOVE: that failed: it comes back */
	DROPBOX_UNDO, /* what was made is not what was asked for */
	DROPBOX_PROVE, /* COMMIT, PUT: has it happened before? */
	DROPBOX_STRAY, /* COMMIT, ABORT of what is pulled: what an answer that was lost left goes */
	DROPBOX_BEGIN, /* CHANGES: a cursor of what is there now */
	DROPBOX_WAIT, /* CHANGES: for one */
};

/* What is known of an object. */
struct dropbox_object {
	bool is_folder;
	char id[DROPBOX_ID_MAX];
	char rev[DROPBOX_REV_MAX]; /* "" of a folder */
	char name[PATH_COMPONENT_MAX + 1]; /* as it is shown */
	char hash[2 * HASH_MAX_SIZE + 1]; /* in hex; or "" */
};

struct dropbox_op {
	enum dropbox_step step;
	unsigned times; /* that it began again */
	unsigned sent; /* requests of this step: beyond the first an answer may be lost */
	unsigned waits; /* for a job of the service's */
	struct dropbox_object source, target;
	unsigned up; /* BEGIN, MKDIR: so many folders above are not there */
	uint64_t odd; /* bits: folders of the target's path, from the namespace's top on, that the
			 service shows by another name */
	bool made; /* what was asked for, and op->entry is that */
	char cursor[DROPBOX_CURSOR_MAX]; /* of a list, of changes; PUT: the session that has its
					  * content; or ""
					  */
	bool closed, alone; /* PUT: that session is; PUT, COMMIT: it is finished with no others */
	char reference[DROPBOX_ID_MAX]; /* COPY from another account */
	char aside[16]; /* MOVE: makes the other name one that nobody has */
	struct err err; /* why it failed, while that is made good */
};

static inline enum cloud_step
dropbox_next(struct cloud_op *op, enum dropbox_step step)
{
	struct dropbox_op *dropbox = op->data;

	dropbox->step = step;
	dropbox->sent = 0;
	return CLOUD_STEP_NEXT;
}

/* An answer, as dropbox_check() understood it; code 0: it is no error. */
struct dropbox_result {
	const struct http_response *res;
	int code;
	struct dropbox_error error;
	struct err why;
};

/* The op fails, or is repeated, as the result says. */
enum cloud_step dropbox_failed(const struct dropbox_result *, struct err *);
/* What metadata say; -EPROTO. */
int dropbox_object(struct dropbox_object *out, const json_t *metadata, struct err *);
/* Metadata of the answer, which may be its member `metadata`, into op->entry: DONE, or it makes no
   sense. */
enum cloud_step dropbox_done(struct cloud_op *, const struct dropbox_result *, struct err *);

/* Metadata of the answer, which may be its member; NULL with -EPROTO in *err.  Caller drops it. */
json_t *dropbox_metadata(const struct cloud_op *, const struct http_response *, struct err *);

/* dropbox_names.c.  Is what is at the path shown by its last component?  Else -EILSEQ. */
int
dropbox_check_name(const struct cloud_op *, const char *path, const char *shown, struct err *err);
/* Do the metadata of what is at the path show folders above it by other names?  Then step ABOVE
   asks for these, until its response is DONE: all have the path's names; or FAIL, with -EILSEQ. */
bool dropbox_is_elsewhere(struct cloud_op *, const char *path, const json_t *metadata);
void dropbox_ask_above(const struct cloud_op *, struct http_request *, const char *path);
enum cloud_step dropbox_above_response(
    struct cloud_op *, const char *path, const struct dropbox_result *, struct err *);
/* Step ASK of what is made: asks for what is at the op's path (UPLOAD_BEGIN) or for the folder
   above it (MKDIR), and where nothing is there for what is above that.  The response leads to step
   ACT when nothing has another name than the path has; or it is FAIL: with -EILSEQ, or what is
   there cannot be.  False: nothing is above it. */
bool dropbox_ask_place(const struct cloud_op *, struct http_request *);
enum cloud_step
dropbox_place_response(struct cloud_op *, const struct dropbox_result *, struct err *);

/* dropbox_write.c: PUT, UPLOAD_COMMIT, MKDIR */
enum cloud_step dropbox_write_request(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step
dropbox_write_response(struct cloud_op *, const struct dropbox_result *, struct err *);

/* What makes the file of the session that has its content; caller drops it. */
json_t *dropbox_finish_arg(const struct cloud_op *);

/* dropbox_batch.c: PUT and COMMIT, several with one request.  Are so many writes under way that a
   PUT is better one of these? */
extern const struct cloud_batch dropbox_finishes;
bool dropbox_is_crowded(const struct cloud_op *);
/* The op was refused with this: was it for the lock? */
void dropbox_note_lock(struct cloud_op *, const struct dropbox_error *);

/* dropbox_move.c: COPY, MOVE; and COMMIT of what was pulled, which moves `source` from where it was
   put, from step ACT on */
enum cloud_step dropbox_move_request(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step
dropbox_move_response(struct cloud_op *, const struct dropbox_result *, struct err *);

/* dropbox_pull.c: BEGIN with a link, and the kinds from UPLOAD_PART to ABORT of an upload that was
   begun so.  Is the op one of these? */
bool dropbox_is_pull(const struct cloud_op *);
enum cloud_step dropbox_pull_request(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step
dropbox_pull_response(struct cloud_op *, const struct dropbox_result *, struct err *);

/* dropbox_changes.c: CHANGES */
enum cloud_step dropbox_changes_request(struct cloud_op *, struct http_request *);
enum cloud_step
dropbox_changes_response(struct cloud_op *, const struct dropbox_result *, struct err *);

/* dropbox_upload.c: the kinds from UPLOAD_BEGIN to UPLOAD_FIND, but for COMMIT.  The session in an
   upload's id, and the size of the whole; NULL if it is none. */
const char *dropbox_session(const char *upload, uint64_t *size);
json_t *dropbox_cursor_arg(const char *session, uint64_t offset);
enum cloud_step dropbox_upload_request(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step
dropbox_upload_response(struct cloud_op *, const struct dropbox_result *, struct err *);
