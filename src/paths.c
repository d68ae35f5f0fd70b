#include "src/paths.h"
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATHS_USER "skyferry" /* the system service's user */

static bool
paths_user_is_service(void)
{
	struct passwd pw, *found = NULL;
	char names[4096];

	return getpwuid_r(geteuid(), &pw, names, sizeof names, &found) == 0 && found != NULL &&
	    strcmp(found->pw_name, PATHS_USER) == 0;
}

bool
paths_is_system(void)
{
	const char *value = getenv("SKYFERRY_SYSTEM");

	if (value != NULL && value[0] != '\0')
		return strcmp(value, "0") != 0;
	return paths_user_is_service();
}

char *
paths_join(const char *dir, const char *name)
{
	size_t len = strlen(dir);

	return xasprintf("%s%s%s", dir, len > 0 && dir[len - 1] == '/' ? "" : "/", name);
}

/* An XDG base directory: the variable, which must be absolute to count, else HOME/fallback. */
static char *
paths_xdg(const char *variable, const char *fallback)
{
	const char *value = getenv(variable), *home = getenv("HOME");
	struct passwd pw, *found = NULL;
	char names[4096];

	if (value != NULL && value[0] == '/')
		return xstrdup(value);
	if (home == NULL || home[0] != '/') {
		getpwuid_r(geteuid(), &pw, names, sizeof names, &found);
		home = found != NULL ? found->pw_dir : "/";
	}
	return paths_join(home, fallback);
}

static char *
paths_ours(const char *variable, const char *fallback, const char *name)
{
	CLEANUP(cleanup_free) char *base = paths_xdg(variable, fallback);

	return paths_join(base, name);
}

char *
paths_config_file(void)
{
	if (paths_is_system())
		return xstrdup("/etc/skyferry/skyferry.conf");
	return paths_ours("XDG_CONFIG_HOME", ".config", "skyferry/skyferry.conf");
}

char *
paths_state_dir(void)
{
	if (paths_is_system())
		return xstrdup("/var/lib/skyferry");
	return paths_ours("XDG_STATE_HOME", ".local/state", "skyferry");
}

char *
paths_runtime_dir(void)
{
	CLEANUP(cleanup_free) char *state = NULL;
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (paths_is_system())
		return xstrdup("/run/skyferry");
	if (runtime != NULL && runtime[0] == '/')
		return paths_join(runtime, "skyferry");
	state = paths_state_dir();
	return paths_join(state, "run");
}

char *
paths_token_file(void)
{
	return paths_ours("XDG_CONFIG_HOME", ".config", "skyferry/token");
}

/* mkdir -p: each missing component with 0700. */
static int
paths_make(const char *dir, struct err *err)
{
	CLEANUP(cleanup_free) char *path = xstrdup(dir);
	char *slash = path;

	while (slash != NULL) {
		slash = strchr(slash + 1, '/');
		if (slash != NULL)
			*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return err_sys(err, -errno, "cannot make the directory %s", path);
		if (slash != NULL)
			*slash = '/';
	}
	return 0;
}

int
paths_make_private(const char *dir, struct err *err)
{
	struct stat st;
	int code;

	if (dir[0] == '\0')
		return err_set(err, -EINVAL, "the name of a directory is empty");
	if (stat(dir, &st) != 0) {
		if (errno != ENOENT)
			return err_sys(err, -errno, "cannot look at the directory %s", dir);
		code = paths_make(dir, err);
		if (code != 0)
			return code;
		if (stat(dir, &st) != 0)
			return err_sys(err, -errno, "cannot look at the directory %s", dir);
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a directory", dir);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EPERM, "%s belongs to another user (uid %u)", dir, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM,
		    "others can write to %s: run 'chmod go-w %s', or name another directory", dir,
		    dir);
	return 0;
}
