#include "fs/stream.h"
#include "fs/outcome.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/spool.h"
#include "fs/window.h"
#include "src/ring.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_OPS 4 /* requests ahead of the reader at once */
#define STREAM_PART_MAX                                                                            \
	(8 * 1024 * 1024) /* of one request: large enough for its latency not to count */
#define STREAM_RING  (512 * 1024) /* between the connection and the part's buffer */
#define STREAM_CHUNK (256 * 1024) /* the largest piece that a transport puts at once */

struct part {
	struct stream *stream;
	uint64_t offset;
	size_t len, filled;
	char *data;
	struct cloud_op *op; /* NULL: ended */
	struct ring *ring;
	unsigned users; /* tasks that wait for it */
	uint64_t serial;
	int code;
	struct err err;
	TAILQ_ENTRY(part) next;
};
TAILQ_HEAD(parts, part);

struct stream {
	struct fs *fs;
	unsigned refs;
	struct source *source;
	struct account *account;
	struct window window;
	struct parts parts;
	unsigned running;
	uint64_t serial; /* of the newest part */
	struct event *arrived;
	struct waitq waiting;
};

static void
part_fill(struct part *part)
{
	size_t n;

	while (part->filled < part->len &&
	    (n = ring_get(part->ring, part->data + part->filled, part->len - part->filled)) > 0)
		part->filled += n;
}

static void
part_stop(struct part *part)
{
	if (part->op == NULL)
		return;
	cloud_op_free(TAKE(part->op));
	ring_free(TAKE(part->ring));
	part->stream->running--;
}

static void
part_free(struct part *part)
{
	struct stream *stream = part->stream;

	assert(part->users == 0);
	if (part->op != NULL) {
		cloud_op_cancel(part->op);
		part_stop(part);
	}
	TAILQ_REMOVE(&stream->parts, part, next);
	stream->fs->memory_used -= part->len;
	free(part->data);
	free(part);
}

/* The connection has put bytes into a ring: they are taken out soon, not from within its callback.
 */
static void
part_input(void *arg)
{
	struct part *part = arg;

	event_active(part->stream->arrived, EV_TIMEOUT, 1);
}

static void
stream_arrived(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = arg;
	struct part *part;

	TAILQ_FOREACH (part, &stream->parts, next) {
		if (part->op != NULL)
			part_fill(part);
	}
	waitq_wake(&stream->waiting);
}

static void
part_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct part *part = arg;

	part_fill(part);
	part->code = code;
	if (code != 0 && err != NULL)
		part->err = *err;
	if (code == 0 && part->filled < part->len)
		part->code = err_set(
		    &part->err, -ESTALE, "%s: it has become shorter", part->stream->source->path);
	part_stop(part);
	event_active(part->stream->arrived, EV_TIMEOUT, 1);
}

static struct part *
part_start(struct stream *stream, uint64_t offset, size_t len)
{
	struct part *part = xcalloc(1, sizeof(*part));

	part->stream = stream;
	part->serial = ++stream->serial;
	part->offset = offset;
	part->len = len;
	part->data = xmalloc(len);
	stream->fs->memory_used += len;
	TAILQ_INSERT_TAIL(&stream->parts, part, next);
	part->ring = ring_new(STREAM_RING, STREAM_CHUNK);
	ring_on_input(part->ring, part_input, part);
	part->op = cloud_op_new(stream->account, CLOUD_READ, stream->source->path);
	part->op->offset = offset;
	part->op->length = len;
	part->op->version = xstrdup_null(stream->source->version);
	part->op->ring = part->ring;
	stream->running++;
	cloud_op_start(stream->fs->runner, part->op, part_done, part);
	return part;
}

struct stream *
stream_new(struct fs *fs, struct source *source, uint64_t size)
{
	struct stream *stream = xcalloc(1, sizeof(*stream));

	assert(source->spool == NULL);
	stream->fs = fs;
	stream->refs = 1;
	stream->source = source_ref(source);
	window_init(&stream->window, size, fs->read_ahead);
	TAILQ_INIT(&stream->parts);
	TAILQ_INIT(&stream->waiting);
	stream->arrived = event_new(loop_base(fs->loop), -1, 0, stream_arrived, stream);
	if (stream->arrived == NULL)
		abort();
	return stream;
}

struct stream *
stream_ref(struct stream *stream)
{
	stream->refs++;
	return stream;
}

void
stream_unref(struct stream *stream)
{
	struct part *part;

	if (stream == NULL || --stream->refs > 0)
		return;
	while ((part = TAILQ_FIRST(&stream->parts)) != NULL)
		part_free(part);
	event_free(stream->arrived);
	cloud_account_unref(stream->account);
	source_unref(stream->source);
	free(stream);
}

