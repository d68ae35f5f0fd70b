#include "daemon/events.h"
#include "daemon/mounts.h"
#include "daemon/view.h"
#include "src/buf.h"
#include "src/clock.h"
#include "src/field.h"
#include "src/log.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define BEHIND_MAX     (1024 * 1024) /* bytes a reader may be behind */
#define HEARTBEAT_S    15
#define STALL_S        60 /* a reader that takes nothing for so long is gone */
#define PROGRESS_MS    250
#define PROGRESS_SLOTS 4096

struct reader {
	struct channel *channel;
	struct evhttp_request *req;
	unsigned kinds;
	char mount_id[37]; /* "": none */
	char change_id[37]; /* "": all */
	LIST_ENTRY(reader) next;
};

struct channel { /* of one user; lives as long as the daemon: the numbers go on */
	struct events *events;
	char user_id[37];
	uint64_t seq;
	LIST_HEAD(reader_list, reader) readers;
	LIST_ENTRY(channel) next;
};

struct events {
	struct daemon *daemon;
	struct event *heartbeat;
	uint64_t first; /* where numbers begin: later than those of the daemon before us */
	unsigned readers;
	bool closed;
	/* When a change's progress was last told, by a hash of its id.  A collision only lets more
	 * through. */
	struct {
		char id[37];
		uint64_t at_ms;
	} told[PROGRESS_SLOTS];
	LIST_HEAD(channel_list, channel) channels;
};

static struct channel *
channel_find(const struct events *e, const char *user_id)
{
	struct channel *ch;

	LIST_FOREACH (ch, &e->channels, next) {
		if (strcmp(ch->user_id, user_id) == 0)
			return ch;
	}
	return NULL;
}

static struct channel *
channel_get(struct events *e, const char *user_id)
{
	struct channel *ch = channel_find(e, user_id);

	if (ch != NULL)
		return ch;
	ch = xcalloc(1, sizeof *ch);
	ch->events = e;
	ch->seq = e->first;
	snprintf(ch->user_id, sizeof ch->user_id, "%s", user_id);
	LIST_INIT(&ch->readers);
	LIST_INSERT_HEAD(&e->channels, ch, next);
	return ch;
}

/* -- readers */

/* Frees the reader; its connection has gone or is about to. */
static void
reader_free(struct reader *r)
{
	struct events *e = r->channel->events;

	LIST_REMOVE(r, next);
	if (--e->readers == 0)
		event_del(e->heartbeat);
	if (r->mount_id[0] != '\0' && e->daemon->mounts != NULL)
		mounts_disconnected(e->daemon->mounts, r->mount_id);
	free(r);
}

static void
reader_on_close(struct evhttp_connection *connection, void *arg)
{
	struct reader *r = arg;

	if (evhttp_request_get_connection(r->req) == NULL)
		evhttp_request_free(r->req);
	reader_free(r);
}

static struct bufferevent *
reader_bufferevent(const struct reader *r)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->req));
}

static void
reader_drop(struct reader *r)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(r->req);

	evhttp_connection_set_closecb(connection, NULL, NULL);
	reader_free(r);
	evhttp_connection_free(connection);
}

/* False: the reader was too far behind and is gone. */
static bool
reader_send(struct reader *r, const char *text, size_t len)
{
	struct evbuffer *chunk = evbuffer_new();

	if (chunk == NULL || evbuffer_add(chunk, text, len) != 0)
		abort();
	evhttp_send_reply_chunk(r->req, chunk);
	evbuffer_free(chunk);
	if (evbuffer_get_length(bufferevent_get_output(reader_bufferevent(r))) <= BEHIND_MAX)
		return true;
	log_info("%s: a reader of events is more than 1 MiB behind and is disconnected",
	    r->channel->user_id);
	reader_drop(r);
	return false;
}

/* Ends the stream in order.  What is owed is written now: the loop may not turn again. */
static void
reader_end(struct reader *r)
{
	struct bufferevent *bev = reader_bufferevent(r);
	struct evbuffer *out = bufferevent_get_output(bev);

	evhttp_send_reply_end(r->req);
	evbuffer_unfreeze(out, 1);
	while (evbuffer_get_length(out) > 0 && evbuffer_write(out, bufferevent_getfd(bev)) > 0)
		continue;
	evbuffer_freeze(out, 1);
	reader_drop(r);
}

