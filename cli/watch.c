#include "cli/watch.h"
#include "cli/changes.h"
#include "cli/display.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "src/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLAIN_PROGRESS_MS 5000 /* between two lines of progress of one transfer */
#define TOTALS_MS         1000 /* between two questions for the totals, at least */
#define TOTALS_SHARE      20 /* and at most a 20th of the time is spent on asking */
#define RUNNING_PAGE      1000

struct watch {
	struct cli *cli;
	struct names *names;
	struct display *display;
	struct follow *follow;
	json_t *running; /* id -> {"label", "at": when a line of progress was printed} */
	bool as_json, live;
	bool names_stale, totals_stale;
	uint64_t totals_due_ms;
	uint64_t queued, failed;
	char *newest_end; /* "finishedAt" of the newest change known to have ended; NULL: not asked
			     yet */
};

static void
watch_print_json(struct watch *w, const char *event, json_t *data)
{
	json_t *line = json_pack("{s:s, s:O}", "event", event, "data", data);

	json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(line);
	putchar('\n');
	if (fflush(stdout) != 0) {
		w->cli->interrupted = true;
		cli_wake(w->cli);
	}
}

static void
watch_show_running(struct watch *w, const json_t *change)
{
	CLEANUP(cleanup_free) char *label = change_label(w->names, change);
	const char *id = json_str(change, "id");

	if (json_object_size(w->running) < DISPLAY_ITEMS_MAX)
		json_object_set_new(w->running, id,
		    json_pack("{s:s, s:I}", "label", label, "at", (json_int_t)clock_mono_ms()));
	display_progress(w->display, id, label, json_num(change, "bytesDone"),
	    json_num_or_unknown(change, "bytesTotal"), json_num(change, "rate"),
	    json_num_or_unknown(change, "etaSeconds"));
}

/* RFC 3339 in UTC with milliseconds: the order of the text is that of time. */
static void
watch_note_end(struct watch *w, const json_t *change)
{
	const char *end = json_str(change, "finishedAt");

	if (w->newest_end == NULL || strcmp(end, w->newest_end) > 0)
		xstrset(&w->newest_end, end);
}

static void
watch_on_change(struct watch *w, json_t *change)
{
	const char *status = json_str(change, "status"), *id = json_str(change, "id");
	bool ended = status[0] != '\0' && !status_is_live(status);
	CLEANUP(cleanup_free) char *line = NULL;

	w->totals_stale = true;
	cli_wake(w->cli);
	if (strcmp(status, "running") == 0) {
		watch_show_running(w, change);
	} else {
		display_remove(w->display, id);
		json_object_del(w->running, id);
	}
	if (w->live && !ended)
		return;
	if (ended)
		watch_note_end(w, change);
	line = change_line(w->names, change, w->live ? ID_SHORT : ID_LEN);
	display_line(w->display, "%s", line);
}

static void
watch_on_progress(struct watch *w, const json_t *progress)
{
	const char *id = json_str(progress, "id");
	json_t *known = json_object_get(w->running, id);
	uint64_t done = json_num(progress, "bytesDone"), now = clock_mono_ms();
	uint64_t total = json_num_or_unknown(progress, "bytesTotal");
	uint64_t rate = json_num(progress, "rate");
	uint64_t eta = json_num_or_unknown(progress, "etaSeconds");
	CLEANUP(cleanup_free) char *children = NULL, *label = NULL;
	char size[FORMAT_MAX], speed[FORMAT_MAX], left[FORMAT_MAX];

	if (known == NULL)
		return;
	children = change_children(progress);
	label = xasprintf("%s%s", json_str(known, "label"), children);
	display_progress(w->display, id, label, done, total, rate, eta);
	if (w->live || now < json_num(known, "at") + PLAIN_PROGRESS_MS)
		return;
	json_object_set_new(known, "at", json_integer((json_int_t)now));
	display_line(w->display, "%-*s  %-9s %3d%% %9s  %s  %s  %s", ID_LEN, id, "running",
	    MAX(0, format_percent(done, total)), format_bytes(size, total), label,
	    format_rate(speed, rate), format_duration(left, eta));
}

static void
watch_on_event(void *arg, const char *event, json_t *data)
{
	struct watch *w = arg;

	if (strcmp(event, "account") == 0) {
		w->names_stale = true;
		cli_wake(w->cli);
	}
	if (w->as_json) {
		watch_print_json(w, event, data);
		return;
	}
	/* before the names are there nothing can be shown; what runs is read right after */
	if (w->names == NULL)
		return;
	if (strcmp(event, "change") == 0)
		watch_on_change(w, data);
	else if (strcmp(event, "progress") == 0)
		watch_on_progress(w, data);
}

static char *
watch_totals(void *arg)
{
	struct watch *w = arg;
	char queued[FORMAT_MAX], failed[FORMAT_MAX], rate[FORMAT_MAX];

	if (!follow_is_connected(w->follow))
		return xstrdup("waiting for the daemon");
	return xasprintf("%zu running, %s queued, %s failed, %s", display_running(w->display),
	    format_count(queued, w->queued), format_count(failed, w->failed),
	    format_rate(rate, display_rate(w->display)));
}

