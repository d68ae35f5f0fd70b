#include "tests/unit/check.h"

#include "src/client.h"
#include "src/settings.h"
#include "src/sse.h"
#include "tests/unit/scratch.h"
#include "tests/unit/server.h"
#include <errno.h>
#include <string.h>

static struct loop *loop;
static struct settings *settings;
static struct server *server;
static struct client *client;
static char *dir, *path;

static int
setup(void **state)
{
	struct err err = ERR_INIT;

	dir = scratch_make();
	path = xasprintf("%s/skyferryd.sock", dir);
	loop = loop_new("client", &err);
	settings = settings_new();
	assert_int_equal(settings_set(settings, "api.socket", path, &err), 0);
	client = client_new(loop, settings, &err);
	assert_non_null(client);
	return 0;
}

static int
teardown(void **state)
{
	client_free(client);
	settings_free(settings);
	loop_free(loop);
	if (server != NULL)
		server_stop(server);
	server = NULL;
	free(path);
	scratch_remove(dir);
	return 0;
}

static void
serve_api(struct server *s, int fd, unsigned n, void *arg)
{
	struct request req;

	while (server_read(fd, &req, true)) {
		const char *body = "{\"here\": true}";
		int status = 200;

		if (strcmp(req.target, "/api/echo") == 0)
			body = req.body;
		else if (strcmp(req.target, "/api/none") == 0)
			status = 404,
			body = "{\"statusCode\": 404, \"code\": \"not_found\", "
			       "\"message\": \"there is no account 'x'\"}";
		else if (strcmp(req.target, "/api/odd") == 0)
			body = "<html>";
		else if (strcmp(req.target, "/api/agent") == 0)
			status = strstr(req.head, "Bearer t0ken\r\n") != NULL ? 200 : 401;
		server_write(fd, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status,
		    strlen(body), body);
		server_request_fini(&req);
	}
}

static void
calls_have_answers(void **state)
{
	struct err err = ERR_INIT;
	json_t *out = NULL;

	server = server_start_unix(path, serve_api, NULL);
	assert_string_equal(client_where(client), path);
	assert_int_equal(
	    client_call(client, &out, "POST", "/api/echo", json_pack("{s:i}", "number", 42), &err),
	    0);
	assert_int_equal(json_integer_value(json_object_get(out, "number")), 42);
	json_decref(out);
	assert_int_equal(client_call(client, NULL, "GET", "/api/x", NULL, &err), 0);
	out = NULL;
	assert_int_equal(client_call(client, &out, "GET", "/api/none", NULL, &err), -ENOENT);
	assert_string_equal(err.msg, "there is no account 'x'");
	assert_null(out);
	assert_int_equal(client_call(client, &out, "GET", "/api/odd", NULL, &err), -EPROTO);
	assert_int_equal(server_connections(server), 1);
}

static void
no_daemon_is_explained(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(client_call(client, NULL, "GET", "/health", NULL, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.msg, "the daemon is not running"));
	assert_non_null(strstr(err.msg, path));
	assert_non_null(strstr(err.msg, "skyferryd"));
}

static void
another_daemon_by_url_and_token(void **state)
{
	CLEANUP(cleanup_free) char *url = NULL;
	struct err err = ERR_INIT;
	struct client *remote;

	server = server_start(serve_api, NULL);
	url = xasprintf("http://127.0.0.1:%d/", server_port(server));
	setenv("SKYFERRY_URL", url, 1);
	setenv("SKYFERRY_TOKEN", "t0ken", 1);
	remote = client_new(loop, settings, &err);
	unsetenv("SKYFERRY_TOKEN");
	assert_non_null(remote);
	assert_int_equal(client_call(remote, NULL, "GET", "/api/agent", NULL, &err), 0);
	client_free(remote);
	setenv("SKYFERRY_URL", "ftp://x", 1);
	assert_null(client_new(loop, settings, &err));
	assert_int_equal(err.code, -EINVAL);
	unsetenv("SKYFERRY_URL");
}

static void
a_socket_path_has_a_limit(void **state)
{
	CLEANUP(cleanup_free) char *name = xasprintf("%s/%0120d", dir, 0);
	struct err err = ERR_INIT;

	assert_int_equal(settings_set(settings, "api.socket", name, &err), 0);
	assert_null(client_new(loop, settings, &err));
	assert_int_equal(err.code, -ENAMETOOLONG);
	assert_non_null(strstr(err.msg, "api.socket"));
}

