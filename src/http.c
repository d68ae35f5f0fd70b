/* Clients: multi handles on the loop's event base, and the two events that run calls from outside
 * curl. */
#include "src/http.h"
#include "src/clock.h"
#include "src/http_private.h"
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HTTP_IDLE_MS     30000 /* after so long without a call all warm connections are closed */
#define HTTP_TICK_MAX_MS 5000

static void http_multi_drive(struct http_multi *, curl_socket_t, int);

static void
http_init_once(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
}

static void
http_timer_set(struct event *timer, uint64_t ms)
{
	const struct timeval tv = {
	    .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	event_add(timer, &tv);
}

/* sockets: one event each, remembered by curl */

static void
socket_on_ready(evutil_socket_t fd, short what, void *arg)
{
	int flags =
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);

	http_multi_drive(arg, fd, flags);
}

static int
multi_on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_multi *multi = arg;
	struct event *event = socket_arg;
	short events = EV_PERSIST;

	if (event != NULL)
		event_free(event);
	event = NULL;
	if (what != CURL_POLL_REMOVE) {
		events |= what & CURL_POLL_IN ? EV_READ : 0;
		events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
		event =
		    event_new(loop_base(multi->client->loop), fd, events, socket_on_ready, multi);
		if (event == NULL || event_add(event, NULL) < 0)
			abort(); /* only memory can be missing */
	}
	curl_multi_assign(multi->curl, fd, event);
	return 0;
}

static void
multi_on_timer(evutil_socket_t fd, short what, void *arg)
{
	http_multi_drive(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
multi_on_timeout(CURLM *curl, long ms, void *arg)
{
	struct http_multi *multi = arg;

	if (ms < 0)
		event_del(multi->timer);
	else if (ms == 0)
		event_active(multi->timer, EV_TIMEOUT, 0);
	else
		http_timer_set(multi->timer, (uint64_t)ms);
	return 0;
}

/* Calls that curl has ended.  Their handlers may start, cancel and so on: every turn looks afresh.
 */
static void
http_multi_reap(struct http_multi *multi)
{
	struct http_call *call;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(multi->curl, &left)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
		http_call_end(call, msg->data.result);
	}
}

static void
http_multi_drive(struct http_multi *multi, curl_socket_t fd, int flags)
{
	int running;

	multi->client->in_curl++;
	curl_multi_socket_action(multi->curl, fd, flags, &running);
	multi->client->in_curl--;
	http_multi_reap(multi);
}

static struct http_multi *
http_multi_new(struct http_client *client)
{
	struct http_multi *multi = xcalloc(1, sizeof(*multi));

	multi->client = client;
	multi->curl = curl_multi_init();
	multi->timer = evtimer_new(loop_base(client->loop), multi_on_timer, multi);
	if (multi->curl == NULL || multi->timer == NULL)
		abort();
	curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, multi_on_socket);
	curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, multi_on_timeout);
	curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
	/* In use and idle together: fewer, and a connection would be closed when its call ends. */
	curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, (long)HTTP_MULTI_CALLS);
	TAILQ_INSERT_TAIL(&client->multis, multi, next);
	return multi;
}

static void
http_multi_free(struct http_multi *multi)
{
	TAILQ_REMOVE(&multi->client->multis, multi, next);
	curl_multi_cleanup(multi->curl);
	event_free(multi->timer);
	free(multi);
}

/* The first with room: so that a host's warm connections are found where they are. */
static struct http_multi *
http_client_multi(struct http_client *client)
{
	struct http_multi *multi;

	TAILQ_FOREACH (multi, &client->multis, next) {
		if (multi->calls < HTTP_MULTI_CALLS)
			return multi;
	}
	return http_multi_new(client);
}

/* Everything that curl's callbacks have only marked.  What is woken meanwhile waits for the next
 * turn. */
static void
client_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *client = arg;
	struct http_call *call;
	size_t n = client->woken_len;
	int code;

	while (n-- > 0 && (call = TAILQ_FIRST(&client->woken)) != NULL) {
		TAILQ_REMOVE(&client->woken, call, next_woken);
		call->is_woken = false;
		client->woken_len--;
		if (call->cancelled) {
			http_call_free(call);
		} else if (call->multi == NULL) {
			http_call_end(call, CURLE_OK);
		} else {
			struct http_multi *multi = call->multi;

			code = http_call_resume(call);
			if (code != CURLE_OK)
				http_call_end(call, code);
			http_multi_reap(multi);
		}
	}
	if (client->woken_len > 0)
		event_active(client->wake, EV_TIMEOUT, 0);
}

static uint64_t
http_client_tick_ms(const struct http_client *client)
{
	return MAX(MIN(client->limits.stall_timeout_ms / 4, HTTP_TICK_MAX_MS), 1);
}

