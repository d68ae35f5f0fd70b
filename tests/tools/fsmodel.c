/*
 * fsmodel: random operations on files of a mount, and the same on images in memory; whatever is
 *read must be what the image has.  The same seed gives the same operations.
 *
 *	fsmodel [-n OPERATIONS] [-s SEED] [-k FILES] [-b MAX-BYTES] [-u] [-v] DIRECTORY...
 *
 * -u: now and then fsync (with fsync=cloud that forces the upload) and drop the kernel's pages of
 *the file. The directories take turns; renames and copies go between them.  At the end every file
 *is read whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX     64
#define OPEN_MAX_FILE 3 /* descriptors of one file at once */

struct image {
	char path[PATH_MAX];
	bool exists;
	unsigned char *bytes;
	size_t size;
	int fds[OPEN_MAX_FILE];
	bool writable[OPEN_MAX_FILE];
};

static struct image images[FILES_MAX];
static unsigned files = 12;
static size_t bytes_max = 200000;
static unsigned char *scratch;
static bool verbose, uploads;
static unsigned long operation;
static uint64_t seed = 1, random_state;
static unsigned long done[16];

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

static void
fail(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "fsmodel: seed %llu, operation %lu: ", (unsigned long long)seed, operation);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	if (!verbose)
		return;
	fprintf(stderr, "%lu: ", operation);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* xorshift64*: the same on every machine */
static uint64_t
draw(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1d;
}

static size_t
below(size_t n)
{
	return n == 0 ? 0 : (size_t)(draw() % n);
}

/* A function: its arguments may draw. */
static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static struct image *
any(void)
{
	return &images[below(files)];
}

static int
a_descriptor(const struct image *image, bool writable)
{
	size_t first = below(OPEN_MAX_FILE), i, at;

	for (i = 0; i < OPEN_MAX_FILE; i++) {
		at = (first + i) % OPEN_MAX_FILE;
		if (image->fds[at] >= 0 && (!writable || image->writable[at]))
			return image->fds[at];
	}
	return -1;
}

static void
grow(struct image *image, size_t size)
{
	if (size > image->size)
		memset(image->bytes + image->size, 0, size - image->size);
	image->size = size;
}

static void
compare(const struct image *image, const unsigned char *got, size_t offset, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (got[i] != image->bytes[offset + i])
			fail("%s: byte %zu is 0x%02x, not 0x%02x (size %zu)", image->path,
			    offset + i, got[i], image->bytes[offset + i], image->size);
	}
}

static void
check_whole(const struct image *image)
{
	struct stat st;
	size_t at = 0;
	ssize_t n;
	int fd;

	if (!image->exists) {
		if (stat(image->path, &st) == 0)
			fail("%s: is there", image->path);
		return;
	}
	if (stat(image->path, &st) != 0)
		fail("%s: %s", image->path, strerror(errno));
	if ((size_t)st.st_size != image->size)
		fail("%s: size %lld, not %zu", image->path, (long long)st.st_size, image->size);
	fd = open(image->path, O_RDONLY);
	if (fd < 0)
		fail("%s: open: %s", image->path, strerror(errno));
	while ((n = read(fd, scratch, 65536)) > 0) {
		if (at + (size_t)n > image->size)
			fail("%s: longer than %zu", image->path, image->size);
		compare(image, scratch, at, (size_t)n);
		at += (size_t)n;
	}
	if (n < 0 || at != image->size)
		fail("%s: read to %zu of %zu: %s", image->path, at, image->size,
		    n < 0 ? strerror(errno) : "the end");
	close(fd);
}

/* -- operations; each does nothing when it does not apply */

static void
do_open(void)
{
	struct image *image = any();
	bool truncate = below(6) == 0, writable = truncate || below(3) != 0;
	int flags = (writable ? O_RDWR : O_RDONLY) | (truncate ? O_TRUNC : 0);
	size_t i;

	for (i = 0; i < OPEN_MAX_FILE && image->fds[i] >= 0; i++)
		;
	if (i == OPEN_MAX_FILE || (!image->exists && !writable))
		return;
	if (!image->exists)
		flags |= O_CREAT | (below(2) == 0 ? O_EXCL : 0);
	say("open %s%s%s", image->path, writable ? " for writing" : "",
	    truncate ? " truncated" : "");
	image->fds[i] = open(image->path, flags, 0644);
	if (image->fds[i] < 0)
		fail("%s: open: %s", image->path, strerror(errno));
	image->writable[i] = writable;
	if (!image->exists || truncate)
		image->size = 0;
	image->exists = true;
}

static void
close_at(struct image *image, size_t i)
{
	if (image->fds[i] < 0)
		return;
	say("close %s", image->path);
	if (close(image->fds[i]) != 0)
		fail("%s: close: %s", image->path, strerror(errno));
	image->fds[i] = -1;
}

static void
do_close(void)
{
	close_at(any(), below(OPEN_MAX_FILE));
}

