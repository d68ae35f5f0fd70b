/* Names beneath a root, and what the system's errors mean for an account. */
#include "src/disk_private.h"
#include "src/path.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* openat2() gives EAGAIN when something was renamed while it looked at "..". */
#define DISK_OPEN_TRIES 32

static const char *
disk_name(const char *path)
{
	return *path == '\0' ? "." : path;
}

int
disk_openat(int root, const char *path, int flags)
{
	struct open_how how = {
	    .flags = (uint64_t)(flags | O_CLOEXEC),
	    .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < DISK_OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, root, disk_name(path), &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd >= 0)
		return (int)fd;
	/* It leads out, or in circles: for us it is not there. */
	return errno == EXDEV || errno == ELOOP ? -ENOENT : -errno;
}

bool
disk_is_reserved(const char *path)
{
	const size_t len = strlen(DISK_TEMP_PREFIX);

	while (path != NULL) {
		if (strncmp(path, DISK_TEMP_PREFIX, len) == 0)
			return true;
		path = strchr(path, '/');
		path = path == NULL ? NULL : path + 1;
	}
	return false;
}

static mode_t disk_mask = 022; /* what most people have */

void
disk_set_umask(mode_t mask)
{
	disk_mask = mask;
}

unsigned
disk_default_mode(void)
{
	return 0666 & ~disk_mask;
}

/* Its mode, through /proc: somebody may have put a symlink in its place meanwhile. */
static int
directory_set_mode(int fd)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return fchmodat(AT_FDCWD, name, 0777 & ~disk_mask, 0) < 0 ? -errno : 0;
}

int
disk_make_directory(int root, const char *path, bool sync)
{
	CLEANUP(cleanup_close) int parent = -1;
	int fd, made, code = 0;

	fd = disk_openat(root, path, O_PATH | O_DIRECTORY);
	if (fd != -ENOENT || *path == '\0')
		return fd;
	parent = disk_open_parent(root, path, true, sync);
	if (parent < 0)
		return parent;
	made = mkdirat(parent, path_name(path), 0777) < 0 ? -errno : 0;
	if (made != 0 && made != -EEXIST)
		return made;
	fd = disk_openat(root, path, O_PATH | O_DIRECTORY);
	if (fd < 0 || made != 0)
		return fd;
	code = directory_set_mode(fd);
	if (code == 0 && sync && fsync(parent) < 0)
		code = -errno;
	if (code != 0)
		close(fd);
	return code != 0 ? code : fd;
}

int
disk_open_parent(int root, const char *path, bool make, bool sync)
{
	CLEANUP(cleanup_free) char *parent = path_parent(path);
	int flags =
	    sync ? O_RDONLY | O_DIRECTORY : O_PATH | O_DIRECTORY; /* fsync() needs a real one */
	int fd = disk_openat(root, parent, flags);

	if (fd != -ENOENT || !make)
		return fd;
	fd = disk_make_directory(root, parent, sync);
	if (fd < 0)
		return fd;
	close(fd);
	return disk_openat(root, parent, flags);
}

char *
disk_version_of(const struct stat *st)
{
	uint64_t mtime = (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
	uint64_t ctime = (uint64_t)st->st_ctim.tv_sec * 1000000000 + (uint64_t)st->st_ctim.tv_nsec;

	return xasprintf("%llx-%llx-%llx-%llx", (unsigned long long)st->st_size,
	    (unsigned long long)mtime, (unsigned long long)ctime, (unsigned long long)st->st_ino);
}

char *
disk_version(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? NULL : disk_version_of(&st);
}

void
disk_entry_fill(struct entry *entry, const char *path, const struct stat *st)
{
	entry_fini(entry);
	entry_init(entry);
	entry->path = xstrdup(path);
	entry->kind = S_ISDIR(st->st_mode) ? ENTRY_DIRECTORY : ENTRY_FILE;
	entry->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	entry->mode = st->st_mode & 0777;
	if (entry->kind == ENTRY_FILE) {
		entry->size = (uint64_t)st->st_size;
		entry->version = disk_version_of(st);
	}
}

static int
disk_errno(int code)
{
	switch (code) {
	case -EPERM: return -EACCES;
	case -ENXIO:
	case -ENODEV: return -ENOENT; /* a device or a socket */
	case -ETXTBSY: return -EBUSY;
	default: return err_info(code)->code == code ? code : -EIO;
	}
}

int
disk_fail(struct err *err, int code, const char *doing, const char *path)
{
	switch (disk_errno(code)) {
	case -ENOENT:
		return err_set(
		    err, -ENOENT, "cannot %s '%s': no such file or directory", doing, path);
	case -ENOSPC:
		return err_set(err, -ENOSPC,
		    "cannot %s '%s': no space left on the disk of the account", doing, path);
	case -EDQUOT:
		return err_set(err, -EDQUOT,
		    "cannot %s '%s': the disk quota of the account's directory is used up", doing,
		    path);
	case -EROFS:
		return err_set(err, -EROFS, "cannot %s '%s': the disk of the account is read-only",
		    doing, path);
	case -EACCES:
		return err_set(err, -EACCES,
		    "cannot %s '%s': permission denied to the user that the daemon runs as", doing,
		    path);
	default: /* what it really was: the table of errors does not have all */
		return err_set(err, disk_errno(code), "cannot %s '%s': %s", doing, path,
		    strerrordesc_np(-code) != NULL ? strerrordesc_np(-code) : "unknown error");
	}
}
