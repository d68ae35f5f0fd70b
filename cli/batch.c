#include "cli/batch.h"
#include "cli/changes.h"
#include "cli/display.h"
#include "cli/follow.h"
#include "cli/format.h"
#include "src/clock.h"
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define SUBMIT_TRIES    60 /* of one request, while the daemon is away: about a minute */
#define SUBMIT_RETRY_MS 1000
#define FAILED_PAGE     1000
#define IDS_SHOWN       4 /* after an interrupt */

struct job {
	char id[37]; /* first: the tree compares it */
	struct batch *batch;
	char *label;
	/* submitting: the request, kept for a repetition */
	const char *path;
	json_t *body;
	struct client_call *call;
	struct event *retry;
	unsigned tries;
	bool submitting;
	bool check; /* its state must be asked for */
	bool running; /* for the totals */
	bool named; /* a tree: its failures */
	json_t *end; /* ended, and this is how; acted upon once it is not submitting */
	int harmless; /* a failure that is none */
	TAILQ_ENTRY(job) next;
};

struct batch {
	struct cli *cli;
	struct batch_options options;
	struct follow *follow; /* NULL: detached */
	struct display *display;
	void *tree; /* tsearch(3), by id */
	TAILQ_HEAD(job_list, job) jobs;
	size_t jobs_len, submitting, running;
	bool lost; /* the daemon cannot be followed any more: said once */
	struct batch_totals totals;
	uint64_t started_ms;
};

static void job_submit(struct job *);

static int
job_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static struct job *
job_find(struct batch *b, const char *id)
{
	struct job **found = tfind(id, &b->tree, job_compare);

	return found != NULL ? *found : NULL;
}

static struct job *
job_new(struct batch *b, const char *id, const char *label)
{
	struct job *job = xcalloc(1, sizeof(*job));

	job->batch = b;
	snprintf(job->id, sizeof(job->id), "%s", id);
	job->label = xstrdup(label);
	tsearch(job, &b->tree, job_compare);
	TAILQ_INSERT_TAIL(&b->jobs, job, next);
	b->jobs_len++;
	return job;
}

static void
job_free(struct job *job)
{
	struct batch *b = job->batch;

	if (job->submitting)
		b->submitting--;
	if (job->running)
		b->running--;
	tdelete(job->id, &b->tree, job_compare);
	TAILQ_REMOVE(&b->jobs, job, next);
	b->jobs_len--;
	if (job->call != NULL)
		client_cancel(job->call);
	if (job->retry != NULL)
		event_free(job->retry);
	json_decref(job->body);
	json_decref(job->end);
	free(job->label);
	free(job);
	cli_wake(b->cli);
}

static void
job_fail(struct job *job, int code, const char *message)
{
	struct batch *b = job->batch;

	display_remove(b->display, job->id);
	if (code == job->harmless) {
		b->totals.done++;
	} else {
		if (code == -ECANCELED)
			b->totals.cancelled++;
		else
			b->totals.failed++;
		display_warn(b->display, "%s: %s", job->label, message);
	}
	job_free(job);
}

/* A tree counts for what is in it. */
static uint64_t
job_entries(const struct job *job, const char *key)
{
	const json_t *children = json_object_get(job->end, "children");

	return children != NULL ? json_num(children, key) : 1;
}

/* job->end says how. */
static void
job_end(struct job *job)
{
	struct batch *b = job->batch;
	const char *status = json_str(job->end, "status");
	const json_t *error = json_object_get(job->end, "error");
	const char *message = json_str(error, "message");

	if (strcmp(status, "cancelled") == 0) {
		job_fail(job, -ECANCELED, "cancelled");
		return;
	}
	if (strcmp(status, "failed") == 0) {
		CLEANUP(cleanup_free) char *text = xstrdup(message[0] != '\0' ? message : "failed");

		/* what failed of a tree is asked for first, when nothing waits for this callback */
		if (json_num(json_object_get(job->end, "children"), "failed") > 0 && !job->named)
			cli_wake(b->cli);
		else
			job_fail(job, err_by_name(json_str(error, "code")), text);
		return;
	}
	b->totals.done += job_entries(job, "done");
	b->totals.bytes += json_num(job->end, "bytesDone");
	display_remove(b->display, job->id);
	job_free(job);
}

