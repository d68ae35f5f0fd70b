/* DISK_COPY: a reflink, else the data between the holes, slice by slice. */
#include "src/disk_private.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COPY_SLICE       (64 * 1024 * 1024) /* bytes of one job */
#define COPY_SLICE_PLAIN (8 * 1024 * 1024) /* the same, through our memory */
#define COPY_CALL        (8 * 1024 * 1024) /* bytes between two looks at `cancelled` */

/* The next data at or after position, within the source's size: *start and *end; false: only holes
 * are left. */
static bool
copy_next_data(struct disk_call *call, off_t *start, off_t *end)
{
	off_t size = call->at_begin.st_size, at = (off_t)call->position;

	*start = lseek(call->source, at, SEEK_DATA);
	if (*start < 0 && errno == ENXIO)
		return false;
	if (*start < 0) { /* a file system without holes */
		*start = at;
		*end = size;
		return at < size;
	}
	*end = lseek(call->source, *start, SEEK_HOLE);
	if (*end < 0 || *end > size)
		*end = size;
	return *start < size;
}

/* Bytes copied from position, or -errno; 0: the source has become shorter. */
static ssize_t
copy_range(struct disk_call *call, size_t len)
{
	off_t in = (off_t)call->position, out = in;
	ssize_t n;

	do {
		n = copy_file_range(call->source, &in, call->file, &out, len, 0);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static ssize_t
copy_plain(struct disk_call *call, size_t len)
{
	CLEANUP(cleanup_free) unsigned char *buf = xmalloc(DISK_CHUNK);
	ssize_t n, done = 0, put;

	do {
		n = pread(call->source, buf, MIN(len, DISK_CHUNK), (off_t)call->position);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	while (done < n) {
		put = pwrite(
		    call->file, buf + done, (size_t)(n - done), (off_t)call->position + done);
		if (put < 0 && errno != EINTR)
			return -errno;
		done += MAX(put, 0);
	}
	return n;
}

static bool
copy_must_be_plain(ssize_t code)
{
	return code == -EXDEV || code == -EINVAL || code == -ENOSYS || code == -EOPNOTSUPP ||
	    code == -EPERM;
}

/* Up to `most` bytes of [position, end). */
static int
copy_extent(struct disk_call *call, off_t end, uint64_t *most)
{
	ssize_t n;

	while ((off_t)call->position<end && * most> 0 && !atomic_load(&call->cancelled)) {
		size_t len =
		    (size_t)MIN(MIN((uint64_t)(end - (off_t)call->position), *most), COPY_CALL);

		n = call->plain ? copy_plain(call, len) : copy_range(call, len);
		if (n < 0 && !call->plain && copy_must_be_plain(n)) {
			call->plain = true;
			*most = MIN(*most, COPY_SLICE_PLAIN);
			continue;
		}
		if (n < 0)
			return disk_fail(&call->res.err, (int)n, "write", call->req.path2);
		if (n == 0)
			return err_set(&call->res.err, -ESTALE,
			    "'%s' became shorter while it was copied", call->req.path);
		call->position += (uint64_t)n;
		*most -= (uint64_t)n;
	}
	return 0;
}

static int
copy_begin(struct disk_call *call)
{
	call->begun = true;
	if (ioctl(call->file, FICLONE, call->source) == 0) {
		call->position = (uint64_t)call->at_begin.st_size;
		return 0;
	}
	/* The size first: what stays unwritten is a hole. */
	if (ftruncate(call->file, call->at_begin.st_size) < 0)
		return disk_fail(&call->res.err, -errno, "write", call->req.path2);
	return 0;
}

int
disk_copy_step(struct disk_call *call)
{
	uint64_t most = call->plain ? COPY_SLICE_PLAIN : COPY_SLICE;
	off_t start, end;
	int code = 0;

	if (!call->begun)
		code = copy_begin(call);
	while (code == 0 && most > 0 && (off_t)call->position < call->at_begin.st_size) {
		if (atomic_load(&call->cancelled))
			return -ECANCELED;
		if (!copy_next_data(call, &start, &end)) {
			call->position = (uint64_t)call->at_begin.st_size;
			break;
		}
		call->position = (uint64_t)start;
		code = copy_extent(call, end, &most);
	}
	if (code != 0 || (off_t)call->position < call->at_begin.st_size)
		return code != 0 ? code : 1;
	if (disk_source_changed(call->source, &call->at_begin))
		return err_set(
		    &call->res.err, -ESTALE, "'%s' changed while it was copied", call->req.path);
	return 0;
}
