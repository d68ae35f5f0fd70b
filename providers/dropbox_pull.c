/*
 * What Dropbox reads by itself from a link ("save_url", "save_url/check_job_status"): an upload of
 * one part.
 *
 * BEGIN looks whether COMMIT would find a name of another case, gives it the link, and the job's id
 * is in the upload's, so that a restart goes on asking for that job.  The part is there when the
 * job has ended.  A job cannot be stopped: ABORT of one that runs waits for its end, or is -EAGAIN,
 * and to be tried later, when what it has made can be removed.
 *
 * "If the given path already exists, the file will be renamed", says the documentation: nothing is
 * replaced, and the file may come to lie under a name that nobody asked for.  So the job saves
 * beside the destination, under a name that the change has alone, and COMMIT moves what it made, by
 * its id, as dropbox_move.c does it.  A BEGIN whose answer was lost may have left a file of that
 * name: then the job's is another, and the first one goes too.
 *
 * There is no time to give it: it has that of the job's end.
 */
#include "providers/dropbox_private.h"
#include "providers/providers.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PULL_PREFIX  "pull "
#define PULL_NAME    ".skyferry-pull-"
#define PULL_DONE    "-" /* in place of a job: it was there at once */
#define PULL_JOB_MAX 512 /* none is known to be longer than some dozen bytes */

/* A job is asked for after a quarter of a second, and then after twice as long each time. */
#define PULL_WAIT_MS     UINT64_C(250)
#define PULL_WAIT_MAX_MS UINT64_C(10000)
#define PULL_WAITS       105 /* more than a quarter of an hour */
#define PULL_WAITS_SOON  4 /* four seconds */

/* An upload's id: "pull SIZE BEGUN JOB NAME". */
struct pull {
	uint64_t size, begun_ms;
	const char *job;
	size_t job_len;
	const char *name;
};

static bool
pull_parse(struct pull *out, const char *upload)
{
	const char *at = upload + sizeof PULL_PREFIX - 1;

	if (!object_number(&out->size, &at) || *at++ != ' ' ||
	    !object_number(&out->begun_ms, &at) || *at++ != ' ')
		return false;
	out->job = at;
	out->job_len = strcspn(at, " ");
	if (out->job_len == 0 || at[out->job_len] == '\0')
		return false;
	out->name = at + out->job_len + 1;
	return *out->name != '\0' && strchr(out->name, '/') == NULL;
}

bool
dropbox_is_pull(const struct cloud_op *op)
{
	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return op->link != NULL;
	return op->upload != NULL && strncmp(op->upload, PULL_PREFIX, sizeof PULL_PREFIX - 1) == 0;
}

/* Of a file beside the destination.  Caller frees. */
static char *
path_beside(const struct cloud_op *op, const char *name)
{
	CLEANUP(cleanup_free) char *dir = path_parent(op->path);

	return path_child(dir, name);
}

static char *
begin_name(const struct cloud_op *op)
{
	return xasprintf(PULL_NAME "%s", op->put.temp_id);
}

/* Requests */

static enum cloud_step
ask_begin(const struct cloud_op *op, struct http_request *req, struct err *err)
{
	CLEANUP(cleanup_free) char *name = begin_name(op);
	CLEANUP(cleanup_free) char *path = path_beside(op, name);
	const struct dropbox_account *account = op->account->data;
	const struct dropbox_op *dropbox = op->data;
	json_t *arg;

	if (dropbox_seconds(op->put.mtime_ns) >= 0 && !op->put.mtime_optional)
		return object_refuse(err, -EOPNOTSUPP, op->path,
		    "what Dropbox reads by itself can be given no time");
	if (dropbox->step == DROPBOX_ASK) {
		dropbox_ask_place(op, req);
		return CLOUD_STEP_SEND;
	}
	arg = dropbox_path_arg(account, path);
	json_object_set_new(arg, "url", json_string(op->link));
	dropbox_rpc(req, account, "files/save_url", arg);
	return CLOUD_STEP_SEND;
}

static void
ask_job(const struct cloud_op *op, struct http_request *req, const struct pull *pull)
{
	const struct dropbox_account *dropbox = op->account->data;
	CLEANUP(cleanup_free) char *path = path_beside(op, pull->name);
	CLEANUP(cleanup_free) char *job = xstrndup(pull->job, pull->job_len);

	if (strcmp(job, PULL_DONE) == 0)
		dropbox_rpc(req, dropbox, "files/get_metadata", dropbox_path_arg(dropbox, path));
	else
		dropbox_rpc(req, dropbox, "files/save_url/check_job_status",
		    json_pack("{s:s}", "async_job_id", job));
}

static void
ask_delete(const struct cloud_op *op, struct http_request *req, const char *name, const char *rev)
{
	const struct dropbox_account *dropbox = op->account->data;
	CLEANUP(cleanup_free) char *path = path_beside(op, name);
	json_t *arg = dropbox_path_arg(dropbox, path);

	if (*rev != '\0')
		json_object_set_new(arg, "parent_rev", json_string(rev));
	dropbox_rpc(req, dropbox, "files/delete_v2", arg);
}

