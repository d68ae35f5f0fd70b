#include "daemon/worker.h"
#include "daemon/accounts.h"
#include "daemon/idmap.h"
#include "src/route.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define WORKER_PROGRESS_MS 250
/* A new attempt's ring is such a part of the memory that is left. */
#define WORKER_RING_PART 8
#define WORKER_RING_MIN  ((size_t)32 * 1024) /* twice a piece of libcurl's: one comes, one goes */
#define WORKER_ACCOUNTS_MAX                                                                        \
	8 /* usual number of accounts of one change: beyond, memory is taken                       \
	   */

/* An account as this worker has opened it. */
struct worker_account {
	char *id;
	uint64_t revision;
	struct account *account;
};

struct worker_job {
	struct worker *worker;
	void *owner;
	struct change *change;
	struct checkpoint *checkpoint;
	struct account_snapshot **snapshots;
	size_t snapshots_len;
	char *spool_dir;
	struct attempt *attempt;
	size_t ring; /* its share of worker->memory */
	bool done;
	bool reported; /* on the list of those with news */
	struct worker_progress progress;
	struct bucket *buckets[2]; /* of all transfers, borrowed; its own */
	TAILQ_ENTRY(worker_job) next;
};

struct worker {
	struct worker_config config;
	struct worker_handler handler;
	void *arg;
	struct loop *loop;
	struct cloud_runner *runner;
	struct idmap accounts; /* worker_account by id */
	struct budget memory; /* of the rings of the attempts under way */
	TAILQ_HEAD(, worker_job) news;
	struct event *progress_timer;
	bool progress_armed;
};

struct account_snapshot *
account_snapshot_ref(struct account_snapshot *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void
account_snapshot_unref(struct account_snapshot *s)
{
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(s->id);
	free(s->name);
	bucket_unref(s->bandwidth);
	throttle_unref(s->throttle);
	buf_free(&s->credentials);
	free(s);
}

/* -- messages to the control loop */

enum worker_event { WORKER_VERIFIED, WORKER_DONE };

struct worker_message {
	struct worker *worker;
	enum worker_event event;
	void *owner;
	struct attempt_result result;
};

static void
worker_message_run(void *arg)
{
	struct worker_message *m = arg;

	if (m->event == WORKER_VERIFIED)
		m->worker->handler.verified(m->worker->arg, m->owner, &m->result);
	else
		m->worker->handler.done(m->worker->arg, m->owner, &m->result);
	free(m->result.route);
	free(m->result.route_reason);
	free(m->result.verified);
	free(m->result.version);
	free(m->result.source_version);
	free(m);
}

static void
worker_post_result(struct worker_job *job, enum worker_event event, const struct attempt_result *r)
{
	struct worker_message *m = xcalloc(1, sizeof *m);

	m->worker = job->worker;
	m->event = event;
	m->owner = job->owner;
	m->result = *r;
	m->result.route = xstrdup_null(r->route);
	m->result.route_reason = xstrdup_null(r->route_reason);
	m->result.verified = xstrdup_null(r->verified);
	m->result.version = xstrdup_null(r->version);
	m->result.source_version = xstrdup_null(r->source_version);
	loop_post(job->worker->config.control, worker_message_run, m);
}

/* What an attempt noted, on its way to the store. */
struct worker_note {
	struct worker *worker;
	void *owner;
	enum checkpoint_note_kind kind;
	struct checkpoint *checkpoint; /* HEAD; owned */
	struct upload_part part; /* PART */
};

static void
worker_note_run(void *arg)
{
	struct worker_note *n = arg;

	n->worker->handler.note(n->worker->arg, n->owner, n->kind, n->checkpoint, &n->part);
	checkpoint_free(n->checkpoint);
	free(n);
}

/* What a tree's attempt found, on its way to the store. */
struct worker_found {
	struct worker *worker;
	void *owner;
	struct walk_batch *batch; /* owned */
};

static void
worker_found_run(void *arg)
{
	struct worker_found *f = arg;

	f->worker->handler.grow(f->worker->arg, f->owner, f->batch);
	free(f);
}

struct worker_news {
	struct worker *worker;
	size_t len;
	struct worker_progress items[];
};

static void
worker_news_run(void *arg)
{
	struct worker_news *n = arg;

	n->worker->handler.progress(n->worker->arg, n->items, n->len);
	free(n);
}

/* All news of the last while in one message: ten thousand transfers wake the control loop four
 * times a second. */
static void
worker_post_news(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	struct worker_job *job;
	struct worker_news *n;
	size_t len = 0;

	w->progress_armed = false;
	TAILQ_FOREACH (job, &w->news, next)
		len++;
	if (len == 0)
		return;
	n = xcalloc(1, sizeof *n + len * sizeof n->items[0]);
	n->worker = w;
	while ((job = TAILQ_FIRST(&w->news)) != NULL) {
		TAILQ_REMOVE(&w->news, job, next);
		job->reported = false;
		n->items[n->len++] = job->progress;
	}
	loop_post(w->config.control, worker_news_run, n);
}

/* -- the attempt's callbacks */

static const char *
worker_route(const char *route)
{
	for (enum route r = 0; r < ROUTES && route != NULL; r++) {
		if (strcmp(route, route_name(r)) == 0)
			return route_name(r);
	}
	return NULL;
}

static void
worker_on_progress(void *arg, const struct copy_progress *p)
{
	static const struct timeval soon = {0, WORKER_PROGRESS_MS * 1000};
	struct worker_job *job = arg;
	struct worker *w = job->worker;

	job->progress = (struct worker_progress){
	    .owner = job->owner,
	    .bytes_done = p->done,
	    .bytes_total = p->total,
	    .route = worker_route(p->route),
	    .parts = {p->parts_done, p->parts, p->at_once, p->why},
	};
	if (!job->reported) {
		job->reported = true;
		TAILQ_INSERT_TAIL(&w->news, job, next);
	}
	if (!w->progress_armed) {
		w->progress_armed = true;
		evtimer_add(w->progress_timer, &soon);
	}
}

static void
worker_on_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	struct worker_job *job = arg;
	struct worker_note *n = xcalloc(1, sizeof *n);

	n->worker = job->worker;
	n->owner = job->owner;
	n->kind = kind;
	if (kind == CHECKPOINT_HEAD)
		n->checkpoint = checkpoint_copy(checkpoint);
	if (kind == CHECKPOINT_PART)
		n->part = *part;
	loop_post(job->worker->config.control, worker_note_run, n);
}

