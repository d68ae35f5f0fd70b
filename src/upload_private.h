/*
 * upload_private.h: an upload as its files see it: upload.c, from state to state; upload_lost.c,
 * the search for one whose id was lost; upload_part.c, the parts in flight; upload_commit.c, the
 * end.
 */
#pragma once
#include "src/await.h"
#include "src/upload.h"

enum upload_state {
	UPLOAD_START,
	UPLOAD_STATUS, /* of the upload in the checkpoint: what is there? */
	UPLOAD_LOST, /* an intent: was an upload begun whose id is not known? */
	UPLOAD_LOST_CHECK, /* has it parts?  Then it is not ours */
	UPLOAD_LOST_ABORT,
	UPLOAD_ABORT, /* the one in the checkpoint is of no use */
	UPLOAD_FIND, /* whose uploads are there before ours? */
	UPLOAD_INTENT, /* until upload_noted() */
	UPLOAD_BEGIN,
	UPLOAD_RUN,
	UPLOAD_COMMIT,
	UPLOAD_END,
};

/* A part in flight. */
struct upload_job {
	struct upload *upload;
	unsigned number;
	uint64_t offset, length;
	struct segment *segments; /* of its ranges; strings borrowed from the spec's */
	struct relay_part *ranges;
	size_t ranges_len;
	struct relay *relay;
	struct hash *whole; /* the upload's, and what of this part has come */
	struct await copy;
	bool ended;
	int code;
	struct err err;
	uint64_t bytes;
	struct cloud_tries tries;
	struct event *timer; /* waits before it is tried again */
	size_t memory; /* taken from the budget */
	TAILQ_ENTRY(upload_job) next;
};

struct upload {
	struct cloud_runner *runner;
	struct event *wake;
	enum upload_state state;
	struct upload_spec spec;
	struct account *to;
	char *path;
	struct cloud_put put;
	char source[65];
	struct checkpoint *checkpoint;
	bool sweeping, noted;
	bool began_again; /* the cloud had lost the upload: once, not for ever */
	bool asked_again; /* and so for parts of it */
	unsigned begins; /* that failed */
	struct err *suspect; /* why a part failed that may have failed because of that; owned */

	struct await await;
	char **lost; /* uploads that may be ours */
	size_t lost_len;

	unsigned parts; /* of the whole file */
	unsigned next; /* the next that is not in flight and not done */
	uint64_t part_size, bytes_done;
	TAILQ_HEAD(, upload_job) jobs;
	unsigned jobs_len;
	unsigned at_once, at_once_max;
	const char *why;
	unsigned round_parts; /* done in this round */
	uint64_t round_ms, round_bytes, best_rate;

	unsigned
	    compared; /* HASH_BIT()s that were compared of every part, also by an earlier attempt
		       */
	struct hash *whole; /* in_order: of all parts so far; NULL: some were sent before, or not
			       through us */
	struct digests digests;
	struct entry entry;
	struct upload_handler handler;
	void *arg;
	int code;
	struct err err;
};

void upload_wake(struct upload *);
/* The error is in err, or (the other) in what was awaited: the upload has ended. */
enum upload_state upload_fail(struct upload *, int code);
enum upload_state upload_await_failed(struct upload *);
/* A request to the destination that has the file's attributes; id: of the upload, or NULL. */
struct cloud_op *upload_op(const struct upload *, enum cloud_op_kind, const char *id);
void upload_note(struct upload *, enum checkpoint_note_kind, const struct upload_part *);
/* The cloud says nothing of an upload's parts (CLOUD_UPLOADS_UNTOLD). */
bool upload_is_untold(const struct upload *);
bool upload_pulls_whole(const struct upload *);
uint64_t upload_part_size(const struct cloud_limits *, uint64_t size);
/* Nothing of an earlier attempt is left. */
enum upload_state upload_forget(struct upload *);
enum upload_state upload_begin_again(struct upload *);
enum upload_state upload_ask_again(struct upload *);

enum upload_state upload_find_run(struct upload *);
enum upload_state upload_lost_run(struct upload *);
enum upload_state upload_lost_check_run(struct upload *);
enum upload_state upload_lost_abort_run(struct upload *);
enum upload_state upload_commit_run(struct upload *);

void upload_report(struct upload *);
/* As many parts as may be in flight are. */
void upload_fill(struct upload *);
/* The job has ended: 0, or what ends the upload, with u->err set. */
int upload_job_run(struct upload_job *);
void upload_job_free(struct upload_job *);
