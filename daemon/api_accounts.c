#include "daemon/accounts.h"
#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/events.h"
#include "daemon/sign_in.h"
#include "daemon/tokens.h"
#include "daemon/view.h"
#include "providers/providers.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/log.h"
#include "src/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- what can be added */

static json_t *
view_fields(const struct cloud_driver *driver)
{
	const struct cloud_field *f;
	json_t *list = json_array(), *item;

	for (f = driver->fields; f != NULL && f->name != NULL; f++) {
		item = json_object();
		field_set_str(item, "name", f->name);
		field_set_str(item, "title", f->title);
		field_set_str(item, "help", f->help);
		field_set_str(item, "default", f->value);
		field_set_bool(item, "required", f->required);
		field_set_bool(item, "secret", f->secret);
		json_array_append_new(list, item);
	}
	return list;
}

void
api_providers(struct call *c)
{
	bool tests = settings_bool(c->daemon->settings, "drivers.test");
	const struct cloud_driver *driver;
	json_t *list = json_array(), *item;
	size_t i;

	for (i = 0; (driver = provider_at(i)) != NULL; i++) {
		if ((driver->features & CLOUD_TEST_ONLY) && !tests)
			continue;
		item = json_object();
		field_set_str(item, "name", driver->name);
		field_set_str(item, "title", driver->title);
		field_set(item, "fields", view_fields(driver));
		if (driver->oauth != NULL)
			field_set_bool(item, "signIn", true);
		json_array_append_new(list, item);
	}
	call_reply(c, 200, list);
}

/* -- accounts */

/* call->data of what writes. */
struct account_write {
	struct account_record *record;
	struct accounts_sealing *sealing; /* under way */
	struct sign_in *sign_in; /* the browser came back from it */
	struct token_wait *token; /* under way */
};

static void
account_write_free(void *data)
{
	struct account_write *w = data;

	account_record_free(w->record);
	sign_in_free(w->sign_in);
	free(w);
}

/* Takes the record. */
static struct account_write *
account_write_begin(struct call *c, struct account_record *record)
{
	struct account_write *w = xcalloc(1, sizeof *w);

	w->record = record;
	c->data = w;
	c->fini = account_write_free;
	return w;
}

/* The caller's account of the path, kept in call->data; NULL: the call has been answered. */
static struct account_record *
record_begin(struct call *c)
{
	struct account_record *record;
	struct err err = ERR_INIT;

	if (accounts_find(c->daemon->accounts, c->user->id, c->params[0], &record, &err) != 0) {
		call_fail(c, err.code, &err);
		return NULL;
	}
	account_write_begin(c, record);
	return record;
}

static void
record_stop_sealing(struct call *c)
{
	struct account_write *w = c->data;

	accounts_seal_cancel(TAKE(w->sealing));
}

/* Until done(call, ...), which comes once unless this fails. */
static int
record_seal(struct call *c, const json_t *credentials, accounts_sealed_fn done, struct err *err)
{
	struct account_write *w = c->data;
	int code = accounts_seal(
	    &w->sealing, c->daemon->accounts, w->record, credentials, c->trusted, done, c, err);

	if (code == 0)
		c->stop = record_stop_sealing;
	return code;
}

/* The record that was sealed; NULL: the call has been answered. */
static struct account_record *
record_sealed(struct call *c, int code, const struct err *err)
{
	struct account_write *w = c->data;

	c->stop = NULL;
	w->sealing = NULL;
	if (code != 0)
		call_fail(c, code, err);
	return code == 0 ? w->record : NULL;
}

static int
record_set_name(struct account_record *record, const char *name, struct err *err)
{
	if (!account_name_is_valid(name))
		return err_set(err, -EINVAL,
		    "'name' must be 1 to 64 characters of A-Z a-z 0-9 . _ -, not starting with . or -");
	xstrset(&record->name, name);
	return 0;
}

#define ACCOUNT_LIMITS                                                                             \
	{"bandwidth", CHECK_INT, false, 0, INT64_MAX},                                             \
	    {"requestRate", CHECK_INT, false, 0, 1000000},                                         \
	{                                                                                          \
		"concurrency", CHECK_INT, false, 0, 100000                                         \
	}

static bool
has_limits(const json_t *body)
{
	return get_has(body, "bandwidth") || get_has(body, "requestRate") ||
	    get_has(body, "concurrency");
}

/* What is not given stays. */
static void
record_set_limits(struct account_record *record, const json_t *body)
{
	record->bandwidth = (uint64_t)get_int(body, "bandwidth", (int64_t)record->bandwidth);
	record->request_rate = (unsigned)get_int(body, "requestRate", record->request_rate);
	record->concurrency = (unsigned)get_int(body, "concurrency", record->concurrency);
}

void
api_accounts_list(struct call *c)
{
	json_t *body = json_object(), *list = json_array();
	struct account_record **records = NULL;
	struct err err = ERR_INIT;
	size_t i, len = 0;

	json_object_set_new(body, "accounts", list);
	if (store_accounts(c->daemon->store, c->user->id, &records, &len, &err) != 0) {
		json_decref(body);
		call_fail(c, err.code, &err);
		return;
	}
	for (i = 0; i < len; i++) {
		json_array_append_new(list, view_account(c->daemon, records[i]));
		account_record_free(records[i]);
	}
	free(records);
	call_reply(c, 200, body);
}

