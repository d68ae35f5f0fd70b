#include "tests/unit/check.h"

#include "src/disk.h"
#include "tests/unit/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

static struct loop *loop;
static struct pool *pool;
static char *dir;
static struct disk_root *root;

struct probe {
	struct disk_request req;
	struct disk_response res; /* taken over */
	struct ring *ring;
	struct event *flow; /* active when the ring has moved */
	bool hold;
	uint64_t at, length; /* of the test's side of the ring */
	struct disk_call *call;
	unsigned dones, progress;
};

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	loop = loop_new("disk", &err);
	pool = pool_new(2, &err);
	dir = scratch_make();
	assert_int_equal(disk_root_new(&root, dir, &err), 0);
	return 0;
}

static int
teardown(void **state)
{
	disk_root_unref(root);
	pool_free(pool);
	loop_free(loop);
	scratch_remove(dir);
	return 0;
}

static char
pattern(uint64_t at)
{
	return (char)((at * 2654435761u) >> 13);
}

static void
probe_init(struct probe *p, enum disk_verb verb, const char *path)
{
	*p = (struct probe){.at = 0};
	disk_request_init(&p->req);
	p->req.verb = verb;
	p->req.root = root;
	p->req.path = xstrdup(path);
	p->req.temp_id = xstrdup("test");
	disk_response_init(&p->res);
}

static void
probe_fini(struct probe *p)
{
	disk_request_fini(&p->req);
	disk_response_fini(&p->res);
	if (p->flow != NULL)
		event_free(p->flow);
	ring_free(p->ring);
}

static void
probe_flow(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	char chunk[16384];
	size_t n;

	while (p->req.verb == DISK_READ && !p->hold &&
	    (n = ring_get(p->ring, chunk, sizeof chunk)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (chunk[i] != pattern(p->req.offset + p->at + i))
				fail_msg("a wrong byte at %llu", (unsigned long long)(p->at + i));
		}
		p->at += n;
	}
	while (p->req.verb == DISK_WRITE && p->at < p->length && ring_wants_input(p->ring)) {
		n = (size_t)MIN(sizeof chunk, p->length - p->at);
		for (size_t i = 0; i < n; i++)
			chunk[i] = pattern(p->at + i);
		assert_true(ring_put(p->ring, chunk, n));
		p->at += n;
	}
	if (p->req.verb == DISK_WRITE && p->at == p->length && !p->hold)
		ring_end(p->ring);
}

static void
probe_on_ring(void *arg)
{
	struct probe *p = arg;

	event_active(p->flow, EV_TIMEOUT, 0);
}

/* A ring whose other side is the test: it takes everything, or gives `length` bytes of the pattern.
 */
static void
probe_stream(struct probe *p, size_t size, uint64_t length)
{
	p->length = length;
	p->ring = ring_new(size, 16384);
	p->flow = event_new(loop_base(loop), -1, 0, probe_flow, p);
	if (p->req.verb == DISK_READ)
		ring_on_input(p->ring, probe_on_ring, p);
	else
		ring_on_output(p->ring, probe_on_ring, p);
	probe_on_ring(p);
}

static void
probe_done(void *arg, struct disk_response *res)
{
	struct probe *p = arg;

	p->dones++;
	p->call = NULL;
	disk_response_fini(&p->res);
	p->res = *res;
	disk_response_init(res);
	if (p->ring != NULL && p->req.verb == DISK_READ) {
		p->hold = false;
		probe_flow(-1, 0, p);
	}
	loop_stop(loop);
}

static void
probe_progress(void *arg, uint64_t bytes)
{
	struct probe *p = arg;

	p->progress++;
}

static void
probe_start(struct probe *p)
{
	p->call = disk_start(loop, pool, &p->req, p->ring, probe_done, probe_progress, p);
	assert_int_equal(p->dones, 0);
}

static int
probe_run(struct probe *p)
{
	probe_start(p);
	loop_run(loop);
	assert_int_equal(p->dones, 1);
	return p->res.code;
}

/* One operation without a ring; path2 and version may be NULL. */
static int
run(enum disk_verb verb, const char *path, const char *path2, const char *version)
{
	struct probe p;
	int code;

	probe_init(&p, verb, path);
	p.req.path2 = xstrdup_null(path2);
	p.req.version = xstrdup_null(version);
	code = probe_run(&p);
	if (code != 0)
		assert_true(p.res.err.msg[0] != '\0' && p.res.err.code == code);
	probe_fini(&p);
	return code;
}

