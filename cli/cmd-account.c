/*
 * account: the cloud accounts of a user.  What an account needs is told by the daemon
 * (/api/providers): nothing here knows a provider, but that a `local` account's directory may be
 * named by itself.
 */
#include "cli/cli.h"
#include "cli/format.h"
#include "cli/providers.h"
#include "cli/secret.h"
#include "cli/sign_in.h"
#include "src/path.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_OPTIONS                                                                              \
	{0, "bandwidth", "RATE", "bytes a second of all its transfers together, such as 10M"},     \
	    {0, "requests", "N", "requests a second; 0: what suits its provider"},                 \
	{                                                                                          \
		0, "concurrency", "N", "changes at once, and requests of each kind; 0: no limit"   \
	}

const struct option_def account_limit_options[] = {LIMIT_OPTIONS, {0}};

const struct option_def account_add_options[] = {
    LIMIT_OPTIONS,
    {0, "secrets", "FILE", "read fields from FILE (JSON, or name = value); '-': standard input"},
    {0, "no-browser", NULL, "sign in with a browser on another machine"},
    {0, "no-test", NULL, "do not contact the cloud"},
    {0},
};

const struct option_def sign_in_options[] = {
    {0, "no-browser", NULL, "print the address, and ask for the one that a browser ends at"},
    {0},
};

/* "~/x" and "x" -> "/home/me/x"; the daemon's working directory is another one. */
static char *
absolute_path(const char *path)
{
	const char *home = getenv("HOME");
	char cwd[PATH_MAX];

	if (path[0] == '~' && (path[1] == '/' || path[1] == '\0') && home != NULL)
		return xasprintf("%s%s", home, path + 1);
	if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
		return xstrdup(path);
	if (strcmp(path, ".") == 0)
		return xstrdup(cwd);
	return xasprintf("%s/%s", cwd, path);
}

/* One operand after NAME PROVIDER: FIELD=VALUE, or a `local` account's directory. */
static int
take_operand(json_t *fields, const json_t *provider, const char *arg, struct err *err)
{
	const char *kind = json_str(provider, "name"), *equals = strchr(arg, '=');
	bool is_local = strcmp(kind, "local") == 0;
	CLEANUP(cleanup_free)
	char *name = equals != NULL ? xstrndup(arg, (size_t)(equals - arg)) : xstrdup("");
	CLEANUP(cleanup_free) char *value = NULL;
	const json_t *field = provider_field(provider, name);
	char env[256];

	if (field == NULL && is_local && json_object_get(fields, "root") == NULL) {
		xstrset(&name, "root");
		value = absolute_path(arg);
	} else if (equals == NULL) {
		return err_set(err, -EINVAL, "'%s' is not FIELD=VALUE", arg);
	} else if (field == NULL) {
		CLEANUP(cleanup_free) char *known = provider_field_names(provider);

		return err_set(
		    err, -EINVAL, "a %s account has no field '%s'; it has %s", kind, name, known);
	} else if (json_flag(field, "secret")) {
		secret_env_name(env, sizeof(env), name);
		return err_set(err, -EINVAL,
		    "'%s' is a secret, and arguments can be seen by every process: leave it out to "
		    "be asked, or use --secrets FILE or the environment variable %s",
		    name, env);
	} else {
		value = is_local && strcmp(name, "root") == 0 ? absolute_path(equals + 1)
							      : xstrdup(equals + 1);
	}
	if (json_object_set_new(fields, name, json_string(value)) < 0)
		return err_set(err, -EILSEQ, "the value of '%s' is not UTF-8", name);
	return 0;
}

/* What the file has; the command line wins. */
static int
take_file(
    json_t *fields, const json_t *provider, const char *file, const char *account, struct err *err)
{
	json_t *values = NULL, *value;
	const char *name;
	int code = secret_read_file(&values, file, account, err);

	if (code < 0)
		return code;
	json_object_foreach (values, name, value) {
		if (provider_field(provider, name) == NULL) {
			code = err_set(err, -EINVAL, "%s: a %s account has no field '%s'", file,
			    json_str(provider, "name"), name);
			break;
		}
		if (json_object_get(fields, name) == NULL)
			json_object_set(fields, name, value);
	}
	json_decref(values);
	return code;
}

