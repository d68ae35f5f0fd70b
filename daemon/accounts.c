#include "daemon/accounts.h"
#include "daemon/events.h"
#include "daemon/idmap.h"
#include "daemon/queue.h"
#include "daemon/refusal.h"
#include "daemon/root_check.h"
#include "daemon/tokens.h"
#include "daemon/worker.h"
#include "providers/providers.h"
#include "src/endpoint.h"
#include "src/log.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ACCOUNTS_CREDENTIALS_MAX (256 * 1024)

/* What is kept of an account until it changes; either part may be missing. */
struct accounts_cached {
	char id[37];
	char user_id[37];
	uint64_t revision;
	struct account *account;
	struct account_snapshot *snapshot;
};

struct accounts {
	struct daemon *daemon;
	struct idmap cached; /* accounts_cached by id */
	struct idmap limits; /* accounts_limits by id: one for all that run, whatever changes */
	struct root_checks *roots;
	unsigned keeping; /* statuses on their way to the store */
};

struct accounts_limits {
	char id[37];
	struct bucket *bandwidth;
	struct throttle *throttle;
};

/* -- credentials in clear */

static json_t *
credentials_from_text(const struct buf *text)
{
	json_t *all = json_loadb(buf_str(text), text->len, 0, NULL);

	if (json_is_object(all))
		return all;
	json_decref(all);
	return NULL;
}

static void
credentials_to_text(struct buf *out, const json_t *credentials)
{
	char *text = json_dumps(credentials, JSON_COMPACT | JSON_SORT_KEYS);

	buf_puts(out, text);
	mem_wipe_free(text);
}

void
account_credentials_free(json_t *credentials)
{
	const char *key;
	json_t *value;

	json_object_foreach (credentials, key, value) {
		/* jansson keeps the string itself: wiped where it lies. */
		if (json_is_string(value))
			mem_wipe((char *)json_string_value(value), json_string_length(value));
	}
	json_decref(credentials);
}

/* A setting that stands in for a field the account leaves open. */
static void
credentials_fill(struct accounts *a, const struct cloud_driver *driver, json_t *credentials)
{
	const struct cloud_field *f;

	if (driver->transport != CLOUD_DISK || settings_bool(a->daemon->settings, "local.fsync"))
		return;
	for (f = driver->fields; f->name != NULL; f++) {
		if (strcmp(f->name, "fsync") == 0 && json_object_get(credentials, f->name) == NULL)
			json_object_set_new(credentials, f->name, json_string("no"));
	}
}

static const struct cloud_driver *
accounts_driver(struct accounts *a, const char *name)
{
	const struct cloud_driver *driver = provider_find(name);

	if (driver != NULL && (driver->features & CLOUD_TEST_ONLY) &&
	    !settings_bool(a->daemon->settings, "drivers.test"))
		return NULL;
	return driver;
}

int
accounts_credentials(
    struct accounts *a, const struct account_record *record, json_t **out, struct err *err)
{
	CLEANUP(buf_free) struct buf clear = BUF_INIT(ACCOUNTS_CREDENTIALS_MAX);
	const struct cloud_driver *driver = accounts_driver(a, record->driver);
	struct err why = ERR_INIT;
	json_t *credentials;
	int code;

	clear.secret = true;
	if (driver == NULL)
		return err_set(err, -EOPNOTSUPP,
		    "the account '%s' is of the driver '%s', which is not here", record->name,
		    record->driver);
	code = unseal(
	    &clear, a->daemon->key, record->id, record->sealed.data, record->sealed.len, &why);
	if (code != 0)
		return err_set(err, -EKEYREJECTED,
		    "the credentials of the account '%s' cannot be unsealed (%s): enter them again, or put "
		    "back the master key they were sealed with",
		    record->name, err_text(&why));
	credentials = credentials_from_text(&clear);
	if (credentials == NULL)
		return err_set(err, -EKEYREJECTED,
		    "the credentials of the account '%s' are damaged: enter them again",
		    record->name);
	credentials_fill(a, driver, credentials);
	*out = credentials;
	return 0;
}

/* -- finding */

int
accounts_find(struct accounts *a, const char *user_id, const char *ref, struct account_record **out,
    struct err *err)
{
	struct account_record *record;
	struct err why = ERR_INIT;
	int code;

