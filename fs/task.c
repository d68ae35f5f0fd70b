#include "fs/task.h"
#include "fs/daemon.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/pool.h"
#include <assert.h>
#include <stdlib.h>

#define TASK_RETRY_MS 250 /* between two attempts to reach a daemon that is away */

int
fs_errno(int code)
{
	switch (code) {
	case -ENOSYS: /* would switch the operation off for the whole mount */ return -EOPNOTSUPP;
	case -EKEYEXPIRED:
	case -EKEYREJECTED: return -EACCES;
	case -EPROTO:
	case -EBADMSG:
	case -ENODATA:
	case -EAGAIN:
	case -ETIMEDOUT:
	case -ECONNRESET:
	case -ECONNREFUSED:
	case -EHOSTUNREACH:
	case -ECANCELED:
	case -EALREADY: return -EIO;
	case -ESHUTDOWN: return -ENOTCONN;
	case -EILSEQ: return -EINVAL;
	default: return code;
	}
}

uint64_t
task_deadline(uint64_t ms)
{
	return clock_mono_ms() + ms;
}

struct task *
task_new(struct fs *fs, fuse_req_t req, task_fn run)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->fs = fs;
	task->req = req;
	task->asked = req != NULL;
	task->run = run;
	return task;
}

static void
task_free(struct task *task)
{
	TAILQ_REMOVE(&task->fs->tasks, task, next);
	if (task->timer != NULL)
		event_free(task->timer);
	free(task->name);
	free(task->name2);
	free(task->data);
	free(task);
}

static void
task_main(void *arg)
{
	struct task *task = arg;

	task->fiber = fiber_current(task->fs->fibers);
	task->run(task);
	assert(task->req == NULL);
	task_free(task);
}

void
task_start(struct task *task)
{
	TAILQ_INSERT_TAIL(&task->fs->tasks, task, next);
	fiber_start(task->fs->fibers, task_main, task);
}

void
task_spawn(struct fs *fs, task_fn run, void *arg)
{
	struct task *task = task_new(fs, NULL, run);

	task->arg = arg;
	task_start(task);
}

void
tasks_cancel(struct fs *fs)
{
	struct task *task;

	fs->cancelling = true;
	TAILQ_FOREACH (task, &fs->tasks, next)
		task_wake(task);
}

void
task_wake(struct task *task)
{
	if (task->fiber != NULL)
		fiber_wake(task->fiber);
}

static void
task_timer(evutil_socket_t fd, short what, void *arg)
{
	task_wake(arg);
}

/* By libfuse, on the loop, when the kernel sends INTERRUPT; or at once if it has sent it already.
 */
static void
task_interrupted(fuse_req_t req, void *arg)
{
	struct task *task = arg;

	task->interrupted = true;
	task->ends_ms = clock_mono_ms() + TASK_DEFER_MS;
	task_wake(task);
}

int
task_wait(struct task *task, uint64_t deadline)
{
	struct timeval tv;
	uint64_t now;

	assert(fiber_current(task->fs->fibers) == task->fiber);
	if (task->req != NULL && !task->hooked) {
		task->hooked = true;
		fuse_req_interrupt_func(task->req, task_interrupted, task);
	}
	if (task->interrupted && task->req != NULL) {
		if (clock_mono_ms() >= task->ends_ms)
			return -EINTR;
		deadline = deadline == 0 ? task->ends_ms : MIN(deadline, task->ends_ms);
	}
	if (task->fs->cancelling)
		return -ESHUTDOWN;
	if (deadline != 0) {
		now = clock_mono_ms();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (task->timer == NULL)
			task->timer = evtimer_new(loop_base(task->fs->loop), task_timer, task);
		if (task->timer == NULL)
			abort();
		tv.tv_sec = (time_t)((deadline - now) / 1000);
		tv.tv_usec = (suseconds_t)((deadline - now) % 1000 * 1000);
		evtimer_add(task->timer, &tv);
	}
	fiber_wait(task->fs->fibers);
	if (deadline != 0)
		evtimer_del(task->timer);
	return 0;
}

