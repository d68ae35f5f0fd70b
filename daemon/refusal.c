#include "daemon/refusal.h"
#include "daemon/accounts.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define REFUSAL_MAX_S  15 /* as a test of an account */
#define RECHECK_MAX_MS (3600 * 1000) /* a refused sign-in may count against the account */

struct refusal {
	struct refusals *all;
	struct worker *worker;
	struct account_record *record; /* as it was refused */
	struct err err; /* what the cloud said */
	struct cloud_op *op;
	struct event *deadline;
	TAILQ_ENTRY(refusal) next;
};

/* An account that is held, and is looked at from time to time. */
struct recheck {
	struct refusals *all;
	char account_id[37];
	uint64_t revision; /* as it is looked at */
	uint64_t pause_ms; /* before the next look */
	struct cloud_op *op; /* the look under way, or NULL */
	struct event *timer; /* the next look, or the end of this one */
	TAILQ_ENTRY(recheck) next;
};

struct refusals {
	struct daemon *daemon;
	TAILQ_HEAD(, refusal) list;
	TAILQ_HEAD(, recheck) rechecks;
};

/* Its top directory: it is cheap to ask, and every account has one. */
static struct cloud_op *
probe_new(struct account *account)
{
	struct cloud_op *op = cloud_op_new(account, CLOUD_LIST, "");

	op->attempts_max = 1;
	return op;
}

/* Any answer but a refusal says that the credentials are good, and no answer says nothing. */
static bool
probe_is_good(int code)
{
	return code == 0 || (code != -EKEYEXPIRED && !err_is_transient(code));
}

/* -- one refusal */

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
refusal_holds(struct refusal *r, const struct err *err)
{
	log_error("account '%s' is refused, its transfers wait until it is signed in again: %s",
	    r->record->name, err_text(err));
	/* The store has it before the first change comes back to the queue. */
	accounts_reached(r->all->daemon->accounts, r->record->id, r->record->revision, err->code,
	    err, NULL, NULL);
	refusal_tell(r);
}