enum cloud_step
dropbox_pull_request(struct cloud_op *op, struct http_request *req, struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	struct pull pull;

	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return ask_begin(op, req, err);
	if (!pull_parse(&pull, op->upload))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	if (dropbox->step == DROPBOX_ASK)
		ask_job(op, req, &pull);
	else if (dropbox->step == DROPBOX_STRAY)
		ask_delete(op, req, pull.name, "");
	else if (op->kind == CLOUD_UPLOAD_COMMIT)
		return dropbox_move_request(op, req, err);
	else
		ask_delete(op, req, dropbox->source.name, dropbox->source.rev);
	return CLOUD_STEP_SEND;
}

/* How long it takes */

static void
learn(struct account *account, uint64_t most)
{
	account->limits.pull_max = MIN(MAX(most, DROPBOX_UPLOAD), DROPBOX_FILE_MAX);
}

/* Only of what was seen under way it is known when it ended.  Halfway to what this one says. */
static void
learn_speed(const struct cloud_op *op, const struct pull *pull)
{
	const struct dropbox_op *dropbox = op->data;
	uint64_t took = op->now_ms > pull->begun_ms ? op->now_ms - pull->begun_ms : 1, fits;

	if (dropbox->waits == 0)
		return;
	fits = DROPBOX_PULL_FITS(pull->size * 1000 / took);
	learn(op->account, op->account->limits.pull_max / 2 + fits / 2);
}

static void
learn_slowness(const struct cloud_op *op, const struct pull *pull)
{
	if (op->now_ms >= pull->begun_ms + DROPBOX_PULL_S * UINT64_C(1000))
		learn(op->account, MIN(op->account->limits.pull_max, pull->size / 2));
}

static enum cloud_step
job_wait(struct cloud_op *op, const struct pull *pull, struct err *err)
{
	struct dropbox_op *dropbox = op->data;

	if (op->soon && dropbox->waits >= PULL_WAITS_SOON)
		return object_refuse(err, -EAGAIN, op->path,
		    "Dropbox still reads a link for it: what comes of that is removed later");
	if (dropbox->waits >= PULL_WAITS) {
		learn_slowness(op, pull);
		return object_refuse(
		    err, -EOPNOTSUPP, op->path, "Dropbox has not read the link in 15 minutes");
	}
	op->wait_ms = MIN(PULL_WAIT_MS << MIN(dropbox->waits, 10U), PULL_WAIT_MAX_MS);
	dropbox->waits++;
	return CLOUD_STEP_WAIT;
}

/* Answers */

/* "SaveUrlResult": a job, or the file itself. */
static enum cloud_step
begin_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	CLEANUP(cleanup_free) char *name = begin_name(op);
	const struct dropbox_op *dropbox = op->data;
	const char *job, *made;
	json_t *answer;

	if (dropbox->step == DROPBOX_ASK)
		return dropbox_place_response(op, result, err);
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	if (answer == NULL)
		return CLOUD_STEP_FAIL;
	job = dropbox_text(answer, "async_job_id");
	made = dropbox_text(answer, "name");
	if (strcmp(dropbox_text(answer, ".tag"), "complete") == 0)
		job = PULL_DONE;
	else
		made = name;
	free(op->upload);
	op->upload = *job == '\0' || strlen(job) > PULL_JOB_MAX || strchr(job, ' ') != NULL ||
		*made == '\0' || strlen(made) > PATH_COMPONENT_MAX || strchr(made, '/') != NULL
	    ? NULL
	    : xasprintf(
		  PULL_PREFIX "%" PRIu64 " %" PRIu64 " %s %s", op->length, op->now_ms, job, made);
	json_decref(answer);
	return op->upload != NULL
	    ? CLOUD_STEP_DONE
	    : object_refuse(err, -EPROTO, op->path, "the service does not name its job");
}

/* The job has failed, or is not known any more: what it was to do is to be done anew. */
static enum cloud_step
job_lost(const struct cloud_op *op, struct err *err)
{
	return object_refuse(err, -ENOENT, op->path, "nothing has come of the link that was read");
}

static enum cloud_step
job_failed(struct cloud_op *op, const struct pull *pull, const json_t *failed, struct err *err)
{
	struct err why = ERR_INIT;
	int code = dropbox_check_job(op, failed, &why);

	learn_slowness(op, pull);
	/* To ask for it once more would tell the same. */
	if (op->kind != CLOUD_COPY_PART || err_is_transient(code))
		return job_lost(op, err);
	if (err != NULL)
		*err = why;
	return CLOUD_STEP_FAIL;
}

/* "SaveUrlJobStatus", or the metadata of what was there at once.  DONE: it is there, as `source`
   and op->entry say. */
