#include "cli/cli.h"
#include "src/settings.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELPER      "mount.skyferry"
#define OPTIONS_MAX 4096

const struct option_def mount_options[] = {
    {'o', NULL, "OPTIONS", "mount options, separated by commas: see mount.skyferry(8)"},
    {0},
};

/* Beside this program (a build directory), in ../sbin of it, where it was installed. */
static char *
find_helper(void)
{
	static const char *places[] = {HELPER, "../sbin/" HELPER};
	char self[PATH_MAX], *slash;
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[MAX(len, 0)] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash != NULL && i < ARRAY_LEN(places); i++) {
		CLEANUP(cleanup_free)
		char *path = xasprintf("%.*s/%s", (int)(slash - self), self, places[i]);

		if (access(path, X_OK) == 0)
			return TAKE(path);
	}
	if (access(SBINDIR "/" HELPER, X_OK) == 0)
		return xstrdup(SBINDIR "/" HELPER);
	return xstrdup(HELPER); /* in PATH */
}

/* The mount point; one that is missing is made. */
static int
check_directory(const char *dir, struct err *err)
{
	struct stat st;

	if (mkdir(dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, -errno, "cannot make the directory '%s'", dir);
	/* a mount whose process has died: the helper takes it away */
	if (stat(dir, &st) < 0 && errno == ENOTCONN)
		return 0;
	if (stat(dir, &st) < 0)
		return err_sys(err, -errno, "cannot mount on '%s'", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "'%s' is not a directory", dir);
	return 0;
}

int
cmd_mount(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *helper = find_helper();
	CLEANUP(buf_free) struct buf options = BUF_INIT(OPTIONS_MAX);
	char *dir = args_operand(args, 0), *argv[6] = {helper};
	size_t n = 1;
	const char *option;
	struct err err = ERR_INIT;

	for (size_t i = 0; (option = args_value_at(args, "o", i)) != NULL; i++)
		buf_printf(&options, "%s%s", i > 0 ? "," : "", option);
	if (options.failed)
		return cli_usage(cli, "the mount options are too long");
	if (options.len > 0) {
		argv[n++] = "-o";
		argv[n++] = options.data;
	}
	argv[n++] = "--";
	argv[n] = dir;
	/* it would come up without the daemon, but what it is told by it is needed at once */
	if (cli_call(cli, NULL, "GET", NULL, &err, "/health") < 0 || check_directory(dir, &err) < 0)
		return cli_fail(&err);
	fflush(stdout);
	/* the mount must inherit neither connections nor an ignored signal */
	cli_fini(cli);
	signal(SIGPIPE, SIG_DFL);
	execvp(helper, argv);
	err_sys(&err, -errno, "cannot run '%s'", helper);
	return cli_fail(&err);
}
