#include "daemon/refusal.h"
#include "daemon/accounts.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define REFUSAL_MAX_S 15 /* as a test of an account */

struct refusal {
	struct refusals *all;
	struct worker *worker;
	struct account_record *record; /* as it was refused */
	struct err err; /* what the cloud said */
	struct cloud_op *op;
	struct event *deadline;
	TAILQ_ENTRY(refusal) next;
};

struct refusals {
	struct daemon *daemon;
	TAILQ_HEAD(, refusal) list;
};

static void
refusal_free(struct refusal *r)
{
	TAILQ_REMOVE(&r->all->list, r, next);
	if (r->op != NULL)
		cloud_op_cancel(r->op);
	cloud_op_free(r->op);
	if (r->deadline != NULL)
		event_free(r->deadline);
	account_record_free(r->record);
	free(r);
}

/* What waits at the worker fails so. */
static void
refusal_tell(struct refusal *r)
{
	worker_refuse(r->worker, r->record->id, &r->err);
	refusal_free(r);
}

/* Neither yes nor no: it is tried again later, as after any failure in passing. */
static void
refusal_is_open(struct refusal *r)
{
	r->err.code = -EAGAIN;
	refusal_tell(r);
}

static void
refusal_on_probed(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct refusal *r = arg;

	if (code == -EKEYEXPIRED) {
		log_error("account '%s' is refused, its transfers wait until it is signed in "
			  "again: %s",
		    r->record->name, err_text(err));
		/* The store has it before the first change comes back to the queue. */
		accounts_reached(
		    r->all->daemon->accounts, r->record->id, r->record->revision, code, err);
		refusal_tell(r);
	} else if (code != 0 && err_is_transient(code)) {
		refusal_is_open(r);
	} else {
		/* The account works: that one object is not for it. */
		r->err.code = -EACCES;
		refusal_tell(r);
	}
}

/* A page came, so it works, even if there are too many of them. */
static void
refusal_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	static const struct err none = ERR_INIT;
	struct refusal *r = arg;

	if (r->op->list.len > 0)
		refusal_on_probed(r, r->op, 0, &none);
	else
		refusal_is_open(r);
}

static void
refusal_probe(struct refusal *r)
{
	static const struct timeval most = {.tv_sec = REFUSAL_MAX_S};
	struct daemon *d = r->all->daemon;
	struct account *account;
	int code = accounts_open(d->accounts, r->record->id, &account, &r->err);

	if (code != 0) {
		refusal_tell(r);
		return;
	}
	r->op = cloud_op_new(account, CLOUD_LIST, "");
	r->op->attempts_max = 1;
	r->deadline = evtimer_new(loop_base(d->loop), refusal_on_deadline, r);
	event_add(r->deadline, &most);
	cloud_op_start(d->runner, r->op, refusal_on_probed, r);
}

/* It has other credentials already: 0. */
static int
refusal_renew(struct refusals *all, struct worker *worker, const struct account_record *record)
{
	struct account_snapshot *snapshot;
	int code =
	    accounts_snapshot(all->daemon->accounts, record->user_id, record->id, &snapshot, NULL);

	if (code != 0)
		return code;
	worker_renew(worker, snapshot);
	account_snapshot_unref(snapshot);
	return 0;
}

void
refusals_add(struct refusals *all, struct worker *worker, const char *account_id, uint64_t revision,
    const struct err *why)
{
	struct account_record *record;
	struct refusal *r;

	if (store_account_get(all->daemon->store, account_id, &record, NULL) != 0) {
		worker_refuse(worker, account_id, why);
		return;
	}
	accounts_forget_before(all->daemon->accounts, record);
	if (record->revision != revision && refusal_renew(all, worker, record) == 0) {
		account_record_free(record);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->all = all;
	r->worker = worker;
	r->record = record;
	r->err = *why;
	TAILQ_INSERT_TAIL(&all->list, r, next);
	if (record->held)
		refusal_tell(r);
	else
		refusal_probe(r);
}

struct refusals *
refusals_new(struct daemon *d)
{
	struct refusals *all = xcalloc(1, sizeof *all);

	all->daemon = d;
	TAILQ_INIT(&all->list);
	return all;
}

void
refusals_free(struct refusals *all)
{
	struct refusal *r;

	if (all == NULL)
		return;
	while ((r = TAILQ_FIRST(&all->list)) != NULL)
		refusal_free(r);
	free(all);
}
