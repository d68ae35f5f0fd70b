#include "cli/mountinfo.h"
#include "src/mount_line.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *
mountinfo_read(const char *file)
{
	json_t *list = json_array();
	FILE *in = fopen(file, "re");
	struct mount_line mount;
	char *line = NULL;
	size_t size = 0;

	if (in == NULL)
		return list;
	while (getline(&line, &size, in) > 0) {
		if (mount_line_parse(&mount, line) && mount.is_ours)
			json_array_append_new(list, json_string(mount.point));
	}
	free(line);
	fclose(in);
	return list;
}

json_t *
mountinfo_list(void)
{
	return mountinfo_read("/proc/self/mountinfo");
}

bool
mountinfo_has(const char *dir)
{
	json_t *list = mountinfo_list(), *item;
	bool found = false;
	size_t i;

	json_array_foreach (list, i, item)
		found = found || strcmp(json_string_value(item), dir) == 0;
	json_decref(list);
	return found;
}

int
mountinfo_resolve(char **out, const char *dir, struct err *err)
{
	CLEANUP(cleanup_free) char *copy = xstrdup(dir);
	CLEANUP(cleanup_free) char *parent = NULL;
	size_t len = strlen(copy);
	char *slash;
	const char *name;

	while (len > 1 && copy[len - 1] == '/')
		copy[--len] = '\0';
	slash = strrchr(copy, '/');
	name = slash != NULL ? slash + 1 : copy;
	/* a name that is no name of its own ("." or "..") can only be resolved by asking */
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		*out = realpath(copy, NULL);
		return *out != NULL ? 0 : err_sys(err, -errno, "cannot find '%s'", dir);
	}
	if (slash != NULL)
		*slash = '\0';
	parent = realpath(slash == NULL ? "." : copy[0] == '\0' ? "/" : copy, NULL);
	if (parent == NULL)
		return err_sys(err, -errno, "cannot find '%s'", dir);
	*out = xasprintf("%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name);
	return 0;
}