void
api_accounts_get(struct call *c)
{
	struct account_record *record = record_begin(c);

	if (record != NULL)
		call_reply(c, 200, view_account(c->daemon, record));
}

static void
accounts_on_written(struct call *c, struct store_result *res, int status, const char *event)
{
	struct account_record *record = ((struct account_write *)c->data)->record;

	if (res->code != 0) {
		call_fail(c, res->code, &res->err);
		return;
	}
	log_info("%s: account '%s' %s", record->id, record->name, event);
	if (c->daemon->server != NULL)
		accounts_changed(c->daemon->accounts, record, event);
	if (c->page)
		call_reply_page(c, status, "Signed in",
		    "The account has what it needs. You can close this page.");
	else
		call_reply(c, status, status == 204 ? NULL : view_account(c->daemon, record));
}

static void
accounts_on_added(void *arg, struct store_result *res)
{
	accounts_on_written(arg, res, 201, "added");
}

static void
accounts_on_updated(void *arg, struct store_result *res)
{
	accounts_on_written(arg, res, 200, "changed");
}

static void
accounts_on_removed(void *arg, struct store_result *res)
{
	accounts_on_written(arg, res, 204, "removed");
}

static void
accounts_on_add_sealed(void *arg, int code, const struct err *err)
{
	struct call *c = arg;
	struct account_record *record = record_sealed(c, code, err);

	if (record != NULL)
		store_account_add(c->daemon->store, record, accounts_on_added, c);
}

void
api_accounts_add(struct call *c)
{
	static const struct check_field fields[] = {
	    {"name", CHECK_STRING, true, 1, 64},
	    {"provider", CHECK_STRING, true, 1, 64},
	    {"credentials", CHECK_OBJECT, true},
	    ACCOUNT_LIMITS,
	    {NULL},
	};
	const json_t *credentials = json_object_get(c->body, "credentials");
	struct account_record *record;
	struct err err = ERR_INIT;

	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	record = account_record_new();
	account_write_begin(c, record);
	uuid_new(record->id);
	memcpy(record->user_id, c->user->id, sizeof record->user_id);
	record->driver = xstrdup(provider_choose(get_str(c->body, "provider"), credentials));
	record->created_ms = clock_ms();
	record_set_limits(record, c->body);
	if (record_set_name(record, get_str(c->body, "name"), &err) != 0 ||
	    record_seal(c, credentials, accounts_on_add_sealed, &err) != 0)
		call_fail(c, err.code, &err);
}

static void
accounts_on_update_sealed(void *arg, int code, const struct err *err)
{
	struct call *c = arg;
	struct account_record *record = record_sealed(c, code, err);

	if (record != NULL)
		store_account_update(c->daemon->store, record, accounts_on_updated, c);
}

