/* skyferry: the table of commands, and what stands before them on the command line. */
#include "cli/cli.h"
#include "cli/text.h"
#include "src/log.h"
#include "src/settings.h"
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_def global_options[] = {
    {0, "config", "FILE", "read settings from FILE"},
    {0, "set", "NAME=VALUE", "one setting: see skyferry.conf(5)"},
    {'V', "version", NULL, "print the version"},
    {'h', "help", NULL, "print this, or with a command its help"},
    {0},
};
static const struct option_def no_options[] = {{0}};

static const struct command commands[] = {
    {"account add", NULL, "NAME PROVIDER [FIELD=VALUE...]", "add a cloud account",
	"What a provider needs is shown by 'skyferry provider list'.  A local account's\n"
	"directory can stand by itself: skyferry account add photos local ~/Photos\n"
	"Secrets are asked for, or come from --secrets or from the environment\n"
	"(SKYFERRY_CREDENTIAL_SECRET_ACCESS_KEY for secretAccessKey); never from arguments.\n",
	account_add_options, 2, OPERANDS_ANY, cmd_account_add},
    {"account list", NULL, "", "list the accounts", NULL, json_options, 0, 0, cmd_account_list},
    {"account show", NULL, "NAME", "show an account, without its secrets", NULL, json_options, 1, 1,
	cmd_account_show},
    {"account sign-in", NULL, "NAME", "sign in to an account's cloud with a browser",
	"For accounts whose provider has people sign in, when they are added, or when the cloud\n"
	"does not take the former sign-in any more.  Transfers that waited for it go on.\n",
	sign_in_options, 1, 1, cmd_account_sign_in},
    {"account test", NULL, "NAME...", "contact the cloud", NULL, NULL, 1, OPERANDS_ANY,
	cmd_account_test},
    {"account rename", NULL, "OLD NEW", "rename an account", NULL, NULL, 2, 2, cmd_account_rename},
    {"account limit", NULL, "NAME [RATE]", "limit how much an account is used",
	"RATE is the same as --bandwidth; 0: no limit.  Limits hold at once, for what runs too.\n",
	account_limit_options, 1, 2, cmd_account_limit},
    {"account remove", NULL, "NAME...", "forget an account (nothing in the cloud is touched)", NULL,
	NULL, 1, OPERANDS_ANY, cmd_account_remove},
    {"provider list", NULL, "", "list the clouds, and what an account of each needs", NULL,
	json_options, 0, 0, cmd_provider_list},
    {"cp", NULL, "ACCOUNT:PATH... DESTINATION", "copy between and within accounts",
	"DESTINATION is ACCOUNT:PATH.  If it ends in '/', is a directory, or there are several\n"
	"sources, they go into it.  The daemon does the work, and goes on with it if this\n"
	"command is interrupted.\n",
	copy_options, 2, OPERANDS_ANY, cmd_cp},
    {"mv", NULL, "ACCOUNT:PATH... DESTINATION", "move between and within accounts",
	"A source is removed when its copy has been verified.  See 'skyferry cp --help'.\n",
	copy_options, 2, OPERANDS_ANY, cmd_mv},
    {"rm", NULL, "ACCOUNT:PATH...", "remove files", NULL, rm_options, 1, OPERANDS_ANY, cmd_rm},
    {"mkdir", NULL, "ACCOUNT:PATH...", "make directories", NULL, mkdir_options, 1, OPERANDS_ANY,
	cmd_mkdir},
    {"ls", NULL, "[ACCOUNT:PATH...]", "list a directory; without one, the accounts",
	"Control characters are shown as \\xNN; --json has the names as they are.\n", ls_options, 0,
	OPERANDS_ANY, cmd_ls},
    {"stat", NULL, "ACCOUNT:PATH...", "show what a cloud knows of a file", NULL, stat_options, 1,
	OPERANDS_ANY, cmd_stat},
    {"transfers", "changes", "", "list transfers and other changes, or watch them", NULL,
	transfers_options, 0, 0, cmd_transfers},
    {"transfer show", NULL, "ID...", "show all about a transfer",
	"ID may be the beginning of one: at least 4 characters that no other has.\n", json_options,
	1, OPERANDS_ANY, cmd_transfer_show},
    {"transfer cancel", NULL, "ID...", "cancel transfers that have not ended", NULL,
	transfer_all_options, 0, OPERANDS_ANY, cmd_transfer_cancel},
    {"transfer retry", NULL, "ID...", "queue failed or cancelled transfers again",
	"--all: all that failed.\n", transfer_all_options, 0, OPERANDS_ANY, cmd_transfer_retry},
    {"transfer limit", NULL, "ID... RATE", "limit the bandwidth of transfers, also while they run",
	"RATE: bytes a second of each, such as 500K or 10M; 0: no limit.\n", NULL, 2, OPERANDS_ANY,
	cmd_transfer_limit},
    {"transfer wait", NULL, "ID...", "wait for the end; fail if one failed", NULL,
	transfer_wait_options, 0, OPERANDS_ANY, cmd_transfer_wait},
    {"mount", NULL, "DIRECTORY", "mount all accounts as directories of DIRECTORY", NULL,
	mount_options, 1, 1, cmd_mount},
    {"unmount", "umount", "DIRECTORY", "unmount; the daemon goes on with what was queued", NULL,
	unmount_options, 1, 1, cmd_unmount},
    {"status", NULL, "", "daemon, accounts, changes and mounts at a glance", NULL, json_options, 0,
	0, cmd_status},
    {"user add", NULL, "NAME", "add a user of the daemon (administrators)",
	"The password is asked for, or comes from --password-file or SKYFERRY_PASSWORD.\n",
	user_add_options, 1, 1, cmd_user_add},
    {"user passwd", NULL, "[NAME]", "set one's own password, or as administrator another's", NULL,
	user_passwd_options, 0, 1, cmd_user_passwd},
    {"user list", NULL, "", "list the users (administrators)", NULL, json_options, 0, 0,
	cmd_user_list},
    {"login", NULL, "[URL]", "sign in to the daemon at URL, or SKYFERRY_URL",
	"The token is saved, for this user only.  The password is asked for, or comes from\n"
	"--password-file or SKYFERRY_PASSWORD.\n",
	login_options, 0, 1, cmd_login},
};

