/* The states of an attempt: how it begins, goes from one to the next, and ends. */
#include "src/attempt_private.h"
#include "src/clock.h"
#include "src/log.h"
#include "src/source.h"
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

void
attempt_wake(struct attempt *a)
{
	event_active(a->wake, EV_TIMEOUT, 0);
}

bool
attempt_is_repeated(const struct attempt *a)
{
	return a->change->repeated || a->change->attempts > 1;
}

struct account *
attempt_source_account(const struct attempt *a)
{
	return accounts_by_id(a->accounts, a->accounts_len, a->change->segments[0].account_id);
}

enum attempt_state
attempt_fail(struct attempt *a, int code, const struct err *err)
{
	assert(code < 0);
	a->result.code = code;
	if (err != &a->result.err)
		a->result.err = *err;
	return ATTEMPT_END;
}

int
attempt_take(struct attempt *a)
{
	int code = a->await.code;

	await_drop(&a->await);
	return code;
}

void
attempt_on_progress(void *arg, const struct copy_progress *p)
{
	struct attempt *a = arg;
	uint64_t now = clock_mono_ms();

	a->result.bytes_done = p->done;
	a->result.bytes_total = p->total;
	if (a->progress_at_ms != 0 && now - a->progress_at_ms < a->progress_ms)
		return;
	a->progress_at_ms = now;
	a->handler.progress(a->arg, p);
}

void
attempt_on_note(void *arg, enum checkpoint_note_kind kind, const struct checkpoint *checkpoint,
    const struct upload_part *part)
{
	struct attempt *a = arg;

	a->handler.note(a->arg, kind, checkpoint, part);
}

static enum attempt_state
attempt_start_run(struct attempt *a)
{
	const struct change *c = a->change;

	if (a->account == NULL)
		return ATTEMPT_FAIL(
		    a, -ENOENT, "the account of '%s' is not there any more", c->path);
	if (c->cancel && c->kind == CHANGE_TRANSFER)
		return ATTEMPT_SWEEP;
	if (c->cancel)
		return ATTEMPT_SWEEP_UPLOAD;
	attempt_note_places(a);
	if (c->kind == CHANGE_TRANSFER)
		return attempt_start_transfer(a);
	if (c->kind == CHANGE_TREE)
		return attempt_start_tree(a);
	return c->kind == CHANGE_RENAME ? attempt_start_rename(a) : ATTEMPT_SINGLE;
}

static const struct {
	const char *name;
	enum attempt_state (*run)(struct attempt *);
} steps[] = {
    [ATTEMPT_START] = {"start", attempt_start_run},
    [ATTEMPT_SINGLE] = {"single", attempt_single_run},
    [ATTEMPT_MKDIR_CHECK] = {"mkdir check", attempt_mkdir_check_run},
    [ATTEMPT_COPY] = {"copy", attempt_copy_run},
    [ATTEMPT_VERIFIED] = {"verified", attempt_verified_run},
    [ATTEMPT_RESUME] = {"resume", attempt_resume_run},
    [ATTEMPT_REMOVE_SOURCE] = {"remove source", attempt_remove_source_run},
    [ATTEMPT_RENAME_STAT] = {"rename stat", attempt_rename_stat_run},
    [ATTEMPT_RENAME_TARGET] = {"rename target", attempt_rename_target_run},
    [ATTEMPT_RENAME_MOVE] = {"rename move", attempt_rename_move_run},
    [ATTEMPT_RENAME_CHECK] = {"rename check", attempt_rename_check_run},
    [ATTEMPT_TREE] = {"tree", attempt_tree_run},
    [ATTEMPT_LIST_SOURCE] = {"list source", attempt_list_source_run},
    [ATTEMPT_LIST_TARGET] = {"list target", attempt_list_target_run},
    [ATTEMPT_LIST] = {"list", attempt_list_run},
    [ATTEMPT_PRUNE] = {"prune", attempt_prune_run},
    [ATTEMPT_SWEEP] = {"sweep", attempt_sweep_run},
    [ATTEMPT_SWEEP_UPLOAD] = {"sweep upload", attempt_sweep_upload_run},
    [ATTEMPT_END] = {"end", NULL},
};

static void
attempt_free(struct attempt *a)
{
	size_t i;

	copy_free(a->copy);
	tree_free(a->tree);
	walk_free(a->walk);
	walk_batch_free(a->found);
	checkpoint_free(upload_free(a->sweep));
	checkpoint_free(a->checkpoint);
	await_fini(&a->await);
	event_free(a->wake);
	copy_result_fini(&a->copied);
	disk_root_unref(a->spool);
	for (i = 0; i < a->accounts_len; i++)
		cloud_account_unref(a->accounts[i]);
	free(a->accounts);
	free(a->from_where);
	free(a->to_where);
	free(a->source_version);
	free(a->result.route);
	free(a->result.route_reason);
	free(a->result.verified);
	free(a->result.version);
	free(a->result.source_version);
	change_free(a->change);
	free(a);
}

