/* The jobs of disk calls, on a thread of the pool: those that move bytes, and what all have in
 * common. */
#include "src/crash.h"
#include "src/disk_private.h"
#include "src/path.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
disk_work_fail(struct disk_call *call, int code, const char *doing)
{
	return disk_fail(&call->res.err, code, doing, call->req.path);
}

int
disk_work_stale(struct disk_call *call)
{
	return err_set(&call->res.err, -ESTALE, "'%s' has changed", call->req.path);
}

bool
disk_stat_is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

bool
disk_stat_has_version(const struct stat *st, const char *version)
{
	CLEANUP(cleanup_free) char *now = disk_version_of(st);

	return version == NULL || strcmp(now, version) == 0;
}

/* What is at path, symlinks followed. */
int
disk_stat_beneath(struct stat *out, int root, const char *path)
{
	CLEANUP(cleanup_close) int fd = -1;

	if (disk_is_reserved(path))
		return -ENOENT;
	fd = disk_openat(root, path, O_PATH);
	if (fd < 0)
		return fd == -ENOTDIR ? -ENOENT : fd;
	if (fstat(fd, out) < 0)
		return -errno;
	return disk_stat_is_ours(out) ? 0 : -ENOENT;
}

bool
disk_source_changed(int fd, const struct stat *before)
{
	CLEANUP(cleanup_free) char *version = disk_version_of(before);
	struct stat now;

	return fstat(fd, &now) < 0 || !disk_stat_has_version(&now, version);
}