static char *
in(const char *name)
{
	static char path[4][512];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof path[i], "%s/%s", dir, name);
	return path[i];
}

static void
make_pattern(const char *name, uint64_t length)
{
	FILE *file = fopen(in(name), "we");

	assert_non_null(file);
	for (uint64_t i = 0; i < length; i++)
		putc(pattern(i), file);
	assert_int_equal(fclose(file), 0);
}

static void
check_pattern(const char *name, uint64_t length)
{
	FILE *file = fopen(in(name), "re");

	assert_non_null(file);
	for (uint64_t i = 0; i < length; i++) {
		if (getc(file) != (unsigned char)pattern(i))
			fail_msg("%s: a wrong byte at %llu", name, (unsigned long long)i);
	}
	assert_int_equal(getc(file), EOF);
	fclose(file);
}

static char *
version_of(const char *name)
{
	int fd = open(in(name), O_RDONLY | O_CLOEXEC);
	char *version = disk_version(fd);

	close(fd);
	return version;
}

static bool
exists(const char *name)
{
	struct stat st;

	return lstat(in(name), &st) == 0;
}

/* writing */

static void
write_makes_parents_and_sets_attributes(void **state)
{
	struct probe p;
	struct stat st;
	char *version;

	probe_init(&p, DISK_WRITE, "a/b/file");
	p.req.length = 1000000;
	p.req.mtime_ns = INT64_C(1234567890123456789);
	p.req.mode = 0640;
	p.req.fsync = true;
	probe_stream(&p, 65536, 1000000);
	assert_int_equal(probe_run(&p), 0);
	check_pattern("a/b/file", 1000000);
	assert_int_equal(stat(in("a/b/file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_mtim.tv_sec, 1234567890);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_int_equal(p.res.entry.size, 1000000);
	assert_int_equal(p.res.entry.mtime_ns, p.req.mtime_ns);
	version = version_of("a/b/file");
	assert_string_equal(p.res.entry.version, version);
	assert_false(exists("a/b/" DISK_TEMP_PREFIX "test"));
	free(version);
	probe_fini(&p);
}

static void
write_to_the_end_and_of_nothing(void **state)
{
	struct probe p;

	probe_init(&p, DISK_WRITE, "unknown");
	probe_stream(&p, 300000, 700001);
	assert_int_equal(probe_run(&p), 0);
	check_pattern("unknown", 700001);
	probe_fini(&p);
	probe_init(&p, DISK_WRITE, "empty");
	p.req.length = 0;
	assert_int_equal(probe_run(&p), 0);
	check_pattern("empty", 0);
	probe_fini(&p);
}

static void
write_is_exact(void **state)
{
	static const uint64_t given[] = {99999, 100001, 0, 200000};
	struct probe p;

	scratch_write(in("old"), "as it was");
	for (size_t i = 0; i < ARRAY_LEN(given); i++) {
		probe_init(&p, DISK_WRITE, "old");
		p.req.length = 100000;
		probe_stream(&p, 262144, given[i]);
		assert_int_equal(probe_run(&p), -EPROTO);
		probe_fini(&p);
		assert_false(exists(DISK_TEMP_PREFIX "test"));
	}
	assert_int_equal(run(DISK_STAT, "old", NULL, NULL), 0);
	probe_init(&p, DISK_READ, "old");
	p.req.length = 0;
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.size, 9);
	probe_fini(&p);
}

static void
write_does_not_replace_when_told(void **state)
{
	struct probe p;

	scratch_write(in("there"), "keep me");
	probe_init(&p, DISK_WRITE, "there");
	p.req.length = 0;
	p.req.no_replace = true;
	assert_int_equal(probe_run(&p), -EEXIST);
	assert_non_null(strstr(p.res.err.msg, "'there'"));
	probe_fini(&p);
	probe_init(&p, DISK_STAT, "there");
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.size, 7);
	probe_fini(&p);
	assert_false(exists(DISK_TEMP_PREFIX "test"));
	/* A directory is never replaced by a file. */
	assert_int_equal(mkdir(in("d"), 0777), 0);
	probe_init(&p, DISK_WRITE, "d");
	p.req.length = 0;
	assert_int_equal(probe_run(&p), -EISDIR);
	probe_fini(&p);
	/* Our own names cannot be made. */
	probe_init(&p, DISK_WRITE, DISK_TEMP_PREFIX "x");
	p.req.length = 0;
	assert_int_equal(probe_run(&p), -EILSEQ);
	probe_fini(&p);
}

static void
cancel_leaves_no_temp(void **state)
{
	struct probe p;

	probe_init(&p, DISK_WRITE, "never");
	p.req.length = 2000000;
	probe_stream(&p, 524288, 1000000); /* half of it, then it waits */
	p.hold = true;
	probe_start(&p);
	while (p.at < 1000000)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	disk_cancel(p.call);
	probe_fini(&p); /* the request and the ring may go at once */
	pool_free(pool);
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(p.dones, 0);
	assert_false(exists("never"));
	assert_false(exists(DISK_TEMP_PREFIX "test"));
	pool = NULL;
}

/* reading */

static void
read_ranges(void **state)
{
	static const struct {
		uint64_t offset, length, want;
	} ranges[] = {{0, UINT64_MAX, 900000}, {0, 900000, 900000}, {1, 899998, 899998},
	    {500000, 1, 1}, {899999, 10, 1}, {900000, 5, 0}, {2000000, UINT64_MAX, 0}, {17, 0, 0}};
	struct probe p;

	make_pattern("file", 900000);
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		probe_init(&p, DISK_READ, "file");
		p.req.version = version_of("file");
		p.req.offset = ranges[i].offset;
		p.req.length = ranges[i].length;
		probe_stream(&p, 65536, 0);
		assert_int_equal(probe_run(&p), 0);
		assert_int_equal(p.at, ranges[i].want);
		assert_int_equal(p.res.streamed, ranges[i].want);
		assert_int_equal(p.res.entry.size, 900000);
		assert_string_equal(p.res.entry.version, p.req.version);
		probe_fini(&p);
	}
}

