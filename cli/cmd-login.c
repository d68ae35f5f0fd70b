#include "cli/cli.h"
#include "cli/secret.h"
#include "src/client.h"
#include "src/paths.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct option_def login_options[] = {
    {'u', "user", "NAME", "the user's name; else it is asked for"},
    {0, "password-file", "FILE", "the first line of FILE is the password; '-': standard input"},
    {0},
};

/* Whole or not at all: a reader never sees half a token.  With the URL that gave it, the only one
   that it is ever sent to. */
static int
save_token(const char *file, const char *url, const char *token, struct err *err)
{
	CLEANUP(cleanup_free) char *dir = xstrndup(file, (size_t)(strrchr(file, '/') - file));
	CLEANUP(cleanup_free) char *temp = xasprintf("%s.new", file);
	CLEANUP(cleanup_free) char *daemon = client_url(url);
	CLEANUP(cleanup_free) char *line = xasprintf("%s %s\n", daemon, token);
	CLEANUP(cleanup_close) int fd = -1;
	ssize_t len = (ssize_t)strlen(line);
	int code = paths_make_private(dir, err);

	if (code < 0)
		return code;
	unlink(temp);
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)len) != len || fsync(fd) < 0 ||
	    rename(temp, file) < 0) {
		code = err_sys(err, -errno, "cannot save the token in '%s'", file);
		unlink(temp);
	}
	mem_wipe(line, (size_t)len);
	return code;
}

static int
ask_name(char **out, const struct args *args, struct err *err)
{
	const char *name = args_value(args, "user");

	if (name != NULL) {
		*out = xstrdup(name);
		return 0;
	}
	if (!secret_can_ask())
		return err_set(err, -EINVAL, "whose login? Say --user NAME");
	return secret_ask(out, "User", false, err);
}

static int
ask_password(char **out, const struct args *args, struct err *err)
{
	const char *file = args_value(args, "password-file");
	const char *value = getenv("SKYFERRY_PASSWORD");

	if (file != NULL)
		return secret_read_line(out, file, err);
	if (value != NULL) {
		*out = xstrdup(value);
		return 0;
	}
	if (!secret_can_ask())
		return err_set(err, -EINVAL,
		    "the password is needed: run this in a terminal, or use --password-file FILE or "
		    "SKYFERRY_PASSWORD in the environment");
	return secret_ask(out, "Password", true, err);
}

int
cmd_login(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *file = paths_token_file();
	CLEANUP(cleanup_free) char *name = NULL;
	json_t *body = NULL, *answer = NULL;
	struct err err = ERR_INIT;
	char *password = NULL;
	const char *url;
	int code;

	if (args_count(args) > 0)
		setenv("SKYFERRY_URL", args_operand(args, 0), 1);
	url = getenv("SKYFERRY_URL");
	if (url == NULL || url[0] == '\0')
		return cli_usage(cli,
		    "which daemon? Name its URL, or set SKYFERRY_URL (over the local socket no login is "
		    "needed)");
	code = ask_name(&name, args, &err);
	if (code == 0)
		code = ask_password(&password, args, &err);
	if (code == 0) {
		body = json_pack("{s:s, s:s}", "username", name, "password", password);
		if (body == NULL)
			code = err_set(&err, -EILSEQ, "name or password is not UTF-8");
	}
	mem_wipe_free(password);
	if (code == 0)
		code = cli_call(cli, &answer, "POST", body, &err, "/api/auth/login");
	if (code == 0)
		code = save_token(file, url, json_str(answer, "token"), &err);
	if (code == 0)
		printf("Signed in to %s as %s; the token is in %s\n", url, name, file);
	if (code == 0 && args_count(args) > 0)
		printf("To use it: export SKYFERRY_URL='%s'\n", url);
	json_decref(answer);
	return code < 0 ? cli_fail(&err) : EXIT_OK;
}
