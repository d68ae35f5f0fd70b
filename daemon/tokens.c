#include "daemon/tokens.h"
#include "daemon/accounts.h"
#include "daemon/idmap.h"
#include "providers/providers.h"
#include "src/crash.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct token_wait {
	struct token *token;
	char *refused; /* secret, or NULL */
	bool asked; /* what comes now is for it */
	token_fn done;
	void *arg;
	TAILQ_ENTRY(token_wait) next;
};
TAILQ_HEAD(token_waits, token_wait);

/* A refresh token on its way into the store; it outlives its token when the daemon ends. */
struct token_save {
	struct token *token; /* or NULL */
	char *was, *now; /* secret */
};

struct token {
	struct tokens *all;
	char id[37]; /* the account's */
	struct account *account; /* our own, with the credentials of `revision`; or NULL */
	uint64_t revision;
	struct token_waits waits;
	struct event *step;
	bool is_asking;
	int code; /* what came of it, with err */
	struct err err;
	struct token_save *save; /* under way, or NULL */
};

struct tokens {
	struct daemon *daemon;
	struct cloud_runner *runner; /* which asks servers */
	struct idmap by_account;
	bool stopped;
};

static void token_answer(struct token *);

static void
wait_free(struct token_wait *w)
{
	TAILQ_REMOVE(&w->token->waits, w, next);
	mem_wipe_free(w->refused);
	free(w);
}

static void
wait_tell(struct token_wait *w, int code, const char *token, uint64_t until, const struct err *err)
{
	token_fn done = w->done;
	void *arg = w->arg;

	wait_free(w);
	done(arg, code, token, until, err);
}

static void
token_fail(struct token *t, int code, const struct err *err)
{
	struct token_waits now = TAILQ_HEAD_INITIALIZER(now);
	struct token_wait *w;

	/* Whoever asks again from its done() waits for the next turn. */
	TAILQ_FOREACH (w, &t->waits, next)
		w->asked = true;
	while ((w = TAILQ_FIRST(&t->waits)) != NULL && w->asked)
		wait_tell(w, code, NULL, 0, err);
}

static void
token_free(struct token *t)
{
	assert(TAILQ_EMPTY(&t->waits));
	idmap_remove(&t->all->by_account, t->id);
	if (t->save != NULL)
		t->save->token = NULL;
	cloud_account_unref(t->account);
	event_free(t->step);
	free(t);
}

/* -- the refresh token that came with it */

static void
save_free(struct token_save *s)
{
	mem_wipe_free(s->was);
	mem_wipe_free(s->now);
	free(s);
}

static int token_save(struct token *);

static void
token_on_saved(void *arg, struct store_result *res)
{
	struct token_save *s = arg;
	struct token *t = s->token;

	if (t == NULL) { /* the daemon ends */
		save_free(s);
		return;
	}
	/* Something else of it was sealed anew: once more, if it still is about this token. */
	if (res->code == -ESTALE && token_save(t) == 0)
		return;
	if (res->code != 0 && res->code != -ESTALE && res->code != -ENOENT)
		log_error(
		    "account %s: its new refresh token was not kept, it must be signed in again "
		    "after the next start: %s",
		    t->id, err_text(&res->err));
	t->save = NULL;
	save_free(s);
	token_answer(t);
}

/* 0: it is under way.  Of credentials that were replaced meanwhile nothing is kept. */
static int
token_save(struct token *t)
{
	struct daemon *d = t->all->daemon;
	CLEANUP(buf_free) struct buf was = BUF_INIT(0);
	struct account_record *record;
	struct err err = ERR_INIT;
	int code = store_account_get(d->store, t->id, &record, &err);

	if (code == 0) {
		SWAP(was, record->sealed);
		record->sealed = (struct buf)BUF_INIT(was.max);
		buf_add(&record->sealed, was.data, was.len);
		code = accounts_reseal(d->accounts, record, t->save->was, t->save->now, &err);
		if (code == 0)
			store_account_reseal(d->store, record, &was, token_on_saved, t->save);
		account_record_free(record);
	}
	if (code != 0 && code != -ENOENT && code != -ESTALE)
		log_error(
		    "account %s: its new refresh token cannot be kept: %s", t->id, err_text(&err));
	return code;
}