static void
read_sees_what_changed(void **state)
{
	struct probe p;
	char *version;

	make_pattern("file", 2000000);
	version = version_of("file");
	assert_int_equal(truncate(in("file"), 1999999), 0);
	probe_init(&p, DISK_READ, "file");
	p.req.version = version;
	probe_stream(&p, 65536, 0);
	assert_int_equal(probe_run(&p), -ESTALE);
	assert_int_equal(p.at, 0);
	probe_fini(&p);

	/* While it is read, without a version too. */
	probe_init(&p, DISK_READ, "file");
	probe_stream(&p, 65536, 0);
	p.hold = true;
	probe_start(&p);
	while (ring_held(p.ring) == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	assert_int_equal(truncate(in("file"), 1000), 0);
	p.hold = false;
	probe_on_ring(&p);
	loop_run(loop);
	assert_int_equal(p.res.code, -ESTALE);
	probe_fini(&p);
	assert_int_equal(run(DISK_STAT, "nothing", NULL, NULL), -ENOENT);
}

/* As a spool file, which grows and gets other names (and so another ctime) while it is read. */
static void
read_of_a_sealed_range_minds_no_change(void **state)
{
	struct probe p;

	make_pattern("file", 2000000);
	probe_init(&p, DISK_READ, "file");
	p.req.length = 1000000;
	p.req.is_sealed = true;
	probe_stream(&p, 65536, 0);
	p.hold = true;
	probe_start(&p);
	while (ring_held(p.ring) == 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	assert_int_equal(truncate(in("file"), 3000000), 0);
	p.hold = false;
	probe_on_ring(&p);
	loop_run(loop);
	assert_int_equal(p.res.code, 0);
	assert_int_equal(p.at, 1000000);
	probe_fini(&p);
}

static void
read_is_held_back_by_its_sink(void **state)
{
	struct probe p;

	make_pattern("file", 2000000);
	probe_init(&p, DISK_READ, "file");
	probe_stream(&p, 65536, 0);
	p.hold = true;
	probe_start(&p);
	while (ring_wants_input(p.ring))
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	disk_cancel(p.call); /* not busy: it waits for room */
	probe_fini(&p);
	pool_free(pool);
	pool = NULL;
	loop_stop(loop);
	loop_run(loop);
	assert_int_equal(p.dones, 0);
}

/* what is beneath, and what is not */

static void
make_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd);
}

static int
by_name(const void *va, const void *vb)
{
	const struct entry *a = va, *b = vb;

	return entry_name_compare(
	    a->path, a->kind == ENTRY_DIRECTORY, b->path, b->kind == ENTRY_DIRECTORY);
}

