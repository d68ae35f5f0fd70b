#include "src/path.h"
#include "src/buf.h"
#include <stdlib.h>
#include <string.h>

#define ACCOUNT_NAME_MAX 64

/* 0, or why the len bytes at path are not canonical. */
static int
path_check(const char *path, size_t len, const char **why)
{
	size_t at = 0, n;

	if (len > PATH_BYTES_MAX) {
		*why = "longer than 4096 bytes";
		return -ENAMETOOLONG;
	}
	if (utf8_valid_len(path, len) != len) {
		*why = "not UTF-8, which no cloud could store";
		return -EILSEQ;
	}
	for (; len > 0; at += n + 1) {
		const char *slash = memchr(path + at, '/', len - at);

		n = slash != NULL ? (size_t)(slash - (path + at)) : len - at;
		if (n == 0) {
			*why = "with an empty component";
			return -EINVAL;
		}
		if ((n == 1 && path[at] == '.') ||
		    (n == 2 && path[at] == '.' && path[at + 1] == '.')) {
			*why = "with '.' or '..' in it";
			return -EINVAL;
		}
		if (n > PATH_COMPONENT_MAX) {
			*why = "with a name longer than 255 bytes";
			return -ENAMETOOLONG;
		}
		if (slash == NULL)
			break;
	}
	return 0;
}

int
path_canonical(char **out, const char *path, struct err *err)
{
	const char *given = path, *why = NULL;
	size_t len;
	int code;

	while (*path == '/')
		path++;
	len = strlen(path);
	while (len > 0 && path[len - 1] == '/')
		len--;
	code = path_check(path, len, &why);
	if (code != 0)
		return err_set(err, code, "'%.256s' is a path %s", given, why);
	*out = xstrndup(path, len);
	return 0;
}

bool
path_is_canonical(const char *path)
{
	const char *why;

	return path_check(path, strlen(path), &why) == 0;
}

bool
path_is_key(const char *key)
{
	size_t len = strlen(key);

	return len > 0 && len <= PATH_BYTES_MAX && utf8_valid_len(key, len) == len;
}

const char *
path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

char *
path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
}

char *
path_child(const char *dir, const char *name)
{
	return dir[0] == '\0' ? xstrdup(name) : xasprintf("%s/%s", dir, name);
}

bool
path_is_inside(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len == 0)
		return true;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

size_t
path_depth(const char *path)
{
	size_t depth = path[0] != '\0';

	for (; *path != '\0'; path++)
		depth += *path == '/';
	return depth;
}

int
path_split_account(char **account, char **path, const char *arg, struct err *err)
{
	CLEANUP(cleanup_free) char *name = NULL;
	const char *colon = strchr(arg, ':');
	int code;

	if (colon == NULL)
		return err_set(err, -EINVAL, "'%s' is not of the form ACCOUNT:path", arg);
	name = xstrndup(arg, (size_t)(colon - arg));
	if (!account_name_is_valid(name))
		return err_set(
		    err, -EINVAL, "'%s' cannot be the name of an account (in '%s')", name, arg);
	code = path_canonical(path, colon + 1, err);
	if (code != 0)
		return code;
	*account = TAKE(name);
	return 0;
}

bool
account_name_is_valid(const char *name)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len >= 1 && len <= ACCOUNT_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	    strspn(name, allowed) == len;
}
