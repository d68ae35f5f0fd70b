#include "fs/daemon.h"
#include "fs/file.h"
#include "fs/files.h"
#include "fs/listing.h"
#include "fs/overlay.h"
#include "fs/remote.h"
#include "fs/task.h"
#include "src/clock.h"
#include "src/log.h"
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#define DAEMON_PAUSE_MIN_MS 100
#define DAEMON_PAUSE_MAX_MS 5000

struct daemon_link {
	struct fs *fs;
	struct client *client;
	struct client_call *events;
	struct event *retry;
	char *mount_id;
	bool connected, registering, closing;
	uint64_t pause_ms, lost_ms;
	struct waitq waiting;
};

struct daemon_link *
daemon_new(struct fs *fs, struct err *err)
{
	struct daemon_link *link = xcalloc(1, sizeof(*link));

	link->fs = fs;
	link->pause_ms = DAEMON_PAUSE_MIN_MS;
	link->lost_ms = clock_mono_ms();
	TAILQ_INIT(&link->waiting);
	link->client = client_new(fs->loop, fs->settings, err);
	if (link->client == NULL) {
		free(link);
		return NULL;
	}
	return link;
}

void
daemon_free(struct daemon_link *link)
{
	if (link == NULL)
		return;
	link->closing = true;
	if (link->events != NULL)
		client_cancel(link->events);
	if (link->retry != NULL)
		event_free(link->retry);
	client_free(link->client);
	free(link->mount_id);
	free(link);
}

struct client *
daemon_client(struct daemon_link *link)
{
	return link->client;
}

const char *
daemon_mount_id(const struct daemon_link *link)
{
	return link->mount_id;
}

bool
daemon_is_connected(const struct daemon_link *link)
{
	return link->connected;
}

uint64_t
daemon_away_ms(const struct daemon_link *link)
{
	return link->connected ? 0 : clock_mono_ms() - link->lost_ms;
}

bool
daemon_is_away(int code)
{
	switch (code) {
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EHOSTUNREACH:
	case -ETIMEDOUT:
	case -ESHUTDOWN: /* it is draining: another will come */
	case -EPIPE: return true;
	default: return false;
	}
}

char *
daemon_uuid(void)
{
	char uuid[37];
	uuid_t raw;

	uuid_generate_random(raw);
	uuid_unparse_lower(raw, uuid);
	return xstrdup(uuid);
}

int
daemon_wait_event(struct task *task, uint64_t deadline)
{
	return waitq_wait(task, &task->fs->daemon->waiting, deadline);
}

/* -- the record */

static int
daemon_registered(struct daemon_link *link, const json_t *body, struct err *err)
{
	const char *id, *spool;

	id = json_string_value(json_object_get(body, "id"));
	spool = json_string_value(json_object_get(body, "spool"));
	if (id == NULL || spool == NULL || spool[0] != '/')
		return err_set(
		    err, -EPROTO, "the daemon's answer to POST /api/mounts is not understood");
	xstrset(&link->mount_id, id);
	xstrset(&link->fs->spool_dir, spool);
	spool_quota_set(&link->fs->spool_quota,
	    (uint64_t)json_integer_value(json_object_get(body, "spoolQuota")));
	link->fs->settle_ms = (uint64_t)json_integer_value(json_object_get(body, "settle"));
	if (link->fs->options.settle_ms >= 0)
		link->fs->settle_ms = (uint64_t)link->fs->options.settle_ms;
	return 0;
}

static json_t *
daemon_registration(const struct daemon_link *link)
{
	return json_pack("{s:s}", "directory", link->fs->options.directory);
}

int
daemon_register(struct daemon_link *link, struct err *err)
{
	json_t *body = NULL;
	int code;

	code =
	    client_call(link->client, &body, "POST", "/api/mounts", daemon_registration(link), err);
	if (code == 0)
		code = daemon_registered(link, body, err);
	json_decref(body);
	return code;
}

int
daemon_unregister(struct task *task, struct err *err)
{
	struct daemon_link *link = task->fs->daemon;
	char *path;
	int code;

	link->closing = true;
	path = xasprintf("/api/mounts/%s", link->mount_id);
	code = task_call(task, NULL, "DELETE", path, NULL, err);
	free(path);
	return code;
}

/* -- events */

static void daemon_listen(evutil_socket_t fd, short what, void *arg);

static void
daemon_listen_later(struct daemon_link *link)
{
	struct timeval tv;

	if (link->closing)
		return;
	tv.tv_sec = (time_t)(link->pause_ms / 1000);
	tv.tv_usec = (suseconds_t)(link->pause_ms % 1000 * 1000);
	link->pause_ms = MIN(link->pause_ms * 2, DAEMON_PAUSE_MAX_MS);
	evtimer_add(link->retry, &tv);
}

/* The daemon does not know this mount any more: it has given up its lease, or lost its memory of
 * it. */
static void
daemon_register_again(struct task *task)
{
	struct daemon_link *link = task->fs->daemon;
	struct err err = ERR_INIT;
	json_t *body = NULL;
	int code;

	code = task_call(task, &body, "POST", "/api/mounts", daemon_registration(link), &err);
	if (code == 0)
		code = daemon_registered(link, body, &err);
	json_decref(body);
	link->registering = false;
	if (code != 0)
		log_warning("%s: %s", link->fs->options.directory, err_text(&err));
	daemon_listen_later(link);
}

static void
daemon_event(void *arg, const char *event, json_t *data)
{
	struct daemon_link *link = arg;
	struct fs *fs = link->fs;

	if (strcmp(event, "hello") == 0) {
		link->connected = true;
		link->pause_ms = DAEMON_PAUSE_MIN_MS;
		/* Events may have been missed. */
		overlay_forget(fs->overlay);
		listings_expire(fs);
		remotes_refresh(fs->remotes);
		files_check(fs);
	} else if (strcmp(event, "change") == 0) {
		overlay_event(fs->overlay, data);
	} else if (strcmp(event, "progress") == 0) {
		overlay_progress(fs->overlay, data);
	} else if (strcmp(event, "account") == 0) {
		remotes_event(fs->remotes, data);
	}
	waitq_wake(&link->waiting);
}

static void
daemon_disconnected(void *arg, int code, json_t *body, const struct err *err)
{
	struct daemon_link *link = arg;

	link->events = NULL;
	if (link->connected) {
		link->connected = false;
		link->lost_ms = clock_mono_ms();
		log_info("%s: the daemon's events have ended%s%s", link->fs->options.directory,
		    code == 0 ? "" : ": ", code == 0 ? "" : err_text(err));
	}
	waitq_wake(&link->waiting);
	if (code == -ENOENT && !link->closing && !link->registering) {
		link->registering = true;
		task_spawn(link->fs, daemon_register_again, NULL);
		return;
	}
	daemon_listen_later(link);
}

static void
daemon_listen(evutil_socket_t fd, short what, void *arg)
{
	struct daemon_link *link = arg;
	char *path;

	if (link->closing || link->events != NULL || link->registering)
		return;
	path = xasprintf("/api/events?mount=%s", link->mount_id);
	link->events = client_events(link->client, path, daemon_event, daemon_disconnected, link);
	free(path);
}

void
daemon_connect(struct daemon_link *link)
{
	link->retry = evtimer_new(loop_base(link->fs->loop), daemon_listen, link);
	if (link->retry == NULL)
		abort();
	daemon_listen(-1, 0, link);
}