/* -- the daemon */

struct task_answer {
	struct task *task;
	bool done;
	int code;
	json_t *body;
	struct err err;
};

static void
task_answered(void *arg, int code, json_t *body, const struct err *err)
{
	struct task_answer *answer = arg;

	answer->done = true;
	answer->code = code;
	answer->body = json_incref(body);
	if (err != NULL)
		answer->err = *err;
	task_wake(answer->task);
}

/* One attempt. */
static int
task_call_once(struct task *task, struct task_answer *answer, const char *method, const char *path,
    json_t *body, uint64_t deadline)
{
	struct client_call *call;
	int code;

	*answer = (struct task_answer){.task = task};
	call = client_start(daemon_client(task->fs->daemon), method, path, json_incref(body),
	    task_answered, answer);
	while (!answer->done) {
		code = task_wait(task, deadline);
		if (code != 0 && !answer->done) {
			client_cancel(call);
			return code;
		}
	}
	return answer->code;
}

int
task_call(struct task *task, json_t **out, const char *method, const char *path, json_t *body,
    struct err *err)
{
	uint64_t deadline = task_deadline(task->fs->daemon_timeout_ms), pause;
	struct task_answer answer;
	int code, waited = 0;

	for (;;) {
		code = task_call_once(task, &answer, method, path, body, deadline);
		if (!daemon_is_away(code) || code == -ETIMEDOUT)
			break;
		json_decref(answer.body);
		answer.body = NULL;
		pause = MIN(task_deadline(TASK_RETRY_MS), deadline);
		while (clock_mono_ms() < pause) {
			waited = task_wait(task, pause);
			if (waited == -EINTR || waited == -ESHUTDOWN)
				break;
		}
		if (waited == -EINTR || waited == -ESHUTDOWN) {
			code = waited;
			break;
		}
		if (clock_mono_ms() >= deadline) {
			code = -ETIMEDOUT;
			break;
		}
	}
	json_decref(body);
	if (code == -ETIMEDOUT)
		err_set(err, code, "the daemon at %s does not answer; is skyferryd running?",
		    client_where(daemon_client(task->fs->daemon)));
	else if (code != 0)
		err_set(err, code, "%s", answer.err.msg);
	if (code == 0 && out != NULL)
		*out = answer.body;
	else
		json_decref(answer.body);
	return code;
}

/* -- clouds */

struct task_op_end {
	struct task *task;
	bool done;
	int code;
	struct err err;
};

static void
task_op_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct task_op_end *end = arg;

	end->done = true;
	end->code = code;
	if (err != NULL)
		end->err = *err;
	task_wake(end->task);
}

int
task_op(struct task *task, struct cloud_op *op, struct err *err)
{
	return task_op_within(task, op, FS_CLOUD_MS, err);
}

int
task_op_within(struct task *task, struct cloud_op *op, uint64_t ms, struct err *err)
{
	struct task_op_end end = {.task = task};
	uint64_t deadline = task_deadline(ms);
	int code;

	cloud_op_start(task->fs->runner, op, task_op_done, &end);
	while (!end.done) {
		code = task_wait(task, deadline);
		if (code != 0 && !end.done) {
			cloud_op_cancel(op);
			return err_set(
			    err, code, "%s: the cloud did not answer in time", op->account->name);
		}
	}
	if (end.code != 0 && err != NULL)
		*err = end.err;
	return end.code;
}

/* -- the pool */

struct task_job {
	struct task *task; /* NULL: it has gone */
	loop_fn work, release;
	void *arg;
	bool done;
};

static void
task_job_work(void *arg)
{
	struct task_job *job = arg;

	job->work(job->arg);
}

static void
task_job_done(void *arg)
{
	struct task_job *job = arg;

	job->done = true;
	if (job->task != NULL) {
		task_wake(job->task);
		return;
	}
	job->release(job->arg);
	free(job);
}

