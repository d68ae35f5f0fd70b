#include "cli/remote.h"
#include "src/path.h"
#include <stdlib.h>
#include <string.h>

static int
remote_check(const char *arg, struct err *err)
{
	if (strchr(arg, ':') == NULL)
		return err_set(err, -EINVAL,
		    "'%.200s' is not ACCOUNT:path; 'skyferry account list' names the accounts",
		    arg);
	return 0;
}

int
remote_parse(struct remote *out, const char *arg, struct err *err)
{
	int code = remote_check(arg, err);

	if (code < 0)
		return code;
	out->slash = arg[strlen(arg) - 1] == '/';
	return path_split_account(&out->account, &out->path, arg, err);
}

int
remote_parse_key(struct remote *out, const char *arg, struct err *err)
{
	CLEANUP(cleanup_free) char *account = NULL, *none = NULL;
	int code = remote_check(arg, err);

	if (code < 0)
		return code;
	account = xstrndup(arg, strcspn(arg, ":") + 1);
	code = path_split_account(&out->account, &none, account, err);
	if (code < 0)
		return code;
	out->path = xstrdup(strchr(arg, ':') + 1);
	out->slash = arg[strlen(arg) - 1] == '/';
	return 0;
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
remote_stat_key(
    struct cli *cli, json_t **out, const char *account, const char *key, struct err *err)
{
	CLEANUP(cleanup_free) char *a = uri_encode(account);
	CLEANUP(cleanup_free) char *k = uri_encode(key);

	if (key[0] == '\0')
		return err_set(err, -EINVAL, "names no key");
	return cli_call(cli, out, "GET", NULL, err, "/api/accounts/%s/file?key=%s", a, k);
}

static int
remote_get_list(struct cli *cli, json_t **out, const char *account, const char *what,
    const char *value, const char *list, struct err *err)
{
	CLEANUP(cleanup_free) char *a = uri_encode(account);
	CLEANUP(cleanup_free) char *v = uri_encode(value);
	json_t *answer = NULL;
	int code = cli_call(cli, &answer, "GET", NULL, err, "/api/accounts/%s/%s=%s", a, what, v);

	if (code < 0)
		return code;
	if (!json_is_array(json_object_get(answer, list))) {
		json_decref(answer);
		return err_set(err, -EPROTO, "the daemon's answer has no list of %s", list);
	}
	*out = answer;
	return 0;
}

int
remote_list(struct cli *cli, json_t **out, const char *account, const char *path, struct err *err)
{
	return remote_get_list(cli, out, account, "files?path", path, "entries", err);
}

int
remote_keys(struct cli *cli, json_t **out, const char *account, const char *prefix, struct err *err)
{
	return remote_get_list(cli, out, account, "keys?prefix", prefix, "keys", err);
}

bool
entry_is_directory(const json_t *entry)
{
	return strcmp(json_str(entry, "kind"), "directory") == 0;
}
