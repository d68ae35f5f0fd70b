#include "fs/options.h"
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "Usage: mount.skyferry [-fd] [-o OPTIONS] [--set NAME=VALUE] [SPEC] DIRECTORY\n"
    "Mount the accounts of a running skyferryd at DIRECTORY.\n"
    "\n"
    "  -f, --foreground    stay in the foreground, log to stderr\n"
    "  -d, --debug         foreground, and log every request\n"
    "  -o OPTIONS          comma-separated:\n"
    "       ro             nothing can be changed\n"
    "       sync           close(2) waits for the cloud and reports its error\n"
    "       settle=TIME    how long a closed file waits for more changes (\"500ms\", \"1s\")\n"
    "       fsync=WHAT     what fsync(2) waits for: \"cloud\" or \"spool\"\n"
    "       uid=N gid=N    owner shown\n"
    "       umask=OCTAL    taken off modes where the cloud keeps none\n"
    "       allow_other    let other users in\n"
    "      --set NAME=VALUE  a setting of skyferry.conf(5)\n"
    "  -h, --help          this\n"
    "  -V, --version       the version\n";

/* What fstab lines have, that mount(8) passes on or that says nothing to us. */
static const char *const ignored[] = {"rw", "auto", "noauto", "user", "users", "nouser", "owner",
    "group", "nofail", "_netdev", "defaults", "suid", "nosuid", "dev", "nodev", "exec", "noexec",
    "async", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime",
    "lazytime", "nolazytime"};

static int
option_number(const char *name, const char *value, int base, long max, long *out, struct err *err)
{
	char *end;

	errno = 0;
	*out = strtol(value, &end, base);
	if (errno != 0 || end == value || *end != '\0' || *out < 0 || *out > max)
		return err_set(
		    err, -EINVAL, "-o %s=%s: not a number from 0 to %ld", name, value, max);
	return 0;
}

/* A time as settings have it. */
static int
option_time(const char *value, long *out, struct err *err)
{
	struct settings *settings = settings_new();
	int code = settings_set(settings, "mount.settle", value, err);

	if (code == 0)
		*out = (long)settings_int(settings, "mount.settle");
	settings_free(settings);
	return code;
}

static int
option_with_value(struct fs_options *options, const char *name, const char *value, struct err *err)
{
	long number;
	int code;

	if (strcmp(name, "settle") == 0)
		return option_time(value, &options->settle_ms, err);
	if (strcmp(name, "fsync") == 0) {
		if (strcmp(value, "cloud") != 0 && strcmp(value, "spool") != 0)
			return err_set(
			    err, -EINVAL, "-o fsync=%s: must be \"cloud\" or \"spool\"", value);
		options->fsync_cloud = strcmp(value, "cloud") == 0;
		return 0;
	}
	if (strcmp(name, "uid") == 0 || strcmp(name, "gid") == 0) {
		code = option_number(name, value, 10, UINT_MAX, &number, err);
		if (code == 0 && name[0] == 'u')
			options->uid = (uid_t)number;
		else if (code == 0)
			options->gid = (gid_t)number;
		return code;
	}
	if (strcmp(name, "umask") == 0) {
		code = option_number(name, value, 8, 0777, &number, err);
		if (code == 0)
			options->umask = (unsigned)number;
		return code;
	}
	if (strncmp(name, "x-", 2) == 0 || strcmp(name, "comment") == 0)
		return 0;
	return err_set(err, -EINVAL, "-o %s=%s: unknown; see mount.skyferry --help", name, value);
}

static int
option_set(struct fs_options *options, char *option, struct err *err)
{
	char *value = strchr(option, '=');
	size_t i;

	if (value != NULL) {
		*value++ = '\0';
		return option_with_value(options, option, value, err);
	}
	if (strcmp(option, "ro") == 0) {
		options->read_only = true;
		return 0;
	}
	if (strcmp(option, "sync") == 0) {
		options->sync = true;
		options->settle_ms = 0;
		return 0;
	}
	if (strcmp(option, "allow_other") == 0) {
		options->allow_other = true;
		return 0;
	}
	for (i = 0; i < ARRAY_LEN(ignored); i++) {
		if (strcmp(option, ignored[i]) == 0)
			return 0;
	}
	if (option[0] == '\0' || strncmp(option, "x-", 2) == 0)
		return 0;
	return err_set(err, -EINVAL, "-o %s: unknown; see mount.skyferry --help", option);
}

int
options_parse_mount(struct fs_options *options, const char *list, struct err *err)
{
	CLEANUP(cleanup_free) char *copy = xstrdup(list);
	char *rest = copy, *option;
	int code = 0;

	while (code == 0 && (option = strsep(&rest, ",")) != NULL)
		code = option_set(options, option, err);
	return code;
}

static int
options_directory(struct fs_options *options, int argc, char **argv, struct err *err)
{
	struct stat st;

	if (argc != 1 && argc != 2)
		return err_set(err, -EINVAL,
		    argc == 0 ? "no directory was given; see --help"
			      : "too many arguments; see --help");
	if (argc == 2)
		options->spec = xstrdup(argv[0]);
	if (options->spec != NULL && strpbrk(options->spec, ",\\\n") != NULL)
		return err_set(err, -EINVAL, "'%s' is not a source", options->spec);
	options->directory = realpath(argv[argc - 1], NULL);
	if (options->directory == NULL)
		return err_sys(err, -errno, "%s", argv[argc - 1]);
	if (stat(options->directory, &st) != 0)
		return err_sys(err, -errno, "%s", options->directory);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a directory", options->directory);
	return 0;
}

int
options_parse(
    struct fs_options *options, struct settings *settings, int argc, char **argv, struct err *err)
{
	static const struct option longs[] = {{"foreground", no_argument, NULL, 'f'},
	    {"debug", no_argument, NULL, 'd'}, {"set", required_argument, NULL, 'S'},
	    {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
	mode_t mask = umask(022);
	int c, code = 0;

	umask(mask);
	optind = 0; /* anew: getopt_long(3) keeps its place in the list before */
	*options = (struct fs_options){.settle_ms = -1, .uid = getuid(), .gid = getgid()};
	options->umask = mask;
	options->fsync_cloud = strcmp(settings_str(settings, "mount.fsync"), "cloud") == 0;
	while (code == 0 && (c = getopt_long(argc, argv, "fdo:hVnsvt:N:", longs, NULL)) != -1) {
		switch (c) {
		case 'd': options->debug = true; /* FALLTHROUGH */
		case 'f': options->foreground = true; break;
		case 'o': code = options_parse_mount(options, optarg, err); break;
		case 'S': code = settings_set_arg(settings, optarg, err); break;
		case 'h': fputs(usage, stdout); return 1;
		case 'V': puts("mount.skyferry " PACKAGE_VERSION); return 1;
		case 'n':
		case 's':
		case 'v':
		case 't':
		case 'N': break; /* of mount(8); nothing to us */
		default: return err_set(err, -EINVAL, "see mount.skyferry --help");
		}
	}
	if (code != 0)
		return code;
	return options_directory(options, argc - optind, argv + optind, err);
}

void
options_fini(struct fs_options *options)
{
	free(TAKE(options->directory));
	free(TAKE(options->spec));
}
