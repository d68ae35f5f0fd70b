/*
 * gdrive_private: what the files of the gdrive driver share: gdrive.c (the ops), gdrive_walk.c
 * (from paths to ids), gdrive_upload.c (sessions), gdrive_changes.c, gdrive_request.c.  Nobody else
 * includes it.
 *
 * An op first walks its paths (one, or two of a move or copy), which makes what is missing above
 * what it is going to write; then its own steps follow.
 */
#pragma once
#include "providers/gdrive_file.h"
#include "src/cloud.h"

#define GDRIVE_PART     ((uint64_t)16 << 20)
#define GDRIVE_PART_MAX ((uint64_t)512 << 20)
#define GDRIVE_PARTS    10240 /* so many of the largest are 5 TiB, the largest file */
#define GDRIVE_FILE_MAX (GDRIVE_PARTS * GDRIVE_PART_MAX)
#define GDRIVE_PAGE_MAX 1000 /* files of one list */
#define GDRIVE_NEXT_MAX 2048 /* a page's token */

/* What the request under way asks. */
enum gdrive_ask {
	ASK_NOTHING, /* the walk is over: the op's own step is due */
	ASK_ROOT, /* the top: is it there, and what is its id? */
	ASK_PLACE, /* where the path led before: is it still that? */
	ASK_NAME, /* what is in the directory of that name? */
	ASK_NEW, /* what was made lately: lists may not show it yet */
	ASK_CHECK, /* what the list has shown: is it so?  Lists may be behind */
	ASK_IDS, /* ids for new files */
	ASK_MAKE, /* a directory that is missing on the way */
};

struct gdrive_walk {
	bool changes; /* what it leads to will be changed: that is looked at closely */
	bool makes; /* directories on the way are made */
	enum gdrive_ask ask;
	size_t at; /* of the component in the path that is being looked for */
	char dir[GDRIVE_ID_MAX]; /* where it is looked for */
	bool listed, asked_new, found_listed;
	int how; /* found_listed: as gdrive_name_is() says */
	char next[GDRIVE_NEXT_MAX]; /* of the list */
	unsigned behind; /* times that a list was found to be so */
	/* the end */
	bool ended, has;
	struct gdrive_node node; /* if it has; dir: where it is, or would be */
};

struct gdrive_op {
	struct gdrive_walk walks[2]; /* of op->path, and of op->path2 */
	bool begun;
	unsigned step; /* of the op itself: what each is, its kind says */
	char id[GDRIVE_ID_MAX]; /* of what is made */
	unsigned ids_refused;
	bool unpinned; /* READ: the revision may not be read */
	bool asks_ids;
	bool looked_again;
	uint64_t looked_ms; /* at what a path ends in; clock of now_ms */
	unsigned looks; /* REMOVE: more, as it took so long */
	char token[RESUMABLE_TOKEN_MAX]; /* names this upload */
	char url[RESUMABLE_URL_MAX]; /* of its session */
	char strayed[GDRIVE_ID_MAX]; /* COMMIT: the directory that it made the file in, if that is
					not where the path leads by now; or "" */
	bool queries; /* it asks the session what is there */
	bool copies; /* COPY of a document: it was asked for */
	struct err why; /* MOVE: failed so, and ends with it when what was there is back */
	char next[GDRIVE_NEXT_MAX]; /* of a list */
};

/* gdrive_request.c: all of a request but what the op adds. */
/* "METHOD BASE/PATH": then parameters are added. */
void gdrive_ask(struct http_request *, const struct gdrive_account *, const char *method,
    const char *fmt, ...) PRINTF(4, 5);
void gdrive_param(struct http_request *, const char *name, const char *value);
/* fields, supportsAllDrives: of what answers with a file */
void gdrive_param_file(struct http_request *);
/* Takes the JSON as the body. */
void gdrive_body(struct http_request *, json_t *);
/* A page of what is in a directory and not in the trash; terms: to be added to the query, or "". */
void gdrive_ask_list(struct http_request *, const struct gdrive_account *, const char *dir,
    const char *terms, const char *next, unsigned size);
/* "YYYY-MM-DDTHH:MM:SS.mmmZ", as Drive keeps times. */
json_t *gdrive_time(int64_t ns);
/* The answer's JSON; caller decrefs.  NULL: *err is set. */
json_t *gdrive_answer(const struct cloud_op *, const struct http_response *, struct err *);
/* The answer's file; *file (may be NULL): its JSON, caller decrefs. */
int gdrive_answer_file(struct gdrive_node *out, json_t **file, const struct cloud_op *,
    const struct http_response *, struct err *);
/* The token of the page behind that of a list: false if it has none.  -EPROTO: in circles. */
int gdrive_answer_next(char next[GDRIVE_NEXT_MAX], bool *more, const json_t *answer, struct err *);