/* So many at a time, behind one another: in order, each once, and what is not for us never. */
static void
list_in_pieces(void **state)
{
	static const char *const names[] = {"a", "a-", "b", "b!", "b0", "c", "d", "e"};
	static const char *const order[] = {"a-", "a", "b!", "b", "b0", "c", "d", "e"};
	char after[16];
	struct probe p;
	size_t piece, i, n;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		if (strlen(names[i]) == 1)
			assert_int_equal(mkdir(in(names[i]), 0777), 0);
		else
			scratch_write(in(names[i]), "x");
	}
	assert_int_equal(symlink("/etc/passwd", in("abs-link")), 0);
	scratch_write(in("a\xff"), "x");
	for (piece = 1; piece <= ARRAY_LEN(names) + 1; piece++) {
		for (n = 0, after[0] = '\0'; n < ARRAY_LEN(order);) {
			probe_init(&p, DISK_LIST, "");
			p.req.max = piece;
			p.req.after = after[0] != '\0' ? xstrdup(after) : NULL;
			assert_int_equal(probe_run(&p), 0);
			assert_int_equal(p.res.entries.len, MIN(piece, ARRAY_LEN(order) - n));
			qsort(p.res.entries.items, p.res.entries.len, sizeof *p.res.entries.items,
			    by_name);
			for (i = 0; i < p.res.entries.len; i++, n++) {
				const struct entry *e = &p.res.entries.items[i];

				assert_string_equal(e->path, order[n]);
				snprintf(after, sizeof after, "%s%s", e->path,
				    e->kind == ENTRY_DIRECTORY ? "/" : "");
			}
			assert_int_equal(p.res.more, n < ARRAY_LEN(order));
			probe_fini(&p);
		}
	}
}

static void
list_hides_what_is_not_for_us(void **state)
{
	struct probe p;

	scratch_write(in("file"), "x");
	assert_int_equal(mkdir(in("dir"), 0777), 0);
	assert_int_equal(symlink("file", in("good-link")), 0);
	assert_int_equal(symlink("dir", in("good-dir-link")), 0);
	assert_int_equal(symlink("/etc/passwd", in("abs-link")), 0);
	assert_int_equal(symlink("../../etc/passwd", in("up-link")), 0);
	assert_int_equal(symlink("nothing", in("dangling")), 0);
	assert_int_equal(symlink("loop", in("loop")), 0);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	make_socket(in("socket"));
	scratch_write(in(DISK_TEMP_PREFIX "abc"), "x");
	scratch_write(in("not\xffutf8"), "x");
	probe_init(&p, DISK_LIST, "");
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entries.len, 4);
	for (size_t i = 0; i < p.res.entries.len; i++) {
		const struct entry *e = &p.res.entries.items[i];

		if (strcmp(e->path, "good-link") == 0 || strcmp(e->path, "file") == 0)
			assert_true(e->kind == ENTRY_FILE && e->size == 1 && e->version != NULL);
		else if (strcmp(e->path, "good-dir-link") == 0 || strcmp(e->path, "dir") == 0)
			assert_true(e->kind == ENTRY_DIRECTORY && e->size == 0);
		else
			fail_msg("'%s' is listed", e->path);
	}
	probe_fini(&p);
	scratch_write(in("dir/below"), "x");
	probe_init(&p, DISK_LIST, "dir");
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entries.len, 1);
	assert_string_equal(p.res.entries.items[0].path, "dir/below");
	probe_fini(&p);
	assert_int_equal(run(DISK_LIST, "file", NULL, NULL), -ENOTDIR);
	assert_int_equal(run(DISK_LIST, "nothing", NULL, NULL), -ENOENT);
}