/* events */

static void
serve_events(struct server *s, int fd, unsigned n, void *arg)
{
	const char *text = arg;
	struct request req;

	if (!server_read(fd, &req, true))
		return;
	server_request_fini(&req);
	server_write(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
	for (; *text != '\0'; text++) /* cut everywhere */
		server_write_bytes(fd, text, 1);
}

struct seen {
	struct client_call *call;
	char text[512];
	unsigned events, cancel_at, dones;
	int code;
};

static void
on_event(void *arg, const char *event, json_t *data)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof seen->text - len, "%s=%d ", event,
	    (int)json_integer_value(json_object_get(data, "seq")));
	if (++seen->events == seen->cancel_at) {
		client_cancel(seen->call);
		loop_stop(loop);
	}
}

static void
on_done(void *arg, int code, json_t *body, const struct err *err)
{
	struct seen *seen = arg;

	seen->code = code;
	seen->dones++;
	loop_stop(loop);
}

static const char events_text[] = ": hello\n\nid: 1\nevent: hello\ndata: {\"seq\": 1}\n\n"
				  "event: change\r\ndata: {\r\ndata: \"seq\": 2}\r\n\r\n:\n\n"
				  "data:{\"seq\":3}\n\nevent: cut\ndata: {}\n";

static void
events_arrive(void **state)
{
	struct seen seen = {.events = 0};

	server = server_start_unix(path, serve_events, (void *)events_text);
	seen.call = client_events(client, "/api/events", on_event, on_done, &seen);
	loop_run(loop);
	assert_string_equal(seen.text, "hello=1 change=2 message=3 ");
	assert_int_equal(seen.dones, 1);
	assert_int_equal(seen.code, 0); /* the server closed it */
}

static void
events_can_be_cancelled_inside_an_event(void **state)
{
	struct seen seen = {.cancel_at = 2};

	server = server_start_unix(path, serve_events, (void *)events_text);
	seen.call = client_events(client, "/api/events", on_event, on_done, &seen);
	loop_run(loop);
	assert_string_equal(seen.text, "hello=1 change=2 ");
	assert_int_equal(seen.dones, 0);
}

static void
events_may_be_refused(void **state)
{
	struct seen seen = {.events = 0};

	server = server_start_unix(path, serve_api, NULL);
	seen.call = client_events(client, "/api/none", on_event, on_done, &seen);
	loop_run(loop);
	assert_int_equal(seen.code, -ENOENT);
	assert_int_equal(seen.events, 0);
}

static bool
count_event(void *arg, const char *event, const struct buf *data)
{
	++*(unsigned *)arg;
	return true;
}

static void
lines_are_bounded(void **state)
{
	CLEANUP(sse_fini) struct sse sse;
	CLEANUP(cleanup_free) char *line = xcalloc(1, SSE_LINE_MAX);
	unsigned events = 0;

	memset(line, 'd', SSE_LINE_MAX);
	sse_init(&sse);
	assert_int_equal(sse_feed(&sse, "data: x\n\n", 9, count_event, &events), 0);
	assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX, count_event, &events), 0);
	assert_int_equal(sse_feed(&sse, line, 1, count_event, &events), -EPROTO);
	assert_int_equal(events, 1);
	sse_fini(&sse);
	/* An event of many lines is bounded as well. */
	sse_init(&sse);
	memcpy(line, "data: ", 6);
	line[SSE_LINE_MAX / 2] = '\n';
	assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1, count_event, &events), 0);
	assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1, count_event, &events), 0);
	assert_int_equal(sse_feed(&sse, line, SSE_LINE_MAX / 2 + 1, count_event, &events), -EPROTO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	    TEST(calls_have_answers),
	    TEST(no_daemon_is_explained),
	    TEST(another_daemon_by_url_and_token),
	    TEST(a_socket_path_has_a_limit),
	    TEST(events_arrive),
	    TEST(events_can_be_cancelled_inside_an_event),
	    TEST(events_may_be_refused),
	    cmocka_unit_test(lines_are_bounded),
	};

	setenv("no_proxy", "*", 1);
	unsetenv("SKYFERRY_URL");
	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
