#include "cli/batch.h"
#include "cli/changes.h"
#include "cli/format.h"
#include "cli/idle.h"
#include "src/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  1000
#define DAY_S 86400

const struct option_def transfer_all_options[] = {
    {'a', "all", NULL, "all there are, instead of ids"},
    {0},
};
const struct option_def transfer_wait_options[] = {
    {'a', "all", NULL, "until nothing is pending, queued or running"},
    {0, "timeout", "SECONDS", "give up after so long, and fail"},
    {'q', "quiet", NULL, "no progress"},
    {0},
};

static void
print_text(const char *title, const char *value)
{
	if (value[0] == '\0')
		return;
	printf("%-12s ", title);
	cli_puts(value);
	putchar('\n');
}

static void
print_bytes(const json_t *change)
{
	uint64_t total = json_num_or_unknown(change, "bytesTotal");
	uint64_t done = json_num(change, "bytesDone");
	char a[FORMAT_MAX], b[FORMAT_MAX];

	if (total == UINT64_MAX && done == 0)
		return;
	printf("%-12s %s of %s", "Bytes", format_bytes(a, done), format_bytes(b, total));
	if (format_percent(done, total) >= 0)
		printf(" (%d%%)", format_percent(done, total));
	if (json_num(change, "rate") > 0)
		printf(", %s", format_rate(a, json_num(change, "rate")));
	if (json_num_or_unknown(change, "etaSeconds") != UINT64_MAX)
		printf(", %s left", format_duration(a, json_num(change, "etaSeconds")));
	putchar('\n');
}

/* Of a tree. */
static void
print_children(const json_t *change)
{
	const json_t *c = json_object_get(change, "children");
	char a[FORMAT_MAX], b[FORMAT_MAX], d[FORMAT_MAX];

	if (c != NULL)
		printf("%-12s %s of %s%s done, %s failed\n", "Entries",
		    format_count(a, json_num(c, "done")), format_count(b, json_num(c, "total")),
		    json_flag(c, "listed") ? "" : " found so far",
		    format_count(d, json_num(c, "failed")));
}

static void
print_change(const struct names *names, const json_t *change)
{
	static const struct {
		const char *title, *key;
	} times[] = {{"Accepted", "createdAt"}, {"Not before", "notBefore"},
	    {"Started", "startedAt"}, {"Ended", "finishedAt"}};
	const json_t *error = json_object_get(change, "error");
	CLEANUP(cleanup_free) char *label = change_label(names, change);
	char time[FORMAT_MAX];

	print_text("Id", json_str(change, "id"));
	print_text("What", label);
	print_text("Part of", json_str(change, "parent"));
	printf("%-12s %s%s\n", "Status", json_str(change, "status"),
	    json_flag(change, "waiting") ? ", behind an earlier change of the same path"
		: json_flag(change, "cancelRequested") ? ", cancelling"
						       : "");
	print_children(change);
	print_bytes(change);
	printf("%-12s %" PRIu64 "\n", "Priority", json_num(change, "priority"));
	printf("%-12s %" PRIu64 "\n", "Attempts", json_num(change, "attempts"));
	print_text("Route", json_str(change, "route"));
	print_text("Because", json_str(change, "routeReason"));
	print_text("Verified by", json_str(change, "verified"));
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		if (json_str(change, times[i].key)[0] != '\0')
			print_text(
			    times[i].title, format_time(time, json_str(change, times[i].key)));
	}
	print_text("Error", json_str(error, "message"));
}

int
cmd_transfer_show(struct cli *cli, struct args *args)
{
	bool as_json = args_has(args, "json");
	json_t *all = json_array();
	struct names *names = NULL;
	struct err err = ERR_INIT;
	int status = EXIT_OK;

	if (!as_json && names_load(&names, cli, &err) < 0) {
		json_decref(all);
		return cli_fail(&err);
	}
	for (size_t i = 0; i < args_count(args); i++) {
		json_t *change = NULL;
		char id[ID_LEN + 1];

		if (change_resolve(cli, id, args_operand(args, i), &err) < 0 ||
		    cli_call(cli, &change, "GET", NULL, &err, "/api/transfers/%s", id) < 0) {
			status = cli_fail(&err);
			continue;
		}
		if (!as_json && i > 0)
			putchar('\n');
		if (!as_json)
			print_change(names, change);
		json_array_append_new(all, change);
	}
	if (as_json && args_count(args) == 1 && json_array_size(all) == 1)
		cli_print_json(json_incref(json_array_get(all, 0)));
	else if (as_json)
		cli_print_json(json_incref(all));
	json_decref(all);
	names_free(names);
	return status;
}