/* It cleans up; or the destination is right and what is left is being sent: whether that was done
   could not be told any more.  These are single ops, whose retries are bounded. */
static bool
attempt_is_past_cancel(const struct attempt *a)
{
	return a->state == ATTEMPT_SWEEP || a->state == ATTEMPT_SWEEP_UPLOAD ||
	    a->state == ATTEMPT_REMOVE_SOURCE || a->state == ATTEMPT_RENAME_MOVE ||
	    a->state == ATTEMPT_RENAME_CHECK;
}

/* A cancel sweeps, so a copy or a tree is asked to end; everything else just stops. */
static void
attempt_run_cancel(struct attempt *a)
{
	int code = a->cancel;

	if (code == -ECANCELED && a->copy != NULL) {
		copy_abort(a->copy);
		return;
	}
	if (code == -ECANCELED && a->tree != NULL) {
		tree_abort(a->tree);
		return;
	}
	if (code == -ECANCELED && attempt_is_past_cancel(a))
		return;
	copy_free(TAKE(a->copy));
	tree_free(TAKE(a->tree));
	walk_free(TAKE(a->walk));
	checkpoint_free(upload_free(TAKE(a->sweep)));
	await_drop(&a->await);
	a->state =
	    ATTEMPT_FAIL(a, code, "%s", code == -ECANCELED ? "cancelled" : err_info(code)->text);
}

static void
attempt_run(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	enum attempt_state next;

	if (a->cancel != 0 && a->state != ATTEMPT_END)
		attempt_run_cancel(a);
	while (steps[a->state].run != NULL && (next = steps[a->state].run(a)) != a->state) {
		log_debug("%s: %s -> %s", a->change->id, steps[a->state].name, steps[next].name);
		a->state = next;
	}
	if (a->state == ATTEMPT_END) {
		a->handler.done(a->arg, &a->result);
		attempt_free(a);
	}
}

static bool
attempt_needs_spool(const struct change *change)
{
	size_t i;

	for (i = 0; i < change->segments_len; i++) {
		if (change->segments[i].kind == SEGMENT_SPOOL)
			return true;
	}
	return false;
}

/* A directory of our own state, which the daemon could not run without. */
static void
attempt_open_spool(struct attempt *a, const char *dir)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		a->spool_error = -errno;
	else
		a->spool = disk_root_of(fd);
}

struct attempt *
attempt_start(struct cloud_runner *runner, const struct change *change, struct account **accounts,
    size_t accounts_len, const struct attempt_config *config, const struct attempt_handler *handler,
    void *arg)
{
	struct attempt *a = xcalloc(1, sizeof *a);
	size_t i;

	a->runner = runner;
	a->wake = event_new(loop_base(cloud_runner_loop(runner)), -1, 0, attempt_run, a);
	await_init(&a->await, a->wake);
	a->change = change_copy(change);
	a->accounts = xcalloc(accounts_len + 1, sizeof *a->accounts);
	a->accounts_len = accounts_len;
	for (i = 0; i < accounts_len; i++)
		a->accounts[i] = cloud_account_ref(accounts[i]);
	a->account = accounts_by_id(a->accounts, accounts_len, change->account_id);
	a->ring = config->ring;
	a->progress_ms = config->progress_ms;
	a->memory = config->memory;
	a->buckets = config->buckets;
	a->buckets_len = config->buckets_len;
	a->checkpoint = config->checkpoint;
	a->handler = *handler;
	a->arg = arg;
	a->result.bytes_total = change->kind == CHANGE_TRANSFER ? UINT64_MAX : 0;
	a->result.mtime_ns = ENTRY_NO_TIME;
	if (config->spool_dir != NULL && attempt_needs_spool(change))
		attempt_open_spool(a, config->spool_dir);
	attempt_wake(a);
	return a;
}

void
attempt_noted(struct attempt *a)
{
	if (a->copy != NULL)
		copy_noted(a->copy);
	if (a->tree != NULL)
		tree_noted(a->tree);
}

void
attempt_grown(struct attempt *a, const struct attempt_growth *growth)
{
	a->growth = *growth;
	a->change->attempts = growth->attempts;
	a->growing = false;
	a->grown = true;
	attempt_wake(a);
}

void
attempt_continue(struct attempt *a)
{
	a->continued = true;
	attempt_wake(a);
}

void
attempt_cancel(struct attempt *a, int code)
{
	assert(code < 0);
	a->cancel = code;
	attempt_wake(a);
}
