#include "cli/changes.h"
#include "cli/format.h"
#include "cli/text.h"
#include "cli/watch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LIMIT_DEFAULT 20
#define PAGE          1000

const struct option_def transfers_options[] = {
    {'w', "watch", NULL, "show live progress until interrupted"},
    {'s', "status", "STATUS", "only these: pending, queued, running, completed, failed, cancelled"},
    {'n', "limit", "N", "at most N, the newest (default 20)"},
    {0, "parent", "ID", "of this tree: its entries that failed or have not ended"},
    {'a', "all", NULL, "all of them"},
    {0, "json", NULL, "print JSON (with --watch: one event a line)"},
    {0},
};

static size_t
terminal_columns(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_col == 0)
		return SIZE_MAX;
	return size.ws_col;
}

static void
print_changes(const struct names *names, const json_t *changes)
{
	size_t columns = terminal_columns(), i;
	size_t id = columns == SIZE_MAX ? ID_LEN : ID_SHORT;
	const json_t *change;

	json_array_foreach (changes, i, change) {
		CLEANUP(cleanup_free) char *line = change_line(names, change, id);
		CLEANUP(cleanup_free) char *safe = text_escape(line);
		CLEANUP(cleanup_free) char *fit = text_fit(safe, columns);

		puts(fit);
	}
}

static int
list_changes(struct cli *cli, const char *status, const char *parent, uint64_t limit, bool as_json,
    struct err *err)
{
	struct names *names = NULL;
	json_t *all = json_array();
	uint64_t left = limit, total = 0, pages = 1, shown = 0;
	/* pages of one size: another one would move their borders */
	unsigned size = (unsigned)MIN(left, PAGE);
	char count[FORMAT_MAX];
	int code = as_json ? 0 : names_load(&names, cli, err);

	for (unsigned page = 1; code == 0 && left > 0 && page <= pages; page++) {
		json_t *answer = NULL, *changes, *change;
		size_t i;

		code = changes_page(cli, &answer, status, parent, page, size, err);
		if (code < 0)
			break;
		changes = json_object_get(answer, "transfers");
		pages = json_num(answer, "pages");
		total = json_num(answer, "total");
		while (json_array_size(changes) > left)
			json_array_remove(changes, json_array_size(changes) - 1);
		left -= json_array_size(changes);
		shown += json_array_size(changes);
		if (as_json) {
			json_array_foreach (changes, i, change)
				json_array_append(all, change);
		} else {
			print_changes(names, changes);
		}
		json_decref(answer);
	}
	if (code == 0 && as_json)
		cli_print_json(
		    json_pack("{s:O, s:I}", "transfers", all, "total", (json_int_t)total));
	else if (code == 0 && total > shown && isatty(STDOUT_FILENO))
		printf("%s more: --all, --limit N, --status STATUS\n",
		    format_count(count, total - shown));
	json_decref(all);
	names_free(names);
	return code;
}

int
cmd_transfers(struct cli *cli, struct args *args)
{
	const char *status = args_value(args, "status");
	const char *parent = args_value(args, "parent");
	bool as_json = args_has(args, "json");
	struct err err = ERR_INIT;
	char id[ID_LEN + 1];
	long limit;

	if (args_number(args, "limit", LIMIT_DEFAULT, 1, 1000000, &limit, &err) < 0 ||
	    (status != NULL && status_check(status, &err) < 0))
		return cli_usage(cli, "%s", err_text(&err));
	if (args_has(args, "watch")) {
		if (status != NULL || parent != NULL || args_has(args, "all") ||
		    args_has(args, "limit"))
			return cli_usage(cli, "--watch shows what happens: it takes only --json");
		return watch_run(cli, as_json);
	}
	if (parent != NULL && change_resolve(cli, id, parent, &err) < 0)
		return cli_fail(&err);
	if (list_changes(cli, status, parent != NULL ? id : NULL,
		args_has(args, "all") ? UINT64_MAX : (uint64_t)limit, as_json, &err) < 0)
		return cli_fail(&err);
	return EXIT_OK;
}