static void
token_on_signed_in(void *arg, int code, const struct err *err)
{
	struct token *t = arg;
	char *was, *now;

	t->is_asking = false;
	t->code = code;
	t->err = *err;
	if (t->account->driver->sign_in->rotated(t->account, &was, &now)) {
		crash_point("tokens.rotated");
		t->save = xcalloc(1, sizeof *t->save);
		*t->save = (struct token_save){t, was, now};
		if (token_save(t) == 0)
			return;
		save_free(TAKE(t->save));
	}
	token_answer(t);
}

/* -- whose turn it is */

/* As the store has it.  -EOPNOTSUPP: it needs no token. */
static int
token_open(struct token *t, const struct account_record *record, struct err *err)
{
	const struct cloud_driver *driver = provider_find(record->driver);
	struct account *account;
	json_t *credentials;
	int code;

	if (t->account != NULL && t->revision == record->revision)
		return 0;
	if (driver == NULL || driver->sign_in == NULL)
		return err_set(err, -EOPNOTSUPP, "an account of '%s' has no token", record->driver);
	code = accounts_credentials(t->all->daemon->accounts, record, &credentials, err);
	if (code != 0)
		return code;
	code = cloud_account_open(&account, driver, record->id, record->name, credentials, err);
	account_credentials_free(credentials);
	if (code != 0)
		return code;
	cloud_account_unref(t->account);
	t->account = account;
	t->revision = record->revision;
	return 0;
}

/* The token that it has, if one who waits was refused that. */
static const char *
token_refused(struct token *t)
{
	uint64_t until;
	const char *token = t->account->driver->sign_in->token(t->account, &until);
	struct token_wait *w;

	TAILQ_FOREACH (w, &t->waits, next) {
		if (token != NULL && w->refused != NULL && strcmp(w->refused, token) == 0)
			return w->refused;
	}
	return NULL;
}

static void
token_ask(struct token *t)
{
	CLEANUP(cleanup_free) char *refused = xstrdup_null(token_refused(t));
	struct token_wait *w;

	TAILQ_FOREACH (w, &t->waits, next)
		w->asked = true;
	t->is_asking = true;
	cloud_account_sign_in(t->all->runner, t->account, refused, token_on_signed_in, t);
	if (refused != NULL)
		mem_wipe(refused, strlen(refused));
}

static void
token_step(evutil_socket_t fd, short what, void *arg)
{
	struct token *t = arg;
	struct account_record *record;
	struct err err = ERR_INIT;
	int code;

	if (t->is_asking || t->save != NULL || TAILQ_EMPTY(&t->waits))
		return;
	if (t->all->stopped) {
		token_fail(t, err_set(&err, -ESHUTDOWN, "the daemon is stopping"), &err);
		return;
	}
	code = store_account_get(t->all->daemon->store, t->id, &record, &err);
	if (code == 0) {
		code = token_open(t, record, &err);
		account_record_free(record);
	}
	if (code == 0) {
		token_ask(t);
		return;
	}
	token_fail(t, code, &err);
	if (TAILQ_EMPTY(&t->waits)) /* it is gone, or cannot be opened */
		token_free(t);
}

static bool
token_is_of(const struct token *t, struct store *store)
{
	struct account_record *record;
	bool is;

	if (store_account_get(store, t->id, &record, NULL) != 0)
		return false;
	is = record->revision == t->revision;
	account_record_free(record);
	return is;
}

/* What came, for those who waited when it was asked for; unless it is of credentials that are
   replaced. */
