#include "fs/session.h"
#include "fs/daemon.h"
#include "fs/file.h"
#include "fs/files.h"
#include "fs/kernel.h"
#include "fs/ops.h"
#include "src/clock.h"
#include "src/log.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SESSION_BATCH 32 /* requests of one wake-up */
#define SESSION_BACKGROUND                                                                         \
	64 /* requests the kernel keeps under way beside those somebody waits in: measured, MB/s   \
	      doubles from 12 */

static void
op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;

	/* Our replies come from memory, where splicing is slower; and locks are the kernel's own
	 * affair. */
	conn->want &=
	    ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	/* (As far as libfuse passes it on: 3.14.0 does not.) Else the kernel lets one LOOKUP of a
	 * directory through at a time, and whoever is behind one that waits for a cloud cannot even
	 * be killed. */
	if ((conn->capable & FUSE_CAP_PARALLEL_DIROPS) != 0)
		conn->want |= FUSE_CAP_PARALLEL_DIROPS;
	conn->max_background = SESSION_BACKGROUND;
	conn->congestion_threshold = SESSION_BACKGROUND * 3 / 4;
	fs->initialised = true;
}

static const struct fuse_lowlevel_ops ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .statfs = op_statfs,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .open = op_open,
    .read = op_read,
    .create = op_create,
    .write = op_write,
    .copy_file_range = op_copy_file_range,
    .flush = op_flush,
    .release = op_release,
    .fsync = op_fsync,
    .fallocate = op_fallocate,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .mknod = op_mknod,
    .symlink = op_symlink,
    .link = op_link,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setxattr = op_setxattr,
    .removexattr = op_removexattr,
};

int
session_mount(struct fs *fs, struct err *err)
{
	const char *spec = fs->options.spec != NULL ? fs->options.spec : "skyferry";
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	char *options;

	options = xasprintf("fsname=%s,subtype=skyferry,default_permissions,noatime%s%s", spec,
	    fs->options.read_only ? ",ro" : "", fs->options.allow_other ? ",allow_other" : "");
	fuse_opt_add_arg(&args, "mount.skyferry");
	fuse_opt_add_arg(&args, "-o");
	fuse_opt_add_arg(&args, options);
	free(options);
	if (fs->options.debug)
		fuse_opt_add_arg(&args, "-d");
	fs->session = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	if (fs->session == NULL)
		return err_set(err, -EINVAL, "libfuse refuses the options");
	if (fuse_session_mount(fs->session, fs->options.directory) != 0) {
		fuse_session_destroy(TAKE(fs->session));
		return err_set(err, -EPERM,
		    "cannot mount at %s (what libfuse said is above; without root, the "
		    "package fuse3 must be installed and /dev/fuse be accessible%s)",
		    fs->options.directory,
		    fs->options.allow_other
			? ", and allow_other needs user_allow_other in /etc/fuse.conf"
			: "");
	}
	return 0;
}

/* The kernel lowers this to its default with the answer to INIT, so it comes after. */
static void
session_raise_read_ahead(struct fs *fs)
{
	unsigned major, minor;
	int code;

	code = kernel_mount_device(fs->options.directory, &major, &minor);
	if (code == 0 && fs->read_ahead > 128 * 1024)
		code = kernel_set_read_ahead(major, minor, fs->read_ahead);
	if (code != 0)
		log_debug("%s: the kernel's read-ahead stays as it is: %s", fs->options.directory,
		    strerror(-code));
}

static void
session_ended(struct fs *fs)
{
	if (fs->unmounted)
		return;
	fs->unmounted = true;
	event_del(fs->session_event);
	log_info("%s: unmounted", fs->options.directory);
	session_stop(fs);
}

static void
session_input(evutil_socket_t fd, short what, void *arg)
{
	struct fs *fs = arg;
	bool was_initialised;
	int i, n;

	for (i = 0; i < SESSION_BATCH && !fs->unmounted; i++) {
		n = fuse_session_receive_buf(fs->session, &fs->request);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			break;
		if (n <= 0) {
			session_ended(fs);
			break;
		}
		was_initialised = fs->initialised;
		fuse_session_process_buf(fs->session, &fs->request);
		if (fuse_session_exited(fs->session))
			session_ended(fs);
		if (fs->initialised && !was_initialised) {
			session_raise_read_ahead(fs);
			fs->on_ready(fs);
		}
	}
}

void
session_serve(struct fs *fs)
{
	int fd = fuse_session_fd(fs->session);

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	fs->session_event =
	    event_new(loop_base(fs->loop), fd, EV_READ | EV_PERSIST, session_input, fs);
	if (fs->session_event == NULL || event_add(fs->session_event, NULL) != 0)
		abort();
}

static void
session_stop_run(struct task *task)
{
	struct fs *fs = task->fs;
	struct err err = ERR_INIT;

	if (files_flush_all(task, &err) != 0)
		log_error("%s: not all that was written could be handed to the daemon: %s",
		    fs->options.directory, err_text(&err));
	if (daemon_unregister(task, &err) != 0)
		log_warning("%s: %s", fs->options.directory, err_text(&err));
	loop_stop(fs->loop);
}

void
session_stop(struct fs *fs)
{
	if (fs->stopping)
		return;
	fs->stopping = true;
	task_spawn(fs, session_stop_run, NULL);
}

void
session_unmount(struct fs *fs)
{
	if (fs->session_event != NULL)
		event_free(TAKE(fs->session_event));
	if (fs->session != NULL)
		fuse_session_unmount(fs->session);
}

void
session_free(struct fs *fs)
{
	if (fs->session != NULL)
		fuse_session_destroy(TAKE(fs->session));
	free(TAKE(fs->request.mem));
}
