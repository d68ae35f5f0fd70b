/*
 * copy_private.h: a copy as its three files see it: copy.c, from state to state and what is swept;
 * copy_write.c, how the destination is written by each route; copy_check.c, whether what is there
 * is what was copied.
 */
#pragma once
#include "src/await.h"
#include "src/copy.h"
#include "src/route.h"
#include "src/source.h"
#include "src/upload.h"

/* When the cloud cannot be reached, what is swept or removed after a failure shall not wait for it
   as long again. */
#define COPY_SWEEP_ATTEMPTS 2

enum copy_state {
	COPY_START,
	COPY_STAT_SOURCE,
	COPY_STAT_TARGET,
	COPY_ROUTE,
	COPY_LINK, /* to the source, for the destination's cloud to read */
	COPY_BY_CLOUD, /* native or pulled: in one request */
	COPY_RELAY,
	COPY_WAIT, /* before the relay is tried again */
	COPY_UPLOAD,
	COPY_STAT_SOURCE_AGAIN, /* what was pulled may be of another version */
	COPY_STAT_RESULT,
	COPY_REMOVE_WRONG,
	COPY_SWEEP,
	COPY_DROP, /* the upload of the checkpoint is not wanted any more */
	COPY_END,
};

struct copy {
	struct cloud_runner *runner;
	struct event *wake;
	enum copy_state state;

	struct source source;
	struct account *to;
	char *path, *temp_id, *content_type;
	bool overwrite, preserve, repeated, move;
	int64_t mtime_ns;
	bool mtime_set;
	unsigned mode;
	size_t ring;

	bool asked; /* reading the source did not tell what it is */
	struct entry dest;
	bool dest_is_exact; /* dest came from the written file itself: nothing to ask again */
	struct digests computed;

	struct await await;
	struct relay *relay;
	bool relay_ended;
	int relay_code;
	struct err *relay_err; /* owned; NULL unless the code says that it failed */
	struct cloud_tries tries; /* of the relay */
	size_t reserved; /* of memory, for an unsized source */
	struct event *timer;
	bool waited;

	struct checkpoint *checkpoint; /* while no upload has it */
	struct budget *memory;
	struct bucket *const *buckets;
	size_t buckets_len;
	const struct change *change;
	struct upload *upload;
	bool upload_ended;
	int upload_code;
	struct err *upload_err; /* the same */
	enum route route;
	char *link; /* PULL: secret; NULL: not asked for yet */
	bool link_is_pinned, link_has_etag;
	bool parts_are_loose; /* of the upload: some were pulled by a link that is not pinned */
	unsigned parts_compared; /* HASH_BIT()s: of every part of an upload */

	bool begun; /* something may be at the destination */
	bool aborted;
	struct copy_handler handler;
	void *arg;
	struct copy_result result;
};

void copy_wake(struct copy *);
/* The error is in result.err: where to go on from here. */
enum copy_state copy_fail(struct copy *, int code);
#define COPY_FAIL(c, code, ...) copy_fail(c, err_set(&(c)->result.err, code, __VA_ARGS__))
void copy_report(struct copy *, uint64_t bytes);
void copy_set_route(struct copy *, enum route);
/* What the source is has become known. */
int copy_check_source(struct copy *);
bool copy_is_upload(const struct copy *);
/* A write of the destination, with all that it shall have. */
struct cloud_op *copy_op_new(const struct copy *, enum cloud_op_kind);
int64_t copy_mtime(const struct copy *);
/* May a copy by the cloud have the source's time instead? */
bool copy_mtime_is_optional(const struct copy *);

/* Each goes on from the state of its name, and says to which. */
enum copy_state copy_link_run(struct copy *);
enum copy_state copy_by_cloud_run(struct copy *);
enum copy_state copy_relay_run(struct copy *);
void copy_relay_stop(struct copy *);
enum copy_state copy_wait_run(struct copy *);
enum copy_state copy_upload_run(struct copy *);
enum copy_state copy_drop_run(struct copy *);

enum copy_state copy_stat_target_run(struct copy *);
enum copy_state copy_stat_source_again_run(struct copy *);
enum copy_state copy_stat_result_run(struct copy *);
enum copy_state copy_remove_wrong_run(struct copy *);