	code = store_account_by_name(a->daemon->store, user_id, ref, &record, &why);
	if (code == -ENOENT && strlen(ref) == sizeof record->id - 1) {
		code = store_account_get(a->daemon->store, ref, &record, &why);
		if (code == 0 && strcmp(record->user_id, user_id) != 0) {
			account_record_free(record);
			code = -ENOENT;
		}
	}
	if (code == -ENOENT)
		return err_set(err, code, "there is no account '%s'", ref);
	if (code != 0) {
		*err = why;
		return code;
	}
	*out = record;
	return 0;
}

/* -- what is opened */

static struct accounts_cached *
accounts_cached(struct accounts *a, const struct account_record *record)
{
	struct accounts_cached *c = idmap_get(&a->cached, record->id);

	if (c != NULL)
		return c;
	c = xcalloc(1, sizeof *c);
	memcpy(c->id, record->id, sizeof c->id);
	memcpy(c->user_id, record->user_id, sizeof c->user_id);
	c->revision = record->revision;
	idmap_put(&a->cached, c->id, c);
	return c;
}

static void
accounts_drop(struct accounts *a, const char *id)
{
	struct accounts_cached *c = idmap_get(&a->cached, id);

	if (c == NULL)
		return;
	idmap_remove(&a->cached, id);
	cloud_account_unref(c->account);
	account_snapshot_unref(c->snapshot);
	free(c);
}

static unsigned
accounts_rate(const struct account_record *record)
{
	const struct cloud_driver *driver = provider_find(record->driver);

	return record->request_rate != 0 || driver == NULL ? record->request_rate
							   : driver->limits.rate;
}

static struct accounts_limits *
accounts_limits(struct accounts *a, const struct account_record *record)
{
	struct accounts_limits *l = idmap_get(&a->limits, record->id);

	if (l != NULL)
		return l;
	l = xcalloc(1, sizeof *l);
	memcpy(l->id, record->id, sizeof l->id);
	l->bandwidth = bucket_new(record->bandwidth);
	l->throttle = throttle_new(accounts_rate(record), record->concurrency);
	idmap_put(&a->limits, l->id, l);
	return l;
}

static void
accounts_limits_change(struct accounts *a, const struct account_record *record)
{
	struct accounts_limits *l = idmap_get(&a->limits, record->id);

	if (l == NULL)
		return;
	if (bucket_rate(l->bandwidth) != record->bandwidth)
		bucket_set_rate(l->bandwidth, record->bandwidth);
	throttle_set(l->throttle, accounts_rate(record), record->concurrency);
}

static void
accounts_limits_drop(struct accounts *a, const char *id)
{
	struct accounts_limits *l = idmap_get(&a->limits, id);

	if (l == NULL)
		return;
	idmap_remove(&a->limits, l->id);
	bucket_unref(l->bandwidth);
	throttle_unref(l->throttle);
	free(l);
}

const struct throttle *
accounts_throttle(struct accounts *a, const char *id)
{
	const struct accounts_limits *l = idmap_get(&a->limits, id);

	return l != NULL ? l->throttle : NULL;
}

int
accounts_open(struct accounts *a, const char *account_id, struct account **out, struct err *err)
{
	struct accounts_cached *c = idmap_get(&a->cached, account_id);
	struct account_record *record;
	struct account *account;
	json_t *credentials;
	int code;

	if (c != NULL && c->account != NULL) {
		*out = c->account;
		return 0;
	}
	code = store_account_get(a->daemon->store, account_id, &record, err);
	if (code != 0)
		return code;
	code = accounts_credentials(a, record, &credentials, err);
	if (code == 0) {
		code = cloud_account_open(&account, provider_find(record->driver), record->id,
		    record->name, credentials, err);
		account_credentials_free(credentials);
	}
	if (code == 0) {
		cloud_account_share(account, accounts_limits(a, record)->throttle);
		*out = accounts_cached(a, record)->account = account;
	}
	account_record_free(record);
	return code;
}

static int
accounts_make_snapshot(struct accounts *a, const struct account_record *record,
    struct account_snapshot **out, struct err *err)
{
	struct account_snapshot *s;
	json_t *credentials;
	int code;

