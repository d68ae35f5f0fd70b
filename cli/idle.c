#include "cli/idle.h"
#include "cli/changes.h"
#include "cli/display.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "src/clock.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASK_MS      200 /* between two questions, at least */
#define ASK_SHARE   20 /* and at most a 20th of the time is spent on asking */
#define ASK_MAX_MS  30000 /* should an event get lost */
#define MISSED_PAGE 1000

struct idle {
	struct cli *cli;
	struct names *names;
	struct display *display;
	struct follow *follow;
	char *since; /* the newest end among the failed, when the waiting began */
	json_t *failed; /* ids that were named; at most MISSED_PAGE are remembered */
	uint64_t failures, live, due_ms;
	bool stale;
};

static void
idle_name_failure(struct idle *w, const json_t *change)
{
	const char *id = json_str(change, "id");
	CLEANUP(cleanup_free) char *label = NULL;
	const char *message = json_str(json_object_get(change, "error"), "message");

	if (json_object_get(w->failed, id) != NULL)
		return;
	if (json_object_size(w->failed) < MISSED_PAGE)
		json_object_set_new(w->failed, id, json_true());
	w->failures++;
	label = change_label(w->names, change);
	display_warn(w->display, "%s: %s", label, message[0] != '\0' ? message : "failed");
}

static void
idle_on_event(void *arg, const char *event, json_t *data)
{
	struct idle *w = arg;
	const char *status = json_str(data, "status");

	if (strcmp(event, "progress") == 0 && display_has(w->display, json_str(data, "id")))
		display_progress(w->display, json_str(data, "id"), "", json_num(data, "bytesDone"),
		    json_num_or_unknown(data, "bytesTotal"), json_num(data, "rate"),
		    json_num_or_unknown(data, "etaSeconds"));
	if (strcmp(event, "change") != 0 || w->names == NULL)
		return;
	if (strcmp(status, "running") == 0) {
		CLEANUP(cleanup_free) char *label = change_label(w->names, data);

		display_progress(w->display, json_str(data, "id"), label,
		    json_num(data, "bytesDone"), json_num_or_unknown(data, "bytesTotal"),
		    json_num(data, "rate"), json_num_or_unknown(data, "etaSeconds"));
		return;
	}
	display_remove(w->display, json_str(data, "id"));
	if (strcmp(status, "failed") == 0)
		idle_name_failure(w, data);
	if (!status_is_live(status)) {
		w->stale = true;
		cli_wake(w->cli);
	}
}

static char *
idle_totals(void *arg)
{
	struct idle *w = arg;
	char live[FORMAT_MAX], rate[FORMAT_MAX];

	return xasprintf("%s to go, %" PRIu64 " failed, %s%s", format_count(live, w->live),
	    w->failures, format_rate(rate, display_rate(w->display)),
	    follow_is_connected(w->follow) ? "" : ", waiting for the daemon");
}

/* The failed, newest end first: at the start to know where the new ones begin, after a lost
   connection to name those that no event told. */
static int
idle_read_failed(struct idle *w, bool name_them, struct err *err)
{
	json_t *answer = NULL, *change;
	size_t i;
	int code = cli_call(w->cli, &answer, "GET", NULL, err,
	    "/api/transfers?status=failed&sortBy=finishedAt&sortOrder=desc&limit=%d",
	    name_them ? MISSED_PAGE : 1);

	if (code < 0)
		return code;
	json_array_foreach (json_object_get(answer, "transfers"), i, change) {
		const char *ended = json_str(change, "finishedAt");

		/* RFC 3339 in UTC with milliseconds: the order of the text is that of time */
		if (!name_them)
			xstrset(&w->since, ended);
		else if (w->since == NULL || strcmp(ended, w->since) > 0)
			idle_name_failure(w, change);
	}
	json_decref(answer);
	return 0;
}

static int
idle_ask(struct idle *w, struct err *err)
{
	uint64_t began = clock_mono_ms(), took;
	int code;

	w->stale = false;
	code = changes_count(w->cli, &w->live, "pending,queued,running", err);
	took = clock_mono_ms() - began;
	w->due_ms = clock_mono_ms() + MAX(ASK_MS, took * ASK_SHARE);
	display_touch(w->display);
	return code;
}

static int
idle_start(struct idle *w, struct err *err)
{
	int code = follow_ready(w->follow, err);

	if (code == 0)
		code = idle_read_failed(w, false, err);
	if (code == 0)
		code = names_load(&w->names, w->cli, err);
	if (code == 0)
		code = idle_ask(w, err);
	follow_take_fresh(w->follow);
	return code;
}

/* Until nothing is live; 0, or why it could not be waited for. */
static int
idle_loop(struct idle *w, uint64_t deadline_ms, struct err *err)
{
	int code = 0;

	while (w->live > 0 && !w->cli->interrupted) {
		uint64_t now = clock_mono_ms();
		uint64_t until = w->stale ? w->due_ms : now + ASK_MAX_MS;

		if (now >= deadline_ms)
			return err_set(
			    err, -ETIMEDOUT, "%" PRIu64 " changes have not ended in time", w->live);
		until = MIN(until, deadline_ms);
		if (until > now)
			cli_wait(w->cli, until - now);
		if (follow_failed(w->follow) != NULL) {
			*err = *follow_failed(w->follow);
			return err->code;
		}
		if (follow_take_fresh(w->follow)) {
			display_remove_all(w->display);
			code = idle_read_failed(w, true, err);
			w->stale = true;
		}
		now = clock_mono_ms();
		if (code == 0 && now >= w->due_ms && (w->stale || now >= until))
			code = idle_ask(w, err);
		if (code < 0 && (!err_is_transient(code) && code != -ENOENT))
			return code;
		if (code < 0)
			w->stale = true;
		code = 0;
	}
	return 0;
}

int
idle_wait(struct cli *cli, uint64_t deadline_ms, bool quiet)
{
	struct idle w = {.cli = cli, .failed = json_object()};
	struct err err = ERR_INIT;
	int code = cli_connect(cli, &err);

	if (code == 0) {
		w.display = display_new(cli, STDERR_FILENO, !quiet && isatty(STDERR_FILENO));
		cli_catch_signals(cli, display_clear, w.display);
		w.follow = follow_new(cli, FOLLOW_PATIENCE_MS, idle_on_event, &w);
		display_on_totals(w.display, idle_totals, &w);
		code = idle_start(&w, &err);
	}
	if (code == 0)
		code = idle_loop(&w, deadline_ms, &err);
	cli_catch_signals(cli, NULL, NULL);
	follow_free(w.follow);
	display_free(w.display);
	names_free(w.names);
	json_decref(w.failed);
	free(w.since);
	if (cli->interrupted) {
		cli_warn("interrupted; the daemon goes on");
		return EXIT_INTERRUPTED;
	}
	if (code < 0)
		return cli_fail(&err);
	return w.failures > 0 ? EXIT_FAILED : EXIT_OK;
}
