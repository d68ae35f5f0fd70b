#include "cli/batch.h"
#include "cli/remote.h"

const struct option_def mkdir_options[] = {
    {'p', "parents", NULL, "a directory that exists is no failure"},
    {0},
};

/* The daemon takes a directory that exists for made, so that it can repeat itself after a crash. */
static int
check_absent(struct cli *cli, const struct remote *dir, struct err *err)
{
	json_t *entry = NULL;
	int code = remote_stat(cli, &entry, dir->account, dir->path, err);

	json_decref(entry);
	if (code == 0)
		return err_set(err, -EEXIST, "it exists");
	return code == -ENOENT ? 0 : code;
}

int
cmd_mkdir(struct cli *cli, struct args *args)
{
	struct batch_options options = {0};
	struct err err = ERR_INIT;
	struct batch *batch = batch_new(cli, &options, &err);
	int status;

	if (batch == NULL)
		return cli_fail(&err);
	for (size_t i = 0; i < args_count(args); i++) {
		CLEANUP(remote_fini) struct remote dir = {0};

		if (remote_parse(&dir, args_operand(args, i), &err) < 0 ||
		    (!args_has(args, "parents") && check_absent(cli, &dir, &err) < 0)) {
			batch_fail(batch, args_operand(args, i), &err);
			continue;
		}
		if (!batch_post(batch, "/api/changes",
			json_pack("{s:s, s:s, s:s}", "kind", "mkdir", "accountId", dir.account,
			    "path", dir.path),
			args_operand(args, i), args_has(args, "parents") ? -EEXIST : 0))
			break;
	}
	status = batch_finish(batch);
	batch_free(batch);
	return status;
}
