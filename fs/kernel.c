#include "fs/kernel.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_TYPE "fuse.skyferry"

/* mountinfo writes space, tab, newline and backslash as \ooo (proc(5)). */
static void
mountinfo_decode(char *s)
{
	char *out = s;

	for (; *s != '\0'; s++, out++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*out = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*out = *s;
		}
	}
	*out = '\0';
}

/* "36 35 0:42 / /mount/point rw,... - fuse.skyferry skyferry rw,..." (proc(5)) */
enum { MOUNTINFO_DEVICE = 2, MOUNTINFO_POINT = 4 };

static int
mountinfo_parse(char *line, const char *directory, unsigned *major, unsigned *minor)
{
	char *field[MOUNTINFO_POINT + 1], *type = strstr(line, " - "), *rest = line, *end;
	size_t i;

	if (type == NULL || strncmp(type + 3, KERNEL_TYPE " ", strlen(KERNEL_TYPE) + 1) != 0)
		return -ENOENT;
	for (i = 0; i < ARRAY_LEN(field); i++) {
		field[i] = strsep(&rest, " ");
		if (rest == NULL)
			return -ENOENT;
	}
	*major = (unsigned)strtoul(field[MOUNTINFO_DEVICE], &end, 10);
	if (*end != ':')
		return -ENOENT;
	*minor = (unsigned)strtoul(end + 1, &end, 10);
	if (*end != '\0')
		return -ENOENT;
	mountinfo_decode(field[MOUNTINFO_POINT]);
	return strcmp(field[MOUNTINFO_POINT], directory) == 0 ? 0 : -ENOENT;
}

int
kernel_mount_device(const char *directory, unsigned *major, unsigned *minor)
{
	unsigned found_major, found_minor;
	int code = -ENOENT;
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen("/proc/self/mountinfo", "re");

	if (f == NULL)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		if (mountinfo_parse(line, directory, &found_major, &found_minor) != 0)
			continue;
		*major = found_major; /* the last one is on top */
		*minor = found_minor;
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