static void
refusal_on_probed(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct refusal *r = arg;

	if (code == -EKEYEXPIRED) {
		refusal_holds(r, err);
	} else if (probe_is_good(code)) {
		r->err.code = -EACCES; /* that one object is not for it */
		refusal_tell(r);
	} else {
		refusal_is_open(r);
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
	r->op = probe_new(account);
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
refusals_add(struct refusals *all, const struct worker_refusal *refused)
{
	struct account_record *record;
	struct refusal *r;

	if (store_account_get(all->daemon->store, refused->id, &record, NULL) != 0) {
		worker_refuse(refused->worker, refused->id, &refused->err);
		return;
	}
	accounts_forget_before(all->daemon->accounts, record);
	if (record->revision != refused->revision &&
	    refusal_renew(all, refused->worker, record) == 0) {
		account_record_free(record);
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->all = all;
	r->worker = refused->worker;
	r->record = record;
	r->err = refused->err;
	TAILQ_INSERT_TAIL(&all->list, r, next);
	if (record->held)
		refusal_tell(r);
	else if (refused->is_signed_out)
		refusal_holds(r, &refused->err);
	else
		refusal_probe(r);
}

/* -- accounts that are held */

/* Also while it is still under way. */
static void
recheck_drop_op(struct recheck *h)
{
	if (h->op != NULL)
		cloud_op_cancel(h->op);
	cloud_op_free(TAKE(h->op));
}

static void
recheck_free(struct recheck *h)
{
	TAILQ_REMOVE(&h->all->rechecks, h, next);
	recheck_drop_op(h);
	event_free(h->timer);
	free(h);
}

static void
recheck_wait(struct recheck *h, uint64_t ms)
{
	struct timeval tv = {(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};

	event_add(h->timer, &tv);
}

static void
recheck_ended(struct recheck *h, int code)
{
	static const struct err none = ERR_INIT;

	recheck_drop_op(h);
	if (probe_is_good(code)) {
		log_info("account %s works again, its transfers go on", h->account_id);
		accounts_reached(
		    h->all->daemon->accounts, h->account_id, h->revision, 0, &none, NULL, NULL);
		recheck_free(h);
		return;
	}
	h->pause_ms = MIN(h->pause_ms * 2, RECHECK_MAX_MS);
	recheck_wait(h, h->pause_ms);
}

static void
recheck_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	recheck_ended(arg, code);
}

static void
recheck_begin(struct recheck *h)
{
	struct daemon *d = h->all->daemon;
	struct account_record *record = NULL;
	struct account *account;
	struct err err = ERR_INIT;
	bool held = store_account_get(d->store, h->account_id, &record, &err) == 0 && record->held;
	int code;

	h->revision = held ? record->revision : 0;
	account_record_free(record);
	if (!held) { /* or gone */
		recheck_free(h);
		return;
	}
	code = accounts_open(d->accounts, h->account_id, &account, &err);
	if (code != 0) {
		log_warning("account %s cannot be looked at: %s", h->account_id, err_text(&err));
		recheck_ended(h, -EAGAIN); /* the master key may be another for now */
		return;
	}
	h->op = probe_new(account);
	recheck_wait(h, REFUSAL_MAX_S * 1000);
	cloud_op_start(d->runner, h->op, recheck_on_done, h);
}

static void
recheck_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct recheck *h = arg;

	if (h->op == NULL)
		recheck_begin(h);
	else
		recheck_ended(h, h->op->list.len > 0 ? 0 : -ETIMEDOUT);
}

void
refusals_held(struct refusals *all, const char *account_id)
{
	struct recheck *h;

	TAILQ_FOREACH (h, &all->rechecks, next) {
		if (strcmp(h->account_id, account_id) == 0)
			break;
	}
	if (h == NULL) {
		h = xcalloc(1, sizeof *h);
		h->all = all;
		snprintf(h->account_id, sizeof h->account_id, "%s", account_id);
		h->timer = evtimer_new(loop_base(all->daemon->loop), recheck_on_timer, h);
		TAILQ_INSERT_TAIL(&all->rechecks, h, next);
	}
	h->pause_ms = MAX(settings_int(all->daemon->settings, "account.recheck"), 1);
	if (h->op == NULL)
		recheck_wait(h, h->pause_ms);
}

static void
refusals_find_held(struct refusals *all, const char *user_id)
{
	struct account_record **accounts;
	struct err err = ERR_INIT;
	size_t i, len;

	if (store_accounts(all->daemon->store, user_id, &accounts, &len, &err) != 0) {
		log_warning("cannot find out which accounts are held: %s", err_text(&err));
		return;
	}
	for (i = 0; i < len; i++) {
		if (accounts[i]->held)
			refusals_held(all, accounts[i]->id);
		account_record_free(accounts[i]);
	}
	free(accounts);
}

void
refusals_start(struct refusals *all)
{
	struct err err = ERR_INIT;
	struct user **users;
	size_t i, len;

	if (store_users(all->daemon->store, &users, &len, &err) != 0) {
		log_warning("cannot find out which accounts are held: %s", err_text(&err));
		return;
	}
	for (i = 0; i < len; i++) {
		refusals_find_held(all, users[i]->id);
		user_free(users[i]);
	}
	free(users);
}

/* -- all of them */

struct refusals *
refusals_new(struct daemon *d)
{
	struct refusals *all = xcalloc(1, sizeof *all);

	all->daemon = d;
	TAILQ_INIT(&all->list);
	TAILQ_INIT(&all->rechecks);
	return all;
}

void
refusals_free(struct refusals *all)
{
	struct refusal *r;
	struct recheck *h;

	if (all == NULL)
		return;
	while ((r = TAILQ_FIRST(&all->list)) != NULL)
		refusal_free(r);
	while ((h = TAILQ_FIRST(&all->rechecks)) != NULL)
		recheck_free(h);
	free(all);
}