/* PATCH of a file; takes the JSON. */
void gdrive_ask_change(struct cloud_op *, struct http_request *, const char *id, json_t *change);
/* To the trash, or away for good. */
void gdrive_ask_remove(struct cloud_op *, struct http_request *, const struct gdrive_node *);
/* Op's id is what is to be made at the walk's end; false: the request asks for ids first. */
bool gdrive_has_id(struct cloud_op *, const struct gdrive_walk *, struct http_request *);

/* gdrive_list.c */
enum cloud_step gdrive_put_list(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step gdrive_list_response(struct cloud_op *, const struct http_response *, struct err *);
/* A page of a directory that must be empty: NEXT, with the step `next` if it is; -ENOTEMPTY. */
enum cloud_step gdrive_empty_response(
    struct cloud_op *, const char *path, const struct http_response *, unsigned next, struct err *);

/* gdrive_changes.c */
enum cloud_step gdrive_put_changes(struct cloud_op *, struct http_request *);
enum cloud_step
gdrive_changes_response(struct cloud_op *, const struct http_response *, struct err *);
/* It was shown to whoever follows changes. */
void gdrive_seen(struct gdrive_account *, const struct gdrive_node *);

/* gdrive_copy.c */
/* A copy of a document was asked for, and the answer did not come: its path is walked anew. */
bool gdrive_copy_may_be_there(struct cloud_op *);
enum cloud_step gdrive_put_copy(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step gdrive_put_move(struct cloud_op *, struct http_request *, struct err *);
enum cloud_step gdrive_copy_response(struct cloud_op *, const struct http_response *, struct err *);
enum cloud_step gdrive_move_response(struct cloud_op *, const struct http_response *, struct err *);
/* An answer that is an error by its status, but not by what the op wants; else FAIL. */
enum cloud_step gdrive_copy_forgive(struct cloud_op *, int code, const struct err *why);

/* gdrive_walk.c */
/* What is to be asked next.  ASK_NOTHING: both walks are over. */
enum gdrive_ask gdrive_walk_plan(struct cloud_op *, struct gdrive_walk **);
void gdrive_walk_request(struct cloud_op *, struct gdrive_walk *, struct http_request *);
/* NEXT, or what ends the op. */
enum cloud_step gdrive_walk_response(
    struct cloud_op *, struct gdrive_walk *, const struct http_response *, struct err *);
void gdrive_walk_again(struct gdrive_walk *); /* from the start */
/* A directory that was believed is not there: all paths are walked anew, once.  False: they were.
 */
bool gdrive_look_again(struct cloud_op *);
/* What lies at the end of a path now: it is remembered, or forgotten. */
void gdrive_was_made(struct cloud_op *, const struct gdrive_walk *, const struct gdrive_node *);
void gdrive_was_removed(struct cloud_op *, const struct gdrive_walk *);
/* Is it what the component should be?  So a rename, a move, the trash are noticed. */
bool gdrive_walk_fits(
    struct cloud_op *, const struct gdrive_walk *, const json_t *file, const struct gdrive_node *);
/* Is it what the op wants, op->version? */
bool gdrive_is_version(const struct cloud_op *, const struct gdrive_node *);
enum cloud_step gdrive_refuse_document(const char *path, struct err *); /* it is to be written */
enum cloud_step gdrive_refuse_version(const struct cloud_op *, const char *path, struct err *);
/* The last component of the path that it walks. */
const char *gdrive_walk_name(const struct cloud_op *, const struct gdrive_walk *);
/* The path that it walks, and whose. */
const char *gdrive_walk_path(const struct cloud_op *, const struct gdrive_walk *);
/* An id for what is to be made of this name there, in op's id.  False: ids must be asked for. */
bool gdrive_take_id(struct cloud_op *, const char *dir, const char *name);
void gdrive_ask_ids(struct cloud_op *, struct http_request *);
enum cloud_step gdrive_take_ids(struct cloud_op *, const struct http_response *, struct err *);

/* gdrive_upload.c: PUT, and the kinds from UPLOAD_BEGIN to UPLOAD_FIND */
enum cloud_step gdrive_upload_request(struct cloud_op *, struct cloud_request *, struct err *);
enum cloud_step
gdrive_upload_response(struct cloud_op *, const struct http_response *, struct err *);

static inline struct gdrive_walk *
gdrive_walk(const struct cloud_op *op)
{
	return &((struct gdrive_op *)op->data)->walks[0];
}

static inline enum cloud_step
gdrive_next(struct cloud_op *op, unsigned step)
{
	struct gdrive_op *gdrive = op->data;

	gdrive->step = step;
	gdrive->next[0] = '\0';
	return CLOUD_STEP_NEXT;
}