bool
stream_is_of(const struct stream *stream, const struct source *source)
{
	const struct source *have = stream->source;

	return have == source ||
	    (source_is_at(have, source->account_id, source->path) && have->version != NULL &&
		source->version != NULL && strcmp(have->version, source->version) == 0);
}

static struct part *
stream_part_at(const struct stream *stream, uint64_t offset)
{
	struct part *part;

	TAILQ_FOREACH (part, &stream->parts, next) {
		if (offset >= part->offset && offset - part->offset < part->len &&
		    (part->code == 0 || offset - part->offset < part->filled))
			return part;
	}
	return NULL;
}

/* Where the next part after `offset` begins, or `end`. */
static uint64_t
stream_gap_end(const struct stream *stream, uint64_t offset, uint64_t end)
{
	const struct part *part;

	TAILQ_FOREACH (part, &stream->parts, next) {
		if (part->offset > offset && part->offset < end)
			end = part->offset;
	}
	return end;
}

/* Gives up what the reader will not come back to. */
static void
stream_trim(struct stream *stream, uint64_t offset, uint64_t end, bool jump)
{
	struct part *part, *next;

	for (part = TAILQ_FIRST(&stream->parts); part != NULL; part = next) {
		next = TAILQ_NEXT(part, next);
		if (part->users > 0)
			continue;
		if ((part->code != 0 && part->op == NULL) ||
		    part->offset + part->len + WINDOW_BACK <= offset ||
		    (jump && (part->offset >= end || part->offset + part->len <= offset)))
			part_free(part);
	}
}

/* Starts requests for what is asked for, and for what comes after it. */
static void
stream_plan(struct stream *stream, uint64_t offset, size_t len)
{
	uint64_t end = offset + len, ahead = window_end(&stream->window), at = offset, stop;
	struct part *part;

	while (at < MAX(end, ahead)) {
		part = stream_part_at(stream, at);
		if (part != NULL) {
			at = part->offset + part->len;
			continue;
		}
		stop = stream_gap_end(stream, at, MAX(end, ahead));
		if (at >= end && stop - at < window_step(&stream->window) &&
		    stop < stream->window.size)
			return; /* later, in one piece with more */
		stop = MIN(stop, at + STREAM_PART_MAX);
		if (stream->fs->memory_used + (stop - at) > stream->fs->memory) {
			if (at >= end)
				return;
			stop = MIN(stop, end); /* somebody waits for it */
		}
		if (at >= end && stream->running >= STREAM_OPS)
			return;
		part_start(stream, at, (size_t)(stop - at));
		at = stop;
	}
}

/* Counts a user of the parts that hold the range, or takes it back: of those that there were at
 * `serial`. */
static void
stream_use(struct stream *stream, uint64_t offset, uint64_t end, uint64_t serial, int by)
{
	struct part *part;

	TAILQ_FOREACH (part, &stream->parts, next) {
		if (part->serial <= serial && part->offset < end &&
		    part->offset + part->len > offset)
			part->users += (unsigned)by;
	}
}

/* The part to take the byte from: one that has it, else one that will, else one that has failed. */
static const struct part *
stream_best(const struct stream *stream, uint64_t at)
{
	const struct part *part, *best = NULL;

	TAILQ_FOREACH (part, &stream->parts, next) {
		if (at < part->offset || at - part->offset >= part->len)
			continue;
		if (at - part->offset < part->filled)
			return part;
		if (best == NULL || part->code == 0)
			best = part;
	}
	return best;
}

/* 1: all is there; 0: not yet; or an error. */
static int
stream_ready(const struct stream *stream, uint64_t offset, uint64_t end, struct err *err)
{
	const struct part *part;
	uint64_t at = offset;

	while (at < end) {
		part = stream_best(stream, at);
		if (part == NULL)
			return err_set(err, -EIO, "%s: nothing reads it", stream->source->path);
		if (at - part->offset >= part->filled) {
			if (part->code != 0 && err != NULL)
				*err = part->err;
			return part->code;
		}
		at = part->offset + part->filled;
	}
	return 1;
}

static int
stream_open(struct task *task, struct stream *stream, struct err *err)
{
	struct remote *remote;
	struct account *account;
	int code;

	if (stream->account != NULL)
		return 0;
	remote = remote_by_id(task->fs->remotes, stream->source->account_id);
	if (remote == NULL)
		return err_set(err, -ENOENT, "the account of %s was removed", stream->source->path);
	code = remote_open(task, remote, &account, err);
	if (code != 0)
		return code;
	if (stream->account != NULL) /* another task was faster */
		cloud_account_unref(account);
	else
		stream->account = account;
	return 0;
}

