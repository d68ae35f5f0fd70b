/* Roots, and how they are opened: not through our own mount, which would wait for us for ever. */
#include "src/disk_root.h"
#include "src/mount_line.h"
#include "src/path.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool
is_under(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 1) /* "/" */
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

enum root_trouble { ROOT_FINE, ROOT_INSIDE, ROOT_CONTAINS };

/* What mountinfo says of path: id, if >= 0, is its mount; else the longest mount point in front of
   it is taken.  *point: the mount of ours in question; caller frees. */
static enum root_trouble
root_look(char **point, const char *path, int id)
{
	CLEANUP(cleanup_free) char *line = NULL;
	enum root_trouble trouble = ROOT_FINE;
	FILE *file = fopen("/proc/self/mountinfo", "re");
	size_t size = 0, longest = 0;
	struct mount_line mount;

	*point = NULL;
	while (file != NULL && getline(&line, &size, file) > 0) {
		bool is_its;

		if (!mount_line_parse(&mount, line))
			continue;
		is_its = id >= 0 ? mount.id == id
				 : is_under(path, mount.point) && strlen(mount.point) >= longest;
		if (is_its) {
			longest = strlen(mount.point);
			if (trouble == ROOT_INSIDE)
				trouble = ROOT_FINE;
			if (mount.is_ours) {
				trouble = ROOT_INSIDE;
				xstrset(point, mount.point);
			}
		} else if (trouble == ROOT_FINE && mount.is_ours && is_under(mount.point, path)) {
			trouble = ROOT_CONTAINS;
			xstrset(point, mount.point);
		}
	}
	if (file != NULL)
		fclose(file);
	return trouble;
}

static int
root_check(const char *path, const char *real, int id, struct err *err)
{
	CLEANUP(cleanup_free) char *point = NULL;

	switch (root_look(&point, real, id)) {
	case ROOT_INSIDE:
		return err_set(err, -EINVAL,
		    "'%s' lies inside the Skyferry mount '%s': an account cannot be made of what is mounted from accounts",
		    path, point);
	case ROOT_CONTAINS:
		return err_set(err, -EINVAL,
		    "'%s' contains the Skyferry mount '%s': mount it elsewhere, or choose a directory without it",
		    path, point);
	default: return 0;
	}
}

/* The id of the mount that fd is on (proc(5), fdinfo), or -1. */
static int
fd_mount_id(int fd)
{
	CLEANUP(cleanup_free) char *name = xasprintf("/proc/self/fdinfo/%d", fd);
	CLEANUP(cleanup_free) char *line = NULL;
	FILE *file = fopen(name, "re");
	size_t size = 0;
	int id = -1;

	while (file != NULL && getline(&line, &size, file) > 0) {
		if (strncmp(line, "mnt_id:", 7) == 0)
			id = (int)strtol(line + 7, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return id;
}

char *
disk_real_path(int fd)
{
	CLEANUP(cleanup_free) char *link = xasprintf("/proc/self/fd/%d", fd);
	char real[PATH_BYTES_MAX + 1];
	ssize_t len = readlink(link, real, sizeof(real) - 1);

	return len < 0 ? NULL : xstrndup(real, (size_t)len);
}

/* Is each component a name?  Then what mountinfo says of the path by its name is true, if it has no
   symlinks. */
static bool
path_is_plain(const char *path)
{
	size_t len;

	if (strcmp(path, "/") == 0)
		return true;
	while (*path == '/') {
		len = strcspn(++path, "/");
		if (len == 0 || strncmp(path, ".", len) == 0 || strncmp(path, "..", len) == 0)
			return false;
		path += len;
	}
	return *path == '\0';
}

/* Without `follow` not even a look behind a symlink, which may lead into our own mount. */
static int
root_open(const char *path, bool follow)
{
	struct open_how how = {
	    .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
	    .resolve = follow ? 0 : RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static int
path_check(const char *path, bool follow, struct err *err)
{
	if (*path != '/')
		return err_set(err, -EINVAL, "'%s' is not an absolute path", path);
	if (!follow && !path_is_plain(path))
		return err_set(err, -EPERM,
		    "'%s' is not the real path of a directory: make the account anew", path);
	return 0;
}

int
disk_open_root(const char *path, bool follow, struct err *err)
{
	CLEANUP(cleanup_free) char *real = NULL;
	CLEANUP(cleanup_close) int fd = -1;
	int code = path_check(path, follow, err);

	/* First by its name alone: looking at a mount whose process is gone may take for ever. */
	if (code == 0)
		code = root_check(path, path, -1, err);
	if (code != 0)
		return code;
	fd = root_open(path, follow);
	if (fd < 0 && errno == ELOOP && !follow)
		return err_set(err, -EPERM,
		    "'%s' is behind a symlink now: make the account anew with the real directory",
		    path);
	if (fd < 0)
		return err_sys(
		    err, errno == EPERM ? -EACCES : -errno, "cannot open the directory '%s'", path);
	/* Then by what it really is: symlinks may have led into one. */
	real = disk_real_path(fd);
	if (real == NULL)
		return err_sys(err, -errno, "cannot find out where '%s' is", path);
	code = root_check(path, real, fd_mount_id(fd), err);
	if (code != 0)
		return code;
	code = fd;
	fd = -1;
	return code;
}

/* -- roots */

struct disk_root {
	atomic_uint refs;
	char *path;
	atomic_int fd; /* -1: not open yet */
};

static struct disk_root *
root_make(const char *path, int fd)
{
	struct disk_root *root = xcalloc(1, sizeof(*root));

	atomic_init(&root->refs, 1);
	atomic_init(&root->fd, fd);
	root->path = xstrdup(path);
	return root;
}

int
disk_root_new(struct disk_root **out, const char *path, struct err *err)
{
	int code = path_check(path, false, err);

	if (code == 0)
		*out = root_make(path, -1);
	return code;
}

struct disk_root *
disk_root_of(int fd)
{
	return root_make("", fd);
}

struct disk_root *
disk_root_ref(struct disk_root *root)
{
	if (root != NULL)
		atomic_fetch_add(&root->refs, 1);
	return root;
}

void
disk_root_unref(struct disk_root *root)
{
	int fd;

	if (root == NULL || atomic_fetch_sub(&root->refs, 1) > 1)
		return;
	fd = atomic_load(&root->fd);
	cleanup_close(&fd);
	free(root->path);
	free(root);
}

const char *
disk_root_path(const struct disk_root *root)
{
	return root->path;
}

int
disk_root_fd(struct disk_root *root, struct err *err)
{
	int fd = atomic_load(&root->fd), before = -1;

	if (fd >= 0)
		return fd;
	fd = disk_open_root(root->path, false, err);
	/* The directory is away, and with it all that is in it; to callers "not found" would say
	   that one file is. */
	if (fd == -ENOENT || fd == -ENOTDIR)
		return err->code = -EIO;
	if (fd >= 0 && !atomic_compare_exchange_strong(&root->fd, &before, fd)) {
		close(fd); /* another thread was faster */
		fd = before;
	}
	return fd;
}
