#include "daemon/daemon.h"
#include "daemon/accounts.h"
#include "daemon/events.h"
#include "daemon/mounts.h"
#include "daemon/pair.h"
#include "daemon/pairs.h"
#include "daemon/queue.h"
#include "daemon/refusal.h"
#include "daemon/server.h"
#include "daemon/sign_in.h"
#include "daemon/tokens.h"
#include "src/clock.h"
#include "src/endpoint.h"
#include "src/log.h"
#include "src/paths.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DAEMON_DISK_MS                                                                             \
	10000 /* how long a hung disk, or a token's server, may keep the daemon from ending */
/* Of changes that run at once, where no setting says how many: each has two connections and (rings,
 * buffers, bookkeeping) so many bytes at most, of such a part of the memory. */
#define DAEMON_CHANGES_MIN  4
#define DAEMON_CHANGES_MAX  100000
#define DAEMON_CHANGE_BYTES ((uint64_t)96 << 10)
#define DAEMON_MEMORY_PART  4
#define DAEMON_FILES        200 /* the store, the API's clients, pools */
#define DAEMON_POOL         2 /* threads, of each place, for the API's own slow calls */

char *
daemon_state_dir(const struct settings *s)
{
	const char *dir = settings_str(s, "state.dir");

	return dir[0] != '\0' ? xstrdup(dir) : paths_state_dir();
}

char *
daemon_spool_dir(const struct daemon *d, const char *user_id)
{
	return xasprintf("%s/spool/%s", d->state_dir, user_id);
}

struct http_limits
daemon_http_limits(const struct daemon *d)
{
	return (struct http_limits){
	    .connect_timeout_ms = settings_int(d->settings, "http.connect_timeout"),
	    .stall_timeout_ms = settings_int(d->settings, "http.stall_timeout"),
	    .buffer = settings_int(d->settings, "http.buffer"),
	    .user_agent = "skyferry/" PACKAGE_VERSION,
	    .public_only = !endpoints_may_be_local(d->settings),
	};
}

/* Nobody said how many: descriptors allow so many, and memory, and a sixth digit is too many. */
static unsigned
daemon_possible_max(void)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t most = MIN(memory / DAEMON_MEMORY_PART / DAEMON_CHANGE_BYTES, DAEMON_CHANGES_MAX);
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
		most = MIN(most,
		    files.rlim_cur > 2 * DAEMON_FILES ? (files.rlim_cur - DAEMON_FILES) / 2
						      : DAEMON_FILES / 2);
	return (unsigned)MAX(most, (uint64_t)DAEMON_CHANGES_MIN);
}

unsigned
daemon_total_max(const struct settings *s)
{
	unsigned set = (unsigned)settings_int(s, "transfer.max");

	return set != 0 ? set : daemon_possible_max();
}

unsigned
daemon_account_max(const struct settings *s)
{
	unsigned set = (unsigned)settings_int(s, "account.concurrency");
	unsigned total = daemon_total_max(s);

	return set != 0 ? MIN(set, total) : total;
}

static struct sched_config
daemon_sched_config(const struct settings *s)
{
	return (struct sched_config){
	    .total_max = daemon_total_max(s),
	    .account_max = daemon_account_max(s),
	    .lane_max = PAIR_FIRST,
	    .age_step_ms = settings_int(s, "schedule.age"),
	};
}

/* Everything below the state directory is ours alone. */
static int
daemon_make_dirs(struct daemon *d, struct err *err)
{
	static const char *const names[] = {"store", "spool"};
	struct err why = ERR_INIT;
	size_t i;
	int code;

	code = paths_make_private(d->state_dir, &why);
	for (i = 0; i < ARRAY_LEN(names) && code == 0; i++) {
		CLEANUP(cleanup_free) char *dir = paths_join(d->state_dir, names[i]);

		code = paths_make_private(dir, &why);
	}
	if (code == 0 && access(d->state_dir, W_OK) != 0)
		code = err_sys(&why, -errno, "cannot write to %s", d->state_dir);
	if (code != 0)
		err_set(err, code,
		    "%s: the daemon keeps its state there; make it writable or set state.dir",
		    err_text(&why));
	return code;
}

/* A new key would not open what an old one has sealed: it is made only together with the store. */
static int
daemon_load_key(struct daemon *d, struct err *err)
{
	const char *setting = settings_str(d->settings, "key.file");
	CLEANUP(cleanup_free)
	char *file = setting[0] != '\0' ? xstrdup(setting) : paths_join(d->state_dir, "master.key");
	CLEANUP(cleanup_free) char *data = paths_join(d->state_dir, "store/data.mdb");
	bool has_store = access(data, F_OK) == 0;

	if (has_store && access(file, F_OK) != 0)
		return err_sys(err, -errno,
		    "the master key %s, which seals the credentials in %s, cannot be read; put it back, or set key.file",
		    file, d->state_dir);
	return seal_key_load(&d->key, file, !has_store, err);
}

/* Nothing can be recorded any more, and only opening the store anew helps: whoever supervises us
   starts us again, and what was running is taken back as after a crash. */
static void
daemon_on_panic(void *arg)
{
	log_error(
	    "the store could not be written and refuses everything: ending, to be started again");
	_exit(1);
}

