/* skyferryd: options and wiring. */
#include "daemon/daemon.h"
#include "daemon/notify.h"
#include "src/crash.h"
#include "src/log.h"
#include "src/paths.h"
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define ARENAS 2 /* of malloc: each keeps what it once had */
/* Bytes from which a buffer has pages of its own: it grows without being copied, and they go back
   at once.  Only the largest answers of clouds are that large; glibc's limit would rise with the
   first of them, and the memory of those after it would stay. */
#define OWN_PAGES_FROM (4 << 20)

struct options {
	const char *config;
	const char **sets;
	size_t sets_len;
	bool check_store;
	const char *backup_store;
};

struct program {
	struct options options;
	struct settings *settings;
	struct daemon daemon;
	struct event *on_term, *on_int, *on_hup;
};

static const char usage[] =
    "usage: skyferryd [--foreground] [--config FILE] [--set NAME=VALUE]...\n"
    "       skyferryd --check-store | --backup-store DIR | --version | --help\n"
    "\n"
    "The Skyferry daemon: carries transfers between cloud accounts, and serves the API.\n"
    "\n"
    "      --foreground       stay in the foreground (it always does)\n"
    "  -c, --config FILE      settings from FILE instead of the usual place\n"
    "  -s, --set NAME=VALUE   one setting, over those of the file and the environment\n"
    "      --check-store      look at every record of the store, and say whether it is sound\n"
    "      --backup-store DIR copy the store into DIR, also while a daemon runs\n"
    "  -V, --version          print the version\n"
    "  -h, --help             print this help\n"
    "\n"
    "Settings are described in skyferry.conf(5), signals and files in skyferryd(8).\n";