static void
close_all(struct image *image)
{
	size_t i;

	for (i = 0; i < OPEN_MAX_FILE; i++)
		close_at(image, i);
}

static void
do_write(void)
{
	struct image *image = any();
	int fd = a_descriptor(image, true);
	size_t offset, len = 1 + below(below(4) == 0 ? 40000 : 3000), i;

	if (fd < 0)
		return;
	offset = below(3) == 0 ? image->size : below(smaller(image->size + 5000, bytes_max));
	len = offset + len > bytes_max ? bytes_max - offset : len;
	for (i = 0; i < len; i++)
		scratch[i] = (unsigned char)draw();
	say("write %s at %zu, %zu bytes", image->path, offset, len);
	if (pwrite(fd, scratch, len, (off_t)offset) != (ssize_t)len)
		fail("%s: write: %s", image->path, strerror(errno));
	if (offset + len > image->size)
		grow(image, offset + len);
	memcpy(image->bytes + offset, scratch, len);
}

static void
do_read(void)
{
	struct image *image = any();
	int fd = a_descriptor(image, false);
	size_t offset, len = 1 + below(30000);
	ssize_t n;

	if (fd < 0)
		return;
	offset = below(image->size + 100);
	say("read %s at %zu, %zu bytes", image->path, offset, len);
	n = pread(fd, scratch, len, (off_t)offset);
	if (n < 0)
		fail("%s: read: %s", image->path, strerror(errno));
	len = offset >= image->size ? 0 : smaller(len, image->size - offset);
	if ((size_t)n != len)
		fail("%s: read at %zu gave %zd bytes, not %zu", image->path, offset, n, len);
	compare(image, scratch, offset, len);
}

static void
do_truncate(void)
{
	struct image *image = any();
	int fd = a_descriptor(image, true), result;
	size_t size = below(3) == 0 ? 0 : below(bytes_max);

	if (!image->exists)
		return;
	say("truncate %s to %zu", image->path, size);
	result = fd >= 0 ? ftruncate(fd, (off_t)size) : truncate(image->path, (off_t)size);
	if (result != 0)
		fail("%s: truncate: %s", image->path, strerror(errno));
	grow(image, size);
}