void
api_accounts_update(struct call *c)
{
	static const struct check_field fields[] = {
	    {"name", CHECK_STRING, false, 1, 64},
	    {"credentials", CHECK_OBJECT},
	    ACCOUNT_LIMITS,
	    {NULL},
	};
	const char *name = get_str(c->body, "name");
	bool credentials = get_has(c->body, "credentials");
	struct account_record *record;
	struct err err = ERR_INIT;

	if (check_object(c->body, fields, &err) == 0 && name == NULL && !credentials &&
	    !has_limits(c->body))
		err_set(&err, -EINVAL,
		    "give a new 'name', 'bandwidth', 'requestRate', 'concurrency' or new 'credentials'");
	if (err.code != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if ((record = record_begin(c)) == NULL)
		return;
	record_set_limits(record, c->body);
	if ((name != NULL && record_set_name(record, name, &err) != 0) ||
	    (credentials &&
		record_seal(c, json_object_get(c->body, "credentials"), accounts_on_update_sealed,
		    &err) != 0))
		call_fail(c, err.code, &err);
	else if (!credentials) {
		buf_free(&record->sealed); /* they stay, as they are when it is written */
		store_account_update(c->daemon->store, record, accounts_on_updated, c);
	}
}

void
api_accounts_remove(struct call *c)
{
	struct account_record *record = record_begin(c);

	if (record != NULL)
		store_account_remove(
		    c->daemon->store, c->user->id, record->id, accounts_on_removed, c);
}

void
api_accounts_credentials(struct call *c)
{
	struct account_record *record = record_begin(c);
	json_t *body, *credentials;
	struct err err = ERR_INIT;

	if (record == NULL)
		return;
	if (accounts_credentials(c->daemon->accounts, record, &credentials, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	body = json_object();
	field_set_str(body, "provider", record->driver);
	json_object_set(body, "credentials", credentials);
	field_set_int(body, "revision", (int64_t)record->revision);
	call_reply(c, 200, body);
	account_credentials_free(credentials);
}

static void
accounts_on_token(
    void *arg, int code, const char *token, uint64_t good_until_ms, const struct err *err)
{
	struct call *c = arg;
	uint64_t now = clock_ms();
	json_t *body, *secret;

	c->stop = NULL;
	((struct account_write *)c->data)->token = NULL;
	if (code != 0) {
		call_fail(c, code, err);
		return;
	}
	body = json_object();
	secret = json_string(token);
	json_object_set(body, "token", secret);
	field_set_int(body, "goodForMs", (int64_t)(good_until_ms > now ? good_until_ms - now : 0));
	call_reply(c, 200, body);
	mem_wipe((char *)json_string_value(secret), json_string_length(secret));
	json_decref(secret);
}

static void
accounts_token_stop(struct call *c)
{
	struct account_write *w = c->data;

	tokens_cancel(TAKE(w->token));
}

void
api_accounts_token(struct call *c)
{
	static const struct check_field fields[] = {
	    {"refused", CHECK_STRING, false, 1, TOKEN_MAX},
	    {NULL},
	};
	struct account_record *record;
	struct account_write *w;
	struct err err = ERR_INIT;

	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if ((record = record_begin(c)) == NULL)
		return;
	w = c->data;
	w->token = tokens_get(
	    c->daemon->tokens, record->id, get_str(c->body, "refused"), accounts_on_token, c);
	c->stop = accounts_token_stop;
}

/* -- signing in with a browser */

void
api_oauth_start(struct call *c)
{
	struct account_record *record = record_begin(c);
	json_t *credentials, *body = NULL;
	struct err err = ERR_INIT;
	int code;

	if (record == NULL)
		return;
	code = accounts_credentials(c->daemon->accounts, record, &credentials, &err);
	if (code == 0) {
		code = sign_ins_begin(c->daemon->sign_ins, record, credentials, &body, &err);
		account_credentials_free(credentials);
	}
	if (code == 0)
		call_reply(c, 200, body);
	else
		call_fail(c, code, &err);
}

/* Whoever waits for it elsewhere is told too. */
static void
oauth_fail(struct call *c, int code, const struct err *err)
{
	const struct account_write *w = c->data;

	events_sign_in_failed(c->daemon->events, w->record, err_text(err));
	call_fail(c, code, err);
}

/* The account as it is now, and its credentials with the new token. */
static void
oauth_on_exchanged(void *arg, int code, const char *refresh_token, const struct err *why)
{
	struct call *c = arg;
	struct account_write *w = c->data;
	struct account_record *now = NULL;
	json_t *credentials = NULL;
	struct err err = *why;

	c->stop = NULL;
	if (code == 0)
		code = store_account_get(c->daemon->store, w->record->id, &now, &err);
	if (code == 0) {
		account_record_free(w->record);
		w->record = now;
		code = accounts_credentials(c->daemon->accounts, now, &credentials, &err);
	}
	if (code == 0) {
		json_object_set_new(credentials, "refreshToken", json_string(refresh_token));
		code = record_seal(c, credentials, accounts_on_update_sealed, &err);
	}
	account_credentials_free(credentials);
	if (code != 0)
		oauth_fail(c, code, &err);
}

static void
oauth_stop(struct call *c)
{
	struct account_write *w = c->data;

	sign_in_free(TAKE(w->sign_in));
}

/* The record of the visit that is over, in call->data; NULL: the call has been answered. */
static struct account_record *
oauth_end(struct call *c, struct sign_in *visit)
{
	struct account_record *record;
	struct account_write *w;
	struct err err = ERR_INIT;

	if (store_account_get(c->daemon->store, sign_in_account(visit), &record, &err) != 0) {
		sign_in_free(visit);
		call_fail(c, err.code, &err);
		return NULL;
	}
	w = account_write_begin(c, record);
	w->sign_in = visit;
	return record;
}

/* Whoever has the state is the browser that was sent there, or whom its user gave the address. */
void
api_oauth_callback(struct call *c)
{
	const char *code = get_str(c->query, "code"), *refusal = get_str(c->query, "error");
	const char *words = get_str(c->query, "error_description");
	const char *state = get_str(c->query, "state");
	struct account_record *record;
	struct sign_in *visit;
	json_t *credentials;
	struct err err = ERR_INIT;

	c->page = call_wants_page(c);
	if (sign_ins_end(c->daemon->sign_ins, state == NULL ? "" : state, &visit, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if ((record = oauth_end(c, visit)) == NULL)
		return;
	if (code == NULL || *code == '\0') {
		err_set(&err, -EACCES, "'%s' was not signed in: the cloud says %s", record->name,
		    words != NULL         ? words
			: refusal != NULL ? refusal
					  : "nothing");
		oauth_fail(c, err.code, &err);
		return;
	}
	if (accounts_credentials(c->daemon->accounts, record, &credentials, &err) != 0) {
		oauth_fail(c, err.code, &err);
		return;
	}
	c->stop = oauth_stop;
	sign_in_exchange(
	    visit, provider_find(record->driver), credentials, code, oauth_on_exchanged, c);
	account_credentials_free(credentials);
}
