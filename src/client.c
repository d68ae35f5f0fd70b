#include "src/client.h"
#include "src/paths.h"
#include "src/settings.h"
#include "src/sse.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_ANSWER_MAX ((size_t)256 * 1024 * 1024) /* a listing of a million entries */
#define CLIENT_STALL_MS   60000 /* the daemon's events have a comment every 15 s */
#define CLIENT_RING_SIZE  (64 * 1024)
#define CLIENT_TOKEN_MAX  8192

struct client {
	struct loop *loop;
	struct http_client *http;
	char *url; /* without a '/' at its end */
	char *socket; /* NULL: over TCP */
	char *where;
	char *token; /* or NULL */
	TAILQ_HEAD(client_calls, client_call) calls;
};

struct client_call {
	TAILQ_ENTRY(client_call) next;
	struct client *client;
	struct http_request req;
	struct http_call *http;
	client_done_fn done;
	client_event_fn on_event; /* of client_events() */
	void *arg;
	/* events: */
	struct ring *ring;
	struct event *wake;
	struct sse sse;
	bool feeding; /* an event's callback is on the stack */
	bool cancelled;
};

/* where the daemon is */

char *
client_url(const char *given)
{
	size_t len = strlen(given);

	while (len > 0 && given[len - 1] == '/')
		len--;
	return xstrndup(given, len);
}

