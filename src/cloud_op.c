/* One op: request after request, until the driver says that it is done. */
#include "src/clock.h"
#include "src/cloud_private.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/seal.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CLOUD_ATTEMPTS 5
/* Asked to wait longer than this, the op fails: its caller has a queue to wait in. */
#define CLOUD_WAIT_MAX_MS 600000

struct cloud_op *
cloud_op_new(struct account *account, enum cloud_op_kind kind, const char *path)
{
	struct op_private *p = xcalloc(1, sizeof(*p));

	p->op.kind = kind;
	p->op.account = cloud_account_ref(account);
	p->op.path = xstrdup(path);
	p->op.length = UINT64_MAX;
	p->op.put.mtime_ns = ENTRY_NO_TIME;
	entry_init(&p->op.entry);
	return &p->op;
}

void
cloud_op_free(struct cloud_op *op)
{
	struct op_private *p = op_private(op);

	if (op == NULL)
		return;
	assert(p->state == OP_IDLE);
	free(op->path);
	free(op->path2);
	free(op->version);
	free(op->put.content_type);
	json_decref(op->put.metadata);
	free(op->put.temp_id);
	mem_wipe_free(op->link);
	free(op->upload);
	free(op->resume);
	free(op->after);
	buf_free(&op->taken);
	upload_parts_fini(&op->parts);
	for (size_t i = 0; i < op->uploads_len; i++)
		free(op->uploads[i]);
	free(op->uploads);
	free(op->cursor);
	cloud_changed_fini(&op->changed);
	free(op->data);
	free(op->page);
	free(p->refused);
	free(p->aborted);
	entry_fini(&op->entry);
	entry_list_fini(&op->list);
	cloud_account_unref(op->account);
	free(p);
}

/* Does it alter the cloud? */
static bool
op_alters(const struct cloud_op *op)
{
	switch (op->kind) {
	case CLOUD_PUT:
	case CLOUD_COPY:
	case CLOUD_MOVE:
	case CLOUD_REMOVE:
	case CLOUD_RMDIR:
	case CLOUD_MKDIR:
	case CLOUD_SETATTR:
	case CLOUD_UPLOAD_BEGIN:
	case CLOUD_UPLOAD_PART:
	case CLOUD_COPY_PART:
	case CLOUD_UPLOAD_COMMIT:
	case CLOUD_UPLOAD_ABORT: return true;
	default: return false;
	}
}

/* the transports' handlers */

static enum http_take
op_on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	struct op_private *p = arg;
	const struct cloud_driver *driver = p->op.account->driver;
	enum cloud_step step = CLOUD_STEP_COLLECT;
	struct err err = ERR_INIT;

	if (driver->head != NULL && p->batch == NULL)
		step = driver->head(&p->op, res, &err);
	switch (step) {
	case CLOUD_STEP_STREAM:
		cloud_account_accepted(p);
		assert(p->op.kind == CLOUD_READ && p->op.ring != NULL);
		if (p->op.head != NULL && !p->head_told)
			p->op.head(p->op.head_arg, &p->op);
		p->head_told = true;
		*sink = p->op.ring;
		return HTTP_STREAM;
	case CLOUD_STEP_COLLECT: *collect_max = CLOUD_COLLECT_MAX; return HTTP_COLLECT;
	default: break;
	}
	if (err.wait_ms == 0)
		err.wait_ms = http_retry_after(res, p->op.now_ms);
	err_keep(&p->aborted, &err);
	p->aborted_step = step;
	return HTTP_ABORT;
}

static void
op_request_fini(struct op_private *p)
{
	if (!p->request_used)
		return;
	http_request_fini(&p->request.http);
	disk_request_fini(&p->request.disk);
	p->request_used = false;
}

static void
op_answered(struct op_private *p, uint64_t streamed)
{
	p->http = NULL;
	p->memory = NULL;
	p->disk = NULL;
	op_request_fini(p);
	if (op_alters(&p->op))
		crash_point("attempt.after_request");
	if (p->op.kind == CLOUD_READ)
		p->op.streamed = p->streamed_before + streamed;
}

