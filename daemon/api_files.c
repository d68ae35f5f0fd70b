/* The API's own cloud ops: what an account holds, and whether it can be reached. */
#include "daemon/accounts.h"
#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/submit.h"
#include "daemon/view.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/path.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define OP_MAX_S   60
#define TEST_MAX_S 15 /* long enough for a slow cloud's first page */
#define ATTEMPTS   3

typedef void (*files_done_fn)(struct call *, struct cloud_op *);

struct files_op {
	struct cloud_op *op;
	struct event *deadline;
	unsigned max_s;
	uint64_t started_ms; /* monotonic */
	files_done_fn done; /* on success; else the call fails with the op's error */
	files_done_fn late; /* at the deadline; NULL: the call fails */
	struct err outcome; /* of a test */
	uint64_t took_ms; /* the test */
};

static void
files_op_free(void *data)
{
	struct files_op *f = data;

	event_free(f->deadline);
	cloud_op_free(f->op);
	free(f);
}

static void
files_op_stop(struct call *c)
{
	struct files_op *f = c->data;

	cloud_op_cancel(f->op);
}

static void files_on_test_late(struct call *, struct cloud_op *);
static void files_test_ended(struct call *, int code, const struct err *);

static void
files_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct call *c = arg;
	struct files_op *f = c->data;

	c->stop = NULL; /* nothing is under way any more */
	event_del(f->deadline);
	if (f->late == files_on_test_late)
		files_test_ended(c, code, err);
	else if (code != 0)
		call_fail(c, code, err);
	else
		f->done(c, op);
}

static void
files_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;
	struct files_op *f = c->data;

	cloud_op_cancel(f->op);
	c->stop = NULL;
	if (f->late != NULL)
		f->late(c, f->op);
	else
		call_failf(c, -ETIMEDOUT, "the account '%s' did not answer within %u s",
		    f->op->account->name, f->max_s);
}

/* An op on the account of the path; NULL: the call has failed. */
static struct files_op *
files_prepare(struct call *c, enum cloud_op_kind kind, const char *path, unsigned max_s,
    files_done_fn done, files_done_fn late)
{
	CLEANUP(cleanup_free) char *id = NULL;
	struct account *account;
	struct err err = ERR_INIT;
	struct files_op *f;

	if (submit_account(c, &id, c->params[0], &err) != 0 ||
	    accounts_open(c->daemon->accounts, id, &account, &err) != 0) {
		call_fail(c, err.code, &err);
		return NULL;
	}
	f = xcalloc(1, sizeof *f);
	f->op = cloud_op_new(account, kind, path);
	f->op->attempts_max = ATTEMPTS;
	f->done = done;
	f->late = late;
	f->max_s = max_s;
	f->deadline = evtimer_new(loop_base(c->daemon->loop), files_on_deadline, c);
	if (f->deadline == NULL)
		abort();
	c->data = f;
	c->fini = files_op_free;
	return f;
}

/* Bounded in time. */
static void
files_begin(struct call *c, struct files_op *f)
{
	struct timeval tv = {.tv_sec = (time_t)f->max_s};

	f->started_ms = clock_mono_ms();
	c->stop = files_op_stop;
	event_add(f->deadline, &tv);
	cloud_op_start(c->daemon->runner, f->op, files_on_done, c);
}

static void
files_start(struct call *c, enum cloud_op_kind kind, const char *path, unsigned max_s,
    files_done_fn done, files_done_fn late)
{
	struct files_op *f = files_prepare(c, kind, path, max_s, done, late);

	if (f != NULL)
		files_begin(c, f);
}

/* ?path=P, canonical; absent is the root.  Caller frees *out. */
static int
files_path(char **out, struct call *c, struct err *err)
{
	static const struct check_field fields[] = {
	    {"path", CHECK_STRING, false, 0, PATH_BYTES_MAX},
	    {NULL},
	};
	const char *path = get_str(c->query, "path");
	int code;

	if ((code = check_query(c->query, fields, err)) != 0)
		return code;
	return path_canonical(out, path != NULL ? path : "", err);
}

/* -- list */

static int
entry_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if ((x->kind == ENTRY_DIRECTORY) != (y->kind == ENTRY_DIRECTORY))
		return x->kind == ENTRY_DIRECTORY ? -1 : 1;
	return strcmp(path_name(x->path), path_name(y->path));
}

static void
files_on_listed(struct call *c, struct cloud_op *op)
{
	json_t *body = json_object(), *list = json_array();
	size_t i;

	if (op->list.len > 1)
		qsort(op->list.items, op->list.len, sizeof *op->list.items, entry_compare);
	for (i = 0; i < op->list.len; i++)
		json_array_append_new(list, view_entry(&op->list.items[i]));
	field_set_str(body, "path", op->path);
	json_object_set_new(body, "entries", list);
	json_object_set_new(body, "hidden", json_integer((json_int_t)op->list.hidden));
	call_reply(c, 200, body);
}

void
api_files_list(struct call *c)
{
	CLEANUP(cleanup_free) char *path = NULL;
	struct err err = ERR_INIT;

	if (files_path(&path, c, &err) != 0)
		call_fail(c, err.code, &err);
	else
		files_start(c, CLOUD_LIST, path, OP_MAX_S, files_on_listed, NULL);
}

/* -- the keys that no path can express */

