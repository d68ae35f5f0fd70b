/* The jobs that move no bytes: looking at names and changing them. */
#include "src/disk_private.h"
#include "src/path.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* LIST, STAT */

/* 0: it is not for us (a temp, a special file, a symlink that leads out or nowhere, gone since); 1:
   it is; or a negative errno: whoever takes the list for all there is must know. */
static int
list_stat(struct stat *out, int root, int dir, const char *name, const char *path)
{
	if (disk_is_reserved(name) || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (fstatat(dir, name, out, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(out->st_mode))
		return disk_stat_beneath(out, root, path) == 0;
	return disk_stat_is_ours(out);
}

/* The first names behind `after` that were seen: a heap, the last of them on top. */
struct first_names {
	struct disk_call *call;
	struct first_name {
		char *name;
		bool is_dir;
	} * heap;
	size_t len;
};

static int
first_compare(const struct first_name *a, const struct first_name *b)
{
	return entry_name_compare(a->name, a->is_dir, b->name, b->is_dir);
}

static void
first_swap(struct first_name *a, struct first_name *b)
{
	struct first_name was = *a;

	*a = *b;
	*b = was;
}

static void
first_push(struct first_names *f, const struct first_name *n)
{
	size_t i = f->len++;

	f->heap[i] = (struct first_name){xstrdup(n->name), n->is_dir};
	for (; i > 0 && first_compare(&f->heap[i], &f->heap[(i - 1) / 2]) > 0; i = (i - 1) / 2)
		first_swap(&f->heap[i], &f->heap[(i - 1) / 2]);
}

static void
first_pop(struct first_names *f)
{
	size_t i = 0, child;

	free(f->heap[0].name);
	f->heap[0] = f->heap[--f->len];
	while ((child = 2 * i + 1) < f->len) {
		if (child + 1 < f->len && first_compare(&f->heap[child + 1], &f->heap[child]) > 0)
			child++;
		if (first_compare(&f->heap[child], &f->heap[i]) <= 0)
			return;
		first_swap(&f->heap[child], &f->heap[i]);
		i = child;
	}
}

static void
first_offer(struct first_names *f, const char *name, bool is_dir)
{
	const struct disk_request *req = &f->call->req;
	struct first_name n = {(char *)name, is_dir};
	struct entry e = {.path = (char *)name, .kind = is_dir ? ENTRY_DIRECTORY : ENTRY_FILE};

	if (req->after != NULL && !entry_is_behind(&e, req->after))
		return;
	if (f->len == req->max) {
		f->call->res.more = true;
		if (first_compare(&n, &f->heap[0]) > 0)
			return;
		first_pop(f);
	}
	first_push(f, &n);
}

/* Is it a directory?  Most file systems say so by themselves; false in *ours: it is not for us. */
static bool
list_is_dir(bool *ours, const struct disk_call *call, DIR *dir, const struct dirent *d)
{
	CLEANUP(cleanup_free) char *path = NULL;
	struct stat st = {.st_mode = 0}; /* what cannot be looked at is told later */

	*ours = !disk_is_reserved(d->d_name) && strcmp(d->d_name, ".") != 0 &&
	    strcmp(d->d_name, "..") != 0;
	if (!*ours || d->d_type == DT_REG || d->d_type == DT_DIR)
		return d->d_type == DT_DIR;
	path = path_child(call->req.path, d->d_name);
	*ours = list_stat(&st, call->root, dirfd(dir), d->d_name, path) != 0;
	return *ours && S_ISDIR(st.st_mode);
}

/* Of a directory of any size, some entries: every name is read, and few are kept and looked at. */
static size_t
list_first(struct disk_call *call, DIR *dir)
{
	struct first_names f = {.call = call};
	size_t i, unnameable = 0;
	struct dirent *d;
	struct stat st;
	int code, found;
	bool ours;

	f.heap = xcalloc(call->req.max, sizeof *f.heap);
	while (!atomic_load(&call->cancelled) && (errno = 0, d = readdir(dir)) != NULL) {
		bool is_dir = list_is_dir(&ours, call, dir, d);
		CLEANUP(cleanup_free) char *path = path_child(call->req.path, d->d_name);

		if (ours && path_is_canonical(path))
			first_offer(&f, d->d_name, is_dir);
		else
			unnameable += ours;
	}
	code = errno;
	for (i = 0; i < f.len; i++) {
		CLEANUP(cleanup_free) char *path = path_child(call->req.path, f.heap[i].name);

		found = list_stat(&st, call->root, dirfd(dir), f.heap[i].name, path);
		if (found < 0 && code == 0)
			code = -found;
		if (found > 0)
			disk_entry_fill(entry_list_add(&call->res.entries), path, &st);
		free(f.heap[i].name);
	}
	free(f.heap);
	errno = code;
	return unnameable;
}

static size_t
list_all(struct disk_call *call, DIR *dir)
{
	const struct disk_request *req = &call->req;
	size_t unnameable = 0;
	struct dirent *d;
	struct stat st;
	int ours;

	while (!atomic_load(&call->cancelled) && (errno = 0, d = readdir(dir)) != NULL) {
		CLEANUP(cleanup_free) char *path = path_child(req->path, d->d_name);

		ours = list_stat(&st, call->root, dirfd(dir), d->d_name, path);
		if (ours < 0) {
			errno = -ours;
			break;
		}
		if (ours == 0)
			continue;
		if (path_is_canonical(path))
			disk_entry_fill(entry_list_add(&call->res.entries), path, &st);
		else
			unnameable++;
	}
	return unnameable;
}

static int
list_open_failed(struct disk_call *call, int code)
{
	const struct disk_request *req = &call->req;
	struct stat st;

	if (code == -ENOTDIR && req->no_follow &&
	    disk_stat_beneath(&st, call->root, req->path) == 0 && S_ISDIR(st.st_mode))
		return err_set(&call->res.err, code,
		    "'%s' is a link to a directory, and what is there stays there", req->path);
	return disk_work_fail(call, code, "list");
}

int
disk_work_list(struct disk_call *call)
{
	const struct disk_request *req = &call->req;
	size_t unnameable;
	struct stat st;
	DIR *dir;
	int fd = disk_is_reserved(req->path)
	    ? -ENOENT
	    : disk_openat(call->root, req->path,
		  O_RDONLY | O_DIRECTORY | (req->no_follow ? O_NOFOLLOW : 0));

	if (fd < 0)
		return list_open_failed(call, fd);
	if (fstat(fd, &st) == 0 && st.st_nlink == 0) { /* removed while it was open, as a root is */
		close(fd);
		return disk_work_fail(call, -ENOENT, "list");
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return disk_work_fail(call, -errno, "list");
	}
	unnameable = req->max != 0 ? list_first(call, dir) : list_all(call, dir);
	fd = -errno;
	closedir(dir);
	if (!call->res.more) /* once, of the windows of a directory */
		call->res.entries.hidden = unnameable;
	return fd == 0 ? 0 : disk_work_fail(call, fd, "list");
}

int
disk_work_stat(struct disk_call *call)
{
	struct stat st;
	int code = disk_stat_beneath(&st, call->root, call->req.path);

	if (code != 0)
		return disk_work_fail(call, code, "look at");
	disk_entry_fill(&call->res.entry, call->req.path, &st);
	return 0;
}

/* the verbs that change names */

/* The parent of path, after path was found to be there and of the version that is asked for. */
static int
open_checked_parent(struct disk_call *call, const char *doing, const char *path)
{
	const char *version = call->req.version;
	struct stat st;
	int code, fd;

	if (*path == '\0')
		return err_set(&call->res.err, -EBUSY, "cannot %s the root of an account", doing);
	if (disk_is_reserved(path))
		return disk_fail(&call->res.err, -ENOENT, doing, path);
	/* What does not exist for us is not touched either. */
	code = disk_stat_beneath(&st, call->root, path);
	if (code != 0)
		return disk_fail(&call->res.err, code, doing, path);
	if (version != NULL && !disk_stat_has_version(&st, version))
		return disk_work_stale(call);
	fd = disk_open_parent(call->root, path, false, call->req.fsync);
	if (fd == -ENOTDIR)
		fd = -ENOENT;
	return fd < 0 ? disk_fail(&call->res.err, fd, doing, path) : fd;
}

int
disk_work_remove(struct disk_call *call, int flags)
{
	CLEANUP(cleanup_close) int dir = open_checked_parent(call, "remove", call->req.path);
	int code = 0;

	if (dir < 0)
		return dir;
	if (unlinkat(dir, path_name(call->req.path), flags) < 0)
		code = errno == EEXIST ? -ENOTEMPTY : -errno;
	if (code == 0 && call->req.fsync && fsync(dir) < 0)
		code = -errno;
	if (code == -ENOTEMPTY)
		return err_set(&call->res.err, code,
		    "cannot remove '%s': the directory is not empty", call->req.path);
	return code == 0 ? 0 : disk_work_fail(call, code, "remove");
}

int
disk_work_rename(struct disk_call *call)
{
	const struct disk_request *req = &call->req;
	CLEANUP(cleanup_close) int from = open_checked_parent(call, "rename", req->path);
	CLEANUP(cleanup_close) int to = -1;
	struct stat st;
	int code;

	if (from < 0)
		return from;
	if (disk_is_reserved(req->path2) || *req->path2 == '\0')
		return err_set(&call->res.err, -EILSEQ,
		    "cannot rename '%s' to '%s': that name cannot be used", req->path, req->path2);
	to = disk_open_parent(call->root2, req->path2, true, req->fsync);
	if (to < 0)
		return disk_fail(&call->res.err, to, "rename to", req->path2);
	code =
	    disk_rename_at(from, path_name(req->path), to, path_name(req->path2), req->no_replace);
	/* Where it is now first: else a power cut could leave it in neither. */
	if (code == 0 && req->fsync && (fsync(to) < 0 || fsync(from) < 0))
		code = -errno;
	if (code == -EEXIST || code == -ENOTEMPTY)
		return err_set(&call->res.err, code,
		    "cannot rename '%s' to '%s': that exists already", req->path, req->path2);
	if (code == 0)
		code = disk_stat_beneath(&st, call->root2, req->path2);
	if (code != 0)
		return disk_work_fail(call, code, "rename");
	disk_entry_fill(&call->res.entry, req->path2, &st);
	return 0;
}

/* A descriptor that can be synced: the file's own, or where we may not open it, one of its file
   system.  *whole says which. */
static int
open_to_sync(const struct disk_call *call, const char *name, bool *whole)
{
	int fd = open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	*whole = fd < 0 && errno == EACCES;
	if (*whole)
		fd = disk_open_parent(call->root, call->req.path, false, true);
	return fd < 0 && !*whole ? -errno : fd;
}

/* Through /proc: a file that we may not open has attributes all the same. */
static int
set_attributes(struct disk_call *call, int fd)
{
	CLEANUP(cleanup_close) int sync = -1;
	const struct disk_request *req = &call->req;
	bool whole = false;
	char name[64];
	int code = 0;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	/* Before the mode, which may take the right to. */
	if (req->fsync && (sync = open_to_sync(call, name, &whole)) < 0)
		return sync;
	if (req->mode != 0 && fchmodat(AT_FDCWD, name, req->mode & 0777, 0) < 0)
		code = -errno;
	if (code == 0 && req->mtime_ns != ENTRY_NO_TIME)
		code = disk_set_mtime(AT_FDCWD, name, -1, req->mtime_ns);
	if (code == 0 && sync >= 0 && (whole ? syncfs(sync) : fsync(sync)) < 0)
		code = -errno;
	return code;
}

int
disk_work_mkdir(struct disk_call *call)
{
	CLEANUP(cleanup_close) int fd = -1;
	struct stat st;
	int code = 0;

	if (disk_is_reserved(call->req.path))
		return err_set(&call->res.err, -EILSEQ,
		    "cannot make the directory '%s': names that begin with '%s' are kept for temporary files",
		    call->req.path, DISK_TEMP_PREFIX);
	fd = disk_make_directory(call->root, call->req.path, call->req.fsync);
	if (fd < 0)
		return disk_work_fail(call, fd, "make the directory");
	code = set_attributes(call, fd);
	if (code == 0 && fstat(fd, &st) < 0)
		code = -errno;
	if (code != 0)
		return disk_work_fail(call, code, "make the directory");
	disk_entry_fill(&call->res.entry, call->req.path, &st);
	return 0;
}

int
disk_work_setattr(struct disk_call *call)
{
	CLEANUP(cleanup_close) int fd = -1;
	struct stat st;
	int code;

	fd = disk_is_reserved(call->req.path) ? -ENOENT
					      : disk_openat(call->root, call->req.path, O_PATH);
	if (fd < 0)
		return disk_work_fail(call, fd == -ENOTDIR ? -ENOENT : fd, "change");
	code = fstat(fd, &st) < 0 ? -errno : 0;
	if (code == 0 && !disk_stat_is_ours(&st))
		code = -ENOENT;
	if (code == 0 && !disk_stat_has_version(&st, call->req.version))
		return disk_work_stale(call);
	if (code == 0)
		code = set_attributes(call, fd);
	if (code == 0 && fstat(fd, &st) < 0)
		code = -errno;
	if (code != 0)
		return disk_work_fail(call, code, "change");
	disk_entry_fill(&call->res.entry, call->req.path, &st);
	return 0;
}

int
disk_work_statvfs(struct disk_call *call)
{
	struct statvfs fs;

	if (fstatvfs(call->root, &fs) < 0)
		return disk_work_fail(call, -errno, "ask for the free space of");
	call->res.usage.total = (uint64_t)fs.f_blocks * fs.f_frsize;
	call->res.usage.used = (uint64_t)(fs.f_blocks - fs.f_bfree) * fs.f_frsize;
	call->res.usage.available = (uint64_t)fs.f_bavail * fs.f_frsize;
	return 0;
}

int
disk_work_sweep(struct disk_call *call)
{
	CLEANUP(cleanup_free) char *temp = xasprintf("%s%s", DISK_TEMP_PREFIX, call->req.temp_id);
	CLEANUP(cleanup_close)
	int dir = disk_open_parent(call->root, call->req.path, false, false);
	struct stat st;

	if (dir == -ENOENT || dir == -ENOTDIR)
		return 0;
	if (dir < 0)
		return disk_work_fail(call, dir, "clean up beside");
	if (call->req.inode != 0 && fstatat(dir, temp, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == call->req.inode)
		return 0;
	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return disk_work_fail(call, -errno, "clean up beside");
	return 0;
}
