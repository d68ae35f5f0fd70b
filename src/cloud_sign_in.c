/* An account's access token: one request gets it, and all the account's ops wait for that.  The
   request goes to the token's server, or to whoever config.sign_in() asks. */
#include "src/clock.h"
#include "src/cloud_private.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SIGN_IN_ATTEMPTS 5
/* Of one request: token servers answer at once, or not. */
#define SIGN_IN_TIMEOUT_MS 30000
/* An answer is a few lines of JSON; some tokens are long. */
#define SIGN_IN_ANSWER_MAX 65536
/* In place of tokens that are refused, so many are got within such a time: for what is written anew
   with each, and for all that the account does.  Further ones would be refused too: it is not about
   their age. */
#define SIGN_IN_WRITE_MAX 2
#define SIGN_IN_AGAIN_MAX 20
#define SIGN_IN_AGAIN_MS  60000

struct sign_in {
	struct account_private *account;
	struct http_request request;
	struct http_call *call; /* or NULL: it waits, or somebody else was asked */
	struct event *timer;
	struct cloud_tries tries;
};

static void
sign_in_free(struct sign_in *s)
{
	s->account->sign_in = NULL;
	if (s->call != NULL)
		http_cancel(s->call);
	http_request_fini(&s->request);
	event_free(s->timer);
	free(s);
}

void
cloud_sign_in_cancel(struct account_private *a)
{
	if (a->sign_in != NULL)
		sign_in_free(a->sign_in);
}

static void
sign_in_ends(struct sign_in *s, int code, const struct err *err)
{
	static const struct err none = ERR_INIT;
	struct account_private *a = s->account;
	bool was_refused = a->sign_in_refused;
	cloud_signed_in_fn done = a->signed_in;

	sign_in_free(s);
	mem_wipe_free(TAKE(a->refused_token));
	a->sign_in_refused = code == -EKEYEXPIRED;
	if (code == 0)
		a->generation++;
	if (done != NULL) {
		a->signed_in = NULL;
		done(a->signed_in_arg, code, code == 0 ? &none : err);
	} else if (code == 0) {
		cloud_account_wake(a);
	} else if (a->sign_in_refused && !was_refused && a->runner->config.refresh != NULL) {
		cloud_account_refresh(a, err);
	} else {
		cloud_account_fail(a, code, err);
	}
}

static void
sign_in_failed(struct sign_in *s, int code, const struct err *err)
{
	uint64_t wait = CLOUD_ENOUGH;
	struct timeval tv;

	if (err_is_transient(code))
		wait =
		    cloud_tries_next(&s->tries, s->account->runner, SIGN_IN_ATTEMPTS, false, err);
	if (wait == CLOUD_ENOUGH) {
		sign_in_ends(s, code, err);
		return;
	}
	log_debug("%s: no token, again in %llu ms: %s", s->account->account.name,
	    (unsigned long long)wait, err_text(err));
	tv = (struct timeval){
	    .tv_sec = (time_t)(wait / 1000), .tv_usec = (suseconds_t)(wait % 1000 * 1000)};
	event_add(s->timer, &tv);
}

static enum http_take
sign_in_on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	*collect_max = SIGN_IN_ANSWER_MAX;
	return HTTP_COLLECT;
}

static void
sign_in_on_done(void *arg, int code, struct http_response *res, const struct err *why)
{
	struct sign_in *s = arg;
	struct account *account = &s->account->account;
	struct err err = *why;

	s->call = NULL;
	http_request_fini(&s->request);
	if (code == 0) {
		code = account->driver->sign_in->response(account, clock_ms(), res, &err);
		if (err.wait_ms == 0)
			err.wait_ms = http_retry_after(res, clock_ms());
	}
	if (code == 0)
		sign_in_ends(s, 0, NULL);
	else
		sign_in_failed(s, code, &err);
}

static void
sign_in_send(evutil_socket_t fd, short what, void *arg)
{
	static const struct http_handler handler = {
	    .head = sign_in_on_head, .done = sign_in_on_done};
	struct sign_in *s = arg;
	struct account *account = &s->account->account;
	const struct cloud_runner_config *config = &s->account->runner->config;
	struct err err = ERR_INIT;
	int code;

	if (config->sign_in != NULL) {
		config->sign_in(
		    config->arg, account, s->account->ticket, s->account->refused_token);
		return;
	}
	http_request_init(&s->request);
	s->request.total_timeout_ms = SIGN_IN_TIMEOUT_MS;
	code = account->driver->sign_in->request(account, clock_ms(), &s->request, &err);
	if (code == 0)
		s->call = http_start(s->account->runner->http, &s->request, NULL, &handler, s);
	else
		sign_in_ends(s, code, &err);
}

