#include "cli/cli.h"
#include "cli/format.h"
#include "cli/secret.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option_def user_add_options[] = {
    {0, "admin", NULL, "an administrator"},
    {0, "uid", "UID", "whom the daemon knows over its socket by this uid"},
    {0, "password-file", "FILE", "the first line of FILE is the password; '-': standard input"},
    {0},
};
const struct option_def user_passwd_options[] = {
    {0, "password-file", "FILE", "the first line of FILE is the password; '-': standard input"},
    {0},
};

/* From the file, SKYFERRY_PASSWORD, or the person; NULL if there is no way to ask. */
static int
new_password(char **out, const struct args *args, const char *prompt, struct err *err)
{
	const char *file = args_value(args, "password-file");
	const char *value = getenv("SKYFERRY_PASSWORD");

	*out = NULL;
	if (file != NULL)
		return secret_read_line(out, file, err);
	if (value != NULL)
		*out = xstrdup(value);
	else if (secret_can_ask())
		return secret_ask_new(out, prompt, err);
	return 0;
}

static int
add_password(json_t *body, const char *name, const char *password, struct err *err)
{
	if (json_object_set_new(body, name, json_string(password)) < 0)
		return err_set(err, -EILSEQ, "the password is not UTF-8");
	return 0;
}

int
cmd_user_add(struct cli *cli, struct args *args)
{
	const char *name = args_operand(args, 0);
	json_t *body = json_pack("{s:s, s:b}", "username", name, "admin", args_has(args, "admin"));
	struct err err = ERR_INIT;
	char *password = NULL;
	long uid;
	int code;

	if (body == NULL)
		return cli_usage(cli, "'%s' is not UTF-8", name);
	if (args_number(args, "uid", -1, 0, 0xfffffffe, &uid, &err) < 0) {
		json_decref(body);
		return cli_usage(cli, "%s", err_text(&err));
	}
	if (uid >= 0)
		json_object_set_new(body, "uid", json_integer(uid));
	code = new_password(&password, args, "Password of the new user", &err);
	if (code == 0 && password == NULL && uid < 0)
		code = err_set(&err, -EINVAL,
		    "a password is needed: run this in a terminal, or use --password-file FILE or "
		    "SKYFERRY_PASSWORD in the environment");
	if (code == 0 && password != NULL && (password[0] != '\0' || uid < 0))
		code = add_password(body, "password", password, &err);
	mem_wipe_free(password);
	if (code < 0) {
		json_decref(body);
		return cli_fail(&err);
	}
	if (cli_call(cli, NULL, "POST", body, &err, "/api/users") < 0)
		return cli_fail(&err);
	return EXIT_OK;
}

/* /api/users, whose list may stand alone or as "users". */
static int
load_users(struct cli *cli, json_t **out, struct err *err)
{
	json_t *answer = NULL, *users;
	int code = cli_call(cli, &answer, "GET", NULL, err, "/api/users");

	if (code < 0)
		return code;
	users = json_is_array(answer) ? answer : json_object_get(answer, "users");
	*out = json_incref(users);
	json_decref(answer);
	return 0;
}

static int
user_id(struct cli *cli, char **out, const char *name, struct err *err)
{
	json_t *users = NULL, *user;
	size_t i;
	int code = load_users(cli, &users, err);

	if (code < 0)
		return code;
	*out = NULL;
	json_array_foreach (users, i, user) {
		if (strcmp(json_str(user, "username"), name) == 0)
			xstrset(out, json_str(user, "id"));
	}
	json_decref(users);
	return *out != NULL ? 0 : err_set(err, -ENOENT, "there is no user '%s'", name);
}

/* One's own: the daemon asks for the present one unless it knows the caller by the socket. */
static int
set_own_password(struct cli *cli, const char *password, struct err *err)
{
	json_t *body = json_object();
	char *current = NULL;
	int code = cli_connect(cli, err);

	if (code == 0 && strstr(client_where(cli->client), "://") != NULL) {
		if (!secret_can_ask())
			code = err_set(
			    err, -EINVAL, "the present password is asked for on a terminal only");
		else
			code = secret_ask(&current, "Present password", true, err);
	}
	if (code == 0)
		code = add_password(body, "password", password, err);
	if (code == 0 && current != NULL)
		code = add_password(body, "currentPassword", current, err);
	mem_wipe_free(current);
	if (code < 0) {
		json_decref(body);
		return code;
	}
	return cli_call(cli, NULL, "PUT", body, err, "/api/auth/password");
}

int
cmd_user_passwd(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *id = NULL;
	const char *name = args_count(args) > 0 ? args_operand(args, 0) : NULL;
	struct err err = ERR_INIT;
	char *password = NULL;
	json_t *body = json_object();
	int code = name != NULL ? user_id(cli, &id, name, &err) : 0;

	if (code == 0)
		code = new_password(&password, args, "New password", &err);
	if (code == 0 && password == NULL)
		code = err_set(&err, -EINVAL,
		    "a password is needed: run this in a terminal, or use --password-file FILE or "
		    "SKYFERRY_PASSWORD in the environment");
	if (code == 0 && name == NULL)
		code = set_own_password(cli, password, &err);
	else if (code == 0)
		code = add_password(body, "password", password, &err);
	mem_wipe_free(password);
	if (code == 0 && name != NULL)
		code = cli_call(
		    cli, NULL, "PUT", json_incref(body), &err, "/api/users/%s/password", id);
	json_decref(body);
	return code < 0 ? cli_fail(&err) : EXIT_OK;
}

int
cmd_user_list(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	json_t *users = NULL, *user;
	char created[FORMAT_MAX];
	size_t i;

	if (load_users(cli, &users, &err) < 0)
		return cli_fail(&err);
	if (args_has(args, "json")) {
		cli_print_json(users);
		return EXIT_OK;
	}
	json_array_foreach (users, i, user) {
		printf("%-5s  %-19s  ", json_flag(user, "admin") ? "admin" : "user",
		    format_time(created, json_str(user, "createdAt")));
		cli_puts(json_str(user, "username"));
		putchar('\n');
	}
	json_decref(users);
	return EXIT_OK;
}