static void
token_answer(struct token *t)
{
	CLEANUP(cleanup_free) char *token = NULL;
	struct token_wait *w;
	uint64_t until = 0;

	if (token_is_of(t, t->all->daemon->store)) {
		token = xstrdup_null(t->account->driver->sign_in->token(t->account, &until));
		while ((w = TAILQ_FIRST(&t->waits)) != NULL && w->asked)
			wait_tell(w, t->code, token, until, &t->err);
		if (token != NULL)
			mem_wipe(token, strlen(token));
	}
	event_active(t->step, EV_TIMEOUT, 0);
}

/* -- from outside */

struct token_wait *
tokens_get(
    struct tokens *all, const char *account_id, const char *refused, token_fn done, void *arg)
{
	struct token *t = idmap_get(&all->by_account, account_id);
	struct token_wait *w = xcalloc(1, sizeof *w);

	if (t == NULL) {
		t = xcalloc(1, sizeof *t);
		t->all = all;
		snprintf(t->id, sizeof t->id, "%s", account_id);
		TAILQ_INIT(&t->waits);
		t->step = event_new(loop_base(all->daemon->loop), -1, 0, token_step, t);
		idmap_put(&all->by_account, t->id, t);
	}
	w->token = t;
	w->refused = xstrdup_null(refused);
	w->done = done;
	w->arg = arg;
	TAILQ_INSERT_TAIL(&t->waits, w, next);
	event_active(t->step, EV_TIMEOUT, 0);
	return w;
}

void
tokens_cancel(struct token_wait *w)
{
	if (w != NULL)
		wait_free(w);
}

void
tokens_changed(struct tokens *all, const char *account_id)
{
	struct token *t = all == NULL ? NULL : idmap_get(&all->by_account, account_id);

	/* Whoever waits has it opened anew. */
	if (t != NULL && !t->is_asking && t->save == NULL && TAILQ_EMPTY(&t->waits) &&
	    !token_is_of(t, all->daemon->store))
		token_free(t);
}

struct token_own {
	struct account *account; /* a reference */
	unsigned ticket;
};

static void
tokens_on_own(void *arg, int code, const char *token, uint64_t until, const struct err *err)
{
	struct token_own *own = arg;

	cloud_account_signed_in(own->account, own->ticket, code, token, until, err);
	cloud_account_unref(own->account);
	free(own);
}

void
tokens_sign_in(void *arg, struct account *account, unsigned ticket, const char *refused)
{
	struct daemon *d = arg;
	struct token_own *own = xcalloc(1, sizeof *own);

	own->account = cloud_account_ref(account);
	own->ticket = ticket;
	tokens_get(d->tokens, account->id, refused, tokens_on_own, own);
}

/* -- all of them */

struct tokens *
tokens_new(struct daemon *d, struct err *err)
{
	struct cloud_runner_config config = {.http = daemon_http_limits(d)};
	struct tokens *all = xcalloc(1, sizeof *all);

	all->daemon = d;
	all->runner = cloud_runner_new(d->loop, d->pool, &config, err);
	if (all->runner != NULL)
		return all;
	free(all);
	return NULL;
}

void
tokens_stop(struct tokens *all)
{
	if (all != NULL)
		all->stopped = true;
}

/* An answer that is on its way may bring the only refresh token that is still good. */
bool
tokens_are_idle(const struct tokens *all)
{
	const struct token *t;

	for (size_t i = 0; all != NULL && i < all->by_account.size; i++) {
		t = all->by_account.slots[i].id == NULL ? NULL : all->by_account.slots[i].object;
		if (t != NULL &&
		    (t->save != NULL || (t->is_asking && cloud_account_is_asking(t->account))))
			return false;
	}
	return true;
}

void
tokens_free(struct tokens *all)
{
	struct token *t;
	struct err err = ERR_INIT;

	if (all == NULL)
		return;
	all->stopped = true;
	err_set(&err, -ESHUTDOWN, "the daemon is stopping");
	while ((t = idmap_any(&all->by_account)) != NULL) {
		token_fail(t, err.code, &err);
		assert(TAILQ_EMPTY(&t->waits));
		token_free(t);
	}
	idmap_fini(&all->by_account);
	cloud_runner_free(all->runner);
	free(all);
}
