#include "daemon/accounts.h"
#include "daemon/api.h"
#include "daemon/check.h"
#include "daemon/events.h"
#include "daemon/queue.h"
#include "daemon/submit.h"
#include "daemon/view.h"
#include "src/field.h"
#include "src/path.h"
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MAX_S   3 /* for the look whether a destination exists */
#define PAGE_MAX     1000
#define PAGE_DEFAULT 50
#define PAGES_MAX    1000000
#define VERSION_MAX  1024
#define RETRIES_MAX  100

/* -- a new transfer */

/* A transfer that must not overwrite, while we look whether its destination is there: call->data.
 */
struct look {
	struct change *change;
	struct cloud_op *op;
	struct event *deadline;
};

static void
look_free(void *data)
{
	struct look *look = data;

	if (look->deadline != NULL)
		event_free(look->deadline);
	cloud_op_free(look->op);
	change_free(look->change);
	free(look);
}

static void
look_stop(struct call *c)
{
	struct look *look = c->data;

	cloud_op_cancel(look->op);
}

static void
look_accept(struct call *c)
{
	struct look *look = c->data;

	c->stop = NULL;
	event_del(look->deadline);
	store_change_add(c->daemon->store, look->change, submit_done_created, c);
}

/* What is not known now decides itself when the transfer runs. */
static void
look_on_done(void *arg, struct cloud_op *op, int code, const struct err *err)
{
	struct call *c = arg;

	if (code != 0) {
		look_accept(c);
		return;
	}
	c->stop = NULL;
	call_failf(c, -EEXIST, "'%s' exists in the account '%s', and 'overwrite' is false",
	    op->path, op->account->name);
}

static void
look_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;
	struct look *look = c->data;

	cloud_op_cancel(look->op);
	look_accept(c);
}

