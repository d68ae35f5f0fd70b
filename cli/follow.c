#include "cli/follow.h"
#include "src/clock.h"
#include <stdlib.h>
#include <string.h>

#define RECONNECT_MIN_MS 250
#define RECONNECT_MAX_MS 5000

struct follow {
	struct cli *cli;
	client_event_fn on_event;
	void *arg;
	struct client_call *call; /* NULL: not connected */
	struct event *timer;
	uint64_t delay_ms, patience_ms, lost_ms; /* lost_ms: since when; 0: it is not lost */
	bool connected, ever, fresh;
	struct err trouble, failed;
};

static void follow_connect(struct follow *);

static void
follow_on_timer(evutil_socket_t fd, short what, void *arg)
{
	follow_connect(arg);
}

static void
follow_on_event(void *arg, const char *event, json_t *data)
{
	struct follow *f = arg;

	if (strcmp(event, "hello") == 0) {
		f->connected = f->ever = f->fresh = true;
		f->lost_ms = 0;
		f->delay_ms = RECONNECT_MIN_MS;
		cli_wake(f->cli);
	}
	f->on_event(f->arg, event, data);
}

static void
follow_on_done(void *arg, int code, json_t *body, const struct err *err)
{
	struct follow *f = arg;
	struct timeval tv = {.tv_sec = (time_t)(f->delay_ms / 1000),
	    .tv_usec = (suseconds_t)(f->delay_ms % 1000 * 1000)};

	f->call = NULL;
	f->connected = false;
	if (f->lost_ms == 0)
		f->lost_ms = clock_mono_ms();
	if (code < 0 && err != NULL)
		f->trouble = *err;
	else
		err_set(&f->trouble, -ECONNRESET, "the daemon has closed the stream of events");
	cli_wake(f->cli);
	/* before the first hello somebody waits in follow_ready() and wants to know at once */
	if (!f->ever || (code < 0 && !err_is_transient(code) && code != -ENOENT) ||
	    clock_mono_ms() - f->lost_ms > f->patience_ms) {
		f->failed = f->trouble;
		return;
	}
	f->delay_ms = MIN(f->delay_ms * 2, RECONNECT_MAX_MS);
	evtimer_add(f->timer, &tv);
}

static void
follow_connect(struct follow *f)
{
	f->call = client_events(f->cli->client, "/api/events", follow_on_event, follow_on_done, f);
}

struct follow *
follow_new(struct cli *cli, uint64_t patience_ms, client_event_fn on_event, void *arg)
{
	struct follow *f = xcalloc(1, sizeof(*f));

	f->cli = cli;
	f->patience_ms = patience_ms;
	f->on_event = on_event;
	f->arg = arg;
	f->delay_ms = RECONNECT_MIN_MS;
	f->timer = evtimer_new(loop_base(cli->loop), follow_on_timer, f);
	follow_connect(f);
	return f;
}

void
follow_free(struct follow *f)
{
	if (f == NULL)
		return;
	if (f->call != NULL)
		client_cancel(f->call);
	event_free(f->timer);
	free(f);
}

int
follow_ready(struct follow *f, struct err *err)
{
	while (!f->connected && f->failed.code == 0 && !f->cli->interrupted)
		cli_wait(f->cli, UINT64_MAX);
	if (f->failed.code != 0)
		*err = f->failed;
	else if (f->cli->interrupted)
		return err_set(err, -ECANCELED, "interrupted");
	return f->failed.code;
}

bool
follow_take_fresh(struct follow *f)
{
	bool fresh = f->fresh;

	f->fresh = false;
	return fresh;
}

bool
follow_is_connected(const struct follow *f)
{
	return f->connected;
}

const struct err *
follow_failed(const struct follow *f)
{
	return f->failed.code != 0 ? &f->failed : NULL;
}

const struct err *
follow_trouble(const struct follow *f)
{
	return &f->trouble;
}