/* Is it the account that is asked to slow down?  409 is about two requests that met. */
static bool
op_is_refused(const struct http_response *res, const struct err *err)
{
	return err->code == -EAGAIN &&
	    (res->status == 429 || res->status == 403 || res->status >= 500);
}

static void
op_on_progress(void *arg, uint64_t bytes)
{
	struct op_private *p = arg;

	if (p->op.progress != NULL)
		p->op.progress(p->op.progress_arg, &p->op, bytes);
}

static void
op_on_http(void *arg, int code, struct http_response *res, const struct err *err)
{
	struct op_private *p = arg;
	struct err mine = ERR_INIT;
	enum cloud_step step;

	op_answered(p, res->streamed);
	if (p->batch != NULL) {
		step = CLOUD_STEP_DONE;
		cloud_batch_response(p, code, res, err, &mine);
	} else if (p->aborted != NULL) {
		step = p->aborted_step;
		mine = *p->aborted;
	} else if (code != 0) {
		/* No answer, or half of one: the driver has nothing to judge. */
		step = err_is_transient(code) ? CLOUD_STEP_RETRY : CLOUD_STEP_FAIL;
		mine = *err;
	} else {
		p->op.copied = 0;
		step = p->op.account->driver->response(&p->op, res, &mine);
		if (step == CLOUD_STEP_NEXT && p->op.copied > 0)
			op_on_progress(p, p->op.copied);
		if (mine.wait_ms == 0)
			mine.wait_ms = http_retry_after(res, p->op.now_ms);
	}
	if (res->answered && op_is_refused(res, &mine))
		cloud_account_refused(p, &mine);
	else if (res->answered)
		cloud_account_accepted(p);
	else
		cloud_account_lost(p);
	cloud_op_step(p, step, &mine);
}

static void
op_on_disk(void *arg, struct disk_response *res)
{
	struct op_private *p = arg;
	struct err err = ERR_INIT;

	op_answered(p, res->streamed);
	cloud_account_accepted(p);
	cloud_op_step(p, p->op.account->driver->disk_response(&p->op, res, &err), &err);
}

/* sending */

static void
op_send(struct op_private *p)
{
	static const struct http_handler handler = {.head = op_on_head, .done = op_on_http};
	const struct cloud_driver *driver = p->op.account->driver;
	struct http_request *http = &p->request.http;
	struct ring *source = NULL;

	if (driver->transport == CLOUD_DISK) {
		p->ring_used |= p->op.kind == CLOUD_PUT || p->op.kind == CLOUD_UPLOAD_PART;
		p->disk = disk_start(p->runner->loop, p->runner->pool, &p->request.disk, p->op.ring,
		    op_on_disk, op_on_progress, p);
		return;
	}
	if (http->body == HTTP_BODY_STREAM) {
		source = p->op.ring;
		p->ring_used |= http->length > 0;
	}
	if (driver->transport == CLOUD_MEMORY)
		p->memory = memory_start(p->runner->loop, http, source, &handler, p);
	else
		p->http = http_start(p->runner->http, http, source, &handler, p);
}

static void
op_take_end(struct op_private *p)
{
	if (p->input == NULL)
		return;
	ring_on_input(p->op.ring, NULL, NULL);
	event_free(TAKE(p->input));
}

static void
op_on_input(void *arg)
{
	event_active(arg, EV_TIMEOUT, 0);
}

/* What has come of the bytes that are to be taken.  0: more must come; 1: they are; or a negative
 * errno. */
static int
op_take(struct op_private *p, struct err *err)
{
	struct cloud_op *op = &p->op;
	const void *data;
	size_t len;

	while (p->request.take > 0 && (len = ring_peek(op->ring, &data)) > 0) {
		len = (size_t)MIN((uint64_t)len, p->request.take);
		if (op->taken.max > 0)
			buf_add(&op->taken, data, len);
		ring_drop(op->ring, len);
		p->request.take -= len;
		p->ring_used = true;
	}
	if (p->request.take == 0)
		return 1;
	if (!ring_is_ended(op->ring))
		return 0;
	return err_set(err, -EPROTO, "'%s': the source ended %llu bytes early", op->path,
	    (unsigned long long)p->request.take);
}

