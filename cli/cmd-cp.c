/*
 * cp and mv: a file becomes a transfer, a directory a tree, which the daemon lists.  A directory
 * that is moved within its account is one rename, which the daemon carries out file by file where
 * the cloud has none.
 */
#include "cli/batch.h"
#include "cli/remote.h"
#include "src/change.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

const struct option_def copy_options[] = {
    {'r', "recursive", NULL, "directories with all that is in them (mv always does)"},
    {0, "key", NULL, "the source is a key, as of a name that ls leaves out"},
    {'f', "force", NULL, "replace what is at the destination (the default)"},
    {'n', "no-overwrite", NULL, "what exists at the destination is kept, and named as failed"},
    {0, "priority", "N", "0 to 10, 10 first (default 5)"},
    {0, "bandwidth", "RATE", "bytes a second of each transfer at most, such as 10M"},
    {0, "detach", NULL, "do not wait; print the id of each transfer"},
    {'q', "quiet", NULL, "print failures only"},
    {0},
};

struct copy {
	struct cli *cli;
	struct batch *batch;
	bool move, recursive, overwrite, detach, key;
	long priority; /* -1: the daemon's default */
	int64_t bandwidth; /* 0: no limit */
	struct remote to;
	bool into; /* sources keep their names, in `to` */
	json_t *taken; /* set of the paths that sources go to */
};

static bool
copy_transfer(struct copy *c, const struct remote *from, const char *to_path, bool directory)
{
	CLEANUP(cleanup_free) char *label = remote_text(from->account, from->path);
	json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "sourceAccountId", from->account,
	    c->key ? "sourceKey" : "sourcePath", from->path, "destinationAccountId", c->to.account,
	    "destinationPath", to_path, "move", c->move, "overwrite", c->overwrite);

	if (directory)
		json_object_set_new(body, "recursive", json_true());
	if (c->priority >= 0)
		json_object_set_new(body, "priority", json_integer(c->priority));
	if (c->bandwidth > 0)
		json_object_set_new(body, "bandwidth", json_integer(c->bandwidth));
	return batch_post(c->batch, "/api/transfers", body, label, 0);
}

static bool
copy_rename_tree(struct copy *c, const struct remote *from, const char *to_path)
{
	CLEANUP(cleanup_free) char *label = remote_text(from->account, from->path);

	return batch_post(c->batch, "/api/changes",
	    json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "kind", "rename", "accountId",
		from->account, "path", from->path, "newPath", to_path, "tree", 1, "overwrite",
		c->overwrite),
	    label, 0);
}

/* A file at the place of a directory: each file below it would fail, one by one. */
static int
copy_check_place(struct copy *c, const char *to_path, struct err *err)
{
	json_t *entry = NULL;
	int code = remote_stat(c->cli, &entry, c->to.account, to_path, err);

	if (code == 0 && !entry_is_directory(entry))
		code = err_set(err, -ENOTDIR, "cannot replace the file %s:%s with a directory",
		    c->to.account, to_path);
	json_decref(entry);
	return code == -ENOENT ? 0 : code;
}

/* Are the two names one account?  One may be its id. */
static int
same_account(bool *out, struct copy *c, const char *a, const char *b, struct err *err)
{
	CLEANUP(cleanup_free) char *ea = uri_encode(a);
	CLEANUP(cleanup_free) char *eb = uri_encode(b);
	json_t *ja = NULL, *jb = NULL;
	int code = 0;

	*out = strcmp(a, b) == 0;
	if (*out)
		return 0;
	code = cli_call(c->cli, &ja, "GET", NULL, err, "/api/accounts/%s", ea);
	if (code == 0)
		code = cli_call(c->cli, &jb, "GET", NULL, err, "/api/accounts/%s", eb);
	if (code == 0)
		*out = strcmp(json_str(ja, "id"), json_str(jb, "id")) == 0;
	json_decref(ja);
	json_decref(jb);
	return code;
}

/* What cannot be meant is refused before anything is submitted. */
static int
copy_check(struct copy *c, const struct remote *from, const char *to_path, bool directory,
    bool *same, struct err *err)
{
	int code = same_account(same, c, from->account, c->to.account, err);

	if (code < 0)
		return code;
	if (*same && strcmp(from->path, to_path) == 0)
		return err_set(err, -EINVAL, "source and destination are the same");
	if (directory && !c->recursive && !c->move)
		return err_set(err, -EISDIR, "is a directory; -r copies directories");
	if (directory && c->move && from->path[0] == '\0')
		return err_set(err, -EINVAL, "an account as a whole cannot be moved");
	if (*same && directory && path_is_inside(to_path, from->path))
		return err_set(err, -EINVAL, "a directory cannot go into itself");
	if (!directory && from->slash)
		return err_set(err, -ENOTDIR, "is a file, not a directory");
	if (directory && to_path[0] != '\0' && (code = copy_check_place(c, to_path, err)) < 0)
		return code;
	/* two moves would leave one of two files */
	if (json_object_get(c->taken, to_path) != NULL)
		return err_set(err, -EEXIST, "would replace an earlier source, at %s:%s",
		    c->to.account, to_path);
	json_object_set_new(c->taken, to_path, json_true());
	return 0;
}