static void
options_parse(struct options *o, int argc, char **argv)
{
	enum { FOREGROUND = 256, CHECK_STORE, BACKUP_STORE };
	static const struct option longs[] = {
	    {"foreground", no_argument, NULL, FOREGROUND},
	    {"config", required_argument, NULL, 'c'},
	    {"set", required_argument, NULL, 's'},
	    {"check-store", no_argument, NULL, CHECK_STORE},
	    {"backup-store", required_argument, NULL, BACKUP_STORE},
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	int c;

	o->sets = xcalloc(argc, sizeof *o->sets);
	while ((c = getopt_long(argc, argv, "c:s:Vh", longs, NULL)) != -1) {
		switch (c) {
		case FOREGROUND: break;
		case 'c': o->config = optarg; break;
		case 's': o->sets[o->sets_len++] = optarg; break;
		case CHECK_STORE: o->check_store = true; break;
		case BACKUP_STORE: o->backup_store = optarg; break;
		case 'V': puts("skyferryd " PACKAGE_VERSION); exit(0);
		case 'h': fputs(usage, stdout); exit(0);
		default: fputs("skyferryd --help says more\n", stderr); exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr,
		    "skyferryd: '%s' is one argument too many; skyferryd --help says more\n",
		    argv[optind]);
		exit(2);
	}
}

/* File, environment, command line; later wins. */
static struct settings *
settings_from(const struct options *o, struct err *err)
{
	struct settings *s = settings_new();
	size_t i;
	int code;

	if (o->config == NULL)
		code = settings_load(s, err);
	else if ((code = settings_load_file(s, o->config, true, err)) == 0)
		code = settings_load_env(s, err);
	for (i = 0; i < o->sets_len && code == 0; i++)
		code = settings_set_arg(s, o->sets[i], err);
	if (code == 0)
		return s;
	settings_free(s);
	return NULL;
}

/* -- tools */

static int
run_tool(const struct program *p)
{
	CLEANUP(cleanup_free) char *state = daemon_state_dir(p->settings);
	CLEANUP(cleanup_free) char *dir = paths_join(state, "store");
	struct err err = ERR_INIT;

	if (p->options.check_store) {
		if (store_check(dir, &err) != 0)
			log_fatal("%s", err_text(&err));
		printf("the store %s is sound\n", dir);
		return 0;
	}
	if (store_backup(dir, p->options.backup_store, &err) != 0)
		log_fatal("%s", err_text(&err));
	printf("the store %s is copied into %s; keep the master key with it, but not beside it\n",
	    dir, p->options.backup_store);
	return 0;
}

/* -- signals */

static void
on_stop(evutil_socket_t signal, short what, void *arg)
{
	struct program *p = arg;
	bool again = p->daemon.draining;

	if (!again) {
		notify_stopping();
		log_info("stopping: running transfers get %lld s; once more stops them at once",
		    (long long)settings_int(p->settings, "drain.timeout") / 1000);
	}
	daemon_stop(&p->daemon, again ? 0 : settings_int(p->settings, "drain.timeout"));
}

static void
log_kept(const char *name)
{
	log_warning("%s stays as it is until the daemon is restarted", name);
}

static void
on_reload(evutil_socket_t signal, short what, void *arg)
{
	struct program *p = arg;
	struct err err = ERR_INIT;
	struct settings *s;

	notify_reloading();
	s = settings_from(&p->options, &err);
	if (s == NULL) {
		log_error("the settings stay as they are: %s", err_text(&err));
	} else {
		settings_keep(s, p->settings, log_kept);
		daemon_reconfigure(&p->daemon, s);
		settings_free(p->settings);
		p->settings = s;
		log_info("settings are read anew");
	}
	notify_ready();
}

static struct event *
signal_add(struct program *p, int number, event_callback_fn fn)
{
	struct event *ev = evsignal_new(loop_base(p->daemon.loop), number, fn, p);

	event_add(ev, NULL);
	return ev;
}

/* -- the process */

/* Before there are threads. */
static void
prepare_process(void)
{
	struct rlimit files;

	disk_set_umask(umask(077)); /* private is what is ours, not what is people's */
	signal(SIGPIPE, SIG_IGN);
	/* Credentials are in memory: no core files, no ptrace by others of this uid. */
	if (getenv("SKYFERRY_TEST_DUMPABLE") == NULL)
		prctl(PR_SET_DUMPABLE, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	mallopt(M_ARENA_MAX, ARENAS);
	mallopt(M_MMAP_THRESHOLD, OWN_PAGES_FROM);
	notify_init();
	crash_init();
}

static void
log_ready(const struct program *p)
{
	const char *listen = settings_str(p->settings, "api.listen");
	const char *set = settings_str(p->settings, "api.socket"),
		   *runtime = settings_str(p->settings, "runtime.dir");
	CLEANUP(cleanup_free)
	char *dir = runtime[0] != '\0' ? xstrdup(runtime) : paths_runtime_dir();
	CLEANUP(cleanup_free)
	char *socket = set[0] != '\0' ? xstrdup(set) : paths_join(dir, "skyferryd.sock");
	bool tcp = strcmp(listen, "none") != 0;

	log_info("skyferryd " PACKAGE_VERSION " is ready: listening on %s%s%s", socket,
	    tcp ? " and " : "", tcp ? listen : "");
}

static int
run_daemon(struct program *p)
{
	struct err err = ERR_INIT;

	p->daemon.settings = p->settings;
	if (daemon_start(&p->daemon, &err) != 0) {
		log_error("cannot start: %s", err_text(&err));
		daemon_finish(&p->daemon);
		return 1;
	}
	p->on_term = signal_add(p, SIGTERM, on_stop);
	p->on_int = signal_add(p, SIGINT, on_stop);
	p->on_hup = signal_add(p, SIGHUP, on_reload);
	log_ready(p);
	notify_ready();
	loop_run(p->daemon.loop);
	event_free(p->on_term);
	event_free(p->on_int);
	event_free(p->on_hup);
	daemon_finish(&p->daemon);
	log_info("stopped");
	return 0;
}

int
main(int argc, char **argv)
{
	struct program p = {};
	struct err err = ERR_INIT;
	int status;

	options_parse(&p.options, argc, argv);
	log_init("skyferryd", LOG_LEVEL_INFO);
	prepare_process();
	p.settings = settings_from(&p.options, &err);
	if (p.settings == NULL)
		log_fatal("%s", err_text(&err));
	log_set_level(log_level_parse(settings_str(p.settings, "log.level")));
	status =
	    p.options.check_store || p.options.backup_store != NULL ? run_tool(&p) : run_daemon(&p);
	settings_free(p.settings);
	free(p.options.sets);
	return status;
}