static void
op_on_taken(evutil_socket_t fd, short what, void *arg)
{
	struct op_private *p = arg;
	struct err err = ERR_INIT;
	int code = op_take(p, &err);

	if (code == 0)
		return;
	op_take_end(p);
	if (code > 0) {
		op_send(p);
		return;
	}
	cloud_account_lost(p);
	op_request_fini(p);
	cloud_op_step(p, CLOUD_STEP_FAIL, &err);
}

static void
op_transmit(struct op_private *p)
{
	if (p->request.take == 0) {
		op_send(p);
		return;
	}
	p->input = event_new(loop_base(p->runner->loop), -1, 0, op_on_taken, p);
	ring_on_input(p->op.ring, op_on_input, p->input);
	event_active(p->input, EV_TIMEOUT, 0);
}

static void
op_send_fails(struct op_private *p)
{
	struct err err = ERR_INIT;

	if (p->refused != NULL)
		err = *p->refused;
	else
		err_set(&err, -EAGAIN,
		    "the credentials were renewed while '%s' was being written: it must start again",
		    p->op.path);
	cloud_op_end(p, err.code, &err);
}

void
cloud_op_send(struct op_private *p)
{
	struct err err = ERR_INIT;
	enum cloud_step step;

	assert(p->state == OP_READY);
	p->state = OP_SENT;
	if (p->refused != NULL || p->restart) {
		cloud_account_lost(p);
		op_send_fails(p);
		return;
	}
	err_keep(&p->aborted, NULL);
	p->generation = account_private(p->op.account)->generation;
	p->streamed_before = p->op.streamed;
	p->op.now_ms = clock_ms();
	random_bytes(p->op.random, sizeof(p->op.random));
	http_request_init(&p->request.http);
	disk_request_init(&p->request.disk);
	p->request.take = 0;
	p->request_used = true;
	step = p->batch != NULL ? cloud_batch_request(p)
				: p->op.account->driver->request(&p->op, &p->request, &err);
	if (step != CLOUD_STEP_SEND) {
		cloud_account_lost(p);
		op_request_fini(p);
		cloud_op_step(p, step, &err);
		return;
	}
	if (op_alters(&p->op))
		crash_point("attempt.before_request");
	op_transmit(p);
}

/* what comes next */

static void
op_leave_lane(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);

	if (!p->in_lane)
		return;
	p->in_lane = false;
	throttle_leave(&a->member, cloud_op_lane(&p->op), clock_mono_ns());
	a->account.running--;
	cloud_account_wake(a);
}

/* In front: an op that has begun goes before those that have not. */
static void
op_ready(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);

	if (cloud_batch_takes(p)) {
		op_leave_lane(p);
		cloud_batch_join(p);
		return;
	}
	p->state = p->in_lane ? OP_READY : OP_QUEUED;
	p->ready_ns = clock_mono_ns();
	if (p->in_lane)
		TAILQ_INSERT_HEAD(&a->ready, p, next);
	else
		TAILQ_INSERT_HEAD(&a->queued[cloud_op_lane(&p->op)], p, next);
	cloud_account_wake(a);
}

static void
op_on_timer(evutil_socket_t fd, short what, void *arg)
{
	op_ready(arg);
}

static void
op_sleep(struct op_private *p, uint64_t wait_ms)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};

	if (p->timer == NULL)
		p->timer = evtimer_new(loop_base(p->runner->loop), op_on_timer, p);
	p->state = OP_BACKOFF;
	event_add(p->timer, &tv);
}

/* Others may use the lane meanwhile: it can take a quarter of an hour. */
static void
op_wait(struct op_private *p)
{
	op_leave_lane(p);
	op_sleep(p, MIN(p->op.wait_ms, (uint64_t)CLOUD_WAIT_MAX_MS));
}

/* Full jitter: between 0 and base * 2^(failures - 1).  Those who were asked to wait do not come
 * back all at once either. */