/* Takes the change. */
static void
look_start(struct call *c, struct change *change)
{
	struct timeval tv = {.tv_sec = LOOK_MAX_S};
	struct look *look = xcalloc(1, sizeof *look);
	struct err err = ERR_INIT;
	struct account *account;

	look->change = change;
	c->data = look;
	c->fini = look_free;
	if (accounts_open(c->daemon->accounts, change->account_id, &account, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	look->op = cloud_op_new(account, CLOUD_STAT, change->path);
	look->op->attempts_max = 1;
	look->deadline = evtimer_new(loop_base(c->daemon->loop), look_on_deadline, c);
	if (look->deadline == NULL)
		abort();
	c->stop = look_stop;
	event_add(look->deadline, &tv);
	cloud_op_start(c->daemon->runner, look->op, look_on_done, c);
}

static const struct check_field transfer_fields[] = {
    {"id", CHECK_ID},
    {"sourceAccountId", CHECK_STRING, true, 1, 64},
    {"sourcePath", CHECK_STRING, true, 0, PATH_BYTES_MAX + 2, "sourceKey"},
    {"sourceKey", CHECK_STRING, false, 1, PATH_BYTES_MAX},
    {"destinationAccountId", CHECK_STRING, true, 1, 64},
    {"destinationPath", CHECK_STRING, true, 0, PATH_BYTES_MAX + 2},
    {"move", CHECK_BOOL},
    {"overwrite", CHECK_BOOL},
    {"preserveMetadata", CHECK_BOOL},
    {"priority", CHECK_INT, false, 0, CHANGE_PRIORITY_MAX},
    {"maxRetries", CHECK_INT, false, 0, RETRIES_MAX},
    {"bandwidth", CHECK_INT, false, 0, INT64_MAX},
    {"notBefore", CHECK_TIME},
    {"sourceVersion", CHECK_STRING, false, 1, VERSION_MAX},
    {"recursive", CHECK_BOOL},
    {NULL},
};

/* A tree may be all of an account, unless it is moved. */
static int
transfer_source(struct change *change, struct call *c, struct err *err)
{
	struct segment *source = &change->segments[0];
	const char *path = get_str(c->body, "sourcePath");

	if (change->kind == CHANGE_TREE && get_has(c->body, "sourceKey"))
		return err_set(
		    err, -EINVAL, "'sourceKey' means nothing for a directory ('recursive')");
	if (change->kind == CHANGE_TREE && !change->move && path != NULL)
		return path_canonical(&source->path, path, err);
	return submit_path_or_key(c, &source->path, &change->by_key, source->account_id, c->body,
	    "sourcePath", "sourceKey", err);
}

static int
transfer_read(struct change *change, struct call *c, struct err *err)
{
	struct segment *source = change_add_segment(change, SEGMENT_ENTRY);
	const json_t *body = c->body;
	int code;

	source->length = SEGMENT_TO_END;
	change->kind = get_bool(body, "recursive", false) ? CHANGE_TREE : CHANGE_TRANSFER;
	change->move = get_bool(body, "move", false);
	if ((code = submit_account(
		 c, &source->account_id, get_str(body, "sourceAccountId"), err)) != 0 ||
	    (code = transfer_source(change, c, err)) != 0 ||
	    (code = submit_account(
		 c, &change->account_id, get_str(body, "destinationAccountId"), err)) != 0 ||
	    (code = submit_path(
		 &change->path, get_str(body, "destinationPath"), "destinationPath", err)) != 0)
		return code;
	if (change->kind == CHANGE_TREE && get_has(body, "sourceVersion"))
		return err_set(
		    err, -EINVAL, "'sourceVersion' means nothing for a directory ('recursive')");
	if (strcmp(source->account_id, change->account_id) == 0 &&
	    strcmp(source->path, change->path) == 0)
		return err_set(
		    err, -EINVAL, "source and destination are the same: '%s'", change->path);
	xstrset(&source->version, get_str(body, "sourceVersion"));
	change->state = CHANGE_QUEUED;
	change->overwrite = get_bool(body, "overwrite", true);
	change->preserve = get_bool(body, "preserveMetadata", true);
	change->priority = (unsigned)get_int(body, "priority", change->priority);
	change->retries_max = (unsigned)get_int(body, "maxRetries", change->retries_max);
	change->bandwidth = (uint64_t)get_int(body, "bandwidth", 0);
	change->not_before_ms = get_time(body, "notBefore");
	return 0;
}

/* A repeated request: the change that has the id answers it, whatever has become of the
 * destination. */
static bool
transfer_is_known(struct call *c, const char *id)
{
	struct change *known;
	bool mine;

	if (store_change_get(c->daemon->store, id, &known, NULL) != 0)
		return false;
	mine = strcmp(known->user_id, c->user->id) == 0;
	if (mine)
		call_reply(c, 201, view_change(c->daemon, known, VIEW_SEGMENTS_NEEDED));
	change_free(known);
	return mine;
}

void
api_transfers_add(struct call *c)
{
	struct change *change = submit_change(c, get_str(c->body, "id"));
	struct err err = ERR_INIT;

	if (check_object(c->body, transfer_fields, &err) != 0 ||
	    transfer_read(change, c, &err) != 0) {
		call_fail(c, err.code, &err);
	} else if (!change->overwrite && change->kind == CHANGE_TRANSFER) {
		if (!transfer_is_known(c, change->id))
			look_start(c, TAKE(change));
	} else {
		store_change_add(c->daemon->store, change, submit_done_created, c);
	}
	change_free(change);
}

/* -- one */

/* The caller's change of the path, or NULL: the call has been answered. */
static struct change *
change_begin(struct call *c)
{
	struct change *change = NULL;
	struct err err = ERR_INIT;
	char id[37];
	int code = -ENOENT;

	if (uuid_canonical(id, c->params[0]) == 0)
		code = store_change_get(c->daemon->store, id, &change, &err);
	if (code == 0 && strcmp(change->user_id, c->user->id) == 0)
		return change;
	change_free(change);
	if (code == 0 || code == -ENOENT)
		call_failf(c, -ENOENT, "there is no transfer '%s'", c->params[0]);
	else
		call_fail(c, code, &err);
	return NULL;
}

void
api_transfers_get(struct call *c)
{
	struct change *change = change_begin(c);

	if (change == NULL)
		return;
	call_reply(c, 200, view_change(c->daemon, change, VIEW_SEGMENTS_NEEDED));
	change_free(change);
}

static void
transfers_on_limited(void *arg, struct store_result *res)
{
	struct call *c = arg;

	if (res->code == 0 && c->daemon->server != NULL)
		queue_limit(c->daemon->queue, res->change);
	submit_done(c, res);
}

void
api_transfers_update(struct call *c)
{
	static const struct check_field fields[] = {
	    {"bandwidth", CHECK_INT, true, 0, INT64_MAX},
	    {NULL},
	};
	struct err err = ERR_INIT;
	struct change *change;

	if (check_object(c->body, fields, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	if ((change = change_begin(c)) == NULL)
		return;
	store_change_limit(c->daemon->store, c->user->id, change->id,
	    (uint64_t)get_int(c->body, "bandwidth", 0), transfers_on_limited, c);
	change_free(change);
}

void
api_transfers_cancel(struct call *c)
{
	struct change *change = change_begin(c);

	if (change == NULL)
		return;
	store_change_dismiss(c->daemon->store, c->user->id, change->id, submit_done, c);
	change_free(change);
}

void
api_transfers_retry(struct call *c)
{
	struct change *change = change_begin(c);

	if (change == NULL)
		return;
	store_change_retry(c->daemon->store, c->user->id, change->id, submit_done, c);
	change_free(change);
}

/* -- list */

typedef int (*name_parse_fn)(const char *);

/* "queued,running" -> bits 1 << value.  NULL: 0. */
static int
names_parse(
    unsigned *out, const char *names, const char *field, name_parse_fn parse, struct err *err)
{
	char word[32];
	size_t len;
	int value;

	*out = 0;
	for (; names != NULL; names = names[len] == ',' ? names + len + 1 : NULL) {
		len = strcspn(names, ",");
		value = -EINVAL;
		if (len < sizeof word) {
			memcpy(word, names, len);
			word[len] = '\0';
			value = parse(word);
		}
		if (value < 0)
			return err_set(err, -EINVAL, "'%s': there is no '%.*s'", field,
			    (int)MIN(len, 64), names);
		*out |= 1u << value;
	}
	return 0;
}

static int
sort_parse(struct store_query *out, const struct call *c, struct err *err)
{
	static const struct {
		const char *name;
		int sort;
	} sorts[] = {
	    {"createdAt", STORE_BY_CREATED},
	    {"priority", STORE_BY_PRIORITY},
	    {"status", STORE_BY_STATE},
	    {"finishedAt", STORE_BY_FINISHED},
	};
	const char *by = get_str(c->query, "sortBy"), *order = get_str(c->query, "sortOrder");
	size_t i;

	for (i = 0; by != NULL && i < ARRAY_LEN(sorts) && strcmp(sorts[i].name, by) != 0; i++)
		continue;
	if (i == ARRAY_LEN(sorts))
		return err_set(
		    err, -EINVAL, "'sortBy' must be createdAt, priority, status or finishedAt");
	if (order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)
		return err_set(err, -EINVAL, "'sortOrder' must be asc or desc");
	out->sort = sorts[i].sort;
	out->descending = order == NULL || strcmp(order, "desc") == 0;
	return 0;
}

static int
list_query(struct store_query *out, int64_t *page, const struct call *c, struct err *err)
{
	static const struct check_field fields[] = {
	    {"page", CHECK_INT, false, 1, PAGES_MAX},
	    {"limit", CHECK_INT, false, 1, PAGE_MAX},
	    {"status", CHECK_STRING, false, 1, 256},
	    {"kind", CHECK_STRING, false, 1, 256},
	    {"parent", CHECK_ID},
	    {"sortBy", CHECK_STRING, false, 1, 32},
	    {"sortOrder", CHECK_STRING, false, 1, 8},
	    {NULL},
	};
	int code;

	memset(out, 0, sizeof *out);
	if ((code = check_query(c->query, fields, err)) != 0 ||
	    (code = names_parse(&out->states, get_str(c->query, "status"), "status",
		 change_state_parse, err)) != 0 ||
	    (code = names_parse(
		 &out->kinds, get_str(c->query, "kind"), "kind", change_kind_parse, err)) != 0 ||
	    (code = sort_parse(out, c, err)) != 0)
		return code;
	*page = get_int(c->query, "page", 1);
	out->user_id = c->user->id;
	out->parent = get_str(c->query, "parent");
	if (out->parent != NULL && (out->kinds != 0 || get_has(c->query, "sortBy")))
		return err_set(err, -EINVAL,
		    "children come in the order they were found: 'parent' goes with 'status' only");
	out->limit = (size_t)get_int(c->query, "limit", PAGE_DEFAULT);
	out->offset = (size_t)(*page - 1) * out->limit;
	return 0;
}

void
api_transfers_list(struct call *c)
{
	json_t *body, *list;
	struct change **changes = NULL;
	struct store_query query;
	struct err err = ERR_INIT;
	uint64_t total = 0;
	size_t i, len = 0;
	int64_t page;

	if (list_query(&query, &page, c, &err) != 0 ||
	    store_changes(c->daemon->store, &query, &changes, &len, &total, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	body = json_object();
	list = json_array();
	for (i = 0; i < len; i++)
		json_array_append_new(
		    list, view_change(c->daemon, changes[i], VIEW_SEGMENTS_NEEDED));
	changes_free(changes, len);
	json_object_set_new(body, "transfers", list);
	field_set_int(body, "page", page);
	field_set_int(body, "limit", (int64_t)query.limit);
	field_set_int(body, "total", (int64_t)total);
	field_set_int(body, "pages", (int64_t)((total + query.limit - 1) / query.limit));
	call_reply(c, 200, body);
}

/* -- what a mount lays over its listings */

#define OVERLAY_MAX 100000

void
api_overlay(struct call *c)
{
	static const struct check_field fields[] = {
	    {"accountId", CHECK_STRING, true, 1, 64},
	    {"dir", CHECK_STRING, false, 0, PATH_BYTES_MAX},
	    {NULL},
	};
	CLEANUP(cleanup_free) char *account = NULL, *dir = NULL;
	const char *given = get_str(c->query, "dir");
	struct change **changes = NULL;
	json_t *body, *list;
	struct err err = ERR_INIT;
	size_t i, len = 0;

	if (check_query(c->query, fields, &err) != 0 ||
	    submit_account(c, &account, get_str(c->query, "accountId"), &err) != 0 ||
	    path_canonical(&dir, given != NULL ? given : "", &err) != 0 ||
	    store_changes_in(c->daemon->store, c->user->id, account, dir, OVERLAY_MAX, &changes,
		&len, &err) != 0) {
		call_fail(c, err.code, &err);
		return;
	}
	body = json_object();
	list = json_array();
	for (i = 0; i < len; i++)
		json_array_append_new(
		    list, view_change(c->daemon, changes[i], VIEW_SEGMENTS_ALWAYS));
	changes_free(changes, len);
	json_object_set_new(body, "changes", list);
	field_set_int(body, "seq", (int64_t)events_seq(c->daemon->events, c->user->id));
	call_reply(c, 200, body);
}