/* On a terminal: what must be there, and secrets that could be (an empty answer leaves one out). */
static int
ask_missing(json_t *fields, const json_t *field, struct err *err)
{
	const char *name = json_str(field, "name"), *title = json_str(field, "title");
	bool required = json_flag(field, "required"), secret = json_flag(field, "secret");
	CLEANUP(cleanup_free)
	char *prompt =
	    xasprintf("%s%s", title[0] != '\0' ? title : name, required ? "" : " (empty: none)");
	char *answer = NULL;
	int code;

	if ((!required && !secret) || json_str(field, "default")[0] != '\0')
		return 0;
	code = secret_ask(&answer, prompt, secret, err);
	if (code == 0 && answer[0] != '\0' &&
	    json_object_set_new(fields, name, json_string(answer)) < 0)
		code = err_set(err, -EILSEQ, "the value of '%s' is not UTF-8", name);
	mem_wipe_free(answer);
	return code;
}

/* One field that is not there yet: from the environment, else from the person. */
static int
take_missing(json_t *fields, const json_t *field, struct err *err)
{
	const char *name = json_str(field, "name"), *value = secret_from_env(name);

	if (value == NULL)
		return secret_can_ask() ? ask_missing(fields, field, err) : 0;
	if (json_object_set_new(fields, name, json_string(value)) < 0)
		return err_set(err, -EILSEQ, "the value of '%s' is not UTF-8", name);
	return 0;
}

/* Names everything that is still missing, at once. */
static int
check_required(const json_t *fields, const json_t *provider, struct err *err)
{
	struct buf missing = BUF_INIT(256);
	bool secret = false;
	const json_t *field;
	size_t i;
	int code = 0;

	json_array_foreach (json_object_get(provider, "fields"), i, field) {
		const char *name = json_str(field, "name");

		if (!json_flag(field, "required") || json_str(field, "default")[0] != '\0' ||
		    json_object_get(fields, name) != NULL)
			continue;
		buf_printf(&missing, "%s%s", missing.len > 0 ? ", " : "", name);
		secret = secret || json_flag(field, "secret");
	}
	if (missing.len > 0)
		code = err_set(err, -EINVAL, "a %s account needs %s%s", json_str(provider, "name"),
		    buf_str(&missing),
		    secret ? " (secrets: --secrets FILE or SKYFERRY_CREDENTIAL_... in the "
			     "environment)"
			   : "");
	buf_free(&missing);
	return code;
}

static int
gather(struct args *args, const json_t *provider, json_t *fields, struct err *err)
{
	const char *file = args_value(args, "secrets");
	const json_t *field;
	size_t i;
	int code = 0;

	for (i = 2; i < args_count(args) && code == 0; i++)
		code = take_operand(fields, provider, args_operand(args, i), err);
	if (code == 0 && file != NULL)
		code = take_file(fields, provider, file, args_operand(args, 0), err);
	json_array_foreach (json_object_get(provider, "fields"), i, field) {
		if (code == 0 && json_object_get(fields, json_str(field, "name")) == NULL)
			code = take_missing(fields, field, err);
	}
	return code < 0 ? code : check_required(fields, provider, err);
}

static int
test_account(struct cli *cli, const char *name, struct err *err)
{
	CLEANUP(cleanup_free) char *encoded = uri_encode(name);
	json_t *answer = NULL;
	int code = cli_call(cli, &answer, "POST", NULL, err, "/api/accounts/%s/test", encoded);

	if (code == 0)
		printf("%s: works (%" PRIu64 " ms)\n", name, json_num(answer, "ms"));
	json_decref(answer);
	return code;
}

/* The limits that are given, into the request's body. */
static int
take_limits(json_t *body, const struct args *args, struct err *err)
{
	static const struct {
		const char *option, *member;
		long max;
	} numbers[] = {
	    {"requests", "requestRate", 1000000}, {"concurrency", "concurrency", 100000}};
	int64_t rate;
	long number;

	if (args_has(args, "bandwidth")) {
		if (rate_parse(&rate, "--bandwidth", args_value(args, "bandwidth"), err) < 0)
			return err->code;
		json_object_set_new(body, "bandwidth", json_integer(rate));
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		if (!args_has(args, numbers[i].option))
			continue;
		if (args_number(args, numbers[i].option, 0, 0, numbers[i].max, &number, err) < 0)
			return err->code;
		json_object_set_new(body, numbers[i].member, json_integer(number));
	}
	return 0;
}

