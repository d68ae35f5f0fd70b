#include "fs/spool.h"
#include "fs/task.h"
#include "src/clock.h"
#include "src/paths.h"
#include "src/pool.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define SPOOL_COPY       (1024 * 1024)
#define SPOOL_SUM_MS     1000 /* how long a sum of the directory counts; longer if it takes long */
#define SPOOL_SUM_FACTOR 20

struct spool {
	atomic_uint refs; /* jobs on the pool hold one */
	struct spool_quota *quota;
	int fd;
	char *path; /* whole; the name is at its end */
	const char *name;
	uint64_t end, sealed, synced;
	uint64_t serial, origin; /* origin: the serial of what it is a clone of */
	bool named, taken, synced_name;
};

/* One job; it owns what it points to, because the task may go before it. */
struct spool_job {
	struct spool *spool, *from;
	char *data;
	size_t len;
	uint64_t grows; /* WRITE: bytes that the file gets longer */
	uint64_t offset;
	bool sync_dir;
	int code;
};

static struct spool *
spool_alloc(struct fs *fs, const char *name)
{
	static uint64_t serial;
	struct spool *spool = xcalloc(1, sizeof(*spool));
	char uuid[37], *made = NULL;
	uuid_t raw;

	if (name == NULL) {
		uuid_generate_random(raw);
		uuid_unparse_lower(raw, uuid);
		name = made = xasprintf("%s.data", uuid);
	}
	atomic_init(&spool->refs, 1);
	spool->serial = ++serial;
	spool->fd = -1;
	spool->quota = &fs->spool_quota;
	spool->path = paths_join(fs->spool_dir, name);
	spool->name = strrchr(spool->path, '/') + 1;
	free(made);
	return spool;
}

struct spool *
spool_ref(struct spool *spool)
{
	atomic_fetch_add(&spool->refs, 1);
	return spool;
}

void
spool_unref(struct spool *spool)
{
	if (spool == NULL || atomic_fetch_sub(&spool->refs, 1) > 1)
		return;
	if (spool->fd >= 0)
		close(spool->fd);
	if (!spool->named)
		unlink(spool->path);
	free(spool->path);
	free(spool);
}

static struct spool_job *
spool_job_new(struct spool *spool)
{
	struct spool_job *job = xcalloc(1, sizeof(*job));

	job->spool = spool_ref(spool);
	return job;
}

static void
spool_job_free(void *arg)
{
	struct spool_job *job = arg;

	spool_unref(job->spool);
	spool_unref(job->from);
	free(job->data);
	free(job);
}

/* Runs the job; its code, and the job is gone. */
static int
spool_job_run(struct task *task, struct spool_job *job, loop_fn work)
{
	int code = task_work(task, work, spool_job_free, job);

	if (code != 0)
		return code;
	code = job->code;
	spool_job_free(job);
	return code;
}

/* What is open here the daemon's sweep leaves alone, also when no change names it yet. */
static int
spool_open_path(struct spool *spool, int flags)
{
	struct stat st;

	for (;;) {
		spool->fd = open(spool->path, flags | O_CLOEXEC, 0600);
		if (spool->fd < 0)
			return -errno;
		/* Swept before it was held: once more.  Where there are no locks, nothing is swept.
		 */
		if (flock(spool->fd, LOCK_SH) != 0 || (flags & O_CREAT) == 0 ||
		    fstat(spool->fd, &st) != 0 || st.st_nlink > 0)
			return 0;
		cleanup_close(&spool->fd);
	}
}

static void
spool_job_open(void *arg)
{
	struct spool_job *job = arg;
	struct stat st;

	job->code =
	    spool_open_path(job->spool, job->spool->named ? O_RDONLY : O_RDWR | O_CREAT | O_EXCL);
	if (job->code != 0)
		return;
	if (fstat(job->spool->fd, &st) == 0)
		job->spool->end = job->spool->sealed = (uint64_t)st.st_size;
}

