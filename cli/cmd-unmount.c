#include "cli/cli.h"
#include "cli/idle.h"
#include "cli/mountinfo.h"
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

const struct option_def unmount_options[] = {
    {'w', "wait", NULL, "wait until all changes have ended; fail if one failed"},
    {'z', "lazy", NULL, "detach at once, though files are open"},
    {0},
};

extern char **environ;

/* umount(8) for root (it also keeps /run/mount/utab right), fusermount3(1) for others. */
static int
unmount(const char *dir, bool lazy, struct err *err)
{
	bool root = geteuid() == 0;
	char *argv[6];
	size_t n = 0;
	int status;
	pid_t pid;
	int code;

	argv[n++] = root ? "umount" : "fusermount3";
	if (!root)
		argv[n++] = "-u";
	if (lazy)
		argv[n++] = root ? "-l" : "-z";
	argv[n++] = "--";
	argv[n++] = (char *)dir;
	argv[n] = NULL;
	code = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (code != 0)
		return err_sys(err, -code, "cannot run '%s'", argv[0]);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_sys(err, -errno, "cannot wait for '%s'", argv[0]);
	}
	/* it has said why */
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, -EBUSY,
		    "'%s' was not unmounted; if programs use it, end them (fuser -vm %s) or use --lazy",
		    dir, dir);
	return 0;
}

int
cmd_unmount(struct cli *cli, struct args *args)
{
	CLEANUP(cleanup_free) char *dir = NULL;
	struct err err = ERR_INIT;

	if (mountinfo_resolve(&dir, args_operand(args, 0), &err) < 0)
		return cli_fail(&err);
	if (!mountinfo_has(dir)) {
		cli_warn("'%s' is not a Skyferry mount", dir);
		return EXIT_FAILED;
	}
	fflush(stdout);
	if (unmount(dir, args_has(args, "lazy"), &err) < 0)
		return cli_fail(&err);
	return args_has(args, "wait") ? idle_wait(cli, UINT64_MAX, false) : EXIT_OK;
}
