#include "cli/remote.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

int
remote_parse(struct remote *out, const char *arg, struct err *err)
{
	size_t len = strlen(arg);

	if (strchr(arg, ':') == NULL)
		return err_set(err, -EINVAL,
		    "'%.200s' is not ACCOUNT:path; 'skyferry account list' names the accounts",
		    arg);
	out->slash = arg[len - 1] == '/';
	return path_split_account(&out->account, &out->path, arg, err);
}

void
remote_fini(struct remote *r)
{
	free(r->account);
	free(r->path);
	*r = (struct remote){0};
}

char *
remote_text(const char *account, const char *path)
{
	return xasprintf("%s:%s", account, path);
}

const char *
remote_name(const struct remote *r)
{
	return r->path[0] != '\0' ? path_name(r->path) : r->account;
}

int
remote_stat(struct cli *cli, json_t **out, const char *account, const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *a = uri_encode(account);
	CLEANUP(cleanup_free) char *p = uri_encode(path);
	int code;

	if (path[0] != '\0')
		return cli_call(cli, out, "GET", NULL, err, "/api/accounts/%s/file?path=%s", a, p);
	/* the root is there as long as the account is */
	code = cli_call(cli, NULL, "GET", NULL, err, "/api/accounts/%s", a);
	if (code == 0)
		*out = json_pack("{s:s, s:s, s:s}", "name", "", "path", "", "kind", "directory");
	return code;
}

int
remote_list(struct cli *cli, json_t **out, const char *account, const char *path, struct err *err)
{
	CLEANUP(cleanup_free) char *a = uri_encode(account);
	CLEANUP(cleanup_free) char *p = uri_encode(path);
	json_t *answer = NULL;
	int code = cli_call(cli, &answer, "GET", NULL, err, "/api/accounts/%s/files?path=%s", a, p);

	if (code < 0)
		return code;
	if (!json_is_array(json_object_get(answer, "entries"))) {
		json_decref(answer);
		return err_set(err, -EPROTO, "the daemon's answer has no list of entries");
	}
	*out = answer;
	return 0;
}

bool
entry_is_directory(const json_t *entry)
{
	return strcmp(json_str(entry, "kind"), "directory") == 0;
}