/* "URL TOKEN": the token is for that URL, and shown to no other. */
static char *
read_token_file(const char *url)
{
	CLEANUP(cleanup_free) char *path = paths_token_file();
	CLEANUP(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char line[CLIENT_TOKEN_MAX], *token, *copy = NULL;
	ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (len <= 0)
		return NULL;
	line[len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	token = strrchr(line, ' ');
	if (token != NULL) {
		*token++ = '\0';
		if (strcmp(line, url) == 0 && *token != '\0')
			copy = xstrdup(token);
	}
	mem_wipe(line, sizeof(line));
	return copy;
}

static int
client_use_url(struct client *client, const char *url, struct err *err)
{
	const char *token = getenv("SKYFERRY_TOKEN");

	if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
		return err_set(
		    err, -EINVAL, "SKYFERRY_URL: '%s' must begin with http:// or https://", url);
	client->url = client_url(url);
	client->where = xstrdup(client->url);
	client->token =
	    token != NULL && *token != '\0' ? xstrdup(token) : read_token_file(client->url);
	return 0;
}

static int
client_use_socket(struct client *client, const struct settings *settings, struct err *err)
{
	const char *set = settings_str(settings, "api.socket");
	const char *runtime = settings_str(settings, "runtime.dir");
	char *dir;

	if (set != NULL && *set != '\0') {
		client->socket = xstrdup(set);
	} else {
		dir = runtime != NULL && *runtime != '\0' ? xstrdup(runtime) : paths_runtime_dir();
		client->socket = paths_join(dir, "skyferryd.sock");
		free(dir);
	}
	if (strlen(client->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(err, -ENAMETOOLONG,
		    "the path of the socket '%s' is too long (%zu bytes at most): set api.socket to a shorter one",
		    client->socket, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	client->url = xstrdup("http://localhost");
	client->where = xstrdup(client->socket);
	return 0;
}

struct client *
client_new(struct loop *loop, const struct settings *settings, struct err *err)
{
	const struct http_limits limits = {
	    .connect_timeout_ms = (uint64_t)settings_int(settings, "http.connect_timeout"),
	    .stall_timeout_ms = CLIENT_STALL_MS,
	};
	struct client *client = xcalloc(1, sizeof(*client));
	const char *url = getenv("SKYFERRY_URL");
	int code;

	TAILQ_INIT(&client->calls);
	client->loop = loop;
	if (url != NULL && *url != '\0')
		code = client_use_url(client, url, err);
	else
		code = client_use_socket(client, settings, err);
	if (code == 0)
		client->http = http_client_new(loop, &limits, err);
	if (client->http == NULL) {
		client_free(client);
		return NULL;
	}
	return client;
}

static void
call_free(struct client_call *call)
{
	TAILQ_REMOVE(&call->client->calls, call, next);
	http_request_fini(&call->req);
	if (call->wake != NULL)
		event_free(call->wake);
	ring_free(call->ring);
	sse_fini(&call->sse);
	free(call);
}

void
client_free(struct client *client)
{
	if (client == NULL)
		return;
	while (!TAILQ_EMPTY(&client->calls)) {
		/* Not from inside an event's callback. */
		assert(!TAILQ_FIRST(&client->calls)->feeding);
		client_cancel(TAILQ_FIRST(&client->calls));
	}
	http_client_free(client->http);
	free(client->url);
	free(client->socket);
	free(client->where);
	mem_wipe_free(client->token);
	free(client);
}

const char *
client_where(const struct client *client)
{
	return client->where;
}

/* answers */

static int
client_unreachable(const struct client *client, int code, const struct err *why, struct err *err)
{
	const char *start = paths_is_system() ? "'systemctl start skyferryd'"
					      : "'skyferryd' or 'systemctl --user start skyferryd'";

	if (code != -ECONNREFUSED) {
		*err = *why;
		return code;
	}
	if (client->socket == NULL)
		return err_set(
		    err, code, "the daemon is not running (no answer at %s)", client->where);
	return err_set(err, code, "the daemon is not running (no answer at %s); start it with %s",
	    client->where, start);
}

/* What the API says of a failure: {"message","code"}. */
static int
client_api_error(const struct http_response *res, const json_t *body, struct err *err)
{
	const char *message = json_string_value(json_object_get(body, "message"));
	const char *name = json_string_value(json_object_get(body, "code"));
	int code = name != NULL ? err_by_name(name) : -EPROTO;

	if (message == NULL)
		return err_set(err, code, "the daemon answered with status %d", res->status);
	err_set(err, code, "%s", message);
	err->wait_ms = http_retry_after(res, 0);
	return code;
}

/* *body: caller decrefs; NULL if the answer is empty. */
static int
client_judge(json_t **body, const struct client *client, int code, const struct http_response *res,
    const struct err *why, struct err *err)
{
	*body = NULL;
	if (code != 0)
		return client_unreachable(client, code, why, err);
	if (res->body.len > 0)
		*body = json_loadb(res->body.data, res->body.len, JSON_DECODE_ANY, NULL);
	if (res->status < 200 || res->status > 299)
		return client_api_error(res, *body, err);
	if (res->body.len > 0 && *body == NULL)
		return err_set(err, -EPROTO, "the answer of %s is not JSON", client->where);
	return 0;
}

static enum http_take
call_on_head(void *arg, struct http_response *res, struct ring **sink, size_t *collect_max)
{
	struct client_call *call = arg;

	*collect_max = CLIENT_ANSWER_MAX;
	if (call->on_event == NULL || res->status != 200)
		return HTTP_COLLECT;
	*sink = call->ring;
	return HTTP_STREAM;
}

static bool
call_on_sse(void *arg, const char *event, const struct buf *data)
{
	struct client_call *call = arg;
	json_t *json = json_loadb(buf_str(data), data->len, JSON_DECODE_ANY, NULL);

	call->on_event(call->arg, event, json);
	json_decref(json);
	return !call->cancelled;
}

/* Events that are in the ring.  -ECANCELED: the call is gone. */
static int
call_feed(struct client_call *call)
{
	const void *bytes;
	char chunk[4096];
	size_t len;
	int code = 0;

	call->feeding = true;
	/* Copied out: a callback must not find the ring half read. */
	while (code == 0 && (len = ring_get(call->ring, chunk, sizeof(chunk))) > 0) {
		bytes = chunk;
		code = sse_feed(&call->sse, bytes, len, call_on_sse, call);
	}
	call->feeding = false;
	if (call->cancelled) {
		call_free(call);
		return -ECANCELED;
	}
	return code;
}

static void
call_end(struct client_call *call, int code, json_t *body, const struct err *err)
{
	client_done_fn done = call->done;
	void *arg = call->arg;

	call_free(call);
	done(arg, code, body, err);
	json_decref(body);
}

static void
call_on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct client_call *call = arg;
	struct err err = ERR_INIT;

	if (call_feed(call) != -EPROTO)
		return;
	http_cancel(call->http);
	err_set(&err, -EPROTO, "the events of %s make no sense", call->client->where);
	call_end(call, err.code, NULL, &err);
}

static void
call_on_input(void *arg)
{
	struct client_call *call = arg;

	event_active(call->wake, EV_TIMEOUT, 0);
}

static void
call_on_done(void *arg, int code, struct http_response *res, const struct err *why)
{
	struct client_call *call = arg;
	struct err err = ERR_INIT;
	json_t *body;

	call->http = NULL;
	if (call->ring != NULL && call_feed(call) == -ECANCELED)
		return;
	code = client_judge(&body, call->client, code, res, why, &err);
	call_end(call, code, body, &err);
}

static struct client_call *
call_new(
    struct client *client, const char *method, const char *path, client_done_fn done, void *arg)
{
	struct client_call *call = xcalloc(1, sizeof(*call));

	call->client = client;
	call->done = done;
	call->arg = arg;
	sse_init(&call->sse);
	http_request_init(&call->req);
	call->req.method = method;
	call->req.unix_socket = client->socket;
	buf_printf(&call->req.url, "%s%s", client->url, path);
	if (client->token != NULL)
		http_request_header(&call->req, "Authorization", "Bearer %s", client->token);
	TAILQ_INSERT_TAIL(&client->calls, call, next);
	return call;
}

static void
call_send(struct client_call *call)
{
	static const struct http_handler handler = {.head = call_on_head, .done = call_on_done};

	call->http = http_start(call->client->http, &call->req, NULL, &handler, call);
}

struct client_call *
client_start(struct client *client, const char *method, const char *path, json_t *body,
    client_done_fn done, void *arg)
{
	struct client_call *call = call_new(client, method, path, done, arg);
	char *text;

	if (body != NULL) {
		text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
		json_decref(body);
		assert(text != NULL);
		call->req.body = HTTP_BODY_BYTES;
		buf_puts(&call->req.bytes, text);
		mem_wipe_free(text);
		http_request_header(&call->req, "Content-Type", "application/json");
	}
	call_send(call);
	return call;
}

struct client_call *
client_events(struct client *client, const char *path, client_event_fn on_event,
    client_done_fn done, void *arg)
{
	struct client_call *call = call_new(client, "GET", path, done, arg);

	call->on_event = on_event;
	call->ring = ring_new(CLIENT_RING_SIZE, HTTP_SINK_MIN);
	call->wake = event_new(loop_base(client->loop), -1, 0, call_on_wake, call);
	ring_on_input(call->ring, call_on_input, call);
	http_request_header(&call->req, "Accept", "text/event-stream");
	call_send(call);
	return call;
}

void
client_cancel(struct client_call *call)
{
	if (call->http != NULL)
		http_cancel(call->http);
	call->http = NULL;
	call->cancelled = true;
	if (!call->feeding)
		call_free(call);
}

/* one call, for the command line */

struct client_wait {
	struct loop *loop;
	json_t *body;
	int code;
	struct err err;
};

static void
wait_on_done(void *arg, int code, json_t *body, const struct err *err)
{
	struct client_wait *wait = arg;

	wait->code = code;
	wait->body = json_incref(body);
	wait->err = *err;
	loop_stop(wait->loop);
}

int
client_call(struct client *client, json_t **out, const char *method, const char *path, json_t *body,
    struct err *err)
{
	struct client_wait wait = {.loop = client->loop};

	client_start(client, method, path, body, wait_on_done, &wait);
	loop_run(client->loop);
	if (wait.code != 0) {
		if (err != NULL)
			*err = wait.err;
		json_decref(wait.body);
		return wait.code;
	}
	if (out != NULL)
		*out = wait.body;
	else
		json_decref(wait.body);
	return 0;
}