uint64_t
cloud_backoff(const struct cloud_runner *runner, unsigned failures, uint64_t asked_ms)
{
	const struct cloud_runner_config *config = &runner->config;
	uint64_t most = config->backoff_base_ms, random;

	for (unsigned i = 1; i < failures && most < config->backoff_max_ms; i++)
		most *= 2;
	most = MIN(most, config->backoff_max_ms);
	random_bytes(&random, sizeof(random));
	random %= most + 1;
	return asked_ms == 0 ? random : asked_ms + random % (asked_ms / 8 + 1);
}

uint64_t
cloud_tries_next(struct cloud_tries *tries, const struct cloud_runner *runner, unsigned max,
    bool is_patient, const struct err *err)
{
	uint64_t patience = is_patient ? runner->config.patience_ms : 0, now;

	if (err->wait_ms > CLOUD_WAIT_MAX_MS)
		return CLOUD_ENOUGH;
	if (err->code != -EAGAIN || patience == 0) {
		tries->refusals = 0;
		if (++tries->failures >= max || !err_may_repeat(err->code, tries->failures))
			return CLOUD_ENOUGH;
		return cloud_backoff(runner, tries->failures, err->wait_ms);
	}
	now = clock_mono_ms();
	if (tries->refusals++ == 0)
		tries->refused_ms = now;
	if (now - tries->refused_ms >= patience)
		return CLOUD_ENOUGH;
	return cloud_backoff(runner, tries->refusals, err->wait_ms);
}

/* After a transient failure: can the op be sent again at all? */
static bool
op_can_repeat(const struct op_private *p, const struct err *err)
{
	const struct cloud_op *op = &p->op;

	/* Where there was no connection, no byte was taken from the ring. */
	if (p->ring_used && err->code != -ECONNREFUSED && err->code != -EHOSTUNREACH)
		return false;
	/* The rest must be of the content that the beginning came from. */
	return op->kind != CLOUD_READ || op->streamed == 0 ||
	    (!op->entry.unsized && (op->version != NULL || op->entry.version != NULL));
}

/* What went wrong before does not count against it any more. */
static void
op_came_further(struct op_private *p)
{
	p->tries = (struct cloud_tries){.failures = 0};
	p->was_signed_in = p->was_refreshed = false;
}

static void
op_retry(struct op_private *p, struct err *err)
{
	struct cloud_op *op = &p->op;
	uint64_t wait = CLOUD_ENOUGH;

	if (op->kind == CLOUD_READ && op->length != UINT64_MAX && op->length > 0 &&
	    op->streamed == op->length) {
		cloud_op_end(p, 0, NULL); /* what was lost came after the last byte */
		return;
	}
	if (op->streamed > p->streamed_before)
		op_came_further(p);
	if (op_can_repeat(p, err))
		wait = cloud_tries_next(&p->tries, p->runner,
		    op->attempts_max > 0 ? op->attempts_max : CLOUD_ATTEMPTS, op->attempts_max == 0,
		    err);
	if (wait == CLOUD_ENOUGH) {
		cloud_op_end(p, err->code, err);
		return;
	}
	log_debug("%s: '%s': failed, again in %llu ms: %s", op->account->name, op->path,
	    (unsigned long long)wait, err_text(err));
	op_sleep(p, wait);
}

static void
op_refresh(struct op_private *p, struct err *err)
{
	struct account_private *a = account_private(p->op.account);

	p->restart = p->ring_used;
	if (p->generation != a->generation && !a->refreshing) {
		op_ready(p); /* renewed since it was sent */
		return;
	}
	if (p->op.account->driver->sign_in != NULL && !p->was_signed_in && cloud_sign_out(a, p)) {
		p->was_signed_in = true;
		op_ready(p);
		return;
	}
	if (p->was_refreshed || p->runner->config.refresh == NULL) {
		cloud_op_end(p, err->code, err);
		return;
	}
	p->was_refreshed = true;
	op_ready(p);
	cloud_account_refresh(a, err);
}