static void
print_help(void)
{
	printf("Usage: skyferry [OPTION...] COMMAND [ARGUMENT...]\n"
	       "Mounts cloud accounts as directories, and moves data between them.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		printf("  %-16s %s", commands[i].name, commands[i].help);
		if (commands[i].alias != NULL)
			printf(" (also: %s)", commands[i].alias);
		putchar('\n');
	}
	printf("\nOptions:\n");
	args_print_options(stdout, global_options);
	printf("\n'skyferry COMMAND --help' tells more, skyferry(1) all.\n");
}

static int
print_command_help(const struct command *c)
{
	const struct option_def *options = c->options != NULL ? c->options : no_options;
	bool has = options->letter != 0 || options->name != NULL;

	printf("Usage: skyferry %s%s%s%s\n%c%s.\n", c->name, has ? " [OPTION...]" : "",
	    c->usage[0] != '\0' ? " " : "", c->usage, c->help[0] - 'a' + 'A', c->help + 1);
	if (c->alias != NULL)
		printf("Also called '%s'.\n", c->alias);
	if (c->details != NULL)
		printf("\n%s", c->details);
	printf("\nOptions:\n");
	args_print_options(stdout, options);
	printf("  %-24s %s\n", "-h, --help", "print this");
	return EXIT_OK;
}

/* Does argv begin with the words of `name`?  How many they are, or 0. */
static int
match_words(const char *name, int argc, char **argv)
{
	const char *space = strchr(name, ' ');

	if (space == NULL)
		return argc > 0 && strcmp(argv[0], name) == 0 ? 1 : 0;
	return argc > 1 && strlen(argv[0]) == (size_t)(space - name) &&
		strncmp(argv[0], name, (size_t)(space - name)) == 0 &&
		strcmp(argv[1], space + 1) == 0
	    ? 2
	    : 0;
}

static const struct command *
find_command(int argc, char **argv, int *words)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		*words = match_words(commands[i].name, argc, argv);
		if (*words == 0 && commands[i].alias != NULL)
			*words = match_words(commands[i].alias, argc, argv);
		if (*words > 0)
			return &commands[i];
	}
	return NULL;
}

/* "account": the commands that begin so; false if there are none. */
static bool
print_group(FILE *file, const char *word)
{
	size_t len = strlen(word);
	bool any = false;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strncmp(commands[i].name, word, len) != 0 || commands[i].name[len] != ' ')
			continue;
		fprintf(file, "  %-16s %s\n", commands[i].name, commands[i].help);
		any = true;
	}
	return any;
}

static bool
is_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static bool
wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is_help(argv[i]))
			return true;
	}
	return false;
}

static const char *
nearest_command(const char *typed)
{
	size_t best = strlen(typed) / 3 + 2;
	const char *nearest = NULL;

	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		size_t distance = text_distance(typed, commands[i].name);

		if (commands[i].alias != NULL)
			distance = MIN(distance, text_distance(typed, commands[i].alias));
		if (distance < best) {
			best = distance;
			nearest = commands[i].name;
		}
	}
	return nearest;
}

