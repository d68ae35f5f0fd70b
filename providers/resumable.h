/*
 * resumable: uploads in sessions, as Google's services take them ("Resumable uploads" of Cloud
 * Storage, "Upload file data" of Drive).
 *
 * A session makes the file when its last byte has come, whole, and not before.  It takes bytes in
 * order, whole chunks count, and it says how many it has when it is asked.  So parts come one
 * behind the other (limits.in_order), and what the session has of one is dropped from the ring.
 *
 * COMMIT must be what makes the file.  So the end of the last part, at most a chunk, stays in
 * memory until then.  If that is lost COMMIT says that a part is missing, and the last part is sent
 * again, of which nothing but the end is.
 *
 * A session's URL is all that it takes to write to it: no token is sent along, and none expires in
 * the middle of it.  It is a part of the upload's id, and as secret.
 *
 * The driver begins sessions, and says what a file is that one has made.
 */
#pragma once
#include "src/cloud.h"

#define RESUMABLE_CHUNK        ((uint64_t)256 << 10) /* chunks are multiples of this */
#define RESUMABLE_TOKEN_MAX    33
#define RESUMABLE_URL_MAX      2048
#define RESUMABLE_SESSIONS_MAX 64

/* An upload, as its id tells. */
struct resumable {
	uint64_t size, part; /* of the whole; of all parts but the last */
	char token[RESUMABLE_TOKEN_MAX]; /* names it */
	char url[RESUMABLE_URL_MAX]; /* of its session */
	const char *ca; /* to verify that with; or NULL; borrowed */
};

/* What this process knows of an upload's session. */
struct resumable_session {
	char token[RESUMABLE_TOKEN_MAX]; /* ""; free */
	bool asked; /* it said what it has, and nothing was sent since */
	uint64_t there; /* bytes that it has */
	struct buf tail; /* the file's last bytes, which COMMIT sends; len 0: not known */
	uint64_t used;
};

/* Of an account.  Hints, and bounded: what is lost is asked for, or sent, again. */
struct resumable_sessions {
	struct resumable_session items[RESUMABLE_SESSIONS_MAX];
	uint64_t uses; /* the larger, the later */
};
void resumable_sessions_fini(struct resumable_sessions *);
/* What is known of an upload; made if `make`, else NULL. */
struct resumable_session *
resumable_session_get(struct resumable_sessions *, const char *token, bool make);
void resumable_session_drop(struct resumable_sessions *, const char *token);

/* An id's next word, or number from 1 on, and on to the one behind it. */
bool resumable_word(char *out, size_t size, const char **at);
bool resumable_number(uint64_t *out, const char **at);
/* A new upload's name, of the op's random bytes. */
void resumable_name(char token[RESUMABLE_TOKEN_MAX], const struct cloud_op *);

/* Fills in a request to a session: of [from, to) of `size` bytes; from == to: what is there? */
void resumable_ask(struct http_request *, const char *url, const char *ca, uint64_t from,
    uint64_t to, uint64_t size);
void resumable_ask_abort(struct http_request *, const struct resumable *);
/* What it answered.  0: it has `there` bytes, or (`made`) has written the file that the answer
   describes.  1: an error, which its driver knows.  -EPROTO. */
int resumable_read(uint64_t *there, bool *made, const struct cloud_op *,
    const struct http_response *, struct err *);
/* Where the session is that was begun; NULL: the answer does not say, or not so that an id could
   have it.  Borrowed. */
const char *resumable_location(const struct http_response *);

/* UPLOAD_PART takes up to three requests; *step is 0 before the first. */
enum cloud_step resumable_put_part(struct cloud_op *, struct cloud_request *,
    const struct resumable *, struct resumable_sessions *, unsigned *step, struct err *);
/* The session has `there` bytes. */
enum cloud_step resumable_part_response(struct cloud_op *, const struct resumable *,
    struct resumable_sessions *, unsigned *step, uint64_t there, struct err *);
/* op->parts: those that it has. */
void resumable_take_status(
    struct cloud_op *, const struct resumable *, struct resumable_sessions *, uint64_t there);

/* COMMIT: are these all parts, each as it was called? */
bool resumable_is_whole(const struct cloud_op *, const struct resumable *);
/* Is the end here? */
bool resumable_has_end(struct resumable_sessions *, const struct resumable *);
/* Sends it. */
void
resumable_put_end(struct http_request *, const struct resumable *, struct resumable_sessions *);
