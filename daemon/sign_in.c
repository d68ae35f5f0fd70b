#include "daemon/sign_in.h"
#include "daemon/accounts.h"
#include "daemon/server.h"
#include "daemon/view.h"
#include "providers/oauth.h"
#include "providers/providers.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/hash.h"
#include "src/http.h"
#include <stdlib.h>
#include <string.h>

/* Long enough to find a password and a telephone. */
#define SIGN_IN_MS (15 * 60 * 1000)
/* Of the exchange, for which a person waits. */
#define EXCHANGE_MS         30000
#define EXCHANGE_ANSWER_MAX 65536
/* One for each account that is signed in just now: more at once are no people. */
#define SIGN_INS_MAX 1000
#define URL_MAX      8192

struct sign_in {
	struct sign_ins *all;
	char account_id[37];
	struct oauth_visit visit;
	uint64_t until_ms; /* monotonic */
	bool is_listed; /* it has not come back yet */
	TAILQ_ENTRY(sign_in) next;
	/* once it has */
	json_t *credentials; /* a copy, wiped */
	struct http_request request;
	struct http_call *call;
	sign_in_fn done;
	void *arg;
};

struct sign_ins {
	struct daemon *daemon;
	struct http_client *http;
	TAILQ_HEAD(, sign_in) list; /* the oldest first */
	size_t len;
};

struct sign_ins *
sign_ins_new(struct daemon *d, struct err *err)
{
	struct http_limits limits = daemon_http_limits(d);
	struct sign_ins *all = xcalloc(1, sizeof *all);

	all->daemon = d;
	TAILQ_INIT(&all->list);
	all->http = http_client_new(d->loop, &limits, err);
	if (all->http != NULL)
		return all;
	free(all);
	return NULL;
}

void
sign_ins_free(struct sign_ins *all)
{
	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->list))
		sign_in_free(TAILQ_FIRST(&all->list));
	http_client_free(all->http);
	free(all);
}

static void
sign_in_unlist(struct sign_in *s)
{
	if (s->is_listed) {
		TAILQ_REMOVE(&s->all->list, s, next);
		s->all->len--;
	}
	s->is_listed = false;
}

void
sign_in_free(struct sign_in *s)
{
	if (s == NULL)
		return;
	sign_in_unlist(s);
	if (s->call != NULL)
		http_cancel(s->call);
	http_request_fini(&s->request);
	account_credentials_free(s->credentials);
	oauth_visit_fini(&s->visit);
	free(s);
}

const char *
sign_in_account(const struct sign_in *s)
{
	return s->account_id;
}

/* Those whose time is over, and others of the same account. */
static void
sign_ins_sift(struct sign_ins *all, const char *account_id)
{
	struct sign_in *s, *after;
	uint64_t now = clock_mono_ms();

	for (s = TAILQ_FIRST(&all->list); s != NULL; s = after) {
		after = TAILQ_NEXT(s, next);
		if (now >= s->until_ms ||
		    (account_id != NULL && strcmp(s->account_id, account_id) == 0))
			sign_in_free(s);
	}
}

/* Where browsers reach us: a loopback address, which clouds allow without TLS (RFC 8252, 7.3). */
static char *
sign_ins_redirect(const struct daemon *d)
{
	const char *given = settings_str(d->settings, "oauth.redirect");

	if (given[0] != '\0')
		return xstrdup(given);
	return xasprintf("http://127.0.0.1:%d/api/oauth/callback", server_port(d->server));
}

int
sign_ins_begin(struct sign_ins *all, const struct account_record *record, const json_t *credentials,
    json_t **out, struct err *err)
{
	const struct cloud_driver *driver = provider_find(record->driver);
	CLEANUP(cleanup_free) char *redirect = sign_ins_redirect(all->daemon);
	CLEANUP(buf_free) struct buf url = BUF_INIT(URL_MAX);
	struct sign_in *s;

	if (driver == NULL || driver->oauth == NULL)
		return err_set(err, -EOPNOTSUPP,
		    "nobody signs in to an account of '%s': it has keys", record->driver);
	sign_ins_sift(all, record->id);
	if (all->len >= SIGN_INS_MAX)
		return err_set(err, -EAGAIN, "too many sign-ins are under way: try again later");
	s = xcalloc(1, sizeof *s);
	s->all = all;
	http_request_init(&s->request);
	snprintf(s->account_id, sizeof s->account_id, "%s", record->id);
	oauth_visit_init(&s->visit, redirect);
	s->until_ms = clock_mono_ms() + SIGN_IN_MS;
	if (oauth_visit_url(&url, driver->oauth, &s->visit, credentials, err) != 0 || url.failed) {
		sign_in_free(s);
		return url.failed ? err_set(err, -EINVAL, "the URL to sign in at is too long")
				  : err->code;
	}
	TAILQ_INSERT_TAIL(&all->list, s, next);
	s->is_listed = true;
	all->len++;
	*out = json_object();
	field_set_str(*out, "url", buf_str(&url));
	field_set_str(*out, "state", s->visit.state);
	field_set_str(*out, "redirectUri", redirect);
	field_set(*out, "expiresAt", view_time(clock_ms() + SIGN_IN_MS));
	return 0;
}

int
sign_ins_end(struct sign_ins *all, const char *state, struct sign_in **out, struct err *err)
{
	struct sign_in *s, *found = NULL;

	sign_ins_sift(all, NULL);
	TAILQ_FOREACH (s, &all->list, next) {
		if (strlen(state) == sizeof s->visit.state - 1 &&
		    equal_constant_time(state, s->visit.state, sizeof s->visit.state - 1))
			found = s;
	}
	if (found == NULL)
		return err_set(err, -ENOENT,
		    "this sign-in is not known, or it took too long: begin again with 'skyferry "
		    "account sign-in'");
	sign_in_unlist(found);
	*out = found;
	return 0;
}

static enum http_take
exchange_on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	*collect_max = EXCHANGE_ANSWER_MAX;
	return HTTP_COLLECT;
}

static void
exchange_on_done(void *arg, int code, struct http_response *res, const struct err *why)
{
	struct sign_in *s = arg;
	struct err err = *why;
	char *token = NULL;

	s->call = NULL;
	http_request_fini(&s->request);
	if (code == 0)
		code = oauth_visit_response(&token, res, &err);
	s->done(s->arg, code, token, &err);
	mem_wipe_free(token);
}

void
sign_in_exchange(struct sign_in *s, const struct cloud_driver *driver, const json_t *credentials,
    const char *code, sign_in_fn done, void *arg)
{
	static const struct http_handler handler = {
	    .head = exchange_on_head, .done = exchange_on_done};

	s->credentials = json_deep_copy(credentials);
	s->done = done;
	s->arg = arg;
	s->request.total_timeout_ms = EXCHANGE_MS;
	oauth_visit_request(&s->request, driver->oauth, &s->visit, s->credentials, code);
	s->call = http_start(s->all->http, &s->request, NULL, &handler, s);
}