static void
nothing_leads_out(void **state)
{
	static const char *const names[] = {
	    "abs", "up", "dir/escape", "out/passwd", "fifo", "magic/passwd"};
	struct probe p;

	assert_int_equal(mkdir(in("dir"), 0777), 0);
	assert_int_equal(symlink("/etc/passwd", in("abs")), 0);
	assert_int_equal(symlink("../../../../../../etc/passwd", in("up")), 0);
	assert_int_equal(symlink("../../etc/passwd", in("dir/escape")), 0);
	assert_int_equal(symlink("/etc", in("out")), 0);
	assert_int_equal(symlink("/proc/self/root/etc", in("magic")), 0);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(run(DISK_STAT, names[i], NULL, NULL), -ENOENT);
		assert_int_equal(run(DISK_SETATTR, names[i], NULL, NULL), -ENOENT);
		assert_int_equal(run(DISK_UNLINK, names[i], NULL, NULL), -ENOENT);
		assert_int_equal(run(DISK_RENAME, names[i], "stolen", NULL), -ENOENT);
		probe_init(&p, DISK_READ, names[i]);
		probe_stream(&p, 65536, 0);
		assert_int_equal(probe_run(&p), -ENOENT);
		probe_fini(&p);
		probe_init(&p, DISK_COPY, names[i]);
		p.req.path2 = xstrdup("stolen");
		assert_int_equal(probe_run(&p), -ENOENT);
		probe_fini(&p);
	}
	/* Nor can anything be made out there. */
	assert_int_equal(symlink("/tmp", in("tmp")), 0);
	assert_int_equal(run(DISK_MKDIR, "tmp/skyferry-was-here", NULL, NULL), -ENOENT);
	probe_init(&p, DISK_WRITE, "tmp/skyferry-was-here");
	p.req.length = 0;
	assert_int_not_equal(probe_run(&p), 0);
	probe_fini(&p);
	assert_int_not_equal(access("/tmp/skyferry-was-here", F_OK), 0);
	/* A write onto a link replaces the link, not what it leads to. */
	scratch_write(in("target"), "untouched");
	assert_int_equal(symlink("target", in("link")), 0);
	probe_init(&p, DISK_WRITE, "link");
	p.req.length = 0;
	assert_int_equal(probe_run(&p), 0);
	probe_fini(&p);
	probe_init(&p, DISK_STAT, "target");
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.size, 9);
	probe_fini(&p);
}

static void
roots_are_checked(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(disk_open_root("relative/path", true, &err), -EINVAL);
	assert_int_equal(disk_open_root("/nothing/there", true, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nothing/there"));
	scratch_write(in("file"), "");
	assert_int_equal(disk_open_root(in("file"), true, &err), -ENOTDIR);
}

/* Made without a look at the disk; opened by the first job, which may fail and be followed by one
   that does not. */
static void
roots_are_opened_when_needed(void **state)
{
	struct disk_root *first = root, *none;
	struct err err = ERR_INIT;
	struct probe p;
	char *plain = in("later");

	assert_int_equal(disk_root_new(&none, "relative", &err), -EINVAL);
	assert_int_equal(disk_root_new(&none, in("a/../b"), &err), -EPERM);
	assert_int_equal(disk_root_new(&root, plain, &err), 0);
	assert_string_equal(disk_root_path(root), plain);
	/* "Not found" would be about the path. */
	probe_init(&p, DISK_STAT, "");
	assert_int_equal(probe_run(&p), -EIO);
	assert_non_null(strstr(p.res.err.msg, "/later': No such file"));
	assert_int_equal(p.res.err.code, -EIO);
	probe_fini(&p);
	assert_int_equal(mkdir(in("later"), 0777), 0);
	assert_int_equal(run(DISK_STAT, "", NULL, NULL), 0);
	/* It is the directory that was opened, whatever has its name now. */
	scratch_write(in("later/file"), "x");
	assert_int_equal(rename(in("later"), in("moved")), 0);
	assert_int_equal(mkdir(in("later"), 0777), 0);
	assert_int_equal(run(DISK_STAT, "file", NULL, NULL), 0);
	disk_root_unref(root);
	/* A symlink in its place is not followed. */
	assert_int_equal(rename(in("later"), in("empty")), 0);
	assert_int_equal(symlink("moved", in("later")), 0);
	assert_int_equal(disk_root_new(&root, in("later"), &err), 0);
	assert_int_equal(run(DISK_STAT, "file", NULL, NULL), -EPERM);
	disk_root_unref(root);
	root = first;
}

#define RACERS 8

static void *
race(void *arg)
{
	struct err err = ERR_INIT;

	pthread_barrier_wait(arg);
	return (void *)(intptr_t)disk_root_fd(root, &err);
}

/* Whoever opens it first, all have the same descriptor. */
static void
roots_are_opened_once(void **state)
{
	pthread_barrier_t start;
	pthread_t threads[RACERS];
	void *fd, *one = NULL;

	pthread_barrier_init(&start, NULL, RACERS);
	for (size_t i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &start), 0);
	for (size_t i = 0; i < RACERS; i++) {
		pthread_join(threads[i], &fd);
		assert_true((intptr_t)fd >= 0);
		assert_true(i == 0 || fd == one);
		one = fd;
	}
	pthread_barrier_destroy(&start);
}

/* In a mount namespace of its own: a Skyferry mount that nobody answers for. */
static int
look_at_mount(void)
{
	CLEANUP(cleanup_free) char *options = NULL;
	CLEANUP(cleanup_free) char *inside = xasprintf("%s/mnt/account", dir);
	struct err err = ERR_INIT;
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	options = xasprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (fuse < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mkdir(in("mnt"), 0777) < 0 ||
	    mkdir(in("mnt-not"), 0777) < 0 ||
	    mount("x", in("mnt"), "fuse.skyferry", 0, options) < 0)
		return 77;
	alarm(10); /* whoever asks the mount waits for ever */
	if (disk_open_root(in("mnt"), true, &err) != -EINVAL || strstr(err.msg, "inside") == NULL)
		return 1;
	if (disk_open_root(inside, true, &err) != -EINVAL || strstr(err.msg, "inside") == NULL)
		return 2;
	if (disk_open_root(dir, true, &err) != -EINVAL || strstr(err.msg, "contains") == NULL)
		return 3;
	/* A root that has become a way into the mount is not followed. */
	if (symlink(inside, in("way")) != 0 || disk_open_root(in("way"), false, &err) != -EPERM)
		return 4;
	if (disk_open_root(in("way/further"), false, &err) != -EPERM ||
	    disk_open_root(in("mnt-not/../mnt/account"), false, &err) != -EPERM)
		return 5;
	return disk_open_root(in("mnt-not"), true, &err) >= 0 ? 0 : 6;
}

static void
roots_stay_away_from_mounts(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(look_at_mount());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* needs root and /dev/fuse */
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* copying */

static uint64_t
blocks_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in(name), &st), 0);
	return (uint64_t)st.st_blocks;
}

