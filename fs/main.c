/* mount.skyferry: options and wiring. */
#include "fs/daemon.h"
#include "fs/file.h"
#include "fs/files.h"
#include "fs/kernel.h"
#include "fs/notify.h"
#include "fs/options.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/session.h"
#include "fs/watchdog.h"
#include "src/clock.h"
#include "src/crash.h"
#include "src/endpoint.h"
#include "src/log.h"
#include "src/paths.h"
#include "src/pool.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAIN_POOL        4 /* threads for disks: as many as requests a disk likes at once */
#define MAIN_DRAIN_MS    5000 /* for tasks to end after they were told to */
#define MAIN_LOG_MAX     (1 << 20) /* bytes of the log file, which begins anew at a mount */
#define MAIN_EXIT_FAILED 32 /* mount(8): the mount failed */

static int ready_pipe = -1;

/* -- the background: the first process waits until the second serves, or has said why it does not
 */

static int
background_wait(int fd, pid_t child)
{
	unsigned char status;
	int wait_status;

	if (read(fd, &status, 1) == 1)
		return status;
	if (waitpid(child, &wait_status, 0) == child && WIFEXITED(wait_status) &&
	    WEXITSTATUS(wait_status) != 0)
		return WEXITSTATUS(wait_status);
	return MAIN_EXIT_FAILED;
}

/* Returns in the second process. */
static void
background_start(void)
{
	int fds[2];
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) != 0 || (child = fork()) < 0)
		log_fatal("cannot start in the background: %s", strerror(errno));
	if (child > 0) {
		close(fds[1]);
		exit(background_wait(fds[0], child));
	}
	close(fds[0]);
	ready_pipe = fds[1];
	setsid();
}

static void
background_log(void)
{
	CLEANUP(cleanup_free) char *dir = paths_state_dir();
	CLEANUP(cleanup_free) char *path = paths_join(dir, "mount.log");
	struct stat st;
	int fd = -1, null;

	if (getenv("JOURNAL_STREAM") == NULL && paths_make_private(dir, NULL) == 0)
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > MAIN_LOG_MAX && ftruncate(fd, 0) != 0)
		log_warning("%s: %s", path, strerror(errno));
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (getenv("JOURNAL_STREAM") == NULL)
			dup2(fd >= 0 ? fd : null, STDERR_FILENO);
		close(null);
	}
	if (fd >= 0)
		close(fd);
	if (chdir("/") != 0)
		log_warning("cannot leave the directory: %s", strerror(errno));
}

/* sd_notify(3), without its library. */
static void
notify_systemd(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = path == NULL ? 0 : strlen(path);
	int fd;

	if (len == 0 || len >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, len);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		log_debug("systemd was not told: %s", strerror(errno));
	close(fd);
}

static void
main_ready(struct fs *fs)
{
	unsigned char status = 0;

	log_info("mounted at %s", fs->options.directory);
	notify_systemd("READY=1");
	if (ready_pipe < 0)
		return;
	background_log();
	if (write(ready_pipe, &status, 1) != 1)
		log_warning("nobody waits for the mount any more");
	close(ready_pipe);
	ready_pipe = -1;
}

/* -- start and end */

/* A mount whose process has died answers ENOTCONN to everything, but for what the kernel remembers:
   statvfs is never that.  It is taken away. */
static int
main_clear_directory(int argc, char **argv)
{
	const char *directory = argv[argc - 1];
	struct statvfs st;
	pid_t child;
	int status;

	if (argc < 2 || statvfs(directory, &st) == 0 || errno != ENOTCONN)
		return 0;
	child = fork();
	if (child == 0) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "--", directory, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		return -ENOTCONN;
	return 0;
}

static int
main_prepare(struct fs *fs, struct err *err)
{
	struct http_limits http = {
	    .connect_timeout_ms = (uint64_t)settings_int(fs->settings, "http.connect_timeout"),
	    .stall_timeout_ms = (uint64_t)settings_int(fs->settings, "http.stall_timeout"),
	    .buffer = (size_t)settings_int(fs->settings, "http.buffer"),
	    .user_agent = "skyferry/" PACKAGE_VERSION,
	    .public_only = !endpoints_may_be_local(fs->settings),
	};
	struct cloud_runner_config runner = {.http = http, .sign_in = remotes_sign_in, .arg = fs};
	unsigned major, minor;
	int code;

	if (kernel_mount_device(fs->options.directory, &major, &minor) == 0)
		return err_set(
		    err, -EBUSY, "Skyferry is mounted at %s already", fs->options.directory);
	fs->read_ahead = (uint64_t)settings_int(fs->settings, "mount.read_ahead");
	fs->memory = (uint64_t)settings_int(fs->settings, "mount.memory");
	fs->daemon_timeout_ms = (uint64_t)settings_int(fs->settings, "mount.daemon_timeout");
	fs->entry_timeout_ms = (uint64_t)settings_int(fs->settings, "mount.entry_timeout");
	fs->changes_ms = (uint64_t)settings_int(fs->settings, "mount.changes");
	fs->start_ns = clock_ns();
	TAILQ_INIT(&fs->tasks);
	TAILQ_INIT(&fs->files);
	table_init(&fs->files_by_id);
	TAILQ_INIT(&fs->renamed);
	fs->loop = loop_new("mount", err);
	if (fs->loop == NULL)
		return err->code;
	fs->pool = pool_new(MAIN_POOL, err);
	if (fs->pool == NULL)
		return err->code;
	fs->fibers = fibers_new(fs->loop);
	fs->nodes = nodes_new(fs);
	fs->overlay = overlay_new(fs);
	fs->remotes = remotes_new(fs);
	fs->runner = cloud_runner_new(fs->loop, fs->pool, &runner, err);
	if (fs->runner == NULL)
		return err->code;
	fs->daemon = daemon_new(fs, err);
	if (fs->daemon == NULL)
		return err->code;
	code = remotes_load(fs->remotes, err);
	if (code == 0)
		code = daemon_register(fs->daemon, err);
	return code;
}