static int
daemon_open_store(struct daemon *d, struct err *err)
{
	const struct settings *s = d->settings;
	CLEANUP(cleanup_free) char *dir = paths_join(d->state_dir, "store");
	char host[64] = "host", owner[128];
	uint32_t random;
	struct store_config config = {
	    .dir = dir,
	    .map_size = settings_int(s, "store.map_size"),
	    .owner = owner,
	    .lease_ms = settings_int(s, "claim.lease"),
	    .history_days = settings_int(s, "history.days"),
	    .history_max = settings_int(s, "history.max"),
	    .sched = daemon_sched_config(s),
	};

	config.on_panic = daemon_on_panic;
	random_bytes(&random, sizeof random);
	gethostname(host, sizeof host - 1);
	snprintf(owner, sizeof owner, "%s:%ld:%08x", host, (long)getpid(), random);
	seal_key_check(d->key, config.key_check);
	return store_open(&d->store, d->loop, &config, err);
}

int
daemon_start(struct daemon *d, struct err *err)
{
	struct cloud_runner_config runner = {.http = {0}};
	int code;

	d->started_ms = clock_ms();
	d->state_dir = daemon_state_dir(d->settings);
	if ((code = daemon_make_dirs(d, err)) != 0 || (code = daemon_load_key(d, err)) != 0)
		return code;
	if ((d->loop = loop_new("control", err)) == NULL ||
	    (d->pool = pool_new(DAEMON_POOL, err)) == NULL)
		return err->code;
	if ((code = daemon_open_store(d, err)) != 0)
		return code;
	d->events = events_new(d);
	runner.http = daemon_http_limits(d);
	/* The lanes are shared with the transfers: a lower limit here would wait for them. */
	runner.concurrency = daemon_account_max(d->settings);
	runner.sign_in = tokens_sign_in;
	runner.arg = d;
	if ((d->tokens = tokens_new(d, err)) == NULL)
		return err->code;
	if ((d->runner = cloud_runner_new(d->loop, d->pool, &runner, err)) == NULL)
		return err->code;
	d->accounts = accounts_new(d);
	d->pairs = pairs_new(d);
	d->refusals = refusals_new(d);
	refusals_start(d->refusals);
	if ((d->queue = queue_new(d, err)) == NULL || (d->sign_ins = sign_ins_new(d, err)) == NULL)
		return err->code;
	d->mounts = mounts_new(d);
	if ((d->server = server_new(d, err)) == NULL)
		return err->code;
	return 0;
}

static void
daemon_on_drained(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop);
}

void
daemon_stop(struct daemon *d, uint64_t drain_ms)
{
	/* The API goes on answering meanwhile: reads as ever, changes with 503. */
	queue_drain(d->queue, drain_ms, daemon_on_drained, d);
}

struct disk_wait {
	struct daemon *daemon;
	uint64_t until_ms;
};

static bool
daemon_disks_are_idle(const struct daemon *d)
{
	return disk_calls() == 0 && (d->pool == NULL || pool_jobs(d->pool) == 0);
}

static void
disk_wait_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct disk_wait *w = arg;

	if ((daemon_disks_are_idle(w->daemon) && tokens_are_idle(w->daemon->tokens)) ||
	    clock_mono_ms() >= w->until_ms)
		loop_stop(w->daemon->loop);
}

/* Cancelled disk calls and jobs end by themselves, on loops that must still be there. */
static void
daemon_await_disks(struct daemon *d)
{
	static const struct timeval tick = {0, 5 * 1000};
	struct disk_wait wait = {.daemon = d, .until_ms = clock_mono_ms() + DAEMON_DISK_MS};
	struct event *timer;

	timer = event_new(loop_base(d->loop), -1, EV_PERSIST, disk_wait_on_tick, &wait);
	event_add(timer, &tick);
	event_active(timer, EV_TIMEOUT, 0);
	loop_run(d->loop);
	event_free(timer);
	if (daemon_disks_are_idle(d))
		return;
	log_error("a disk does not answer: leaving without waiting for it");
	store_close(d->store);
	_exit(1);
}

/* In the reverse order of daemon_start(), as far as that came. */
void
daemon_finish(struct daemon *d)
{
	if (d->queue != NULL && !d->draining) {
		daemon_stop(d, 0);
		loop_run(d->loop);
	}
	if (d->server != NULL)
		server_free(d->server);
	sign_ins_free(d->sign_ins);
	if (d->mounts != NULL)
		mounts_free(d->mounts);
	tokens_stop(d->tokens);
	if (d->loop != NULL)
		daemon_await_disks(d);
	tokens_free(TAKE(d->tokens)); /* who waits at a transfer loop is told */
	queue_free(TAKE(d->queue)); /* answers of the store still come, and look for these two */
	refusals_free(d->refusals);
	pairs_free(d->pairs);
	accounts_free(TAKE(d->accounts));
	cloud_runner_free(d->runner);
	if (d->events != NULL)
		events_free(d->events);
	if (d->store != NULL)
		store_close(d->store);
	if (d->pool != NULL)
		pool_free(d->pool);
	if (d->loop != NULL)
		loop_free(d->loop);
	seal_key_free(d->key);
	free(d->state_dir);
}

void
daemon_reconfigure(struct daemon *d, const struct settings *s)
{
	struct sched_config sched = daemon_sched_config(s);

	d->settings = s;
	log_set_level(log_level_parse(settings_str(s, "log.level")));
	store_configure(d->store, &sched);
	cloud_runner_set_concurrency(d->runner, daemon_account_max(s));
	queue_reconfigure(d->queue);
}