static int
spool_open_as(struct task *task, struct spool **out, const char *name)
{
	struct spool *spool = spool_alloc(task->fs, name);
	int code;

	spool->named = spool->taken = name != NULL; /* somebody else's to remove */
	code = spool_job_run(task, spool_job_new(spool), spool_job_open);
	if (code != 0) {
		spool_unref(spool);
		return code;
	}
	*out = spool;
	return 0;
}

int
spool_new(struct task *task, struct spool **out)
{
	return spool_open_as(task, out, NULL);
}

int
spool_open(struct task *task, struct spool **out, const char *name)
{
	return spool_open_as(task, out, name);
}

/* The name is gone (the daemon has removed it, the last change that needed it has ended), or the
   file has as many as it may have. */
static int
spool_copy_bytes(int to, int from)
{
	off_t offset = 0;
	ssize_t n;

	while ((n = copy_file_range(from, &offset, to, NULL, SPOOL_COPY, 0)) > 0)
		;
	return n < 0 ? -errno : 0;
}

static void
spool_job_clone(void *arg)
{
	struct spool_job *job = arg;
	struct spool *to = job->spool;

	if (link(job->from->path, to->path) == 0) {
		job->code = spool_open_path(to, O_RDONLY);
		return;
	}
	if (errno != ENOENT && errno != EMLINK) {
		job->code = -errno;
		return;
	}
	job->code = spool_open_path(to, O_RDWR | O_CREAT | O_EXCL);
	if (job->code == 0)
		job->code = spool_copy_bytes(to->fd, job->from->fd);
}

int
spool_clone(struct task *task, struct spool **out, struct spool *from)
{
	struct spool *spool = spool_alloc(task->fs, NULL);
	struct spool_job *job = spool_job_new(spool);
	uint64_t end = from->end;
	int code;

	spool_seal(from);
	job->from = spool_ref(from);
	code = spool_job_run(task, job, spool_job_clone);
	if (code != 0) {
		spool_unref(spool);
		return code;
	}
	spool->end = spool->sealed = end; /* it may have grown while we waited */
	spool->origin = from->serial;
	*out = spool;
	return 0;
}

bool
spool_is_clone(const struct spool *spool, const struct spool *from, uint64_t upto)
{
	return spool->origin == from->serial && upto <= spool->end;
}

const char *
spool_name(const struct spool *spool)
{
	return spool->name;
}

void
spool_named(struct spool *spool)
{
	spool->named = true;
}

void
spool_taken(struct spool *spool)
{
	spool->taken = true;
}

void
spool_refused(struct spool *spool)
{
	spool->named = spool->taken;
}

uint64_t
spool_end(const struct spool *spool)
{
	return spool->end;
}

uint64_t
spool_sealed(const struct spool *spool)
{
	return spool->sealed;
}

void
spool_seal(struct spool *spool)
{
	spool->sealed = spool->end;
}

/* -- the quota */

void
spool_quota_init(struct spool_quota *q)
{
	pthread_mutex_init(&q->lock, NULL);
}

void
spool_quota_set(struct spool_quota *q, uint64_t bytes)
{
	pthread_mutex_lock(&q->lock);
	q->bytes = bytes;
	q->room = 0;
	pthread_mutex_unlock(&q->lock);
}

/* What the files of the directory hold, each content once, however many names it has. */
static uint64_t
spool_sum(const char *path, size_t dir_len)
{
	CLEANUP(cleanup_free) char *name = xstrndup(path, dir_len);
	DIR *dir = opendir(name);
	struct dirent *entry;
	uint64_t sum = 0;
	struct stat st;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size / MAX(st.st_nlink, (nlink_t)1);
	}
	if (dir != NULL)
		closedir(dir);
	return sum;
}