/* POST /api/transfers/ID/ACTION. */
static int
act_on(struct cli *cli, const char *id, const char *action, struct err *err)
{
	json_t *change = NULL;
	int code = cli_call(cli, &change, "POST", NULL, err, "/api/transfers/%s/%s", id, action);

	if (code == 0)
		printf("%s  %s\n", id,
		    json_flag(change, "cancelRequested") ? "cancelling"
							 : json_str(change, "status"));
	json_decref(change);
	return code;
}

/*
 * Every change in `states`.  What was acted upon leaves them, so the first page is asked for until
 * it brings nothing new; what stays in them for a while (a cancel that is being carried out) or
 * cannot be acted upon is passed over by going on to later pages.
 */
static int
act_on_all(struct cli *cli, const char *states, const char *action)
{
	json_t *seen = json_object();
	struct err err = ERR_INIT;
	unsigned page = 1;
	int status = EXIT_OK;

	for (;;) {
		json_t *answer = NULL, *changes, *change;
		size_t i, fresh = 0;

		if (changes_page(cli, &answer, states, NULL, page, PAGE, &err) < 0) {
			status = cli_fail(&err);
			break;
		}
		changes = json_object_get(answer, "transfers");
		json_array_foreach (changes, i, change) {
			const char *id = json_str(change, "id");

			if (json_object_get(seen, id) != NULL)
				continue;
			json_object_set_new(seen, id, json_true());
			fresh++;
			if (act_on(cli, id, action, &err) < 0 && err.code != -EALREADY)
				status = cli_fail(&err);
		}
		i = json_array_size(changes);
		json_decref(answer);
		if (i == 0)
			break;
		page = fresh > 0 ? 1 : page + 1;
	}
	json_decref(seen);
	return status;
}

static int
act(struct cli *cli, struct args *args, const char *states, const char *action)
{
	bool all = args_has(args, "all");
	struct err err = ERR_INIT;
	int status = EXIT_OK;

	if (all == (args_count(args) > 0))
		return cli_usage(cli, all ? "--all takes no ids" : "name ids, or say --all");
	if (all)
		return act_on_all(cli, states, action);
	for (size_t i = 0; i < args_count(args); i++) {
		char id[ID_LEN + 1];

		if (change_resolve(cli, id, args_operand(args, i), &err) < 0 ||
		    act_on(cli, id, action, &err) < 0)
			status = cli_fail(&err);
	}
	return status;
}

int
cmd_transfer_cancel(struct cli *cli, struct args *args)
{
	return act(cli, args, "pending,queued,running", "cancel");
}

int
cmd_transfer_retry(struct cli *cli, struct args *args)
{
	return act(cli, args, "failed", "retry");
}

/* ID... RATE */
int
cmd_transfer_limit(struct cli *cli, struct args *args)
{
	size_t ids = args_count(args) - 1;
	struct err err = ERR_INIT;
	int status = EXIT_OK;
	int64_t rate;

	if (rate_parse(&rate, "RATE", args_operand(args, ids), &err) < 0)
		return cli_usage(cli, "%s", err_text(&err));
	for (size_t i = 0; i < ids; i++) {
		char id[ID_LEN + 1];

		if (change_resolve(cli, id, args_operand(args, i), &err) < 0 ||
		    cli_call(cli, NULL, "PUT", json_pack("{s:I}", "bandwidth", (json_int_t)rate),
			&err, "/api/transfers/%s", id) < 0)
			status = cli_fail(&err);
	}
	return status;
}

int
cmd_transfer_wait(struct cli *cli, struct args *args)
{
	struct batch_options options = {.quiet = args_has(args, "quiet")};
	uint64_t deadline = UINT64_MAX;
	struct err err = ERR_INIT;
	struct batch *batch;
	size_t live;
	long timeout;
	int status;

	if (args_has(args, "all") == (args_count(args) > 0))
		return cli_usage(cli, "name ids, or say --all");
	if (args_number(args, "timeout", -1, 0, 365L * DAY_S, &timeout, &err) < 0)
		return cli_usage(cli, "%s", err_text(&err));
	if (timeout >= 0)
		deadline = clock_mono_ms() + (uint64_t)timeout * 1000;
	if (args_has(args, "all"))
		return idle_wait(cli, deadline, options.quiet);
	batch = batch_new(cli, &options, &err);
	if (batch == NULL)
		return cli_fail(&err);
	for (size_t i = 0; i < args_count(args); i++) {
		char id[ID_LEN + 1];

		if (change_resolve(cli, id, args_operand(args, i), &err) < 0)
			batch_fail(batch, args_operand(args, i), &err);
		else
			batch_track(batch, id, id);
	}
	batch_wait(batch, deadline);
	live = batch_live(batch);
	if (live > 0 && !cli->interrupted && clock_mono_ms() >= deadline) {
		batch_free(batch);
		cli_warn("%zu of them %s not ended after %ld s", live, live == 1 ? "has" : "have",
		    timeout);
		return EXIT_FAILED;
	}
	status = batch_finish(batch);
	batch_free(batch);
	return status;
}
