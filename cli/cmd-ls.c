#include "cli/cli.h"
#include "cli/format.h"
#include "cli/remote.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct option_def ls_options[] = {
    {'l', "long", NULL, "size and time too"},
    {0, "hidden", NULL, "the keys that no path can express, of stores that have keys"},
    {0, "json", NULL, "print JSON"},
    {0},
};
const struct option_def stat_options[] = {
    {0, "json", NULL, "print JSON"},
    {0},
};

static void
print_entry(const json_t *entry, bool details)
{
	char time[FORMAT_MAX];
	bool directory = entry_is_directory(entry);

	if (details && !directory && json_is_true(json_object_get(entry, "unsized")))
		printf("- %15s  %-19s  ", "?", format_time(time, json_str(entry, "mtime")));
	else if (details && directory)
		printf("d %15s  %-19s  ", "-", format_time(time, json_str(entry, "mtime")));
	else if (details)
		printf("- %15" PRIu64 "  %-19s  ", json_num(entry, "size"),
		    format_time(time, json_str(entry, "mtime")));
	cli_puts(json_str(entry, "name"));
	cli_puts(json_str(entry, "key")); /* it has its slash */
	puts(directory && json_object_get(entry, "key") == NULL ? "/" : "");
}

static int
ls_accounts(struct cli *cli, bool details, bool as_json)
{
	struct err err = ERR_INIT;
	json_t *answer = NULL, *account;
	size_t i;

	if (cli_call(cli, &answer, "GET", NULL, &err, "/api/accounts") < 0)
		return cli_fail(&err);
	if (as_json) {
		cli_print_json(answer);
		return EXIT_OK;
	}
	json_array_foreach (json_object_get(answer, "accounts"), i, account) {
		if (details)
			printf("%-8s  %-5s  ", json_str(account, "provider"),
			    json_str(account, "status"));
		printf("%s:\n", json_str(account, "name"));
	}
	json_decref(answer);
	return EXIT_OK;
}

/* *out: {"path","entries","hidden"}; a file is its own only entry. */
static int
ls_read(struct cli *cli, json_t **out, const struct remote *what, struct err *err)
{
	json_t *entry = NULL;
	int code = remote_stat(cli, &entry, what->account, what->path, err);

	if (code < 0)
		return code;
	if (entry_is_directory(entry)) {
		code = remote_list(cli, out, what->account, what->path, err);
		json_decref(entry);
	} else if (what->slash) {
		code = err_set(err, -ENOTDIR, "is a file, not a directory");
		json_decref(entry);
	} else {
		*out = json_pack(
		    "{s:s, s:[o], s:i}", "path", what->path, "entries", entry, "hidden", 0);
	}
	return code;
}

static int
ls_read_keys(struct cli *cli, json_t **out, const struct remote *what, struct err *err)
{
	return remote_keys(cli, out, what->account, what->path, err);
}

int
cmd_ls(struct cli *cli, struct args *args)
{
	bool details = args_has(args, "long"), as_json = args_has(args, "json");
	bool hidden = args_has(args, "hidden");
	json_t *all = json_array(), *answer, *entry;
	int status = EXIT_OK;
	size_t j;

	if (args_count(args) == 0) {
		json_decref(all);
		if (hidden)
			return cli_usage(cli, "--hidden needs an account to look in");
		return ls_accounts(cli, details, as_json);
	}
	for (size_t i = 0; i < args_count(args); i++) {
		const char *arg = args_operand(args, i);
		CLEANUP(remote_fini) struct remote what = {0};
		struct err err = ERR_INIT;

		answer = NULL;
		if ((hidden ? remote_parse_key : remote_parse)(&what, arg, &err) < 0 ||
		    (hidden ? ls_read_keys : ls_read)(cli, &answer, &what, &err) < 0) {
			cli_warn("%s: %s", arg, err_text(&err));
			status = EXIT_FAILED;
			continue;
		}
		if (json_num(answer, "hidden") > 0)
			cli_warn("%s: names left out, because no %s can express them: %" PRIu64,
			    arg, hidden ? "text" : "path", json_num(answer, "hidden"));
		if (as_json) {
			json_array_append_new(all, answer);
			continue;
		}
		if (args_count(args) > 1) {
			if (i > 0)
				putchar('\n');
			cli_puts(arg);
			puts(":");
		}
		json_array_foreach (json_object_get(answer, hidden ? "keys" : "entries"), j, entry)
			print_entry(entry, details);
		json_decref(answer);
	}
	if (as_json && args_count(args) == 1 && json_array_size(all) == 1)
		cli_print_json(json_incref(json_array_get(all, 0)));
	else if (as_json)
		cli_print_json(json_incref(all));
	json_decref(all);
	return status;
}

static void
print_stat(const char *arg, const json_t *entry)
{
	static const char *fields[][2] = {{"Type", "contentType"}, {"Version", "version"}};
	char time[FORMAT_MAX], size[FORMAT_MAX];
	const char *algorithm;
	json_t *hash;

	printf("%-10s ", "Path");
	cli_puts(arg);
	printf("\n%-10s %s\n", "Kind", json_str(entry, "kind"));
	if (json_is_true(json_object_get(entry, "unsized")))
		printf("%-10s not known before it is read\n", "Size");
	else if (!entry_is_directory(entry))
		printf("%-10s %" PRIu64 " (%s)\n", "Size", json_num(entry, "size"),
		    format_bytes(size, json_num(entry, "size")));
	printf("%-10s %s\n", "Modified", format_time(time, json_str(entry, "mtime")));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (json_str(entry, fields[i][1])[0] == '\0')
			continue;
		printf("%-10s ", fields[i][0]);
		cli_puts(json_str(entry, fields[i][1]));
		putchar('\n');
	}
	json_object_foreach (json_object_get(entry, "hashes"), algorithm, hash) {
		printf("%-10s ", algorithm);
		cli_puts(json_is_string(hash) ? json_string_value(hash) : "?");
		putchar('\n');
	}
}

int
cmd_stat(struct cli *cli, struct args *args)
{
	bool as_json = args_has(args, "json");
	json_t *all = json_array(), *entry;
	int status = EXIT_OK;

	for (size_t i = 0; i < args_count(args); i++) {
		const char *arg = args_operand(args, i);
		CLEANUP(remote_fini) struct remote what = {0};
		struct err err = ERR_INIT;

		entry = NULL;
		if (remote_parse(&what, arg, &err) < 0 ||
		    remote_stat(cli, &entry, what.account, what.path, &err) < 0) {
			cli_warn("%s: %s", arg, err_text(&err));
			status = EXIT_FAILED;
			continue;
		}
		if (as_json) {
			json_array_append(all, entry);
		} else {
			if (i > 0)
				putchar('\n');
			print_stat(arg, entry);
		}
		json_decref(entry);
	}
	if (as_json && args_count(args) == 1 && json_array_size(all) == 1)
		cli_print_json(json_incref(json_array_get(all, 0)));
	else if (as_json)
		cli_print_json(json_incref(all));
	json_decref(all);
	return status;
}
