#include "daemon/submit.h"
#include "daemon/accounts.h"
#include "daemon/check.h"
#include "daemon/events.h"
#include "daemon/queue.h"
#include "daemon/view.h"
#include "src/clock.h"
#include "src/path.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
submit_account(struct call *c, char **out, const char *ref, struct err *err)
{
	char id[37];
	int code = store_account_resolve(c->daemon->store, c->user->id, ref, id, err);

	if (code != 0)
		return code;
	free(*out);
	*out = xstrdup(id);
	return 0;
}

int
submit_path(char **out, const char *path, const char *field, struct err *err)
{
	char *canonical;
	int code;

	if ((code = path_canonical(&canonical, path, err)) != 0)
		return code;
	if (canonical[0] == '\0') {
		free(canonical);
		return err_set(err, -EINVAL, "'%s' must not be the account's root", field);
	}
	free(*out);
	*out = canonical;
	return 0;
}

int
submit_check_keys(const struct account *account, struct err *err)
{
	if (account->driver->features & CLOUD_HAS_KEYS)
		return 0;
	return err_set(err, -EOPNOTSUPP,
	    "the account '%s' has paths, but no keys as a store of objects has them",
	    account->name);
}

int
submit_path_or_key(struct call *c, char **out, bool *by_key, const char *account_id,
    const json_t *object, const char *path_field, const char *key_field, struct err *err)
{
	const char *path = get_str(object, path_field), *key = get_str(object, key_field);
	struct account *account;
	int code;

	if (path != NULL && key != NULL)
		return err_set(err, -EINVAL, "give '%s' or '%s', not both", path_field, key_field);
	if (path != NULL)
		return submit_path(out, path, path_field, err);
	if ((code = accounts_open(c->daemon->accounts, account_id, &account, err)) != 0 ||
	    (code = submit_check_keys(account, err)) != 0)
		return code;
	if (!path_is_key(key))
		return err_set(err, -EINVAL, "'%s' cannot be a key", key_field);
	*by_key = true;
	xstrset(out, key);
	return 0;
}

struct change *
submit_change(struct call *c, const char *id)
{
	struct change *change = change_new();

	if (id == NULL || uuid_canonical(change->id, id) != 0)
		uuid_new(change->id);
	snprintf(change->user_id, sizeof change->user_id, "%s", c->user->id);
	change->retries_max = (unsigned)settings_int(c->daemon->settings, "transfer.retries");
	change->created_ms = clock_ms();
	return change;
}

void
submit_tell(struct daemon *daemon, const struct store_result *res)
{
	size_t i;

	if (res->code != 0 || daemon->server == NULL)
		return;
	if (res->change != NULL) {
		events_change(daemon->events, res->change);
		queue_changed(daemon->queue, res->change);
	}
	for (i = 0; i < res->changes_len; i++) {
		if (res->changes[i]->state == CHANGE_FAILED) /* a cancel has taken it along */
			queue_log_end(res->changes[i]);
		events_change(daemon->events, res->changes[i]);
		queue_changed(daemon->queue, res->changes[i]);
	}
	if (res->ready)
		queue_kick(daemon->queue);
}

static void
submit_answer(struct call *c, struct store_result *res, int status)
{
	json_t *body = NULL;

	if (res->code != 0) {
		call_fail(c, res->code, &res->err);
		return;
	}
	submit_tell(c->daemon, res);
	if (status != 204 && res->change != NULL)
		body = view_change(c->daemon, res->change, VIEW_SEGMENTS_NEEDED);
	call_reply(c, status, body);
}

void
submit_done_created(void *arg, struct store_result *res)
{
	submit_answer(arg, res, 201);
}

void
submit_done_accepted(void *arg, struct store_result *res)
{
	submit_answer(arg, res, 202);
}

void
submit_done(void *arg, struct store_result *res)
{
	submit_answer(arg, res, 200);
}

void
submit_done_empty(void *arg, struct store_result *res)
{
	submit_answer(arg, res, 204);
}