/* Its present state, from an event or an answer.  May free the job. */
static void
job_update(struct job *job, json_t *change)
{
	const char *status = json_str(change, "status");
	bool running = strcmp(status, "running") == 0;

	if (running != job->running) {
		job->running = running;
		job->batch->running += running ? 1 : (size_t)-1;
		display_touch(job->batch->display);
	}
	if (strcmp(status, "completed") != 0 && strcmp(status, "failed") != 0 &&
	    strcmp(status, "cancelled") != 0)
		return;
	if (job->end == NULL)
		job->end = json_incref(change);
	if (!job->submitting)
		job_end(job);
}

static void
batch_on_event(void *arg, const char *event, json_t *data)
{
	struct batch *b = arg;
	struct job *job = job_find(b, json_str(data, "id"));

	if (job == NULL)
		return;
	if (strcmp(event, "change") == 0)
		job_update(job, data);
	else if (strcmp(event, "progress") == 0) {
		CLEANUP(cleanup_free) char *children = change_children(data);
		CLEANUP(cleanup_free) char *label = xasprintf("%s%s", job->label, children);

		display_progress(b->display, job->id, label, json_num(data, "bytesDone"),
		    json_num_or_unknown(data, "bytesTotal"), json_num(data, "rate"),
		    json_num_or_unknown(data, "etaSeconds"));
	}
}

static void
job_on_retry(evutil_socket_t fd, short what, void *arg)
{
	job_submit(arg);
}

/* The daemon is being restarted, or asks for patience: repeating is right, and harmless. */
static bool
is_away(int code)
{
	return code == -ECONNREFUSED || code == -ECONNRESET || code == -ETIMEDOUT ||
	    code == -ESHUTDOWN || code == -EAGAIN;
}

static void
job_on_answer(void *arg, int code, json_t *body, const struct err *err)
{
	struct timeval later = {.tv_sec = SUBMIT_RETRY_MS / 1000};
	struct job *job = arg;
	struct batch *b = job->batch;

	job->call = NULL;
	/* without a stream of events nothing has shown yet that there is a daemon at all */
	if (code < 0 && is_away(code) && (b->follow != NULL || b->totals.submitted > 0) &&
	    ++job->tries < SUBMIT_TRIES && !b->cli->interrupted) {
		if (job->retry == NULL)
			job->retry = evtimer_new(loop_base(b->cli->loop), job_on_retry, job);
		evtimer_add(job->retry, &later);
		return;
	}
	job->submitting = false;
	b->submitting--;
	cli_wake(b->cli);
	if (code < 0) {
		job_fail(job, code, err_text(err));
		return;
	}
	b->totals.submitted++;
	display_touch(b->display);
	if (b->options.detach) {
		if (!b->options.quiet)
			printf("%s\n", job->id);
		job_free(job);
	} else if (job->end != NULL) {
		job_end(job);
	} else {
		job_update(job, body);
	}
}

static void
job_submit(struct job *job)
{
	job->call = client_start(job->batch->cli->client, "POST", job->path,
	    json_deep_copy(job->body), job_on_answer, job);
}

/* After a lost connection, and for those that were there before: how are they?  Waits. */
static void
batch_check(struct batch *b)
{
	struct job *job;
	struct err err = ERR_INIT;

	TAILQ_FOREACH (job, &b->jobs, next) {
		if (job->check)
			break;
	}
	while (job != NULL && !b->cli->interrupted) {
		CLEANUP(cleanup_free) char *id = xstrdup(job->id);
		json_t *change = NULL;
		int code;

		job->check = false;
		code = cli_call(b->cli, &change, "GET", NULL, &err, "/api/transfers/%s", id);
		/* events went on during the call: the job may have ended, the list is another */
		job = job_find(b, id);
		if (job != NULL && code == 0)
			job_update(job, change);
		else if (job != NULL && !err_is_transient(code))
			job_fail(job, code, err_text(&err));
		else if (job != NULL)
			job->check = true;
		json_decref(change);
		if (code < 0 && err_is_transient(code))
			return; /* the stream of events will break too, and be fresh again */
		TAILQ_FOREACH (job, &b->jobs, next) {
			if (job->check)
				break;
		}
	}
}

/* What failed of a tree, by name. */
static int
batch_name_page(struct batch *b, const char *id, const char *account, unsigned page, bool *more,
    struct err *err)
{
	json_t *answer = NULL, *child;
	size_t i;
	int code = changes_page(b->cli, &answer, "failed", id, page, FAILED_PAGE, err);

