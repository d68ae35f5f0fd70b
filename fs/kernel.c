#include "fs/kernel.h"
#include "src/mount_line.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
kernel_mount_device(const char *directory, unsigned *major, unsigned *minor)
{
	struct mount_line mount;
	int code = -ENOENT;
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (f == NULL)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		if (!mount_line_parse(&mount, line) || !mount.is_ours ||
		    strcmp(mount.point, directory) != 0)
			continue;
		*major = mount.major; /* the last one is on top */
		*minor = mount.minor;
		code = 0;
	}
	free(line);
	fclose(f);
	return code;
}

static int
kernel_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), code = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		code = -errno;
	close(fd);
	return code;
}

int
kernel_set_read_ahead(unsigned major, unsigned minor, uint64_t bytes)
{
	char path[64], value[32];

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major, minor);
	snprintf(value, sizeof(value), "%llu\n", (unsigned long long)(bytes / 1024));
	return kernel_write(path, value);
}

int
kernel_abort(unsigned minor)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor);
	return kernel_write(path, "1\n");
}