/* Takes len bytes of the quota.  The lock is held while the sum is made: others wait for it. */
static bool
spool_quota_take(const struct spool *spool, uint64_t len)
{
	struct spool_quota *q = spool->quota;
	uint64_t now, used;
	bool taken;

	pthread_mutex_lock(&q->lock);
	now = clock_mono_ms();
	if (q->bytes != 0 && len > 0 && (len > q->room || now >= q->until_ms)) {
		used =
		    spool_sum(spool->path, (size_t)(spool->name - spool->path) - 1) + q->under_way;
		q->room = used < q->bytes ? q->bytes - used : 0;
		q->until_ms = clock_mono_ms();
		q->until_ms += MAX(SPOOL_SUM_MS, (q->until_ms - now) * SPOOL_SUM_FACTOR);
	}
	taken = q->bytes == 0 || len <= q->room;
	if (taken && q->bytes != 0)
		q->room -= len;
	if (taken)
		q->under_way += len;
	pthread_mutex_unlock(&q->lock);
	return taken;
}

static void
spool_quota_written(struct spool_quota *q, uint64_t len)
{
	pthread_mutex_lock(&q->lock);
	q->under_way -= len;
	pthread_mutex_unlock(&q->lock);
}

static int
spool_pwrite(int fd, const char *data, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(fd, data + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static void
spool_job_write(void *arg)
{
	struct spool_job *job = arg;

	if (!spool_quota_take(job->spool, job->grows)) {
		job->code = -EDQUOT;
		return;
	}
	job->code = spool_pwrite(job->spool->fd, job->data, job->len, job->offset);
	spool_quota_written(job->spool->quota, job->grows);
}

int
spool_write(struct task *task, struct spool *spool, char *data, size_t len, uint64_t offset)
{
	struct spool_job *job = spool_job_new(spool);
	uint64_t end = spool->end;
	int code;

	job->data = data;
	job->len = len;
	job->offset = offset;
	spool->end = MAX(spool->end, offset + len);
	job->grows = spool->end - end;
	spool->synced = MIN(spool->synced, offset);
	code = spool_job_run(task, job, spool_job_write);
	if (code == -EDQUOT && spool->sealed <= end)
		spool->end = end; /* refused: no hole is left that would count */
	else if (code != 0) /* it may still be under way: nothing else may be written there */
		spool_seal(spool);
	return code;
}

static void
spool_job_read(void *arg)
{
	struct spool_job *job = arg;
	size_t done = 0;
	ssize_t n;

	while (done < job->len) {
		n = pread(
		    job->spool->fd, job->data + done, job->len - done, (off_t)(job->offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* shorter than what was written: somebody has cut it */
			job->code = n < 0 ? -errno : -EIO;
			return;
		}
		done += (size_t)n;
	}
}

int
spool_read(struct task *task, struct spool *spool, void *out, size_t len, uint64_t offset)
{
	struct spool_job *job = spool_job_new(spool);
	int code;

	job->data = xmalloc(len);
	job->len = len;
	job->offset = offset;
	code = task_work(task, spool_job_read, spool_job_free, job);
	if (code != 0)
		return code;
	code = job->code;
	if (code == 0)
		memcpy(out, job->data, len);
	spool_job_free(job);
	return code;
}

static void
spool_job_sync(void *arg)
{
	struct spool_job *job = arg;
	char *dir;
	int fd;

	if (fdatasync(job->spool->fd) != 0) {
		job->code = -errno;
		return;
	}
	if (!job->sync_dir)
		return;
	dir = xstrndup(job->spool->path, (size_t)(job->spool->name - job->spool->path) - 1);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(dir);
	if (fd < 0 || fsync(fd) != 0)
		job->code = -errno;
	if (fd >= 0)
		close(fd);
}

int
spool_sync(struct task *task, struct spool *spool)
{
	uint64_t end = spool->end;
	struct spool_job *job;
	int code;

	if (spool->synced_name && spool->synced >= end && spool->sealed >= end)
		return 0;
	spool_seal(spool);
	job = spool_job_new(spool);
	job->sync_dir = !spool->synced_name;
	code = spool_job_run(task, job, spool_job_sync);
	if (code == 0) {
		spool->synced_name = true;
		spool->synced = end;
	}
	return code;
}
