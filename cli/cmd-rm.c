#include "cli/batch.h"
#include "cli/remote.h"
#include "src/path.h"
#include <string.h>

const struct option_def rm_options[] = {
    {'r', "recursive", NULL, "directories with all that is in them"},
    {0, "key", NULL, "keys, as of names that ls leaves out; -r: what begins with them"},
    {'f', "force", NULL, "what does not exist is no failure"},
    {0, "detach", NULL, "do not wait; print the id of each change"},
    {0},
};

struct removal {
	struct cli *cli;
	struct batch *batch;
	bool recursive, force;
	bool key;
};

static bool
remove_one(struct removal *r, const char *kind, const char *account, const char *path, int harmless)
{
	CLEANUP(cleanup_free) char *label = remote_text(account, path);

	return batch_post(r->batch, "/api/changes",
	    json_pack("{s:s, s:s, s:s}", "kind", kind, "accountId", account,
		r->key ? "key" : "path", path),
	    label, harmless);
}

/* Of what begins with a key that no path can express, all is such.  False: interrupted. */
static bool
remove_keys(struct removal *r, const char *account, const char *prefix)
{
	struct err err = ERR_INIT;
	json_t *list = NULL, *entry;
	bool go_on = true;
	size_t i;

	if (remote_keys(r->cli, &list, account, prefix, &err) < 0) {
		CLEANUP(cleanup_free) char *label = remote_text(account, prefix);

		batch_fail(r->batch, label, &err);
		return !r->cli->interrupted;
	}
	json_array_foreach (json_object_get(list, "keys"), i, entry) {
		const char *key = json_str(entry, "key");

		if (!go_on || r->cli->interrupted)
			break;
		go_on = entry_is_directory(entry) ? remove_keys(r, account, key)
						  : remove_one(r, "remove", account, key, -ENOENT);
	}
	json_decref(list);
	return go_on && !r->cli->interrupted;
}

static bool
remove_key(struct removal *r, const char *arg)
{
	CLEANUP(remote_fini) struct remote what = {0};
	struct err err = ERR_INIT;
	json_t *entry = NULL;
	bool go_on = true, all;
	int code = remote_parse_key(&what, arg, &err);

	all = code == 0 && r->recursive && what.slash && what.path[0] != '\0';
	if (code == 0 && !all)
		code = remote_stat_key(r->cli, &entry, what.account, what.path, &err);
	if (code == -ENOENT && r->force)
		return true;
	if (code == 0 && !all && entry_is_directory(entry))
		code = err_set(&err, -EISDIR, "is no key; keys begin with it");
	json_decref(entry);
	if (code < 0)
		batch_fail(r->batch, arg, &err);
	else if (all)
		go_on = remove_keys(r, what.account, what.path);
	else
		go_on = remove_one(r, "remove", what.account, what.path, r->force ? -ENOENT : 0);
	return go_on && !r->cli->interrupted;
}

/* False: interrupted. */
static bool
remove_tree(struct removal *r, const char *account, const char *path)
{
	struct err err = ERR_INIT;
	json_t *list = NULL, *entry;
	bool go_on = true;
	size_t i;

	if (remote_list(r->cli, &list, account, path, &err) < 0) {
		CLEANUP(cleanup_free) char *label = remote_text(account, path);

		batch_fail(r->batch, label, &err);
		return !r->cli->interrupted;
	}
	json_array_foreach (json_object_get(list, "entries"), i, entry) {
		CLEANUP(cleanup_free) char *child = path_child(path, json_str(entry, "name"));

		if (!go_on || r->cli->interrupted)
			break;
		go_on = entry_is_directory(entry)
		    ? remove_tree(r, account, child)
		    : remove_one(r, "remove", account, child, -ENOENT);
	}
	json_decref(list);
	if (!go_on || r->cli->interrupted)
		return false;
	/* The daemon keeps the order of what it has: the files must have been accepted first.  A
	   cloud without real directories has none left after them. */
	batch_flush(r->batch);
	return remove_one(r, "rmdir", account, path, -ENOENT);
}

static bool
remove_operand(struct removal *r, const char *arg)
{
	CLEANUP(remote_fini) struct remote what = {0};
	struct err err = ERR_INIT;
	json_t *entry = NULL;
	bool directory = false, go_on = true;
	int code = remote_parse(&what, arg, &err);

	if (code == 0)
		code = remote_stat(r->cli, &entry, what.account, what.path, &err);
	if (code == -ENOENT && r->force)
		return true;
	if (code == 0) {
		directory = entry_is_directory(entry);
		if (directory && !r->recursive)
			code = err_set(&err, -EISDIR, "is a directory; -r removes directories");
		else if (directory && what.path[0] == '\0')
			code = err_set(&err, -EINVAL,
			    "is a whole account; remove what is in it, or the account from "
			    "Skyferry with 'skyferry account remove'");
		else if (!directory && what.slash)
			code = err_set(&err, -ENOTDIR, "is a file, not a directory");
	}
	json_decref(entry);
	if (code < 0)
		batch_fail(r->batch, arg, &err);
	else if (directory)
		go_on = remove_tree(r, what.account, what.path);
	else
		go_on = remove_one(r, "remove", what.account, what.path, r->force ? -ENOENT : 0);
	return go_on && !r->cli->interrupted;
}

int
cmd_rm(struct cli *cli, struct args *args)
{
	struct batch_options options = {.detach = args_has(args, "detach")};
	struct removal r = {.cli = cli,
	    .recursive = args_has(args, "recursive"),
	    .force = args_has(args, "force"),
	    .key = args_has(args, "key")};
	struct err err = ERR_INIT;
	int status;

	r.batch = batch_new(cli, &options, &err);
	if (r.batch == NULL)
		return cli_fail(&err);
	for (size_t i = 0; i < args_count(args); i++) {
		if (!(r.key ? remove_key : remove_operand)(&r, args_operand(args, i)))
			break;
	}
	status = batch_finish(r.batch);
	batch_free(r.batch);
	return status;
}
