/*
 * bench_store: what a long queue costs.  For each length: how fast changes are accepted, 256 at a
 * time; then, with so many queued, the latency of one durable accept and of one claim; the memory
 * resident (RssAnon; the map is the page cache's) and the time to open the store again.
 *
 *	bench_store [-d DIR] [LENGTH...]	default: 1000 100000 1000000
 */
#include "daemon/store.h"
#include "src/log.h"
#include "src/paths.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FLIGHT   256 /* accepts under way */
#define SAMPLES  300
#define USER     "00000000-0000-4000-8000-000000000001"
#define ACCOUNTS 4

struct bench {
	struct loop *loop;
	struct store *store;
	unsigned sent, answered, want;
	unsigned next; /* number of the next change */
	struct change *claimed;
};

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct change *
make_change(unsigned n)
{
	struct change *c = change_new();
	struct segment *s = change_add_segment(c, SEGMENT_ENTRY);

	/* Ids are random in life: spread them. */
	snprintf(c->id, sizeof c->id, "%08x-0000-4000-8000-%012x", n * 2654435761u, n);
	memcpy(c->user_id, USER, sizeof c->user_id);
	c->kind = CHANGE_TRANSFER;
	c->state = CHANGE_QUEUED;
	c->account_id = xasprintf("00000000-0000-4000-9000-%012u", n % ACCOUNTS);
	c->path = xasprintf("backup/2026/directory-%u/file-%u.data", n / 1000, n);
	s->account_id = xasprintf("00000000-0000-4000-9000-%012u", (n + 1) % ACCOUNTS);
	s->path = xasprintf("home/ann/directory-%u/file-%u.data", n / 1000, n);
	s->length = SEGMENT_TO_END;
	return c;
}

static void on_added(void *arg, struct store_result *res);

static void
send_one(struct bench *b)
{
	struct change *c = make_change(b->next++);

	b->sent++;
	store_change_add(b->store, c, on_added, b);
	change_free(c);
}

static void
on_added(void *arg, struct store_result *res)
{
	struct bench *b = arg;

	if (res->code != 0)
		log_fatal("accept: %s", err_text(&res->err));
	if (b->sent < b->want)
		send_one(b);
	if (++b->answered == b->want)
		loop_stop(b->loop);
}

/* Accepts `len` changes, `flight` at a time. */
static void
add(struct bench *b, unsigned len, unsigned flight)
{
	unsigned i;

	b->sent = b->answered = 0;
	b->want = len;
	for (i = 0; i < flight && i < len; i++)
		send_one(b);
	loop_run(b->loop);
}

static void
on_claimed(void *arg, struct store_result *res)
{
	struct bench *b = arg;

	if (res->code != 0 || res->changes_len != 1)
		log_fatal("claim: %s", res->code != 0 ? err_text(&res->err) : "nothing to claim");
	b->claimed = TAKE(res->changes[0]);
	res->changes_len = 0;
	loop_stop(b->loop);
}

static void
on_done(void *arg, struct store_result *res)
{
	struct bench *b = arg;

	if (res->code != 0)
		log_fatal("%s", err_text(&res->err));
	loop_stop(b->loop);
}

static int
by_size(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1
						       : *(const double *)a > *(const double *)b;
}

static void
print_latency(const char *what, double *us)
{
	qsort(us, SAMPLES, sizeof *us, by_size);
	printf("  %-7s median %7.0f us   p99 %7.0f us\n", what, us[SAMPLES / 2],
	    us[SAMPLES * 99 / 100]);
}

static unsigned long
status_kib(const char *name)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtoul(line + strlen(name) + 1, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return kib;
}

static void
setup_accounts(struct bench *b)
{
	struct user user = {.id = USER, .name = (char *)"ann", .uid = -1, .weight = 1};
	unsigned i;

	store_user_add(b->store, &user, on_done, b);
	loop_run(b->loop);
	for (i = 0; i < ACCOUNTS; i++) {
		struct account_record *a = account_record_new();

		snprintf(a->id, sizeof a->id, "00000000-0000-4000-9000-%012u", i);
		memcpy(a->user_id, USER, sizeof a->user_id);
		a->name = xasprintf("account-%u", i);
		a->driver = xstrdup("memory");
		store_account_add(b->store, a, on_done, b);
		loop_run(b->loop);
		account_record_free(a);
	}
}

static void
open_store(struct bench *b, const char *dir)
{
	struct err err = ERR_INIT;
	const struct store_config config = {
	    .dir = dir,
	    .map_size = 1ull << 40,
	    .owner = "bench",
	    .lease_ms = 60000,
	    .sched = {.total_max = 1u << 30, .account_max = 1u << 30, .age_step_ms = 60000},
	};

	if (store_open(&b->store, b->loop, &config, &err) != 0)
		log_fatal("%s", err_text(&err));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void
run(struct bench *b, const char *scratch, unsigned len)
{
	CLEANUP(cleanup_free) char *dir = paths_join(scratch, "store");
	double us[SAMPLES], start, accept_s;
	struct store_stats stats;
	unsigned long anon;
	unsigned i;

	b->next = 0;
	open_store(b, dir);
	setup_accounts(b);
	anon = status_kib("RssAnon:");
	start = now_us();
	add(b, len, FLIGHT);
	accept_s = (now_us() - start) / 1e6;
	store_stats(b->store, &stats);
	printf("%u queued: %.0f accepts/s in %llu commits; database %.0f MiB\n", len,
	    len / accept_s, (unsigned long long)stats.commits, (double)stats.map_used / 1048576);
	for (i = 0; i < SAMPLES; i++) {
		start = now_us();
		add(b, 1, 1);
		us[i] = now_us() - start;
	}
	print_latency("accept", us);
	for (i = 0; i < SAMPLES; i++) {
		start = now_us();
		store_claim(b->store, 1, on_claimed, b);
		loop_run(b->loop);
		us[i] = now_us() - start;
		change_free(b->claimed);
	}
	print_latency("claim", us);
	printf("  memory  %.1f MiB anonymous (%+.1f since opened)\n",
	    (double)status_kib("RssAnon:") / 1024,
	    ((double)status_kib("RssAnon:") - (double)anon) / 1024);
	store_close(b->store);
	start = now_us();
	open_store(b, dir);
	printf("  open    %.1f ms\n", (now_us() - start) / 1e3);
	store_close(b->store);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int
main(int argc, char **argv)
{
	static const char *const lengths[] = {"1000", "100000", "1000000"};
	const char *tmp = getenv("TMPDIR");
	struct bench b = {.next = 0};
	CLEANUP(cleanup_free) char *scratch = NULL;
	struct err err = ERR_INIT;
	size_t i;
	int opt;

	log_init("bench_store", LOG_LEVEL_WARNING);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "d:")) != -1) {
		if (opt != 'd')
			log_fatal("usage: bench_store [-d DIR] [LENGTH...]");
		tmp = optarg;
	}
	scratch = xasprintf("%s/bench-store.XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(scratch) == NULL)
		log_fatal("cannot make %s", scratch);
	b.loop = loop_new("bench", &err);
	if (b.loop == NULL)
		log_fatal("%s", err_text(&err));
	for (i = 0; i < (optind < argc ? (size_t)(argc - optind) : ARRAY_LEN(lengths)); i++)
		run(&b, scratch,
		    (unsigned)strtoul(
			optind < argc ? argv[optind + (int)i] : lengths[i], NULL, 10));
	loop_free(b.loop);
	rmdir(scratch);
	return 0;
}