int
task_work(struct task *task, loop_fn work, loop_fn release, void *arg)
{
	struct task_job *job = xcalloc(1, sizeof(*job));
	int code = 0;

	*job = (struct task_job){.task = task, .work = work, .release = release, .arg = arg};
	pool_submit(task->fs->pool, NULL, task->fs->loop, task_job_work, task_job_done, job);
	while (!job->done && code == 0)
		code = task_wait(task, 0);
	if (!job->done) {
		job->task = NULL;
		return code;
	}
	free(job);
	return 0;
}

/* -- locks and queues */

struct lock_wait {
	struct task *task;
	bool granted;
	TAILQ_ENTRY(lock_wait) next;
};

void
lock_init(struct lock *lock)
{
	lock->owner = NULL;
	TAILQ_INIT(&lock->waits);
}

int
lock_take(struct task *task, struct lock *lock)
{
	struct lock_wait wait = {.task = task};
	int code;

	assert(lock->owner != task);
	if (lock->owner == NULL) {
		lock->owner = task;
		return 0;
	}
	TAILQ_INSERT_TAIL(&lock->waits, &wait, next);
	while (!wait.granted) {
		code = task_wait(task, 0);
		if (code != 0 && !wait.granted) {
			TAILQ_REMOVE(&lock->waits, &wait, next);
			return code;
		}
	}
	return 0;
}

void
lock_drop(struct task *task, struct lock *lock)
{
	struct lock_wait *wait = TAILQ_FIRST(&lock->waits);

	assert(lock->owner == task);
	lock->owner = NULL;
	if (wait == NULL)
		return;
	TAILQ_REMOVE(&lock->waits, wait, next);
	wait->granted = true;
	lock->owner = wait->task;
	task_wake(wait->task);
}

struct waitq_entry {
	struct task *task;
	bool woken;
	TAILQ_ENTRY(waitq_entry) next;
};

int
waitq_wait(struct task *task, struct waitq *queue, uint64_t deadline)
{
	struct waitq_entry entry = {.task = task};
	int code = 0;

	/* The entry is on this fiber's stack, and off the queue before this returns. */
	/* cppcheck-suppress autoVariables */
	TAILQ_INSERT_TAIL(queue, &entry, next);
	while (!entry.woken && code == 0)
		code = task_wait(task, deadline);
	if (entry.woken)
		return 0;
	TAILQ_REMOVE(queue, &entry, next);
	return code;
}

void
waitq_wake(struct waitq *queue)
{
	struct waitq_entry *entry;

	while ((entry = TAILQ_FIRST(queue)) != NULL) {
		TAILQ_REMOVE(queue, entry, next);
		entry->woken = true;
		task_wake(entry->task);
	}
}

/* -- replies: a failure to deliver one means that the kernel has gone, which the session sees */

static fuse_req_t
task_take_req(struct task *task)
{
	assert(task->req != NULL);
	return TAKE(task->req);
}

void
task_reply(struct task *task, int code)
{
	if (task->req == NULL) {
		assert(!task->asked);
		return;
	}
	assert(code <= 0);
	fuse_reply_err(task_take_req(task), -fs_errno(code));
}

void
task_reply_entry(struct task *task, const struct fuse_entry_param *entry)
{
	fuse_reply_entry(task_take_req(task), entry);
}

void
task_reply_attr(struct task *task, const struct stat *attr, double timeout)
{
	fuse_reply_attr(task_take_req(task), attr, timeout);
}

void
task_reply_open(struct task *task, const struct fuse_file_info *fi)
{
	fuse_reply_open(task_take_req(task), fi);
}

void
task_reply_create(
    struct task *task, const struct fuse_entry_param *entry, const struct fuse_file_info *fi)
{
	fuse_reply_create(task_take_req(task), entry, fi);
}

void
task_reply_buf(struct task *task, const void *data, size_t len)
{
	fuse_reply_buf(task_take_req(task), data, len);
}

void
task_reply_iov(struct task *task, const struct iovec *iov, int count)
{
	fuse_reply_iov(task_take_req(task), iov, count);
}

void
task_reply_count(struct task *task, size_t count)
{
	fuse_reply_write(task_take_req(task), count);
}