static ssize_t
stream_answer(const struct stream *stream, uint64_t offset, uint64_t end, struct iovec *iov,
    int *iov_len, int iov_max)
{
	const struct part *part;
	uint64_t at = offset;
	size_t skip, take;

	for (*iov_len = 0; at < end && *iov_len < iov_max; (*iov_len)++, at += take) {
		part = stream_best(stream, at);
		skip = (size_t)(at - part->offset);
		take = (size_t)MIN(end - at, part->filled - skip);
		iov[*iov_len] = (struct iovec){.iov_base = part->data + skip, .iov_len = take};
	}
	return (ssize_t)(at - offset);
}

/* Waits with the parts in use.  1: all is there. */
static int
stream_wait(
    struct task *task, struct stream *stream, uint64_t offset, uint64_t end, struct err *err)
{
	uint64_t deadline = task_deadline(FS_CLOUD_MS), serial = stream->serial;
	int code;

	stream_use(stream, offset, end, serial, 1);
	while ((code = stream_ready(stream, offset, end, err)) == 0) {
		code = waitq_wait(task, &stream->waiting, deadline);
		if (code != 0) {
			err_set(err, code, "%s: the cloud did not answer in time",
			    stream->source->path);
			break;
		}
	}
	stream_use(stream, offset, end, serial, -1);
	return code;
}

ssize_t
stream_read(struct task *task, struct stream *stream, uint64_t offset, size_t len,
    struct iovec *iov, int *iov_len, int iov_max, struct err *err)
{
	uint64_t end = offset + len;
	struct remote *remote;
	int code, tries;
	bool jump;

	assert(end <= stream->window.size);
	for (tries = 0;; tries++) {
		code = stream_open(task, stream, err);
		if (code != 0)
			return code;
		jump = window_read(&stream->window, offset, len);
		stream_trim(stream, offset, end, jump);
		stream_plan(stream, offset, len);
		code = stream_wait(task, stream, offset, end, err);
		if (code == 1)
			return stream_answer(stream, offset, end, iov, iov_len, iov_max);
		remote = remote_by_id(task->fs->remotes, stream->source->account_id);
		if (tries > 0 || !remote_refused(remote, stream->account, code))
			return code;
		cloud_account_unref(TAKE(stream->account));
	}
}

static int
source_read_entry(
    struct task *task, struct source *source, char *out, size_t len, uint64_t from, struct err *err)
{
	struct stream *stream = stream_new(task->fs, source, from + len);
	struct iovec iov[16];
	int iov_len, i;
	ssize_t n = 0;

	stream->window.max = 0;
	while (len > 0) {
		n = stream_read(task, stream, from, len, iov, &iov_len, ARRAY_LEN(iov), err);
		if (n < 0)
			break;
		for (i = 0; i < iov_len; i++) {
			memcpy(out, iov[i].iov_base, iov[i].iov_len);
			out += iov[i].iov_len;
		}
		from += (uint64_t)n;
		len -= (size_t)n;
	}
	stream_unref(stream);
	return n < 0 ? (int)n : 0;
}

/* 1: it has come to where it was to be; else it was read, or why not. */
static int
source_read_outcome(
    struct task *task, struct source *source, void *out, size_t len, uint64_t from, struct err *err)
{
	CLEANUP(extents_fini) struct extents content = {0};
	char change[sizeof(source->change)];
	int code;

	if (source->outcome == NULL)
		return 1;
	extents_assign(&content, source->outcome);
	snprintf(change, sizeof(change), "%s", source->change);
	code = extents_read_content(task, &content, out, len, from, err);
	if (code != -ENOENT && code != -ESTALE)
		return code;
	/* What it is made from has gone: it is made, or nearly. */
	if (change[0] != '\0') {
		code = outcome_wait(task, change, NULL, err);
		if (code != 0)
			return code;
	}
	return 1;
}

int
source_read(
    struct task *task, struct source *source, void *out, size_t len, uint64_t from, struct err *err)
{
	int code;

	if (source->spool != NULL)
		return spool_read(task, source->spool, out, len, from);
	code = source_read_outcome(task, source, out, len, from, err);
	return code != 1 ? code : source_read_entry(task, source, out, len, from, err);
}

int
extents_read_content(struct task *task, const struct extents *extents, void *out, size_t len,
    uint64_t offset, struct err *err)
{
	const struct extent *found;
	struct extent extent;
	size_t skip, take;
	char *at = out;
	int code = 0;

	while (len > 0 && code == 0) {
		found = extents_at(extents, offset);
		if (found == NULL)
			return err_set(err, -EIO, "the file has become shorter");
		extent = *found;
		skip = (size_t)(offset - extent.offset);
		take = (size_t)MIN((uint64_t)len, extent.length - skip);
		source_ref(extent.source);
		if (extent.source == NULL)
			memset(at, 0, take);
		else
			code = source_read(task, extent.source, at, take, extent.from + skip, err);
		source_unref(extent.source);
		at += take;
		offset += take;
		len -= take;
	}
	return code;
}