static void
worker_on_grow(void *arg, struct walk_batch *batch)
{
	struct worker_job *job = arg;
	struct worker_found *f = xcalloc(1, sizeof *f);

	f->worker = job->worker;
	f->owner = job->owner;
	f->batch = batch;
	loop_post(job->worker->config.control, worker_found_run, f);
}

static void
worker_on_verified(void *arg, const struct attempt_result *r)
{
	worker_post_result(arg, WORKER_VERIFIED, r);
}

static void
worker_on_done(void *arg, const struct attempt_result *r)
{
	struct worker_job *job = arg;

	budget_give(&job->worker->memory, job->ring);
	job->ring = 0;
	job->attempt = NULL;
	job->done = true;
	if (job->reported) {
		job->reported = false;
		TAILQ_REMOVE(&job->worker->news, job, next);
	}
	worker_post_result(job, WORKER_DONE, r);
}

static const struct attempt_handler attempt_handler = {
    .progress = worker_on_progress,
    .note = worker_on_note,
    .grow = worker_on_grow,
    .verified = worker_on_verified,
    .done = worker_on_done,
};

/* -- accounts */

static void
worker_account_free(struct worker_account *wa)
{
	cloud_account_unref(wa->account);
	free(wa->id);
	free(wa);
}

/* Attempts that use it keep their reference. */
static void
worker_account_drop(struct worker *w, const char *id)
{
	struct worker_account *wa = idmap_get(&w->accounts, id);

	struct err gone = ERR_INIT;

	if (wa == NULL)
		return;
	/* What was asked for will not find it here when it comes. */
	if (cloud_account_is_refreshing(wa->account))
		cloud_account_refreshed(w->runner, wa->account,
		    err_set(&gone, -ENOENT, "the account was removed"), &gone);
	err_set(&gone, -ENOENT, "the account was removed");
	cloud_account_signed_in(wa->account, 0, gone.code, NULL, 0, &gone);
	idmap_remove(&w->accounts, wa->id);
	worker_account_free(wa);
}

static int
worker_account_new(
    struct worker *w, const struct account_snapshot *s, const json_t *credentials, struct err *err)
{
	struct worker_account *wa;
	struct account *account;
	int code = cloud_account_open(&account, s->driver, s->id, s->name, credentials, err);

	if (code != 0)
		return code;
	account->bandwidth = bucket_ref(s->bandwidth);
	cloud_account_share(account, s->throttle);
	wa = xcalloc(1, sizeof *wa);
	wa->id = xstrdup(s->id);
	wa->revision = s->revision;
	wa->account = account;
	idmap_put(&w->accounts, wa->id, wa);
	return 0;
}