	code = accounts_credentials(a, record, &credentials, err);
	if (code != 0)
		return code;
	s = xcalloc(1, sizeof *s);
	s->refs = 1;
	s->id = xstrdup(record->id);
	s->name = xstrdup(record->name);
	s->driver = provider_find(record->driver);
	s->revision = record->revision;
	s->bandwidth = bucket_ref(accounts_limits(a, record)->bandwidth);
	s->throttle = throttle_ref(accounts_limits(a, record)->throttle);
	s->credentials = (struct buf)BUF_INIT(ACCOUNTS_CREDENTIALS_MAX);
	s->credentials.secret = true;
	credentials_to_text(&s->credentials, credentials);
	account_credentials_free(credentials);
	*out = s;
	return 0;
}

int
accounts_snapshot(struct accounts *a, const char *user_id, const char *account_id,
    struct account_snapshot **out, struct err *err)
{
	struct accounts_cached *c = idmap_get(&a->cached, account_id);
	struct account_record *record = NULL;
	int code = 0;

	if (c == NULL || c->snapshot == NULL) {
		code = store_account_get(a->daemon->store, account_id, &record, err);
		if (code == 0 && strcmp(record->user_id, user_id) == 0) {
			struct account_snapshot *s;

			code = accounts_make_snapshot(a, record, &s, err);
			if (code == 0) {
				c = accounts_cached(a, record);
				c->snapshot = s;
			}
		}
		account_record_free(record);
	}
	if (code == -ENOENT || (code == 0 && (c == NULL || strcmp(c->user_id, user_id) != 0)))
		return err_set(err, -ENOENT, "the account %s of this change is not there any more",
		    account_id);
	if (code != 0)
		return code;
	*out = account_snapshot_ref(c->snapshot);
	return 0;
}

/* -- what an account may name */

static int
accounts_check_endpoint(struct accounts *a, const json_t *credentials, struct err *err)
{
	static const char *const fields[] = {"endpoint", "tokenEndpoint"};
	bool is_local = false;
	int code = 0;

	if (endpoints_may_be_local(a->daemon->settings))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(fields) && code == 0; i++) {
		const char *url = json_string_value(json_object_get(credentials, fields[i]));

		if (url == NULL || url[0] == '\0')
			continue;
		code = endpoint_is_local(&is_local, url, err);
		if (code == 0 && is_local)
			code = err_set(err, -EPERM,
			    "%s: '%s' is in the daemon's own network; the administrator allows that by "
			    "the setting endpoints.private",
			    fields[i], url);
	}
	return code;
}

/* The fields that are not secret, for people to see. */
static json_t *
accounts_visible(const struct cloud_driver *driver, const json_t *credentials)
{
	json_t *visible = json_object(), *value;
	const struct cloud_field *f;

	for (f = driver->fields; f->name != NULL; f++) {
		value = json_object_get(credentials, f->name);
		if (!f->secret && value != NULL)
			json_object_set_new(
			    visible, f->name, json_deep_copy(value)); /* the other is wiped */
	}
	return visible;
}

/* -- sealing */

struct accounts_sealing {
	struct accounts *accounts;
	struct account_record *record; /* borrowed */
	const struct cloud_driver *driver;
	json_t *credentials; /* our own, wiped */
	struct root_check *root; /* under way */
	struct event *next; /* nothing on a disk is to be looked at */
	accounts_sealed_fn done;
	void *arg;
};

/* With new credentials it is good until it has been tried, unless they are not all there yet. */
static void
record_set_status(struct account_record *record, const struct account *account)
{
	const struct cloud_sign_in *sign_in = account->driver->sign_in;

	record->held = sign_in != NULL && sign_in->is_open(account);
	xstrset(&record->status, record->held ? "error" : "ok");
	xstrset(&record->status_text, NULL);
	if (record->held)
		record->status_text = xasprintf(
		    "nobody has signed in yet: skyferry account sign-in %s", record->name);
}

static int
record_seal_credentials(
    struct accounts *a, struct account_record *record, const json_t *credentials, struct err *err)
{
	CLEANUP(buf_free) struct buf clear = BUF_INIT(ACCOUNTS_CREDENTIALS_MAX);

	clear.secret = true;
	credentials_to_text(&clear, credentials);
	if (clear.failed)
		return err_set(err, -E2BIG, "the credentials are too long");
	buf_free(&record->sealed);
	record->sealed = (struct buf)BUF_INIT(2 * ACCOUNTS_CREDENTIALS_MAX);
	return seal(&record->sealed, a->daemon->key, record->id, clear.data, clear.len, err);
}

