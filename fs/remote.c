#include "fs/remote.h"
#include "fs/daemon.h"
#include "fs/node.h"
#include "fs/notify.h"
#include "fs/task.h"
#include "providers/providers.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

struct remotes {
	struct fs *fs;
	struct remote **items;
	size_t len;
	bool refreshing, again;
};

struct remotes *
remotes_new(struct fs *fs)
{
	struct remotes *remotes = xcalloc(1, sizeof(*remotes));

	remotes->fs = fs;
	return remotes;
}

static void
remote_close(struct remote *remote)
{
	cloud_account_unref(TAKE(remote->account));
}

void
remotes_free(struct remotes *remotes)
{
	size_t i;

	if (remotes == NULL)
		return;
	for (i = 0; i < remotes->len; i++) {
		remote_close(remotes->items[i]);
		free(remotes->items[i]->id);
		free(remotes->items[i]->name);
		free(remotes->items[i]->root);
		free(remotes->items[i]->opening);
		free(remotes->items[i]);
	}
	free(remotes->items);
	free(remotes);
}

struct remote *
remote_at(struct remotes *remotes, size_t i)
{
	return i < remotes->len ? remotes->items[i] : NULL;
}

struct remote *
remote_by_id(struct remotes *remotes, const char *id)
{
	size_t i;

	for (i = 0; i < remotes->len; i++) {
		if (strcmp(remotes->items[i]->id, id) == 0)
			return remotes->items[i];
	}
	return NULL;
}

struct remote *
remote_by_name(struct remotes *remotes, const char *name)
{
	size_t i;

	for (i = 0; i < remotes->len; i++) {
		if (!remotes->items[i]->removed && strcmp(remotes->items[i]->name, name) == 0)
			return remotes->items[i];
	}
	return NULL;
}

bool
remote_has(const struct remote *remote, enum cloud_feature feature)
{
	return remote->driver != NULL && (remote->driver->features & feature) != 0;
}

/* -- the list */

static struct remote *
remote_add(struct remotes *remotes, const char *id)
{
	struct remote *remote = xcalloc(1, sizeof(*remote));

	remote->id = xstrdup(id);
	remote->opening = xcalloc(1, sizeof(*remote->opening));
	TAILQ_INIT(remote->opening);
	remotes->items = xrealloc(remotes->items, remotes->len + 1, sizeof(struct remote *));
	remotes->items[remotes->len++] = remote;
	return remote;
}

static void
remote_gone(struct remotes *remotes, struct remote *remote)
{
	struct node *node = node_child(node_root(remotes->fs), remote->name);

	remote->removed = true;
	remote_close(remote);
	if (node == NULL)
		return;
	notify_inode(remotes->fs->notifier, FUSE_ROOT_ID);
	node_detach(node);
}

static void
remote_take(struct remotes *remotes, const json_t *json)
{
	const char *id = json_string_value(json_object_get(json, "id"));
	const char *name = json_string_value(json_object_get(json, "name"));
	const char *provider = json_string_value(json_object_get(json, "provider"));
	const char *root =
	    json_string_value(json_object_get(json_object_get(json, "settings"), "root"));
	struct remote *remote;
	struct node *node;

	if (id == NULL || name == NULL || provider == NULL || !account_name_is_valid(name))
		return;
	remote = remote_by_id(remotes, id);
	if (remote == NULL)
		remote = remote_add(remotes, id);
	if (remote->name != NULL && strcmp(remote->name, name) != 0) {
		node = node_child(node_root(remotes->fs), remote->name);
		notify_inode(remotes->fs->notifier, FUSE_ROOT_ID);
		if (node != NULL && node->remote == remote)
			node_move(node, node_root(remotes->fs), name);
	}
	xstrset(&remote->name, name);
	remote->driver = provider_find(provider);
	remote->removed = false;
	xstrset(&remote->root,
	    remote->driver != NULL && remote->driver->transport == CLOUD_DISK ? root : NULL);
}