static void
copy_keeps_content_and_holes(void **state)
{
	static const off_t data[] = {0, 5000000, 90000000, 200000000};
	struct probe p;
	char byte = 0;
	int fd = open(in("sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	for (size_t i = 0; i < ARRAY_LEN(data); i++)
		assert_int_equal(pwrite(fd, "data", 4, data[i]), 4);
	assert_int_equal(ftruncate(fd, INT64_C(4294967301)), 0); /* ends in a hole */
	close(fd);
	probe_init(&p, DISK_COPY, "sparse");
	p.req.path2 = xstrdup("new/copy");
	p.req.mtime_ns = INT64_C(1000000000);
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.size, INT64_C(4294967301));
	assert_string_equal(p.res.entry.path, "new/copy");
	assert_int_equal(p.res.entry.mtime_ns, INT64_C(1000000000));
	probe_fini(&p);
	assert_true(blocks_of("new/copy") <= blocks_of("sparse") + 256);
	fd = open(in("new/copy"), O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(data); i++) {
		assert_int_equal(pread(fd, &byte, 1, data[i] + 3), 1);
		assert_int_equal(byte, 'a');
	}
	close(fd);
	make_pattern("file", 777777);
	assert_int_equal(run(DISK_COPY, "file", "file2", NULL), 0);
	check_pattern("file2", 777777);
}

static void
copy_refuses_another_version(void **state)
{
	char *version;

	make_pattern("file", 1000);
	version = version_of("file");
	assert_int_equal(run(DISK_COPY, "file", "good", version), 0);
	assert_int_equal(truncate(in("file"), 999), 0);
	assert_int_equal(run(DISK_COPY, "file", "bad", version), -ESTALE);
	assert_false(exists("bad"));
	assert_false(exists(DISK_TEMP_PREFIX "test"));
	assert_int_equal(run(DISK_COPY, "nothing", "bad", NULL), -ENOENT);
	free(version);
}

/* Where copy_file_range() cannot: holes are kept through our memory as well. */
static void
copy_between_file_systems(void **state)
{
	char other[] = "/dev/shm/skyferry-test.XXXXXX";
	struct stat there;
	struct err err = ERR_INIT;
	struct probe p;
	struct disk_root *far;

	if (mkdtemp(other) == NULL)
		skip();
	make_pattern("file", 3000000);
	assert_int_equal(truncate(in("file"), 80000000), 0);
	probe_init(&p, DISK_COPY, "file");
	p.req.path2 = xstrdup("copy");
	assert_int_equal(disk_root_new(&far, other, &err), 0);
	p.req.root2 = far;
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.size, 80000000);
	assert_int_equal(fstatat(disk_root_fd(far, &err), "copy", &there, 0), 0);
	assert_true(there.st_blocks < 10000);
	/* And back, where the pattern is looked at. */
	p.req.root = far;
	p.req.root2 = root;
	p.dones = 0;
	xstrset(&p.req.path, "copy");
	xstrset(&p.req.path2, "back");
	assert_int_equal(probe_run(&p), 0);
	assert_true(blocks_of("back") < 10000);
	assert_int_equal(truncate(in("back"), 3000000), 0);
	check_pattern("back", 3000000);
	probe_fini(&p);
	assert_int_equal(unlinkat(disk_root_fd(far, &err), "copy", 0), 0);
	disk_root_unref(far);
	assert_int_equal(rmdir(other), 0);
}