static enum cloud_step
job_state(struct cloud_op *op, const struct pull *pull, const json_t *answer, struct err *err)
{
	const char *tag = dropbox_text(answer, ".tag");
	struct dropbox_op *dropbox = op->data;

	if (strcmp(tag, "in_progress") == 0)
		return op->kind == CLOUD_UPLOAD_STATUS ? CLOUD_STEP_DONE : job_wait(op, pull, err);
	if (strcmp(tag, "failed") == 0)
		return job_failed(op, pull, json_object_get(answer, "failed"), err);
	if (strcmp(tag, "complete") != 0 && strcmp(tag, "file") != 0)
		return object_refuse(
		    err, -EPROTO, op->path, "the service does not say what its job does");
	if (dropbox_object(&dropbox->source, answer, err) != 0 ||
	    dropbox_take(op, answer, err) != 0)
		return CLOUD_STEP_FAIL;
	return CLOUD_STEP_DONE;
}

static enum cloud_step
job_response(struct cloud_op *op, const struct pull *pull, const struct dropbox_result *result,
    struct err *err)
{
	enum cloud_step step;
	json_t *answer;

	/* "PollError": "Something went wrong with the job": nobody knows it any more. */
	if (result->code == -ENOENT || dropbox_error_is(&result->error, "internal_error"))
		return job_lost(op, err);
	if (result->code != 0)
		return dropbox_failed(result, err);
	answer = dropbox_parse(op, result->res, err);
	step = answer == NULL ? CLOUD_STEP_FAIL : job_state(op, pull, answer, err);
	json_decref(answer);
	return step;
}

/* The part's tag is the file's hash. */
static enum cloud_step
part_response(struct cloud_op *op, const struct pull *pull, const struct dropbox_result *result,
    struct err *err)
{
	enum cloud_step step = job_response(op, pull, result, err);
	const struct dropbox_op *dropbox = op->data;

	if (step != CLOUD_STEP_DONE)
		return step;
	learn_speed(op, pull);
	if (op->entry.size != op->length)
		return object_refuse(err, -ESTALE, op->path,
		    "Dropbox read another number of bytes: the source has changed");
	op->part.length = op->length;
	op->part.has_crc32c = false;
	snprintf(op->part.tag, sizeof op->part.tag, "%s", dropbox->source.hash);
	op->entry.digests.have = 0; /* nothing to compare it with */
	return CLOUD_STEP_DONE;
}

static bool
is_stray(const struct cloud_op *op, const struct pull *pull)
{
	const struct dropbox_op *dropbox = op->data;

	return strcmp(dropbox->source.name, pull->name) != 0;
}

static enum cloud_step
commit_response(struct cloud_op *op, const struct pull *pull, const struct dropbox_result *result,
    struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	enum cloud_step step;

	if (dropbox->step == DROPBOX_STRAY)
		return CLOUD_STEP_DONE; /* the file is there, whatever became of this */
	if (dropbox->step == DROPBOX_ASK) {
		step = job_response(op, pull, result, err);
		return step == CLOUD_STEP_DONE ? dropbox_next(op, DROPBOX_ACT) : step;
	}
	step = dropbox_move_response(op, result, err);
	return step == CLOUD_STEP_DONE && is_stray(op, pull) ? dropbox_next(op, DROPBOX_STRAY)
							     : step;
}

/* What has been moved away, or changed by somebody, is none of it any more. */
static enum cloud_step
abort_response(struct cloud_op *op, const struct pull *pull, const struct dropbox_result *result,
    struct err *err)
{
	const struct dropbox_op *dropbox = op->data;
	struct err why = ERR_INIT;
	enum cloud_step step;

	if (dropbox->step == DROPBOX_ASK) {
		step = job_response(op, pull, result, &why);
		if (step == CLOUD_STEP_DONE)
			return dropbox_next(op, DROPBOX_CLEAR);
		if (why.code == -ENOENT)
			return dropbox_next(op, DROPBOX_STRAY);
		if (err != NULL)
			*err = why;
		return step;
	}
	if (result->code != 0 && result->code != -ENOENT &&
	    strstr(result->error.tags, "conflict") == NULL)
		return dropbox_failed(result, err);
	return dropbox->step == DROPBOX_CLEAR && is_stray(op, pull)
	    ? dropbox_next(op, DROPBOX_STRAY)
	    : CLOUD_STEP_DONE;
}

enum cloud_step
dropbox_pull_response(struct cloud_op *op, const struct dropbox_result *result, struct err *err)
{
	struct pull pull;

	if (op->kind == CLOUD_UPLOAD_BEGIN)
		return begin_response(op, result, err);
	if (!pull_parse(&pull, op->upload))
		return object_refuse(err, -ENOENT, op->path, "there is no such upload");
	switch (op->kind) {
	case CLOUD_UPLOAD_STATUS: return job_response(op, &pull, result, err);
	case CLOUD_UPLOAD_COMMIT: return commit_response(op, &pull, result, err);
	case CLOUD_UPLOAD_ABORT: return abort_response(op, &pull, result, err);
	default: return part_response(op, &pull, result, err);
	}
}