	if (code < 0)
		return code;
	json_array_foreach (json_object_get(answer, "transfers"), i, child) {
		const char *from = json_str(child, "sourcePath");
		const char *path = from[0] != '\0' ? from : json_str(child, "destinationPath");

		display_warn(b->display, "%s:%s: %s", account, path,
		    json_str(json_object_get(child, "error"), "message"));
		b->totals.failed++;
	}
	*more = page < json_num(answer, "pages");
	json_decref(answer);
	return 0;
}

/* Of a job that is a tree and has failed in parts.  Events go on during the calls, but it stays: it
   has ended.  What cannot be asked for is told by the tree's own message. */
static void
batch_name_failures(struct batch *b, struct job *job)
{
	CLEANUP(cleanup_free)
	char *account = xstrndup(job->label, strcspn(job->label, ":"));
	uint64_t before = b->totals.failed;
	struct err err = ERR_INIT;
	bool more = true;
	int code = 0;

	job->named = true;
	for (unsigned page = 1; code == 0 && more && !b->cli->interrupted; page++)
		code = batch_name_page(b, job->id, account, page, &more, &err);
	b->totals.done += job_entries(job, "done");
	b->totals.bytes += json_num(job->end, "bytesDone");
	if (code < 0 || b->totals.failed - before < job_entries(job, "failed")) {
		job_end(job);
		return;
	}
	display_remove(b->display, job->id);
	job_free(job);
}

static void
batch_name_all(struct batch *b)
{
	struct job *job, *next;

	for (job = TAILQ_FIRST(&b->jobs); job != NULL; job = next) {
		next = TAILQ_NEXT(job, next);
		if (job->end == NULL || job->submitting)
			continue;
		batch_name_failures(b, job);
		next = TAILQ_FIRST(&b->jobs); /* the list may be another one */
	}
}

/* One turn of waiting: what the loop brings, and what must be asked. */
static void
batch_turn(struct batch *b, uint64_t ms)
{
	struct job *job;
	const struct err *failed;

	cli_wait(b->cli, ms);
	if (b->follow == NULL)
		return;
	if (follow_take_fresh(b->follow)) {
		TAILQ_FOREACH (job, &b->jobs, next)
			job->check = !job->submitting;
		display_remove_all(b->display);
	}
	batch_check(b);
	batch_name_all(b);
	failed = follow_failed(b->follow);
	if (failed != NULL && !b->lost) {
		b->lost = true;
		b->totals.failed++;
		display_warn(
		    b->display, "cannot follow the transfers any more: %s", err_text(failed));
	}
}

static char *
batch_totals_line(void *arg)
{
	struct batch *b = arg;
	char done[FORMAT_MAX], all[FORMAT_MAX], bytes[FORMAT_MAX], rate[FORMAT_MAX];
	uint64_t ended = b->totals.done + b->totals.failed + b->totals.cancelled;
	uint64_t elapsed = (clock_mono_ms() - b->started_ms) / 1000;
	char took[FORMAT_MAX];

	return xasprintf("%s of %s done%s, %zu running, %" PRIu64 " failed, %s, %s, %s%s",
	    format_count(done, ended), format_count(all, ended + b->jobs_len),
	    b->jobs_len >= BATCH_LIVE ? " (and more)" : "", b->running, b->totals.failed,
	    format_bytes(bytes, b->totals.bytes + display_bytes(b->display)),
	    format_rate(rate, display_rate(b->display)), format_duration(took, elapsed),
	    b->follow == NULL || follow_is_connected(b->follow) ? "" : ", waiting for the daemon");
}

struct batch *
batch_new(struct cli *cli, const struct batch_options *options, struct err *err)
{
	struct batch *b;

	if (cli_connect(cli, err) < 0)
		return NULL;
	b = xcalloc(1, sizeof(*b));
	b->cli = cli;
	b->options = *options;
	b->started_ms = clock_mono_ms();
	TAILQ_INIT(&b->jobs);
	b->display = display_new(
	    cli, STDERR_FILENO, !options->detach && !options->quiet && isatty(STDERR_FILENO));
	cli_catch_signals(cli, display_clear, b->display);
	if (options->detach)
		return b;
	display_on_totals(b->display, batch_totals_line, b);
	/* before anything is submitted: no end can be missed */
	b->follow = follow_new(cli, FOLLOW_PATIENCE_MS, batch_on_event, b);
	if (follow_ready(b->follow, err) < 0) {
		batch_free(b);
		return NULL;
	}
	follow_take_fresh(b->follow);
	return b;
}