bool
cloud_sign_in_awaited(struct account_private *a)
{
	const struct cloud_sign_in *driver = a->account.driver->sign_in;
	struct sign_in *s;

	if (a->sign_in != NULL)
		return true;
	if (driver == NULL || !driver->is_needed(&a->account, clock_ms()))
		return false;
	s = xcalloc(1, sizeof *s);
	s->account = a;
	s->timer = evtimer_new(loop_base(a->runner->loop), sign_in_send, s);
	http_request_init(&s->request);
	a->sign_in = s;
	if (++a->ticket == 0)
		a->ticket = 1;
	event_active(s->timer, EV_TIMEOUT, 0);
	return true;
}

static bool
write_is(const struct account_private *a, const struct op_private *p)
{
	const struct cloud_op *op = &p->op;

	return a->refused_path != NULL && a->refused_kind == op->kind &&
	    strcmp(a->refused_path, op->path) == 0;
}

/* An op cannot send again what it took from its ring: its caller makes a new one, which knows
   nothing of the refusal of the one before. */
static bool
write_may_begin_again(struct account_private *a, const struct op_private *p, uint64_t now_ms)
{
	if (!p->ring_used)
		return true;
	if (!write_is(a, p) || now_ms - a->refused_ms >= SIGN_IN_AGAIN_MS) {
		a->refused_kind = p->op.kind;
		xstrset(&a->refused_path, p->op.path);
		a->refused_times = 0;
	}
	a->refused_ms = now_ms;
	return ++a->refused_times <= SIGN_IN_WRITE_MAX;
}

void
cloud_sign_in_sufficed(struct account_private *a, const struct op_private *p)
{
	if (write_is(a, p))
		a->refused_times = 0;
}

bool
cloud_sign_out(struct account_private *a, const struct op_private *p)
{
	const struct cloud_sign_in *driver = a->account.driver->sign_in;
	uint64_t until, now = clock_mono_ms();
	const char *token = driver->token(&a->account, &until);

	if (a->sign_in != NULL || token == NULL)
		return true;
	if (p != NULL && !write_may_begin_again(a, p, now))
		return false;
	if (now - a->signed_out_ms >= SIGN_IN_AGAIN_MS) {
		a->signed_out = 0;
		a->signed_out_ms = now;
	}
	if (a->signed_out >= SIGN_IN_AGAIN_MAX)
		return false;
	a->signed_out++;
	mem_wipe_free(a->refused_token);
	a->refused_token = xstrdup(token);
	driver->forget(&a->account);
	return true;
}

void
cloud_account_signed_in(struct account *account, unsigned ticket, int code, const char *token,
    uint64_t good_until_ms, const struct err *err)
{
	struct account_private *a = account_private(account);

	if (a->sign_in == NULL || (ticket != 0 && ticket != a->ticket))
		return;
	if (code == 0)
		account->driver->sign_in->put_token(account, token, good_until_ms);
	sign_in_ends(a->sign_in, code, err);
}

void
cloud_account_sign_in(struct cloud_runner *runner, struct account *account, const char *refused,
    cloud_signed_in_fn done, void *arg)
{
	static const struct err none = ERR_INIT;
	struct account_private *a = account_private(account);
	const char *token;
	uint64_t until;

	assert(a->runner == NULL || a->runner == runner);
	assert(a->signed_in == NULL);
	a->runner = runner;
	token = account->driver->sign_in->token(account, &until);
	if (token != NULL && refused != NULL && strcmp(token, refused) == 0)
		cloud_sign_out(a, NULL);
	if (!cloud_sign_in_awaited(a)) {
		done(arg, 0, &none);
		return;
	}
	a->signed_in = done;
	a->signed_in_arg = arg;
}

bool
cloud_account_is_asking(const struct account *account)
{
	const struct account_private *a = account_private(account);

	return a->sign_in != NULL && a->sign_in->call != NULL;
}

bool
cloud_account_is_signed_out(const struct account *account)
{
	return account_private(account)->sign_in_refused;
}
