/* Disk calls on their loop: one job at a time, and what moves between its buffer and the ring. */
#include "src/disk.h"
#include "src/clock.h"
#include "src/disk_private.h"
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define DISK_PROGRESS_MS 250

static atomic_uint calls; /* of all loops, until they are freed */

static void call_advance(struct disk_call *);

void
disk_request_init(struct disk_request *req)
{
	*req = (struct disk_request){
	    .length = UINT64_MAX,
	    .mtime_ns = ENTRY_NO_TIME,
	};
}

void
disk_request_fini(struct disk_request *req)
{
	free(req->path);
	free(req->path2);
	free(req->temp_id);
	free(req->version);
	free(req->after);
	disk_request_init(req);
}

void
disk_response_init(struct disk_response *res)
{
	*res = (struct disk_response){.code = 0};
	entry_init(&res->entry);
}

void
disk_response_fini(struct disk_response *res)
{
	entry_fini(&res->entry);
	entry_list_fini(&res->entries);
}

static void
call_free(struct disk_call *call)
{
	disk_root_unref(call->req.root);
	disk_root_unref(call->req.root2);
	disk_request_fini(&call->req);
	free(call->place);
	disk_response_fini(&call->res);
	free(call->buf);
	free(call);
	atomic_fetch_sub(&calls, 1);
}

unsigned
disk_calls(void)
{
	return atomic_load(&calls);
}

static bool
call_writes(const struct disk_call *call)
{
	return call->req.verb == DISK_WRITE || call->req.verb == DISK_UPLOAD_PART;
}

static void
call_unhook(struct disk_call *call)
{
	if (call->ring == NULL)
		return;
	if (call->req.verb == DISK_READ)
		ring_on_output(call->ring, NULL, NULL);
	else
		ring_on_input(call->ring, NULL, NULL);
	call->ring = NULL;
}

static void
call_end(struct disk_call *call)
{
	call_unhook(call);
	if (!atomic_load(&call->cancelled))
		call->done(call->arg, &call->res);
	call_free(call);
}

/* What was read goes into the ring, which had room for it when it was asked for. */
static void
read_deliver(struct disk_call *call)
{
	unsigned char *buf = TAKE(call->buf);
	size_t len = call->buf_len;

	call->buf_len = 0;
	if (len > 0 && call->res.code == 0) {
		/* Counted before: the ring's hooks may look. */
		call->res.streamed += len;
		if (!ring_put(call->ring, buf, len)) {
			call->res.streamed -= len;
			call->give_up = true;
			call->res.code = err_set(&call->res.err, -EPROTO,
			    "'%s': its sink was ended while it was read", call->req.path);
		}
	}
	free(buf);
}

static void
copy_tell(struct disk_call *call)
{
	uint64_t now = clock_mono_ms();

	if (call->progress == NULL || call->complete || now - call->progress_ms < DISK_PROGRESS_MS)
		return;
	call->progress_ms = now;
	call->progress(call->arg, call->position);
}

static void
call_work(void *arg)
{
	disk_work(arg);
}

static void
call_worked(void *arg)
{
	struct disk_call *call = arg;

	/* Until here it counts as busy: hooks that run inside ring_put() start nothing. */
	if (!atomic_load(&call->cancelled)) {
		if (call->req.verb == DISK_READ)
			read_deliver(call);
		else if (call->req.verb == DISK_COPY)
			copy_tell(call);
	}
	free(TAKE(call->buf));
	call->busy = false;
	/* Cancelled just as the job ended: an unlink, and the pool may be gone by now. */
	if (atomic_load(&call->cancelled) && !call->complete)
		disk_work(call);
	if (call->complete)
		call_end(call);
	else
		call_advance(call);
}

static void
call_submit(struct disk_call *call)
{
	call->busy = true;
	pool_submit(call->pool, call->place, call->loop, call_work, call_worked, call);
}

/* As much as the ring has room for, so that no buffer waits for it. */
static bool
read_prepare(struct disk_call *call)
{
	call->buf_len = 0;
	if (call->ring == NULL)
		return true; /* length 0: only the entry is wanted */
	if (!ring_wants_input(call->ring))
		return false;
	call->buf_len = MIN(ring_room(call->ring), DISK_CHUNK);
	return true;
}