int
accounts_reseal(struct accounts *a, struct account_record *record, const char *was, const char *now,
    struct err *err)
{
	json_t *credentials;
	const char *has;
	int code = accounts_credentials(a, record, &credentials, err);

	if (code != 0)
		return code;
	has = json_string_value(json_object_get(credentials, "refreshToken"));
	if (has == NULL || strcmp(has, was) != 0) {
		code = err_set(
		    err, -ESTALE, "the account '%s' was signed in to meanwhile", record->name);
	} else {
		mem_wipe((char *)has, strlen(has));
		json_object_set_new(credentials, "refreshToken", json_string(now));
		code = record_seal_credentials(a, record, credentials, err);
	}
	account_credentials_free(credentials);
	return code;
}

static int
accounts_seal_record(struct accounts_sealing *s, struct err *err)
{
	struct account_record *record = s->record;
	struct account *account;
	json_t *visible;
	int code;

	code =
	    cloud_account_open(&account, s->driver, record->id, record->name, s->credentials, err);
	if (code != 0)
		return code;
	record_set_status(record, account);
	cloud_account_unref(account);

	code = record_seal_credentials(s->accounts, record, s->credentials, err);
	if (code != 0)
		return code;
	visible = accounts_visible(s->driver, s->credentials);
	json_decref(record->settings);
	record->settings = visible;
	return 0;
}

static void
accounts_sealing_free(struct accounts_sealing *s)
{
	account_credentials_free(s->credentials);
	event_free(s->next);
	free(s);
}

/* What may be named has been looked at. */
static void
accounts_sealing_end(struct accounts_sealing *s, int code, struct err *err)
{
	if (code == 0)
		code = accounts_seal_record(s, err);
	s->done(s->arg, code, err);
	accounts_sealing_free(s);
}

/* The resolved path takes the place of the given one, and the driver refuses one that has symlinks:
   one that is made or changed later leads nowhere else. */
static void
accounts_on_root(void *arg, int code, const char *real, const struct err *why)
{
	struct accounts_sealing *s = arg;
	struct err err = *why;

	if (code == 0)
		json_object_set_new(s->credentials, "root", json_string(real));
	/* What the credentials name and is not there makes the request wrong, not its path. */
	if (code == -ENOENT || code == -ENOTDIR)
		code = err.code = -EINVAL;
	accounts_sealing_end(s, code, &err);
}

static void
accounts_on_next(evutil_socket_t fd, short what, void *arg)
{
	struct accounts_sealing *s = arg;
	struct err err = ERR_INIT;
	int code = 0;

	if (s->driver->transport != CLOUD_DISK)
		code = accounts_check_endpoint(s->accounts, s->credentials, &err);
	accounts_sealing_end(s, code, &err);
}

int
accounts_seal(struct accounts_sealing **out, struct accounts *a, struct account_record *record,
    const json_t *credentials, bool trusted, accounts_sealed_fn done, void *arg, struct err *err)
{
	const struct cloud_driver *driver = accounts_driver(a, record->driver);
	const char *root = json_string_value(json_object_get(credentials, "root"));
	struct accounts_sealing *s;

	if (driver == NULL)
		return err_set(err, -EINVAL, "there is no provider '%s'", record->driver);
	if (!json_is_object(credentials))
		return err_set(err, -EINVAL, "credentials must be an object");
	s = xcalloc(1, sizeof *s);
	s->accounts = a;
	s->record = record;
	s->driver = driver;
	s->credentials = json_deep_copy(credentials);
	s->done = done;
	s->arg = arg;
	s->next = event_new(loop_base(a->daemon->loop), -1, 0, accounts_on_next, s);
	if (s->next == NULL)
		abort();
	/* What is wrong with another kind of path, the driver says. */
	if (driver->transport == CLOUD_DISK && root != NULL && root[0] == '/')
		s->root =
		    root_check_start(a->roots, record->user_id, root, trusted, accounts_on_root, s);
	else
		event_active(s->next, EV_TIMEOUT, 0);
	*out = s;
	return 0;
}

void
accounts_seal_cancel(struct accounts_sealing *s)
{
	if (s->root != NULL)
		root_check_cancel(s->root);
	accounts_sealing_free(s);
}

