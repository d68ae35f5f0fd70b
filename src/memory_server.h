/*
 * memory_server: the objects of the in-process servers (see memory.h for what they answer).  It
 * does no I/O and knows no loops: the head of a request and its uploaded body in, an answer out.
 * All servers are behind one lock, so any thread may call.
 *
 * Content is held in blobs, which never change once they are full: an answer that is being sent
 * keeps its blob, whatever happens to the object meanwhile.
 */
#pragma once
#include "src/http.h"

#define MEMORY_OBJECT_MAX                                                                          \
	((uint64_t)1 << 30) /* of one object's content; a test double has no use for more */
#define MEMORY_PAGE_MAX 1000 /* entries of one list page */

struct memory_blob;
struct memory_blob *
memory_blob_new(const void *data, size_t len); /* copies; data may be NULL if len is 0 */
void memory_blob_unref(struct memory_blob *); /* NULL is a no-op */
const unsigned char *memory_blob_data(const struct memory_blob *);

struct memory_ask {
	const char *server;
	const char *method;
	const char *path; /* decoded, canonical */
	const char *query; /* as it came, "" if there is none */
	const struct http_headers *headers;
};

struct memory_answer {
	int status;
	struct http_headers headers;
	struct memory_blob *body; /* NULL: none */
	uint64_t offset, length; /* of the body: what is to be sent */
};

struct memory_fault {
	int status; /* 0: lose the connection */
	uint64_t after; /* body bytes before it is lost */
	uint64_t retry_after_s;
};

void memory_answer_init(struct memory_answer *);
void memory_answer_fini(struct memory_answer *);
/* Carries the request out and fills in the answer.  upload: content of PUT and POST, else NULL. */
void memory_server_answer(struct memory_answer *, const struct memory_ask *,
    const struct memory_blob *upload, size_t upload_len);
/* Takes the fault that is due for such a request, if any. */
bool memory_server_take_fault(struct memory_fault *out, const char *server, const char *method);
void
memory_server_count(const char *server, const char *method); /* one more request was answered */