static void
events_on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	static const char comment[] = ":\n\n";
	struct events *e = arg;
	struct channel *ch;
	struct reader *r, *after;

	LIST_FOREACH (ch, &e->channels, next) {
		for (r = LIST_FIRST(&ch->readers); r != NULL; r = after) {
			after = LIST_NEXT(r, next);
			reader_send(r, comment, sizeof comment - 1);
		}
	}
}

/* -- publishing */

/* "id: 7\nevent: change\ndata: {...}\n\n"; steals data. */
static char *
event_text(uint64_t seq, const char *name, json_t *data)
{
	char *json = json_dumps(data, JSON_COMPACT);
	char *text;

	if (json == NULL)
		abort();
	text = xasprintf("id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", seq, name, json);
	free(json);
	json_decref(data);
	return text;
}

static bool
reader_wants(const struct reader *r, unsigned kind, const struct change *c)
{
	if (!(r->kinds & kind))
		return false;
	if (r->change_id[0] != '\0')
		return c != NULL && strcmp(r->change_id, c->id) == 0;
	return c == NULL || c->parent[0] == '\0' || c->state == CHANGE_FAILED ||
	    r->mount_id[0] != '\0';
}

static bool
channel_wants(const struct channel *ch, unsigned kind, const struct change *c)
{
	const struct reader *r;

	LIST_FOREACH (r, &ch->readers, next) {
		if (reader_wants(r, kind, c))
			return true;
	}
	return false;
}

static void
channel_publish(
    struct channel *ch, unsigned kind, const char *name, const struct change *c, json_t *data)
{
	char *text = event_text(ch->seq, name, data);
	struct reader *r, *after;
	size_t len = strlen(text);

	for (r = LIST_FIRST(&ch->readers); r != NULL; r = after) {
		after = LIST_NEXT(r, next);
		if (reader_wants(r, kind, c))
			reader_send(r, text, len);
	}
	free(text);
}

void
events_change(struct events *e, const struct change *c)
{
	struct channel *ch = channel_get(e, c->user_id);

	ch->seq++;
	if (channel_wants(ch, EVENTS_CHANGE, c))
		channel_publish(
		    ch, EVENTS_CHANGE, "change", c, view_change(e->daemon, c, VIEW_SEGMENTS_NEVER));
}