static int
worker_account_renew(struct worker_account *wa, const struct account_snapshot *s,
    const json_t *credentials, struct err *err)
{
	int code = cloud_account_renew(wa->account, credentials, err);

	if (code != 0)
		return code;
	xstrset(&wa->account->name, s->name);
	wa->revision = s->revision;
	return 0;
}

/* Opened, and as new as the snapshot. */
static int
worker_account_open(
    struct worker *w, const struct account_snapshot *s, struct account **out, struct err *err)
{
	struct worker_account *wa = idmap_get(&w->accounts, s->id);
	json_t *credentials;
	int code = 0;

	if (wa == NULL || wa->revision < s->revision) {
		credentials = json_loadb(s->credentials.data, s->credentials.len, 0, NULL);
		code = wa == NULL ? worker_account_new(w, s, credentials, err)
				  : worker_account_renew(wa, s, credentials, err);
		account_credentials_free(credentials);
	}
	if (code != 0)
		return code;
	wa = idmap_get(&w->accounts, s->id);
	*out = wa->account;
	return 0;
}

/* -- credentials that are refused */

static void
worker_refused_run(void *arg)
{
	struct worker_refusal *r = arg;

	r->worker->handler.refused(r->worker->arg, r);
	free(r);
}

/* The runner's refresh(). */
static void
worker_on_refused(void *arg, struct account *account, const struct err *why)
{
	struct worker *w = arg;
	struct worker_account *wa = idmap_get(&w->accounts, account->id);
	struct worker_refusal *r;

	if (wa == NULL || wa->account != account) {
		cloud_account_refreshed(w->runner, account, why->code, why); /* it is removed */
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->worker = w;
	snprintf(r->id, sizeof r->id, "%s", account->id);
	r->revision = wa->revision;
	r->is_signed_out = cloud_account_is_signed_out(account);
	r->err = *why;
	loop_post(w->config.control, worker_refused_run, r);
}

struct worker_renewal {
	struct worker *worker;
	struct account_snapshot *snapshot;
};

static void
worker_renew_run(void *arg)
{
	struct worker_renewal *r = arg;
	struct worker *w = r->worker;
	struct worker_account *wa = idmap_get(&w->accounts, r->snapshot->id);
	struct account *account;
	struct err err = ERR_INIT;
	int code;

	if (wa != NULL) {
		code = worker_account_open(w, r->snapshot, &account, &err);
		cloud_account_refreshed(w->runner, wa->account, code, &err);
	}
	account_snapshot_unref(r->snapshot);
	free(r);
}

void
worker_renew(struct worker *w, struct account_snapshot *snapshot)
{
	struct worker_renewal *r = xcalloc(1, sizeof *r);

	r->worker = w;
	r->snapshot = account_snapshot_ref(snapshot);
	loop_post(w->loop, worker_renew_run, r);
}

static void
worker_refuse_run(void *arg)
{
	struct worker_refusal *r = arg;
	struct worker_account *wa = idmap_get(&r->worker->accounts, r->id);

	if (wa != NULL)
		cloud_account_refreshed(r->worker->runner, wa->account, r->err.code, &r->err);
	free(r);
}

void
worker_refuse(struct worker *w, const char *account_id, const struct err *err)
{
	struct worker_refusal *r = xcalloc(1, sizeof *r);

	r->worker = w;
	snprintf(r->id, sizeof r->id, "%s", account_id);
	r->err = *err;
	loop_post(w->loop, worker_refuse_run, r);
}

/* -- tokens: one place gets them for all */

static void
worker_sign_in_free(struct worker_sign_in *s)
{
	mem_wipe_free(s->refused);
	mem_wipe_free(s->token);
	free(s);
}

static void
worker_sign_in_run(void *arg)
{
	struct worker_sign_in *s = arg;

	s->worker->handler.sign_in(s->worker->arg, s);
}

/* The runner's sign_in(). */
static void
worker_on_sign_in(void *arg, struct account *account, unsigned ticket, const char *refused)
{
	struct worker *w = arg;
	struct worker_account *wa = idmap_get(&w->accounts, account->id);
	struct worker_sign_in *s;
	struct err gone = ERR_INIT;

	if (wa == NULL || wa->account != account) {
		err_set(&gone, -ENOENT, "the account was removed");
		cloud_account_signed_in(account, ticket, gone.code, NULL, 0, &gone);
		return;
	}
	s = xcalloc(1, sizeof *s);
	s->worker = w;
	snprintf(s->id, sizeof s->id, "%s", account->id);
	s->ticket = ticket;
	s->refused = xstrdup_null(refused);
	loop_post(w->config.control, worker_sign_in_run, s);
}

static void
worker_signed_in_run(void *arg)
{
	struct worker_sign_in *s = arg;
	struct worker_account *wa = idmap_get(&s->worker->accounts, s->id);

	if (wa != NULL)
		cloud_account_signed_in(
		    wa->account, s->ticket, s->code, s->token, s->good_until_ms, &s->err);
	worker_sign_in_free(s);
}

void
worker_signed_in(struct worker_sign_in *s, int code, const char *token, uint64_t good_until_ms,
    const struct err *err)
{
	s->code = code;
	s->token = xstrdup_null(token);
	s->good_until_ms = good_until_ms;
	s->err = *err;
	loop_post(s->worker->loop, worker_signed_in_run, s);
}

/* -- messages to the worker */

static void
worker_fail_job(struct worker_job *job, int code, const struct err *err)
{
	struct attempt_result result = {.code = code, .err = *err, .bytes_total = UINT64_MAX};

	worker_on_done(job, &result);
}

static int
worker_open_accounts(struct worker_job *job, struct account **accounts, struct err *err)
{
	size_t i;
	int code;

	for (i = 0; i < job->snapshots_len; i++) {
		code = worker_account_open(job->worker, job->snapshots[i], &accounts[i], err);
		if (code != 0)
			return code;
	}
	return 0;
}

static size_t
worker_ring(const struct worker *w)
{
	const struct budget *m = &w->memory;
	size_t left = m->used < m->max ? m->max - m->used : 0;

	return MIN(MAX(left / WORKER_RING_PART, WORKER_RING_MIN), w->config.ring);
}

static void
worker_run_job(void *arg)
{
	struct worker_job *job = arg;
	struct worker *w = job->worker;
	struct account *few[WORKER_ACCOUNTS_MAX], **accounts = few;
	struct attempt_config config = {
	    .ring = worker_ring(w),
	    .progress_ms = WORKER_PROGRESS_MS,
	    .spool_dir = job->spool_dir,
	    .memory = &w->memory,
	    .buckets = job->buckets,
	    .buckets_len = ARRAY_LEN(job->buckets),
	};
	struct err err = ERR_INIT;
	size_t i;
	int code;

	if (job->snapshots_len > WORKER_ACCOUNTS_MAX)
		accounts = xcalloc(job->snapshots_len, sizeof *accounts);
	code = worker_open_accounts(job, accounts, &err);
	if (code != 0) {
		worker_fail_job(job, code, &err);
	} else {
		job->ring = config.ring;
		budget_take(&w->memory, job->ring);
		config.checkpoint = TAKE(job->checkpoint);
		job->attempt = attempt_start(w->runner, job->change, accounts, job->snapshots_len,
		    &config, &attempt_handler, job);
	}
	if (accounts != few)
		free(accounts);
	for (i = 0; i < job->snapshots_len; i++)
		account_snapshot_unref(job->snapshots[i]);
	job->snapshots_len = 0;
	change_free(TAKE(job->change));
	checkpoint_free(TAKE(job->checkpoint));
}

static void
worker_noted_job(void *arg)
{
	struct worker_job *job = arg;

	if (job->attempt != NULL)
		attempt_noted(job->attempt);
}

struct worker_grown {
	struct worker_job *job;
	struct attempt_growth growth;
};

static void
worker_grown_job(void *arg)
{
	struct worker_grown *g = arg;

	if (g->job->attempt != NULL)
		attempt_grown(g->job->attempt, &g->growth);
	free(g);
}

static void
worker_continue_job(void *arg)
{
	struct worker_job *job = arg;

	if (job->attempt != NULL)
		attempt_continue(job->attempt);
}

struct worker_cancel {
	struct worker_job *job;
	int code;
};

static void
worker_cancel_job(void *arg)
{
	struct worker_cancel *c = arg;

	if (c->job->attempt != NULL)
		attempt_cancel(c->job->attempt, c->code);
	free(c);
}

static void
worker_release_job(void *arg)
{
	struct worker_job *job = arg;

	assert(job->done && job->attempt == NULL);
	bucket_unref(job->buckets[1]);
	free(job->snapshots);
	free(job->spool_dir);
	free(job);
}

struct worker_job *
worker_run(struct worker *w, struct change *change, struct checkpoint *checkpoint,
    struct account_snapshot **snapshots, size_t len, const char *spool_dir, void *owner)
{
	struct worker_job *job = xcalloc(1, sizeof *job);

	job->worker = w;
	job->owner = owner;
	job->change = change;
	job->checkpoint = checkpoint;
	job->buckets[0] = w->config.bandwidth;
	job->buckets[1] = bucket_new(change->bandwidth);
	job->snapshots = xcalloc(len + 1, sizeof *job->snapshots);
	memcpy(job->snapshots, snapshots, len * sizeof *snapshots);
	job->snapshots_len = len;
	job->spool_dir = xstrdup_null(spool_dir);
	loop_post(w->loop, worker_run_job, job);
	return job;
}

/* A bucket belongs to no loop. */
void
worker_set_bandwidth(struct worker_job *job, uint64_t rate)
{
	bucket_set_rate(job->buckets[1], rate);
}

void
worker_noted(struct worker_job *job)
{
	loop_post(job->worker->loop, worker_noted_job, job);
}

void
worker_grown(struct worker_job *job, const struct attempt_growth *growth)
{
	struct worker_grown *g = xcalloc(1, sizeof *g);

	*g = (struct worker_grown){job, *growth};
	loop_post(job->worker->loop, worker_grown_job, g);
}

void
worker_continue(struct worker_job *job)
{
	loop_post(job->worker->loop, worker_continue_job, job);
}

void
worker_cancel(struct worker_job *job, int code)
{
	struct worker_cancel *c = xcalloc(1, sizeof *c);

	c->job = job;
	c->code = code;
	loop_post(job->worker->loop, worker_cancel_job, c);
}

void
worker_release(struct worker_job *job)
{
	loop_post(job->worker->loop, worker_release_job, job);
}

struct worker_forget {
	struct worker *worker;
	char id[37];
};

static void
worker_forget_run(void *arg)
{
	struct worker_forget *f = arg;

	worker_account_drop(f->worker, f->id);
	free(f);
}

void
worker_forget_account(struct worker *w, const char *account_id)
{
	struct worker_forget *f = xcalloc(1, sizeof *f);

	f->worker = w;
	snprintf(f->id, sizeof f->id, "%s", account_id);
	loop_post(w->loop, worker_forget_run, f);
}

struct worker_limit {
	struct worker *worker;
	unsigned concurrency;
};

static void
worker_limit_run(void *arg)
{
	struct worker_limit *l = arg;

	cloud_runner_set_concurrency(l->worker->runner, l->concurrency);
	free(l);
}

void
worker_set_concurrency(struct worker *w, unsigned concurrency)
{
	struct worker_limit *l = xcalloc(1, sizeof *l);

	l->worker = w;
	l->concurrency = concurrency;
	loop_post(w->loop, worker_limit_run, l);
}

struct worker *
worker_new(const struct worker_config *config, const struct worker_handler *handler, void *arg,
    struct err *err)
{
	struct cloud_runner_config runner = {.http = config->http,
	    .concurrency = config->concurrency,
	    .patience_ms = config->patience_ms,
	    .pulls_private = config->pulls_private,
	    .refresh = worker_on_refused,
	    .sign_in = worker_on_sign_in};
	struct worker *w = xcalloc(1, sizeof *w);
	char name[16];

	runner.arg = w;
	w->config = *config;
	w->memory.max = config->memory;
	w->handler = *handler;
	w->arg = arg;
	TAILQ_INIT(&w->news);
	snprintf(name, sizeof name, "transfer-%u", config->index % 1000);
	w->loop = loop_new(name, err);
	if (w->loop == NULL)
		goto fail;
	w->progress_timer = evtimer_new(loop_base(w->loop), worker_post_news, w);
	w->runner = cloud_runner_new(w->loop, config->pool, &runner, err);
	if (w->runner == NULL)
		goto fail;
	if (loop_start(w->loop, err) != 0)
		goto fail;
	return w;
fail:
	if (w->runner != NULL)
		cloud_runner_free(w->runner);
	if (w->progress_timer != NULL)
		event_free(w->progress_timer);
	if (w->loop != NULL)
		loop_free(w->loop);
	free(w);
	return NULL;
}

void
worker_stop(struct worker *w)
{
	struct worker_account *wa;

	loop_stop(w->loop);
	loop_join(w->loop);
	while ((wa = idmap_any(&w->accounts)) != NULL)
		worker_account_drop(w, wa->id);
	idmap_fini(&w->accounts);
	cloud_runner_free(TAKE(w->runner));
	event_free(TAKE(w->progress_timer));
}

void
worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	loop_free(w->loop);
	free(w);
}