static int
remotes_take(struct remotes *remotes, const json_t *body, struct err *err)
{
	const json_t *list = json_object_get(body, "accounts");
	struct remote *remote;
	size_t i, j;
	const char *id;

	if (!json_is_array(list))
		return err_set(err, -EPROTO, "the daemon's list of accounts is not understood");
	for (i = 0; i < remotes->len; i++) {
		remote = remotes->items[i];
		for (j = 0; j < json_array_size(list); j++) {
			id = json_string_value(json_object_get(json_array_get(list, j), "id"));
			if (id != NULL && strcmp(id, remote->id) == 0)
				break;
		}
		if (j == json_array_size(list) && !remote->removed)
			remote_gone(remotes, remote);
	}
	for (j = 0; j < json_array_size(list); j++)
		remote_take(remotes, json_array_get(list, j));
	return 0;
}

/* Both ways: a root above the mount would list us, one beneath it would read through us.  By the
   names alone: the daemon has resolved the root, and its driver follows no symlink.  Whoever looks
   into the mount from here waits for itself, and not even SIGKILL ends that. */
static int
remote_check_root(struct fs *fs, const struct remote *remote, struct err *err)
{
	const char *root, *directory = fs->options.directory + 1;

	if (remote->root == NULL ||
	    remote->root[0] != '/') /* the driver says what is wrong with it */
		return 0;
	root = remote->root + 1;
	if (!path_is_inside(directory, root) && !path_is_inside(root, directory))
		return 0;
	return err_set(err, -ELOOP,
	    "the account '%s' (%s) and the mount at %s contain each other: mount outside of it, or "
	    "remove the account",
	    remote->name, remote->root, fs->options.directory);
}

int
remotes_load(struct remotes *remotes, struct err *err)
{
	json_t *body = NULL;
	size_t i;
	int code;

	code = client_call(
	    daemon_client(remotes->fs->daemon), &body, "GET", "/api/accounts", NULL, err);
	if (code == 0)
		code = remotes_take(remotes, body, err);
	json_decref(body);
	for (i = 0; code == 0 && i < remotes->len; i++)
		code = remote_check_root(remotes->fs, remotes->items[i], err);
	return code;
}

static void
remotes_refresh_run(struct task *task)
{
	struct remotes *remotes = task->fs->remotes;
	struct err err = ERR_INIT;
	json_t *body;
	int code;

	do {
		remotes->again = false;
		body = NULL;
		code = task_call(task, &body, "GET", "/api/accounts", NULL, &err);
		if (code == 0)
			code = remotes_take(remotes, body, &err);
		json_decref(body);
	} while (code == 0 && remotes->again);
	remotes->refreshing = false;
	if (code != 0)
		log_warning("the list of accounts is old: %s", err_text(&err));
}

void
remotes_refresh(struct remotes *remotes)
{
	remotes->again = true;
	if (remotes->refreshing)
		return;
	remotes->refreshing = true;
	task_spawn(remotes->fs, remotes_refresh_run, NULL);
}

void
remotes_event(struct remotes *remotes, const json_t *json)
{
	const char *id = json_string_value(json_object_get(json, "id"));
	struct remote *remote = id == NULL ? NULL : remote_by_id(remotes, id);

	if (remote != NULL) /* its credentials may be new */
		remote_close(remote);
	remotes_refresh(remotes);
}

/* -- the accounts themselves */

static void
remote_wipe(json_t *json)
{
	const char *key;
	json_t *value;

	json_object_foreach (json, key, value) {
		if (json_is_string(value))
			mem_wipe((char *)json_string_value(value), json_string_length(value));
	}
}

static int
remote_fetch(struct task *task, struct remote *remote, struct err *err)
{
	char *path = xasprintf("/api/accounts/%s/credentials", remote->id);
	json_t *body = NULL, *credentials;
	int code;

	code = task_call(task, &body, "GET", path, NULL, err);
	free(path);
	if (code != 0)
		return code;
	credentials = json_object_get(body, "credentials");
	remote_close(remote);
	code = cloud_account_open(
	    &remote->account, remote->driver, remote->id, remote->name, credentials, err);
	if (code != 0)
		remote->account = NULL;
	remote_wipe(credentials);
	json_decref(body);
	return code;
}