static int
watch_load_names(struct watch *w, struct err *err)
{
	struct names *names = NULL;
	int code = names_load(&names, w->cli, err);

	if (code < 0)
		return code;
	names_free(w->names);
	w->names = names;
	w->names_stale = false;
	return 0;
}

/* After each connection: what runs now. */
static int
watch_load_running(struct watch *w, struct err *err)
{
	json_t *answer = NULL, *change;
	size_t i;
	int code = changes_page(w->cli, &answer, "running", NULL, 1, RUNNING_PAGE, err);

	if (code < 0)
		return code;
	display_remove_all(w->display);
	json_object_clear(w->running);
	json_array_foreach (json_object_get(answer, "transfers"), i, change) {
		CLEANUP(cleanup_free) char *line = change_line(w->names, change, ID_LEN);

		watch_show_running(w, change);
		if (!w->live)
			display_line(w->display, "%s", line);
	}
	json_decref(answer);
	return 0;
}

/* After a lost connection: what ended meanwhile, and no event told; oldest first. */
static int
watch_load_ended(struct watch *w, struct err *err)
{
	CLEANUP(cleanup_free) char *since = xstrdup_null(w->newest_end);
	json_t *answer = NULL, *changes;
	int code = cli_call(w->cli, &answer, "GET", NULL, err,
	    "/api/transfers?status=completed,failed,cancelled&sortBy=finishedAt&sortOrder=desc"
	    "&limit=%d",
	    since != NULL ? RUNNING_PAGE : 1);

	if (code < 0)
		return code;
	changes = json_object_get(answer, "transfers");
	for (size_t i = json_array_size(changes); i-- > 0;) {
		const json_t *change = json_array_get(changes, i);
		CLEANUP(cleanup_free) char *line = NULL;

		watch_note_end(w, change);
		if (since == NULL || strcmp(json_str(change, "finishedAt"), since) <= 0)
			continue;
		line = change_line(w->names, change, w->live ? ID_SHORT : ID_LEN);
		display_line(w->display, "%s", line);
	}
	if (w->newest_end == NULL)
		w->newest_end = xstrdup("");
	json_decref(answer);
	return 0;
}

static int
watch_load_totals(struct watch *w, struct err *err)
{
	uint64_t began = clock_mono_ms(), took;
	int code;

	w->totals_stale = false;
	code = changes_count(w->cli, &w->queued, "queued,pending", err);
	if (code == 0)
		code = changes_count(w->cli, &w->failed, "failed", err);
	took = clock_mono_ms() - began;
	w->totals_due_ms = clock_mono_ms() + MAX(TOTALS_MS, took * TOTALS_SHARE);
	display_touch(w->display);
	return code;
}

/* What the events said must be asked for.  Errors of a daemon that is away are no end: the stream
   of events is tried again, and is fresh then. */
static int
watch_refresh(struct watch *w, struct err *err)
{
	int code = 0;

	if (w->as_json)
		return 0;
	if (follow_take_fresh(w->follow)) {
		code = watch_load_names(w, err);
		if (code == 0)
			code = watch_load_ended(w, err);
		if (code == 0)
			code = watch_load_running(w, err);
		if (code == 0)
			code = watch_load_totals(w, err);
	}
	if (code == 0 && w->names_stale)
		code = watch_load_names(w, err);
	if (code == 0 && w->live && w->totals_stale && clock_mono_ms() >= w->totals_due_ms)
		code = watch_load_totals(w, err);
	return code < 0 && !err_is_transient(code) && follow_is_connected(w->follow) ? code : 0;
}

int
watch_run(struct cli *cli, bool as_json)
{
	struct watch w = {.cli = cli, .as_json = as_json, .running = json_object()};
	struct err err = ERR_INIT;
	int code = cli_connect(cli, &err);

	w.live = !as_json && isatty(STDOUT_FILENO);
	if (code == 0) {
		fflush(stdout);
		w.display = display_new(cli, STDOUT_FILENO, w.live);
		cli_catch_signals(cli, display_clear, w.display);
		w.follow = follow_new(cli, UINT64_MAX, watch_on_event, &w);
		code = follow_ready(w.follow, &err);
		display_on_totals(w.display, watch_totals, &w);
	}
	while (code == 0 && !cli->interrupted) {
		uint64_t now = clock_mono_ms();

		code = watch_refresh(&w, &err);
		if (code == 0 && follow_failed(w.follow) != NULL) {
			err = *follow_failed(w.follow);
			code = err.code;
		}
		if (code == 0 && !cli->interrupted)
			cli_wait(cli,
			    w.live && w.totals_stale && w.totals_due_ms > now
				? w.totals_due_ms - now
				: UINT64_MAX);
	}
	cli_catch_signals(cli, NULL, NULL);
	follow_free(w.follow);
	display_free(w.display);
	names_free(w.names);
	json_decref(w.running);
	free(w.newest_end);
	return code < 0 && !cli->interrupted ? cli_fail(&err) : EXIT_OK;
}