/* Signs in with the browser that is here, or with one elsewhere. */
static int
sign_in(struct cli *cli, const struct args *args, const char *name, struct err *err)
{
	return sign_in_run(cli, name, !args_has(args, "no-browser") && sign_in_has_browser(), err);
}

int
cmd_account_sign_in(struct cli *cli, struct args *args)
{
	const char *name = args_operand(args, 0);
	struct err err = ERR_INIT;

	return sign_in(cli, args, name, &err) < 0 || test_account(cli, name, &err) < 0
	    ? cli_fail(&err)
	    : EXIT_OK;
}

/* The account is there: does it work?  If people sign in to it, that comes first. */
static int
try_added(struct cli *cli, const struct args *args, const char *name, bool is_open)
{
	struct err err = ERR_INIT;

	if (args_has(args, "no-test"))
		return EXIT_OK;
	if (is_open && sign_in(cli, args, name, &err) < 0) {
		cli_warn("%s was added, but nobody is signed in: %s ('skyferry account sign-in %s' "
			 "tries again, 'skyferry account remove %s' removes it)",
		    name, err_text(&err), name, name);
		return EXIT_FAILED;
	}
	if (test_account(cli, name, &err) < 0) {
		cli_warn("%s was added, but does not work: %s ('skyferry account test %s' tries "
			 "again, 'skyferry account remove %s' removes it)",
		    name, err_text(&err), name, name);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int
cmd_account_add(struct cli *cli, struct args *args)
{
	const char *name = args_operand(args, 0);
	json_t *fields = json_object(), *providers = NULL, *body = json_object();
	json_t *answer = NULL;
	const json_t *provider = NULL;
	struct err err = ERR_INIT;
	bool is_open;
	int code;

	if (!account_name_is_valid(name)) {
		json_decref(fields);
		json_decref(body);
		return cli_usage(cli,
		    "'%s' cannot be an account's name: 1 to 64 letters, digits, '.', '_' or '-', "
		    "not beginning with '.' or '-'",
		    name);
	}
	code = take_limits(body, args, &err);
	if (code == 0)
		code = providers_load(cli, &providers, &err);
	if (code == 0)
		code = providers_find(&provider, providers, args_operand(args, 1), &err);
	if (code == 0)
		code = gather(args, provider, fields, &err);
	if (code < 0) {
		json_decref(fields);
		json_decref(providers);
		json_decref(body);
		if (code == -EINVAL)
			return cli_usage(cli, "%s", err_text(&err));
		return cli_fail(&err);
	}
	json_object_set_new(body, "name", json_string(name));
	json_object_set_new(body, "provider", json_string(json_str(provider, "name")));
	json_object_set_new(body, "credentials", fields);
	code = cli_call(cli, &answer, "POST", body, &err, "/api/accounts");
	json_decref(providers);
	is_open = json_flag(answer, "held");
	json_decref(answer);
	if (code < 0)
		return cli_fail(&err);
	printf("%s: added\n", name);
	return try_added(cli, args, name, is_open);
}

int
cmd_account_list(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	json_t *answer = NULL, *account, *accounts;
	size_t i, width = strlen("NAME");

	if (cli_call(cli, &answer, "GET", NULL, &err, "/api/accounts") < 0)
		return cli_fail(&err);
	if (args_has(args, "json")) {
		cli_print_json(answer);
		return EXIT_OK;
	}
	accounts = json_object_get(answer, "accounts");
	if (json_array_size(accounts) == 0 && isatty(STDOUT_FILENO))
		printf("There is no account yet: 'skyferry account add --help'\n");
	json_array_foreach (accounts, i, account)
		width = MAX(width, strlen(json_str(account, "name")));
	if (json_array_size(accounts) > 0)
		printf(
		    "%-*s  %-10s %-6s %s\n", (int)width, "NAME", "PROVIDER", "STATUS", "MESSAGE");
	json_array_foreach (accounts, i, account) {
		printf("%-*s  %-10s %-6s ", (int)width, json_str(account, "name"),
		    json_str(account, "provider"), json_str(account, "status"));
		cli_puts(json_str(account, "message"));
		putchar('\n');
	}
	json_decref(answer);
	return EXIT_OK;
}

static void
print_line(const char *title, const char *value)
{
	printf("%-16s ", title);
	cli_puts(value);
	putchar('\n');
}

static void
print_number(const char *title, const json_t *object, const char *member)
{
	if (json_object_get(object, member) != NULL)
		printf("%-16s %" PRIu64 "\n", title, json_num(object, member));
}

static void
print_limits(const json_t *account)
{
	const json_t *throttle = json_object_get(account, "throttle"), *pair;
	size_t i;

	print_number("Bandwidth", account, "bandwidth");
	print_number("Requests/s", account, "requestRate");
	print_number("Concurrency", account, "concurrency");
	if (json_flag(account, "held"))
		print_line("Transfers", "wait until it has new credentials, or a test goes well");
	if (throttle != NULL)
		printf("%-16s asked to slow down: %" PRIu64 " requests at once, none for %" PRIu64
		       " ms\n",
		    "Throttle", json_num(throttle, "window"), json_num(throttle, "pausedMs"));
	json_array_foreach (json_object_get(account, "pairs"), i, pair) {
		bool to =
		    strcmp(json_str(pair, "destinationAccountId"), json_str(account, "id")) == 0;

		printf("%-16s %s: %" PRIu64 " run of %" PRIu64 " at once: ", "Changes",
		    !to                                            ? "from it"
			: json_object_get(pair, "sourceAccountId") ? "to it"
								   : "in it",
		    json_num(pair, "running"), json_num(pair, "concurrency"));
		cli_puts(json_str(pair, "reason"));
		putchar('\n');
	}
}

int
cmd_account_show(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *name = uri_encode(args_operand(args, 0));
	struct err err = ERR_INIT;
	json_t *account = NULL, *value;
	const char *key;
	char created[FORMAT_MAX];

	if (cli_call(cli, &account, "GET", NULL, &err, "/api/accounts/%s", name) < 0)
		return cli_fail(&err);
	if (args_has(args, "json")) {
		cli_print_json(account);
		return EXIT_OK;
	}
	print_line("Name", json_str(account, "name"));
	print_line("Id", json_str(account, "id"));
	print_line("Provider", json_str(account, "provider"));
	print_line("Status", json_str(account, "status"));
	if (json_str(account, "message")[0] != '\0')
		print_line("Message", json_str(account, "message"));
	print_limits(account);
	print_line("Added", format_time(created, json_str(account, "createdAt")));
	json_object_foreach (json_object_get(account, "settings"), key, value) {
		if (json_is_string(value))
			print_line(key, json_string_value(value));
	}
	json_decref(account);
	return EXIT_OK;
}

int
cmd_account_test(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	int status = EXIT_OK;

	for (size_t i = 0; i < args_count(args); i++) {
		if (test_account(cli, args_operand(args, i), &err) == 0)
			continue;
		cli_warn("%s: %s", args_operand(args, i), err_text(&err));
		status = EXIT_FAILED;
	}
	return status;
}

int
cmd_account_rename(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *old = uri_encode(args_operand(args, 0));
	const char *new = args_operand(args, 1);
	struct err err = ERR_INIT;

	if (!account_name_is_valid(new))
		return cli_usage(cli, "'%s' cannot be an account's name", new);
	if (cli_call(cli, NULL, "PUT", json_pack("{s:s}", "name", new), &err, "/api/accounts/%s",
		old) < 0)
		return cli_fail(&err);
	return EXIT_OK;
}

int
cmd_account_limit(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *name = uri_encode(args_operand(args, 0));
	struct err err = ERR_INIT;
	json_t *body = json_object();
	int64_t rate;
	int code = take_limits(body, args, &err);

	if (code == 0 && args_count(args) > 1) {
		code = rate_parse(&rate, "RATE", args_operand(args, 1), &err);
		if (code == 0)
			json_object_set_new(body, "bandwidth", json_integer(rate));
	}
	if (code == 0 && json_object_size(body) == 0)
		code = err_set(&err, -EINVAL, "no limit is given");
	if (code < 0) {
		json_decref(body);
		return cli_usage(cli, "%s", err_text(&err));
	}
	if (cli_call(cli, NULL, "PUT", body, &err, "/api/accounts/%s", name) < 0)
		return cli_fail(&err);
	return EXIT_OK;
}

int
cmd_account_remove(struct cli *cli, struct args *args)
{
	struct err err = ERR_INIT;
	int status = EXIT_OK;

	for (size_t i = 0; i < args_count(args); i++) {
		CLEANUP(cleanup_free) char *name = uri_encode(args_operand(args, i));

		if (cli_call(cli, NULL, "DELETE", NULL, &err, "/api/accounts/%s", name) < 0)
			status = cli_fail(&err);
	}
	return status;
}