struct remote_sign_in {
	struct account *account; /* a reference */
	unsigned ticket;
	char *refused;
};

/* A refresh token may be good for one use only: the daemon uses it, for all. */
static void
remote_sign_in_run(struct task *task)
{
	struct remote_sign_in *s = task->arg;
	char *path = xasprintf("/api/accounts/%s/token", s->account->id);
	json_t *body = json_object(), *answer = NULL;
	const char *token;
	struct err err = ERR_INIT;
	uint64_t life;
	int code;

	if (s->refused != NULL)
		json_object_set_new(body, "refused", json_string(s->refused));
	code = task_call(task, &answer, "POST", path, body, &err);
	token = json_string_value(json_object_get(answer, "token"));
	life = (uint64_t)json_integer_value(json_object_get(answer, "goodForMs"));
	if (code == 0 && token == NULL)
		code = err_set(&err, -EPROTO, "the daemon gave no token for the account '%s'",
		    s->account->name);
	cloud_account_signed_in(s->account, s->ticket, code, token, clock_ms() + life, &err);
	remote_wipe(answer);
	json_decref(answer);
	cloud_account_unref(s->account);
	mem_wipe_free(s->refused);
	free(path);
	free(s);
}

void
remotes_sign_in(void *arg, struct account *account, unsigned ticket, const char *refused)
{
	struct remote_sign_in *s = xcalloc(1, sizeof *s);

	s->account = cloud_account_ref(account);
	s->ticket = ticket;
	s->refused = xstrdup_null(refused);
	task_spawn(arg, remote_sign_in_run, s);
}

int
remote_open(struct task *task, struct remote *remote, struct account **out, struct err *err)
{
	int code;

	while (remote->account == NULL) {
		if (remote->removed)
			return err_set(err, -ENOENT, "the account '%s' was removed", remote->name);
		if (remote->driver == NULL)
			return err_set(err, -EOPNOTSUPP,
			    "the account '%s' is of a kind that this "
			    "version of mount.skyferry does not know",
			    remote->name);
		if (remote->is_opening) {
			code = waitq_wait(task, remote->opening, task_deadline(FS_CLOUD_MS));
			if (code != 0)
				return code;
			continue;
		}
		remote->is_opening = true;
		code = remote_check_root(task->fs, remote, err);
		if (code == 0)
			code = remote_fetch(task, remote, err);
		remote->is_opening = false;
		waitq_wake(remote->opening);
		if (code != 0)
			return code;
	}
	*out = cloud_account_ref(remote->account);
	return 0;
}

bool
remote_refused(struct remote *remote, struct account *account, int code)
{
	if (code != -EKEYEXPIRED && code != -EKEYREJECTED && code != -EACCES)
		return false;
	if (remote->account == account) {
		remote_close(remote);
		return true;
	}
	return remote->account != NULL; /* others have come in the meantime */
}

int
remote_op(struct task *task, struct remote *remote, enum cloud_op_kind kind, const char *path,
    struct cloud_op **out, struct err *err)
{
	struct account *account;
	struct cloud_op *op;
	int code, tries;

	for (tries = 0;; tries++) {
		code = remote_open(task, remote, &account, err);
		if (code != 0)
			return code;
		op = cloud_op_new(account, kind, path);
		code = task_op(task, op, err);
		if (code == 0) {
			cloud_account_unref(account);
			*out = op;
			return 0;
		}
		cloud_op_free(op);
		/* EACCES may also mean this path: then fresh credentials do not help, once is
		 * enough */
		if (!remote_refused(remote, account, code) || tries > 0) {
			cloud_account_unref(account);
			return code;
		}
		cloud_account_unref(account);
	}
}

int
remote_stat(
    struct task *task, struct remote *remote, const char *path, struct entry *out, struct err *err)
{
	struct cloud_op *op;
	int code = remote_op(task, remote, CLOUD_STAT, path, &op, err);

	if (code != 0)
		return code;
	entry_fini(out);
	entry_init(out);
	entry_copy(out, &op->entry);
	cloud_op_free(op);
	return 0;
}