static bool
copy_source(struct copy *c, const char *arg)
{
	CLEANUP(remote_fini) struct remote from = {0};
	CLEANUP(cleanup_free) char *to_path = NULL;
	struct err err = ERR_INIT;
	json_t *entry = NULL;
	bool same = false, directory = false, go_on;
	int code = remote_parse(&from, arg, &err);

	if (code == 0)
		code = remote_stat(c->cli, &entry, from.account, from.path, &err);
	if (code == 0) {
		directory = entry_is_directory(entry);
		to_path =
		    c->into ? path_child(c->to.path, remote_name(&from)) : xstrdup(c->to.path);
		code = copy_check(c, &from, to_path, directory, &same, &err);
	}
	if (code < 0) {
		json_decref(entry);
		if (c->cli->interrupted)
			return false;
		batch_fail(c->batch, arg, &err);
		return true;
	}
	if (directory && c->move && same)
		go_on = copy_rename_tree(c, &from, to_path);
	else
		go_on = copy_transfer(c, &from, to_path, directory);
	json_decref(entry);
	return go_on;
}

static bool
copy_key(struct copy *c, const char *arg)
{
	CLEANUP(remote_fini) struct remote from = {0};
	struct err err = ERR_INIT;
	json_t *entry = NULL;
	int code = remote_parse_key(&from, arg, &err);

	if (code == 0 && c->into)
		code = err_set(&err, -EISDIR,
		    "a key has no name to keep in a directory; name the file that it becomes");
	if (code == 0)
		code = remote_stat_key(c->cli, &entry, from.account, from.path, &err);
	if (code == 0 && entry_is_directory(entry))
		code = err_set(&err, -EISDIR, "is no key; keys begin with it");
	json_decref(entry);
	if (code == 0)
		return copy_transfer(c, &from, c->to.path, false);
	if (c->cli->interrupted)
		return false;
	batch_fail(c->batch, arg, &err);
	return true;
}

/* Do the sources go into the destination, or become it? */
static int
copy_decide_into(struct copy *c, size_t sources, struct err *err)
{
	json_t *entry = NULL;
	int code = remote_stat(c->cli, &entry, c->to.account, c->to.path, err);

	if (code < 0 && code != -ENOENT)
		return code;
	if (code == -ENOENT) {
		CLEANUP(cleanup_free) char *account = uri_encode(c->to.account);

		/* of the path, or of the account? */
		code = cli_call(c->cli, NULL, "GET", NULL, err, "/api/accounts/%s", account);
		if (code < 0)
			return code;
	}
	c->into = c->to.slash || sources > 1 || c->to.path[0] == '\0' ||
	    (entry != NULL && entry_is_directory(entry));
	if (c->into && entry != NULL && !entry_is_directory(entry))
		code =
		    err_set(err, -ENOTDIR, "%s:%s is not a directory", c->to.account, c->to.path);
	json_decref(entry);
	return code;
}

static int
copy_run(struct cli *cli, struct args *args, bool move)
{
	size_t sources = args_count(args) - 1;
	struct copy c = {.cli = cli,
	    .move = move,
	    .recursive = args_has(args, "recursive"),
	    .overwrite = !args_has(args, "no-overwrite"),
	    .detach = args_has(args, "detach"),
	    .key = args_has(args, "key")};
	struct batch_options options = {.verb = move ? "moved" : "copied",
	    .detach = c.detach,
	    .quiet = args_has(args, "quiet")};
	struct err err = ERR_INIT;
	int status;

	if (!c.overwrite && args_has(args, "force"))
		return cli_usage(cli, "--force and --no-overwrite contradict each other");
	if (c.key && c.recursive)
		return cli_usage(cli, "--key and --recursive contradict each other");
	if (args_number(args, "priority", -1, 0, CHANGE_PRIORITY_MAX, &c.priority, &err) < 0 ||
	    (args_has(args, "bandwidth") &&
		rate_parse(&c.bandwidth, "--bandwidth", args_value(args, "bandwidth"), &err) < 0))
		return cli_usage(cli, "%s", err_text(&err));
	/* all of them before any is acted upon; the last one stays in `to` */
	for (size_t i = 0; i <= sources; i++) {
		remote_fini(&c.to);
		if ((c.key && i < sources ? remote_parse_key : remote_parse)(
			&c.to, args_operand(args, i), &err) < 0)
			return cli_usage(cli, "%s", err_text(&err));
	}
	if (copy_decide_into(&c, sources, &err) < 0 ||
	    (c.batch = batch_new(cli, &options, &err)) == NULL) {
		remote_fini(&c.to);
		return cli_fail(&err);
	}
	c.taken = json_object();
	for (size_t i = 0; i < sources; i++) {
		if (!(c.key ? copy_key : copy_source)(&c, args_operand(args, i)))
			break;
	}
	status = batch_finish(c.batch);
	batch_free(c.batch);
	json_decref(c.taken);
	remote_fini(&c.to);
	return status;
}

int
cmd_cp(struct cli *cli, struct args *args)
{
	return copy_run(cli, args, false);
}

int
cmd_mv(struct cli *cli, struct args *args)
{
	return copy_run(cli, args, true);
}