static size_t
progress_slot(const char *id)
{
	uint64_t hash = 1469598103934665603u;
	const char *p;

	for (p = id; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u; /* FNV-1a */
	return hash % PROGRESS_SLOTS;
}

bool
events_progress_is_due(const struct events *e, const char *id)
{
	size_t slot = progress_slot(id);

	return strcmp(e->told[slot].id, id) != 0 ||
	    clock_mono_ms() - e->told[slot].at_ms >= PROGRESS_MS;
}

static void
progress_told(struct events *e, const char *id)
{
	size_t slot = progress_slot(id);

	snprintf(e->told[slot].id, sizeof e->told[slot].id, "%s", id);
	e->told[slot].at_ms = clock_mono_ms();
}

void
events_progress(struct events *e, const struct change *c, const struct queue_progress *p)
{
	struct channel *ch = channel_get(e, c->user_id);

	if (!events_progress_is_due(e, c->id))
		return;
	progress_told(e, c->id);
	ch->seq++;
	if (channel_wants(ch, EVENTS_PROGRESS, c))
		channel_publish(ch, EVENTS_PROGRESS, "progress", c, view_progress(c, p));
}

void
events_account(struct events *e, const char *user_id, const char *account_id, const char *name,
    const char *event)
{
	struct channel *ch = channel_get(e, user_id);
	json_t *data = json_object();

	ch->seq++;
	field_set_str(data, "id", account_id);
	field_set_str(data, "name", name);
	field_set_str(data, "event", event);
	channel_publish(ch, EVENTS_ACCOUNT, "account", NULL, data);
}

void
events_sign_in_failed(struct events *e, const struct account_record *record, const char *why)
{
	struct channel *ch = channel_get(e, record->user_id);
	json_t *data = json_object();

	ch->seq++;
	field_set_str(data, "id", record->id);
	field_set_str(data, "name", record->name);
	field_set_str(data, "event", "sign-in failed");
	field_set_str(data, "message", why);
	channel_publish(ch, EVENTS_ACCOUNT, "account", NULL, data);
}

uint64_t
events_seq(const struct events *e, const char *user_id)
{
	const struct channel *ch = channel_find(e, user_id);

	return ch != NULL ? ch->seq : e->first;
}

/* -- subscribing */

int
events_kinds_parse(unsigned *out, const char *names, struct err *err)
{
	static const char *const known[] = {"change", "progress", "account"};
	size_t len, i;

	if (names == NULL) {
		*out = EVENTS_ALL;
		return 0;
	}
	for (*out = 0;; names += len + 1) {
		len = strcspn(names, ",");
		for (i = 0; i < ARRAY_LEN(known); i++) {
			if (strlen(known[i]) == len && memcmp(known[i], names, len) == 0)
				break;
		}
		if (i == ARRAY_LEN(known))
			return err_set(err, -EINVAL,
			    "'kinds' must be some of change, progress, account, joined by commas");
		*out |= 1u << i;
		if (names[len] == '\0')
			return 0;
	}
}

static void
reader_begin(struct reader *r)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->req);
	struct bufferevent *bev = reader_bufferevent(r);
	struct timeval stall = {.tv_sec = STALL_S};
	char *text;

	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Accel-Buffering", "no"); /* nginx: pass it on at once */
	bufferevent_set_timeouts(bev, NULL, &stall);
	bufferevent_setwatermark(bev, EV_READ, 0, 4096); /* it has nothing more to say to us */
	evhttp_send_reply_start(r->req, 200, "OK");
	text = event_text(
	    r->channel->seq, "hello", json_pack("{sI}", "seq", (json_int_t)r->channel->seq));
	reader_send(r, text, strlen(text));
	free(text);
}

void
events_subscribe(struct events *e, struct evhttp_request *req, const char *user_id,
    const char *mount_id, unsigned kinds, const char *change_id)
{
	struct timeval beat = {.tv_sec = HEARTBEAT_S};
	struct err err = ERR_INIT;
	struct reader *r;

	if (e->closed) {
		evhttp_send_error(req, 503, "Service Unavailable");
		return;
	}
	r = xcalloc(1, sizeof *r);
	r->channel = channel_get(e, user_id);
	r->req = req;
	r->kinds = kinds;
	snprintf(r->change_id, sizeof r->change_id, "%s", change_id != NULL ? change_id : "");
	if (mount_id != NULL && mounts_connected(e->daemon->mounts, user_id, mount_id, &err) == 0)
		snprintf(r->mount_id, sizeof r->mount_id, "%s", mount_id);
	LIST_INSERT_HEAD(&r->channel->readers, r, next);
	if (e->readers++ == 0)
		event_add(e->heartbeat, &beat);
	evhttp_connection_set_closecb(evhttp_request_get_connection(req), reader_on_close, r);
	reader_begin(r);
}

struct events *
events_new(struct daemon *daemon)
{
	struct events *e = xcalloc(1, sizeof *e);

	e->daemon = daemon;
	e->first = clock_ms();
	LIST_INIT(&e->channels);
	e->heartbeat = event_new(loop_base(daemon->loop), -1, EV_PERSIST, events_on_heartbeat, e);
	if (e->heartbeat == NULL)
		abort();
	return e;
}

void
events_close(struct events *e)
{
	struct channel *ch;
	struct reader *r;
	char *text;

	e->closed = true;
	LIST_FOREACH (ch, &e->channels, next) {
		text = event_text(ch->seq, "bye", json_object());
		while ((r = LIST_FIRST(&ch->readers)) != NULL) {
			if (reader_send(r, text, strlen(text)))
				reader_end(r);
		}
		free(text);
	}
}

void
events_free(struct events *e)
{
	struct channel *ch;

	if (e == NULL)
		return;
	events_close(e);
	while ((ch = LIST_FIRST(&e->channels)) != NULL) {
		LIST_REMOVE(ch, next);
		free(ch);
	}
	event_free(e->heartbeat);
	free(e);
}