static void
http_client_look(struct http_client *client, uint64_t now)
{
	struct http_call *call = TAILQ_FIRST(&client->calls), *next;

	for (; call != NULL; call = next) {
		next = TAILQ_NEXT(call, next);
		if (call->cancelled) /* its request and rings are gone; client_on_wake() frees it */
			continue;
		if (call->send_paused && ring_held(call->source) > 0) {
			call->overdue = true;
			http_call_wake(call);
		}
		if (!call->failed && http_call_has_stalled(call, now)) {
			http_call_fail(call, -ETIMEDOUT, "no byte moved for %llu ms",
			    (unsigned long long)client->limits.stall_timeout_ms);
			/* Ended by client_on_wake(): a handler may free others of this list. */
			http_call_wake(call);
		}
	}
}

static void
client_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct http_client *client = arg;
	uint64_t now = clock_mono_ms();
	struct http_multi *multi;

	if (!TAILQ_EMPTY(&client->calls)) {
		http_client_look(client, now);
		client->idle_since_ms = 0;
		http_timer_set(client->tick, http_client_tick_ms(client));
	} else if (client->idle_since_ms == 0) {
		/* An idle client sleeps but once more. */
		client->idle_since_ms = now;
		http_timer_set(client->tick, HTTP_IDLE_MS);
	} else {
		while ((multi = TAILQ_FIRST(&client->multis)) != NULL)
			http_multi_free(multi);
	}
}

static char *
http_find_ca_file(void)
{
	static const char *const variables[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE"};
	const char *value;
	size_t i;

	for (i = 0; i < ARRAY_LEN(variables); i++) {
		value = getenv(variables[i]);
		if (value != NULL && *value != '\0')
			return xstrdup(value);
	}
	return xstrdup("/etc/ssl/certs/ca-certificates.crt");
}

struct http_client *
http_client_new(struct loop *loop, const struct http_limits *limits, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *client = xcalloc(1, sizeof(*client));

	pthread_once(&once, http_init_once);
	client->loop = loop;
	client->limits = *limits;
	client->user_agent = xstrdup(limits->user_agent != NULL ? limits->user_agent : "skyferry");
	client->limits.user_agent = client->user_agent;
	client->ca_file = http_find_ca_file();
	TAILQ_INIT(&client->multis);
	TAILQ_INIT(&client->calls);
	TAILQ_INIT(&client->woken);
	client->wake = event_new(loop_base(loop), -1, 0, client_on_wake, client);
	client->tick = evtimer_new(loop_base(loop), client_on_tick, client);
	client->share = curl_share_init();
	if (client->share == NULL || client->wake == NULL || client->tick == NULL) {
		http_client_free(client);
		err_set(err, -ENOMEM, "cannot start libcurl");
		return NULL;
	}
	/* No locks: one loop, one thread. */
	curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return client;
}

void
http_client_free(struct http_client *client)
{
	struct http_multi *multi;
	struct http_call *call;

	if (client == NULL)
		return;
	assert(client->in_curl == 0);
	while ((call = TAILQ_FIRST(&client->calls)) != NULL)
		http_call_free(call);
	while ((multi = TAILQ_FIRST(&client->multis)) != NULL)
		http_multi_free(multi);
	while (client->spare_len > 0)
		curl_easy_cleanup(client->spare[--client->spare_len]);
	free(client->sockets);
	if (client->share != NULL)
		curl_share_cleanup(client->share);
	if (client->wake != NULL)
		event_free(client->wake);
	if (client->tick != NULL)
		event_free(client->tick);
	free(client->user_agent);
	free(client->ca_file);
	free(client);
}

static CURL *
http_client_easy(struct http_client *client)
{
	CURL *easy = client->spare_len > 0 ? client->spare[--client->spare_len] : curl_easy_init();

	if (easy == NULL)
		abort();
	curl_easy_setopt(easy, CURLOPT_SHARE, client->share); /* survives a reset */
	return easy;
}

struct http_call *
http_start(struct http_client *client, struct http_request *req, struct ring *source,
    const struct http_handler *handler, void *arg)
{
	struct http_call *call = http_call_new(client, req, source, handler, arg);

	assert(loop_is_current(client->loop));
	assert(req->body != HTTP_BODY_STREAM || source != NULL || req->length == 0);
	if (!event_pending(client->tick, EV_TIMEOUT, NULL) || client->idle_since_ms != 0)
		http_timer_set(client->tick, http_client_tick_ms(client));
	client->idle_since_ms = 0;
	call->easy = http_client_easy(client);
	if (http_call_setup(call, call->easy) != 0) {
		http_call_wake(call);
		return call;
	}
	call->multi = http_client_multi(client);
	call->multi->calls++;
	client->in_curl++;
	if (curl_multi_add_handle(call->multi->curl, call->easy) != CURLM_OK)
		abort(); /* out of memory, or the handle is in use: both are impossible here */
	client->in_curl--;
	return call;
}

void
http_cancel(struct http_call *call)
{
	struct http_client *client = call->client;

	call->cancelled = true;
	http_call_unhook(call);
	if (client->in_curl > 0)
		http_call_wake(call);
	else
		http_call_free(call);
}