static bool
write_fail(struct disk_call *call, const char *what)
{
	call->give_up = true;
	call->res.code = err_set(
	    &call->res.err, -EPROTO, "cannot write '%s': the source gave %s", call->req.path, what);
	return true;
}

/* Takes what the ring holds, if that is worth a job: a chunk, or all there will be for now. */
static bool
write_prepare(struct disk_call *call)
{
	bool to_end = call->req.length == UINT64_MAX;
	size_t held, want = (size_t)MIN(call->left, DISK_CHUNK);

	if (call->left > 0 && call->ring != NULL) {
		held = ring_held(call->ring);
		if (held < want &&
		    (ring_wants_input(call->ring) || (held == 0 && !ring_is_ended(call->ring))))
			return false;
		call->buf = xmalloc(MAX(MIN(held, want), 1));
		call->buf_len = ring_get(call->ring, call->buf, MIN(held, want));
		call->left -= to_end ? 0 : call->buf_len;
	}
	call->last = to_end ? call->ring == NULL || ring_is_ended(call->ring) : call->left == 0;
	if (!to_end && call->left > 0 && (call->ring == NULL || ring_is_ended(call->ring)))
		return write_fail(call, "fewer bytes than it said");
	if (call->last && call->ring != NULL && ring_held(call->ring) > 0)
		return write_fail(call, "more bytes than it said");
	return true;
}

/* Not busy: starts the next job if there is something for it to do; else a hook comes again. */
static void
call_advance(struct disk_call *call)
{
	bool ready = true;

	if (!atomic_load(&call->cancelled) && !call->give_up) {
		if (call->req.verb == DISK_READ)
			ready = read_prepare(call);
		else if (call_writes(call))
			ready = write_prepare(call);
	}
	if (ready)
		call_submit(call);
}

static void
call_on_ring(void *arg)
{
	struct disk_call *call = arg;

	if (!call->busy)
		call_advance(call);
}

/* A pair of directories is a place of its own: when one of them hangs, the other's jobs go on. */
static char *
request_place(const struct disk_request *req)
{
	const char *root = disk_root_path(req->root);

	if (req->root2 == NULL || req->root2 == req->root)
		return xstrdup(root);
	return xasprintf("%s\n%s", root, disk_root_path(req->root2));
}

static struct disk_call *
call_new(const struct disk_request *req)
{
	struct disk_call *call = xcalloc(1, sizeof(*call));

	atomic_fetch_add(&calls, 1);
	call->req = *req;
	call->req.path = xstrdup(req->path != NULL ? req->path : "");
	call->req.path2 = xstrdup_null(req->path2);
	call->req.temp_id = xstrdup_null(req->temp_id);
	call->req.version = xstrdup_null(req->version);
	call->req.after = xstrdup_null(req->after);
	call->req.root = disk_root_ref(req->root);
	call->req.root2 = disk_root_ref(req->root2);
	call->place = request_place(req);
	call->left = req->length;
	call->root = call->root2 = -1;
	call->file = call->source = call->dir = -1;
	disk_response_init(&call->res);
	return call;
}

struct disk_call *
disk_start(struct loop *loop, struct pool *pool, struct disk_request *req, struct ring *ring,
    disk_done_fn done, disk_progress_fn progress, void *arg)
{
	struct disk_call *call = call_new(req);
	bool streams = req->verb == DISK_READ || call_writes(call);

	assert(loop_is_current(loop));
	assert((req->verb != DISK_WRITE && req->verb != DISK_COPY) || req->temp_id != NULL);
	assert((req->verb != DISK_RENAME && req->verb != DISK_COPY) || req->path2 != NULL);
	assert(!streams || ring != NULL || req->length == 0);
	call->loop = loop;
	call->pool = pool;
	call->done = done;
	call->progress = progress;
	call->arg = arg;
	call->ring = streams ? ring : NULL;
	if (call->ring != NULL && req->verb == DISK_READ)
		ring_on_output(ring, call_on_ring, call);
	else if (call->ring != NULL)
		ring_on_input(ring, call_on_ring, call);
	call_advance(call);
	return call;
}

void
disk_cancel(struct disk_call *call)
{
	call_unhook(call);
	atomic_store(&call->cancelled, true);
	if (call->busy)
		return; /* call_worked() goes on */
	call_submit(call); /* only cleans up */
}