void
accounts_forget_before(struct accounts *a, const struct account_record *record)
{
	struct accounts_cached *c = idmap_get(&a->cached, record->id);

	if (c != NULL && c->revision != record->revision)
		accounts_drop(a, record->id);
}

/* What runs goes on with the account as it is now. */
static void
accounts_renew(struct accounts *a, const struct account_record *record)
{
	struct account_snapshot *snapshot;

	if (accounts_snapshot(a, record->user_id, record->id, &snapshot, NULL) != 0) {
		queue_account_gone(a->daemon->queue, record->id);
		return;
	}
	queue_account_changed(a->daemon->queue, snapshot);
	account_snapshot_unref(snapshot);
}

void
accounts_changed(struct accounts *a, const struct account_record *record, const char *event)
{
	accounts_drop(a, record->id);
	tokens_changed(a->daemon->tokens, record->id);
	if (strcmp(event, "removed") == 0) {
		accounts_limits_drop(a, record->id);
		queue_account_gone(a->daemon->queue, record->id);
	} else {
		accounts_limits_change(a, record);
		accounts_renew(a, record);
	}
	events_account(a->daemon->events, record->user_id, record->id, record->name, event);
}

struct reached {
	struct daemon *daemon;
	struct account_record *record;
	bool held;
	void (*kept)(void *arg);
	void *arg;
};

static void
accounts_on_reached(void *arg, struct store_result *res)
{
	struct reached *r = arg;

	if (r->daemon->accounts != NULL)
		r->daemon->accounts->keeping--;
	if (res->code != 0)
		log_warning("%s: its status was not kept: %s", r->record->id, err_text(&res->err));
	else if (r->daemon->queue != NULL) { /* it does not end just now */
		accounts_changed(r->daemon->accounts, r->record, "changed");
		if (r->held)
			refusals_held(r->daemon->refusals, r->record->id);
	}
	if (r->kept != NULL)
		r->kept(r->arg);
	account_record_free(r->record);
	free(r);
}

static bool
status_is_news(const struct account_record *record, const char *trouble, bool held)
{
	if (held != record->held || strcmp(record->status, trouble == NULL ? "ok" : "error") != 0)
		return true;
	return trouble != NULL &&
	    (record->status_text == NULL || strcmp(record->status_text, trouble) != 0);
}

/* While another is on its way there, what the store has says nothing. */
static bool
reached_is_news(struct accounts *a, const struct account_record *record, uint64_t revision,
    const char *trouble, bool held)
{
	if (revision != 0 && record->revision != revision)
		return false;
	return a->keeping != 0 || status_is_news(record, trouble, held);
}

void
accounts_reached(struct accounts *a, const char *account_id, uint64_t revision, int code,
    const struct err *err, void (*kept)(void *arg), void *arg)
{
	const char *trouble = code == 0 ? NULL : err_text(err);
	struct account_record *record = NULL;
	struct reached *r;
	bool held;

	if (store_account_get(a->daemon->store, account_id, &record, NULL) == 0) {
		held = code == -EKEYEXPIRED || (code != 0 && record->held);
		if (reached_is_news(a, record, revision, trouble, held)) {
			r = xcalloc(1, sizeof *r);
			r->daemon = a->daemon;
			r->record = TAKE(record);
			r->held = held;
			r->kept = kept;
			r->arg = arg;
			a->keeping++;
			store_account_status(a->daemon->store, r->record->user_id, r->record->id,
			    r->record->revision, trouble, held, accounts_on_reached, r);
			return;
		}
	}
	account_record_free(record);
	if (kept != NULL)
		kept(arg);
}

struct accounts *
accounts_new(struct daemon *d)
{
	struct accounts *a = xcalloc(1, sizeof *a);

	a->daemon = d;
	a->roots = root_checks_new(d);
	return a;
}

void
accounts_free(struct accounts *a)
{
	struct accounts_cached *c;
	struct accounts_limits *l;

	if (a == NULL)
		return;
	while ((l = idmap_any(&a->limits)) != NULL)
		accounts_limits_drop(a, l->id);
	idmap_fini(&a->limits);
	while ((c = idmap_any(&a->cached)) != NULL)
		accounts_drop(a, c->id);
	idmap_fini(&a->cached);
	root_checks_free(a->roots);
	free(a);
}
