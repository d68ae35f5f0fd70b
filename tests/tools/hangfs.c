/*
 * hangfs: a file system that can hang, as the mount of an NFS server does that is away: a read-only
 * one with the directories "one" and "two" and a file of some bytes in each.  Stopped (kill -STOP),
 * it answers nothing; killed, everything that waits for it fails.
 *
 *	hangfs DIRECTORY	stays in the foreground
 *
 * Names and attributes are not cached by the kernel, so that every look asks.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fuse3/fuse.h>
#include <string.h>

static const char *const directories[] = {"/", "/one", "/two"};
static const char *const files[] = {"/one/file", "/two/file"};
static const char content[] = "content\n";

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static int
find(const char *const *names, size_t len, const char *path)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(names[i], path) == 0)
			return 1;
	}
	return 0;
}

static int
hang_getattr(const char *path, struct stat *out, struct fuse_file_info *fi)
{
	(void)fi;
	if (find(directories, LEN(directories), path)) {
		out->st_mode = S_IFDIR | 0755;
		out->st_nlink = 2;
		return 0;
	}
	if (!find(files, LEN(files), path))
		return -ENOENT;
	out->st_mode = S_IFREG | 0644;
	out->st_nlink = 1;
	out->st_size = sizeof(content) - 1;
	return 0;
}

static int
hang_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t offset,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	(void)offset;
	(void)fi;
	(void)flags;
	if (strcmp(path, "/") != 0)
		return fill(buf, "file", NULL, 0, 0);
	for (size_t i = 1; i < LEN(directories); i++)
		fill(buf, directories[i] + 1, NULL, 0, 0);
	return 0;
}

static int
hang_read(const char *path, char *buf, size_t size, off_t offset, struct fuse_file_info *fi)
{
	size_t len = sizeof(content) - 1;

	(void)path;
	(void)fi;
	if ((size_t)offset >= len)
		return 0;
	size = size < len - (size_t)offset ? size : len - (size_t)offset;
	memcpy(buf, content + offset, size);
	return (int)size;
}

static void *
hang_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
	return NULL;
}

int
main(int argc, char **argv)
{
	static const struct fuse_operations operations = {
	    .init = hang_init,
	    .getattr = hang_getattr,
	    .readdir = hang_readdir,
	    .read = hang_read,
	};
	char *args[] = {argv[0], "-f", "-s", argc == 2 ? argv[1] : "-h", NULL};

	return fuse_main(4, args, &operations, NULL);
}
