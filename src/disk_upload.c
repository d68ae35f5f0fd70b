/*
 * Uploads in parts.  The temp outlives the calls that write it, also the process: it is known by
 * its inode, so that no other file of its name is taken for it.  What a part's call has answered
 * for is on disk, whatever the account's fsync says: the caller counts on it after a crash.
 */
#include "src/disk_private.h"
#include "src/path.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define UPLOAD_READ (16 * 1024 * 1024) /* bytes of one job */

static char *
upload_name(const struct disk_call *call)
{
	return xasprintf("%s%s", DISK_TEMP_PREFIX, call->req.temp_id);
}

static bool
upload_is_it(const struct disk_call *call, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_ino == call->req.inode && st->st_nlink == 1;
}

/* Its directory and the temp; -ENOENT: it is not there. */
static int
upload_open(struct disk_call *call, struct stat *out)
{
	CLEANUP(cleanup_free) char *temp = upload_name(call);

	call->dir = disk_open_parent(call->root, call->req.path, false, call->req.fsync);
	if (call->dir < 0)
		return call->dir == -ENOTDIR ? -ENOENT : call->dir;
	/* Not blocking: somebody may have put a FIFO there. */
	call->file =
	    openat(call->dir, temp, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (call->file < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -ENOENT : -errno;
	if (fstat(call->file, out) < 0)
		return -errno;
	return upload_is_it(call, out) ? 0 : -ENOENT;
}

int
disk_upload_begin(struct disk_call *call)
{
	struct stat st;
	int code = disk_temp_open(call, call->root, call->req.path);

	if (code != 0)
		return code;
	if (fstat(call->file, &st) < 0)
		return disk_work_fail(call, -errno, "write");
	call->res.inode = st.st_ino;
	free(TAKE(call->temp)); /* it stays */
	return 0;
}

/* Writing it out begins at once, so that the end has less to wait for. */
static int
part_write(struct disk_call *call)
{
	off_t from = (off_t)call->position;
	size_t put = 0;
	ssize_t n;

	while (put < call->buf_len) {
		n = pwrite(call->file, call->buf + put, call->buf_len - put, (off_t)call->position);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		put += (size_t)n;
		call->position += (uint64_t)n;
	}
	sync_file_range(call->file, from, (off_t)put, SYNC_FILE_RANGE_WRITE);
	return 0;
}

int
disk_upload_part(struct disk_call *call)
{
	struct stat st;
	int code = 0;

	if (!call->begun) {
		code = upload_open(call, &st);
		call->position = call->req.offset;
		call->begun = true;
	}
	if (code == 0)
		code = part_write(call);
	if (code == 0 && call->last && fdatasync(call->file) < 0)
		code = -errno;
	if (code != 0)
		return disk_work_fail(call, code, "write");
	return call->last ? 0 : 1;
}

int
disk_upload_status(struct disk_call *call)
{
	struct stat st;
	int code = upload_open(call, &st);

	return code == 0 ? 0 : disk_work_fail(call, code, "go on with");
}

/* The answer to an earlier commit was lost: is that what the file is? */
static int
upload_prove(struct disk_call *call)
{
	struct stat st;

	if (call->dir < 0 ||
	    fstatat(call->dir, path_name(call->req.path), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !upload_is_it(call, &st) || (uint64_t)st.st_size != call->req.length)
		return disk_work_fail(call, -ENOENT, "go on with");
	disk_entry_fill(&call->res.entry, call->req.path, &st);
	return 0;
}

/* 1: there is more to read. */
static int
commit_read(struct disk_call *call)
{
	CLEANUP(cleanup_free) unsigned char *buf = xmalloc(DISK_CHUNK);
	size_t left = UPLOAD_READ;
	ssize_t n = 1;

	while (left > 0 && n != 0) {
		n = pread(call->file, buf, DISK_CHUNK, (off_t)call->position);
		if (n < 0 && errno != EINTR)
			return disk_work_fail(call, -errno, "read");
		if (n > 0) {
			hash_update(call->hash, buf, (size_t)n);
			call->position += (uint64_t)n;
			left -= MIN(left, (size_t)n);
		}
	}
	return n != 0;
}

static int
commit_compare(struct disk_call *call)
{
	struct digests *got = &call->res.entry.digests;
	int type = digests_common(&call->req.digests, &call->req.digests);

	hash_final(call->hash, got);
	hash_free(TAKE(call->hash));
	if (digests_equal(got, &call->req.digests, (enum hash_type)type))
		return 0;
	return err_set(&call->res.err, -EBADMSG,
	    "the %s of what was written for '%s' is not what the source's cloud says it is",
	    hash_name((enum hash_type)type), call->req.path);
}

static int
commit_begin(struct disk_call *call)
{
	int type = digests_common(&call->req.digests, &call->req.digests);
	struct stat st;
	int code = upload_open(call, &st);

	call->begun = true;
	if (code != 0)
		return code == -ENOENT ? code : disk_work_fail(call, code, "write");
	if (type >= 0)
		call->hash = hash_new(HASH_BIT(type));
	if ((uint64_t)st.st_size != call->req.length)
		return err_set(&call->res.err, -EINVAL, "'%s': %llu bytes were written, not %llu",
		    call->req.path, (unsigned long long)st.st_size,
		    (unsigned long long)call->req.length);
	return 0;
}

/* What was written before a crash was not seen by the hash that was computed on the way: then all
   of it is read again, from the disk. */
int
disk_upload_commit(struct disk_call *call)
{
	struct digests read = {.have = 0};
	int code = call->begun ? 0 : commit_begin(call);

	if (code == -ENOENT)
		return upload_prove(call);
	if (code == 0 && call->hash != NULL) {
		code = commit_read(call);
		if (code == 0)
			code = commit_compare(call);
		read = call->res.entry.digests;
	}
	if (code != 0)
		return code;
	call->temp = upload_name(call);
	code = disk_temp_commit(call, call->root, call->req.path);
	free(TAKE(call->temp)); /* refused, it stays */
	call->res.entry.digests = read;
	return code;
}

int
disk_upload_abort(struct disk_call *call)
{
	CLEANUP(cleanup_free) char *temp = upload_name(call);
	struct stat st;
	int code = upload_open(call, &st);

	if (code == 0 && unlinkat(call->dir, temp, 0) < 0)
		code = -errno;
	return code == 0 || code == -ENOENT ? 0 : disk_work_fail(call, code, "clean up beside");
}