/* Opens the file to read, checks its version, remembers what it is. */
static int
work_open_source(struct disk_call *call, int *out)
{
	const struct disk_request *req = &call->req;
	int fd;

	if (disk_is_reserved(req->path))
		return disk_work_fail(call, -ENOENT, "read");
	/* Not blocking: a FIFO would wait for a writer. */
	fd = disk_openat(call->root, req->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return disk_work_fail(call, fd == -ENOTDIR ? -ENOENT : fd, "read");
	*out = fd;
	if (fstat(fd, &call->at_begin) < 0)
		return disk_work_fail(call, -errno, "read");
	if (S_ISDIR(call->at_begin.st_mode))
		return disk_work_fail(call, -EISDIR, "read");
	if (!S_ISREG(call->at_begin.st_mode))
		return disk_work_fail(call, -ENOENT, "read");
	return disk_stat_has_version(&call->at_begin, req->version) ? 0 : disk_work_stale(call);
}

/* READ */

static int
read_begin(struct disk_call *call)
{
	uint64_t size;
	int code = work_open_source(call, &call->file);

	if (code != 0)
		return code;
	call->begun = true;
	disk_entry_fill(&call->res.entry, call->req.path, &call->at_begin);
	size = (uint64_t)call->at_begin.st_size;
	call->position = call->req.offset;
	call->left = call->position >= size ? 0 : MIN(size - call->position, call->req.length);
	posix_fadvise(call->file, (off_t)call->position, (off_t)call->left, POSIX_FADV_SEQUENTIAL);
	return 0;
}

static int
work_read(struct disk_call *call)
{
	size_t want, got = 0;
	ssize_t n;
	int code;

	if (!call->begun && (code = read_begin(call)) != 0)
		return code;
	want = (size_t)MIN(call->buf_len, call->left);
	call->buf_len = 0;
	if (want > 0)
		call->buf = xmalloc(want);
	while (got < want) {
		n = pread(call->file, call->buf + got, want - got, (off_t)call->position);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return disk_work_fail(call, -errno, "read");
		if (n == 0)
			return disk_work_stale(call);
		got += (size_t)n;
		call->position += (uint64_t)n;
	}
	call->left -= got;
	call->buf_len = got;
	if (call->left > 0)
		return 1;
	return !call->req.is_sealed && disk_source_changed(call->file, &call->at_begin)
	    ? disk_work_stale(call)
	    : 0;
}

/* the temp, its attributes, its rename */

int
disk_temp_open(struct disk_call *call, int root, const char *path)
{
	CLEANUP(cleanup_free) char *temp = NULL;
	int fd;

	if (*path == '\0')
		return disk_fail(&call->res.err, -EISDIR, "write", path);
	if (disk_is_reserved(path))
		return err_set(&call->res.err, -EILSEQ,
		    "cannot write '%s': names that begin with '%s' are kept for temporary files",
		    path, DISK_TEMP_PREFIX);
	call->dir = disk_open_parent(root, path, true, call->req.fsync);
	if (call->dir < 0)
		return disk_fail(&call->res.err, call->dir, "write", path);
	temp = xasprintf("%s%s", DISK_TEMP_PREFIX, call->req.temp_id);
	/* What an earlier attempt left; never somebody else's file through a link. */
	if (unlinkat(call->dir, temp, 0) < 0 && errno != ENOENT)
		return disk_fail(&call->res.err, -errno, "write", path);
	fd = openat(call->dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return disk_fail(&call->res.err, -errno, "write", path);
	call->file = fd;
	call->temp = TAKE(temp);
	return 0;
}

int
disk_set_mtime(int dir, const char *name, int fd, int64_t mtime_ns)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

	times[1].tv_sec = mtime_ns / 1000000000;
	times[1].tv_nsec = mtime_ns % 1000000000;
	if (times[1].tv_nsec < 0) {
		times[1].tv_sec--;
		times[1].tv_nsec += 1000000000;
	}
	if ((name != NULL ? utimensat(dir, name, times, 0) : futimens(fd, times)) < 0)
		return -errno;
	return 0;
}

/* renameat2(), and where the file system cannot refuse to replace, a link that does. */
int
disk_rename_at(int from_dir, const char *from, int to_dir, const char *to, bool no_replace)
{
	if (renameat2(from_dir, from, to_dir, to, no_replace ? RENAME_NOREPLACE : 0) == 0)
		return 0;
	if (errno != EINVAL || !no_replace)
		return -errno;
	if (linkat(from_dir, from, to_dir, to, 0) < 0)
		return -errno;
	return unlinkat(from_dir, from, 0) < 0 ? -errno : 0;
}

static int
temp_set_attributes(struct disk_call *call)
{
	const struct disk_request *req = &call->req;
	int code = 0;

	if (fchmod(call->file, req->mode != 0 ? req->mode & 0777 : disk_default_mode()) < 0)
		code = -errno;
	if (code == 0 && req->mtime_ns != ENTRY_NO_TIME)
		code = disk_set_mtime(-1, NULL, call->file, req->mtime_ns);
	if (code == 0 && req->fsync && fsync(call->file) < 0)
		code = -errno;
	return code;
}

int
disk_temp_commit(struct disk_call *call, int root, const char *path)
{
	struct stat st;
	int code = temp_set_attributes(call);

	if (code != 0)
		return disk_fail(&call->res.err, code, "write", path);
	if (atomic_load(&call->cancelled))
		return -ECANCELED;
	crash_point("disk.before_rename");
	code =
	    disk_rename_at(call->dir, call->temp, call->dir, path_name(path), call->req.no_replace);
	if (code == -EEXIST)
		return err_set(&call->res.err, code, "cannot write '%s': it exists already", path);
	if (code != 0)
		return disk_fail(&call->res.err, code, "write", path);
	free(TAKE(call->temp));
	crash_point("disk.after_rename");
	if ((call->req.fsync && fsync(call->dir) < 0) || fstat(call->file, &st) < 0)
		return disk_fail(&call->res.err, -errno, "write", path);
	disk_entry_fill(&call->res.entry, path, &st);
	return 0;
}

/* WRITE */

static int
work_write(struct disk_call *call)
{
	size_t put = 0;
	ssize_t n;
	int code;

	if (!call->begun) {
		code = disk_temp_open(call, call->root, call->req.path);
		if (code != 0)
			return code;
		call->begun = true;
	}
	while (put < call->buf_len) {
		n = write(call->file, call->buf + put, call->buf_len - put);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return disk_work_fail(call, -errno, "write");
		put += (size_t)n;
	}
	return call->last ? disk_temp_commit(call, call->root, call->req.path) : 1;
}

static int
work_copy(struct disk_call *call)
{
	const struct disk_request *req = &call->req;
	int code;

	if (!call->begun) {
		code = work_open_source(call, &call->source);
		if (code == 0)
			code = disk_temp_open(call, call->root2, req->path2);
		if (code != 0)
			return code;
	}
	code = disk_copy_step(call);
	return code != 0 ? code : disk_temp_commit(call, call->root2, req->path2);
}

static void
work_close(struct disk_call *call)
{
	if (call->temp != NULL)
		unlinkat(call->dir, call->temp, 0);
	free(TAKE(call->temp));
	hash_free(TAKE(call->hash));
	cleanup_close(&call->file);
	cleanup_close(&call->source);
	cleanup_close(&call->dir);
	call->file = call->source = call->dir = -1;
}

/* The first job of a call opens its roots, if no other call has. */
static int
work_open_roots(struct disk_call *call)
{
	if (call->root >= 0)
		return 0;
	call->root = disk_root_fd(call->req.root, &call->res.err);
	if (call->root < 0)
		return call->root;
	call->root2 =
	    call->req.root2 == NULL ? call->root : disk_root_fd(call->req.root2, &call->res.err);
	return MIN(call->root2, 0);
}

static int
work_verb(struct disk_call *call)
{
	int code = work_open_roots(call);

	if (code != 0)
		return code;
	switch (call->req.verb) {
	case DISK_LIST: return disk_work_list(call);
	case DISK_STAT: return disk_work_stat(call);
	case DISK_READ: return work_read(call);
	case DISK_WRITE: return work_write(call);
	case DISK_COPY: return work_copy(call);
	case DISK_RENAME: return disk_work_rename(call);
	case DISK_UNLINK: return disk_work_remove(call, 0);
	case DISK_RMDIR: return disk_work_remove(call, AT_REMOVEDIR);
	case DISK_MKDIR: return disk_work_mkdir(call);
	case DISK_SETATTR: return disk_work_setattr(call);
	case DISK_STATVFS: return disk_work_statvfs(call);
	case DISK_SWEEP: return disk_work_sweep(call);
	case DISK_UPLOAD_BEGIN: return disk_upload_begin(call);
	case DISK_UPLOAD_PART: return disk_upload_part(call);
	case DISK_UPLOAD_STATUS: return disk_upload_status(call);
	case DISK_UPLOAD_COMMIT: return disk_upload_commit(call);
	case DISK_UPLOAD_ABORT: return disk_upload_abort(call);
	}
	return err_set(&call->res.err, -EOPNOTSUPP, "no such disk operation");
}

void
disk_work(struct disk_call *call)
{
	int code = call->give_up || atomic_load(&call->cancelled) ? -ECANCELED : work_verb(call);

	if (code > 0 && !atomic_load(&call->cancelled))
		return; /* there is more to do */
	if (code < 0 && call->res.code == 0)
		call->res.code = code;
	call->complete = true;
	work_close(call);
}