static void
files_on_keys(struct call *c, struct cloud_op *op)
{
	json_t *body = json_object(), *list = json_array();
	size_t i;

	for (i = 0; i < op->list.len; i++)
		json_array_append_new(list, view_key(&op->list.items[i]));
	field_set_str(body, "prefix", op->path);
	json_object_set_new(body, "keys", list);
	json_object_set_new(body, "hidden", json_integer((json_int_t)op->list.hidden));
	call_reply(c, 200, body);
}

void
api_files_keys(struct call *c)
{
	static const struct check_field fields[] = {
	    {"prefix", CHECK_STRING, false, 0, PATH_BYTES_MAX},
	    {NULL},
	};
	CLEANUP(cleanup_free) char *prefix = NULL;
	const char *given = get_str(c->query, "prefix");
	struct err err = ERR_INIT;
	struct files_op *f;
	size_t len;

	if (check_query(c->query, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	given = given != NULL ? given : "";
	len = strlen(given);
	prefix = xasprintf("%s%s", given, len == 0 || given[len - 1] == '/' ? "" : "/");
	f = files_prepare(c, CLOUD_LIST, prefix, OP_MAX_S, files_on_keys, NULL);
	if (f == NULL)
		return;
	f->op->hidden = true;
	if (submit_check_keys(f->op->account, &err) != 0)
		call_fail(c, err.code, &err);
	else
		files_begin(c, f);
}

/* -- one */

static void
files_on_found(struct call *c, struct cloud_op *op)
{
	call_reply(c, 200, view_entry(&op->entry));
}

static void
files_on_key_found(struct call *c, struct cloud_op *op)
{
	call_reply(c, 200, view_key(&op->entry));
}

static const struct check_field one_fields[] = {
    {"path", CHECK_STRING, true, 0, PATH_BYTES_MAX, "key"},
    {"key", CHECK_STRING, false, 1, PATH_BYTES_MAX},
    {NULL},
};

void
api_files_get(struct call *c)
{
	CLEANUP(cleanup_free) char *id = NULL, *path = NULL;
	const char *given = get_str(c->query, "path");
	struct err err = ERR_INIT;
	bool by_key = false;

	if (check_query(c->query, one_fields, &err) != 0 ||
	    submit_account(c, &id, c->params[0], &err) != 0 ||
	    (given != NULL && !get_has(c->query, "key") ? path_canonical(&path, given, &err)
							: submit_path_or_key(c, &path, &by_key, id,
							      c->query, "path", "key", &err)) != 0)
		call_fail(c, err.code, &err);
	else
		files_start(c, CLOUD_STAT, path, OP_MAX_S,
		    by_key ? files_on_key_found : files_on_found, NULL);
}

void
api_files_remove(struct call *c)
{
	struct err err = ERR_INIT;
	struct change *change;

	if (check_query(c->query, one_fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	change = submit_change(c, NULL);
	change->kind = CHANGE_REMOVE;
	change->state = CHANGE_QUEUED;
	if (submit_account(c, &change->account_id, c->params[0], &err) != 0 ||
	    submit_path_or_key(c, &change->path, &change->by_key, change->account_id, c->query,
		"path", "key", &err) != 0)
		call_fail(c, err.code, &err);
	else
		store_change_add(c->daemon->store, change, submit_done_accepted, c);
	change_free(change);
}

/* -- usage */

static void
files_on_usage(struct call *c, struct cloud_op *op)
{
	json_t *body = json_object();

	if (op->usage.total != 0) {
		field_set_int(body, "total", (int64_t)op->usage.total);
		field_set_int(body, "used", (int64_t)op->usage.used);
		field_set_int(body, "available", (int64_t)op->usage.available);
	}
	call_reply(c, 200, body);
}

void
api_accounts_usage(struct call *c)
{
	files_start(c, CLOUD_USAGE, "", OP_MAX_S, files_on_usage, NULL);
}

/* -- test: the first page of the root.  A page came, so it works, even if there are too many of
 * them.  The outcome becomes the account's status before it becomes the answer. */

static void
files_on_test_kept(void *arg)
{
	struct call *c = arg;
	struct files_op *f = c->data;
	json_t *body;

	if (f->outcome.code != 0) {
		call_fail(c, f->outcome.code, &f->outcome);
		return;
	}
	body = json_object();
	field_set_bool(body, "ok", true);
	field_set_int(body, "ms", (int64_t)f->took_ms);
	call_reply(c, 200, body);
}

static void
files_test_ended(struct call *c, int code, const struct err *err)
{
	struct files_op *f = c->data;
	struct cloud_op *op = TAKE(f->op); /* it ends before the store does */

	if (code != 0)
		f->outcome = *err;
	f->outcome.code = code;
	f->took_ms = clock_mono_ms() - f->started_ms;
	accounts_reached(
	    c->daemon->accounts, op->account->id, 0, code, &f->outcome, files_on_test_kept, c);
	cloud_op_free(op);
}

static void
files_on_test_late(struct call *c, struct cloud_op *op)
{
	struct err err = ERR_INIT;

	if (op->list.len == 0)
		err_set(&err, -ETIMEDOUT, "the account '%s' did not answer within %d s",
		    op->account->name, TEST_MAX_S);
	files_test_ended(c, err.code, &err);
}

void
api_accounts_test(struct call *c)
{
	files_start(c, CLOUD_LIST, "", TEST_MAX_S, NULL, files_on_test_late);
}