static void
main_signal(evutil_socket_t signal_number, short what, void *arg)
{
	log_info("stopping");
	session_stop(arg);
}

/* Each file that waits for the cloud has its spool file open. */
static void
main_raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void
main_on_tick(evutil_socket_t fd, short what, void *arg)
{
}

/* Tasks that still wait end with an error; none is left when this returns, unless one does not
   listen.  Then what they left on the pool: false, if a disk does not answer. */
static bool
main_drain(struct fs *fs)
{
	static const struct timeval tick = {0, 5 * 1000};
	uint64_t until = clock_mono_ms() + MAIN_DRAIN_MS;
	struct event *timer = event_new(loop_base(fs->loop), -1, EV_PERSIST, main_on_tick, NULL);

	event_add(timer, &tick);
	tasks_cancel(fs);
	while ((!TAILQ_EMPTY(&fs->tasks) || disk_calls() > 0 || pool_jobs(fs->pool) > 0) &&
	    clock_mono_ms() < until)
		event_base_loop(loop_base(fs->loop), EVLOOP_ONCE);
	event_free(timer);
	event_base_loop(loop_base(fs->loop), EVLOOP_NONBLOCK); /* what they posted */
	return disk_calls() == 0 && pool_jobs(fs->pool) == 0;
}

static void
main_free(struct fs *fs)
{
	notifier_free(fs->notifier);
	files_free(fs);
	overlay_free(fs->overlay);
	nodes_free(fs->nodes);
	remotes_free(fs->remotes);
	daemon_free(fs->daemon);
	session_free(fs);
	if (fs->pool != NULL)
		pool_free(fs->pool);
	if (fs->runner != NULL)
		cloud_runner_free(fs->runner);
	if (TAILQ_EMPTY(&fs->tasks))
		fibers_free(fs->fibers);
	if (fs->loop != NULL)
		loop_free(fs->loop);
	free(fs->spool_dir);
	table_fini(&fs->files_by_id, NULL);
	options_fini(&fs->options);
}

static void
main_run(struct fs *fs)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	struct event *events[ARRAY_LEN(signals)];
	struct watchdog *watchdog;
	bool drained;
	size_t i;

	for (i = 0; i < ARRAY_LEN(signals); i++) {
		events[i] = evsignal_new(loop_base(fs->loop), signals[i], main_signal, fs);
		if (events[i] == NULL || event_add(events[i], NULL) != 0)
			abort();
	}
	watchdog = watchdog_new(fs->loop, fs->options.directory);
	fs->notifier = notifier_new(fs->session);
	fs->on_ready = main_ready;
	daemon_connect(fs->daemon);
	session_serve(fs);
	loop_run(fs->loop);
	notify_systemd("STOPPING=1");
	drained = main_drain(fs);
	session_unmount(fs);
	if (!drained) {
		log_error("a disk does not answer: leaving without waiting for it");
		_exit(0);
	}
	watchdog_free(watchdog);
	for (i = 0; i < ARRAY_LEN(signals); i++)
		event_free(events[i]);
}

int
main(int argc, char **argv)
{
	struct settings *settings = settings_new();
	struct err err = ERR_INIT, wrong = ERR_INIT;
	struct fs fs = {0};
	int loaded, code;

	log_init("mount.skyferry", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	main_raise_files();
	crash_init();
	main_clear_directory(argc, argv);
	loaded = settings_load(settings, &wrong);
	code = options_parse(&fs.options, settings, argc, argv, &err);
	if (loaded != 0 && code != 1) { /* --help is answered all the same */
		code = loaded;
		err = wrong;
	}
	if (code != 0) {
		if (code < 0)
			log_error("%s", err_text(&err));
		options_fini(&fs.options);
		settings_free(settings);
		return code < 0;
	}
	fs.settings = settings;
	spool_quota_init(&fs.spool_quota);
	log_set_level((enum log_level)log_level_parse(settings_str(settings, "log.level")));
	if (fs.options.debug)
		log_set_level(LOG_LEVEL_DEBUG);
	if (!fs.options.foreground)
		background_start();
	code = main_prepare(&fs, &err);
	if (code == 0)
		code = session_mount(&fs, &err);
	if (code == 0)
		main_run(&fs);
	else
		log_error("%s", err_text(&err));
	main_free(&fs);
	settings_free(settings);
	return code == 0 ? 0 : MAIN_EXIT_FAILED;
}