void
cloud_op_step(struct op_private *p, enum cloud_step step, struct err *err)
{
	if (err->code == 0 && step != CLOUD_STEP_NEXT && step != CLOUD_STEP_WAIT &&
	    step != CLOUD_STEP_DONE)
		err_set(err, -EIO, "'%s': failed for an unknown reason", p->op.path);
	switch (step) {
	case CLOUD_STEP_NEXT:
		op_came_further(p);
		p->ring_used = false; /* what was taken has been answered for */
		op_ready(p);
		break;
	case CLOUD_STEP_WAIT:
		op_came_further(p);
		op_wait(p);
		break;
	case CLOUD_STEP_DONE: cloud_op_end(p, 0, NULL); break;
	case CLOUD_STEP_RETRY: op_retry(p, err); break;
	case CLOUD_STEP_REFRESH: op_refresh(p, err); break;
	default: cloud_op_end(p, err->code, err); break;
	}
}

/* beginning and end */

void
cloud_op_start(struct cloud_runner *runner, struct cloud_op *op, cloud_done_fn done, void *arg)
{
	struct op_private *p = op_private(op);
	struct account_private *a = account_private(op->account);

	assert(loop_is_current(runner->loop));
	assert(p->state == OP_IDLE);
	assert(a->runner == NULL || a->runner == runner);
	a->runner = p->runner = runner;
	p->done = done;
	p->arg = arg;
	p->tries = (struct cloud_tries){.failures = 0};
	p->was_signed_in = p->was_refreshed = false;
	p->ring_used = p->restart = p->head_told = false;
	err_keep(&p->refused, NULL);
	buf_free(&op->taken);
	free(TAKE(op->page));
	free(op->data);
	op->data = xcalloc(1, MAX(op->account->driver->op_size, 1));
	op->streamed = 0;
	if (op->from != NULL)
		cloud_account_ref(op->from);
	runner->ops++;
	p->state = OP_QUEUED;
	if (cloud_batch_takes(p))
		cloud_batch_join(p);
	else if (op->goes_on)
		TAILQ_INSERT_HEAD(&a->queued[cloud_op_lane(op)], p, next);
	else
		TAILQ_INSERT_TAIL(&a->queued[cloud_op_lane(op)], p, next);
	cloud_account_wake(a);
}

static void
op_stop_transport(struct op_private *p)
{
	if (p->http != NULL)
		http_cancel(p->http);
	if (p->memory != NULL)
		memory_cancel(p->memory);
	if (p->disk != NULL)
		disk_cancel(p->disk);
	p->http = NULL;
	p->memory = NULL;
	p->disk = NULL;
	op_request_fini(p);
}

/* Out of every queue, timer and transport; its lane is free. */
static void
op_release(struct op_private *p)
{
	struct account_private *a = account_private(p->op.account);

	if (p->state == OP_QUEUED)
		TAILQ_REMOVE(&a->queued[cloud_op_lane(&p->op)], p, next);
	else if (p->state == OP_READY)
		TAILQ_REMOVE(&a->ready, p, next);
	else if (p->state == OP_ITEM)
		cloud_batch_leave(p);
	cloud_account_lost(p);
	op_leave_lane(p);
	op_take_end(p);
	op_stop_transport(p);
	if (p->timer != NULL)
		event_free(p->timer);
	p->timer = NULL;
	p->state = OP_IDLE;
	p->runner->ops--;
	cloud_account_wake(a);
	if (p->op.from != NULL)
		cloud_account_unref(p->op.from);
}

void
cloud_op_end(struct op_private *p, int code, const struct err *err)
{
	static const struct err none = ERR_INIT;

	/* Nothing was left to sweep: that is what was wanted. */
	if ((p->op.kind == CLOUD_SWEEP || p->op.kind == CLOUD_UPLOAD_ABORT) && code == -ENOENT)
		code = 0;
	if (code == 0)
		cloud_sign_in_sufficed(account_private(p->op.account), p);
	op_release(p);
	if (code == 0 && p->op.kind == CLOUD_READ && p->op.ring != NULL && !p->op.keep_open)
		ring_end(p->op.ring);
	p->done(p->arg, &p->op, code, code == 0 ? &none : err);
}

void
cloud_op_cancel(struct cloud_op *op)
{
	if (op_private(op)->state != OP_IDLE)
		op_release(op_private(op));
}