static void
do_mmap(void)
{
	struct image *image = any();
	bool write = below(2) == 0;
	int fd = a_descriptor(image, write);
	unsigned char *map;
	size_t offset, len, i;

	if (fd < 0 || image->size == 0)
		return;
	say("mmap %s for %s", image->path, write ? "writing" : "reading");
	map =
	    mmap(NULL, image->size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("%s: mmap: %s", image->path, strerror(errno));
	offset = below(image->size);
	len = smaller(1 + below(9000), image->size - offset);
	compare(image, map + offset, offset, len);
	for (i = 0; write && i < len; i++)
		image->bytes[offset + i] = map[offset + i] = (unsigned char)draw();
	if (write && below(2) == 0 && msync(map, image->size, MS_SYNC) != 0)
		fail("%s: msync: %s", image->path, strerror(errno));
	if (munmap(map, image->size) != 0)
		fail("%s: munmap: %s", image->path, strerror(errno));
}

static void
do_copy(void)
{
	struct image *from = any(), *to = any();
	int in = a_descriptor(from, false), out = a_descriptor(to, true);
	off_t start, end;
	size_t len;
	ssize_t n;

	if (in < 0 || out < 0 || from->size == 0)
		return;
	start = below(3) != 0 ? 0 : (off_t)below(from->size);
	end = below(2) == 0 ? (off_t)to->size : (off_t)below(smaller(to->size + 1000, bytes_max));
	len = below(2) == 0 ? from->size : 1 + below(from->size);
	len = smaller(len, from->size - (size_t)start);
	len = smaller(len, bytes_max - (size_t)end);
	if (len == 0 || (from == to && start < end + (off_t)len && end < start + (off_t)len))
		return;
	say("copy %s at %lld, %zu bytes, to %s at %lld", from->path, (long long)start, len,
	    to->path, (long long)end);
	while (len > 0) {
		n = copy_file_range(in, &start, out, &end, len, 0);
		if (n <= 0)
			fail("%s to %s: copy_file_range: %s", from->path, to->path,
			    n == 0 ? "nothing" : strerror(errno));
		if ((size_t)end > to->size)
			grow(to, (size_t)end);
		memmove(to->bytes + end - n, from->bytes + start - n, (size_t)n);
		len -= (size_t)n;
	}
}

static void
do_rename(void)
{
	struct image *from = any(), *to = any(), swap;

	if (!from->exists || from == to)
		return;
	close_all(to);
	if (below(2) == 0)
		close_all(from);
	say("rename %s to %s", from->path, to->path);
	if (rename(from->path, to->path) != 0)
		fail("%s to %s: rename: %s", from->path, to->path, strerror(errno));
	swap = *to; /* the paths stay, all else changes places */
	memcpy(swap.path, from->path, sizeof(swap.path));
	memcpy(from->path, to->path, sizeof(from->path));
	*to = *from;
	*from = swap;
	from->exists = false;
	from->size = 0;
}

static void
do_unlink(void)
{
	struct image *image = any();

	if (!image->exists || below(3) != 0)
		return;
	close_all(image);
	say("unlink %s", image->path);
	if (unlink(image->path) != 0)
		fail("%s: unlink: %s", image->path, strerror(errno));
	image->exists = false;
	image->size = 0;
}

static void
do_check(void)
{
	struct image *image = any();

	say("check %s", image->path);
	check_whole(image);
}

static void
do_upload(void)
{
	struct image *image = any();
	int fd = a_descriptor(image, false);

	if (!uploads || fd < 0 || below(4) != 0)
		return;
	say("fsync %s", image->path);
	if (fsync(fd) != 0)
		fail("%s: fsync: %s", image->path, strerror(errno));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void
do_times(void)
{
	struct timespec times[2] = {
	    {.tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000 + (time_t)below(1000000)}};
	struct image *image = any();
	struct stat st;

	if (!image->exists)
		return;
	say("utimens %s", image->path);
	if (utimensat(AT_FDCWD, image->path, times, 0) != 0 || stat(image->path, &st) != 0)
		fail("%s: utimensat: %s", image->path, strerror(errno));
	if (st.st_mtim.tv_sec != times[1].tv_sec)
		fail("%s: its time is %lld, not %lld", image->path, (long long)st.st_mtim.tv_sec,
		    (long long)times[1].tv_sec);
}

/* How often each is drawn. */
static const struct {
	void (*run)(void);
	const char *name;
	unsigned weight;
} operations[] = {
    {do_open, "open", 20},
    {do_close, "close", 20},
    {do_write, "write", 25},
    {do_read, "read", 25},
    {do_truncate, "truncate", 5},
    {do_mmap, "mmap", 10},
    {do_copy, "copy", 20},
    {do_rename, "rename", 5},
    {do_unlink, "unlink", 3},
    {do_check, "check", 6},
    {do_upload, "upload", 4},
    {do_times, "times", 2},
};

static void
step(void)
{
	size_t at, i, total = 0;

	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		total += operations[i].weight;
	at = below(total);
	for (i = 0; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	done[i]++;
	operations[i].run();
}

static void
check_names(const char *directory)
{
	struct dirent *entry;
	unsigned i, found = 0, expected = 0;
	size_t len = strlen(directory);
	DIR *dir = opendir(directory);

	if (dir == NULL)
		fail("%s: %s", directory, strerror(errno));
	while ((entry = readdir(dir)) != NULL)
		found += strncmp(entry->d_name, "model-", 6) == 0;
	closedir(dir);
	for (i = 0; i < files; i++)
		expected += images[i].exists && strncmp(images[i].path, directory, len) == 0 &&
		    images[i].path[len] == '/';
	if (found != expected)
		fail("%s: %u names, not %u", directory, found, expected);
}

int
main(int argc, char **argv)
{
	unsigned long count = 10000;
	unsigned i;
	int c;

	while ((c = getopt(argc, argv, "n:s:k:b:uv")) != -1) {
		switch (c) {
		case 'n': count = strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'k': files = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'b': bytes_max = strtoul(optarg, NULL, 10); break;
		case 'u': uploads = true; break;
		case 'v': verbose = true; break;
		default: return 2;
		}
	}
	if (optind == argc || files == 0 || files > FILES_MAX || bytes_max < 65536) {
		fprintf(stderr,
		    "usage: fsmodel [-n OPERATIONS] [-s SEED] [-k FILES] [-b MAX-BYTES] "
		    "[-u] [-v] DIRECTORY...\n");
		return 2;
	}
	random_state = seed * 0x9e3779b97f4a7c15 | 1;
	scratch = malloc(bytes_max + 65536);
	for (i = 0; i < files; i++) {
		snprintf(images[i].path, sizeof(images[i].path), "%s/model-%u",
		    argv[optind + (int)i % (argc - optind)], i);
		images[i].bytes = malloc(bytes_max);
		memset(images[i].fds, -1, sizeof(images[i].fds));
		if (scratch == NULL || images[i].bytes == NULL)
			fail("out of memory");
	}
	for (operation = 1; operation <= count; operation++)
		step();
	for (i = 0; i < files; i++)
		close_all(&images[i]);
	for (i = 0; i < files; i++)
		check_whole(&images[i]);
	for (c = optind; c < argc; c++)
		check_names(argv[c]);
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		printf("%s %lu%s", operations[i].name, done[i],
		    i + 1 < sizeof(operations) / sizeof(operations[0]) ? ", " : "\n");
	for (i = 0; i < files; i++)
		free(images[i].bytes);
	free(scratch);
	return 0;
}