/* names */

static void
names_change(void **state)
{
	struct probe p;
	char *version;

	assert_int_equal(run(DISK_MKDIR, "a/b/c", NULL, NULL), 0);
	assert_int_equal(run(DISK_MKDIR, "a/b", NULL, NULL), 0);
	scratch_write(in("a/file"), "1");
	assert_int_equal(run(DISK_MKDIR, "a/file/d", NULL, NULL), -ENOTDIR);
	assert_int_equal(run(DISK_RENAME, "a/file", "x/y/file", NULL), 0);
	assert_int_equal(run(DISK_STAT, "a/file", NULL, NULL), -ENOENT);
	version = version_of("x/y/file");
	scratch_write(in("x/y/other"), "2");
	assert_int_equal(run(DISK_UNLINK, "x/y/other", NULL, version), -ESTALE);
	assert_int_equal(run(DISK_UNLINK, "x/y/file", NULL, version), 0);
	assert_int_equal(run(DISK_UNLINK, "x/y/file", NULL, NULL), -ENOENT);
	assert_int_equal(run(DISK_UNLINK, "a", NULL, NULL), -EISDIR);
	assert_int_equal(run(DISK_RMDIR, "x", NULL, NULL), -ENOTEMPTY);
	assert_int_equal(run(DISK_RMDIR, "a/b/c", NULL, NULL), 0);
	assert_int_equal(run(DISK_RMDIR, "x/y/other", NULL, NULL), -ENOTDIR);
	assert_int_equal(run(DISK_RMDIR, "", NULL, NULL), -EBUSY);
	assert_int_equal(run(DISK_RENAME, "x", "moved", NULL), 0);
	assert_int_equal(run(DISK_STAT, "moved/y/other", NULL, NULL), 0);
	scratch_write(in("there"), "3");
	probe_init(&p, DISK_RENAME, "there");
	p.req.path2 = xstrdup("moved/y/other");
	p.req.no_replace = true;
	assert_int_equal(probe_run(&p), -EEXIST);
	probe_fini(&p);
	assert_int_equal(run(DISK_RENAME, "there", "moved/y/other", NULL), 0);
	free(version);
}

static void
attributes_usage_and_sweep(void **state)
{
	struct probe p;
	struct stat st;

	scratch_write(in("f"), "1");
	probe_init(&p, DISK_SETATTR, "f");
	p.req.mode = 0400;
	p.req.mtime_ns = -1; /* before 1970 */
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(p.res.entry.mtime_ns, -1);
	probe_fini(&p);
	assert_int_equal(stat(in("f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0400);
	assert_int_equal(st.st_mtim.tv_sec, -1);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);

	probe_init(&p, DISK_STATVFS, "");
	assert_int_equal(probe_run(&p), 0);
	assert_true(p.res.usage.total > 0 && p.res.usage.used <= p.res.usage.total);
	probe_fini(&p);

	scratch_write(in(DISK_TEMP_PREFIX "test"), "left");
	assert_int_equal(run(DISK_SWEEP, "f", NULL, NULL), 0);
	assert_false(exists(DISK_TEMP_PREFIX "test"));
	assert_int_equal(run(DISK_SWEEP, "f", NULL, NULL), 0);
	assert_int_equal(run(DISK_SWEEP, "no/such/place", NULL, NULL), 0);
}

/* What was synced, by inode: these take the place of libc's. */
static atomic_ullong synced, synced_whole;

int
fsync(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	atomic_store(&synced, st.st_ino);
	return (int)syscall(SYS_fsync, fd);
}

int
syncfs(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	atomic_store(&synced_whole, st.st_ino);
	return (int)syscall(SYS_syncfs, fd);
}

static void
set_mode(const char *path, unsigned mode, bool durably)
{
	struct probe p;

	atomic_store(&synced, 0);
	atomic_store(&synced_whole, 0);
	probe_init(&p, DISK_SETATTR, path);
	p.req.mode = mode;
	p.req.fsync = durably;
	assert_int_equal(probe_run(&p), 0);
	probe_fini(&p);
}

static uint64_t
inode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in(name), &st), 0);
	return st.st_ino;
}