void
batch_free(struct batch *b)
{
	if (b == NULL)
		return;
	while (!TAILQ_EMPTY(&b->jobs))
		job_free(TAILQ_FIRST(&b->jobs));
	follow_free(b->follow);
	cli_catch_signals(b->cli, NULL, NULL);
	display_free(b->display);
	free(b);
}

bool
batch_post(struct batch *b, const char *path, json_t *body, const char *label, int harmless)
{
	unsigned char raw[16];
	char id[37];
	struct job *job;

	while ((b->submitting >= BATCH_SUBMITS || b->jobs_len >= BATCH_LIVE) &&
	    !b->cli->interrupted && !b->lost)
		batch_turn(b, UINT64_MAX);
	if (b->cli->interrupted || b->lost) {
		json_decref(body);
		return false;
	}
	uuid_generate_random(raw);
	uuid_unparse_lower(raw, id);
	json_object_set_new(body, "id", json_string(id));
	job = job_new(b, id, label);
	job->path = path;
	job->body = body;
	job->harmless = harmless;
	job->submitting = true;
	b->submitting++;
	job_submit(job);
	return true;
}

void
batch_track(struct batch *b, const char *id, const char *label)
{
	if (job_find(b, id) == NULL)
		job_new(b, id, label)->check = true;
}

void
batch_flush(struct batch *b)
{
	while (b->submitting > 0 && !b->cli->interrupted && !b->lost)
		batch_turn(b, UINT64_MAX);
}

void
batch_wait(struct batch *b, uint64_t deadline_ms)
{
	batch_check(b);
	batch_name_all(b);
	while (b->jobs_len > 0 && !b->cli->interrupted && !b->lost) {
		uint64_t now = clock_mono_ms(), ms = UINT64_MAX;

		if (now >= deadline_ms)
			return;
		if (deadline_ms != UINT64_MAX)
			ms = deadline_ms - now;
		batch_turn(b, ms);
	}
}

void
batch_fail(struct batch *b, const char *label, const struct err *err)
{
	b->totals.failed++;
	display_warn(b->display, "%s: %s", label, err_text(err));
}

const struct batch_totals *
batch_totals(const struct batch *b)
{
	return &b->totals;
}

size_t
batch_live(const struct batch *b)
{
	return b->jobs_len;
}

static void
batch_explain_interrupt(struct batch *b)
{
	size_t live = b->jobs_len, shown = 0;
	struct buf ids = BUF_INIT(4096);
	struct job *job;

	TAILQ_FOREACH (job, &b->jobs, next) {
		if (shown++ < IDS_SHOWN)
			buf_printf(&ids, " %s", job->id);
	}
	if (live == 0)
		cli_warn("interrupted; what was submitted has ended or goes on in the daemon");
	else if (live <= IDS_SHOWN)
		cli_warn("%zu submitted before the interrupt %s on in the daemon; to cancel: "
			 "skyferry transfer cancel%s",
		    live, live == 1 ? "goes" : "go", buf_str(&ids));
	else
		cli_warn("%zu submitted before the interrupt go on in the daemon; 'skyferry "
			 "transfers --watch' shows them, 'skyferry transfer cancel ID...' cancels "
			 "(--all: everything)",
		    live);
	buf_free(&ids);
}

int
batch_finish(struct batch *b)
{
	const struct batch_totals *t = &b->totals;
	char bytes[FORMAT_MAX], took[FORMAT_MAX], rate[FORMAT_MAX], count[FORMAT_MAX];
	uint64_t ms;

	batch_wait(b, UINT64_MAX);
	display_on_totals(b->display, NULL, NULL);
	display_remove_all(b->display);
	display_clear(b->display);
	if (b->cli->interrupted) {
		batch_explain_interrupt(b);
		return EXIT_INTERRUPTED;
	}
	ms = MAX(1, clock_mono_ms() - b->started_ms);
	if (b->options.verb != NULL && !b->options.detach && !b->options.quiet && t->done > 0)
		printf("%s %s%s, %s in %s (%s)\n", format_count(count, t->done), b->options.verb,
		    t->failed + t->cancelled > 0 ? ", others not" : "",
		    format_bytes(bytes, t->bytes), format_duration(took, (ms + 500) / 1000),
		    format_rate(rate, t->bytes * 1000 / ms));
	return t->failed + t->cancelled > 0 ? EXIT_FAILED : EXIT_OK;
}