static int
unknown_command(const struct cli *cli, int argc, char **argv)
{
	CLEANUP(cleanup_free)
	char *two = argc > 1 ? xasprintf("%s %s", argv[0], argv[1]) : xstrdup(argv[0]);
	const char *nearest;

	if (argc > 1 && is_help(argv[1]) && print_group(stdout, argv[0]))
		return EXIT_OK;
	if (argc == 1 && print_group(stderr, argv[0]))
		return cli_usage(cli, "'%s' needs one more word", argv[0]);
	nearest = nearest_command(two);
	if (nearest == NULL)
		nearest = nearest_command(argv[0]);
	if (nearest != NULL)
		return cli_usage(cli, "there is no command '%s'; did you mean '%s'?", two, nearest);
	return cli_usage(cli, "there is no command '%s'", argv[0]);
}

/* The environment too: what mount runs must see the same. */
static int
load_settings(struct cli *cli, const struct args *globals, struct err *err)
{
	const char *config = args_value(globals, "config"), *arg;
	int code;

	if (config != NULL)
		setenv("SKYFERRY_CONFIG", config, 1);
	for (size_t i = 0; (arg = args_value_at(globals, "set", i)) != NULL; i++) {
		struct buf name = BUF_INIT(256);
		struct settings *scratch = settings_new();

		/* checked here, so that the message names the argument */
		code = settings_set_arg(scratch, arg, err);
		settings_free(scratch);
		if (code < 0)
			return code;
		buf_puts(&name, "SKYFERRY_");
		for (; *arg != '='; arg++)
			buf_putc(&name,
			    *arg == '.'                      ? '_'
				: *arg >= 'a' && *arg <= 'z' ? (char)(*arg - 'a' + 'A')
							     : *arg);
		setenv(buf_str(&name), arg + 1, 1);
		buf_free(&name);
	}
	cli->settings = settings_new();
	return settings_load(cli->settings, err);
}

static int
run_command(struct cli *cli, int argc, char **argv)
{
	const struct command *c = cli->command;
	struct args *args = NULL;
	struct err err = ERR_INIT;
	int status;

	if (args_parse(
		&args, c->options != NULL ? c->options : no_options, argc, argv, false, &err) < 0)
		return cli_usage(cli, "%s", err_text(&err));
	if (args_count(args) < c->min || args_count(args) > c->max)
		status = cli_usage(cli, "%s: use it as: skyferry %s %s",
		    args_count(args) < c->min ? "an argument is missing" : "too many arguments",
		    c->name, c->usage);
	else
		status = c->run(cli, args);
	args_free(args);
	return status;
}

static int
run(struct cli *cli, struct args *globals)
{
	int argc = (int)args_count(globals), words = 0;
	struct err err = ERR_INIT;
	char **argv = NULL;

	if (args_has(globals, "version")) {
		printf("skyferry %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	}
	if (args_has(globals, "help") && argc == 0) {
		print_help();
		return EXIT_OK;
	}
	if (argc == 0)
		return cli_usage(cli, "a command is missing");
	argv = xcalloc((size_t)argc + 2, sizeof(*argv));
	for (int i = 0; i < argc; i++)
		argv[i] = args_operand(globals, (size_t)i);
	if (args_has(globals, "help"))
		argv[argc++] = "--help";
	cli->command = find_command(argc, argv, &words);
	if (cli->command == NULL)
		words = unknown_command(cli, argc, argv);
	else if (wants_help(argc - words, argv + words))
		words = print_command_help(cli->command);
	else if (load_settings(cli, globals, &err) < 0 || cli_init(cli, &err) < 0)
		words = cli_fail(&err);
	else
		words = run_command(cli, argc - words, argv + words);
	free(argv);
	return words;
}

int
main(int argc, char **argv)
{
	struct cli cli = {0};
	struct args *globals = NULL;
	struct err err = ERR_INIT;
	int status;

	setlocale(LC_ALL, "");
	signal(SIGPIPE, SIG_IGN);
	log_init("skyferry", LOG_LEVEL_WARNING);
	if (args_parse(&globals, global_options, argc - 1, argv + 1, true, &err) < 0)
		return cli_usage(&cli, "%s", err_text(&err));
	status = run(&cli, globals);
	args_free(globals);
	cli_fini(&cli);
	/* "disk full" comes out here; a reader who has left is no failure of ours to report */
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_OK) {
		if (errno != EPIPE)
			cli_warn("cannot write the output: %s", strerror(errno));
		status = EXIT_FAILED;
	}
	return status;
}