/* Whoever takes a list for all there is must know what could not be looked at. */
static void
list_of_what_cannot_be_looked_at(void **state)
{
	struct probe p;
	size_t max;

	assert_int_equal(mkdir(in("d"), 0777), 0);
	scratch_write(in("d/f"), "1");
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(in("d"), 0444), 0); /* names only */
	if (geteuid() == 0) /* root may look at everything */
		assert_int_equal(seteuid(65534), 0);
	for (max = 0; max <= 10; max += 10) {
		probe_init(&p, DISK_LIST, "d");
		p.req.max = max;
		assert_int_equal(probe_run(&p), -EACCES);
		probe_fini(&p);
	}
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(chmod(in("d"), 0755), 0);
}

/* Attributes are on disk before they count as changed, as content is; also of a file that may not
   be opened, by then or before. */
static void
attributes_are_durable(void **state)
{
	struct probe p;

	assert_int_equal(mkdir(in("d"), 0777), 0);
	assert_int_equal(chmod(in("d"), 0777), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() == 0) /* root may open everything */
		assert_int_equal(seteuid(65534), 0);
	scratch_write(in("d/f"), "1");
	set_mode("d/f", 0600, false);
	assert_int_equal(synced + synced_whole, 0);
	set_mode("d/f", 0200, true);
	assert_int_equal(synced, inode_of("d/f"));
	set_mode("d/f", 0600, true);
	assert_int_equal(synced, 0);
	assert_int_equal(synced_whole, inode_of("d"));
	probe_init(&p, DISK_MKDIR, "d/sub");
	p.req.mtime_ns = INT64_C(1000000000);
	p.req.fsync = true;
	assert_int_equal(probe_run(&p), 0);
	assert_int_equal(synced, inode_of("d/sub"));
	probe_fini(&p);
	assert_int_equal(seteuid(getuid()), 0);
}

static void
errors_name_the_remedy(void **state)
{
	struct probe p;
	int code;

	assert_int_equal(mkdir(in("closed"), 0500), 0);
	probe_init(&p, DISK_WRITE, "closed/f");
	p.req.length = 0;
	if (geteuid() == 0) /* root may do everything */
		assert_int_equal(seteuid(65534), 0);
	code = probe_run(&p);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(code, -EACCES);
	assert_non_null(strstr(p.res.err.msg, "permission denied"));
	probe_fini(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	    TEST(write_makes_parents_and_sets_attributes),
	    TEST(write_to_the_end_and_of_nothing),
	    TEST(write_is_exact),
	    TEST(write_does_not_replace_when_told),
	    TEST(cancel_leaves_no_temp),
	    TEST(read_ranges),
	    TEST(read_sees_what_changed),
	    TEST(read_of_a_sealed_range_minds_no_change),
	    TEST(read_is_held_back_by_its_sink),
	    TEST(list_hides_what_is_not_for_us),
	    TEST(list_in_pieces),
	    TEST(nothing_leads_out),
	    TEST(roots_are_checked),
	    TEST(roots_are_opened_when_needed),
	    TEST(roots_are_opened_once),
	    TEST(roots_stay_away_from_mounts),
	    TEST(copy_keeps_content_and_holes),
	    TEST(copy_refuses_another_version),
	    TEST(copy_between_file_systems),
	    TEST(names_change),
	    TEST(attributes_usage_and_sweep),
	    TEST(list_of_what_cannot_be_looked_at),
	    TEST(attributes_are_durable),
	    TEST(errors_name_the_remedy),
	};

	return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
